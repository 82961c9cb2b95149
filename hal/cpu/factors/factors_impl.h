// The annealer for long heads, a template over xsimd's architectures, included by
// isa/<target>.cpp. See factors.h for the method and for the order of float operations, which
// must not change: it is what makes targets agree bit for bit. Multiply and add are never fused
// here (-ffp-contract=off).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <utility>
#include <xsimd/xsimd.hpp>

#include "hal/cpu/factors/factors.h"
#include "hal/cpu/isa/simd_shim.h"
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
    for (std::size_t k = 0; k < kParts; ++k)
      out.part[k] = Batch::load_aligned(from + k * Batch::size);
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

/// A register of floats as g++ and clang know it, for shuffles with places known at compile time.
using Floats4 = float __attribute__((vector_size(16)));
using Floats8 = float __attribute__((vector_size(32)));
using Floats16 = float __attribute__((vector_size(64)));
template <class Arch>
using FloatLanes = std::tuple_element_t<xsimd::batch<float, Arch>::size / 8,
                                        std::tuple<Floats4, Floats8, Floats16>>;

/// Of a and b, cut into pairs of blocks of `half` lanes: the sums of the pairs, a's first.
template <int half, class L, int... lane>
QAMA_ALWAYS_INLINE L sums_of_blocks(const L& a, const L& b,
                                    std::integer_sequence<int, lane...> /*lanes*/) {
  return __builtin_shufflevector(a, b, (lane / half * 2 * half + lane % half)...) +
         __builtin_shufflevector(a, b, (lane / half * 2 * half + lane % half + half)...);
}
/// Of every four lanes of a and b: a0 + a2, a1 + a3, b0 + b2, b1 + b3.
template <class L, int... lane>
QAMA_ALWAYS_INLINE L sums_of_twos(const L& a, const L& b,
                                  std::integer_sequence<int, lane...> /*lanes*/) {
  constexpr int kCount = sizeof...(lane);
  return __builtin_shufflevector(a, b, (lane / 4 * 4 + lane % 4 / 2 * kCount + lane % 2)...) +
         __builtin_shufflevector(a, b, (lane / 4 * 4 + lane % 4 / 2 * kCount + lane % 2 + 2)...);
}
/// Of every four lanes of a and b: a0 + a1, a2 + a3, b0 + b1, b2 + b3.
template <class L, int... lane>
QAMA_ALWAYS_INLINE L sums_of_neighbours(const L& a, const L& b,
                                        std::integer_sequence<int, lane...> /*lanes*/) {
  constexpr int kCount = sizeof...(lane);
  return __builtin_shufflevector(a, b, (lane / 4 * 4 + lane % 4 / 2 * kCount + lane % 2 * 2)...) +
         __builtin_shufflevector(a, b,
                                 (lane / 4 * 4 + lane % 4 / 2 * kCount + lane % 2 * 2 + 1)...);
}

/// 16 sums of 16 lanes each, row k's in lane k of the answer. row(k) gives 16 lanes of row k, of
/// which those that are a register apart are added first: so l and l + 8, then + 4, + 2, + 1 for
/// every width.
template <class Arch, class Row>
QAMA_ALWAYS_INLINE Float16<Arch> sums_of_rows(const Row& row) {
  using F = Float16<Arch>;
  using Batch = typename F::Batch;
  using L = FloatLanes<Arch>;
  constexpr int kSize = static_cast<int>(Batch::size);
  constexpr auto kLanes = std::make_integer_sequence<int, kSize>();
  const auto folded = [&row](int k) QAMA_INLINE_LAMBDA {
    const F lanes = row(k);
    if constexpr (F::kParts == 4) {
      return std::bit_cast<L>(
          Batch((lanes.part[0] + lanes.part[2]) + (lanes.part[1] + lanes.part[3])).data);
    } else if constexpr (F::kParts == 2) {
      return std::bit_cast<L>(Batch(lanes.part[0] + lanes.part[1]).data);
    } else {
      return std::bit_cast<L>(lanes.part[0].data);
    }
  };
  F out;
  for (int part = 0; part < static_cast<int>(F::kParts); ++part) {
    // Rows j, 4 + j, 8 + j and 12 + j have four lanes each of quarter j.
    const auto quarter = [&](int j) QAMA_INLINE_LAMBDA {
      const int k = part * kSize + j;
      if constexpr (kSize == 16) {
        const L low = sums_of_blocks<8>(folded(k), folded(k + 4), kLanes);
        return sums_of_blocks<4>(low, sums_of_blocks<8>(folded(k + 8), folded(k + 12), kLanes),
                                 kLanes);
      } else if constexpr (kSize == 8) {
        return sums_of_blocks<4>(folded(k), folded(k + 4), kLanes);
      } else {
        return folded(k);
      }
    };
    const L first = sums_of_twos(quarter(0), quarter(1), kLanes);
    const L second = sums_of_twos(quarter(2), quarter(3), kLanes);
    out.part[static_cast<std::size_t>(part)] = Batch(
        std::bit_cast<typename Batch::register_type>(sums_of_neighbours(first, second, kLanes)));
  }
  return out;
}

/// row . z before its lanes are added: blocks of 16, as many as `blocks` says, or stride / 16 where
/// it says 0.
template <class Arch, std::int32_t blocks>
QAMA_ALWAYS_INLINE Float16<Arch> lane_products(const float* row, const float* z,
                                               std::int32_t stride) {
  using F = Float16<Arch>;
  F sum = F::load_unaligned(row) * F::load_unaligned(z);
  const std::int32_t end = blocks > 0 ? blocks * kTile : stride;
  for (std::int32_t d = kTile; d < end; d += kTile) {
    sum = sum + F::load_unaligned(row + d) * F::load_unaligned(z + d);
  }
  return sum;
}

/// Products of 16 rows with z.
template <class Arch>
inline Float16<Arch> tile_products(const float* rows, std::int32_t stride, const float* z) {
  using F = Float16<Arch>;
  if (stride == 4 * kTile) {
    if constexpr (F::kParts == 1) {
      // What most heads have: z stays in registers.
      const F z0 = F::load_unaligned(z), z1 = F::load_unaligned(z + 16),
              z2 = F::load_unaligned(z + 32), z3 = F::load_unaligned(z + 48);
      return sums_of_rows<Arch>([&](int k) QAMA_INLINE_LAMBDA {
        const float* row = rows + k * (4 * kTile);
        return ((F::load_unaligned(row) * z0 + F::load_unaligned(row + 16) * z1) +
                F::load_unaligned(row + 32) * z2) +
               F::load_unaligned(row + 48) * z3;
      });
    }
    return sums_of_rows<Arch>([&](int k) QAMA_INLINE_LAMBDA {
      return lane_products<Arch, 4>(rows + k * (4 * kTile), z, stride);
    });
  }
  return sums_of_rows<Arch>([&](int k) QAMA_INLINE_LAMBDA {
    return lane_products<Arch, 0>(rows + static_cast<std::ptrdiff_t>(k) * stride, z, stride);
  });
}

/// Products of 16 rows with a row each of another 16.
template <class Arch>
inline Float16<Arch> paired_products(const float* rows, const float* others, std::int32_t stride) {
  return sums_of_rows<Arch>([&](int k) QAMA_INLINE_LAMBDA {
    const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(k) * stride;
    return lane_products<Arch, 0>(rows + at, others + at, stride);
  });
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
    out.part[0] =
        xsimd::select(xsimd::batch_bool<float, Arch>::from_mask(bits), Batch(1.0F), Batch(0.0F));
    return out;
  } else {
    alignas(64) std::array<float, 16> lanes;
    for (std::uint32_t k = 0; k < 4; ++k) {
      std::memcpy(lanes.data() + 4 * k, kNibbles[bits >> (4 * k) & 15U].data(), 4 * sizeof(float));
    }
    return F::load(lanes.data());
  }
}

/// 16 rows of a tile of `left`; those behind the tokens are 0.
inline const float* tile_rows(const FactorsLayout& p, std::int32_t t, std::int32_t tile) {
  if (tile * kTile + kTile > p.tokens)
    return p.tail + static_cast<std::ptrdiff_t>(t) * kTile * p.stride;
  return p.left + (static_cast<std::ptrdiff_t>(t) * p.rows + tile * kTile) * p.stride;
}
inline const float* right_row(const FactorsLayout& p, std::int32_t t, std::int32_t i) {
  return p.right + (static_cast<std::ptrdiff_t>(t) * p.rows + i) * p.stride;
}

inline constexpr std::int32_t kTilesAhead = 2;

/// Asks for the rows of a tile that comes soon. A tile of rank 64 is a page, at whose end the
/// processor's own prefetching stops.
inline void prefetch_tile(const FactorsLayout& p, std::int32_t t, std::int32_t tile) {
  const float* rows = p.left + (static_cast<std::ptrdiff_t>(t) * p.rows + tile * kTile) * p.stride;
  for (std::int32_t d = 0; d < kTile * p.stride; d += kTile) __builtin_prefetch(rows + d);
}

/// Row j of a tile's couplings: how flipping its token j moves every field of the tile.
template <class Arch>
inline Float16<Arch> inside_row(const FactorsLayout& p, std::int32_t t, std::int32_t tile,
                                std::int32_t j) {
  using F = Float16<Arch>;
  const std::size_t block = static_cast<std::size_t>(t) * p.tiles + tile;
  float* to = p.inside == nullptr ? nullptr : p.inside + (block * kTile + j) * kTile;
  if (to != nullptr && (p.known[block] >> j & 1U) != 0) return F::load(to);
  const F products =
      tile_products<Arch>(tile_rows(p, t, tile), p.stride, right_row(p, t, tile * kTile + j));
  alignas(64) float row[kTile];
  (products * F::all(p.scale[t]) + F::all(p.shift[t])).store(row);
  row[j] = 0.0F;
  if (to != nullptr) {
    p.known[block] = static_cast<std::uint16_t>(p.known[block] | 1U << j);
    F::load(row).store(to);
  }
  return F::load(row);
}

/// Rows of a problem with zeros behind the rank.
inline void copy_rows(const float* from, std::int64_t count, std::int32_t rank, std::int32_t stride,
                      float* to) {
  for (std::int64_t i = 0; i < count; ++i, from += rank, to += stride) {
    std::memcpy(to, from, static_cast<std::size_t>(rank) * sizeof(float));
    std::memset(to + rank, 0, static_cast<std::size_t>(stride - rank) * sizeof(float));
  }
}

/// The last tile of a head where it is not full: its rows with zeros behind the tokens, and its
/// tokens' own products.
template <class Arch>
inline void load_tail(const FactorsLayout& layout, std::int32_t t, std::int32_t used, float* self) {
  using F = Float16<Arch>;
  const std::int32_t first = layout.tokens - used;
  const auto row = static_cast<std::size_t>(layout.stride);
  float* tail = layout.tail + static_cast<std::size_t>(t) * kTile * row;
  std::memcpy(tail,
              layout.left + (static_cast<std::ptrdiff_t>(t) * layout.rows + first) * layout.stride,
              static_cast<std::size_t>(used) * row * sizeof(float));
  std::memset(tail + static_cast<std::size_t>(used) * row, 0,
              static_cast<std::size_t>(kTile - used) * row * sizeof(float));
  for (std::int32_t j = 0; j < used; ++j) {
    alignas(64) std::array<float, kTile> products;
    const F lanes = tile_products<Arch>(tail, layout.stride, right_row(layout, t, first + j));
    (lanes * F::all(layout.scale[t]) + F::all(layout.shift[t])).store(products.data());
    self[j] = products[static_cast<std::size_t>(j)];
  }
}

template <class Arch>
void load_factors(const FactorsView& problem, FactorsLayout& layout) {
  using F = Float16<Arch>;
  const std::int64_t tokens = problem.shape.tokens;
  layout.symmetric = problem.left == problem.right;
  layout.left = problem.left;
  layout.right = problem.right;
  layout.rows = tokens;
  if (layout.left_copy != nullptr) {
    const std::int64_t rows = layout.heads * tokens;
    copy_rows(problem.left, rows, problem.rank, layout.stride, layout.left_copy);
    if (!layout.symmetric)
      copy_rows(problem.right, rows, problem.rank, layout.stride, layout.right_copy);
    layout.left = layout.left_copy;
    layout.right = layout.symmetric ? layout.left_copy : layout.right_copy;
  }
  if (layout.inside != nullptr) {
    std::memset(layout.known, 0,
                static_cast<std::size_t>(layout.heads) * layout.tiles * sizeof(std::uint16_t));
  }
  F squares = F::all(0.0F);
  for (std::int32_t t = 0; t < layout.heads; ++t) {
    layout.scale[t] = problem.scale == nullptr ? 1.0F : problem.scale[t];
    layout.shift[t] = problem.shift == nullptr ? 0.0F : problem.shift[t];
    const F scale = F::all(layout.scale[t]);
    const F shift = F::all(layout.shift[t]);
    for (std::int32_t tile = 0; tile < layout.tiles; ++tile) {
      if (layout.far()) prefetch_tile(layout, t, tile + kTilesAhead);
      const std::int32_t first = tile * kTile;
      const auto used = static_cast<std::int32_t>(std::min<std::int64_t>(kTile, tokens - first));
      const std::size_t at = (static_cast<std::size_t>(t) * layout.tiles + tile) * kTile;
      float* self = layout.self + at;
      float* fields = layout.fields + at;
      std::memcpy(fields, problem.fields + t * tokens + first,
                  static_cast<std::size_t>(used) * sizeof(float));
      if (used == kTile) {
        const F own = paired_products<Arch>(tile_rows(layout, t, tile), right_row(layout, t, first),
                                            layout.stride);
        (own * scale + shift).store(self);
      } else {
        load_tail<Arch>(layout, t, used, self);
        for (std::int32_t i = used; i < kTile; ++i) self[i] = fields[i] = 0.0F;
      }
      for (const std::int32_t j : kUnitRows) {
        if (j >= used || tile >= layout.unit_tiles) break;
        alignas(64) float row[kTile];
        inside_row<Arch>(layout, t, tile, j).store(row);
        for (std::int32_t i = used; i < kTile; ++i) row[i] = 0.0F;
        squares = squares + F::load(row) * F::load(row);
      }
    }
  }
  layout.penalty = problem.penalty;
  alignas(64) std::array<float, kTile> lanes;
  squares.store(lanes.data());
  layout.unit = factors_unit(layout, lanes.data());
}

template <class Arch>
class FactorsAnnealer {
  using F = Float16<Arch>;

 public:
  FactorsAnnealer(const FactorsJob& job, FactorsChain& chain)
      : job_(job), p_(*job.problem), chain_(chain), words_(words_per_head(p_.tokens)) {}

  void run() {
    start();
    recompute_z();
    anneal();
    // Rounding of z has built up over the flips; descent starts from an exact one.
    if (job_.sweeps > 0) recompute_z();
    const std::int64_t visits = descend();
    recompute_z();
    chain_.proposals =
        (static_cast<std::int64_t>(job_.sweeps) * p_.heads * p_.tiles + visits) * kTile;
    chain_.energy = penalties();
    for (std::int32_t t = 0; t < p_.heads; ++t) {
      chain_.energy += p_.symmetric ? energy_of_sums(t) : energy_of_gains(t);
    }
  }

 private:
  // Float rounding could make a pair of flips look good both ways; this ends such a cycle.
  static constexpr std::int32_t kMaxDescent = 1000;
  static constexpr std::ptrdiff_t kRowsAhead = 24;

  void start() {
    std::memset(chain_.spins, 0,
                static_cast<std::size_t>(p_.heads) * words_ * sizeof(std::uint64_t));
    std::memset(chain_.counts, 0, static_cast<std::size_t>(p_.tiles) * kTile * sizeof(float));
    for (std::int32_t t = 0; t < p_.heads; ++t) selected_[t] = 0;
    if (p_.heads == 1) {
      const F nothing = F::all(0.0F);
      for (std::int32_t tile = 0; tile < p_.tiles; ++tile) {
        // Not (b <= 0): lanes behind the tokens have b = 0.
        const std::uint32_t bits =
            ~F::less_equal(F::load(p_.fields + tile * kTile), nothing) & 0xFFFFU;
        chain_.spins[tile / 4] |= static_cast<std::uint64_t>(bits) << (tile % 4 * 16);
        selected_[0] += __builtin_popcount(bits);
        lanes_from_bits<Arch>(bits).store(chain_.counts + tile * kTile);
      }
    }
    chain_.flips = 0;
  }

  [[nodiscard]] std::uint32_t spins_of(std::int32_t t, std::int32_t tile) const {
    return static_cast<std::uint32_t>(chain_.spins[t * words_ + tile / 4] >> (tile % 4 * 16)) &
           0xFFFFU;
  }

  [[nodiscard]] F product_of(std::int32_t t, std::int32_t tile) const {
    return tile_products<Arch>(tile_rows(p_, t, tile), p_.stride,
                               chain_.z + static_cast<std::ptrdiff_t>(t) * p_.stride);
  }

  // Gains within the head: b_i + sum_{j != i} J_ij s_j for the tile's 16 tokens.
  [[nodiscard]] F gains(std::int32_t t, std::int32_t tile, const F& product, const F& own) const {
    const std::size_t at = (static_cast<std::size_t>(t) * p_.tiles + tile) * kTile;
    const F everything =
        product * F::all(p_.scale[t]) + F::all(p_.shift[t] * static_cast<float>(selected_[t]));
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
      gain = gain + inside_row<Arch>(p_, t, tile, i) * F::all(sign);
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
    float* z = chain_.z + static_cast<std::ptrdiff_t>(t) * p_.stride;
    const float* row = right_row(p_, t, i);
    const F signs = F::all(sign);
    for (std::int32_t d = 0; d < p_.stride; d += kTile) {
      (F::load(z + d) + F::load_unaligned(row + d) * signs).store(z + d);
    }
  }

  // z in registers, 4 vectors of 16 lanes at a time; the tokens in order, as if each were moved in
  // alone.
  void recompute_z() {
    constexpr std::int32_t kBlock = F::kParts == 1 ? 4 : 1;
    for (std::int32_t t = 0; t < p_.heads; ++t) {
      float* z = chain_.z + static_cast<std::ptrdiff_t>(t) * p_.stride;
      const float* rows = right_row(p_, t, 0);
      for (std::int32_t d = 0; d < p_.stride; d += kBlock * kTile) {
        const std::int32_t blocks = std::min(kBlock, (p_.stride - d) / kTile);
        if (blocks == kBlock) {
          sum_rows<kBlock>(t, rows + d, z + d);
        } else {
          for (std::int32_t k = 0; k < blocks; ++k)
            sum_rows<1>(t, rows + d + k * kTile, z + d + k * kTile);
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
        const float* row =
            rows + (static_cast<std::int64_t>(w) * 64 + __builtin_ctzll(left)) * p_.stride;
        if (p_.far()) {
          for (std::int32_t k = 0; k < blocks; ++k)
            __builtin_prefetch(row + kRowsAhead * p_.stride + k * kTile);
        }
        for (std::int32_t k = 0; k < blocks; ++k) {
          sum[static_cast<std::size_t>(k)] =
              sum[static_cast<std::size_t>(k)] + F::load_unaligned(row + k * kTile);
        }
      }
    }
    for (std::int32_t k = 0; k < blocks; ++k)
      sum[static_cast<std::size_t>(k)].store(to + k * kTile);
  }

  void anneal() {
    const std::uint64_t key = restart_key(job_.seed, chain_.restart);
    std::uint64_t pass = 0;
    for (std::int32_t first = 0; first < job_.sweeps; first += kBlockSweeps) {
      const std::int32_t last = std::min(first + kBlockSweeps, job_.sweeps);
      for (std::int32_t block = 0; block < p_.tiles; block += p_.block_tiles) {
        const std::int32_t end = std::min(block + p_.block_tiles, p_.tiles);
        for (std::int32_t sweep_number = first; sweep_number < last; ++sweep_number) {
          const F temperature = F::all(job_.temperatures[sweep_number]);
          for (std::int32_t t = 0; t < p_.heads; ++t) {
            for (std::int32_t tile = block; tile < end; ++tile, ++pass) {
              const float* variates = float_variates() + variate_offset(key, pass);
              if (p_.far() && sweep_number == first) prefetch_tile(p_, t, tile + kTilesAhead);
              tile_pass(t, tile, product_of(t, tile), F::load_unaligned(variates) * temperature);
            }
          }
        }
      }
    }
  }

  // Each block until it is quiet, where there are several.
  std::int64_t descend_in_blocks(const F& threshold) {
    std::int64_t visits = 0;
    for (std::int32_t block = 0; block < p_.tiles; block += p_.block_tiles) {
      const std::int32_t end = std::min(block + p_.block_tiles, p_.tiles);
      bool changed = true;
      for (std::int32_t k = 0; changed && k < kMaxDescent; ++k) {
        changed = false;
        for (std::int32_t t = 0; t < p_.heads; ++t) {
          for (std::int32_t tile = block; tile < end; ++tile, ++visits) {
            if (p_.far() && k == 0) prefetch_tile(p_, t, tile + kTilesAhead);
            changed = tile_pass(t, tile, product_of(t, tile), threshold) || changed;
          }
        }
      }
    }
    return visits;
  }

  // Tiles in order, round and round, until there was no flip since a tile was last visited. Gives
  // how many visits.
  std::int64_t descend() {
    const F threshold = F::all(-1e-5F * p_.unit);
    const std::int64_t round = static_cast<std::int64_t>(p_.heads) * p_.tiles;
    std::int64_t visits = p_.in_blocks() ? descend_in_blocks(threshold) : 0;
    std::int64_t quiet = 0;
    for (std::int32_t k = 0; k < kMaxDescent; ++k) {
      for (std::int32_t t = 0; t < p_.heads; ++t) {
        for (std::int32_t tile = 0; tile < p_.tiles; ++tile) {
          ++visits;
          if (p_.far()) prefetch_tile(p_, t, tile + kTilesAhead);
          quiet = tile_pass(t, tile, product_of(t, tile), threshold) ? 0 : quiet + 1;
          if (quiet == round) return visits;
        }
      }
    }
    return visits;
  }

  // A head's part of E = - sum s (b + gain) / 2 + P sum_i c_i (c_i - 1) / 2: a gain counts each
  // pair twice.
  [[nodiscard]] double energy_of_gains(std::int32_t t) const {
    double sum = 0;
    alignas(64) std::array<float, kTile> gain;
    for (std::int32_t tile = 0; tile < p_.tiles; ++tile) {
      std::uint32_t left = spins_of(t, tile);
      gains(t, tile, product_of(t, tile), lanes_from_bits<Arch>(left)).store(gain.data());
      const float* fields = p_.fields + (static_cast<std::size_t>(t) * p_.tiles + tile) * kTile;
      for (; left != 0; left &= left - 1) {
        const auto i = static_cast<std::size_t>(__builtin_ctz(left));
        sum -= (static_cast<double>(gain[i]) + static_cast<double>(fields[i])) / 2;
      }
    }
    return sum;
  }

  // The same where left and right are one array: sum_ij J_ij s_i s_j = scale |z|^2 + shift n^2, of
  // which the tokens' own products are taken off again. Lanes of tokens in double, then added in
  // order.
  [[nodiscard]] double energy_of_sums(std::int32_t t) const {
    std::array<double, kTile> lanes{};
    for (std::int32_t tile = 0; tile < p_.tiles; ++tile) {
      const std::size_t at = (static_cast<std::size_t>(t) * p_.tiles + tile) * kTile;
      alignas(64) std::array<float, kTile> terms;
      const F one = F::load(p_.self + at) * F::all(0.5F) - F::load(p_.fields + at);
      (one * lanes_from_bits<Arch>(spins_of(t, tile))).store(terms.data());
      for (std::size_t k = 0; k < kTile; ++k) lanes[k] += static_cast<double>(terms[k]);
    }
    double sum = 0;
    for (const double lane : lanes) sum += lane;
    const float* z = chain_.z + static_cast<std::ptrdiff_t>(t) * p_.stride;
    double squares = 0;
    for (std::int32_t d = 0; d < p_.stride; ++d)
      squares += static_cast<double>(z[d]) * static_cast<double>(z[d]);
    const auto count = static_cast<double>(selected_[t]);
    return sum - (static_cast<double>(p_.scale[t]) * squares +
                  static_cast<double>(p_.shift[t]) * (count * count)) /
                     2;
  }

  [[nodiscard]] double penalties() const {
    double sum = 0;
    for (std::int32_t i = 0; p_.heads > 1 && i < p_.tokens; ++i) {
      const double count = static_cast<double>(chain_.counts[i]);
      sum += static_cast<double>(p_.penalty) * count * (count - 1) / 2;
    }
    return sum;
  }

  const FactorsJob& job_;
  const FactorsLayout& p_;
  FactorsChain& chain_;
  const std::int32_t words_;
  std::array<std::int32_t, kMaxHeads> selected_;
};

template <class Arch>
void anneal_factors(const FactorsJob& job, FactorsChain& chain) {
  FactorsAnnealer<Arch>(job, chain).run();
}

}  // namespace
}  // namespace qama::hal::cpu
