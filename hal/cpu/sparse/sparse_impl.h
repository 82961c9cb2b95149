// The annealer on rows of neighbours, a template over xsimd's architectures, included by
// isa/<target>.cpp; see sparse.h for the method. It must give the spins of sparse/reference.cpp,
// bit for bit.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "hal/cpu/isa/simd_shim.h"
#include "hal/cpu/kernel.h"
#include "hal/cpu/schedule.h"
#include "hal/cpu/sparse/sparse.h"

namespace qama::hal::cpu {
namespace {

/// kParts vectors hold a spin's fields of all restarts of the group.
template <class Arch, std::size_t kParts>
class SparseAnnealer {
  using Batch = Lanes<Arch>;
  using Parts = std::array<Batch, kParts>;
  static constexpr std::size_t kLanes = kParts * Batch::size;

 public:
  SparseAnnealer(const AnnealJob& job, const SparseView& problem, SparseChains& chains)
      : job_(job),
        problem_(problem),
        chains_(chains),
        fields_(chains.fields),
        selected_(chains.selected) {}

  void run() {
    start();
    const std::int32_t words = words_per_head(problem_.spins);
    std::uint64_t pass_number = 0;
    std::array<std::uint64_t, kLanes> keys;
    std::array<std::uint64_t, kLanes> random{};
    for (std::size_t c = 0; c < kLanes; ++c) {
      keys[c] = restart_key(job_.seed, chains_.first + static_cast<std::int32_t>(c));
    }
    std::int64_t sweep = 0;
    for (; sweep < job_.sweeps; ++sweep) {
      if (job_.stop != nullptr && job_.stop(job_.context)) break;
      const Batch temperature(static_cast<std::int16_t>(job_.temperatures[sweep]));
      for (std::int32_t w = 0; w < words; ++w, ++pass_number) {
        for (std::size_t c = 0; c < kLanes; ++c) {
          // variate_offset(), four passes from one number.
          random[c] =
              (pass_number & 3) == 0 ? counter_random(keys[c], pass_number >> 2) : random[c] >> 16;
        }
        load_variates(random);
        const std::int32_t here = std::min(64, problem_.spins - w * 64);
        for (std::int32_t i = 0; i < here; ++i) {
          Parts bound;
          for (std::size_t k = 0; k < kParts; ++k) {
            bound[k] = mul_high_u16(
                Batch::load_aligned(variates_.data() + static_cast<std::size_t>(i) * kLanes +
                                    k * Batch::size),
                temperature);
          }
          propose(w * 64 + i, bound);
        }
      }
    }
    chains_.proposals = sweep * problem_.spins * chains_.count;
    if (job_.settle) settle();
    chains_.flips = -flips_.take();
    finish();
  }

 private:
  void start() {
    for (std::size_t k = 0; k < kLanes; ++k) {
      lane_used_[k] =
          static_cast<std::int16_t>(k < static_cast<std::size_t>(chains_.count) ? -1 : 0);
    }
    const std::int16_t* const fields =
        chains_.from != nullptr ? chains_.from_fields : problem_.fields;
    for (std::size_t i = 0; i < static_cast<std::size_t>(problem_.spins); ++i) {
      const bool set = chains_.from != nullptr && ((chains_.from[i / 64] >> (i % 64)) & 1U) != 0;
      for (std::size_t k = 0; k < kParts; ++k) {
        Batch(fields[i]).store_aligned(fields_ + i * kLanes + k * Batch::size);
        Batch(static_cast<std::int16_t>(set ? -1 : 0))
            .store_aligned(selected_ + i * kLanes + k * Batch::size);
      }
    }
  }

  // The next 64 variates of each restart, a spin's side by side. Rows k and k + 4 of eight,
  // interleaved three times, are the columns.
  void load_variates(const std::array<std::uint64_t, kLanes>& random) {
    const auto* const table = reinterpret_cast<const std::int16_t*>(variate_table().value.data());
    for (std::size_t c = 0; c < kLanes; c += 8) {
      for (std::size_t i = 0; i < 64; i += 8) {
        std::array<Row, 8> rows;
        for (std::size_t k = 0; k < 8; ++k) {
          rows[k] = Row::load_unaligned(table + (random[c + k] & (kVariates - 1)) + i);
        }
        for (int stage = 0; stage < 3; ++stage) {
          std::array<Row, 8> mixed;
          for (std::size_t k = 0; k < 4; ++k) {
            mixed[2 * k] = xsimd::zip_lo(rows[k], rows[k + 4]);
            mixed[2 * k + 1] = xsimd::zip_hi(rows[k], rows[k + 4]);
          }
          rows = mixed;
        }
        for (std::size_t k = 0; k < 8; ++k)
          rows[k].store_aligned(variates_.data() + (i + k) * kLanes + c);
      }
    }
  }

  // A restart accepts if x < bound - own: see dense/dense_impl.h. Returns lanes of ones where one
  // did.
  QAMA_ALWAYS_INLINE Parts propose(std::int32_t i, const Parts& bound) {
    const std::size_t at = static_cast<std::size_t>(i) * kLanes;
    Parts own;
    std::array<xsimd::batch_bool<std::int16_t, Arch>, kParts> accepts;
    bool any = false;
    for (std::size_t k = 0; k < kParts; ++k) {
      own[k] = Batch::load_aligned(selected_ + at + k * Batch::size);
      const Batch x =
          Batch::load_aligned(fields_ + at + k * Batch::size) ^ own[k] ^ Batch(std::int16_t{-1});
      accepts[k] = x < bound[k] - own[k];
      any |= xsimd::any(accepts[k]);
    }
    Parts flipped;
    flipped.fill(Batch(std::int16_t{0}));
    if (!any) return flipped;
    Parts signs;  // 1: joins, -1: leaves, 0: neither
    for (std::size_t k = 0; k < kParts; ++k) {
      flipped[k] =
          xsimd::select(accepts[k], Batch::load_aligned(lane_used_.data() + k * Batch::size),
                        Batch(std::int16_t{0}));
      signs[k] = flipped[k] & (own[k] | Batch(std::int16_t{1}));
      (own[k] ^ flipped[k]).store_aligned(selected_ + at + k * Batch::size);
      flips_.add(flipped[k]);
    }
    const Neighbour* const end = problem_.neighbours + problem_.first[i + 1];
    for (const Neighbour* next = problem_.neighbours + problem_.first[i]; next != end; ++next) {
      std::int16_t* const field = fields_ + static_cast<std::size_t>(next->spin) * kLanes;
      const Batch coupling(next->coupling);
      for (std::size_t k = 0; k < kParts; ++k) {
        (Batch::load_aligned(field + k * Batch::size) + coupling * signs[k])
            .store_aligned(field + k * Batch::size);
      }
    }
    return flipped;
  }

  // Sweeps of descent until no restart flips. A restart that has settled flips nothing and is not
  // counted.
  void settle() {
    Parts bound;
    bound.fill(Batch(std::int16_t{-1}));
    std::array<std::int16_t, kLanes> moving = lane_used_;
    for (std::int64_t still = chains_.count; still > 0;) {
      Parts changed;
      changed.fill(Batch(std::int16_t{0}));
      for (std::int32_t i = 0; i < problem_.spins; ++i) {
        const Parts flipped = propose(i, bound);
        for (std::size_t k = 0; k < kParts; ++k) changed[k] = changed[k] | flipped[k];
      }
      chains_.proposals += still * problem_.spins;
      still = 0;
      alignas(64) std::array<std::int16_t, kLanes> lane;
      for (std::size_t k = 0; k < kParts; ++k)
        changed[k].store_aligned(lane.data() + k * Batch::size);
      for (std::size_t k = 0; k < kLanes; ++k) {
        moving[k] = static_cast<std::int16_t>(moving[k] & lane[k]);
        still -= moving[k];
      }
    }
  }

  // E = -1/2 sum s (g + b): g holds every coupling twice. Then the spins of the best.
  void finish() {
    constexpr std::int32_t kBlock = 1 << 14;  // so many sums of two 16-bit numbers fit 32 bits
    std::array<std::int64_t, kLanes> twice{};
    for (std::int32_t first = 0; first < problem_.spins; first += kBlock) {
      std::array<std::int32_t, kLanes> sum{};
      for (std::int32_t i = first; i < std::min(first + kBlock, problem_.spins); ++i) {
        const std::size_t at = static_cast<std::size_t>(i) * kLanes;
        const std::int32_t own_field = problem_.fields[i];
        for (std::size_t k = 0; k < kLanes; ++k)
          sum[k] += selected_[at + k] & (fields_[at + k] + own_field);
      }
      for (std::size_t k = 0; k < kLanes; ++k) twice[k] -= sum[k];
    }
    chains_.best = 0;
    for (std::size_t k = 0; k < static_cast<std::size_t>(chains_.count); ++k) {
      chains_.energy[k] = twice[k] / 2;
      if (chains_.energy[k] < chains_.energy[static_cast<std::size_t>(chains_.best)]) {
        chains_.best = static_cast<std::int32_t>(k);
      }
    }
    std::fill_n(chains_.spins, words_per_head(problem_.spins), 0);
    const std::int16_t* lane = selected_ + chains_.best;
    for (std::int32_t i = 0; i < problem_.spins; ++i, lane += kLanes) {
      chains_.spins[i / 64] |= static_cast<std::uint64_t>(*lane & 1) << (i % 64);
    }
  }

  const AnnealJob& job_;
  const SparseView& problem_;
  SparseChains& chains_;
  std::int16_t* const fields_;
  std::int16_t* const selected_;
  Sums<Arch> flips_;  ///< minus their number
  alignas(64) std::array<std::int16_t, kLanes> lane_used_;
  alignas(64) std::array<std::int16_t, 64 * kLanes> variates_;
};

template <class Arch>
void anneal_sparse(const AnnealJob& job, const SparseView& problem, SparseChains& chains) {
  constexpr std::size_t kMost = static_cast<std::size_t>(kSparseLanes) / Lanes<Arch>::size;
  std::size_t parts =
      (static_cast<std::size_t>(chains.count) + Lanes<Arch>::size - 1) / Lanes<Arch>::size;
  if (chains.from != nullptr) parts = kMost;  // a restart has its column in `selected`
  if constexpr (kMost > 1) {
    if (parts == 1) return SparseAnnealer<Arch, 1>(job, problem, chains).run();
  }
  if constexpr (kMost > 2) {
    if (parts == 2) return SparseAnnealer<Arch, 2>(job, problem, chains).run();
  }
  SparseAnnealer<Arch, kMost>(job, problem, chains).run();
}

}  // namespace
}  // namespace qama::hal::cpu
