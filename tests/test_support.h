// What tests of several modules share: the shared data sets, temporary directories, matching
// errors.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "hal/base/error.h"
#include "hal/base/result.h"

namespace qama::test {

/// The top of the source tree and the CMake variable QAMA_SHARED (test_paths.cpp, the one file that
/// is compiled with this machine's paths).
[[nodiscard]] const char* source_dir();
[[nodiscard]] const char* configured_shared_dir();

/// `relative` below the shared directory (environment QAMA_SHARED, else the CMake variable), if it
/// exists.
inline std::optional<std::filesystem::path> shared_path(const std::filesystem::path& relative) {
  const char* root = std::getenv("QAMA_SHARED");
  std::filesystem::path path =
      std::filesystem::path(root != nullptr ? root : configured_shared_dir());
  path /= relative;
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::nullopt;
  return path;
}

/// A file or directory of the source tree, e.g. source_path("weights/models").
inline std::filesystem::path source_path(const std::filesystem::path& relative) {
  return std::filesystem::path(source_dir()) / relative;
}

/// A fresh directory, removed with everything in it at the end of the scope.
class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "qama-test-XXXXXX").string();
    const char* made = mkdtemp(pattern.data());
    if (made == nullptr) {
      ADD_FAILURE() << "no temporary directory at " << pattern;
      return;
    }
    path_ = made;
  }
  ~TempDir() {
    std::error_code error;
    if (!path_.empty()) std::filesystem::remove_all(path_, error);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

inline void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::ofstream stream(path, std::ios::binary);
  stream.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  ASSERT_TRUE(stream.flush().good()) << path;
}

inline std::vector<std::byte> read_file(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  EXPECT_TRUE(stream.good()) << path;
  const std::vector<char> text{std::istreambuf_iterator<char>(stream), {}};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

/// "OK", or "NAME: sentence": for failure messages and for matching both at once.
template <typename ResultOrStatus>
std::string describe(const ResultOrStatus& result) {
  if (result.ok()) return "OK";
  return std::string(error_name(result.error().code)) + ": " + result.error().message;
}

}  // namespace qama::test

/// Skips the test, loudly, where the shared directory has no `relative`; else declares `variable`,
/// its path.
#define QAMA_SHARED_OR_SKIP(variable, relative)                                 \
  const auto variable##_found_ = ::qama::test::shared_path(relative);           \
  if (!variable##_found_)                                                       \
    GTEST_SKIP() << "SKIPPED: no " << (relative) << " in the shared directory"; \
  const std::filesystem::path& variable = *variable##_found_

#define EXPECT_OK(expression)                                                         \
  do {                                                                                \
    const auto& qama_test_result_ = (expression);                                     \
    EXPECT_TRUE(qama_test_result_.ok()) << ::qama::test::describe(qama_test_result_); \
  } while (false)

#define ASSERT_OK(expression)                                                         \
  do {                                                                                \
    const auto& qama_test_result_ = (expression);                                     \
    ASSERT_TRUE(qama_test_result_.ok()) << ::qama::test::describe(qama_test_result_); \
  } while (false)

/// Declares `declaration` from the value of a Result, or fails the test with its error.
#define ASSERT_OK_AND_ASSIGN(declaration, expression)                      \
  auto QAMA_CONCAT_(qama_test_value_, __LINE__) = (expression);            \
  ASSERT_TRUE(QAMA_CONCAT_(qama_test_value_, __LINE__).ok())               \
      << ::qama::test::describe(QAMA_CONCAT_(qama_test_value_, __LINE__)); \
  declaration = std::move(QAMA_CONCAT_(qama_test_value_, __LINE__)).value()

/// The expression fails with this ErrorCode enumerator: EXPECT_ERROR(model_truncated, open(...)).
#define EXPECT_ERROR(enumerator, expression)                         \
  do {                                                               \
    const auto& qama_test_result_ = (expression);                    \
    EXPECT_FALSE(qama_test_result_.ok()) << "expected " #enumerator; \
    if (!qama_test_result_.ok()) {                                   \
      EXPECT_EQ(::qama::error_name(qama_test_result_.error().code),  \
                ::qama::error_name(::qama::ErrorCode::enumerator))   \
          << qama_test_result_.error().message;                      \
    }                                                                \
  } while (false)
