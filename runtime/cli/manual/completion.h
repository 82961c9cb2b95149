// Completion scripts for shells, with the commands, options, values and files of the option tables.
// A shell is added by a file completion_<shell>.cpp, a declaration here and a line in
// commands/completion.cpp.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace qama::cli {

/// The scripts: to be sourced, or to be put where the shell looks for them.
[[nodiscard]] std::string bash_completion(const CLI::App& program);
[[nodiscard]] std::string zsh_completion(const CLI::App& program);
[[nodiscard]] std::string fish_completion(const CLI::App& program);

}  // namespace qama::cli
