#include "bench/measure.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>

#include "build_info.h"

namespace qama::bench {
namespace {

clockid_t chosen_clock = CLOCK_MONOTONIC;

}  // namespace

void use_clock(ClockKind kind) noexcept {
  chosen_clock = kind == ClockKind::cpu ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
}

double now_us() noexcept {
  timespec now{};
  clock_gettime(chosen_clock, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

int pin_thread(int cpu) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return -1;
  for (int k = CPU_SETSIZE - 1; cpu < 0 && k >= 0; --k) {
    if (CPU_ISSET(k, &allowed)) cpu = k;
  }
  if (cpu < 0 || cpu >= CPU_SETSIZE) return -1;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  return sched_setaffinity(0, sizeof(one), &one) == 0 ? cpu : -1;
}

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  if (!std::isfinite(values[high]))
    return high == low || at > static_cast<double>(low) ? values[high] : values[low];
  return values[low] + (values[high] - values[low]) * (at - static_cast<double>(low));
}

double time_to_solution(double time_us, double p, double q) {
  if (p <= 0) return HUGE_VAL;
  if (p >= 1) return time_us;
  return time_us * std::max(1.0, std::log1p(-q) / std::log1p(-p));
}

double straightness(const std::vector<double>& x, const std::vector<double>& y) {
  const auto n = static_cast<double>(x.size());
  double sx = 0, sy = 0, sxx = 0, sxy = 0, syy = 0;
  for (std::size_t k = 0; k < x.size(); ++k) {
    sx += x[k];
    sy += y[k];
    sxx += x[k] * x[k];
    sxy += x[k] * y[k];
    syy += y[k] * y[k];
  }
  const double covariance = sxy - sx * sy / n;
  return covariance * covariance / ((sxx - sx * sx / n) * (syy - sy * sy / n));
}

void Checksum::add(std::int64_t value) noexcept {
  for (int byte = 0; byte < 8; ++byte) {
    hash_ = (hash_ ^ ((static_cast<std::uint64_t>(value) >> (8 * byte)) & 0xFF)) * 0x100000001B3ULL;
  }
}

std::string Checksum::text() const {
  char out[20];
  std::snprintf(out, sizeof(out), "%016llx", static_cast<unsigned long long>(hash_));
  return out;
}

std::int64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
}

std::string provenance() {
  std::string cpu = "unknown";
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (!line.starts_with("model name")) continue;
    cpu = line.substr(line.find(':') + 2);
    break;
  }
  double load[3] = {-1, -1, -1};
  if (getloadavg(load, 3) < 1) load[0] = -1;
  char date[40];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", std::gmtime(&now));
  return std::string("revision  ") + kBuildRevision + "\ncompiler  " + kBuildCompiler + ", " +
         kBuildFlags + "\ncpu       " + cpu + "\nload      " + figure(load[0]) +
         " when started\ndate      " + date + "\n";
}

std::string figure(double value) {
  if (std::isnan(value)) return "-";
  if (std::isinf(value)) return "inf";
  char out[40];
  const double size = std::fabs(value);
  std::snprintf(out, sizeof(out),
                size >= 99.95    ? "%.0f"
                : size >= 9.995  ? "%.1f"
                : size >= 0.9995 ? "%.2f"
                                 : "%.3g",
                value);
  return out;
}

std::string Table::text() const {
  std::vector<std::size_t> width(rows_.front().size());
  for (const auto& row : rows_) {
    for (std::size_t c = 0; c < row.size(); ++c) width[c] = std::max(width[c], row[c].size());
  }
  std::string out;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    for (std::size_t c = 0; c < width.size(); ++c) {
      const std::string cell = c < rows_[r].size() ? rows_[r][c] : "";
      out.append("| ").append(cell).append(width[c] - cell.size() + 1, ' ');
    }
    out += "|\n";
    if (r > 0) continue;
    for (const std::size_t w : width) out.append("|").append(w + 2, '-');
    out += "|\n";
  }
  return out;
}

}  // namespace qama::bench
