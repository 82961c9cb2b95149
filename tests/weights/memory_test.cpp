// What refusing a file may cost: no size that a file claims is allocated before it was checked. A
// program of its own, because it replaces operator new to count.
#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "hal/base/aligned.h"
#include "tests/weights/bad_files.h"
#include "weights/model_file.h"

namespace {

std::atomic<std::size_t> live_bytes{0};
std::atomic<std::size_t> peak_bytes{0};

}  // namespace

void* operator new(std::size_t size) {
  void* block = std::malloc(size);
  if (block == nullptr) throw std::bad_alloc();
  const std::size_t live = live_bytes += malloc_usable_size(block);
  if (live > peak_bytes) peak_bytes = live;
  return block;
}

void operator delete(void* pointer) noexcept {
  live_bytes -= malloc_usable_size(pointer);
  std::free(pointer);
}

void operator delete(void* pointer, std::size_t /*size*/) noexcept {
  operator delete(pointer);
}

namespace qama::weights {
namespace {

TEST(Memory, OpeningAFileNeedsLittleMoreThanItsHeader) {
  auto files = test::bad_model_files();
  for (auto& file : test::good_model_files()) files.push_back(std::move(file));
  std::size_t largest = 0;
  for (const test::NamedFile& file : files) {
    // Aligned, so that the reader needs no copy of the file itself.
    AlignedBuffer<std::byte> bytes(file.bytes.size());
    std::copy(file.bytes.begin(), file.bytes.end(), bytes.data());
    const std::size_t before = live_bytes;
    peak_bytes = before;
    {
      const auto result = ModelFile::from_memory(bytes.span());
      ASSERT_EQ(result.ok(), file.expected == ErrorCode::ok) << file.name;
    }
    const std::size_t used = peak_bytes - before;
    const std::size_t left = live_bytes - before;
    largest = std::max(largest, used);
    // JSON values take some 30 times their text at worst, the list of tensors of 256 blocks 1.3
    // MiB; the sizes that these files claim are gigabytes and more.
    EXPECT_LE(used, (2U << 20U) + 40 * file.bytes.size()) << file.name;
    EXPECT_EQ(left, 0U) << file.name << " leaks";
  }
  EXPECT_LE(largest, std::size_t{16} << 20U);
  RecordProperty("largest_bytes", std::to_string(largest));
}

}  // namespace
}  // namespace qama::weights
