#include "runtime/cli/program.h"

#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "qama/qama.h"
#include "runtime/cli/manual/help_text.h"

namespace qama::cli {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

constexpr CommandText kText{
    .summary = "Run transformers with quantum annealing attention (QAMA).",
    .notes =
        "Every attention head of such a model selects tokens by minimising a quadratic binary\n"
        "problem. An annealer on the CPU solves it, or a machine on the network.\n"
        "\n"
        "Results go to standard output, logs and progress to standard error.\n"
        "`qama help COMMAND` explains a command.\n",
    .examples =
        "qama classify -m weights/models/fashion-mnist-qama.safetensors shoe.png\n"
        "qama eval -m MODEL --dataset mnist --data DIR --threads 4\n"
        "qama help solve\n"};

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

}  // namespace

Program::Program() : app_(kText, "qama") {
  app_.set_version_flag("--version", std::string("qama ") + qama_version(), "Print the version.");
  app_.set_help_flag("-h,--help", "Print this help.");
  app_.require_subcommand(1);
  app_.formatter(std::make_shared<HelpFormatter>());
  for (const CommandEntry& entry : commands()) {
    auto command = entry.make();
    const auto sub = std::make_shared<CommandApp>(command->text(), entry.name);
    app_.add_subcommand(sub);
    sub->formatter(app_.get_formatter());
    sub->set_help_flag("-h,--help", "Print this help.");
    command->declare(*sub);
    if (sub->text.reports) {
      sub->add_flag("--json", console_.json, "Print the result as JSON.");
      sub->add_flag("-q,--quiet", console_.quiet, "Print no logs and no progress.");
    }
    entries_.push_back({sub.get(), std::move(command)});
  }
}

int Program::run(int argc, char** argv) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::Success& request) {
    return print(request);
  } catch (const CLI::ParseError& error) {
    return report_usage(app_, error);
  }
  for (const Entry& entry : entries_) {
    if (entry.app->parsed()) return run(*entry.command);
  }
  return kUsage;
}

int Program::print(const CLI::Success& request) {
  std::ostringstream text;
  app_.exit(request, text, text);
  console_.text(text.view());
  const Status written = console_.finish();
  if (written.ok()) return EXIT_SUCCESS;
  console_.report(written.error());
  return kFailed;
}

int Program::run(Command& command) {
  const Status status = command.run(console_);
  const Status written = console_.finish();
  if (!status.ok()) {
    console_.report(status.error());
    if (status.error().code == ErrorCode::usage) return kUsage;
  } else if (!written.ok()) {
    console_.report(written.error());
  }
  return console_.failed() ? kFailed : EXIT_SUCCESS;
}

}  // namespace qama::cli
