#include "runtime/cli/console.h"

#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace qama::cli {

void Console::line(std::string_view text) {
  errno = 0;
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
                       std::fputc('\n', stdout) != EOF;
  if (!written && write_error_ == 0) write_error_ = errno != 0 ? errno : EIO;
}

void Console::text(std::string_view lines) {
  while (lines.ends_with('\n')) lines.remove_suffix(1);
  line(lines);
}

void Console::object(const Json& value) {
  line(value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void Console::log(std::string_view sentence) const {
  if (quiet) return;
  std::fprintf(stderr, "qama: %.*s\n", static_cast<int>(sentence.size()), sentence.data());
}

void Console::report(const Error& error) {
  failed_ = true;
  // What was found so far stands above the error, also where both end in one file.
  std::fflush(stdout);
  const std::string_view name = error_name(error.code);
  std::fprintf(stderr, "qama: error: %.*s: %s\n", static_cast<int>(name.size()), name.data(),
               error.message.c_str());
}

void Console::stopped_by(int signal, std::string_view what_is_kept) {
  stopped_ = signal;
  std::fflush(stdout);
  std::fprintf(stderr, "qama: stopped by the user: %.*s\n", static_cast<int>(what_is_kept.size()),
               what_is_kept.data());
}

bool Console::reader_left() const noexcept {
  return write_error_ == EPIPE;
}

Status Console::finish() {
  errno = 0;
  if (std::fflush(stdout) != 0 && write_error_ == 0) write_error_ = errno != 0 ? errno : EIO;
  if (write_error_ == 0) return {};
  return Error{ErrorCode::io_error,
               std::string("standard output cannot be written: ") + std::strerror(write_error_)};
}

Progress::Progress(const Console& console, std::string_view what, std::int64_t total)
    : visible_(!console.quiet && isatty(STDERR_FILENO) == 1),
      what_(what),
      total_(total),
      start_(Clock::now()),
      last_(start_) {}

Progress::~Progress() {
  if (drawn_) std::fputs("\r\033[K", stderr);
}

void Progress::update(std::int64_t done) {
  if (!visible_) return;
  const auto now = Clock::now();
  if (now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  drawn_ = true;
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const double left =
      done > 0 ? elapsed * static_cast<double>(total_ - done) / static_cast<double>(done) : 0;
  std::fprintf(stderr, "\r\033[K%s: %lld of %lld, %.0f s left", what_.c_str(),
               static_cast<long long>(done), static_cast<long long>(total_), left);
  std::fflush(stderr);
}

std::string format(const char* pattern, ...) {
  std::va_list arguments;
  va_start(arguments, pattern);
  char text[1024];
  const int size = std::vsnprintf(text, sizeof(text), pattern, arguments);
  va_end(arguments);
  if (size < 0) return {};
  return {text, std::min(static_cast<std::size_t>(size), sizeof(text) - 1)};
}

}  // namespace qama::cli
