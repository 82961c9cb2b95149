// The low-rank annealer as it is defined, scalar: the same float operations in the same order as
// low_rank_impl.h, one lane at a time. Belongs here: nothing fast.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "hal/cpu/low_rank.h"
#include "hal/cpu/schedule.h"

namespace qama::hal::cpu {
namespace {

float lane_product(const float* column, const float* z, std::int32_t rank) {
  std::array<float, 4> strand{};
  for (std::int32_t d = 0; d < rank; ++d) {
    const auto k = static_cast<std::size_t>(d % 4);
    strand[k] = strand[k] + column[d * kTile] * z[d];
  }
  return (strand[0] + strand[1]) + (strand[2] + strand[3]);
}

class LowRankReference {
 public:
  LowRankReference(const LowRankJob& job, LowRankChain& chain)
      : job_(job), p_(*job.problem), chain_(chain), words_(words_per_head(p_.tokens)) {}

  void run() {
    std::memset(chain_.spins, 0, static_cast<std::size_t>(p_.heads) * words_ * sizeof(std::uint64_t));
    std::memset(chain_.counts, 0, static_cast<std::size_t>(p_.tiles) * kTile * sizeof(float));
    chain_.flips = 0;
    for (std::int32_t i = 0; i < p_.tokens && p_.heads == 1; ++i) {
      if (!(p_.fields[i] > 0.0F)) continue;
      chain_.spins[i / 64] |= std::uint64_t{1} << (i % 64);
      chain_.counts[i] = 1.0F;
    }
    recompute_z();
    const std::uint64_t key = restart_key(job_.seed, chain_.restart);
    std::uint64_t pass = 0;
    for (std::int32_t sweep = 0; sweep < job_.sweeps; ++sweep) {
      for (std::int32_t t = 0; t < p_.heads; ++t) {
        for (std::int32_t tile = 0; tile < p_.tiles; ++tile, ++pass) {
          std::array<float, kTile> threshold;
          const float* variates = float_variates() + variate_offset(key, pass);
          for (std::size_t k = 0; k < kTile; ++k) {
            threshold[k] = variates[k] * job_.temperatures[sweep];
          }
          tile_pass(t, tile, threshold);
        }
      }
    }
    if (job_.sweeps > 0) recompute_z();
    std::array<float, kTile> threshold;
    threshold.fill(-1e-5F * p_.unit);
    std::int32_t descents = 0;
    for (bool changed = true; changed && descents < 1000; ++descents) {
      changed = false;
      for (std::int32_t t = 0; t < p_.heads; ++t) {
        for (std::int32_t tile = 0; tile < p_.tiles; ++tile) {
          changed = tile_pass(t, tile, threshold) || changed;
        }
      }
    }
    recompute_z();
    chain_.proposals = static_cast<std::int64_t>(job_.sweeps + descents) * p_.heads * p_.tokens;
    chain_.energy = energy();
  }

 private:
  [[nodiscard]] std::size_t row(std::int32_t t, std::int32_t i) const {
    return static_cast<std::size_t>(t) * p_.tiles * kTile + static_cast<std::size_t>(i);
  }
  [[nodiscard]] bool selected(std::int32_t t, std::int32_t i) const {
    return ((chain_.spins[t * words_ + i / 64] >> (i % 64)) & 1U) != 0;
  }
  [[nodiscard]] float selected_count(std::int32_t t) const {
    std::int32_t count = 0;
    for (std::int32_t w = 0; w < words_; ++w) {
      count += __builtin_popcountll(chain_.spins[t * words_ + w]);
    }
    return static_cast<float>(count);
  }

  // b_i + sum_{j != i} J_ij s_j.
  [[nodiscard]] float gain_of(std::int32_t t, std::int32_t i) const {
    const float* column =
        p_.left + (static_cast<std::size_t>(t) * p_.tiles + i / kTile) * p_.rank * kTile + i % kTile;
    const float product =
        lane_product(column, chain_.z + static_cast<std::size_t>(t) * p_.right_stride, p_.rank);
    const float everything = product + p_.shift[t] * selected_count(t);
    const float own = selected(t, i) ? 1.0F : 0.0F;
    return (everything - p_.self[row(t, i)] * own) + p_.fields[row(t, i)];
  }

  bool tile_pass(std::int32_t t, std::int32_t tile, const std::array<float, kTile>& threshold) {
    const std::int32_t first = tile * kTile;
    const std::int32_t used = std::min(kTile, p_.tokens - first);
    std::array<float, kTile> gain{};
    for (std::int32_t k = 0; k < used; ++k) {
      const float own = selected(t, first + k) ? 1.0F : 0.0F;
      gain[k] = gain_of(t, first + k) - (chain_.counts[first + k] - own) * p_.penalty;
    }
    bool changed = false;
    for (std::int32_t i = 0; i < used; ++i) {
      const bool on = selected(t, first + i);
      const float cost = on ? gain[i] : -gain[i];
      if (!(cost <= threshold[i])) continue;
      changed = true;
      const float sign = on ? -1.0F : 1.0F;
      const float* inside =
          p_.inside + ((static_cast<std::size_t>(t) * p_.tiles + tile) * kTile + i) * kTile;
      for (std::int32_t k = 0; k < kTile; ++k) gain[k] = gain[k] + inside[k] * sign;
      move_z(t, first + i, sign);
      chain_.counts[first + i] += sign;
      chain_.spins[t * words_ + (first + i) / 64] ^= std::uint64_t{1} << ((first + i) % 64);
      ++chain_.flips;
    }
    return changed;
  }

  void move_z(std::int32_t t, std::int32_t i, float sign) {
    float* z = chain_.z + static_cast<std::size_t>(t) * p_.right_stride;
    const float* right = p_.right + (static_cast<std::size_t>(t) * p_.right_rows + i) * p_.right_stride;
    for (std::int32_t d = 0; d < p_.right_stride; ++d) z[d] = z[d] + right[d] * sign;
  }

  void recompute_z() {
    std::memset(chain_.z, 0, static_cast<std::size_t>(p_.heads) * p_.right_stride * sizeof(float));
    for (std::int32_t t = 0; t < p_.heads; ++t) {
      for (std::int32_t i = 0; i < p_.tokens; ++i) {
        if (selected(t, i)) move_z(t, i, 1.0F);
      }
    }
  }

  [[nodiscard]] double energy() const {
    double sum = 0;
    for (std::int32_t t = 0; t < p_.heads; ++t) {
      for (std::int32_t i = 0; i < p_.tokens; ++i) {
        if (!selected(t, i)) continue;
        sum -= (static_cast<double>(gain_of(t, i)) + static_cast<double>(p_.fields[row(t, i)])) / 2;
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
};

}  // namespace

float low_rank_unit(const LowRankLayout& layout, const float* squares) noexcept {
  double sum = 0;
  for (std::int32_t k = 0; k < kTile; ++k) sum += static_cast<double>(squares[k]);
  double pairs = 0;
  for (std::int32_t tile = 0; tile < layout.tiles; ++tile) {
    const std::int32_t used = std::min(kTile, layout.tokens - tile * kTile);
    for (const std::int32_t j : kUnitRows) pairs += j < used ? layout.heads * static_cast<double>(used - 1) : 0.0;
  }
  const double mean = pairs > 0 ? sum / pairs : 0.0;
  // A sum that is not finite must show.
  if (mean <= 0) return 1.0F;
  return static_cast<float>(std::sqrt(mean * (layout.tokens - 1)));
}

void load_low_rank_reference(const LowRankProblem& problem, LowRankLayout& layout) {
  const std::int32_t rank = problem.rank;
  const std::size_t tokens = static_cast<std::size_t>(problem.shape.tokens);
  const std::size_t rows = static_cast<std::size_t>(layout.tiles) * kTile;
  layout.right = problem.right;
  layout.right_rows = problem.shape.tokens;
  if (layout.right_copy != nullptr) {
    layout.right = layout.right_copy;
    layout.right_rows = static_cast<std::int64_t>(rows);
  }
  std::array<float, kTile> squares{};
  for (std::size_t t = 0; t < static_cast<std::size_t>(layout.heads); ++t) {
    const float scale = problem.scale == nullptr ? 1.0F : problem.scale[t];
    layout.shift[t] = problem.shift == nullptr ? 0.0F : problem.shift[t];
    for (std::size_t i = 0; i < rows; ++i) {
      const bool real = i < tokens;
      const std::size_t from = t * tokens + i;
      float* column =
          layout.left + (t * static_cast<std::size_t>(layout.tiles) + i / kTile) * rank * kTile + i % kTile;
      for (std::int32_t d = 0; d < rank; ++d) {
        column[d * kTile] = real ? problem.left[from * rank + d] * scale : 0.0F;
        if (!real || layout.right_copy == nullptr) continue;
        layout.right_copy[(t * rows + i) * layout.right_stride + d] = problem.right[from * rank + d];
      }
      if (real && layout.right_copy != nullptr) {
        float* right = layout.right_copy + (t * rows + i) * layout.right_stride;
        std::fill(right + rank, right + layout.right_stride, 0.0F);
      }
      layout.fields[t * rows + i] = real ? problem.fields[from] : 0.0F;
    }
    for (std::int32_t tile = 0; tile < layout.tiles; ++tile) {
      const std::int32_t used = std::min(kTile, layout.tokens - tile * kTile);
      const std::size_t block = t * static_cast<std::size_t>(layout.tiles) + tile;
      layout.known[block] = 0xFFFF;
      std::fill_n(layout.self + block * kTile, kTile, 0.0F);
      for (std::int32_t j = 0; j < used; ++j) {
        const float* right =
            layout.right + (t * layout.right_rows + static_cast<std::size_t>(tile) * kTile + j) * layout.right_stride;
        float* to = layout.inside + (block * kTile + j) * kTile;
        const bool of_unit = std::find(std::begin(kUnitRows), std::end(kUnitRows), j) != std::end(kUnitRows);
        for (std::int32_t i = 0; i < kTile; ++i) {
          const float value =
              lane_product(layout.left + block * rank * kTile + i, right, rank) + layout.shift[t];
          if (i == j) layout.self[block * kTile + j] = value;
          to[i] = i == j || i >= used ? 0.0F : value;
          if (of_unit) squares[static_cast<std::size_t>(i)] += to[i] * to[i];
        }
      }
    }
  }
  layout.penalty = problem.penalty;
  layout.unit = low_rank_unit(layout, squares.data());
}

void anneal_low_rank_reference(const LowRankJob& job, LowRankChain& chain) {
  LowRankReference(job, chain).run();
}

}  // namespace qama::hal::cpu
