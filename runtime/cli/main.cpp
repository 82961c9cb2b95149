// The program `qama`: reads the command line, runs one command, turns its error into a sentence and
// the exit status: 0 ok, 1 failed, 2 wrong usage.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <sstream>

#include "qama/qama.h"
#include "runtime/cli/command.h"

namespace qama::cli {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

/// A standard descriptor that the caller closed would be given to the first file that is opened,
/// and results would be written into it. It is filled with something that refuses instead.
void occupy_standard_descriptors() {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (fcntl(descriptor, F_GETFD) == -1) {
      // The lowest free number, hence this one. What is only readable refuses to be written, and
      // back.
      const int got = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY);
      if (got != descriptor) std::_Exit(kFailed);
    }
  }
}

/// CLI11's message, as one sentence of ours. Several of its messages have more than one line.
int report_usage(const CLI::App& app, const CLI::ParseError& error) {
  std::string message = error.what();
  for (char& c : message) {
    if (c == '\n') c = ' ';
  }
  const auto chosen = app.get_subcommands();
  const std::string help =
      chosen.empty() ? "qama --help" : "qama " + chosen[0]->get_name() + " --help";
  std::fprintf(stderr, "qama: error: USAGE: %s (see `%s`)\n", message.c_str(), help.c_str());
  return kUsage;
}

int run_program(int argc, char** argv) {
  CLI::App app("Runtime for transformers with quantum annealing attention (QAMA).", "qama");
  app.set_version_flag("--version", std::string("qama ") + qama_version());
  app.set_help_flag("-h,--help", "Print this help");
  app.require_subcommand(1);
  app.get_formatter()->column_width(32);
  app.footer("`qama COMMAND --help` explains a command.");

  Console console;
  struct Entry {
    CLI::App* app;
    std::unique_ptr<Command> command;
  };
  std::vector<Entry> entries;
  for (const CommandEntry& entry : commands()) {
    CLI::App* sub = app.add_subcommand(entry.name, entry.summary);
    sub->footer(entry.examples);
    entries.push_back({sub, entry.make()});
    entries.back().command->declare(*sub);
    sub->add_flag("--json", console.json, "Print the result as JSON");
    sub->add_flag("-q,--quiet", console.quiet, "No logs, no progress");
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    std::ostringstream text;
    app.exit(success, text, text);
    std::string_view words = text.view();
    while (words.ends_with('\n')) words.remove_suffix(1);
    console.line(words);
    const Status written = console.finish();
    if (written.ok()) return EXIT_SUCCESS;
    console.report(written.error());
    return kFailed;
  } catch (const CLI::ParseError& error) {
    return report_usage(app, error);
  }

  for (const Entry& entry : entries) {
    if (!entry.app->parsed()) continue;
    const Status status = entry.command->run(console);
    const Status written = console.finish();
    if (!status.ok()) {
      console.report(status.error());
      if (status.error().code == ErrorCode::usage) return kUsage;
    } else if (!written.ok()) {
      console.report(written.error());
    }
    return console.failed() ? kFailed : EXIT_SUCCESS;
  }
  return kUsage;
}

}  // namespace
}  // namespace qama::cli

int main(int argc, char** argv) {
  qama::cli::occupy_standard_descriptors();
  // A reader that went away is an error of a write, with a sentence, rather than a silent death.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return qama::cli::run_program(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("qama: error: OUT_OF_MEMORY: not enough memory\n", stderr);
  } catch (const std::exception& exception) {
    std::fprintf(stderr, "qama: error: INTERNAL: %s\n", exception.what());
  }
  return 1;
}
