#include "runtime/cli/program.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <sstream>

#include "hal/base/quote.h"
#include "qama/qama.h"
#include "runtime/cli/files.h"
#include "runtime/cli/manual/help_text.h"
#include "runtime/cli/numbers.h"

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

/// Characters to insert, to remove or to replace until `from` is `to` (Levenshtein).
std::size_t edits_between(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < to.size(); ++j) {
      const std::size_t replaced = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

/// The command that `word` may be meant for; empty if none is near.
std::string command_like(std::string_view word) {
  std::string best;
  // Two letters in the wrong order are two edits.
  std::size_t fewest = word.size() < 4 ? 2 : 3;
  for (const CommandEntry& entry : commands()) {
    const std::string name = entry.name;
    const bool begun = word.size() > 1 && name.starts_with(word);
    const std::size_t edits = begun ? 0 : edits_between(word, name);
    if (edits >= fewest) continue;
    fewest = edits;
    best = name;
  }
  return best;
}

int report_unknown(std::string_view word) {
  const std::string like = command_like(word);
  const std::string hint = like.empty() ? "" : "; did you mean '" + like + "'?";
  std::fprintf(stderr, "qama: error: USAGE: unknown command %s%s (see `qama --help`)\n",
               quote(word).c_str(), hint.c_str());
  return kUsage;
}

/// An empty value is a variable of the shell that is not set, not a wish for the default: with an
/// empty --token-file a server would ask nobody for a token. Only a text may be empty.
void refuse_empty_values(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (option->get_items_expected_min() == 0 || !option->nonpositional()) continue;
    const std::string type = option->get_type_name();
    const std::string value = type.substr(0, type.find(':'));
    if (value == "TEXT") continue;
    option->transform(CLI::Validator(
        [value](std::string& text) {
          return text.empty() ? "its value is empty, expected " + value : std::string();
        },
        std::string()));
  }
}

/// Whether `command` has an option --NAME that takes a value.
bool takes_value(const CLI::App& command, std::string_view name) {
  for (const CLI::Option* option : command.get_options()) {
    const std::vector<std::string>& names = option->get_lnames();
    if (std::find(names.begin(), names.end(), name) == names.end()) continue;
    return option->get_items_expected_min() > 0;
  }
  return false;
}

/// The words of the command line, the last one first, as CLI11 reads them. CLI11 takes the next
/// word for the value of `--html=`, which may be a file to read; here it is an empty value.
std::vector<std::string> words_backwards(int argc, char** argv, const CLI::App* command) {
  std::vector<std::string> words;
  bool options = command != nullptr;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    words.emplace_back(word);
    options = options && word != "--";
    if (!options || !word.starts_with("--") || word.find('=') != word.size() - 1) continue;
    if (!takes_value(*command, word.substr(2, word.size() - 3))) continue;
    words.back().pop_back();
    words.emplace_back();
  }
  std::reverse(words.begin(), words.end());
  return words;
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

}  // namespace

Program::Program() : app_(kText, "qama") {
  app_.set_version_flag("-V,--version", std::string("qama ") + qama_version(),
                        "Print the version.");
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
    read_decimal_numbers(*sub);
    refuse_empty_values(*sub);
    entries_.push_back({sub.get(), std::move(command)});
  }
}

int Program::run(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("qama: error: USAGE: a command is missing (see `qama --help`)\n", stderr);
    return kUsage;
  }
  const std::string_view first = argv[1];
  const std::vector<std::string> names = command_names();
  if (!first.starts_with('-') && std::find(names.begin(), names.end(), first) == names.end()) {
    return report_unknown(first);
  }
  const auto named = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.app->get_name() == first;
  });
  const CLI::App* command = named == entries_.end() ? nullptr : named->app;
  try {
    app_.parse(words_backwards(argc, argv, command));
  } catch (const CLI::Success& request) {
    return print(request);
  } catch (const CLI::ParseError& error) {
    return report_usage(app_, error);
  }
  for (const Entry& entry : entries_) {
    if (entry.app->parsed()) return run(*entry.command, *entry.app);
  }
  return kUsage;
}

/// Where the reader of a pipe went away, nobody wants to hear of it: the program ends as any other
/// does, by SIGPIPE, but after its files are written.
void Program::end_with_reader() const {
  if (!console_.reader_left()) return;
  std::signal(SIGPIPE, SIG_DFL);
  std::raise(SIGPIPE);
}

int Program::print(const CLI::Success& request) {
  std::ostringstream text;
  app_.exit(request, text, text);
  console_.text(text.view());
  const Status written = console_.finish();
  end_with_reader();
  if (written.ok()) return EXIT_SUCCESS;
  console_.report(written.error());
  return kFailed;
}

int Program::run(Command& command, const CommandApp& app) {
  Status status = check_outputs(app);
  if (status.ok()) status = command.run(console_);
  const Status written = console_.finish();
  end_with_reader();
  if (!status.ok()) {
    console_.report(status.error());
    if (status.error().code == ErrorCode::usage) return kUsage;
  } else if (!written.ok()) {
    console_.report(written.error());
  }
  constexpr int kSignalled = 128;  // as a shell counts
  if (console_.stopped() != 0) return kSignalled + console_.stopped();
  return console_.failed() ? kFailed : EXIT_SUCCESS;
}

}  // namespace qama::cli
