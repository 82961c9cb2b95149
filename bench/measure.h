// What every measuring program here needs: a pinned thread, quantiles, time to solution, a checksum
// of what was computed, where a figure comes from, and a table to print it in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hal/base/result.h"

namespace qama::bench {

/// Which clock now_us() reads: wall time, or the calling thread's CPU time, which a busy machine
/// disturbs less (caches aside) but which is no latency that anybody sees.
enum class ClockKind : std::uint8_t { wall, cpu };
void use_clock(ClockKind kind) noexcept;
[[nodiscard]] double now_us() noexcept;
[[nodiscard]] inline double microseconds_since(double start_us) noexcept {
  return now_us() - start_us;
}

/// Pins the calling thread to a CPU of its affinity mask: `cpu`, or the last of the mask if
/// negative. The number of the CPU, or -1 where that fails.
int pin_thread(int cpu);

/// The q-quantile by linear interpolation; 0 for no values.
[[nodiscard]] double quantile(std::vector<double> values, double q);
[[nodiscard]] inline double median(std::vector<double> values) {
  return quantile(std::move(values), 0.5);
}

/// Time after which independent repetitions of a run of `time_us` with success probability `p` have
/// succeeded with probability `q`: time_us * max(1, ln(1-q) / ln(1-p)). Infinite for p = 0.
[[nodiscard]] double time_to_solution(double time_us, double p, double q);

/// R^2 of the straight line of least squares.
[[nodiscard]] double straightness(const std::vector<double>& x, const std::vector<double>& y);

/// FNV-1a over 64-bit values.
class Checksum {
 public:
  void add(std::int64_t value) noexcept;
  [[nodiscard]] std::string text() const;

 private:
  std::uint64_t hash_ = 0xCBF29CE484222325ULL;
};

/// Peak resident memory of this process so far, in bytes.
[[nodiscard]] std::int64_t peak_memory();

/// Lines that say where figures come from: revision, compiler and flags, CPU, load, date.
[[nodiscard]] std::string provenance();

/// "12.3" with three significant digits; "inf" and "-" where there is no number.
[[nodiscard]] std::string figure(double value);

/// A table in Markdown, columns aligned.
class Table {
 public:
  explicit Table(std::vector<std::string> head) : rows_{std::move(head)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace qama::bench
