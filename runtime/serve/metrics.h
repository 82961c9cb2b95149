// What a server counts, and the text in which Prometheus reads it. Any thread may add.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace qama::serve {

/// Seconds by powers of two: a time is in the first bucket whose bound it does not exceed.
class TimeHistogram {
 public:
  void add(double seconds) noexcept;
  /// Lines `NAME_bucket{LABELS,le="..."}`, `NAME_sum`, `NAME_count`.
  void print(std::string& out, std::string_view name, std::string_view labels) const;

 private:
  static constexpr std::size_t kBuckets = 20;  // 2^-15 s = 31 us up to 16 s
  std::array<std::atomic<std::uint64_t>, kBuckets + 1> counts_{};
  std::atomic<std::uint64_t> nanoseconds_{0};
};

/// Of one model, over all its reloads.
struct ModelMetrics {
  std::atomic<std::uint64_t> samples{0}, refused{0}, failed{0}, late{0}, full{0}, here{0},
      reloads{0}, failed_reloads{0};
  TimeHistogram request_time;    ///< from the request's last byte to its answer
  TimeHistogram inference_time;  ///< of a batch in the session
};

/// A line with the kind of a metric, and what it is.
void print_kind(std::string& out, std::string_view name, std::string_view kind,
                std::string_view help);
void print_value(std::string& out, std::string_view name, std::string_view labels,
                 std::uint64_t value);

}  // namespace qama::serve
