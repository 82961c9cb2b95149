// Strict reading of JSON that came with a file: bounded depth, no key twice, no unknown key, every
// number checked for type and range. Internal to weights/: the only header here that includes
// nlohmann-json.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hal/base/result.h"

namespace qama::weights {

using Json = nlohmann::json;

/// Deepest nesting of objects and arrays that is read.
inline constexpr std::size_t kMaxJsonDepth = 16;

/// Parses one JSON value. `what` begins the error's sentence; `code` is the error for everything
/// but a key that appears twice in an object, which is MODEL_DUPLICATE_KEY.
[[nodiscard]] Result<Json> parse_strict_json(std::string_view text, std::string_view what,
                                             ErrorCode code);

/// Reads the keys of one JSON object. The first error sticks and later reads do nothing, so that a
/// record is read key by key and checked once, by finish(). Every read key must be there.
class ObjectReader {
 public:
  /// `what` names the object in errors, e.g. "architecture.image"; `value` must outlive the reader.
  ObjectReader(const Json& value, std::string what, ErrorCode code);

  /// Integers from 0, floating-point numbers that are finite, booleans, strings.
  void read(std::string_view key, std::int32_t& out);
  void read(std::string_view key, std::uint64_t& out);
  void read(std::string_view key, double& out);
  void read(std::string_view key, bool& out);
  void read(std::string_view key, std::string& out);
  void read(std::string_view key, std::vector<double>& out);
  /// A string out of a table of {name, value}.
  template <typename Enum, std::size_t n>
  void read(std::string_view key, Enum& out, const std::pair<std::string_view, Enum> (&table)[n]) {
    std::string text;
    read(key, text);
    if (!status_.ok()) return;
    std::string expected;
    for (const auto& [name, value] : table) {
      if (text == name) {
        out = value;
        return;
      }
      expected += (expected.empty() ? "" : "|") + std::string(name);
    }
    fail_value(key, expected, text);
  }

  /// The value of a key as it is, or null after an error.
  [[nodiscard]] const Json* raw(std::string_view key);
  /// The value of a key that may be missing, or null.
  [[nodiscard]] const Json* optional(std::string_view key);

  /// Makes `status` the error, if it is one and there is none yet.
  void merge(Status status);
  /// The first error; otherwise an error if the object has a key that was not read.
  [[nodiscard]] Status finish();

 private:
  void fail_type(std::string_view key, std::string_view expected, const Json& got);
  void fail_value(std::string_view key, std::string_view expected, std::string_view got);

  const Json& value_;
  std::string what_;
  ErrorCode code_;
  Status status_;
  std::vector<std::string_view> known_;
};

}  // namespace qama::weights
