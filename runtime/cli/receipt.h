// A receipt of `qama solve`: which problem, how it was searched, and the answer. `qama replay`
// proves it on another machine. JSON, of one line.
#pragma once

#include <string>
#include <string_view>

#include "hal/search/solve.h"
#include "hal/text/read_options.h"
#include "runtime/cli/console.h"

namespace qama::cli {

inline constexpr std::size_t kMaxReceiptBytes = std::size_t{1} << 24;

struct Receipt {
  std::string problem_sha256;  ///< problem_sha256()
  std::string format;          ///< how the problem was read
  bool maximise = false, symmetric = false;
  std::string device;         ///< as opened; replay takes any kernel of cpu:
  hal::SolveRequest request;  ///< without initial answers and stop
  /// Whether the same request gives the same spins: nothing was ended by a clock or by somebody.
  bool repeatable = false;
  double value = 0;
  bool optimal = false;
  std::string spins_sha256;      ///< of what --out writes
  std::string spins;             ///< as spins_text() without lines
  std::string kernel, revision;  ///< that made it
};

/// The problem's own SHA-256: of its numbers, whatever file or format they were read from.
[[nodiscard]] std::string problem_sha256(const hal::ProblemFile& file);

[[nodiscard]] Json to_json(const Receipt& receipt);
/// REPORT_BAD_FORMAT for anything but a receipt.
[[nodiscard]] Result<Receipt> parse_receipt(std::string_view text, std::string_view name);

}  // namespace qama::cli
