// The low-rank annealer as it is defined, scalar: the same float operations in the same order as
// factors_impl.h, one lane at a time. Belongs here: nothing fast.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "hal/cpu/factors/factors.h"
#include "hal/cpu/schedule.h"

namespace qama::hal::cpu {
namespace {

float row_product(const float* row, const float* z, std::int32_t stride) {
  std::array<float, kTile> sum;
  for (std::size_t l = 0; l < kTile; ++l) sum[l] = row[l] * z[l];
  for (std::int32_t d = kTile; d < stride; d += kTile) {
    for (std::size_t l = 0; l < kTile; ++l)
      sum[l] = sum[l] + row[static_cast<std::size_t>(d) + l] * z[static_cast<std::size_t>(d) + l];
  }
  for (std::size_t half = kTile / 2; half > 0; half /= 2) {
    for (std::size_t l = 0; l < half; ++l) sum[l] = sum[l] + sum[l + half];
  }
  return sum[0];
}

const float* row_of(const float* from, const FactorsLayout& p, std::int32_t t, std::int32_t i) {
  return from + (static_cast<std::ptrdiff_t>(t) * p.rows + i) * p.stride;
}

/// J_ij of a head, or what z counts too much where i is j.
float coupling(const FactorsLayout& p, std::int32_t t, std::int32_t i, std::int32_t j) {
  return row_product(row_of(p.left, p, t, i), row_of(p.right, p, t, j), p.stride) * p.scale[t] +
         p.shift[t];
}

class FactorsReference {
 public:
  FactorsReference(const FactorsJob& job, FactorsChain& chain)
      : job_(job), p_(*job.problem), chain_(chain), words_(words_per_head(p_.tokens)) {}

  void run() {
    std::memset(chain_.spins, 0,
                static_cast<std::size_t>(p_.heads) * words_ * sizeof(std::uint64_t));
    std::memset(chain_.counts, 0, static_cast<std::size_t>(p_.tiles) * kTile * sizeof(float));
    chain_.flips = 0;
    for (std::int32_t i = 0; i < p_.tokens && p_.heads == 1; ++i) {
      if (!(p_.fields[i] > 0.0F)) continue;
      chain_.spins[i / 64] |= std::uint64_t{1} << (i % 64);
      chain_.counts[i] = 1.0F;
    }
    recompute_z();
    anneal();
    if (job_.sweeps > 0) recompute_z();
    std::array<float, kTile> threshold;
    threshold.fill(-1e-5F * p_.unit);
    const std::int64_t round = static_cast<std::int64_t>(p_.heads) * p_.tiles;
    std::int64_t visits = p_.in_blocks() ? descend_in_blocks(threshold) : 0;
    const std::int64_t begun = visits;
    const std::int64_t most = begun + 1000 * round;
    for (std::int64_t quiet = 0; quiet < round && visits < most; ++visits) {
      const std::int64_t at = (visits - begun) % round;
      const auto t = static_cast<std::int32_t>(at / p_.tiles);
      const auto tile = static_cast<std::int32_t>(at % p_.tiles);
      quiet = tile_pass(t, tile, threshold) ? 0 : quiet + 1;
    }
    recompute_z();
    chain_.proposals = (job_.sweeps * round + visits) * kTile;
    chain_.energy = energy();
  }

 private:
  void anneal() {
    const std::uint64_t key = restart_key(job_.seed, chain_.restart);
    std::uint64_t pass = 0;
    for (std::int32_t first = 0; first < job_.sweeps; first += kBlockSweeps) {
      for (std::int32_t block = 0; block < p_.tiles; block += p_.block_tiles) {
        for (std::int32_t sweep = first; sweep < std::min(first + kBlockSweeps, job_.sweeps);
             ++sweep) {
          for (std::int32_t t = 0; t < p_.heads; ++t) {
            for (std::int32_t tile = block; tile < std::min(block + p_.block_tiles, p_.tiles);
                 ++tile, ++pass) {
              std::array<float, kTile> threshold;
              const float* variates = float_variates() + variate_offset(key, pass);
              for (std::size_t k = 0; k < kTile; ++k)
                threshold[k] = variates[k] * job_.temperatures[sweep];
              tile_pass(t, tile, threshold);
            }
          }
        }
      }
    }
  }

  // Each block until it is quiet.
  std::int64_t descend_in_blocks(const std::array<float, kTile>& threshold) {
    std::int64_t visits = 0;
    for (std::int32_t block = 0; block < p_.tiles; block += p_.block_tiles) {
      bool changed = true;
      for (std::int32_t k = 0; changed && k < 1000; ++k) {
        changed = false;
        for (std::int32_t t = 0; t < p_.heads; ++t) {
          for (std::int32_t tile = block; tile < std::min(block + p_.block_tiles, p_.tiles);
               ++tile, ++visits) {
            changed = tile_pass(t, tile, threshold) || changed;
          }
        }
      }
    }
    return visits;
  }

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
    const float* z = chain_.z + static_cast<std::ptrdiff_t>(t) * p_.stride;
    const float product = row_product(row_of(p_.left, p_, t, i), z, p_.stride);
    const float everything = product * p_.scale[t] + p_.shift[t] * selected_count(t);
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
      for (std::int32_t k = 0; k < used; ++k) {
        if (k != i) gain[k] = gain[k] + coupling(p_, t, first + k, first + i) * sign;
      }
      move_z(t, first + i, sign);
      chain_.counts[first + i] += sign;
      chain_.spins[t * words_ + (first + i) / 64] ^= std::uint64_t{1} << ((first + i) % 64);
      ++chain_.flips;
    }
    return changed;
  }

  void move_z(std::int32_t t, std::int32_t i, float sign) {
    float* z = chain_.z + static_cast<std::ptrdiff_t>(t) * p_.stride;
    const float* right = row_of(p_.right, p_, t, i);
    for (std::int32_t d = 0; d < p_.stride; ++d) z[d] = z[d] + right[d] * sign;
  }

  void recompute_z() {
    std::memset(chain_.z, 0, static_cast<std::size_t>(p_.heads) * p_.stride * sizeof(float));
    for (std::int32_t t = 0; t < p_.heads; ++t) {
      for (std::int32_t i = 0; i < p_.tokens; ++i) {
        if (selected(t, i)) move_z(t, i, 1.0F);
      }
    }
  }

  [[nodiscard]] double energy() const {
    double sum = 0;
    for (std::int32_t i = 0; p_.heads > 1 && i < p_.tokens; ++i) {
      const double count = static_cast<double>(chain_.counts[i]);
      sum += static_cast<double>(p_.penalty) * count * (count - 1) / 2;
    }
    for (std::int32_t t = 0; t < p_.heads; ++t)
      sum += p_.symmetric ? energy_of_sums(t) : energy_of_gains(t);
    return sum;
  }

  [[nodiscard]] double energy_of_gains(std::int32_t t) const {
    double sum = 0;
    for (std::int32_t i = 0; i < p_.tokens; ++i) {
      if (!selected(t, i)) continue;
      sum -= (static_cast<double>(gain_of(t, i)) + static_cast<double>(p_.fields[row(t, i)])) / 2;
    }
    return sum;
  }

  [[nodiscard]] double energy_of_sums(std::int32_t t) const {
    std::array<double, kTile> lanes{};
    for (std::int32_t i = 0; i < p_.tokens; ++i) {
      if (!selected(t, i)) continue;
      lanes[static_cast<std::size_t>(i % kTile)] +=
          static_cast<double>(p_.self[row(t, i)] * 0.5F - p_.fields[row(t, i)]);
    }
    double sum = 0;
    for (const double lane : lanes) sum += lane;
    double squares = 0;
    for (std::int32_t d = 0; d < p_.stride; ++d) {
      const auto z = static_cast<double>(chain_.z[static_cast<std::ptrdiff_t>(t) * p_.stride + d]);
      squares += z * z;
    }
    const auto count = static_cast<double>(selected_count(t));
    return sum - (static_cast<double>(p_.scale[t]) * squares +
                  static_cast<double>(p_.shift[t]) * (count * count)) /
                     2;
  }

  const FactorsJob& job_;
  const FactorsLayout& p_;
  FactorsChain& chain_;
  const std::int32_t words_;
};

}  // namespace

float factors_unit(const FactorsLayout& layout, const float* squares) noexcept {
  double sum = 0;
  for (std::int32_t k = 0; k < kTile; ++k) sum += static_cast<double>(squares[k]);
  double pairs = 0;
  for (std::int32_t tile = 0; tile < std::min(layout.tiles, layout.unit_tiles); ++tile) {
    const std::int32_t used = std::min(kTile, layout.tokens - tile * kTile);
    for (const std::int32_t j : kUnitRows)
      pairs += j < used ? layout.heads * static_cast<double>(used - 1) : 0.0;
  }
  const double mean = pairs > 0 ? sum / pairs : 0.0;
  // A sum that is not finite must show.
  if (mean <= 0) return 1.0F;
  return static_cast<float>(std::sqrt(mean * (layout.tokens - 1)));
}

void load_factors_reference(const FactorsView& problem, FactorsLayout& layout) {
  const std::int32_t rank = problem.rank;
  const std::int32_t stride = layout.stride;
  layout.symmetric = problem.left == problem.right;
  layout.left = problem.left;
  layout.right = problem.right;
  layout.rows = problem.shape.tokens;
  if (layout.left_copy != nullptr) {
    for (std::int64_t i = 0; i < layout.heads * layout.rows; ++i) {
      for (std::int32_t d = 0; d < stride; ++d) {
        layout.left_copy[i * stride + d] = d < rank ? problem.left[i * rank + d] : 0.0F;
        layout.right_copy[i * stride + d] = d < rank ? problem.right[i * rank + d] : 0.0F;
      }
    }
    layout.left = layout.left_copy;
    layout.right = layout.right_copy;
  }
  std::array<float, kTile> squares{};
  for (std::int32_t t = 0; t < layout.heads; ++t) {
    layout.scale[t] = problem.scale == nullptr ? 1.0F : problem.scale[t];
    layout.shift[t] = problem.shift == nullptr ? 0.0F : problem.shift[t];
    for (std::int32_t tile = 0; tile < layout.tiles; ++tile) {
      const std::int32_t first = tile * kTile;
      const std::int32_t used = std::min(kTile, layout.tokens - first);
      const std::size_t at = (static_cast<std::size_t>(t) * layout.tiles + tile) * kTile;
      for (std::int32_t i = 0; i < kTile; ++i) {
        layout.fields[at + i] = i < used ? problem.fields[t * layout.rows + first + i] : 0.0F;
        layout.self[at + i] = i < used ? coupling(layout, t, first + i, first + i) : 0.0F;
      }
      for (const std::int32_t j : kUnitRows) {
        for (std::int32_t i = 0; i < used && j < used && tile < layout.unit_tiles; ++i) {
          const float value = i == j ? 0.0F : coupling(layout, t, first + i, first + j);
          squares[static_cast<std::size_t>(i)] += value * value;
        }
      }
    }
  }
  layout.penalty = problem.penalty;
  layout.unit = factors_unit(layout, squares.data());
}

void anneal_factors_reference(const FactorsJob& job, FactorsChain& chain) {
  FactorsReference(job, chain).run();
}

}  // namespace qama::hal::cpu
