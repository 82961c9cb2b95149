// Bounds of the numbers in a record, and words for its enumerations. Internal to weights.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "weights/limits.h"
#include "weights/strict_json.h"

namespace qama::weights {

/// The name of `value` in a table of {name, value}; empty if it has none.
template <typename Enum, std::size_t n>
std::string_view name_in(const std::pair<std::string_view, Enum> (&table)[n], Enum value) noexcept {
  for (const auto& [name, entry] : table) {
    if (entry == value) return name;
  }
  return "";
}

inline std::string number_text(double value) {
  return Json(value).dump();
}

/// Collects the first broken bound of a record.
class Bounds {
 public:
  Bounds(ErrorCode code, std::string what) : code_(code), what_(std::move(what)) {}

  void range(std::string_view name, std::int64_t value, std::int64_t low, std::int64_t high) {
    if (value >= low && value <= high) return;
    fail(name, std::to_string(value), std::to_string(low) + " to " + std::to_string(high));
  }
  void real_range(std::string_view name, double value, double low, double high) {
    if (std::isfinite(value) && value >= low && value <= high) return;
    fail(name, number_text(value), number_text(low) + " to " + number_text(high));
  }
  void divides(std::string_view name, std::int64_t divisor, std::string_view of,
               std::int64_t value) {
    if (!status_.ok() || value % divisor == 0) return;
    fail(name, std::to_string(divisor),
         "a divisor of " + std::string(of) + " " + std::to_string(value));
  }
  void fail(std::string_view name, const std::string& got, const std::string& expected) {
    if (!status_.ok()) return;
    status_ = Error{code_, what_ + "." + std::string(name) + ": " + got + ", expected " + expected};
  }
  void merge(Status status) {
    if (status_.ok()) status_ = std::move(status);
  }
  [[nodiscard]] bool ok() const noexcept { return status_.ok(); }
  [[nodiscard]] Status take() { return std::move(status_); }

 private:
  ErrorCode code_;
  std::string what_;
  Status status_;
};

/// rho0 and gamma0 outside of this have no use and would only overflow later.
inline constexpr double kLargest = 1e6;
inline constexpr double kSmallest = 1e-9;

}  // namespace qama::weights
