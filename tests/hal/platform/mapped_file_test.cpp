// A file as memory: a copy outlives every change of the file, a mapping tells of one.
#include "hal/platform/mapped_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "tests/test_support.h"

namespace qama::platform {
namespace {

class MappedFiles : public testing::Test {
 protected:
  void put(std::byte value, std::size_t size = 100000) {
    test::write_file(path_, std::vector<std::byte>(size, value));
  }
  static bool holds(const MappedFile& file, std::byte value, std::size_t size = 100000) {
    const auto bytes = file.bytes();
    return bytes.size() == size &&
           std::all_of(bytes.begin(), bytes.end(), [&](std::byte b) { return b == value; });
  }
  test::TempDir directory_;
  std::string path_ = directory_.file("f");
};

TEST_F(MappedFiles, AreCopiedBelowTheLimitAndMappedFromIt) {
  put(std::byte{1});
  for (const auto& [from, mapped] : {std::pair{std::size_t{0}, true},
                                     {std::size_t{100000}, true},
                                     {std::size_t{100001}, false},
                                     {SIZE_MAX, false}}) {
    ASSERT_OK_AND_ASSIGN(const MappedFile file, MappedFile::open(path_, from));
    EXPECT_EQ(file.is_mapped(), mapped) << from;
    EXPECT_TRUE(holds(file, std::byte{1}));
    EXPECT_OK(file.unchanged());
    file.release_pages();
    EXPECT_TRUE(holds(file, std::byte{1}));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(file.bytes().data()) % 64, 0U);
  }
}

TEST_F(MappedFiles, ACopyDoesNotSeeWhatBecomesOfTheFile) {
  put(std::byte{1});
  ASSERT_OK_AND_ASSIGN(const MappedFile file, MappedFile::open(path_, SIZE_MAX));
  put(std::byte{2});
  EXPECT_TRUE(holds(file, std::byte{1}));
  std::filesystem::resize_file(path_, 10);
  EXPECT_TRUE(holds(file, std::byte{1}));
  EXPECT_OK(file.unchanged());
  std::filesystem::remove(path_);
  EXPECT_TRUE(holds(file, std::byte{1}));
}

TEST_F(MappedFiles, AMappingTellsOfAChangeAndNotOfARename) {
  put(std::byte{1});
  ASSERT_OK_AND_ASSIGN(const MappedFile file, MappedFile::open(path_, 0));
  // Replaced by a rename: another file.
  test::write_file(directory_.file("new"), std::vector<std::byte>(5));
  std::filesystem::rename(directory_.file("new"), path_);
  EXPECT_OK(file.unchanged());
  EXPECT_TRUE(holds(file, std::byte{1}));

  put(std::byte{1});
  ASSERT_OK_AND_ASSIGN(const MappedFile longer, MappedFile::open(path_, 0));
  std::filesystem::resize_file(path_, 100001);
  EXPECT_ERROR(io_error, longer.unchanged());

  put(std::byte{1});
  ASSERT_OK_AND_ASSIGN(const MappedFile written, MappedFile::open(path_, 0));
  // The clock of a file system has ticks of milliseconds; a later time is what a write leaves.
  const timespec later[2] = {{0, UTIME_OMIT}, {2000000000, 1}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path_.c_str(), later, 0), 0);
  EXPECT_ERROR(io_error, written.unchanged());
}

TEST_F(MappedFiles, AnEmptyFileIsEmptyBytes) {
  put(std::byte{1}, 0);
  for (const std::size_t from : {std::size_t{0}, SIZE_MAX}) {
    ASSERT_OK_AND_ASSIGN(const MappedFile file, MappedFile::open(path_, from));
    EXPECT_TRUE(file.bytes().empty());
    EXPECT_OK(file.unchanged());
  }
  EXPECT_ERROR(not_found, MappedFile::open(directory_.file("absent"), 0));
  EXPECT_ERROR(io_error, MappedFile::open(directory_.path().string(), SIZE_MAX));
}

// Not a file of its size modulo 2^32, which is one byte.
TEST_F(MappedFiles, OneOfMoreBytesThanAddressesIsRefused) {
  if (sizeof(void*) > 4) GTEST_SKIP() << "SKIPPED: for machines of 32 bits";
  put(std::byte{1}, 1);
  std::error_code error;
  std::filesystem::resize_file(path_, (std::uintmax_t{1} << 32U) + 1, error);
  if (error) GTEST_SKIP() << "SKIPPED: no sparse file here: " << error.message();
  for (const std::size_t from : {std::size_t{0}, SIZE_MAX}) {
    EXPECT_ERROR(size_overflow, MappedFile::open(path_, from));
  }
}

}  // namespace
}  // namespace qama::platform
