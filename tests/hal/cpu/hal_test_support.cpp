#include "tests/hal/cpu/hal_test_support.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>

namespace qama::hal::test {
namespace {

bool selected(const std::vector<std::uint64_t>& spins, std::int32_t words, std::int32_t t,
              std::int32_t i) {
  return ((spins[static_cast<std::size_t>(t * words + i / 64)] >> (i % 64)) & 1U) != 0;
}

}  // namespace

std::int64_t Random::between(std::int64_t low, std::int64_t high) noexcept {
  return low + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(high - low + 1));
}

OwnedProblem::OwnedProblem(const ProblemShape& shape, std::int16_t penalty)
    : shape_(shape),
      penalty_(penalty),
      couplings_(static_cast<std::size_t>(shape.spins()) *
                 static_cast<std::size_t>(row_stride(shape.tokens))),
      fields_(static_cast<std::size_t>(shape.heads) *
              static_cast<std::size_t>(row_stride(shape.tokens))) {}

DenseView OwnedProblem::problem() const noexcept {
  DenseView out;
  out.shape = shape_;
  out.couplings = couplings_.data();
  out.fields = fields_.data();
  out.penalty = penalty_;
  return out;
}

std::int16_t& OwnedProblem::coupling(std::int32_t t, std::int32_t i, std::int32_t j) noexcept {
  return couplings_[static_cast<std::size_t>(t * shape_.tokens + i) *
                        static_cast<std::size_t>(row_stride(shape_.tokens)) +
                    static_cast<std::size_t>(j)];
}

std::int16_t& OwnedProblem::field(std::int32_t t, std::int32_t i) noexcept {
  return fields_[static_cast<std::size_t>(t) * static_cast<std::size_t>(row_stride(shape_.tokens)) +
                 static_cast<std::size_t>(i)];
}

void OwnedProblem::couple(std::int32_t t, std::int32_t i, std::int32_t j,
                          std::int16_t value) noexcept {
  coupling(t, i, j) = value;
  coupling(t, j, i) = value;
}

OwnedProblem OwnedProblem::random(const ProblemShape& shape, ProblemKind kind, std::int32_t penalty,
                                  Random& random) {
  const std::int32_t fits = shape.heads > 1 ? INT16_MAX / (shape.heads - 1) : INT16_MAX;
  OwnedProblem out(shape, static_cast<std::int16_t>(std::min(penalty, fits)));
  // What is left of a row for couplings and field.
  const std::int32_t budget = INT16_MAX - (shape.heads - 1) * out.penalty_;
  const std::int32_t largest = shape.tokens > 1 ? budget / (shape.tokens - 1) : 0;
  for (std::int32_t t = 0; t < shape.heads; ++t) {
    for (std::int32_t i = 0; i < shape.tokens; ++i) {
      for (std::int32_t j = i + 1; j < shape.tokens; ++j) {
        std::int64_t value = 0;
        switch (kind) {
          case ProblemKind::dense:
            value = random.between(-largest, largest);
            break;
          case ProblemKind::sparse:
            if (random.between(0, 9) == 0) value = random.between(-largest, largest);
            break;
          case ProblemKind::zero:
            break;
          case ProblemKind::extreme:
            value = random.between(0, 1) == 0 ? largest : -largest;
            break;
          case ProblemKind::ties:
            value = random.between(-1, 1) * std::min(largest, 100);
            break;
          case ProblemKind::same_heads:
            value = t == 0 ? random.between(0, largest) : out.coupling(0, i, j);
            break;
        }
        out.couple(t, i, j, static_cast<std::int16_t>(value));
      }
    }
    for (std::int32_t i = 0; i < shape.tokens; ++i) {
      std::int32_t left = budget;
      for (std::int32_t j = 0; j < shape.tokens; ++j) left -= std::abs(out.coupling(t, i, j));
      std::int64_t value = 0;
      switch (kind) {
        case ProblemKind::extreme:
          value = random.between(0, 1) == 0 ? left : -left;
          break;
        case ProblemKind::ties:
          value = random.between(-2, 2) * std::min(left / 2, 100);
          break;
        case ProblemKind::same_heads:
          value = t == 0 ? random.between(-left, left) : out.field(0, i);
          break;
        default:
          value = random.between(-left, left);
          break;
      }
      out.field(t, i) = static_cast<std::int16_t>(value);
    }
  }
  return out;
}

OwnedSparse::OwnedSparse(const DenseView& dense) : spins(dense.shape.tokens) {
  const auto stride = static_cast<std::size_t>(row_stride(spins));
  fields.assign(dense.fields, dense.fields + stride);
  first.push_back(0);
  for (std::int32_t i = 0; i < spins; ++i) {
    for (std::int32_t j = 0; j < spins; ++j) {
      const std::int16_t coupling =
          dense.couplings[static_cast<std::size_t>(i) * stride + static_cast<std::size_t>(j)];
      if (coupling != 0) neighbours.push_back({j, coupling});
    }
    first.push_back(static_cast<std::int64_t>(neighbours.size()));
  }
}

OwnedSparse OwnedSparse::random(std::int32_t spins, std::int32_t neighbours, Random& random) {
  OwnedSparse out;
  out.spins = spins;
  std::vector<std::map<std::int32_t, std::int16_t>> rows(static_cast<std::size_t>(spins));
  for (std::int64_t k = 0; k < std::int64_t{spins} * neighbours / 2; ++k) {
    const auto i = static_cast<std::int32_t>(random.between(0, spins - 1));
    const auto j = static_cast<std::int32_t>(random.between(0, spins - 1));
    const std::int64_t size = random.between(1, 9);
    if (i == j) continue;
    const auto coupling = static_cast<std::int16_t>(random.between(0, 1) == 0 ? -size : size);
    rows[static_cast<std::size_t>(i)][j] = rows[static_cast<std::size_t>(j)][i] = coupling;
  }
  out.fields.resize(static_cast<std::size_t>(row_stride(spins)));
  out.first.push_back(0);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (const auto& [spin, coupling] : rows[i]) out.neighbours.push_back({spin, coupling});
    out.first.push_back(static_cast<std::int64_t>(out.neighbours.size()));
    out.fields[i] = static_cast<std::int16_t>(random.between(-20, 20));
  }
  return out;
}

SparseView OwnedSparse::problem() const noexcept {
  SparseView out;
  out.spins = spins;
  out.first = first.data();
  out.neighbours = neighbours.data();
  out.count = static_cast<std::int64_t>(neighbours.size());
  out.fields = fields.data();
  return out;
}

KernelRun::KernelRun(const cpu::Kernel& kernel, const ProblemShape& shape) : kernel_(kernel) {
  const auto stride = static_cast<std::size_t>(row_stride(shape.tokens));
  field_room_ = static_cast<std::size_t>(shape.heads) * stride;
  count_room_ = stride;
  spin_room_ = round_up(static_cast<std::size_t>(shape.heads) *
                            static_cast<std::size_t>(words_per_head(shape.tokens)),
                        8);
  fields_.resize(cpu::kMaxChains * field_room_);
  counts_.resize(cpu::kMaxChains * count_room_);
  spins_.resize(cpu::kMaxChains * spin_room_);
}

std::vector<ChainAnswer> KernelRun::operator()(const DenseView& problem,
                                               const std::vector<std::uint16_t>& temperatures,
                                               std::uint64_t seed, std::int32_t first,
                                               std::int32_t chains, bool settle) {
  cpu::AnnealJob job;
  job.problem = problem;
  job.temperatures = temperatures.data();
  job.sweeps = static_cast<std::int32_t>(temperatures.size());
  job.seed = seed;
  job.settle = settle;
  std::array<cpu::Chain, cpu::kMaxChains> memory{};
  for (std::size_t c = 0; c < memory.size(); ++c) {
    memory[c].restart = first + static_cast<std::int32_t>(c);
    memory[c].fields = fields_.data() + c * field_room_;
    memory[c].counts = counts_.data() + c * count_room_;
    memory[c].spins = spins_.data() + c * spin_room_;
  }
  kernel_.anneal(job, std::span(memory).first(static_cast<std::size_t>(chains)));
  const auto words = static_cast<std::size_t>(problem.shape.heads) *
                     static_cast<std::size_t>(words_per_head(problem.shape.tokens));
  std::vector<ChainAnswer> out;
  for (std::size_t c = 0; c < static_cast<std::size_t>(chains); ++c) {
    out.push_back({{memory[c].spins, memory[c].spins + words},
                   memory[c].energy,
                   memory[c].proposals,
                   memory[c].flips});
  }
  return out;
}

const std::vector<const cpu::Kernel*>& kernels_under_test() {
  static const std::vector<const cpu::Kernel*> list = [] {
    std::vector<const cpu::Kernel*> out;
    for (const cpu::Kernel& kernel : cpu::kernels()) {
      if (kernel.supported()) {
        out.push_back(&kernel);
      } else {
        std::printf("SKIPPED: kernel %s: this machine lacks %s\n", std::string(kernel.name).c_str(),
                    std::string(kernel.needs).c_str());
      }
    }
    return out;
  }();
  return list;
}

double brute_force_energy(const DenseView& problem, const std::vector<std::uint64_t>& spins) {
  const std::int32_t heads = problem.shape.heads;
  const std::int32_t tokens = problem.shape.tokens;
  const std::int32_t words = (tokens + 63) / 64;
  const auto stride = static_cast<std::size_t>(words) * 64;
  double energy = 0;
  for (std::int32_t t = 0; t < heads; ++t) {
    for (std::int32_t i = 0; i < tokens; ++i) {
      if (!selected(spins, words, t, i)) continue;
      const auto row = static_cast<std::size_t>(t * tokens + i);
      energy -= problem.fields[static_cast<std::size_t>(t) * stride + static_cast<std::size_t>(i)];
      for (std::int32_t j = i + 1; j < tokens; ++j) {
        if (selected(spins, words, t, j)) {
          energy -= problem.couplings[row * stride + static_cast<std::size_t>(j)];
        }
      }
      for (std::int32_t u = t + 1; u < heads; ++u) {
        if (selected(spins, words, u, i)) energy += problem.penalty;
      }
    }
  }
  return energy;
}

double brute_force_minimum(const DenseView& problem) {
  const std::int32_t tokens = problem.shape.tokens;
  const auto spins = static_cast<std::int32_t>(problem.shape.spins());
  std::vector<std::uint64_t> state(static_cast<std::size_t>(problem.shape.heads));
  double best = std::numeric_limits<double>::infinity();
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << spins); ++bits) {
    for (std::int32_t t = 0; t < problem.shape.heads; ++t) {
      state[static_cast<std::size_t>(t)] =
          (bits >> (t * tokens)) & ((std::uint64_t{1} << tokens) - 1);
    }
    best = std::min(best, brute_force_energy(problem, state));
  }
  return best;
}

std::string describe_case(const DenseView& problem, std::string_view more) {
  return std::to_string(problem.shape.heads) + " x " + std::to_string(problem.shape.tokens) +
         ", penalty " + std::to_string(problem.penalty) + ", " + std::string(more);
}

}  // namespace qama::hal::test
