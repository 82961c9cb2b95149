// Manual pages, in the man macros of troff: qama(1) and one page a command.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace qama::cli {

/// "qama-classify.1"; "qama.1" for the program itself.
[[nodiscard]] std::string man_page_name(const CLI::App& app);
/// The page of a command, or of the program itself.
[[nodiscard]] std::string man_page(const CLI::App& app);

}  // namespace qama::cli
