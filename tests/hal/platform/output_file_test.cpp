// Files that are written beside their target and take its place.
#include "hal/platform/output_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "tests/test_support.h"

namespace qama::test {
namespace {

namespace fs = std::filesystem;
using platform::OutputFile;

std::string text_of(const fs::path& path) {
  const auto bytes = read_file(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::size_t files_in(const TempDir& directory) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(directory.path()), fs::directory_iterator()));
}

TEST(OutputFile, NewFilesAndOldOnes) {
  const TempDir directory;
  const std::string path = directory.file("a");
  ASSERT_OK(platform::write_file(path, "first"));
  EXPECT_EQ(text_of(path), "first");
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  ASSERT_OK(platform::write_file(path, "second"));
  EXPECT_EQ(text_of(path), "second");
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0640U);
  EXPECT_EQ(files_in(directory), 1U);
}

TEST(OutputFile, TheOldFileStaysUntilCommit) {
  const TempDir directory;
  const std::string path = directory.file("a");
  ASSERT_OK(platform::write_file(path, "old"));
  {
    ASSERT_OK_AND_ASSIGN(OutputFile file, OutputFile::create(path));
    ASSERT_OK(file.write("new"));
    EXPECT_EQ(text_of(path), "old");
  }
  EXPECT_EQ(text_of(path), "old");
  EXPECT_EQ(files_in(directory), 1U);
}

TEST(OutputFile, LinksAreFollowed) {
  const TempDir directory;
  fs::create_directory(directory.path() / "d");
  ASSERT_OK(platform::write_file(directory.file("d/target"), "old"));
  fs::create_symlink("d/target", directory.path() / "link");
  fs::create_symlink("link", directory.path() / "second");
  ASSERT_OK(platform::write_file(directory.file("second"), "new"));
  EXPECT_TRUE(fs::is_symlink(directory.path() / "second"));
  EXPECT_TRUE(fs::is_symlink(directory.path() / "link"));
  EXPECT_EQ(text_of(directory.file("d/target")), "new");
  // Also one whose target is missing, as a shell's > does.
  fs::create_symlink("d/missing", directory.path() / "dangling");
  ASSERT_OK(platform::write_file(directory.file("dangling"), "made"));
  EXPECT_EQ(text_of(directory.file("d/missing")), "made");
  fs::create_symlink("loop", directory.path() / "loop");
  EXPECT_ERROR(io_error, platform::write_file(directory.file("loop"), "x"));
}

TEST(OutputFile, WhatIsNoFile) {
  const TempDir directory;
  EXPECT_OK(platform::write_file("/dev/null", "x"));
  const Status full = platform::write_file("/dev/full", "x");
  EXPECT_ERROR(io_error, full);
  EXPECT_NE(describe(full).find("No space left"), std::string::npos) << describe(full);
  EXPECT_ERROR(io_error, platform::write_file(directory.path().string(), "x"));
  EXPECT_ERROR(io_error, platform::write_file("", "x"));
  const Status missing = platform::write_file(directory.file("no/such/a"), "x");
  EXPECT_ERROR(io_error, missing);
  EXPECT_NE(describe(missing).find("no/such' does not exist"), std::string::npos)
      << describe(missing);
}

TEST(OutputFile, ALimitOnTheSizeKeepsTheOldFile) {
  const TempDir directory;
  const std::string path = directory.file("a");
  ASSERT_OK(platform::write_file(path, "old"));
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto action = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 1000;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status status = platform::write_file(path, std::string(5000, 'x'));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, action);
  EXPECT_ERROR(io_error, status);
  EXPECT_NE(describe(status).find("File too large"), std::string::npos) << describe(status);
  EXPECT_EQ(text_of(path), "old");
  EXPECT_EQ(files_in(directory), 1U);
}

TEST(OutputFile, SameFile) {
  const TempDir directory;
  ASSERT_OK(platform::write_file(directory.file("a"), "x"));
  ASSERT_OK(platform::write_file(directory.file("b"), "x"));
  fs::create_hard_link(directory.file("a"), directory.file("hard"));
  fs::create_symlink("a", directory.path() / "soft");
  for (const char* name : {"a", "hard", "soft"}) {
    EXPECT_TRUE(platform::same_file(directory.file("a"), directory.file(name))) << name;
  }
  EXPECT_FALSE(platform::same_file(directory.file("a"), directory.file("b")));
  EXPECT_FALSE(platform::same_file(directory.file("a"), directory.file("none")));
  EXPECT_FALSE(platform::same_file("/dev/null", "/dev/null"));
}

}  // namespace
}  // namespace qama::test
