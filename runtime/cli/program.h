// The command line as a whole: all commands, one of them run, its error turned into a sentence and
// the exit status: 0 ok, 1 failed, 2 wrong usage, 128 + n if signal n stopped it (130: Ctrl-C).
#pragma once

#include <memory>
#include <vector>

#include "runtime/cli/command.h"
#include "runtime/cli/console.h"

namespace qama::cli {

class Program {
 public:
  Program();
  /// Parses, runs, prints; gives the exit status.
  int run(int argc, char** argv);
  [[nodiscard]] const CLI::App& app() const noexcept { return app_; }

 private:
  /// What --help or --version print.
  int print(const CLI::Success& request);
  int run(Command& command, const CommandApp& app);
  void end_with_reader() const;

  struct Entry {
    CommandApp* app;
    std::unique_ptr<Command> command;
  };
  CommandApp app_;
  Console console_;
  std::vector<Entry> entries_;
};

}  // namespace qama::cli
