// What a command of the program is. A command is added by a file commands/<name>.cpp and a line in
// the table of commands.cpp; what several commands share is in arguments.h, inputs.h, report.h and
// console.h.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <span>

#include "hal/base/result.h"
#include "runtime/cli/console.h"

namespace qama::cli {

/// One command, made for one run of the program. The options that it declares refer to its members.
class Command {
 public:
  virtual ~Command() = default;
  Command() = default;
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  /// Declares options and positional arguments.
  virtual void declare(CLI::App& app) = 0;
  /// Does the work. The error, if any, is printed by the caller; what was reported to the console
  /// before counts as a failure, too.
  virtual Status run(Console& console) = 0;
};

struct CommandEntry {
  const char* name;
  const char* summary;   ///< one line of `qama --help`
  const char* examples;  ///< below the options of `qama NAME --help`
  std::unique_ptr<Command> (*make)();
};

/// The table of commands, in the order of `qama --help`.
[[nodiscard]] std::span<const CommandEntry> commands() noexcept;

/// One a file commands/<name>.cpp.
[[nodiscard]] std::unique_ptr<Command> make_classify();
[[nodiscard]] std::unique_ptr<Command> make_eval();
[[nodiscard]] std::unique_ptr<Command> make_solve();
[[nodiscard]] std::unique_ptr<Command> make_tune();
[[nodiscard]] std::unique_ptr<Command> make_info();
[[nodiscard]] std::unique_ptr<Command> make_profile();
[[nodiscard]] std::unique_ptr<Command> make_explain();
[[nodiscard]] std::unique_ptr<Command> make_verify();
[[nodiscard]] std::unique_ptr<Command> make_devices();
[[nodiscard]] std::unique_ptr<Command> make_device();

}  // namespace qama::cli
