// The fast annealing kernel, a template over xsimd's architectures; compiled by kernel_<target>.cpp, each
// with its own instruction-set flags. It must give the spins of reference.cpp, bit for bit.
//
// How it works. A head's 64 spins are one word. A pass over a word holds its fields f (penalty included)
// in registers, compares all 64 with their thresholds at once, finds the first that accepts (count
// trailing zeros), adds or subtracts that spin's row, and compares the spins behind it again: an exact
// sequential sweep that costs by accepted flips, not by proposals. Passes of up to kMaxChains restarts
// are interleaved, because the chain compare -> find -> load row -> add is bound by latency; a restart
// that has nothing to flip adds a row of zeros.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "hal/cpu/kernel.h"
#include "hal/cpu/schedule.h"
#include "hal/cpu/simd_shim.h"

namespace qama::hal::cpu {
namespace {

alignas(64) constexpr std::int16_t kZeroRow[64] = {};

template <class Arch>
inline Lanes64<Arch> load64(const std::int16_t* from) {
  Lanes64<Arch> out;
  for (std::size_t k = 0; k < kVectors<Arch>; ++k) {
    out[k] = Lanes<Arch>::load_aligned(from + k * Lanes<Arch>::size);
  }
  return out;
}

template <class Arch>
inline void store64(std::int16_t* to, const Lanes64<Arch>& lanes) {
  for (std::size_t k = 0; k < kVectors<Arch>; ++k) {
    lanes[k].store_aligned(to + k * Lanes<Arch>::size);
  }
}

template <class Arch, int kChains>
class FastAnnealer {
  using Batch = Lanes<Arch>;
  using Batch64 = Lanes64<Arch>;
  static constexpr std::size_t kParts = kVectors<Arch>;

 public:
  FastAnnealer(const AnnealJob& job, Chain* chains)
      : job_(job),
        chains_(chains),
        couplings_(job.problem.couplings),
        heads_(job.problem.shape.heads),
        tokens_(job.problem.shape.tokens),
        words_(words_per_head(tokens_)),
        stride_(static_cast<std::size_t>(words_) * 64),
        penalty_(job.problem.penalty),
        last_valid_(tokens_ % 64 == 0 ? ~std::uint64_t{0}
                                      : (std::uint64_t{1} << (tokens_ % 64)) - 1) {}

  void run() {
    std::array<std::uint64_t, kChains> keys{};
    for (int c = 0; c < kChains; ++c) {
      start(chains_[c]);
      keys[c] = restart_key(job_.seed, chains_[c].restart);
    }
    std::uint64_t pass = 0;
    std::array<const std::uint16_t*, kChains> variates{};
    for (std::int32_t sweep = 0; sweep < job_.sweeps; ++sweep) {
      const auto temperature = static_cast<std::int16_t>(job_.temperatures[sweep]);
      for (std::int32_t t = 0; t < heads_; ++t) {
        for (std::int32_t w = 0; w < words_; ++w, ++pass) {
          for (int c = 0; c < kChains; ++c) {
            variates[c] = variate_table().value.data() + variate_offset(keys[c], pass);
          }
          metropolis_pass(t, w, variates, temperature);
        }
      }
    }
    for (int c = 0; c < kChains; ++c) {
      chains_[c].proposals += static_cast<std::int64_t>(job_.sweeps) * heads_ * tokens_;
      settle(chains_[c]);
    }
  }

 private:
  void start(Chain& chain) {
    const std::size_t all = static_cast<std::size_t>(heads_) * stride_;
    for (std::size_t k = 0; k < all; ++k) chain.fields[k] = job_.problem.fields[k];
    for (std::size_t k = 0; k < stride_; ++k) chain.counts[k] = 0;
    for (std::int32_t k = 0; k < heads_ * words_; ++k) chain.spins[k] = 0;
    chain.proposals = 0;
    chain.flips = 0;
  }

  [[nodiscard]] std::uint64_t valid(std::int32_t w) const {
    return w + 1 == words_ ? last_valid_ : ~std::uint64_t{0};
  }

  // Threshold of lane k: dE <= threshold accepts. With m = -1 for spin 0 and 0 for spin 1,
  //   spin 1: dE =  f:  f <= threshold        spin 0: dE = -f:  ~f <= threshold - 1
  // so (f ^ m) <= threshold + m. A flipped lane's m is never used again in its pass.
  struct PassState {
    Batch64 f, m, bound;
    std::uint64_t spins, accept;
  };

  [[nodiscard]] static std::uint64_t accepting(const PassState& state) {
    Mask64<Arch> mask;
    for (std::size_t k = 0; k < kParts; ++k) mask[k] = (state.f[k] ^ state.m[k]) <= state.bound[k];
    return mask_bits(mask);
  }

  void metropolis_pass(std::int32_t t, std::int32_t w,
                       const std::array<const std::uint16_t*, kChains>& variates,
                       std::int16_t temperature) {
    std::array<PassState, kChains> state;
    const Batch scale(temperature);
    for (int c = 0; c < kChains; ++c) {
      const auto* from = reinterpret_cast<const std::int16_t*>(variates[c]);
      for (std::size_t k = 0; k < kParts; ++k) {
        state[c].bound[k] =
            mul_high_u16(Batch::load_unaligned(from + k * Batch::size), scale);
      }
    }
    pass<kChains>(t, w, state, chains_);
  }

  // One pass of `kCount` restarts over word w of head t; `bound` holds the thresholds on entry.
  // Returns the flips of the last chain's pass (descent runs one chain).
  template <int kCount>
  std::uint64_t pass(std::int32_t t, std::int32_t w, std::array<PassState, kCount>& state,
                     Chain* chains) {
    const std::size_t at = static_cast<std::size_t>(t) * stride_ + static_cast<std::size_t>(w) * 64;
    const std::int16_t* rows = couplings_ + static_cast<std::size_t>(t) * tokens_ * stride_ +
                               static_cast<std::size_t>(w) * 64 * stride_;
    const Batch penalty(penalty_);
    const Batch ones(static_cast<std::int16_t>(-1));
    std::array<std::uint64_t, kCount> before;
    std::uint64_t any = 0;
    for (int c = 0; c < kCount; ++c) {
      PassState& s = state[c];
      s.spins = chains[c].spins[t * words_ + w];
      before[c] = s.spins;
      const Batch64 own = lanes_of_bits(s.spins, Arch{});
      for (std::size_t k = 0; k < kParts; ++k) {
        const Batch g = Batch::load_aligned(chains[c].fields + at + k * Batch::size);
        const Batch count = Batch::load_aligned(chains[c].counts + w * 64 + k * Batch::size);
        s.f[k] = g - (count - (penalty & own[k]));
        s.m[k] = own[k] ^ ones;
        s.bound[k] = s.bound[k] + s.m[k];
      }
      s.accept = accepting(s) & valid(w);
      any |= s.accept;
    }
    while (any != 0) {
      any = 0;
      for (int c = 0; c < kCount; ++c) {
        PassState& s = state[c];
        const bool flips = s.accept != 0;
        const auto i = static_cast<std::size_t>(flips ? __builtin_ctzll(s.accept) : 0);
        const std::uint64_t bit = s.accept & (~s.accept + 1);
        const std::int16_t* row = rows + i * stride_;
        const std::int16_t* mine = flips ? row + w * 64 : kZeroRow;
        // Subtract the row when the spin leaves 1: (row ^ -1) + 1.
        const Batch sign(static_cast<std::int16_t>((s.spins & bit) != 0 ? -1 : 0));
        for (std::size_t k = 0; k < kParts; ++k) {
          s.f[k] = s.f[k] + ((Batch::load_aligned(mine + k * Batch::size) ^ sign) - sign);
        }
        if (words_ > 1 && flips) add_to_other_words(chains[c], t, w, row, sign);
        s.spins ^= bit;
        s.accept = accepting(s) & valid(w) & ~(bit | (bit - 1));
        any |= s.accept;
      }
    }
    std::uint64_t changed = 0;
    for (int c = 0; c < kCount; ++c) {
      PassState& s = state[c];
      changed = s.spins ^ before[c];
      chains[c].flips += __builtin_popcountll(changed);
      chains[c].spins[t * words_ + w] = s.spins;
      const Batch64 own = lanes_of_bits(s.spins, Arch{});
      for (std::size_t k = 0; k < kParts; ++k) {
        // f was g - (count - P own_before) all along; own_before = ~m.
        const Batch count = Batch::load_aligned(chains[c].counts + w * 64 + k * Batch::size);
        const Batch others = count - (penalty & (s.m[k] ^ ones));
        (s.f[k] + others).store_aligned(chains[c].fields + at + k * Batch::size);
        (others + (penalty & own[k])).store_aligned(chains[c].counts + w * 64 + k * Batch::size);
      }
    }
    return changed;
  }

  void add_to_other_words(Chain& chain, std::int32_t t, std::int32_t w, const std::int16_t* row,
                          Batch sign) {
    std::int16_t* fields = chain.fields + static_cast<std::size_t>(t) * stride_;
    for (std::int32_t other = 0; other < words_; ++other) {
      if (other == w) continue;
      for (std::size_t k = 0; k < 64; k += Batch::size) {
        const std::size_t at = static_cast<std::size_t>(other) * 64 + k;
        (Batch::load_aligned(fields + at) + ((Batch::load_aligned(row + at) ^ sign) - sign))
            .store_aligned(fields + at);
      }
    }
  }

  // Descent and subset moves, alternating until neither finds anything; then the exact energy.
  void settle(Chain& chain) {
    do {
      while (descent_sweep(chain)) {
      }
    } while (subset_sweep(chain));
    chain.energy = energy(chain);
  }

  bool descent_sweep(Chain& chain) {
    std::uint64_t changed = 0;
    for (std::int32_t t = 0; t < heads_; ++t) {
      for (std::int32_t w = 0; w < words_; ++w) {
        std::array<PassState, 1> state;
        state[0].bound.fill(Batch(static_cast<std::int16_t>(-1)));
        changed |= pass<1>(t, w, state, &chain);
      }
    }
    chain.proposals += static_cast<std::int64_t>(heads_) * tokens_;
    return changed != 0;
  }

  bool subset_sweep(Chain& chain) {
    if (heads_ == 1) return false;
    bool changed = false;
    for (std::int32_t i = 0; i < tokens_; ++i) {
      const std::uint64_t bit = std::uint64_t{1} << (i % 64);
      const std::int32_t w = i / 64;
      std::array<std::int16_t, kMaxHeads> sorted;
      std::array<std::uint8_t, kMaxHeads> order;
      std::int32_t current = 0;
      std::int32_t count = 0;
      for (std::int32_t t = 0; t < heads_; ++t) {
        const std::int16_t field = chain.fields[static_cast<std::size_t>(t) * stride_ + i];
        if ((chain.spins[t * words_ + w] & bit) != 0) {
          current -= field - penalty_ * count;
          ++count;
        }
        // Insertion sort, largest first, lower head first among equals.
        std::int32_t rank = t;
        for (; rank > 0 && sorted[rank - 1] < field; --rank) {
          sorted[rank] = sorted[rank - 1];
          order[rank] = order[rank - 1];
        }
        sorted[rank] = field;
        order[rank] = static_cast<std::uint8_t>(t);
      }
      std::int32_t best = 0;
      std::int32_t take = 0;
      while (take < heads_ && sorted[take] > penalty_ * take) {
        best -= sorted[take] - penalty_ * take;
        ++take;
      }
      if (best >= current) continue;
      changed = true;
      for (std::int32_t rank = 0; rank < heads_; ++rank) {
        const std::int32_t t = order[rank];
        const bool selected = (chain.spins[t * words_ + w] & bit) != 0;
        if (selected != (rank < take)) flip(chain, t, i);
      }
    }
    return changed;
  }

  void flip(Chain& chain, std::int32_t t, std::int32_t i) {
    std::uint64_t& word = chain.spins[t * words_ + i / 64];
    const std::uint64_t bit = std::uint64_t{1} << (i % 64);
    const bool leaves = (word & bit) != 0;
    const Batch sign(static_cast<std::int16_t>(leaves ? -1 : 0));
    std::int16_t* fields = chain.fields + static_cast<std::size_t>(t) * stride_;
    const std::int16_t* row = couplings_ + (static_cast<std::size_t>(t) * tokens_ + i) * stride_;
    for (std::size_t k = 0; k < stride_; k += Batch::size) {
      (Batch::load_aligned(fields + k) + ((Batch::load_aligned(row + k) ^ sign) - sign))
          .store_aligned(fields + k);
    }
    chain.counts[i] = static_cast<std::int16_t>(chain.counts[i] + (leaves ? -penalty_ : penalty_));
    word ^= bit;
    ++chain.flips;
  }

  // E = -1/2 sum s (g + b) + P sum_i c_i (c_i - 1) / 2, exact: g holds every coupling twice.
  [[nodiscard]] std::int64_t energy(const Chain& chain) const {
    std::int64_t twice = 0;
    for (std::int32_t t = 0; t < heads_; ++t) {
      for (std::int32_t w = 0; w < words_; ++w) {
        const std::size_t at =
            static_cast<std::size_t>(t) * stride_ + static_cast<std::size_t>(w) * 64;
        for (std::uint64_t left = chain.spins[t * words_ + w]; left != 0; left &= left - 1) {
          const auto i = static_cast<std::size_t>(__builtin_ctzll(left));
          twice -= chain.fields[at + i] + job_.problem.fields[at + i];
        }
      }
    }
    if (penalty_ != 0) {
      for (std::int32_t i = 0; i < tokens_; ++i) {
        const std::int64_t total = static_cast<std::uint16_t>(chain.counts[i]);  // P c, below 2^16
        twice += total * (total / penalty_ - 1);
      }
    }
    return twice / 2;
  }

  const AnnealJob& job_;
  Chain* chains_;
  const std::int16_t* couplings_;
  const std::int32_t heads_;
  const std::int32_t tokens_;
  const std::int32_t words_;
  const std::size_t stride_;
  const std::int16_t penalty_;
  const std::uint64_t last_valid_;
};

template <class Arch>
void anneal_fast(const AnnealJob& job, std::span<Chain> chains) {
  Chain* first = chains.data();
  switch (chains.size()) {
    case 1: FastAnnealer<Arch, 1>(job, first).run(); break;
    case 2: FastAnnealer<Arch, 2>(job, first).run(); break;
    case 3: FastAnnealer<Arch, 3>(job, first).run(); break;
    case 4: FastAnnealer<Arch, 4>(job, first).run(); break;
    default: break;
  }
}

}  // namespace
}  // namespace qama::hal::cpu
