// Differential fuzz target for long heads: every kernel that this machine runs must give the
// reference's answer to a low-rank problem, spins, energy, flips and proposals, or refuse it as the
// reference does. The first bytes choose shape, rank, form and schedule; the rest are factors and
// fields (repeated from a hash where they run out), among them very large, very small and not
// finite ones. Shape and schedule are cut to what an input of this size may cost.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "hal/cpu/kernel.h"
#include "hal/cpu/schedule.h"
#include "hal/device.h"
#include "tests/fuzz/fuzz_bytes.h"

namespace {

using namespace qama::hal;
using qama::fuzz::Bytes;

/// Mostly of size 1; `wild`: of any size, and now and then no number.
float number(Bytes& bytes, bool wild) {
  const auto plain = static_cast<float>(static_cast<std::int32_t>(bytes.byte()) - 128) / 64.0F;
  if (!wild) return plain;
  const std::uint32_t kind = bytes.byte();
  if (kind == 0) return std::numeric_limits<float>::quiet_NaN();
  if (kind == 1) return std::copysign(std::numeric_limits<float>::infinity(), plain);
  return kind < 16 ? std::ldexp(plain, static_cast<int>(bytes.byte()) - 128) : plain;
}

struct Answer {
  qama::ErrorCode error = qama::ErrorCode::ok;
  std::vector<std::uint64_t> spins;
  std::uint64_t energy = 0;  ///< the double's bits
  std::int64_t flips = 0, proposals = 0;
  friend bool operator==(const Answer&, const Answer&) = default;
};

Answer solve(const cpu::Kernel& kernel, const FactorsView& problem, const SolveOptions& options,
             std::int32_t room) {
  const auto device = open_device("cpu:" + std::string(kernel.name));
  if (!device.ok()) std::abort();
  const auto solver =
      (*device)->compile({{problem.shape.heads, room}, Form::factors, problem.rank});
  if (!solver.ok()) std::abort();
  Answer out;
  out.spins.resize(
      static_cast<std::size_t>(problem.shape.heads * words_per_head(problem.shape.tokens)));
  SolveResult result;
  // Twice: what a solver keeps must not show.
  for (int time = 0; time < 2; ++time) {
    const auto status = (*solver)->solve(problem, options, out.spins, result);
    out.error = status.ok() ? qama::ErrorCode::ok : status.error().code;
  }
  if (out.error != qama::ErrorCode::ok) {
    out.spins.clear();
    return out;
  }
  out.energy = std::bit_cast<std::uint64_t>(result.real_energy);
  out.flips = result.flips;
  out.proposals = result.proposals;
  const std::int32_t behind = problem.shape.tokens % 64;
  for (std::int32_t t = 0; t < problem.shape.heads && behind != 0; ++t) {
    const auto last = static_cast<std::size_t>((t + 1) * words_per_head(problem.shape.tokens) - 1);
    if ((out.spins[last] >> behind) != 0) std::abort();
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes in({data, size});
  const std::int64_t work = qama::fuzz::work_of({data, size});
  FactorsView problem;
  problem.shape = {1 + static_cast<std::int32_t>(in.byte() % 5),
                   1 + static_cast<std::int32_t>(in.word() % 300)};
  // Now and then so many numbers a token that a single head is swept in blocks.
  const std::uint32_t rank = in.byte();
  problem.rank = rank >= 250 ? 1000 + static_cast<std::int32_t>(rank) - 240
                             : 1 + static_cast<std::int32_t>(rank % 80);
  while (std::int64_t{problem.shape.tokens} * problem.rank > work) problem.shape.tokens /= 2;
  problem.shape.tokens = std::max(problem.shape.tokens, 1);
  const std::int64_t a_head = std::int64_t{problem.shape.tokens} * problem.rank;
  problem.shape.heads =
      static_cast<std::int32_t>(std::clamp<std::int64_t>(work / a_head, 1, problem.shape.heads));
  const std::uint32_t form = in.byte();
  const bool wild = (form & 7U) == 7;
  SolveOptions options;
  options.seed = in.word();
  options.schedule.sweeps = static_cast<std::int32_t>(in.byte() % 6);
  options.schedule.restarts = 1 + static_cast<std::int32_t>(in.byte() % 3);
  // A sweep goes over all factors.
  const std::int64_t sweeps = 1 + 4 * work / (problem.shape.heads * a_head);
  options.schedule.sweeps =
      static_cast<std::int32_t>(std::min<std::int64_t>(options.schedule.sweeps, sweeps));
  options.schedule.restarts = static_cast<std::int32_t>(std::clamp<std::int64_t>(
      sweeps / (options.schedule.sweeps + 1), 1, options.schedule.restarts));
  options.schedule.t_start = static_cast<float>(1 + in.byte()) / 64.0F;
  options.schedule.t_end = options.schedule.t_start / static_cast<float>(1 + in.byte() % 32);
  const auto room = problem.shape.tokens + static_cast<std::int32_t>(in.byte() % 40);

  const auto numbers = [&in, wild](std::int64_t count) {
    std::vector<float> out(static_cast<std::size_t>(count));
    std::generate(out.begin(), out.end(), [&in, wild] { return number(in, wild); });
    return out;
  };
  const std::int64_t spins = problem.shape.spins();
  const std::vector<float> scale = numbers(problem.shape.heads);
  const std::vector<float> shift = numbers(problem.shape.heads);
  const std::vector<float> fields = numbers(spins);
  const std::vector<float> right = numbers(spins * problem.rank);
  // left_i . right_j must be symmetric: one array, or a factor for each d.
  std::vector<float> left;
  if ((form & 8U) != 0) {
    const std::vector<float> factors =
        numbers(static_cast<std::int64_t>(problem.shape.heads) * problem.rank);
    left = right;
    for (std::int64_t k = 0; k < spins * problem.rank; ++k) {
      const std::int64_t head =
          k / (static_cast<std::int64_t>(problem.shape.tokens) * problem.rank);
      left[static_cast<std::size_t>(k)] *=
          factors[static_cast<std::size_t>(head * problem.rank + k % problem.rank)];
    }
  }
  problem.right = right.data();
  problem.left = left.empty() ? right.data() : left.data();
  problem.scale = (form & 16U) != 0 ? scale.data() : nullptr;
  problem.shift = (form & 32U) != 0 ? shift.data() : nullptr;
  problem.fields = fields.data();
  problem.penalty = std::fabs(number(in, wild));

  const Answer expected = solve(cpu::kernels().front(), problem, options, room);
  for (const cpu::Kernel& kernel : cpu::kernels()) {
    if (!kernel.supported() || solve(kernel, problem, options, room) == expected) continue;
    std::fprintf(stderr, "kernel %.*s differs from the reference on %d x %d spins of rank %d\n",
                 static_cast<int>(kernel.name.size()), kernel.name.data(), problem.shape.heads,
                 problem.shape.tokens, problem.rank);
    std::abort();
  }
  return 0;
}
