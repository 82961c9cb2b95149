#include "hal/base/strict_json.h"

#include <cmath>
#include <limits>
#include <set>

#include "hal/base/quote.h"

namespace qama {
namespace {

// A pass over the text that builds nothing: what a finished value no longer shows, and what it must
// not grow to. nlohmann's parser keeps its own stack on the heap, so depth never is the call
// stack's; a value's destructor recurses, as deep as the rules let it.
class StructureCheck final : public nlohmann::json_sax<Json> {
 public:
  explicit StructureCheck(const JsonRules& rules) : rules_(rules) {}

  [[nodiscard]] Status take_status() { return std::move(status_); }

  bool null() override { return count(); }
  bool boolean(bool /*value*/) override { return count(); }
  bool number_integer(number_integer_t /*value*/) override { return count(); }
  bool number_unsigned(number_unsigned_t /*value*/) override { return count(); }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return count(); }
  bool string(string_t& /*value*/) override { return count(); }
  bool binary(binary_t& /*value*/) override { return count(); }

  bool start_object(std::size_t /*elements*/) override {
    keys_.emplace_back();
    return enter();
  }
  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    return refuse(rules_.twice, "key " + quote(name) + " twice, expected once");
  }
  bool end_object() override {
    keys_.pop_back();
    --depth_;
    return true;
  }
  bool start_array(std::size_t /*elements*/) override { return enter(); }
  bool end_array() override {
    --depth_;
    return true;
  }

  bool parse_error(std::size_t position, const std::string& last_token,
                   const nlohmann::json::exception& /*error*/) override {
    return refuse(rules_.code,
                  "not JSON at byte " + std::to_string(position) + ", near " + quote(last_token));
  }

 private:
  bool enter() {
    if (++depth_ <= rules_.max_depth) return count();
    return refuse(rules_.code, "nested deeper than expected, at most " +
                                   std::to_string(rules_.max_depth) + " levels");
  }
  bool count() {
    if (++values_ <= rules_.max_values) return true;
    return refuse(rules_.code,
                  "expected at most " + std::to_string(rules_.max_values) + " values, got more");
  }
  bool refuse(ErrorCode code, const std::string& sentence) {
    status_ = Error{code, std::string(rules_.what) + ": " + sentence};
    return false;
  }

  const JsonRules& rules_;
  Status status_;
  std::size_t depth_ = 0;
  std::size_t values_ = 0;
  std::vector<std::set<std::string>> keys_;
};

}  // namespace

template <typename J>
Result<J> parse_json(std::string_view text, const JsonRules& rules) {
  const std::string what(rules.what);
  if (text.size() > rules.max_bytes) {
    return Error{rules.code, what + ": " + std::to_string(text.size()) +
                                 " bytes, expected at most " + std::to_string(rules.max_bytes)};
  }
  // nlohmann's parser takes a zero byte for the end of the text and would not see what hides behind
  // it.
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos) {
    return Error{rules.code,
                 what + ": not JSON at byte " + std::to_string(zero + 1) + ", a zero byte"};
  }
  StructureCheck check(rules);
  const bool accepted = Json::sax_parse(text.begin(), text.end(), &check);
  QAMA_RETURN_IF_ERROR(check.take_status());
  if (accepted) {
    J value = J::parse(text.begin(), text.end(), nullptr, false);
    if (!value.is_discarded()) return value;
  }
  return Error{rules.code, what + ": not JSON"};
}
template Result<Json> parse_json(std::string_view text, const JsonRules& rules);
template Result<nlohmann::ordered_json> parse_json(std::string_view text, const JsonRules& rules);

ObjectReader::ObjectReader(const Json& value, std::string what, ErrorCode code)
    : value_(value), what_(std::move(what)), code_(code) {
  if (!value_.is_object()) {
    status_ = Error{code_, what_ + ": " + value_.type_name() + ", expected an object"};
  }
}

const Json* ObjectReader::optional(std::string_view key) {
  if (!status_.ok()) return nullptr;
  known_.push_back(key);
  const auto found = value_.find(key);
  return found == value_.end() ? nullptr : &*found;
}

const Json* ObjectReader::raw(std::string_view key) {
  const Json* found = optional(key);
  if (found == nullptr && status_.ok()) {
    status_ = Error{code_, what_ + ": key '" + std::string(key) + "' missing"};
  }
  return found;
}

void ObjectReader::read(std::string_view key, std::uint64_t& out) {
  const Json* value = raw(key);
  if (value == nullptr) return;
  if (!value->is_number_unsigned()) return fail_type(key, "an integer from 0", *value);
  out = value->get<std::uint64_t>();
}

void ObjectReader::read(std::string_view key, std::int32_t& out) {
  std::uint64_t wide = 0;
  read(key, wide);
  if (!status_.ok()) return;
  if (wide > static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max())) {
    return fail_value(key, "at most 2147483647", std::to_string(wide));
  }
  out = static_cast<std::int32_t>(wide);
}

void ObjectReader::read(std::string_view key, double& out) {
  const Json* value = raw(key);
  if (value == nullptr) return;
  if (!value->is_number()) return fail_type(key, "a number", *value);
  out = value->get<double>();
  if (!std::isfinite(out)) fail_value(key, "a finite number", "none");
}

void ObjectReader::read(std::string_view key, bool& out) {
  const Json* value = raw(key);
  if (value == nullptr) return;
  if (!value->is_boolean()) return fail_type(key, "a boolean", *value);
  out = value->get<bool>();
}

void ObjectReader::read(std::string_view key, std::string& out) {
  const Json* value = raw(key);
  if (value == nullptr) return;
  if (!value->is_string()) return fail_type(key, "a string", *value);
  out = value->get<std::string>();
}

void ObjectReader::read(std::string_view key, std::vector<double>& out) {
  const Json* value = raw(key);
  if (value == nullptr) return;
  if (!value->is_array()) return fail_type(key, "an array of numbers", *value);
  out.clear();
  for (const Json& element : *value) {
    if (!element.is_number()) return fail_type(key, "an array of numbers", element);
    out.push_back(element.get<double>());
    if (!std::isfinite(out.back())) return fail_value(key, "finite numbers", "another");
  }
}

void ObjectReader::merge(Status status) {
  if (status_.ok()) status_ = std::move(status);
}

Status ObjectReader::finish() {
  if (!status_.ok()) return std::move(status_);
  for (const auto& [key, value] : value_.items()) {
    bool known = false;
    for (const std::string_view name : known_) known = known || name == key;
    if (!known) return Error{code_, what_ + ": unknown key " + quote(key)};
  }
  return {};
}

void ObjectReader::fail_type(std::string_view key, std::string_view expected, const Json& got) {
  const bool is_number = got.is_number();
  fail_value(key, expected, is_number ? got.dump() : std::string(got.type_name()));
}

void ObjectReader::fail_value(std::string_view key, std::string_view expected,
                              std::string_view got) {
  status_ = Error{code_, what_ + "." + std::string(key) + ": " + quote(got) + ", expected " +
                             std::string(expected)};
}

}  // namespace qama
