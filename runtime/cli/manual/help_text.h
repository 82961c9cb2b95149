// `qama --help` and `qama COMMAND --help`: a table of options, wrapped for a terminal.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace qama::cli {

/// What CLI11 prints for --help.
class HelpFormatter final : public CLI::FormatterBase {
 public:
  [[nodiscard]] std::string make_help(const CLI::App* app, std::string name,
                                      CLI::AppFormatMode mode) const override;
};

/// The help of a command, or of the program itself.
[[nodiscard]] std::string help_text(const CLI::App& app);

}  // namespace qama::cli
