// What the C++ library of emscripten 3.1.6 (LLVM 14) lacks of C++20, as the standard has it. Read
// before every file of a WebAssembly build; a newer library needs none of it.
#pragma once

#ifdef __cplusplus
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <system_error>
#include <type_traits>
#include <version>

namespace std {

#ifndef __cpp_lib_bit_cast
template <class To, class From>
requires(sizeof(To) == sizeof(From)) [[nodiscard]] constexpr To
    bit_cast(const From& from) noexcept {
  return __builtin_bit_cast(To, from);
}
#endif

#ifndef __cpp_lib_smart_ptr_for_overwrite
template <class T>
requires(!is_array_v<T>) unique_ptr<T> make_unique_for_overwrite() {
  return unique_ptr<T>(new T);
}
template <class T>
requires is_unbounded_array_v<T> unique_ptr<T> make_unique_for_overwrite(size_t count) {
  return unique_ptr<T>(new remove_extent_t<T>[count]);
}
#endif

#ifndef __cpp_lib_to_chars
/// Fixed or scientific notation, without sign `+`, blanks, or hexadecimal digits.
inline from_chars_result from_chars(const char* first, const char* last, double& value) {
  const char* end = first;
  const auto digits = [&] {
    const char* const begin = end;
    while (end != last && *end >= '0' && *end <= '9') ++end;
    return end - begin;
  };
  if (end != last && *end == '-') ++end;
  auto count = digits();
  if (end != last && *end == '.') {
    ++end;
    count += digits();
  }
  if (count == 0) return {first, errc::invalid_argument};
  if (end != last && (*end == 'e' || *end == 'E')) {
    const char* const mark = end++;
    if (end != last && (*end == '-' || *end == '+')) ++end;
    if (digits() == 0) end = mark;
  }
  const string text(first, end);
  const double read = strtod(text.c_str(), nullptr);
  if (read == HUGE_VAL || read == -HUGE_VAL) return {end, errc::result_out_of_range};
  value = read;
  return {end, errc()};
}

inline to_chars_result to_chars(char* first, char* last, const char* text, int length) {
  if (length < 0 || length > last - first) return {last, errc::value_too_large};
  memcpy(first, text, static_cast<size_t>(length));
  return {first + length, errc()};
}
inline to_chars_result to_chars(char* first, char* last, double value, chars_format /*general*/,
                                int digits) {
  char text[512];
  return to_chars(first, last, text, snprintf(text, sizeof text, "%.*g", digits, value));
}
/// The fewest digits that are read as the same number.
inline to_chars_result to_chars(char* first, char* last, double value) {
  char text[64];
  int length = 0;
  for (int digits = 1; digits <= 17; ++digits) {
    length = snprintf(text, sizeof text, "%.*g", digits, value);
    if (strtod(text, nullptr) == value) break;
  }
  return to_chars(first, last, text, length);
}
#endif

}  // namespace std
#endif
