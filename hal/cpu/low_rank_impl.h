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

/// sum_d of a[d][16 lanes] * z[d], in four strands.
template <class Arch>
inline Float16<Arch> column_product(const float* a, const float* z, std::int32_t rank) {
  std::array<Float16<Arch>, 4> strand;
  strand.fill(Float16<Arch>::all(0.0F));
  std::int32_t d = 0;
  for (; d + 4 <= rank; d += 4) {
    for (std::int32_t k = 0; k < 4; ++k) {
      strand[k] = strand[k] + Float16<Arch>::load(a + (d + k) * kTile) * Float16<Arch>::all(z[d + k]);
    }
  }
  for (std::int32_t k = 0; d < rank; ++d, ++k) {
    strand[k] = strand[k] + Float16<Arch>::load(a + d * kTile) * Float16<Arch>::all(z[d]);
  }
  return (strand[0] + strand[1]) + (strand[2] + strand[3]);
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
  alignas(64) std::array<float, 16> lanes;
  for (std::uint32_t k = 0; k < 4; ++k) {
    std::memcpy(lanes.data() + 4 * k, kNibbles[bits >> (4 * k) & 15U].data(), 4 * sizeof(float));
  }
  return Float16<Arch>::load(lanes.data());
}

template <class Arch>
void load_low_rank(const LowRankProblem& problem, LowRankLayout& layout) {
  using F = Float16<Arch>;
  const std::int32_t rank = problem.rank;
  double squares = 0;
  for (std::int32_t t = 0; t < layout.heads; ++t) {
    const std::size_t head = static_cast<std::size_t>(t);
    const std::size_t rows = static_cast<std::size_t>(layout.tiles) * kTile;
    const float* left = problem.left + head * problem.shape.tokens * rank;
    const float* right = problem.right + head * problem.shape.tokens * rank;
    const float scale = problem.scale == nullptr ? 1.0F : problem.scale[t];
    const float shift = problem.shift == nullptr ? 0.0F : problem.shift[t];
    layout.shift[t] = shift;
    for (std::int32_t tile = 0; tile < layout.tiles; ++tile) {
      const std::int32_t first = tile * kTile;
      const std::int32_t used = std::min(kTile, layout.tokens - first);
      float* columns = layout.left + (head * layout.tiles + tile) * rank * kTile;
      float* rows_out = layout.right + (head * rows + first) * layout.right_stride;
      float* inside = layout.inside + (head * layout.tiles + tile) * kTile * kTile;
      float* self = layout.self + head * rows + first;
      float* fields = layout.fields + head * rows + first;
      for (std::int32_t i = 0; i < kTile; ++i) {
        const bool real = i < used;
        const float* from = left + static_cast<std::size_t>(first + i) * rank;
        for (std::int32_t d = 0; d < rank; ++d) columns[d * kTile + i] = real ? scale * from[d] : 0.0F;
        float* to = rows_out + static_cast<std::size_t>(i) * layout.right_stride;
        if (real) {
          std::memcpy(to, right + static_cast<std::size_t>(first + i) * rank, rank * sizeof(float));
        } else {
          std::memset(to, 0, rank * sizeof(float));
        }
        fields[i] =
            real ? problem.fields[head * problem.shape.tokens + static_cast<std::size_t>(first + i)]
                 : 0.0F;
      }
      F sums = F::all(0.0F);
      for (std::int32_t j = 0; j < kTile; ++j) {
        // Row j: how flipping j moves every field of the tile.
        const F row = column_product<Arch>(columns, rows_out + j * layout.right_stride, rank) +
                      F::all(shift);
        float* to = inside + j * kTile;
        row.store(to);
        self[j] = to[j];
        to[j] = 0.0F;
        for (std::int32_t i = used; i < kTile; ++i) to[i] = 0.0F;
        if (j < used) {
          const F kept = F::load(to);
          sums = sums + kept * kept;
        }
      }
      alignas(64) std::array<float, kTile> lanes;
      sums.store(lanes.data());
      for (const float lane : lanes) squares += static_cast<double>(lane);
      for (std::int32_t i = used; i < kTile; ++i) self[i] = 0.0F;
    }
  }
  layout.penalty = problem.penalty;
  // Row norm of J from the pairs inside tiles: a sample of all pairs, which is what a unit needs.
  double pairs = 0;
  for (std::int32_t tile = 0; tile < layout.tiles; ++tile) {
    const double used = std::min(kTile, layout.tokens - tile * kTile);
    pairs += layout.heads * used * (used - 1);
  }
  const double mean = pairs > 0 ? squares / pairs : 0.0;
  layout.unit = mean > 0 ? static_cast<float>(std::sqrt(mean * (layout.tokens - 1))) : 1.0F;
}

template <class Arch>
class LowRankAnnealer {
  using F = Float16<Arch>;

 public:
  LowRankAnnealer(const LowRankJob& job, LowRankChain& chain)
      : job_(job), p_(*job.problem), chain_(chain), words_(words_per_head(p_.tokens)) {}

  void run() {
    start();
    const std::uint64_t key = restart_key(job_.seed, chain_.restart);
    std::uint64_t pass = 0;
    for (std::int32_t sweep_number = 0; sweep_number < job_.sweeps; ++sweep_number) {
      const F temperature = F::all(job_.temperatures[sweep_number]);
      for (std::int32_t t = 0; t < p_.heads; ++t) {
        for (std::int32_t tile = 0; tile < p_.tiles; ++tile, ++pass) {
          const float* variates = float_variates() + variate_offset(key, pass);
          tile_pass(t, tile, F::load_unaligned(variates) * temperature);
        }
      }
    }
    // Rounding of z has built up over the flips; descent starts from an exact one.
    recompute_z();
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
  // Float rounding could make a pair of flips look good both ways; this ends such a cycle.
  static constexpr std::int32_t kMaxDescent = 1000;

  void start() {
    std::memset(chain_.spins, 0, static_cast<std::size_t>(p_.heads) * words_ * sizeof(std::uint64_t));
    std::memset(chain_.z, 0, static_cast<std::size_t>(p_.heads) * p_.right_stride * sizeof(float));
    std::memset(chain_.counts, 0, static_cast<std::size_t>(p_.tiles) * kTile * sizeof(float));
    for (std::int32_t t = 0; t < p_.heads; ++t) selected_[t] = 0;
    chain_.flips = 0;
  }

  [[nodiscard]] std::uint32_t spins_of(std::int32_t t, std::int32_t tile) const {
    return static_cast<std::uint32_t>(chain_.spins[t * words_ + tile / 4] >> (tile % 4 * 16)) & 0xFFFFU;
  }

  // Gains within the head: b_i + sum_{j != i} J_ij s_j for the tile's 16 tokens.
  [[nodiscard]] F gains(std::int32_t t, std::int32_t tile, const F& own) const {
    const std::size_t rows = static_cast<std::size_t>(p_.tiles) * kTile;
    const std::size_t at = t * rows + static_cast<std::size_t>(tile) * kTile;
    const F product = column_product<Arch>(
        p_.left + (static_cast<std::size_t>(t) * p_.tiles + tile) * p_.rank * kTile,
        chain_.z + static_cast<std::size_t>(t) * p_.right_stride, p_.rank);
    const F everything = product + F::all(p_.shift[t] * static_cast<float>(selected_[t]));
    return (everything - F::load(p_.self + at) * own) + F::load(p_.fields + at);
  }

  std::uint32_t tile_pass(std::int32_t t, std::int32_t tile, const F& threshold) {
    const std::int32_t first = tile * kTile;
    const std::uint32_t valid =
        p_.tokens - first >= kTile ? 0xFFFFU : (1U << (p_.tokens - first)) - 1;
    std::uint32_t spins = spins_of(t, tile);
    const std::uint32_t before = spins;
    const F own = lanes_from_bits<Arch>(spins);
    const F others = F::load(chain_.counts + first) - own;
    F gain = gains(t, tile, own) - others * F::all(p_.penalty);
    // dE = gain for spin 1, -gain for spin 0; a flipped lane's sign is not used again in this pass.
    const F direction = own + own - F::all(1.0F);
    const float* inside = p_.inside + (static_cast<std::size_t>(t) * p_.tiles + tile) * kTile * kTile;
    std::uint32_t accept = F::less_equal(gain * direction, threshold) & valid;
    while (accept != 0) {
      const auto i = static_cast<std::int32_t>(__builtin_ctz(accept));
      const std::uint32_t bit = accept & (~accept + 1);
      const float sign = (spins & bit) != 0 ? -1.0F : 1.0F;
      gain = gain + F::load(inside + i * kTile) * F::all(sign);
      move_z(t, first + i, sign);
      chain_.counts[first + i] += sign;
      selected_[t] += (spins & bit) != 0 ? -1 : 1;
      spins ^= bit;
      accept = F::less_equal(gain * direction, threshold) & valid & ~(bit | (bit - 1));
    }
    const std::uint32_t changed = spins ^ before;
    chain_.spins[t * words_ + tile / 4] ^= static_cast<std::uint64_t>(changed) << (tile % 4 * 16);
    chain_.flips += __builtin_popcount(changed);
    return changed;
  }

  void move_z(std::int32_t t, std::int32_t i, float sign) {
    float* z = chain_.z + static_cast<std::size_t>(t) * p_.right_stride;
    const float* row =
        p_.right + (static_cast<std::size_t>(t) * p_.tiles * kTile + i) * p_.right_stride;
    const F signs = F::all(sign);
    for (std::int32_t d = 0; d < p_.right_stride; d += kTile) {
      (F::load(z + d) + F::load(row + d) * signs).store(z + d);
    }
  }

  void recompute_z() {
    std::memset(chain_.z, 0, static_cast<std::size_t>(p_.heads) * p_.right_stride * sizeof(float));
    for (std::int32_t t = 0; t < p_.heads; ++t) {
      for (std::int32_t w = 0; w < words_; ++w) {
        for (std::uint64_t left = chain_.spins[t * words_ + w]; left != 0; left &= left - 1) {
          move_z(t, w * 64 + static_cast<std::int32_t>(__builtin_ctzll(left)), 1.0F);
        }
      }
    }
  }

  bool descent_sweep(const F& threshold) {
    std::uint32_t changed = 0;
    for (std::int32_t t = 0; t < p_.heads; ++t) {
      for (std::int32_t tile = 0; tile < p_.tiles; ++tile) changed |= tile_pass(t, tile, threshold);
    }
    return changed != 0;
  }

  // E = - sum s (b + gain) / 2 + P sum_i c_i (c_i - 1) / 2: a gain counts each pair twice.
  [[nodiscard]] double energy() const {
    double sum = 0;
    alignas(64) std::array<float, kTile> gain;
    for (std::int32_t t = 0; t < p_.heads; ++t) {
      for (std::int32_t tile = 0; tile < p_.tiles; ++tile) {
        std::uint32_t left = spins_of(t, tile);
        if (left == 0) continue;
        gains(t, tile, lanes_from_bits<Arch>(left)).store(gain.data());
        const float* fields =
            p_.fields + (static_cast<std::size_t>(t) * p_.tiles + tile) * kTile;
        for (; left != 0; left &= left - 1) {
          const auto i = static_cast<std::size_t>(__builtin_ctz(left));
          sum -= (static_cast<double>(gain[i]) + static_cast<double>(fields[i])) / 2;
        }
      }
    }
    for (std::int32_t i = 0; i < p_.tokens; ++i) {
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
