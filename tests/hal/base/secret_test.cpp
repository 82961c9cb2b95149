// Files of secrets: nobody but the owner, and what an error may say. Memory that is wiped.
#include "hal/base/secret.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "tests/test_support.h"

namespace qama {
namespace {

class SecretFiles : public ::testing::Test {
 protected:
  Result<Secret> read(const std::string& content, unsigned mode, bool insists = false) {
    path_ = dir_.file("key");
    ::unlink(path_.c_str());
    const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    EXPECT_EQ(::write(fd, content.data(), content.size()), static_cast<ssize_t>(content.size()));
    EXPECT_EQ(::fchmod(fd, static_cast<mode_t>(mode)), 0);
    ::close(fd);
    return read_secret({path_, "key file", "--insist", insists, 64});
  }
  test::TempDir dir_;
  std::string path_;
};

TEST_F(SecretFiles, AreTheOwnersAlone) {
  for (const unsigned mode : {0600U, 0400U, 0700U}) EXPECT_OK(read("hunter2", mode));
  for (const unsigned mode : {0640U, 0604U, 0620U, 0602U, 0610U, 0666U}) {
    const auto refused = read("hunter2", mode);
    EXPECT_ERROR(device_auth, refused);
    if (!refused.ok()) {
      const std::string& text = refused.error().message;
      EXPECT_NE(text.find("expected 0600 (--insist insists)"), std::string::npos) << text;
      EXPECT_EQ(text.find("hunter2"), std::string::npos) << text;
    }
    EXPECT_OK(read("hunter2", mode, true));
  }
}

TEST_F(SecretFiles, AreReadWholeOrNotAtAll) {
  const std::string longest(64, 'x');
  const auto whole = read(longest, 0600);
  ASSERT_OK(whole);
  EXPECT_EQ(whole->view(), longest);
  EXPECT_ERROR(io_error, read(longest + "x", 0600));
  EXPECT_ERROR(io_error, read("", 0600));
  const std::string nowhere = dir_.file("nowhere"), folder = dir_.path().string();
  EXPECT_ERROR(io_error, read_secret({nowhere, "key file", "", true}));
  EXPECT_ERROR(io_error, read_secret({folder, "key file", "", true}));
  EXPECT_ERROR(
      not_found,
      read_secret(
          {.path = nowhere, .what = "key file", .insist = "", .absent = ErrorCode::not_found}));
  // Nobody writes into it: a read would wait for ever.
  const std::string pipe = dir_.file("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_ERROR(io_error, read_secret({pipe, "key file", "", false}));
}

TEST(Secret, IsCopiedMovedAndEnded) {
  Secret empty;
  EXPECT_TRUE(empty.empty());
  EXPECT_STREQ(empty.view().data(), "");
  Secret one("abc");
  EXPECT_STREQ(one.view().data(), "abc");
  const Secret copy = one;
  Secret moved = std::move(one);
  EXPECT_EQ(copy.view(), "abc");
  EXPECT_EQ(moved.view(), "abc");
  EXPECT_NE(copy.view().data(), moved.view().data());
  moved = empty;
  EXPECT_TRUE(moved.empty());
}

TEST(Secret, WipedTextLeavesNothing) {
  std::string text = "a password that is too long for the small buffer";
  const char* const bytes = text.data();
  const std::size_t size = text.size();
  wipe(text);
  EXPECT_TRUE(text.empty());
  EXPECT_EQ(text.data(), bytes);  // its memory is still there to look at
  text.resize(text.capacity());
  for (std::size_t i = 0; i < size; ++i) EXPECT_EQ(text[i], '\0') << i;
}

TEST(Secret, FirstLine) {
  EXPECT_EQ(first_line("one\ntwo"), "one");
  EXPECT_EQ(first_line("one\r\ntwo"), "one");
  EXPECT_EQ(first_line("one"), "one");
  EXPECT_EQ(first_line(""), "");
}

}  // namespace
}  // namespace qama
