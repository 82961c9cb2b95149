// Result<T> and Status: how every function of this project that can fail says so. No exception is
// thrown for an error; a Result is [[nodiscard]], holds either a value or an Error, and is never
// empty.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "hal/base/error.h"

namespace qama {

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  /// Precondition: ok().
  [[nodiscard]] T& value() & { return std::get<0>(state_); }
  [[nodiscard]] const T& value() const& { return std::get<0>(state_); }
  [[nodiscard]] T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  /// Precondition: !ok().
  [[nodiscard]] const Error& error() const& { return std::get<1>(state_); }
  [[nodiscard]] Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

/// Success or an Error, for functions without a value.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)) {}

  [[nodiscard]] bool ok() const noexcept { return error_.code == ErrorCode::ok; }
  explicit operator bool() const noexcept { return ok(); }
  /// Precondition: !ok().
  [[nodiscard]] const Error& error() const& { return error_; }
  [[nodiscard]] Error&& error() && { return std::move(error_); }

 private:
  Error error_{ErrorCode::ok, {}};
};

}  // namespace qama

/// Returns the error of `expression` (a Status or Result) from the enclosing function, if it has
/// one.
#define QAMA_RETURN_IF_ERROR(expression)                            \
  do {                                                              \
    auto qama_status_ = (expression);                               \
    if (!qama_status_.ok()) return std::move(qama_status_).error(); \
  } while (false)

#define QAMA_CONCAT_INNER_(a, b) a##b
#define QAMA_CONCAT_(a, b) QAMA_CONCAT_INNER_(a, b)

/// `QAMA_ASSIGN_OR_RETURN(auto x, f());` declares x from f()'s value or returns its error.
#define QAMA_ASSIGN_OR_RETURN(declaration, expression)              \
  auto QAMA_CONCAT_(qama_result_, __LINE__) = (expression);         \
  if (!QAMA_CONCAT_(qama_result_, __LINE__).ok())                   \
    return std::move(QAMA_CONCAT_(qama_result_, __LINE__)).error(); \
  declaration = std::move(QAMA_CONCAT_(qama_result_, __LINE__)).value()
