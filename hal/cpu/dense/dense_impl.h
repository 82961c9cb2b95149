// The fast annealing kernel, a template over xsimd's architectures; compiled by
// isa/<target>.cpp, each with its own instruction-set flags. It must give the spins of
// reference.cpp, bit for bit.
//
// How it works. A head's 64 spins are one word. A pass over a word holds its fields f (penalty
// included) in registers, compares all 64 with their thresholds at once, finds the first that
// accepts (count trailing zeros), adds or subtracts that spin's row, and compares the spins behind
// it again: an exact sequential sweep that costs by accepted flips, not by proposals. Passes of up
// to kLockStep restarts are interleaved, because the chain compare -> find -> load row -> add is
// bound by latency; a restart that has nothing to flip adds a row of zeros. Loops over restarts and
// vectors are unrolled by hand (each_chain, each_part), because what the compiler unrolls late
// stays in memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

#include "hal/cpu/isa/simd_shim.h"
#include "hal/cpu/kernel.h"
#include "hal/cpu/schedule.h"

namespace qama::hal::cpu {
namespace {

// A module of WebAssembly is small before all else, and a call is lost in a pass.
#ifdef __wasm__
#define QAMA_PASS __attribute__((noinline))
#else
#define QAMA_PASS QAMA_ALWAYS_INLINE
#endif

/// What a restart adds that has nothing to flip.
alignas(64) inline constexpr std::array<std::int16_t, 64> kNoRow{};

/// kChains restarts in lock-step. kOneWord: heads of at most 64 spins, whose fields never leave
/// registers.
template <class Arch, int kChains, bool kOneWord>
class FastAnnealer {
  using Batch = Lanes<Arch>;
  using Batch64 = Lanes64<Arch>;
  static constexpr std::size_t kParts = kVectors<Arch>;
  using Heads = std::array<std::int32_t, kChains>;  // of a pass, one a restart

 public:
  FastAnnealer(const AnnealJob& job, Chain* chains)
      : job_(job),
        chains_(chains),
        couplings_(job.problem.couplings),
        heads_(job.problem.shape.heads),
        tokens_(job.problem.shape.tokens),
        words_(kOneWord ? 1 : words_per_head(tokens_)),
        stride_(static_cast<std::size_t>(words_) * 64),
        penalty_(job.problem.penalty),
        variates_(variate_table().value.data()),
        last_valid_(tokens_ % 64 == 0 ? ~std::uint64_t{0}
                                      : (std::uint64_t{1} << (tokens_ % 64)) - 1) {
    const Batch64 inside = lanes_of_bits(last_valid_, Arch{});
    for (std::size_t k = 0; k < kParts; ++k) {
      highest_bound_[k] = inside[k] ^ Batch(std::int16_t{-32768});
    }
  }

  void run() {
    start();
    std::array<std::uint64_t, kChains> keys;
    for (int c = 0; c < kChains; ++c) keys[c] = restart_key(job_.seed, chains_[c].restart);
    std::uint64_t pass_number = 0;
    std::array<std::uint64_t, kChains> random{};
    Heads heads{};
    const std::int32_t hot_heads = job_.reheated > 0 ? job_.reheated : heads_;
    std::int32_t sweep = 0;
    for (; sweep < job_.sweeps; ++sweep) {
      if (job_.stop != nullptr && job_.stop(job_.context)) break;
      for (std::int32_t k = 0; k < heads_; ++k) {
        const std::uint16_t* const at =
            job_.temperatures + (k < hot_heads ? sweep : job_.sweeps - 1);
        const Batch temperature(static_cast<std::int16_t>(*at));
        for (int c = 0; c < kChains; ++c) {
          heads[c] = job_.reheated > 0 ? chains_[c].order[k] : k;
        }
        for (std::int32_t w = 0; w < words_; ++w, ++pass_number) {
          const bool fresh = (pass_number & 3) == 0;
          std::array<Batch64, kChains> bound;
          each_chain([&](auto c) QAMA_INLINE_LAMBDA {
            // variate_offset(), four passes from one number.
            random[c] = fresh ? counter_random(keys[c], pass_number >> 2) : random[c] >> 16;
            const auto* from =
                reinterpret_cast<const std::int16_t*>(variates_ + (random[c] & (kVariates - 1)));
            each_part([&](auto part) QAMA_INLINE_LAMBDA {
              bound[c][part] =
                  mul_high_u16(Batch::load_unaligned(from + part * Batch::size), temperature);
            });
          });
          pass(heads, w, bound);
        }
      }
    }
    for (int c = 0; c < kChains; ++c) {
      chains_[c].proposals = static_cast<std::int64_t>(sweep) * heads_ * tokens_;
    }
    if (job_.settle) settle();
    for (int c = 0; c < kChains; ++c) chains_[c].energy = energy(chains_[c]);
  }

 private:
  template <class Body>
  QAMA_ALWAYS_INLINE static void each_chain(Body&& body) {
    [&]<std::size_t... c>(std::index_sequence<c...>) QAMA_INLINE_LAMBDA {
      (body(std::integral_constant<std::size_t, c>{}), ...);
    }
    (std::make_index_sequence<kChains>{});
  }
  template <class Body>
  QAMA_ALWAYS_INLINE static void each_part(Body&& body) {
    [&]<std::size_t... k>(std::index_sequence<k...>) QAMA_INLINE_LAMBDA {
      (body(std::integral_constant<std::size_t, k>{}), ...);
    }
    (std::make_index_sequence<kParts>{});
  }

  void start() {
    const std::int32_t drawn = heads_drawn(job_, chains_[0]);
    for (int c = 0; c < kChains; ++c) {
      Chain& chain = chains_[c];
      chain.proposals = 0;
      chain.flips = 0;
      if (chain.resume) continue;
      // draw() writes the fields of a head of one word.
      const std::size_t all =
          kOneWord && drawn == heads_ ? 0 : static_cast<std::size_t>(heads_) * stride_;
      for (std::size_t k = 0; k < all; k += Batch::size) {
        Batch::load_aligned(job_.problem.fields + k).store_aligned(chain.fields + k);
      }
      for (std::size_t k = 0; k < stride_; k += Batch::size) {
        Batch(std::int16_t{0}).store_aligned(chain.counts + k);
      }
      for (std::int32_t k = 0; k < heads_ * words_; ++k) chain.spins[k] = 0;
    }
    if (drawn == 0) return;
    std::array<std::uint64_t, kChains> keys;
    for (int c = 0; c < kChains; ++c) keys[c] = start_key(job_.seed, chains_[c].restart);
    for (std::int32_t k = 0; k < drawn; ++k) {
      Heads heads;
      for (int c = 0; c < kChains; ++c) heads[c] = job_.reheated > 0 ? chains_[c].order[k] : k;
      draw(heads, keys);
    }
  }

  // First spins for one head of each restart, which replace what it had.
  void draw(const Heads& heads, const std::array<std::uint64_t, kChains>& keys) {
    if constexpr (kOneWord) {
      std::array<const std::int16_t*, kChains> rows;
      std::array<std::uint64_t, kChains> left;
      std::array<Batch64, kChains> f;
      const Batch penalty(penalty_);
      const std::int16_t* const nothing = kNoRow.data();
      std::uint64_t any = 0;
      each_chain([&](auto c) QAMA_INLINE_LAMBDA {
        const auto t = static_cast<std::size_t>(heads[c]);
        rows[c] = couplings_ + t * static_cast<std::size_t>(tokens_) * 64;
        std::uint64_t& word = chains_[c].spins[t];
        const Batch64 before = lanes_of_bits(word, Arch{});
        left[c] = first_spins(chains_[c], heads[c], 0, keys[c], before) & last_valid_;
        any |= left[c];
        const Batch64 own = lanes_of_bits(left[c], Arch{});
        word = left[c];
        each_part([&](auto k) QAMA_INLINE_LAMBDA {
          std::int16_t* counts = chains_[c].counts + k * Batch::size;
          (Batch::load_aligned(counts) - (penalty & before[k]) + (penalty & own[k]))
              .store_aligned(counts);
          f[c][k] = Batch::load_aligned(job_.problem.fields + t * 64 + k * Batch::size);
        });
      });
      while (any != 0) {
        any = 0;
        each_chain([&](auto c) QAMA_INLINE_LAMBDA {
          const std::int16_t* row =
              row_if_any(left[c], lowest_number(left[c]), rows[c], 64, nothing);
          each_part([&](auto k) QAMA_INLINE_LAMBDA {
            f[c][k] = f[c][k] + Batch::load_aligned(row + k * Batch::size);
          });
          left[c] &= left[c] - 1;
          any |= left[c];
        });
      }
      each_chain([&](auto c) QAMA_INLINE_LAMBDA {
        each_part([&](auto k) QAMA_INLINE_LAMBDA {
          f[c][k].store_aligned(chains_[c].fields + static_cast<std::size_t>(heads[c]) * 64 +
                                k * Batch::size);
        });
      });
    } else {
      for (int c = 0; c < kChains; ++c) {
        for (std::int32_t w = 0; w < words_; ++w) {
          const std::int32_t at = heads[c] * words_ + w;
          const std::uint64_t before = chains_[c].spins[at];
          const std::uint64_t drawn =
              first_spins(chains_[c], heads[c], w, keys[c], lanes_of_bits(before, Arch{})) &
              valid(w);
          const std::int64_t flips = chains_[c].flips;
          for (std::uint64_t left = drawn ^ before; left != 0; left &= left - 1) {
            flip(chains_[c], heads[c], w * 64 + __builtin_ctzll(left));
          }
          chains_[c].flips = flips;
        }
      }
    }
  }

  // Word w of what head t starts from (also behind the tokens); `before`: its spins so far.
  QAMA_ALWAYS_INLINE std::uint64_t first_spins(const Chain& chain, std::int32_t t, std::int32_t w,
                                               std::uint64_t key, const Batch64& before) const {
    if (!chain.resume && starts_random(job_.start, chain.restart)) {
      return random_spins(key, chain.restart, t * words_ + w);
    }
    const StartGuess guess = start_guess(chain.restart, chain.resume);
    const std::size_t first = static_cast<std::size_t>(w) * 64;
    const std::size_t head = static_cast<std::size_t>(t);
    const std::int16_t* const row =
        couplings_ +
        (head * static_cast<std::size_t>(tokens_) + start_token(key, t, tokens_)) * stride_ + first;
    const std::int16_t* const fields = job_.problem.fields + head * stride_ + first;
    const Batch weight(static_cast<std::int16_t>(guess.weight));
    const Batch penalty(penalty_);
    const Batch half(static_cast<std::int16_t>(penalty_ / 2));
    Mask64<Arch> selected;
    each_part([&](auto k) QAMA_INLINE_LAMBDA {
      const std::size_t at = k * Batch::size;
      const Batch field = Batch::load_aligned(row + at) * weight + Batch::load_aligned(fields + at);
      const Batch cost =
          guess.counted ? Batch::load_aligned(chain.counts + first + at) - (penalty & before[k])
                        : half;
      selected[k] = field > cost;
    });
    return mask_bits(selected);
  }

  [[nodiscard]] std::uint64_t valid(std::int32_t w) const {
    return w + 1 == words_ ? last_valid_ : ~std::uint64_t{0};
  }

  // A spin accepts if x < bound - own, with own = -1 for spin 1, 0 for spin 0, m = ~own and x = f ^
  // m:
  //   spin 1: dE =  f:  f < threshold + 1     spin 0: dE = -f:  ~f < threshold
  // (less, not less or equal, which is two instructions on AVX2). m belongs to the spins before the
  // pass: a flipped lane's m is never used again in its pass. What is kept is x, to which a row is
  // added with m's signs.
  QAMA_ALWAYS_INLINE static std::uint64_t accepting(const Batch64& x, const Batch64& bound) {
    Mask64<Arch> mask;
    each_part([&](auto k) QAMA_INLINE_LAMBDA { mask[k] = x[k] < bound[k]; });
    return mask_bits(mask);
  }

  // One pass of all restarts over word w, each in its own head; `bound` holds the thresholds.
  // Returns a bit for each restart that flipped something.
  QAMA_PASS std::uint32_t pass(const Heads& heads, std::int32_t w,
                               std::array<Batch64, kChains>& bound) {
    const Batch penalty(penalty_);
    const Batch ones(static_cast<std::int16_t>(-1));
    const Batch one(std::int16_t{1});
    const bool last = w + 1 == words_;
    const std::size_t stride = kOneWord ? 64 : stride_;
    const std::int16_t* const nothing = kNoRow.data();
    std::array<std::int16_t*, kChains> fields;
    std::array<const std::int16_t*, kChains> rows;  // this word's part of them
    std::array<std::uint64_t*, kChains> words;
    std::array<Batch64, kChains> x;
    std::array<std::uint64_t, kChains> spins;
    std::array<std::uint64_t, kChains> accept;
    std::uint64_t any = 0;
    each_chain([&](auto c) QAMA_INLINE_LAMBDA {
      const auto t = static_cast<std::size_t>(heads[c]);
      const std::size_t first = static_cast<std::size_t>(w) * 64;
      fields[c] = chains_[c].fields + t * stride + first;
      rows[c] = couplings_ + (t * static_cast<std::size_t>(tokens_) + first) * stride + first;
      keep_in_register(rows[c]);
      words[c] = chains_[c].spins + heads[c] * words_ + w;
      spins[c] = *words[c];
      const Batch64 own = lanes_of_bits(spins[c], Arch{});
      each_part([&](auto k) QAMA_INLINE_LAMBDA {
        const Batch g = Batch::load_aligned(fields[c] + k * Batch::size);
        const Batch count = Batch::load_aligned(chains_[c].counts + first + k * Batch::size);
        const Batch m = own[k] ^ ones;
        x[c][k] = (g - (count - (penalty & own[k]))) ^ m;
        // Lanes behind the tokens never accept: their x is -1.
        bound[c][k] = kOneWord || last ? xsimd::min(bound[c][k] - own[k], highest_bound_[k])
                                       : bound[c][k] - own[k];
        (m | one).store_aligned(signs_[c][0].data() + k * Batch::size);
        (own[k] | one).store_aligned(signs_[c][1].data() + k * Batch::size);
      });
      accept[c] = accepting(x[c], bound[c]);
      any |= accept[c];
    });
    if (any == 0) return 0;
    while (any != 0) {
      any = 0;
      each_chain([&](auto c) QAMA_INLINE_LAMBDA {
        const std::uint64_t now = accept[c];
        const std::uint64_t i = lowest_number(now);
        const std::int16_t* row = row_if_any(now, i, rows[c], stride, nothing);
        const std::size_t leaves = spins[c] >> (i & 63) & 1U;
        const std::int16_t* signs = signs_[c][leaves].data();
        each_part([&](auto k) QAMA_INLINE_LAMBDA {
          x[c][k] = x[c][k] + with_signs<Arch>(Batch::load_aligned(row + k * Batch::size),
                                               Batch::load_aligned(signs + k * Batch::size));
        });
        if constexpr (!kOneWord) {
          if (now != 0) {
            add_to_other_words(chains_[c], heads[c], w, row - static_cast<std::size_t>(w) * 64,
                               Batch(static_cast<std::int16_t>(leaves != 0 ? -1 : 1)));
          }
        }
        spins[c] ^= now & (now ^ (now - 1));
        accept[c] = behind_lowest(accepting(x[c], bound[c]), now);
        any |= accept[c];
      });
    }
    std::uint32_t changed = 0;
    each_chain([&](auto c) QAMA_INLINE_LAMBDA {
      const std::uint64_t before = *words[c];
      const std::uint64_t flipped = before ^ spins[c];
      changed |= static_cast<std::uint32_t>(flipped != 0) << c;
      chains_[c].flips += __builtin_popcountll(flipped);
      *words[c] = spins[c];
      const Batch64 old = lanes_of_bits(before, Arch{});
      const Batch64 own = lanes_of_bits(spins[c], Arch{});
      each_part([&](auto k) QAMA_INLINE_LAMBDA {
        // x ^ m is still g - (count - P old) of before, with the rows added.
        std::int16_t* counts = chains_[c].counts + w * 64 + k * Batch::size;
        const Batch others = Batch::load_aligned(counts) - (penalty & old[k]);
        ((x[c][k] ^ old[k] ^ ones) + others).store_aligned(fields[c] + k * Batch::size);
        (others + (penalty & own[k])).store_aligned(counts);
      });
    });
    return changed;
  }

  void add_to_other_words(Chain& chain, std::int32_t t, std::int32_t w, const std::int16_t* row,
                          Batch signs) {
    std::int16_t* fields = chain.fields + static_cast<std::size_t>(t) * stride_;
    for (std::int32_t other = 0; other < words_; ++other) {
      if (other == w) continue;
      for (std::size_t k = 0; k < 64; k += Batch::size) {
        const std::size_t at = static_cast<std::size_t>(other) * 64 + k;
        (Batch::load_aligned(fields + at) + Batch::load_aligned(row + at) * signs)
            .store_aligned(fields + at);
      }
    }
  }

  // A sweep of descent, then token moves until there is none: where no token has a better set of
  // heads, no single flip gains either. A restart that has settled stays in lock-step: its passes
  // flip nothing and are not counted.
  void settle() {
    std::uint32_t moving = (1U << kChains) - 1;
    for (std::int32_t sweep = 0; moving != 0 && (heads_ == 1 || sweep < kDescentSweeps); ++sweep) {
      const std::uint32_t flipped = descent_sweep();
      for (int c = 0; c < kChains; ++c) {
        if ((moving >> c & 1U) != 0) {
          chains_[c].proposals += static_cast<std::int64_t>(heads_) * tokens_;
        }
      }
      moving &= flipped;
    }
    for (int c = 0; c < kChains; ++c) {
      while (subset_sweep(chains_[c])) {
      }
    }
  }

  std::uint32_t descent_sweep() {
    std::uint32_t flipped = 0;
    for (std::int32_t t = 0; t < heads_; ++t) {
      Heads heads;
      heads.fill(t);
      for (std::int32_t w = 0; w < words_; ++w) {
        std::array<Batch64, kChains> bound;
        for (Batch64& one : bound) one.fill(Batch(static_cast<std::int16_t>(-1)));
        flipped |= pass(heads, w, bound);
      }
    }
    return flipped;
  }

  // Tokens of word w whose set of heads may not be the best one, all 64 at once (lanes are tokens).
  // A token's k heads are the best set if no head outside has a larger field than one inside (low
  // >= high), the last one inside is worth its k - 1 penalties and no other one is worth k: then
  // they are the first k of the sorted fields, and gains fall along those. Everything else is a
  // suspect; improve_token() decides.
  [[nodiscard]] std::uint64_t improvable(const Chain& chain, std::int32_t w) const {
    const Batch penalty(penalty_);
    Batch64 low;
    Batch64 high;
    low.fill(Batch(std::int16_t{32767}));
    high.fill(Batch(std::int16_t{-32768}));
    for (std::int32_t t = 0; t < heads_; ++t) {
      const std::int16_t* fields =
          chain.fields + static_cast<std::size_t>(t) * stride_ + static_cast<std::size_t>(w) * 64;
      const Marks<Arch> own = marks_of_bits(chain.spins[t * words_ + w], Arch{});
      for (std::size_t k = 0; k < kParts; ++k) {
        const Batch g = Batch::load_aligned(fields + k * Batch::size);
        low[k] = min_if(own[k], low[k], g);
        high[k] = max_if_not(own[k], high[k], g);
      }
    }
    Mask64<Arch> best;
    for (std::size_t k = 0; k < kParts; ++k) {
      // All heads: P H may pass 2^15, but then `high` is the lowest number there is.
      const Batch count = Batch::load_aligned(chain.counts + w * 64 + k * Batch::size);
      best[k] = (low[k] >= high[k]) & (low[k] >= count - penalty) & (high[k] <= count);
    }
    return ~mask_bits(best) & valid(w);
  }

  bool subset_sweep(Chain& chain) {
    if (heads_ == 1) return false;
    bool changed = false;
    for (std::int32_t w = 0; w < words_; ++w) {
      for (std::uint64_t left = improvable(chain, w); left != 0; left &= left - 1) {
        const std::int32_t i = w * 64 + __builtin_ctzll(left);
        changed |= heads_ == 8 ? improve_token<8>(chain, i) : improve_token<0>(chain, i);
      }
    }
    return changed;
  }

  // For one token the heads' fields do not depend on each other, so its best set of heads is exact.
  // Of the heads sorted by field, the lower head first among equals, each is taken whose field is
  // more than the penalties of those before it; such gains fall along the order. Ranks are counted,
  // so that there is no branch. kHeads: the number of heads where the compiler may know it, else 0.
  // Fields and penalties have 16 bits, heads six: sums of all of them fit into 32.
  template <std::int32_t kHeads>
  bool improve_token(Chain& chain, std::int32_t i) {
    constexpr std::int32_t kBlock = 8;
    const std::int32_t heads = kHeads != 0 ? kHeads : heads_;
    const std::int32_t penalty = penalty_;
    const std::int32_t w = i / 64;
    // A field and its head as one number, no two alike.
    alignas(64) std::array<std::int32_t, kMaxHeads> key;
    std::int32_t current = 0;
    std::int32_t count = 0;
    std::uint64_t selected = 0;
    for (std::int32_t t = 0; t < heads; ++t) {
      const std::int32_t field = chain.fields[static_cast<std::size_t>(t) * stride_ + i];
      const auto own = static_cast<std::int32_t>(chain.spins[t * words_ + w] >> (i % 64) & 1);
      key[t] = field * kMaxHeads + (kMaxHeads - 1 - t);
      current -= own * field;
      count += own;
      selected |= static_cast<std::uint64_t>(own) << t;
    }
    current += penalty * (count * (count - 1) / 2);
    for (std::int32_t t = heads; t % kBlock != 0; ++t) key[t] = INT32_MIN;
    std::int32_t best = 0;
    std::uint64_t wanted = 0;
    for (std::int32_t first = 0; first < heads; first += kBlock) {
      alignas(32) std::array<std::int32_t, kBlock> rank{};
      for (std::int32_t u = 0; u < heads; ++u) {
        const std::int32_t other = key[u];
        for (std::int32_t k = 0; k < kBlock; ++k) rank[k] += other > key[first + k] ? 1 : 0;
      }
      const std::int32_t here = heads - first < kBlock ? heads - first : kBlock;
      for (std::int32_t k = 0; k < here; ++k) {
        const std::int32_t gain = (key[first + k] >> 6) - penalty * rank[k];
        best -= gain > 0 ? gain : 0;
        wanted |= static_cast<std::uint64_t>(gain > 0) << (first + k);
      }
    }
    if (best >= current) return false;
    for (std::uint64_t left = wanted ^ selected; left != 0; left &= left - 1) {
      flip(chain, __builtin_ctzll(left), i);
    }
    return true;
  }
  static_assert(kMaxHeads == 64, "improve_token() keeps a head in six bits");

  void flip(Chain& chain, std::int32_t t, std::int32_t i) {
    std::uint64_t& word = chain.spins[t * words_ + i / 64];
    const std::uint64_t bit = std::uint64_t{1} << (i % 64);
    const bool leaves = (word & bit) != 0;
    const Batch signs(static_cast<std::int16_t>(leaves ? -1 : 1));
    std::int16_t* fields = chain.fields + static_cast<std::size_t>(t) * stride_;
    const std::int16_t* row = couplings_ + (static_cast<std::size_t>(t) * tokens_ + i) * stride_;
    for (std::size_t k = 0; k < stride_; k += Batch::size) {
      (Batch::load_aligned(fields + k) + Batch::load_aligned(row + k) * signs)
          .store_aligned(fields + k);
    }
    chain.counts[i] = static_cast<std::int16_t>(chain.counts[i] + (leaves ? -penalty_ : penalty_));
    word ^= bit;
    ++chain.flips;
  }

  // E = -1/2 sum s (g + b) + P sum_i c_i (c_i - 1) / 2 = 1/2 sum s (P (c_i - 1) - g - b), exact: g
  // holds every coupling twice, and P (c_i - 1) is the penalty that a selected spin sees from the
  // other heads.
  [[nodiscard]] std::int64_t energy(const Chain& chain) const {
    const Batch penalty(penalty_);
    std::int64_t twice = 0;
    Sums<Arch> plus;
    Sums<Arch> minus;
    for (std::int32_t t = 0; t < heads_; ++t) {
      for (std::int32_t w = 0; w < words_; ++w) {
        const std::size_t at =
            static_cast<std::size_t>(t) * stride_ + static_cast<std::size_t>(w) * 64;
        const Batch64 own = lanes_of_bits(chain.spins[t * words_ + w], Arch{});
        for (std::size_t k = 0; k < kParts; ++k) {
          const std::size_t lane = k * Batch::size;
          const Batch others = Batch::load_aligned(chain.counts + w * 64 + lane) - penalty;
          plus.add(own[k] & others);
          minus.add(own[k] & Batch::load_aligned(chain.fields + at + lane));
          minus.add(own[k] & Batch::load_aligned(job_.problem.fields + at + lane));
        }
      }
      if constexpr (!kOneWord) twice += plus.take() - minus.take();
    }
    return (twice + plus.take() - minus.take()) / 2;
  }

  const AnnealJob& job_;
  Chain* chains_;
  const std::int16_t* couplings_;
  const std::int32_t heads_;
  const std::int32_t tokens_;
  const std::int32_t words_;
  const std::size_t stride_;
  const std::int16_t penalty_;
  const std::uint16_t* const variates_;
  const std::uint64_t last_valid_;
  Batch64 highest_bound_;  ///< of the last word: the lowest number behind the tokens
  /// What a row is multiplied by before it is added to x: [0] if its spin joins, [1] if it leaves.
  /// In memory, because it is chosen by address. [2] is room: without it a pass takes a tenth
  /// longer (GCC 12, Zen 4).
  alignas(64) std::array<std::array<std::array<std::int16_t, 64>, 3>, kChains> signs_;
};

template <class Arch, int kChains>
void anneal_group(const AnnealJob& job, Chain* chains) {
  if (job.problem.shape.tokens <= 64) {
    FastAnnealer<Arch, kChains, true>(job, chains).run();
  } else {
    for (int c = 0; c < kChains; ++c) FastAnnealer<Arch, 1, false>(job, chains + c).run();
  }
}

/// Restarts in lock-step. With vectors of eight lanes a head's fields are eight registers: two
/// restarts of them stay there, four do not. What is in memory anyway gains nothing, and neither
/// does WebAssembly, whose engines have sixteen registers on x86-64.
template <class Arch>
constexpr std::size_t kLockStep = kInMemory<Arch> || std::is_same_v<Arch, xsimd::wasm> ? 1
                                  : Lanes<Arch>::size == 8                             ? 2
                                                                                       : 4;

template <class Arch>
void anneal_fast(const AnnealJob& job, std::span<Chain> chains) {
  Chain* next = chains.data();
  std::size_t left = chains.size();
  if constexpr (kLockStep<Arch> >= 4) {
    for (; left >= 4; left -= 4, next += 4) anneal_group<Arch, 4>(job, next);
  }
  if constexpr (kLockStep<Arch> >= 2) {
    for (; left >= 2; left -= 2, next += 2) anneal_group<Arch, 2>(job, next);
  }
  for (; left >= 1; --left, ++next) anneal_group<Arch, 1>(job, next);
}

}  // namespace
}  // namespace qama::hal::cpu
