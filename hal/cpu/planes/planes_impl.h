// The annealer on bit planes, a template over xsimd's architectures, included by
// isa/<target>.cpp; see planes.h for the method. It must give the spins of reference.cpp, bit
// for bit. All field arithmetic is modulo 2^16; fields themselves fit int16, so that they come out
// exact.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "hal/cpu/isa/simd_shim.h"
#include "hal/cpu/kernel.h"
#include "hal/cpu/planes/planes.h"
#include "hal/cpu/schedule.h"

namespace qama::hal::cpu {
namespace {

/// A difference of couplings modulo 2^16, which is how fields are added up.
inline std::int16_t wrapped(std::int32_t value) {
  return static_cast<std::int16_t>(value);
}

template <class Arch>
bool pack_planes(const DenseView& problem, CouplingPlanes& planes) {
  using Batch = Lanes<Arch>;
  const std::int32_t tokens = problem.shape.tokens;
  const std::int32_t words = words_per_head(tokens);
  const auto row_words = static_cast<std::size_t>(plane_row_words(tokens));
  const auto stride = static_cast<std::size_t>(row_stride(tokens));
  const std::uint64_t last_valid =
      tokens % 64 == 0 ? ~std::uint64_t{0} : (std::uint64_t{1} << (tokens % 64)) - 1;
  std::array<std::int16_t, kMaxPlanes + 1> value{};
  std::int32_t values = 0;
  for (std::int32_t i = 0; i < tokens; ++i) {
    const std::int16_t* row = problem.couplings + static_cast<std::size_t>(i) * stride;
    std::uint64_t* to = planes.bits + static_cast<std::size_t>(i) * kMaxPlanes * row_words;
    std::memset(to, 0, kMaxPlanes * row_words * sizeof(std::uint64_t));
    for (std::int32_t w = 0; w < words; ++w) {
      std::uint64_t real = w + 1 == words ? last_valid : ~std::uint64_t{0};
      if (w == i / 64) real &= ~(std::uint64_t{1} << (i % 64));
      while (true) {
        std::array<std::uint64_t, kMaxPlanes + 1> is{};
        std::uint64_t known = 0;
        for (std::int32_t v = 0; v < values; ++v) {
          Mask64<Arch> mask;
          for (std::size_t k = 0; k < kVectors<Arch>; ++k) {
            mask[k] = Batch::load_aligned(row + static_cast<std::size_t>(w) * 64 +
                                          k * Batch::size) == Batch(value[v]);
          }
          is[v] = mask_bits(mask) & real;
          known |= is[v];
        }
        if (known == real) {
          for (std::int32_t p = 0; p < kMaxPlanes; ++p) {
            to[static_cast<std::size_t>(p) * row_words + w] = is[p + 1];
            if (w == i / 64) planes.own[i * kMaxPlanes + p] = is[p + 1];
          }
          break;
        }
        if (values == kMaxPlanes + 1) return false;
        value[values] = row[w * 64 + std::countr_zero(real & ~known)];
        ++values;
      }
    }
  }
  std::memset(planes.bits + static_cast<std::size_t>(tokens) * kMaxPlanes * row_words, 0,
              kMaxPlanes * row_words * sizeof(std::uint64_t));
  planes.planes = std::max(1, values - 1);
  planes.base = value[0];
  for (std::int32_t p = 0; p < kMaxPlanes; ++p) planes.weight[p] = wrapped(value[p + 1] - value[0]);
  return true;
}

/// kChains restarts in lock-step, which hides the latency of compare -> find -> load -> add.
template <class Arch, int kPlanes, int kChains>
class PlaneAnnealer {
  using Batch = Lanes<Arch>;
  using Batch64 = Lanes64<Arch>;
  using Word = xsimd::batch<std::uint64_t, Arch>;
  static constexpr std::size_t kParts = kVectors<Arch>;
  static constexpr std::int32_t kGroup = 7;  ///< rows that three carry-save levels take
  static constexpr std::int32_t kMaxWords = kMaxDenseTokens / 64;

 public:
  PlaneAnnealer(const AnnealJob& job, const CouplingPlanes& planes, Chain* chains,
                std::uint64_t* counters)
      : job_(job),
        planes_(planes),
        tokens_(job.problem.shape.tokens),
        words_(words_per_head(tokens_)),
        row_words_(static_cast<std::size_t>(plane_row_words(tokens_))),
        row_size_(static_cast<std::uint32_t>(kMaxPlanes * row_words_)),
        last_valid_(tokens_ % 64 == 0 ? ~std::uint64_t{0}
                                      : (std::uint64_t{1} << (tokens_ % 64)) - 1),
        steps_{make_step(0), make_step(1), make_step(-1)} {
    for (int c = 0; c < kChains; ++c) {
      state_[c].chain = chains + c;
      state_[c].counters = counters + static_cast<std::size_t>(c) * plane_counter_words(tokens_);
    }
  }

  void run() {
    for (State& s : state_) start(s);
    std::uint64_t pass_number = 0;
    std::array<std::uint64_t, kChains> random{};
    std::int32_t sweep = 0;
    for (; sweep < job_.sweeps; ++sweep) {
      if (job_.stop != nullptr && job_.stop(job_.context)) break;
      const Batch temperature(static_cast<std::int16_t>(job_.temperatures[sweep]));
      for (std::int32_t w = 0; w < words_; ++w, ++pass_number) {
        std::array<Batch64, kChains> bound;
        for (int c = 0; c < kChains; ++c) {
          // variate_offset(), four passes from one number.
          random[c] = (pass_number & 3) == 0 ? counter_random(state_[c].key, pass_number >> 2)
                                             : random[c] >> 16;
          const auto* from = reinterpret_cast<const std::int16_t*>(variate_table().value.data() +
                                                                   (random[c] & (kVariates - 1)));
          for (std::size_t k = 0; k < kParts; ++k) {
            bound[c][k] = mul_high_u16(Batch::load_unaligned(from + k * Batch::size), temperature);
          }
        }
        pass(w, bound);
      }
    }
    for (State& s : state_) s.chain->proposals = static_cast<std::int64_t>(sweep) * tokens_;
    if (job_.settle) settle();
    for (State& s : state_) s.chain->energy = energy(s);
  }

 private:
  struct State {
    Chain* chain;
    std::uint64_t* counters;
    std::uint64_t key;
    /// Flips whose rows are not in the counters yet: where the row begins in planes_.bits, and all
    /// ones if the spin left. One word's flips may come on top of an incomplete group; an
    /// incomplete group is filled up with the row of zeros, so that it is read without a branch.
    std::array<std::uint32_t, kGroup + 64> pending_row;
    std::array<std::uint64_t, kGroup + 64> pending_inverse;
    std::int32_t pending, pending_leaves;
    /// Flips and leaves in the counters, now and when a word's counters were last read.
    std::int32_t absorbed, absorbed_leaves;
    std::array<std::int32_t, kMaxWords> seen, seen_leaves;
  };

  void start(State& s) {
    const std::size_t lanes = static_cast<std::size_t>(words_) * 64;
    std::memcpy(s.chain->fields, job_.problem.fields, lanes * sizeof(std::int16_t));
    std::memset(s.chain->spins, 0, static_cast<std::size_t>(words_) * sizeof(std::uint64_t));
    std::memset(s.counters, 0, plane_counter_words(tokens_) * sizeof(std::uint64_t));
    s.chain->proposals = 0;
    s.chain->flips = 0;
    s.key = restart_key(job_.seed, s.chain->restart);
    s.pending = s.pending_leaves = s.absorbed = s.absorbed_leaves = 0;
    fill_up(s);
    std::fill_n(s.seen.data(), words_, 0);
    std::fill_n(s.seen_leaves.data(), words_, 0);
  }

  void fill_up(State& s, std::int32_t end = kGroup) const {
    for (std::int32_t k = s.pending; k < end; ++k) {
      s.pending_row[k] = static_cast<std::uint32_t>(tokens_) * row_size_;
      s.pending_inverse[k] = 0;
    }
  }

  // Fields of a word as the absorbed flips make them; its counters are 0 afterwards.
  Batch64 read_counters(State& s, std::int32_t w) const {
    Batch64 f;
    for (std::size_t k = 0; k < kParts; ++k) {
      f[k] =
          Batch::load_aligned(s.chain->fields + static_cast<std::size_t>(w) * 64 + k * Batch::size);
    }
    const std::int32_t flips = s.absorbed - s.seen[w];
    if (flips == 0) return f;
    const std::int32_t leaves = s.absorbed_leaves - s.seen_leaves[w];
    s.seen[w] = s.absorbed;
    s.seen_leaves[w] = s.absorbed_leaves;
    // A row that leaves went in complemented: -x = (1 - x) - 1.
    std::int32_t constant = planes_.base * (flips - 2 * leaves);
    const auto levels =
        static_cast<std::int32_t>(std::bit_width(static_cast<std::uint32_t>(flips)));
    for (int p = 0; p < kPlanes; ++p) {
      std::uint64_t* plane =
          s.counters + static_cast<std::size_t>(p) * kCounterLevels * row_words_ + w;
      Batch64 count;
      count.fill(Batch(std::int16_t{0}));
      for (std::int32_t l = levels - 1; l >= 0; --l) {
        const Batch64 own = lanes_of_bits(plane[static_cast<std::size_t>(l) * row_words_], Arch{});
        for (std::size_t k = 0; k < kParts; ++k) count[k] = (count[k] + count[k]) - own[k];
        plane[static_cast<std::size_t>(l) * row_words_] = 0;
      }
      const Batch weight(planes_.weight[p]);
      for (std::size_t k = 0; k < kParts; ++k) f[k] = f[k] + count[k] * weight;
      constant -= planes_.weight[p] * leaves;
    }
    const Batch rest(wrapped(constant));
    for (std::size_t k = 0; k < kParts; ++k) f[k] = f[k] + rest;
    return f;
  }

  // Fields of a word with every flip so far; stores them without the pending ones, whose rows are
  // yet to come to the counters. Their words are added up as bits, too.
  Batch64 fields_of(State& s, std::int32_t w) const {
    Batch64 f = read_counters(s, w);
    store(s, w, f);
    std::int32_t constant = planes_.base * (s.pending - 2 * s.pending_leaves);
    for (int p = 0; p < kPlanes; ++p) {
      const std::uint64_t* from = planes_.bits + static_cast<std::size_t>(p) * row_words_ + w;
      const auto load = [&](std::int32_t r) {
        return from[s.pending_row[r]] ^ s.pending_inverse[r];
      };
      std::uint64_t first, second, two_a, two_b, twos, fours;
      carry_save(load(0), load(1), load(2), first, two_a);
      carry_save(load(3), load(4), load(5), second, two_b);
      const std::uint64_t ones = first ^ second;
      carry_save(two_a, two_b, first & second, twos, fours);
      const Batch64 one = lanes_of_bits(ones, Arch{});
      const Batch64 two = lanes_of_bits(twos, Arch{});
      const Batch64 four = lanes_of_bits(fours, Arch{});
      const Batch weight(planes_.weight[p]);
      const Batch weight2(wrapped(2 * planes_.weight[p]));
      const Batch weight4(wrapped(4 * planes_.weight[p]));
      for (std::size_t k = 0; k < kParts; ++k) {
        f[k] = f[k] + ((one[k] & weight) + (two[k] & weight2)) + (four[k] & weight4);
      }
      constant -= planes_.weight[p] * s.pending_leaves;
    }
    const Batch rest(wrapped(constant));
    for (std::size_t k = 0; k < kParts; ++k) f[k] = f[k] + rest;
    return f;
  }

  static void store(const State& s, std::int32_t w, const Batch64& f) {
    for (std::size_t k = 0; k < kParts; ++k) {
      f[k].store_aligned(s.chain->fields + static_cast<std::size_t>(w) * 64 + k * Batch::size);
    }
  }

  [[nodiscard]] static std::uint64_t accepting(const Batch64& f, const Batch64& m,
                                               const Batch64& bound) {
    Mask64<Arch> mask;
    for (std::size_t k = 0; k < kParts; ++k) mask[k] = (f[k] ^ m[k]) <= bound[k];
    return mask_bits(mask);
  }

  // dense/dense_impl.h's pass, with a row made from bits. Returns a bit for each restart that
  // flipped something.
  std::uint32_t pass(std::int32_t w, std::array<Batch64, kChains>& bound) {
    const Batch ones(static_cast<std::int16_t>(-1));
    const std::uint64_t usable = w + 1 == words_ ? last_valid_ : ~std::uint64_t{0};
    const std::uint64_t last_lane = usable ^ (usable >> 1);
    const std::uint64_t* rows = planes_.own + static_cast<std::size_t>(w) * 64 * kMaxPlanes;
    std::array<Batch64, kChains> f;
    std::array<Batch64, kChains> m;
    std::array<std::uint64_t, kChains> spins;
    std::array<std::uint64_t, kChains> accept;
    std::uint64_t any = 0;
    for (int c = 0; c < kChains; ++c) {
      f[c] = fields_of(state_[c], w);
      spins[c] = state_[c].chain->spins[w];
      const Batch64 own = lanes_of_bits(spins[c], Arch{});
      for (std::size_t k = 0; k < kParts; ++k) {
        m[c][k] = own[k] ^ ones;
        bound[c][k] = bound[c][k] + m[c][k];
      }
      accept[c] = accepting(f[c], m[c], bound[c]) & usable;
      any |= accept[c];
    }
    while (any != 0) {
      any = 0;
      for (int c = 0; c < kChains; ++c) {
        State& s = state_[c];
        const std::uint64_t bit = accept[c] & (~accept[c] + 1);
        const bool leaves = (spins[c] & bit) != 0;
        // A restart with nothing to flip goes through the same motions: the last row times 0.
        const auto i = static_cast<std::uint32_t>(std::countr_zero(accept[c] | last_lane));
        const Step& step = steps_[static_cast<std::size_t>((bit != 0) + static_cast<int>(leaves))];
        Batch64 own = lanes_of_bits(rows[i * kMaxPlanes], Arch{});
        for (std::size_t k = 0; k < kParts; ++k) own[k] = step.zero ^ (own[k] & step.change[0]);
        if constexpr (kPlanes == 2) {
          const Batch64 second = lanes_of_bits(rows[i * kMaxPlanes + 1], Arch{});
          for (std::size_t k = 0; k < kParts; ++k) own[k] = own[k] ^ (second[k] & step.change[1]);
        }
        for (std::size_t k = 0; k < kParts; ++k) f[c][k] = f[c][k] + own[k];
        const std::uint32_t row = (static_cast<std::uint32_t>(w) * 64 + i) * row_size_;
        for (std::size_t at = 0; at < kPlanes * row_words_; at += 8) {
          __builtin_prefetch(planes_.bits + row + at);  // absorb() will want it
        }
        s.pending_row[s.pending] = row;
        s.pending_inverse[s.pending] = ~std::uint64_t{0} * static_cast<std::uint64_t>(leaves);
        s.pending += bit != 0;
        s.pending_leaves += leaves;
        spins[c] ^= bit;
        accept[c] = accepting(f[c], m[c], bound[c]) & usable & ~(bit | (bit - 1));
        any |= accept[c];
      }
    }
    std::uint32_t flipped = 0;
    for (int c = 0; c < kChains; ++c) {
      State& s = state_[c];
      const std::uint64_t changed = spins[c] ^ s.chain->spins[w];
      if (changed == 0) {
        fill_up(s, s.pending + 1);  // motions without a flip leave an entry
        continue;
      }
      flipped |= 1U << c;
      s.chain->flips += std::popcount(changed);
      s.chain->spins[w] = spins[c];
      if (planes_.base != 0) correct_diagonal(s, w, changed & spins[c], changed & ~spins[c]);
      absorb_groups(s, w);
    }
    return flipped;
  }

  // The planes give a diagonal of `base`, the problem has 0.
  void correct_diagonal(State& s, std::int32_t w, std::uint64_t entered, std::uint64_t left) const {
    std::int16_t* fields = s.chain->fields + static_cast<std::size_t>(w) * 64;
    const Batch64 in = lanes_of_bits(entered, Arch{});
    const Batch64 out = lanes_of_bits(left, Arch{});
    const Batch base(planes_.base);
    for (std::size_t k = 0; k < kParts; ++k) {
      const Batch old = Batch::load_aligned(fields + k * Batch::size);
      ((old - (in[k] & base)) + (out[k] & base)).store_aligned(fields + k * Batch::size);
    }
  }

  void absorb_groups(State& s, std::int32_t w) {
    std::int32_t done = 0;
    while (s.pending - done >= kGroup) {
      absorb(s, done, w);
      done += kGroup;
    }
    if (done > 0) {
      s.pending -= done;
      std::copy_n(s.pending_row.data() + done, s.pending, s.pending_row.data());
      std::copy_n(s.pending_inverse.data() + done, s.pending, s.pending_inverse.data());
    }
    fill_up(s);
  }

  template <class T>
  static void carry_save(T a, T b, T c, T& sum, T& carry) {
    const T half = a ^ b;
    sum = half ^ c;
    carry = (a & b) | (half & c);
  }

  // Adds seven rows, the pending ones from `first` on, to the counters of all words. `w` is the
  // word just swept: the next one's counters are the oldest, and bound how far a carry can go.
  void absorb(State& s, std::int32_t first_row, std::int32_t w) {
    s.absorbed += kGroup;
    const std::int32_t oldest = s.absorbed - s.seen[w + 1 == words_ ? 0 : w + 1];
    const auto levels =
        static_cast<std::int32_t>(std::bit_width(static_cast<std::uint32_t>(oldest)));
    std::array<const std::uint64_t*, kGroup> rows;
    std::array<Word, kGroup> inverse;
    std::int32_t leaves = 0;
    for (std::int32_t r = 0; r < kGroup; ++r) {
      rows[r] = planes_.bits + s.pending_row[first_row + r];
      inverse[r] = Word(s.pending_inverse[first_row + r]);
      leaves += s.pending_inverse[first_row + r] != 0;
    }
    s.absorbed_leaves += leaves;
    s.pending_leaves -= leaves;
    for (int p = 0; p < kPlanes; ++p) {
      std::uint64_t* plane = s.counters + static_cast<std::size_t>(p) * kCounterLevels * row_words_;
      for (std::size_t at = 0; at < row_words_; at += Word::size) {
        const auto load = [&](std::int32_t r) {
          return Word::load_aligned(rows[r] + static_cast<std::size_t>(p) * row_words_ + at) ^
                 inverse[r];
        };
        Word first, second, ones, twos, fours, carry, two_a, two_b, two_c;
        carry_save(load(0), load(1), load(2), first, two_a);
        carry_save(load(3), load(4), load(5), second, two_b);
        carry_save(first, second, load(6), ones, two_c);
        carry_save(two_a, two_b, two_c, twos, fours);
        std::uint64_t* counter = plane + at;
        const Word c0 = Word::load_aligned(counter);
        (c0 ^ ones).store_aligned(counter);
        carry = c0 & ones;
        counter += row_words_;
        Word sum;
        carry_save(Word::load_aligned(counter), twos, carry, sum, carry);
        sum.store_aligned(counter);
        counter += row_words_;
        carry_save(Word::load_aligned(counter), fours, carry, sum, carry);
        sum.store_aligned(counter);
        for (std::int32_t l = 3; l < levels; ++l) {
          counter += row_words_;
          const Word old = Word::load_aligned(counter);
          (old ^ carry).store_aligned(counter);
          carry = carry & old;
        }
      }
    }
  }

  // Descent by single flips; with one head there is no set of heads to choose. A restart that has
  // settled stays in lock-step: its passes flip nothing and are not counted.
  void settle() {
    std::uint32_t moving = (1U << kChains) - 1;
    while (moving != 0) {
      std::uint32_t flipped = 0;
      for (std::int32_t w = 0; w < words_; ++w) {
        std::array<Batch64, kChains> bound;
        for (Batch64& one : bound) one.fill(Batch(static_cast<std::int16_t>(-1)));
        flipped |= pass(w, bound);
      }
      for (int c = 0; c < kChains; ++c) {
        if ((moving >> c & 1U) != 0) state_[c].chain->proposals += tokens_;
      }
      moving &= flipped;
    }
  }

  // E = -1/2 sum s (g + b), exact: g holds every coupling twice. Fields are complete from here on.
  [[nodiscard]] std::int64_t energy(State& s) const {
    std::int64_t twice = 0;
    alignas(64) std::array<std::int16_t, 64> fields;
    for (std::int32_t w = 0; w < words_; ++w) {
      const Batch64 f = fields_of(s, w);
      for (std::size_t k = 0; k < kParts; ++k) f[k].store_aligned(fields.data() + k * Batch::size);
      for (std::uint64_t left = s.chain->spins[w]; left != 0; left &= left - 1) {
        const auto i = static_cast<std::size_t>(std::countr_zero(left));
        twice -= fields[i] + job_.problem.fields[static_cast<std::size_t>(w) * 64 + i];
      }
    }
    return twice / 2;
  }

  /// What a flip adds to a field whose bit is 0, and the bits in which other fields' amounts differ
  /// from it (the planes exclude each other): one load and three operations a vector.
  struct Step {
    Batch zero;
    std::array<Batch, kMaxPlanes> change;
  };
  [[nodiscard]] Step make_step(std::int32_t sign) const {
    const auto change = [&](int p) {
      return Batch(wrapped(wrapped(planes_.base * sign) ^
                           wrapped((planes_.base + planes_.weight[p]) * sign)));
    };
    return {Batch(wrapped(planes_.base * sign)), {change(0), change(1)}};
  }

  const AnnealJob& job_;
  const CouplingPlanes& planes_;
  const std::int32_t tokens_;
  const std::int32_t words_;
  const std::size_t row_words_;
  const std::uint32_t row_size_;  ///< words of all planes of a row
  const std::uint64_t last_valid_;
  const std::array<Step, 3> steps_;  ///< nothing flips, a spin enters, a spin leaves
  std::array<State, kChains> state_;
};

template <class Arch, int kChains>
void anneal_plane_group(const AnnealJob& job, const CouplingPlanes& planes, Chain* chains,
                        std::uint64_t* counters) {
  if (planes.planes == 1) {
    PlaneAnnealer<Arch, 1, kChains>(job, planes, chains, counters).run();
  } else {
    PlaneAnnealer<Arch, 2, kChains>(job, planes, chains, counters).run();
  }
}

template <class Arch>
void anneal_planes(const AnnealJob& job, const CouplingPlanes& planes, std::span<Chain> chains,
                   std::uint64_t* counters) {
  Chain* next = chains.data();
  std::size_t left = chains.size();
  for (; left >= kPlaneChains; left -= kPlaneChains, next += kPlaneChains) {
    anneal_plane_group<Arch, kPlaneChains>(job, planes, next, counters);
  }
  for (; left > 0; --left, ++next) anneal_plane_group<Arch, 1>(job, planes, next, counters);
}

}  // namespace
}  // namespace qama::hal::cpu
