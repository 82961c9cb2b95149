// Files that are written beside their target and take its place.
#include "hal/platform/output_file.h"

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <random>
#include <thread>

#include "tests/hal/platform/plain_system.h"
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
  // The signal would end this process, as one that uses the library.
  const auto action = std::signal(SIGXFSZ, SIG_DFL);
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

TEST(OutputFile, DescriptorsGoOnWhereTheyAre) {
  const TempDir directory;
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  for (const std::string name : {"/dev/fd/", "/proc/self/fd/"}) {
    ASSERT_OK(platform::write_file(name + std::to_string(pipe[1]), "through a pipe"));
    std::array<char, 64> got{};
    const ssize_t size = ::read(pipe[0], got.data(), got.size());
    EXPECT_EQ(std::string(got.data(), static_cast<std::size_t>(size)), "through a pipe");
  }
  fs::create_symlink("/dev/fd/" + std::to_string(pipe[1]), directory.path() / "link");
  ASSERT_OK(platform::write_file(directory.file("link"), "x"));
  const int file = ::open(directory.file("a").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_GE(file, 0);
  ASSERT_EQ(::write(file, "before ", 7), 7);
  ASSERT_OK(platform::write_file("/dev/fd/" + std::to_string(file), "here"));
  ASSERT_EQ(::write(file, " behind", 7), 7);
  EXPECT_EQ(text_of(directory.file("a")), "before here behind");
  for (const int open : {pipe[0], pipe[1], file}) ::close(open);
  EXPECT_ERROR(io_error, platform::write_file("/dev/fd/" + std::to_string(file), "closed"));
}

TEST(OutputFile, ALinkAtTheTemporaryNameIsNotFollowed) {
  const TempDir directory;
  ASSERT_OK(platform::write_file(directory.file("victim"), "victim"));
  ASSERT_OK(platform::write_file(directory.file("a"), "old"));
  const PlainSystem system;
  // What somebody else would have to guess.
  fs::create_symlink("victim", directory.path() / ".qama-0000000000000001");
  fs::create_symlink("missing", directory.path() / ".qama-0000000000000002");
  ASSERT_OK_AND_ASSIGN(OutputFile file, OutputFile::create(directory.file("a")));
  EXPECT_TRUE(fs::is_regular_file(directory.path() / ".qama-0000000000000003"));
  ASSERT_OK(file.write("new"));
  EXPECT_EQ(text_of(directory.file("a")), "old");
  ASSERT_OK(file.commit());
  EXPECT_EQ(text_of(directory.file("a")), "new");
  EXPECT_EQ(text_of(directory.file("victim")), "victim");
  EXPECT_FALSE(fs::is_symlink(directory.path() / "a"));
  EXPECT_FALSE(fs::exists(directory.path() / "missing"));
  EXPECT_EQ(files_in(directory), 4U);
}

TEST(OutputFile, AFileOfSomebodyElse) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be somebody else";
  const TempDir directory;
  const std::string path = directory.file("a");
  ASSERT_EQ(::chmod(directory.path().c_str(), 0777), 0);
  const auto status_of = [&path] {
    struct stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    return status;
  };
  constexpr uid_t kSomebody = 65534;
  ASSERT_OK(platform::write_file(path, "old"));
  ASSERT_EQ(::chown(path.c_str(), kSomebody, 12), 0);
  ASSERT_EQ(::chmod(path.c_str(), 0662), 0);
  ASSERT_OK(platform::write_file(path, "root's"));
  EXPECT_EQ(status_of().st_uid, kSomebody);
  EXPECT_EQ(status_of().st_gid, 12U);
  EXPECT_EQ(status_of().st_mode & 0777U, 0662U);
  // He may write root's file, and cannot give the new one to root: its group is another one.
  ASSERT_EQ(::chown(path.c_str(), 0, 0), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const bool other =
        ::setgroups(0, nullptr) == 0 && ::setgid(kSomebody) == 0 && ::setuid(kSomebody) == 0;
    ::_exit(other && platform::write_file(path, "somebody's").ok() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(text_of(path), "somebody's");
  EXPECT_EQ(status_of().st_uid, kSomebody);
  EXPECT_EQ(status_of().st_mode & 0777U, 0622U);
}

/// Writes versions of the file until it is killed: each is one letter, as often as it says.
[[noreturn]] void write_for_ever(const std::string& path, int started) {
  for (std::size_t version = 0;; ++version) {
    const char letter = static_cast<char>('a' + version % 26);
    if (!platform::write_file(path, std::string(200000 + version % 26, letter)).ok()) ::_exit(1);
    if (version == 0 && ::write(started, "x", 1) != 1) ::_exit(1);
  }
}

bool is_whole(const std::string& text) {
  return !text.empty() && text.size() == 200000U + static_cast<std::size_t>(text[0] - 'a') &&
         text.find_first_not_of(text[0]) == std::string::npos;
}

/// How many kills: QAMA_TEST_KILLS, or a few.
int kills() {
  const char* given = std::getenv("QAMA_TEST_KILLS");
  return given != nullptr ? std::atoi(given) : 20;
}

/// Kills a process that writes, at a random moment, again and again. The file is a whole one every
/// time. Returns the files of other names that were left, and how many of them were cut.
std::pair<int, int> kill_writers() {
  const TempDir directory;
  const std::string path = directory.file("a");
  std::minstd_rand random(17);
  std::pair<int, int> left{0, 0};
  for (int kill = 0; kill < kills(); ++kill) {
    std::array<int, 2> started{};
    EXPECT_EQ(::pipe(started.data()), 0);
    const pid_t child = ::fork();
    if (child == 0) write_for_ever(path, started[1]);
    char byte = 0;
    EXPECT_EQ(::read(started[0], &byte, 1), 1);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 5000));
    ::kill(child, SIGKILL);
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    for (const int end : started) ::close(end);
    EXPECT_TRUE(is_whole(text_of(path)));
    for (const auto& entry : fs::directory_iterator(directory.path())) {
      const std::string name = entry.path().filename().string();
      if (name == "a") continue;
      EXPECT_TRUE(name.starts_with(".qama-")) << name;
      ++left.first;
      left.second += is_whole(text_of(entry.path())) ? 0 : 1;
      fs::remove(entry.path());
    }
  }
  return left;
}

TEST(OutputFile, KilledAtAnyMomentThereIsAWholeFile) {
  const auto [left, cut] = kill_writers();
  RecordProperty("left", left);
  // What has a name is whole.
  EXPECT_EQ(cut, 0);
}

TEST(OutputFile, KilledAtAnyMomentThereIsAWholeFileWhereTemporaryFilesHaveNames) {
  const PlainSystem system;
  kill_writers();
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
