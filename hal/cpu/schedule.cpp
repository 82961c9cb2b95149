#include "hal/cpu/schedule.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "hal/cpu/factors/factors.h"

// Both tables are constants. A module of WebAssembly is loaded over a network, and random numbers
// do not compress: it computes them at their first use, which is 19 kB less and the same bits.
#ifdef __EMSCRIPTEN__
#define QAMA_TABLE_FUNCTION
#define QAMA_TABLE static const
#else
#define QAMA_TABLE_FUNCTION constexpr
#define QAMA_TABLE static constexpr
#endif

namespace qama::hal::cpu {
namespace {

// ln 2 and the series below are evaluated by the compiler, in IEEE double, with no call to a maths
// library: the table is the same wherever it was compiled.
constexpr double kLn2 = 0.693147180559945309417;

QAMA_TABLE_FUNCTION double natural_log(double x) {
  int exponent = 0;
  while (x < 0.75) {
    x *= 2;
    --exponent;
  }
  // ln x = 2 atanh((x-1)/(x+1)), |.| <= 1/7: 16 terms are more than double precision.
  const double y = (x - 1) / (x + 1);
  const double y2 = y * y;
  double term = y;
  double sum = 0;
  for (int k = 1; k < 33; k += 2) {
    sum += term / k;
    term *= y2;
  }
  return 2 * sum + exponent * kLn2;
}

// Stratified: one variate for each of kVariates equal slices of (0, 1), then a Fisher-Yates
// shuffle.
QAMA_TABLE_FUNCTION VariateTable make_table() {
  VariateTable table{};
  for (std::int32_t k = 0; k < kVariates; ++k) {
    const double u = (k + 0.5) / kVariates;
    table.value[static_cast<std::size_t>(k)] =
        static_cast<std::uint16_t>(-natural_log(u) * (1 << kVariateBits) + 0.5);
  }
  for (std::int32_t k = kVariates - 1; k > 0; --k) {
    const std::uint64_t random = counter_random(0x746162656CULL, static_cast<std::uint64_t>(k));
    const auto other = static_cast<std::size_t>(random % static_cast<std::uint64_t>(k + 1));
    const std::uint16_t swapped = table.value[static_cast<std::size_t>(k)];
    table.value[static_cast<std::size_t>(k)] = table.value[other];
    table.value[other] = swapped;
  }
  // A pass that starts near the end reads on: the first 64 again.
  for (std::size_t k = 0; k < 64; ++k) table.value[kVariates + k] = table.value[k];
  return table;
}

struct alignas(64) FloatTable {
  std::array<float, kVariates + 64> value;
};
QAMA_TABLE_FUNCTION FloatTable make_float_table() {
  const VariateTable table = make_table();
  FloatTable out{};
  for (std::size_t k = 0; k < out.value.size(); ++k) {
    out.value[k] = static_cast<float>(table.value[k]) / static_cast<float>(1 << kVariateBits);
  }
  return out;
}

}  // namespace

const VariateTable& variate_table() noexcept {
  QAMA_TABLE VariateTable table = make_table();
  return table;
}
const float* float_variates() noexcept {
  QAMA_TABLE FloatTable table = make_float_table();
  return table.value.data();
}

void random_heads(std::uint64_t seed, std::int32_t restart, std::int32_t heads, std::int32_t count,
                  std::uint8_t* order) noexcept {
  const std::uint64_t key = mix64(restart_key(seed, restart) ^ 0x4845414453ULL);
  std::array<std::uint8_t, kMaxHeads> all;
  for (std::int32_t t = 0; t < heads; ++t)
    all[static_cast<std::size_t>(t)] = static_cast<std::uint8_t>(t);
  for (std::int32_t k = 0; k < count; ++k) {
    const std::uint64_t random = counter_random(key, static_cast<std::uint64_t>(k));
    const auto other = static_cast<std::size_t>(k) +
                       static_cast<std::size_t>(random % static_cast<std::uint64_t>(heads - k));
    std::swap(all[static_cast<std::size_t>(k)], all[other]);
    order[k] = all[static_cast<std::size_t>(k)];
  }
}

double row_norm(const DenseView& problem) noexcept {
  const std::size_t rows = static_cast<std::size_t>(problem.shape.heads) *
                           static_cast<std::size_t>(problem.shape.tokens);
  const auto stride = static_cast<std::size_t>(row_stride(problem.shape.tokens));
  const std::int16_t* row = problem.couplings;
  std::int64_t sum = 0;
  for (std::size_t k = 0; k < rows; ++k, row += stride) {
    // By fits_int16 a row's squares are at most 2^30 together, so that they add up in 32 bits,
    // which is fast.
    std::uint32_t squares = 0;
    for (std::size_t j = 0; j < stride; ++j) {
      squares += static_cast<std::uint32_t>(static_cast<std::int32_t>(row[j]) * row[j]);
    }
    sum += squares;
  }
  if (sum == 0) return 1.0;
  return std::sqrt(static_cast<double>(sum) / static_cast<double>(rows));
}

double row_norm(const SparseView& problem) noexcept {
  std::int64_t sum = 0;
  for (std::int64_t k = 0; k < problem.first[problem.spins]; ++k) {
    const std::int64_t coupling = problem.neighbours[k].coupling;
    sum += coupling * coupling;
  }
  return sum == 0 ? 1.0 : std::sqrt(static_cast<double>(sum) / static_cast<double>(problem.spins));
}

namespace {

// beta rises linearly over the sweeps; a single sweep runs at the end of it.
// Temperatures count as float, as they did when they were.
double beta_at(std::int32_t k, std::int32_t sweeps, double t_start, double t_end) {
  const double first = 1.0 / static_cast<double>(static_cast<float>(t_start));
  const double last = 1.0 / static_cast<double>(static_cast<float>(t_end));
  const double along = sweeps > 1 ? static_cast<double>(k) / (sweeps - 1) : 1.0;
  return first + (last - first) * along;
}

}  // namespace

void fill_temperatures(double norm, double t_start, double t_end, std::int32_t sweeps,
                       std::uint16_t* temperatures) noexcept {
  for (std::int32_t k = 0; k < sweeps; ++k) {
    const double temperature = norm * kTemperatureOne / beta_at(k, sweeps, t_start, t_end) + 0.5;
    temperatures[k] = static_cast<std::uint16_t>(
        std::clamp(temperature, 1.0, static_cast<double>(kMaxTemperature)));
  }
}

void fill_float_temperatures(float unit, double t_start, double t_end, std::int32_t sweeps,
                             float* temperatures) noexcept {
  for (std::int32_t k = 0; k < sweeps; ++k) {
    temperatures[k] =
        static_cast<float>(static_cast<double>(unit) / beta_at(k, sweeps, t_start, t_end));
  }
}

}  // namespace qama::hal::cpu
