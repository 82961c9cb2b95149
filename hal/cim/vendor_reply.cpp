#include "hal/cim/vendor_reply.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"

namespace qama::hal::cim {
namespace {

constexpr std::size_t kNameBytes = 24;    // of a member; longer ones are none of ours
constexpr std::size_t kNumberBytes = 32;  // of a spin, 1.0e0 included
constexpr std::size_t kSamplesDepth = 3, kSampleDepth = 4;

bool is_space(char c) noexcept {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

/// A number as JSON has it: no +, no 0 before other digits, digits on both sides of the point.
bool is_json_number(std::string_view text) noexcept {
  const auto skip_digits = [&] {
    const auto end = std::find_if_not(text.begin(), text.end(), is_digit);
    const auto count = static_cast<std::size_t>(end - text.begin());
    text.remove_prefix(count);
    return count;
  };
  if (text.starts_with('-')) text.remove_prefix(1);
  const bool zero = text.starts_with('0');
  const std::size_t whole = skip_digits();
  if (whole == 0 || (zero && whole > 1)) return false;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (skip_digits() == 0) return false;
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
    if (skip_digits() == 0) return false;
  }
  return text.empty();
}

/// 1 or -1, or 0 for anything else.
std::int8_t spin_of(std::string_view number) noexcept {
  if (number == "1") return 1;
  if (number == "-1") return -1;
  if (number.size() > kNumberBytes || !is_json_number(number)) return 0;
  double value = 0;
  const auto got = std::from_chars(number.data(), number.data() + number.size(), value);
  if (got.ec != std::errc{} || got.ptr != number.data() + number.size()) return 0;
  return value == 1 ? std::int8_t{1} : value == -1 ? std::int8_t{-1} : std::int8_t{0};
}

}  // namespace

ReplyReader::ReplyReader(std::size_t width, std::size_t first_ancilla, const char* list)
    : width_(width), first_ancilla_(first_ancilla), list_(list) {
  row_.reserve(width);
  samples_.bytes = (width + 7) / 8;
}

bool ReplyReader::fail(Error error) {
  if (failure_.ok()) failure_ = std::move(error);
  return false;
}

// libcurl calls this, and no exception may go through it.
bool ReplyReader::take(std::string_view bytes) noexcept {
  try {
    return take_all(bytes);
  } catch (...) {
    return fail({ErrorCode::out_of_memory, {}});
  }
}

bool ReplyReader::take_all(std::string_view bytes) {
  if (!failure_.ok()) return false;
  came_ += bytes.size();
  const std::size_t most = width_ > 0 ? kMaxSamplesBytes : kMaxControlReplyBytes;
  if (came_ > most) {
    return fail(make_error(ErrorCode::device_protocol, "a reply of more than ", most, " bytes"));
  }
  while (!bytes.empty()) {
    const std::size_t numbers = take_numbers(bytes);
    if (numbers == 0 && !take(bytes.front())) return false;
    bytes.remove_prefix(std::max<std::size_t>(numbers, 1));
  }
  return true;
}

/// What is the same byte by byte, but faster: "1," and "-1," at the beginning of `bytes`. Returns
/// how many bytes that were.
std::size_t ReplyReader::take_numbers(std::string_view bytes) {
  if (in_samples_ && is_damaged_ && !in_string_ && depth_ > kSamplesDepth) {
    // Nothing counts any more but where it ends.
    const auto end = std::find_if(bytes.begin(), bytes.end(), [](char c) {
      return c == ']' || c == '[' || c == '"' || c == '{' || c == '}';
    });
    return static_cast<std::size_t>(end - bytes.begin());
  }
  if (!in_samples_ || depth_ != kSampleDepth || is_damaged_ || in_string_ || !number_.empty())
    return 0;
  std::size_t at = 0;
  while (row_.size() < width_) {
    const bool minus = at < bytes.size() && bytes[at] == '-';
    const std::size_t one = at + (minus ? 1 : 0);
    if (one + 1 >= bytes.size() || bytes[one] != '1' || bytes[one + 1] != ',') break;
    row_.push_back(minus ? std::int8_t{-1} : std::int8_t{1});
    has_value_ = true;  // the comma
    at = one + 2;
  }
  return at;
}

bool ReplyReader::take(char c) {
  if (in_samples_) return take_sample_byte(c);
  if (text_.size() >= kMaxControlReplyBytes) {
    return fail(make_error(ErrorCode::device_protocol, "a reply of more than ",
                           kMaxControlReplyBytes, " bytes besides its samples"));
  }
  text_ += c;
  return take_skeleton(c);
}

/// A byte of a text, its last quote included.
void ReplyReader::take_string_byte(char c) {
  if (escaped_) {
    escaped_ = false;
  } else if (c == '\\') {
    escaped_ = true;
  } else if (c == '"') {
    in_string_ = false;
    return;
  }
  if (string_.size() < kNameBytes) string_ += c;
}

void ReplyReader::begin_string() {
  in_string_ = true;
  string_.clear();
}

/// Follows texts, depth and names; whether it is JSON is judged where text() is parsed.
bool ReplyReader::take_skeleton(char c) {
  if (in_string_) {
    take_string_byte(c);
    return true;
  }
  switch (c) {
    case '"':
      begin_string();
      return true;
    case ':':
      if (depth_ == 1 || depth_ == 2) names_[depth_ - 1] = string_;
      return true;
    case '{':
    case '[':
      if (!open_container(c)) return false;
      // Of a container before it; a list has no names.
      if (depth_ <= std::size(names_)) names_[depth_ - 1].clear();
      in_samples_ = c == '[' && width_ > 0 && depth_ == kSamplesDepth && names_[0] == "data" &&
                    names_[1] == list_;
      has_item_ = has_comma_ = false;
      return true;
    case '}':
    case ']':
      if (depth_ > 0) --depth_;
      return true;
    default:
      return true;
  }
}

bool ReplyReader::open_container(char bracket) {
  const std::uint32_t bit = 1U << depth_;
  lists_ = bracket == '[' ? lists_ | bit : lists_ & ~bit;
  if (++depth_ <= kMaxReplyDepth) return true;
  return fail(make_error(ErrorCode::device_protocol, "a reply nested deeper than ", kMaxReplyDepth,
                         " levels"));
}

bool ReplyReader::fail_as_no_json(std::string_view why) {
  return fail(make_error(ErrorCode::device_protocol, "samples that are no JSON: ", why));
}

/// Before the first byte of a sample.
bool ReplyReader::begin_item() {
  if (has_item_) return fail_as_no_json("no comma between two");
  has_item_ = true;
  return true;
}

/// A byte between the brackets of the list. Where samples and brackets do not stand as in JSON the
/// whole reply is given up; a sample that holds something else is damaged, and the next one counts.
bool ReplyReader::take_sample_byte(char c) {
  if (in_string_) {
    take_string_byte(c);
    return true;
  }
  const bool between = depth_ == kSamplesDepth;
  const bool inside = depth_ == kSampleDepth;
  switch (c) {
    case '[':
    case '{':
      if (between && !begin_item()) return false;
      if (between && c == '[' && !is_damaged_) {
        row_.clear();
        has_value_ = false;
      } else if (!is_damaged_) {
        damage("a sample is no list of numbers");
      }
      return open_container(c);
    case ']':
    case '}':
      --depth_;
      if ((lists_ >> depth_ & 1U) != (c == ']' ? 1U : 0U))
        return fail_as_no_json(c == ']' ? "an object ends with ]" : "a list ends with }");
      if (inside) {
        if (has_value_) end_value();
        return end_sample();
      }
      if (between) {
        if (has_comma_ && !has_item_) return fail_as_no_json("none behind a comma");
        in_samples_ = false;
        text_ += ']';
        if (is_damaged_) return end_sample();  // what was no list
      }
      return true;
    case ',':
      if (inside) {
        end_value();
        has_value_ = true;
      } else if (between) {
        if (!has_item_) return fail_as_no_json("none before a comma");
        has_comma_ = true;
        has_item_ = false;
        if (is_damaged_) return end_sample();  // what was no list
      }
      return true;
    case '"':
      if (between && !begin_item()) return false;
      begin_string();
      if (!is_damaged_) damage("a sample holds a text, expected 1 or -1");
      return true;
    default:
      if (is_damaged_) return true;
      if (is_space(c)) {
        has_gap_ = !number_.empty();
        return true;
      }
      if (!inside) {
        if (!begin_item()) return false;
        damage("a sample is no list of numbers");
        return true;
      }
      has_value_ = true;
      // What stands apart is not one number, and neither is what is too long to be kept whole.
      if (std::exchange(has_gap_, false)) number_ += ' ';
      if (number_.size() <= kNumberBytes) number_ += c;
      return true;
  }
}

void ReplyReader::end_value() {
  const std::int8_t spin = spin_of(number_);
  if (spin == 0 && !is_damaged_) {
    damage(samples_.damage.ok() ? sentence("a sample holds ", quote(number_), ", expected 1 or -1")
                                : "");
  }
  number_.clear();
  has_value_ = has_gap_ = false;
  // One more than expected is enough to know that there are too many.
  if (row_.size() <= width_) row_.push_back(spin);
}

bool ReplyReader::end_sample() {
  if (++samples_.count > kMaxSamples) {
    return fail(
        make_error(ErrorCode::device_protocol, "a reply of more than ", kMaxSamples, " samples"));
  }
  if (!is_damaged_ && row_.size() != width_) {
    damage(samples_.damage.ok()
               ? sentence("a sample of ",
                          row_.size() > width_ ? "more" : std::to_string(row_.size()),
                          " spins, expected ", width_)
               : "");
  }
  number_.clear();
  has_value_ = has_gap_ = false;
  if (std::exchange(is_damaged_, false)) return true;
  const bool flip = row_[first_ancilla_] < 0;
  const std::size_t at = samples_.packed.size();
  samples_.packed.resize(at + samples_.bytes);
  for (std::size_t i = 0; i < width_; ++i) {
    if ((row_[i] > 0) != flip)
      samples_.packed[at + i / 8] |= static_cast<std::uint8_t>(1U << i % 8);
  }
  samples_.places.push_back(static_cast<std::uint32_t>(samples_.count - 1));
  ++samples_.good;
  return true;
}

/// Of many damaged samples only the first is worth a sentence.
void ReplyReader::damage(std::string_view what) {
  is_damaged_ = true;
  if (samples_.damage.ok())
    samples_.damage = Error{ErrorCode::device_bad_answer, std::string(what)};
}

}  // namespace qama::hal::cim
