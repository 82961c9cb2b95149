#include "hal/base/strict_json.h"

#include <cmath>
#include <limits>

#include "hal/base/quote.h"

namespace qama {
namespace {

// Builds a value, and looks at what a finished one no longer shows and at what it must not grow to.
// nlohmann's parser keeps its own stack on the heap, so depth never is the call stack's; a value's
// destructor recurses, as deep as the rules let it.
template <typename J>
class StrictBuilder final : public nlohmann::json_sax<J> {
 public:
  explicit StrictBuilder(const JsonRules& rules) : rules_(rules) {}

  [[nodiscard]] Status take_status() { return std::move(status_); }
  [[nodiscard]] J take_value() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(typename J::number_integer_t value) override { return add(value); }
  bool number_unsigned(typename J::number_unsigned_t value) override { return add(value); }
  bool number_float(typename J::number_float_t value, const std::string& /*text*/) override {
    return add(value);
  }
  bool string(std::string& value) override { return add(std::move(value)); }
  bool binary(typename J::binary_t& /*value*/) override { return false; }  // no text has one

  bool start_object(std::size_t /*elements*/) override { return enter(J::object()); }
  bool key(std::string& name) override {
    J& object = *open_.back();
    const std::size_t before = object.size();
    member_ = &object[name];
    if (object.size() != before) return true;
    return refuse(rules_.twice, "key " + quote(name) + " twice, expected once");
  }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t /*elements*/) override { return enter(J::array()); }
  bool end_array() override { return leave(); }

  bool parse_error(std::size_t position, const std::string& last_token,
                   const nlohmann::json::exception& /*error*/) override {
    return refuse(rules_.code,
                  "not JSON at byte " + std::to_string(position) + ", near " + quote(last_token));
  }

 private:
  bool add(J value) {
    if (++values_ > rules_.max_values) {
      return refuse(rules_.code,
                    "expected at most " + std::to_string(rules_.max_values) + " values, got more");
    }
    if (open_.empty()) {
      last_ = &root_;
    } else if (open_.back()->is_array()) {
      open_.back()->push_back(nullptr);
      last_ = &open_.back()->back();
    } else {
      last_ = member_;
    }
    *last_ = std::move(value);
    return true;
  }
  bool enter(J container) {
    if (open_.size() == rules_.max_depth) {
      return refuse(rules_.code, "nested deeper than expected, at most " +
                                     std::to_string(rules_.max_depth) + " levels");
    }
    if (!add(std::move(container))) return false;
    open_.push_back(last_);
    return true;
  }
  bool leave() {
    open_.pop_back();
    return true;
  }
  bool refuse(ErrorCode code, const std::string& sentence) {
    status_ = Error{code, std::string(rules_.what) + ": " + sentence};
    return false;
  }

  const JsonRules& rules_;
  Status status_;
  J root_;
  std::vector<J*> open_;  ///< objects and arrays, the innermost last; none moves while it is open
  J* member_ = nullptr;   ///< the innermost object's, whose name came last
  J* last_ = nullptr;     ///< what was added last
  std::size_t values_ = 0;
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
  StrictBuilder<J> builder(rules);
  const bool accepted = J::sax_parse(text.begin(), text.end(), &builder);
  QAMA_RETURN_IF_ERROR(builder.take_status());
  if (accepted) return builder.take_value();
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
