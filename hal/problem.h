// What a device is asked to solve, and what it answers. A selection problem never holds a tensor or
// a layer name; it is integers only, so that every device and every instruction set agrees on its
// energy. Reading problems from files belongs in text/formats.h, checking answers in verify.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "hal/base/result.h"
#include "hal/schedule.h"

namespace qama::hal {

/// Largest sizes that are accepted from outside, checked before anything is allocated.
inline constexpr std::int32_t kMaxHeads = 64;
inline constexpr std::int32_t kMaxTokens = 1 << 20;
inline constexpr std::int32_t kMaxDenseTokens = 1 << 14;

/// Sizes of a layer's problems; fixed when a solver is compiled. A text's problem may use fewer
/// tokens than its solver was compiled for.
struct ProblemShape {
  std::int32_t heads = 0;   ///< H >= 1
  std::int32_t tokens = 0;  ///< N >= 1, spins a head
  [[nodiscard]] std::int64_t spins() const noexcept {
    return static_cast<std::int64_t>(heads) * tokens;
  }
};

/// 64-bit words that hold one head's spins: spin i is bit i % 64 of word i / 64, later bits are 0.
[[nodiscard]] constexpr std::int32_t words_per_head(std::int32_t tokens) noexcept {
  return (tokens + 63) / 64;
}

/// Elements from one row of couplings (or fields of a head) to the next: the tokens rounded up to
/// 64, so that a head's row is whole 64-spin words. What lies behind the tokens must be 0.
[[nodiscard]] constexpr std::int32_t row_stride(std::int32_t tokens) noexcept {
  return words_per_head(tokens) * 64;
}

/// The forms in which a device may take a problem. One word a form, in names, options and reports.
enum class Form : std::uint8_t {
  dense,   ///< couplings as a matrix (DenseView)
  planes,  ///< the same, of one head and few values, which the device packs into bit planes
  sparse,  ///< couplings as rows of neighbours (SparseView)
  factors  ///< couplings as products of factors, never built (FactorsView)
};
inline constexpr std::pair<std::string_view, Form> kFormNames[] = {{"dense", Form::dense},
                                                                   {"planes", Form::planes},
                                                                   {"sparse", Form::sparse},
                                                                   {"factors", Form::factors}};
[[nodiscard]] std::string_view name_of(Form form) noexcept;
/// INVALID_ARGUMENT for another name.
[[nodiscard]] Result<Form> parse_form(std::string_view name);

/// A set of forms.
class FormSet {
 public:
  constexpr FormSet() = default;
  constexpr FormSet(std::initializer_list<Form> forms) {
    for (const Form form : forms) bits_ |= bit(form);
  }
  [[nodiscard]] constexpr bool has(Form form) const noexcept { return (bits_ & bit(form)) != 0; }
  /// "dense, sparse".
  [[nodiscard]] std::string text() const;

 private:
  static constexpr unsigned bit(Form form) noexcept { return 1U << static_cast<unsigned>(form); }
  unsigned bits_ = 0;
};

/// An integer selection problem in dense block form, as a view of the caller's memory. Over
/// s in {0,1}^(H x N) minimise (the paper's Eq. 3, scaled by `scale` and rounded)
///
///   E(s) = - sum_t sum_{i<j} W_tij s_ti s_tj - sum_t sum_i b_ti s_ti
///          + P sum_i sum_{t1<t2} s_t1i s_t2i
///
/// `couplings`: [H][N][row_stride(N)], each head symmetric with zero diagonal. `fields`:
/// [H][row_stride(N)]. A generic Ising or QUBO problem has H = 1. Sums stay exact in int16 because
/// for every t, i
///   sum_j |W_tij| + |b_ti| + (H-1) P <= 32767,   P >= 0 (fits_int16)
/// and that rule is part of the type: a device may rely on it, whoever builds a problem keeps it.
struct DenseView {
  ProblemShape shape;
  const std::int16_t* couplings = nullptr;
  const std::int16_t* fields = nullptr;
  std::int16_t penalty = 0;
  double scale = 1.0;  ///< integer units per unit of the layer's energy: E_real ~ E / scale
  double row_norm =
      0.0;  ///< unit of temperature: root of the mean squared row norm of W; 0: not known yet
  double offset = 0.0;  ///< energy units added to E / scale (max-cut and QUBO conversions)
};

/// A selection problem whose couplings are given as factors, for long heads; nothing of size N^2 is
/// ever built. For i != j
///   J_tij = scale_t sum_d left_tid right_tjd + shift_t
/// which must be symmetric up to rounding (QAMA: left = right = F with F F^T = Q K^T K Q^T / 2D).
/// Energies are real: E(s) as in DenseView with J, fields and penalty in place of W, b and
/// P.
struct FactorsView {
  ProblemShape shape;
  std::int32_t rank = 0;          ///< D, 1 to kMaxRankLimit
  const float* left = nullptr;    ///< [H][N][D]
  const float* right = nullptr;   ///< [H][N][D]
  const float* scale = nullptr;   ///< [H], or null for 1
  const float* shift = nullptr;   ///< [H], or null for 0
  const float* fields = nullptr;  ///< [H][N]
  float penalty = 0;
};
inline constexpr std::int32_t kMaxRankLimit = 1024;

/// A selection problem of one head whose spins have few couplings each (graphs, sparse QUBO), as
/// rows of neighbours; memory grows with the couplings, not with N^2. E(s), exactness and units as
/// in DenseView, whose rules it keeps: W symmetric, no spin its own neighbour, fits_int16.
struct Neighbour {
  std::int32_t spin = 0;
  std::int16_t coupling = 0;
};
struct SparseView {
  std::int32_t spins = 0;  ///< N, 1 to kMaxTokens
  const std::int64_t* first =
      nullptr;  ///< [N + 1]; spin i's neighbours are first[i] .. first[i + 1] - 1
  const Neighbour* neighbours = nullptr;  ///< [count], ascending in each row
  std::int64_t count = 0;                 ///< neighbours that there are: first[N]
  const std::int16_t* fields = nullptr;   ///< [row_stride(N)], 0 behind the spins
  double scale = 1.0;
  double row_norm = 0.0;
  double offset = 0.0;
};

/// A problem in any form, as a light view of the caller's memory: copied freely, owns nothing.
using Problem = std::variant<DenseView, SparseView, FactorsView>;
[[nodiscard]] constexpr Form form_of(const Problem& problem) noexcept {
  constexpr Form kForms[] = {Form::dense, Form::sparse, Form::factors};
  return kForms[problem.index()];
}
[[nodiscard]] ProblemShape shape_of(const Problem& problem) noexcept;

/// Where a job's time went, in microseconds; a part that did not happen is 0. `modelled` marks
/// times that an emulator computed instead of anybody measuring them.
struct SolveTiming {
  double login_us = 0, encode_us = 0, quantise_us = 0, send_us = 0, queue_us = 0, program_us = 0,
         anneal_us = 0, readout_us = 0, verify_us = 0, network_us = 0, total_us = 0;
  bool modelled = false;
};

/// Why a solve was not done by the device that was asked first.
enum class FallbackReason : std::uint8_t {
  none,
  unsupported,
  error,
  deadline,
  hedge_won,
  circuit_open
};
[[nodiscard]] std::string_view fallback_reason_name(FallbackReason reason) noexcept;

/// What a solver answers. Plain data, filled without allocation. A chain that a deadline stopped
/// still counts its full number of sweeps.
struct SolveResult {
  std::int64_t energy = 0;     ///< integer E(s) of the returned spins, exact; 0 for factors
  double real_energy = 0;      ///< the same in the problem's own units: energy / scale + offset
  std::int64_t proposals = 0;  ///< spin flips tried
  std::int64_t flips = 0;      ///< spin flips done
  std::int32_t sweeps =
      0;  ///< of all chains; a restart is one chain, a round or a group of recombined heads is four
  std::int32_t restarts = 0;   ///< restarts done, without those of rounds
  std::int32_t rounds = 0;     ///< rounds done
  const char* solved_by = "";  ///< kernel or device, static storage: "cpu:avx512 planes", "cim"
  FallbackReason fallback = FallbackReason::none;
  ErrorCode device_error = ErrorCode::ok;  ///< what went wrong on the first device, if anything
  SolveTiming timing;
};

/// What SolveResult says of an answer.
struct Energy {
  std::int64_t integer = 0;  ///< exact; 0 for factors
  double real = 0;           ///< in the problem's own units: integer / scale + offset
};
/// Energies of `spins` ([heads][words_per_head]), straight from the definitions above: exact in
/// integers, in double for factors. Allocates `rank` doubles for factors, else nothing.
[[nodiscard]] Energy energy_of(const Problem& problem, std::span<const std::uint64_t> spins);
[[nodiscard]] std::int64_t energy_of(const DenseView& problem,
                                     std::span<const std::uint64_t> spins) noexcept;
[[nodiscard]] std::int64_t energy_of(const SparseView& problem,
                                     std::span<const std::uint64_t> spins) noexcept;
[[nodiscard]] double energy_of(const FactorsView& problem, std::span<const std::uint64_t> spins);

/// PROBLEM_TOO_LARGE unless 1 <= heads <= kMaxHeads and 1 <= tokens <= kMaxDenseTokens.
[[nodiscard]] Status validate_shape(const ProblemShape& shape);

/// Whether a problem keeps the rules of its view; for problems from outside. PROBLEM_TOO_LARGE or
/// PROBLEM_BAD_VALUE.
///   dense    sizes, symmetry, the zero diagonal, zero padding, fits_int16; O(H N^2)
///   sparse   sizes, rows (ascending, inside, symmetric, no diagonal), zero padding, fits_int16;
///            O(neighbours log)
///   factors  sizes, numbers finite, a penalty of at least 0; O(H N D). Symmetry is not checked.
[[nodiscard]] Status validate(const Problem& problem);

}  // namespace qama::hal
