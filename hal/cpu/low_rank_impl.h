// The annealer for long heads, a template over xsimd's architectures, included by kernel_<target>.cpp. See
// low_rank.h for the method and for the order of float operations, which must not change: it is what
// makes targets agree bit for bit. Multiply and add are never fused here (-ffp-contract=off).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include <xsimd/xsimd.hpp>

#include "hal/cpu/low_rank.h"
#include "hal/cpu/schedule.h"

namespace qama::hal::cpu {
namespace {

/// 16 float lanes, whatever the width of a register.
template <class Arch>
struct Float16 {
  using Batch = xsimd::batch<float, Arch>;
  static constexpr std::size_t kParts = kTile / Batch::size;
  std::array<Batch, kParts> part;

  static Float16 load(const float* from) {
    Float16 out;
    for (std::size_t k = 0; k < kParts; ++k) out.part[k] = Batch::load_aligned(from + k * Batch::size);
    return out;
  }
  static Float16 load_unaligned(const float* from) {
    Float16 out;
    for (std::size_t k = 0; k < kParts; ++k) {
      out.part[k] = Batch::load_unaligned(from + k * Batch::size);
    }
    return out;
  }
  static Float16 all(float value) {
    Float16 out;
    out.part.fill(Batch(value));
    return out;
  }
  void store(float* to) const {
    for (std::size_t k = 0; k < kParts; ++k) part[k].store_aligned(to + k * Batch::size);
  }
  friend Float16 operator+(const Float16& a, const Float16& b) {
    Float16 out;
    for (std::size_t k = 0; k < kParts; ++k) out.part[k] = a.part[k] + b.part[k];
    return out;
  }
  friend Float16 operator-(const Float16& a, const Float16& b) {
    Float16 out;
    for (std::size_t k = 0; k < kParts; ++k) out.part[k] = a.part[k] - b.part[k];
    return out;
  }
  friend Float16 operator*(const Float16& a, const Float16& b) {
    Float16 out;
    for (std::size_t k = 0; k < kParts; ++k) out.part[k] = a.part[k] * b.part[k];
    return out;
  }
  /// Bit k: lane k of a <= lane k of b.
  static std::uint32_t less_equal(const Float16& a, const Float16& b) {
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < kParts; ++k) {
      bits |= static_cast<std::uint32_t>((a.part[k] <= b.part[k]).mask()) << (k * Batch::size);
    }
    return bits;
  }
};

/// Calls step(k, d) for every d with its strand k = d mod 4 as a compile-time constant: an array of registers that is
/// indexed at run time would live in memory.
template <class Step>
inline void in_strands(std::int32_t rank, const Step& step) {
  std::int32_t d = 0;
  for (; d + 4 <= rank; d += 4) {
    step(std::integral_constant<std::size_t, 0>(), d);
    step(std::integral_constant<std::size_t, 1>(), d + 1);
    step(std::integral_constant<std::size_t, 2>(), d + 2);
    step(std::integral_constant<std::size_t, 3>(), d + 3);
  }
  if (d < rank) step(std::integral_constant<std::size_t, 0>(), d);
  if (d + 1 < rank) step(std::integral_constant<std::size_t, 1>(), d + 1);
  if (d + 2 < rank) step(std::integral_constant<std::size_t, 2>(), d + 2);
}

/// sum_d of a[d][16 lanes] * z[d], in four strands, of N tiles that lie one behind the other, each `a_stride` floats:
/// what is read of z serves them all.
template <class Arch, std::size_t N>
inline std::array<Float16<Arch>, N> column_products(const float* a, std::int64_t a_stride, const float* z,
                                                    std::int32_t rank) {
  using F = Float16<Arch>;
  std::array<std::array<F, N>, 4> strand;
  for (auto& one : strand) one.fill(F::all(0.0F));
  in_strands(rank, [&](auto k, std::int32_t d) {
    const F factor = F::all(z[d]);
    for (std::size_t n = 0; n < N; ++n) {
      strand[k][n] = strand[k][n] + F::load(a + static_cast<std::int64_t>(n) * a_stride + d * kTile) * factor;
    }
  });
  std::array<F, N> out;
  for (std::size_t n = 0; n < N; ++n) {
    out[n] = (strand[0][n] + strand[1][n]) + (strand[2][n] + strand[3][n]);
  }
  return out;
}

template <class Arch>
inline Float16<Arch> column_product(const float* a, const float* z, std::int32_t rank) {
  return column_products<Arch, 1>(a, 0, z, rank)[0];
}

/// 1.0 in lane k where bit k of `bits` is set.
alignas(64) constexpr std::array<std::array<float, 16>, 16> kNibbles = [] {
  std::array<std::array<float, 16>, 16> table{};
  for (std::size_t value = 0; value < 16; ++value) {
    for (std::size_t lane = 0; lane < 4; ++lane) {
      table[value][lane] = (value >> lane & 1U) != 0 ? 1.0F : 0.0F;
    }
  }
  return table;
}();

template <class Arch>
inline Float16<Arch> lanes_from_bits(std::uint32_t bits) {
  using F = Float16<Arch>;
  if constexpr (F::kParts == 1) {
    // A register of masks: one instruction.
    using Batch = typename F::Batch;
    F out;
    out.part[0] = xsimd::select(xsimd::batch_bool<float, Arch>::from_mask(bits), Batch(1.0F), Batch(0.0F));
    return out;
  } else {
    alignas(64) std::array<float, 16> lanes;
    for (std::uint32_t k = 0; k < 4; ++k) {
      std::memcpy(lanes.data() + 4 * k, kNibbles[bits >> (4 * k) & 15U].data(), 4 * sizeof(float));
    }
    return F::load(lanes.data());
  }
}

/// Four floats, transposed four by four: what g++ and clang know on every target, whatever the width of Arch.
using Float4 = float __attribute__((vector_size(16), aligned(4)));

/// 16 x 16 floats by four rounds of exchanging blocks of 8, 4, 2 and 1: a permutation of two registers is one instruction
/// where a register has 16 lanes.
using Float16Lanes = float __attribute__((vector_size(64), aligned(4)));

template <std::int32_t block, std::int32_t... lane>
inline void exchange_blocks(Float16Lanes* row, std::integer_sequence<std::int32_t, lane...> /*lanes*/) {
  for (std::int32_t i = 0; i < kTile; ++i) {
    if ((i & block) != 0) continue;
    const Float16Lanes a = row[i];
    const Float16Lanes b = row[i + block];
    row[i] = __builtin_shufflevector(a, b, ((lane & block) == 0 ? lane : lane - block + kTile)...);
    row[i + block] = __builtin_shufflevector(a, b, ((lane & block) == 0 ? lane + block : lane + kTile)...);
  }
}

/// 16 rows of `rank` floats as columns [rank][16]; rows from `used` on are 0.
template <class Arch>
inline void transpose_tile(const float* rows, std::int32_t used, std::int32_t rank, float* columns) {
  std::int32_t d = 0;
  if constexpr (Float16<Arch>::kParts == 1) {
    for (; used == kTile && d + kTile <= rank; d += kTile) {
      Float16Lanes row[kTile];
      for (std::int32_t i = 0; i < kTile; ++i) {
        row[i] = *reinterpret_cast<const Float16Lanes*>(rows + static_cast<std::size_t>(i) * rank + d);
      }
      exchange_blocks<8>(row, std::make_integer_sequence<std::int32_t, kTile>());
      exchange_blocks<4>(row, std::make_integer_sequence<std::int32_t, kTile>());
      exchange_blocks<2>(row, std::make_integer_sequence<std::int32_t, kTile>());
      exchange_blocks<1>(row, std::make_integer_sequence<std::int32_t, kTile>());
      for (std::int32_t i = 0; i < kTile; ++i) *reinterpret_cast<Float16Lanes*>(columns + (d + i) * kTile) = row[i];
    }
  }
  if (used == kTile) {
    for (; d + 4 <= rank; d += 4) {
      for (std::int32_t i = 0; i < kTile; i += 4) {
        Float4 row[4];
        for (std::int32_t k = 0; k < 4; ++k) {
          row[k] = *reinterpret_cast<const Float4*>(rows + static_cast<std::size_t>(i + k) * rank + d);
        }
        const Float4 a = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5);
        const Float4 b = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5);
        const Float4 c = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
        const Float4 e = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
        float* to = columns + d * kTile + i;
        *reinterpret_cast<Float4*>(to) = __builtin_shufflevector(a, b, 0, 1, 4, 5);
        *reinterpret_cast<Float4*>(to + kTile) = __builtin_shufflevector(a, b, 2, 3, 6, 7);
        *reinterpret_cast<Float4*>(to + 2 * kTile) = __builtin_shufflevector(c, e, 0, 1, 4, 5);
        *reinterpret_cast<Float4*>(to + 3 * kTile) = __builtin_shufflevector(c, e, 2, 3, 6, 7);
      }
    }
  }
  for (; d < rank; ++d) {
    for (std::int32_t i = 0; i < kTile; ++i) {
      columns[d * kTile + i] = i < used ? rows[static_cast<std::size_t>(i) * rank + d] : 0.0F;
    }
  }
}

/// Row j of a tile's couplings: how flipping its token j moves every field of the tile.
template <class Arch>
inline const float* inside_row(const LowRankLayout& p, std::int32_t t, std::int32_t tile, std::int32_t j) {
  using F = Float16<Arch>;
  const std::size_t block = static_cast<std::size_t>(t) * p.tiles + tile;
  float* to = p.inside + (block * kTile + j) * kTile;
  if ((p.known[block] >> j & 1U) != 0) return to;
  p.known[block] = static_cast<std::uint16_t>(p.known[block] | 1U << j);
  const float* right =
      p.right + (static_cast<std::size_t>(t) * p.right_rows + tile * kTile + j) * p.right_stride;
  (column_product<Arch>(p.left + block * p.rank * kTile, right, p.rank) + F::all(p.shift[t])).store(to);
  to[j] = 0.0F;
  return to;
}

/// Writes a tile's columns times `scale`, and gives left_i . right_i of its tokens in the strands of column_product.
template <class Arch>
inline Float16<Arch> scaled_columns(const float* left, const float* right, std::int32_t rank, float scale,
                                    float* columns) {
  using F = Float16<Arch>;
  std::array<F, 4> strand;
  strand.fill(F::all(0.0F));
  const F factor = F::all(scale);
  in_strands(rank, [&](auto k, std::int32_t d) {
    const F column = F::load(left + d * kTile) * factor;
    column.store(columns + d * kTile);
    strand[k] = strand[k] + column * F::load(right + d * kTile);
  });
  return (strand[0] + strand[1]) + (strand[2] + strand[3]);
}

template <class Arch>
void load_low_rank(const LowRankProblem& problem, LowRankLayout& layout) {
  using F = Float16<Arch>;
  const std::int32_t rank = problem.rank;
  const std::int64_t tokens = problem.shape.tokens;
  const std::int64_t rows = static_cast<std::int64_t>(layout.tiles) * kTile;
  layout.right = problem.right;
  layout.right_rows = tokens;
  if (layout.right_copy != nullptr) {
    for (std::int64_t t = 0; t < layout.heads; ++t) {
      for (std::int64_t i = 0; i < tokens; ++i) {
        float* to = layout.right_copy + (t * rows + i) * layout.right_stride;
        std::memcpy(to, problem.right + (t * tokens + i) * rank, static_cast<std::size_t>(rank) * sizeof(float));
        std::memset(to + rank, 0, static_cast<std::size_t>(layout.right_stride - rank) * sizeof(float));
      }
    }
    layout.right = layout.right_copy;
    layout.right_rows = rows;
  }
  std::memset(layout.known, 0, static_cast<std::size_t>(layout.heads) * layout.tiles * sizeof(std::uint16_t));
  F squares = F::all(0.0F);
  alignas(64) float transposed[kMaxRankLimit * kTile];
  for (std::int32_t t = 0; t < layout.heads; ++t) {
    const float scale = problem.scale == nullptr ? 1.0F : problem.scale[t];
    layout.shift[t] = problem.shift == nullptr ? 0.0F : problem.shift[t];
    for (std::int32_t tile = 0; tile < layout.tiles; ++tile) {
      const std::int64_t first = tile * kTile;
      const auto used = static_cast<std::int32_t>(std::min<std::int64_t>(kTile, tokens - first));
      const std::size_t block = static_cast<std::size_t>(t) * layout.tiles + tile;
      float* columns = layout.left + block * rank * kTile;
      transpose_tile<Arch>(problem.right + (t * tokens + first) * rank, used, rank, transposed);
      const float* left = transposed;
      if (problem.left != problem.right) {
        transpose_tile<Arch>(problem.left + (t * tokens + first) * rank, used, rank, columns);
        left = columns;
      }
      const F own = scaled_columns<Arch>(left, transposed, rank, scale, columns);
      float* self = layout.self + block * kTile;
      float* fields = layout.fields + block * kTile;
      (own + F::all(layout.shift[t])).store(self);
      std::memcpy(fields, problem.fields + t * tokens + first, static_cast<std::size_t>(used) * sizeof(float));
      for (std::int32_t i = used; i < kTile; ++i) self[i] = fields[i] = 0.0F;
      for (const std::int32_t j : kUnitRows) {
        if (j >= used) break;
        alignas(64) float row[kTile];
        F::load(inside_row<Arch>(layout, t, tile, j)).store(row);
        for (std::int32_t i = used; i < kTile; ++i) row[i] = 0.0F;
        squares = squares + F::load(row) * F::load(row);
      }
    }
  }
  layout.penalty = problem.penalty;
  alignas(64) std::array<float, kTile> lanes;
  squares.store(lanes.data());
  layout.unit = low_rank_unit(layout, lanes.data());
}

template <class Arch>
class LowRankAnnealer {
  using F = Float16<Arch>;

 public:
  LowRankAnnealer(const LowRankJob& job, LowRankChain& chain)
      : job_(job), p_(*job.problem), chain_(chain), words_(words_per_head(p_.tokens)) {}

  void run() {
    start();
    recompute_z();
    const std::uint64_t key = restart_key(job_.seed, chain_.restart);
    std::uint64_t pass = 0;
    for (std::int32_t sweep_number = 0; sweep_number < job_.sweeps; ++sweep_number) {
      const F temperature = F::all(job_.temperatures[sweep_number]);
      for (std::int32_t t = 0; t < p_.heads; ++t) {
        for (std::int32_t tile = 0; tile < p_.tiles; ++tile, ++pass) {
          const float* variates = float_variates() + variate_offset(key, pass);
          tile_pass(t, tile, product_of(t, tile), F::load_unaligned(variates) * temperature);
        }
      }
    }
    // Rounding of z has built up over the flips; descent starts from an exact one.
    if (job_.sweeps > 0) recompute_z();
    const F threshold = F::all(-1e-5F * p_.unit);
    for (std::int32_t k = 0; k < kMaxDescent; ++k) {
      ++descents_;
      if (!descent_sweep(threshold)) break;
    }
    recompute_z();
    chain_.proposals = static_cast<std::int64_t>(job_.sweeps + descents_) * p_.heads * p_.tokens;
    chain_.energy = energy();
  }

 private:
  // Tiles whose products are taken at once while few spins flip; more need more registers.
  static constexpr std::size_t kSpan = F::kParts == 1 ? 4 : 1;
  // Float rounding could make a pair of flips look good both ways; this ends such a cycle.
  static constexpr std::int32_t kMaxDescent = 1000;

  void start() {
    std::memset(chain_.spins, 0, static_cast<std::size_t>(p_.heads) * words_ * sizeof(std::uint64_t));
    std::memset(chain_.counts, 0, static_cast<std::size_t>(p_.tiles) * kTile * sizeof(float));
    for (std::int32_t t = 0; t < p_.heads; ++t) selected_[t] = 0;
    if (p_.heads == 1) {
      const F nothing = F::all(0.0F);
      for (std::int32_t tile = 0; tile < p_.tiles; ++tile) {
        // Not (b <= 0): lanes behind the tokens have b = 0.
        const std::uint32_t bits = ~F::less_equal(F::load(p_.fields + tile * kTile), nothing) & 0xFFFFU;
        chain_.spins[tile / 4] |= static_cast<std::uint64_t>(bits) << (tile % 4 * 16);
        selected_[0] += __builtin_popcount(bits);
        lanes_from_bits<Arch>(bits).store(chain_.counts + tile * kTile);
      }
    }
    chain_.flips = 0;
  }

  [[nodiscard]] std::uint32_t spins_of(std::int32_t t, std::int32_t tile) const {
    return static_cast<std::uint32_t>(chain_.spins[t * words_ + tile / 4] >> (tile % 4 * 16)) & 0xFFFFU;
  }

  [[nodiscard]] const float* columns_of(std::int32_t t, std::int32_t tile) const {
    return p_.left + (static_cast<std::size_t>(t) * p_.tiles + tile) * p_.rank * kTile;
  }
  [[nodiscard]] const float* z_of(std::int32_t t) const {
    return chain_.z + static_cast<std::size_t>(t) * p_.right_stride;
  }
  [[nodiscard]] F product_of(std::int32_t t, std::int32_t tile) const {
    return column_product<Arch>(columns_of(t, tile), z_of(t), p_.rank);
  }
  // For every tile of a head in order: visit(tile, product), where visit says whether it moved z.
  template <class Visit>
  void for_each_tile(std::int32_t t, const Visit& visit) {
    std::int32_t tile = 0;
    for (; tile + static_cast<std::int32_t>(kSpan) <= p_.tiles; tile += kSpan) {
      const std::array<F, kSpan> products = column_products<Arch, kSpan>(
          columns_of(t, tile), static_cast<std::int64_t>(p_.rank) * kTile, z_of(t), p_.rank);
      bool moved = false;
      for (std::size_t k = 0; k < kSpan; ++k) {
        const auto at = tile + static_cast<std::int32_t>(k);
        moved = visit(at, moved ? product_of(t, at) : products[k]) || moved;
      }
    }
    for (; tile < p_.tiles; ++tile) visit(tile, product_of(t, tile));
  }

  // Gains within the head: b_i + sum_{j != i} J_ij s_j for the tile's 16 tokens.
  [[nodiscard]] F gains(std::int32_t t, std::int32_t tile, const F& product, const F& own) const {
    const std::size_t at = (static_cast<std::size_t>(t) * p_.tiles + tile) * kTile;
    const F everything = product + F::all(p_.shift[t] * static_cast<float>(selected_[t]));
    return (everything - F::load(p_.self + at) * own) + F::load(p_.fields + at);
  }

  bool tile_pass(std::int32_t t, std::int32_t tile, const F& product, const F& threshold) {
    const std::int32_t first = tile * kTile;
    const std::uint32_t valid =
        p_.tokens - first >= kTile ? 0xFFFFU : (1U << (p_.tokens - first)) - 1;
    std::uint32_t spins = spins_of(t, tile);
    const std::uint32_t before = spins;
    const F own = lanes_from_bits<Arch>(spins);
    const F others = F::load(chain_.counts + first) - own;
    F gain = gains(t, tile, product, own) - others * F::all(p_.penalty);
    // dE = gain for spin 1, -gain for spin 0; a flipped lane's sign is not used again in this pass.
    const F direction = own + own - F::all(1.0F);
    std::uint32_t accept = F::less_equal(gain * direction, threshold) & valid;
    while (accept != 0) {
      const auto i = static_cast<std::int32_t>(__builtin_ctz(accept));
      const std::uint32_t bit = accept & (~accept + 1);
      const float sign = (spins & bit) != 0 ? -1.0F : 1.0F;
      gain = gain + F::load(inside_row<Arch>(p_, t, tile, i)) * F::all(sign);
      move_z(t, first + i, sign);
      chain_.counts[first + i] += sign;
      selected_[t] += (spins & bit) != 0 ? -1 : 1;
      spins ^= bit;
      accept = F::less_equal(gain * direction, threshold) & valid & ~(bit | (bit - 1));
    }
    const std::uint32_t changed = spins ^ before;
    chain_.spins[t * words_ + tile / 4] ^= static_cast<std::uint64_t>(changed) << (tile % 4 * 16);
    chain_.flips += __builtin_popcount(changed);
    return changed != 0;
  }

  void move_z(std::int32_t t, std::int32_t i, float sign) {
    float* z = chain_.z + static_cast<std::size_t>(t) * p_.right_stride;
    const float* row = p_.right + (static_cast<std::size_t>(t) * p_.right_rows + i) * p_.right_stride;
    const F signs = F::all(sign);
    for (std::int32_t d = 0; d < p_.right_stride; d += kTile) {
      (F::load(z + d) + F::load_unaligned(row + d) * signs).store(z + d);
    }
  }

  // z in registers, 4 vectors of 16 lanes at a time; the tokens in order, as if each were moved in alone.
  void recompute_z() {
    constexpr std::int32_t kBlock = F::kParts == 1 ? 4 : 1;
    for (std::int32_t t = 0; t < p_.heads; ++t) {
      float* z = chain_.z + static_cast<std::size_t>(t) * p_.right_stride;
      const float* rows = p_.right + static_cast<std::size_t>(t) * p_.right_rows * p_.right_stride;
      for (std::int32_t d = 0; d < p_.right_stride; d += kBlock * kTile) {
        const std::int32_t blocks = std::min(kBlock, (p_.right_stride - d) / kTile);
        if (blocks == kBlock) {
          sum_rows<kBlock>(t, rows + d, z + d);
        } else {
          for (std::int32_t k = 0; k < blocks; ++k) sum_rows<1>(t, rows + d + k * kTile, z + d + k * kTile);
        }
      }
    }
  }
  template <std::int32_t blocks>
  void sum_rows(std::int32_t t, const float* rows, float* to) const {
    std::array<F, blocks> sum;
    sum.fill(F::all(0.0F));
    for (std::int32_t w = 0; w < words_; ++w) {
      for (std::uint64_t left = chain_.spins[t * words_ + w]; left != 0; left &= left - 1) {
        const float* row = rows + (static_cast<std::int64_t>(w) * 64 + __builtin_ctzll(left)) * p_.right_stride;
        for (std::int32_t k = 0; k < blocks; ++k) {
          sum[static_cast<std::size_t>(k)] = sum[static_cast<std::size_t>(k)] + F::load_unaligned(row + k * kTile);
        }
      }
    }
    for (std::int32_t k = 0; k < blocks; ++k) sum[static_cast<std::size_t>(k)].store(to + k * kTile);
  }

  bool descent_sweep(const F& threshold) {
    bool changed = false;
    for (std::int32_t t = 0; t < p_.heads; ++t) {
      for_each_tile(t, [&](std::int32_t tile, const F& product) {
        const bool flipped = tile_pass(t, tile, product, threshold);
        changed = changed || flipped;
        return flipped;
      });
    }
    return changed;
  }

  // E = - sum s (b + gain) / 2 + P sum_i c_i (c_i - 1) / 2: a gain counts each pair twice.
  [[nodiscard]] double energy() {
    double sum = 0;
    alignas(64) std::array<float, kTile> gain;
    for (std::int32_t t = 0; t < p_.heads; ++t) {
      for_each_tile(t, [&](std::int32_t tile, const F& product) {
        std::uint32_t left = spins_of(t, tile);
        gains(t, tile, product, lanes_from_bits<Arch>(left)).store(gain.data());
        const float* fields = p_.fields + (static_cast<std::size_t>(t) * p_.tiles + tile) * kTile;
        for (; left != 0; left &= left - 1) {
          const auto i = static_cast<std::size_t>(__builtin_ctz(left));
          sum -= (static_cast<double>(gain[i]) + static_cast<double>(fields[i])) / 2;
        }
        return false;
      });
    }
    for (std::int32_t i = 0; p_.heads > 1 && i < p_.tokens; ++i) {
      const double count = static_cast<double>(chain_.counts[i]);
      sum += static_cast<double>(p_.penalty) * count * (count - 1) / 2;
    }
    return sum;
  }

  const LowRankJob& job_;
  const LowRankLayout& p_;
  LowRankChain& chain_;
  const std::int32_t words_;
  std::int32_t descents_ = 0;
  std::array<std::int32_t, kMaxHeads> selected_;
};

template <class Arch>
void anneal_low_rank(const LowRankJob& job, LowRankChain& chain) {
  LowRankAnnealer<Arch>(job, chain).run();
}

}  // namespace
}  // namespace qama::hal::cpu
