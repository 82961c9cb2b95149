// The one door for JSON from outside: model files, replies of machines, configurations. Bounded
// size, depth and number of values, no key twice; a reader of objects that knows no unknown key and
// checks every number for type and range. tests/rules/doors.py forbids any other parse.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hal/base/result.h"

namespace qama {

using Json = nlohmann::json;

/// What a caller lets through the door, and how it says that something else came.
struct JsonRules {
  std::string_view what;      ///< begins the error's sentence
  ErrorCode code;             ///< of every error but the next
  ErrorCode twice;            ///< of a key that an object has twice
  std::size_t max_bytes = 0;  ///< of text
  std::size_t max_depth =
      0;  ///< of objects and arrays within each other; a destructor recurses as deep
  std::size_t max_values = 0;  ///< of objects, arrays, texts, numbers, booleans and nulls together
};

/// Parses one JSON value. Text that breaks a rule is refused before anything of its size is made.
/// J: Json, or nlohmann::ordered_json, whose objects keep their order and are searched one by one.
template <typename J = Json>
[[nodiscard]] Result<J> parse_json(std::string_view text, const JsonRules& rules);

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

}  // namespace qama
