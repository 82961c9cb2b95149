// How an explanation is written. An output is a file <output>.cpp and a function here.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "runtime/cli/console.h"
#include "runtime/cli/explain/explanation.h"
#include "weights/architecture.h"

namespace qama::cli {

/// The object of `--json`.
[[nodiscard]] Json explanation_json(const Explanation& explanation);
/// A line a layer and one a head.
void print_explanation(const Explanation& explanation, Console& console);
/// The paper's Figures 3, 4 and 5; `pixels` are the picture's, empty for a text. IO_ERROR.
Status write_explanation_html(const Explanation& explanation, const weights::Architecture& a,
                              std::span<const std::uint8_t> pixels, const std::string& path);

}  // namespace qama::cli
