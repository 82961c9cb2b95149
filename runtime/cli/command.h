// What a command of the program is. To add one: write commands/<name>.cpp and add its name to
// qama_commands in CMakeLists.txt. What several commands share is in arguments.h, report.h, files.h
// and console.h. Help, manual page and completion come from what the command declares.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "hal/base/result.h"
#include "runtime/cli/console.h"

namespace qama::cli {

/// What help and manual page say besides the options.
struct CommandText {
  const char* summary;        ///< one sentence: a line of `qama --help`
  const char* notes = "";     ///< paragraphs; lines that begin with a space stay as they are
  const char* examples = "";  ///< a command line a line
  bool reports = true;        ///< false: the command has no --json and no --quiet
};

/// A command's options together with its text and the files that it writes, or the program's.
class CommandApp final : public CLI::App {
 public:
  CommandApp(const CommandText& about, const char* name)
      : CLI::App(about.summary, name), text(about) {}
  CommandText text;
  std::vector<const CLI::Option*> outputs;  ///< see declare_output() in files.h
};

/// One command, made for one run of the program. The options that it declares refer to its members.
class Command {
 public:
  virtual ~Command() = default;
  Command() = default;
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  [[nodiscard]] virtual CommandText text() const = 0;
  /// Declares options and arguments. The text of each is a sentence; its range and its default are
  /// added to it.
  virtual void declare(CLI::App& app) = 0;
  /// Does the work. The caller prints the error, if there is one. The program also fails if the
  /// command reported an error to the console and went on.
  virtual Status run(Console& console) = 0;
};

struct CommandEntry {
  const char* name;
  std::unique_ptr<Command> (*make)();
};

/// All commands, in the order of `qama --help`.
[[nodiscard]] std::span<const CommandEntry> commands() noexcept;
[[nodiscard]] std::vector<std::string> command_names();

}  // namespace qama::cli
