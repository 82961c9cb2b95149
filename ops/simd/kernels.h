// The kernels that this project writes itself, as one table of functions a target. Everything with
// a matrix of weights goes through oneDNN (linear.h); what is here is small, and memory- or
// latency-bound.
//
// To add a kernel: its argument struct and its member of KernelTable here, the code in
// kernels_impl.h (one template for all targets), the plain reference in reference/reference.h, and
// one line in tests/ops/kernels_test.cpp, which runs every kernel on every target that the machine
// has.
//
// Extents are counts of elements; every pointer is the caller's and must not alias another one
// unless said.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace qama::ops {

/// Floats from one row of a token-minor buffer to the next: the tokens rounded up to 64, as in
/// hal::row_stride, so that vectors need no tail. What lies behind the tokens is 0.
inline constexpr std::int64_t kTokenPad = 64;
[[nodiscard]] constexpr std::int64_t token_stride(std::int64_t tokens) noexcept {
  return (tokens + kTokenPad - 1) / kTokenPad * kTokenPad;
}

/// x += residual (if given); y = (x - mean) / sqrt(var + eps) * gamma + beta (+ addend, if given),
/// row by row.
struct LayerNormArgs {
  std::int64_t rows = 0, dim = 0;
  float* x = nullptr;               ///< [rows][dim]; written only if there is a residual
  const float* residual = nullptr;  ///< [rows][dim] or null
  const float* gamma = nullptr;     ///< [dim]
  const float* beta = nullptr;      ///< [dim]
  const float* addend = nullptr;    ///< [rows][dim] or null
  float* y = nullptr;               ///< [rows][dim]; may be x if there is no residual
  float eps = 0;
};

/// y = mean of the rows of x.
struct MeanRowsArgs {
  std::int64_t rows = 0, dim = 0;
  const float* x = nullptr;  ///< [rows][dim]
  float* y = nullptr;        ///< [dim]
};

/// One head of softmax attention: out_i = sum_j softmax_j(scale q_i . k_j) v_j.
struct SoftmaxHeadArgs {
  std::int64_t tokens = 0, dim_head = 0;
  const float* q = nullptr;  ///< row i at q + i * stride
  const float* k = nullptr;
  const float* v = nullptr;
  std::int64_t stride = 0;
  float scale = 0;
  float* out = nullptr;  ///< row i at out + i * out_stride
  std::int64_t out_stride = 0;
  float* scratch = nullptr;  ///< softmax_scratch_floats(tokens, dim_head)
};
[[nodiscard]] constexpr std::int64_t softmax_scratch_floats(std::int64_t tokens,
                                                            std::int64_t dim_head) noexcept {
  return 16 * (tokens + dim_head);
}

/// Factors of one head's couplings, J = F F^T = Q (K^T K) Q^T / (2 D) (Eq. 4): F = Q L, where L L^T
/// = K^T K / (2 D) in double.
struct QamaFactorArgs {
  std::int64_t tokens = 0, dim_head = 0;
  const float* q = nullptr;  ///< row i at q + i * stride
  const float* k = nullptr;
  std::int64_t stride = 0;
  float* factors = nullptr;   ///< [dim_head][token_stride], 0 behind the tokens
  double* scratch = nullptr;  ///< qama_factor_scratch_doubles(tokens, dim_head)
};
[[nodiscard]] constexpr std::int64_t padded8(std::int64_t n) noexcept {
  return (n + 7) / 8 * 8;
}
[[nodiscard]] constexpr std::int64_t qama_factor_scratch_doubles(std::int64_t tokens,
                                                                 std::int64_t dim_head) noexcept {
  return (tokens + dim_head) * padded8(dim_head);
}

/// J'_ij = scale F_i . F_j + shift off the diagonal, 0 on it; symmetric to the bit.
struct QamaCouplingArgs {
  std::int64_t tokens = 0, dim_head = 0;
  const float* factors = nullptr;  ///< [dim_head][token_stride]
  float scale = 1, shift = 0;
  float* couplings = nullptr;  ///< [tokens][token_stride], 0 behind the tokens
  float* sums = nullptr;       ///< [token_stride] sum_i |J'_ij|, 0 behind the tokens
};

/// Sum and sum of squares of all F_i . F_j off the diagonal, from F^T 1 and F^T F: J itself is not
/// needed.
struct QamaMomentArgs {
  std::int64_t tokens = 0, dim_head = 0;
  const float* factors = nullptr;   ///< [dim_head][token_stride], 0 behind the tokens
  double sum = 0, sum_squares = 0;  ///< out
};

/// W = round to nearest even (scale J'). Precondition: |scale J'| < 2^15 - 1.
struct QamaQuantiseArgs {
  std::int64_t count = 0;  ///< a multiple of 16
  const float* couplings = nullptr;
  float scale = 0;
  std::int16_t* out = nullptr;
};

/// Energies of one head's tokens (Eq. 5), in double from the factors:
///   e_i = -s_i (scale (F_i . z - |F_i|^2) + shift (n - 1)) - field_i s_i,   z = sum_j s_j F_j, n =
///   sum_j s_j
struct QamaEnergyArgs {
  std::int64_t tokens = 0, dim_head = 0;
  const float* factors = nullptr;        ///< [dim_head][token_stride]
  const double* fields = nullptr;        ///< [token_stride] rho h', 0 behind the tokens
  const std::uint64_t* spins = nullptr;  ///< bit i % 64 of word i / 64
  double scale = 0, shift = 0;
  double* energies = nullptr;  ///< [token_stride]; 0 behind the tokens
  double* scratch = nullptr;   ///< [token_stride]
};

/// out_i = bias + sum_t e_ti table_t over the heads that selected token i: Eq. 5's outputs e_ti
/// w_eps^T, concatenated and projected, with the projection folded into a vector a head.
struct QamaProjectArgs {
  std::int64_t tokens = 0, heads = 0, dim = 0;
  const double* energies = nullptr;  ///< [heads][token_stride]
  const float* table = nullptr;      ///< [heads][dim]
  const float* bias = nullptr;       ///< [dim]
  float* out = nullptr;              ///< [tokens][dim]
};

/// Keys that queries may see: numbers begin .. end - 1, of which a query with number i sees
///   band >= 0       those with |i - j| <= band
///   kEveryKey       all
///   kOtherKeys      all but j = i
struct KeyRange {
  std::int64_t begin = 0, end = 0;
  std::int64_t band = -1;
};
inline constexpr std::int64_t kEveryKey = -1;
inline constexpr std::int64_t kOtherKeys = -2;

/// Softmax attention of consecutive queries over ranges of keys:
///   out_i = sum_j p_ij v_j,  p_ij = exp(scale q_i . k_j) / sum_j' exp(scale q_i . k_j').
/// Every query must see a key.
struct AttendArgs {
  std::int64_t queries = 0, keys = 0, dim_head = 0;
  const float* q = nullptr;  ///< row i at q + i * q_stride
  const float* k = nullptr;
  const float* v = nullptr;
  std::int64_t q_stride = 0, k_stride = 0, v_stride = 0;
  std::int64_t position = 0;         ///< the first query's number among the keys
  const KeyRange* ranges = nullptr;  ///< disjoint; clipped to the keys that there are
  std::int64_t range_count = 0;
  float scale = 0;
  float* out = nullptr;  ///< row i at out + i * out_stride
  std::int64_t out_stride = 0;
  float* log_sum = nullptr;  ///< [queries] log of the sum of exponentials, or null
  float* scratch = nullptr;  ///< softmax_scratch_floats(most keys that 16 queries see, dim_head)
};

/// C = A B, or C += A B: c_rc = sum_k a_rk b_kc. A may lie transposed.
struct ProductArgs {
  std::int64_t rows = 0, inner = 0, columns = 0;
  const float* a = nullptr;  ///< a_rk at a + r * a_row + k * a_inner
  std::int64_t a_row = 0, a_inner = 0;
  const float* b = nullptr;  ///< row k at b + k * b_stride
  std::int64_t b_stride = 0;
  float* c = nullptr;  ///< row r at c + r * c_stride
  std::int64_t c_stride = 0;
  bool add = false;
};

/// largest_r = max_c x_rc.
struct RowMaxArgs {
  std::int64_t rows = 0, columns = 0;  ///< columns >= 1
  const float* x = nullptr;            ///< [rows][columns]
  float* largest = nullptr;            ///< [rows]
};

/// x_rc = exp(x_rc - offset_r) + addend, in place.
struct ExpRowsArgs {
  std::int64_t rows = 0, columns = 0;
  float* x = nullptr;             ///< [rows][columns]
  const float* offset = nullptr;  ///< [rows]
  float addend = 0;
};

struct LongFactorArgs;  // factors_front.h
struct LongEnergyArgs;

struct KernelTable {
  std::string_view name;  ///< "avx512"
  void (*layer_norm)(const LayerNormArgs&);
  void (*mean_rows)(const MeanRowsArgs&);
  void (*softmax_head)(const SoftmaxHeadArgs&);
  void (*qama_factors)(const QamaFactorArgs&);
  void (*qama_moments)(QamaMomentArgs&);
  void (*qama_couplings)(const QamaCouplingArgs&);
  void (*qama_quantise)(const QamaQuantiseArgs&);
  void (*qama_energies)(const QamaEnergyArgs&);
  void (*qama_project)(const QamaProjectArgs&);
  void (*qama_factors_factors)(LongFactorArgs&);
  void (*qama_factors_energies)(const LongEnergyArgs&);
  void (*attend)(const AttendArgs&);
  void (*product)(const ProductArgs&);
  void (*row_max)(const RowMaxArgs&);
  void (*exp_rows)(const ExpRowsArgs&);
};

/// Tables that were compiled in and that this machine can run, slowest first.
[[nodiscard]] std::span<const KernelTable* const> kernel_tables() noexcept;
/// The fastest of them.
[[nodiscard]] const KernelTable& best_kernels() noexcept;

}  // namespace qama::ops
