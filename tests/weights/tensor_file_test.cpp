// The container: what TensorFile shows of a good file, and how it opens files and memory. The rules
// that refuse a file are tested by robustness_test.cpp on the files of bad_files.cpp.
#include "weights/tensor_file.h"
#include "hal/platform/sha256.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdint>
#include <cstring>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "hal/base/aligned.h"
#include "tests/test_support.h"
#include "tests/weights/bad_files.h"
#include "weights/model_writer.h"

namespace qama::weights {
namespace {

constexpr TensorFormat kFormat{"test", "3"};

std::vector<std::byte> small_file() {
  TensorFileWriter writer(kFormat);
  writer.set_metadata("note", "z\xc3\xa4hlt");
  EXPECT_OK(writer.add_f32("b", {2, 3}, std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_OK(writer.add_i32("a", {2}, std::vector<std::int32_t>{-1, 7}));
  EXPECT_OK(writer.add_u8("c", {3}, std::vector<std::uint8_t>{1, 2, 255}));
  EXPECT_OK(writer.add_f32("scalar", {}, std::vector<float>{2.5F}));
  auto bytes = writer.serialise();
  EXPECT_OK(bytes);
  return std::move(bytes).value();
}

TEST(TensorFile, ShowsWhatWasWritten) {
  const auto bytes = small_file();
  ASSERT_OK_AND_ASSIGN(const auto file, TensorFile::from_memory(bytes, kFormat));
  ASSERT_OK_AND_ASSIGN(const TensorView* b, file->tensor("b"));
  EXPECT_EQ(b->dtype, Dtype::f32);
  EXPECT_EQ(b->shape, (std::vector<std::int64_t>{2, 3}));
  ASSERT_OK_AND_ASSIGN(const auto values, b->f32());
  EXPECT_THAT(values, testing::ElementsAre(0, 1, 2, 3, 4, 5));
  ASSERT_OK_AND_ASSIGN(const auto integers, file->find("a")->i32());
  EXPECT_THAT(integers, testing::ElementsAre(-1, 7));
  ASSERT_OK_AND_ASSIGN(const auto raw, file->find("c")->u8());
  EXPECT_THAT(raw, testing::ElementsAre(1, 2, 255));
  EXPECT_TRUE(file->find("scalar")->shape.empty());
  EXPECT_EQ(file->find("scalar")->elements(), 1U);
  EXPECT_EQ(*file->metadata("note"), "z\xc3\xa4hlt");
  EXPECT_EQ(file->metadata("absent"), nullptr);
  EXPECT_EQ(file->all_metadata().size(), 4U);
  EXPECT_EQ(file->file_bytes(), bytes.size());
  // In file order, with the padding between them.
  std::vector<std::string> names;
  for (const TensorView& tensor : file->tensors()) names.push_back(tensor.name);
  EXPECT_THAT(names,
              testing::ElementsAre("b", "__pad.0", "a", "__pad.1", "c", "__pad.2", "scalar"));
}

TEST(TensorFile, TensorsAreAlignedInMemory) {
  const auto bytes = small_file();
  for (std::size_t shift = 0; shift < 65; ++shift) {
    AlignedBuffer<std::byte> buffer(bytes.size() + shift);
    std::copy(bytes.begin(), bytes.end(), buffer.data() + shift);
    const std::span<const std::byte> view(buffer.data() + shift, bytes.size());
    ASSERT_OK_AND_ASSIGN(const auto file, TensorFile::from_memory(view, kFormat));
    for (const TensorView& tensor : file->tensors()) {
      if (tensor.is_padding()) continue;
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.bytes.data()) % 64, 0U) << tensor.name;
    }
    // Aligned memory is used in place, other memory is not.
    const auto* at = file->find("b")->bytes.data();
    const bool in_place = at >= view.data() && at < view.data() + view.size();
    EXPECT_EQ(in_place, shift % 64 == 0) << shift;
  }
}

TEST(TensorFile, AccessorsCheckTheType) {
  const auto bytes = small_file();
  ASSERT_OK_AND_ASSIGN(const auto file, TensorFile::from_memory(bytes, kFormat));
  EXPECT_EQ(test::describe(file->find("a")->f32()),
            "MODEL_BAD_DTYPE: tensor 'a': dtype I32, expected F32");
  EXPECT_ERROR(model_bad_dtype, file->find("b")->i32());
  EXPECT_ERROR(model_bad_dtype, file->find("b")->u8());
  EXPECT_EQ(test::describe(file->tensor("absent")),
            "MODEL_MISSING_TENSOR: tensor 'absent': missing");
  EXPECT_EQ(file->find("absent"), nullptr);
  EXPECT_EQ(file->find(""), nullptr);
  EXPECT_EQ(file->find("zzz"), nullptr);
}

TEST(TensorFile, OpensAMappedFile) {
  const test::TempDir directory;
  const auto bytes = small_file();
  test::write_file(directory.file("good"), bytes);
  ASSERT_OK_AND_ASSIGN(const auto file, TensorFile::open(directory.file("good"), kFormat, 0));
  // The mapping outlives the name, and releasing pages loses nothing.
  std::filesystem::remove(directory.file("good"));
  EXPECT_OK(file->unchanged());
  file->release_pages();
  ASSERT_OK_AND_ASSIGN(const auto values, file->find("b")->f32());
  EXPECT_THAT(values, testing::ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST(TensorFile, WhatWasReadStaysWhateverBecomesOfTheFile) {
  const test::TempDir directory;
  const std::string path = directory.file("good");
  const auto bytes = small_file();
  test::write_file(path, bytes);
  ASSERT_OK_AND_ASSIGN(const auto file, TensorFile::open(path, kFormat));
  const auto check = [&] {
    file->release_pages();
    ASSERT_OK_AND_ASSIGN(const auto values, file->find("b")->f32());
    EXPECT_THAT(values, testing::ElementsAre(0, 1, 2, 3, 4, 5));
    EXPECT_OK(file->unchanged());
  };
  test::write_file(path, std::vector<std::byte>(bytes.size()));
  check();
  std::filesystem::resize_file(path, 0);
  check();
}

TEST(TensorFile, SaysWhyAFileCannotBeOpened) {
  const test::TempDir directory;
  const auto missing = TensorFile::open(directory.file("missing"), kFormat);
  EXPECT_ERROR(not_found, missing);
  EXPECT_NE(test::describe(missing).find("missing'"), std::string::npos);
  EXPECT_ERROR(io_error, TensorFile::open(directory.path().string(), kFormat));
  EXPECT_ERROR(io_error, TensorFile::open("/dev/null", kFormat));
  ASSERT_EQ(mkfifo(directory.file("pipe").c_str(), 0600), 0);
  EXPECT_ERROR(io_error, TensorFile::open(directory.file("pipe"), kFormat));
  test::write_file(directory.file("empty"), {});
  EXPECT_ERROR(model_truncated, TensorFile::open(directory.file("empty"), kFormat));
}

TEST(TensorFile, ASparseFileOfManyGigabytesIsRefusedByItsHeader) {
  const test::TempDir directory;
  test::write_file(directory.file("sparse"), std::vector<std::byte>(8, std::byte{0xFF}));
  std::error_code error;
  // An emulated core has no room for more addresses, and 32 bits have not for any more than this.
#if defined(__x86_64__)
  constexpr std::uintmax_t kBytes = std::uintmax_t{1} << 36U;
#else
  constexpr std::uintmax_t kBytes = std::uintmax_t{1} << (sizeof(void*) == 8 ? 32U : 28U);
#endif
  std::filesystem::resize_file(directory.file("sparse"), kBytes, error);
  if (error) GTEST_SKIP() << "SKIPPED: no sparse file here: " << error.message();
  EXPECT_ERROR(model_header_too_large, TensorFile::open(directory.file("sparse"), kFormat));
}

TEST(TensorFile, ChecksumIsThatOfTheStandard) {
  // FIPS 180-2's examples.
  const auto digest = [](const std::string& text) {
    return platform::sha256_hex(std::as_bytes(std::span(text)));
  };
  EXPECT_EQ(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(TensorFile, FindsAValueThatIsNotFiniteAtEveryPlace) {
  struct Case {
    Dtype dtype;
    std::uint64_t infinity;
    std::uint64_t quiet_nan;
    std::uint64_t largest;
  };
  const Case cases[] = {
      {Dtype::f16, 0x7C00, 0xFE00, 0x7BFF},
      {Dtype::bf16, 0x7F80, 0xFFC0, 0x7F7F},
      {Dtype::f32, 0x7F800000, 0xFFC00000, 0x7F7FFFFF},
      {Dtype::f64, 0x7FF0000000000000, 0xFFF8000000000000, 0x7FEFFFFFFFFFFFFF},
  };
  // More than one block of the search, and a last one that is not full.
  constexpr std::size_t kCount = 1500;
  for (const Case& c : cases) {
    const std::size_t size = dtype_bytes(c.dtype);
    for (const std::size_t at :
         {std::size_t{0}, std::size_t{1}, std::size_t{1023}, std::size_t{1024}, kCount - 1}) {
      for (const std::uint64_t bits : {c.infinity, c.quiet_nan, c.largest}) {
        std::vector<std::byte> data(kCount * size);
        std::memcpy(data.data() + at * size, &bits, size);
        TensorFileWriter writer(kFormat);
        ASSERT_OK(writer.add("t", c.dtype, {static_cast<std::int64_t>(kCount)}, data));
        ASSERT_OK_AND_ASSIGN(const auto bytes, writer.serialise());
        const auto file = TensorFile::from_memory(bytes, kFormat);
        if (bits == c.largest) {
          EXPECT_OK(file);
          continue;
        }
        EXPECT_EQ(test::describe(file), "MODEL_BAD_VALUE: tensor 't': element " +
                                            std::to_string(at) +
                                            " is NaN or infinite, expected a finite number");
      }
    }
  }
}

TEST(TensorFile, ReadsEveryDtype) {
  const std::pair<Dtype, const char*> all[] = {
      {Dtype::boolean, "BOOL"}, {Dtype::u8, "U8"},   {Dtype::i8, "I8"},     {Dtype::u16, "U16"},
      {Dtype::i16, "I16"},      {Dtype::f16, "F16"}, {Dtype::bf16, "BF16"}, {Dtype::u32, "U32"},
      {Dtype::i32, "I32"},      {Dtype::f32, "F32"}, {Dtype::u64, "U64"},   {Dtype::i64, "I64"},
      {Dtype::f64, "F64"}};
  TensorFileWriter writer(kFormat);
  for (const auto& [dtype, name] : all) {
    EXPECT_EQ(dtype_name(dtype), name);
    ASSERT_OK(writer.add(name, dtype, {3}, std::vector<std::byte>(3 * dtype_bytes(dtype))));
  }
  ASSERT_OK_AND_ASSIGN(const auto bytes, writer.serialise());
  ASSERT_OK_AND_ASSIGN(const auto file, TensorFile::from_memory(bytes, kFormat));
  for (const auto& [dtype, name] : all) {
    ASSERT_OK_AND_ASSIGN(const TensorView* tensor, file->tensor(name));
    EXPECT_EQ(tensor->dtype, dtype);
    EXPECT_EQ(tensor->elements(), 3U);
  }
}

TEST(TensorFile, ShapesAsText) {
  EXPECT_EQ(shape_text(std::vector<std::int64_t>{}), "[]");
  EXPECT_EQ(shape_text(std::vector<std::int64_t>{768, 192}), "[768,192]");
}

TEST(TensorFile, MayBeReadByManyThreads) {
  const auto bytes = small_file();
  ASSERT_OK_AND_ASSIGN(const auto file, TensorFile::from_memory(bytes, kFormat));
  std::vector<float> sums(4);
  std::vector<std::thread> threads;
  for (float& sum : sums) {
    threads.emplace_back([&sum, file] {
      for (int i = 0; i < 1000; ++i) {
        const auto values = file->find("b")->f32();
        sum = std::accumulate(values->begin(), values->end(), 0.0F);
        file->release_pages();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(sums, testing::Each(15.0F));
}

}  // namespace
}  // namespace qama::weights
