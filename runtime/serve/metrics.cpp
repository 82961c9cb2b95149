#include "runtime/serve/metrics.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "hal/base/sentence.h"

namespace qama::serve {
namespace {

constexpr int kFirstPower = -15;

std::string text_of(double value) {
  char text[40];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

}  // namespace

void TimeHistogram::add(double seconds) noexcept {
  std::size_t bucket = 0;
  while (bucket < kBuckets && seconds > std::ldexp(1.0, kFirstPower + static_cast<int>(bucket)))
    ++bucket;
  counts_[bucket].fetch_add(1, std::memory_order_relaxed);
  nanoseconds_.fetch_add(static_cast<std::uint64_t>(std::max(seconds, 0.0) * 1e9),
                         std::memory_order_relaxed);
}

void TimeHistogram::print(std::string& out, std::string_view name, std::string_view labels) const {
  std::uint64_t count = 0;
  for (std::size_t bucket = 0; bucket <= kBuckets; ++bucket) {
    count += counts_[bucket].load(std::memory_order_relaxed);
    const std::string bound = bucket < kBuckets
                                  ? text_of(std::ldexp(1.0, kFirstPower + static_cast<int>(bucket)))
                                  : "+Inf";
    out += sentence(name, "_bucket{", labels, ",le=\"", bound, "\"} ", count, "\n");
  }
  const double sum = static_cast<double>(nanoseconds_.load(std::memory_order_relaxed)) * 1e-9;
  out += sentence(name, "_sum{", labels, "} ", text_of(sum), "\n");
  out += sentence(name, "_count{", labels, "} ", count, "\n");
}

void print_kind(std::string& out, std::string_view name, std::string_view kind,
                std::string_view help) {
  out += sentence("# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n");
}

void print_value(std::string& out, std::string_view name, std::string_view labels,
                 std::uint64_t value) {
  out += sentence(name, "{", labels, "} ", value, "\n");
}

}  // namespace qama::serve
