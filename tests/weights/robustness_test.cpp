// Bad files: every rule by its own file, truncation and damage at every byte, the committed corpus.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "hal/base/aligned.h"
#include "tests/test_support.h"
#include "tests/weights/bad_files.h"
#include "weights/golden_file.h"
#include "weights/model_file.h"

namespace qama::weights {
namespace {

/// 1: every byte is tried. Under an emulator every QAMA_TEST_STRIDE-th (toolchains/emulate).
std::size_t stride() {
  const char* text = std::getenv("QAMA_TEST_STRIDE");
  const auto value =
      static_cast<std::size_t>(text != nullptr ? std::strtoul(text, nullptr, 10) : 1);
  return value > 0 ? value : 1;
}

/// Where the data begins.
std::size_t header_end(std::span<const std::byte> file) {
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  return sizeof length + static_cast<std::size_t>(length);
}

std::string outcome(const Result<std::shared_ptr<const ModelFile>>& result) {
  return std::string(error_name(result.ok() ? ErrorCode::ok : result.error().code));
}

TEST(BadFiles, EachIsRefusedByItsRule) {
  std::set<std::string> names;
  for (const test::NamedFile& file : test::bad_model_files()) {
    EXPECT_TRUE(names.insert(file.name).second) << "twice: " << file.name;
    const auto result = ModelFile::from_memory(file.bytes);
    EXPECT_EQ(outcome(result), error_name(file.expected))
        << file.name << ": " << test::describe(result);
    if (result.ok()) continue;
    // One sentence that a person can read and a terminal survives.
    const std::string& message = result.error().message;
    EXPECT_FALSE(message.empty()) << file.name;
    EXPECT_LT(message.size(), 400U) << file.name << ": " << message;
    EXPECT_TRUE(
        std::all_of(message.begin(), message.end(), [](char c) { return c >= 0x20 && c < 0x7F; }))
        << file.name << ": " << message;
  }
  EXPECT_GT(names.size(), 100U);
}

TEST(BadFiles, EveryModelErrorHasAFile) {
  std::set<ErrorCode> covered;
  for (const test::NamedFile& file : test::bad_model_files()) covered.insert(file.expected);
  for (int number = 100; number < 200; ++number) {
    const auto code = static_cast<ErrorCode>(number);
    if (error_name(code) == "UNKNOWN" || code == ErrorCode::golden_wrong_model ||
        code == ErrorCode::model_not_trusted) {  // no fault of the file alone
      continue;
    }
    EXPECT_TRUE(covered.contains(code)) << error_name(code);
  }
}

TEST(BadFiles, AFileOnDiskIsRefusedAlike) {
  const test::TempDir directory;
  for (const test::NamedFile& file : test::bad_model_files()) {
    test::write_file(directory.file("m"), file.bytes);
    const auto result = ModelFile::open(directory.file("m"));
    EXPECT_EQ(outcome(result), error_name(file.expected)) << file.name;
  }
}

TEST(BadFiles, GoodFilesAreGood) {
  for (const test::NamedFile& file : test::good_model_files()) {
    EXPECT_OK(ModelFile::from_memory(file.bytes));
  }
  for (const test::NamedFile& file : test::good_golden_files()) {
    EXPECT_OK(GoldenFile::from_memory(file.bytes));
  }
}

TEST(Truncation, EveryPrefixIsRefused) {
  for (const test::NamedFile& file : test::good_model_files()) {
    for (std::size_t size = 0; size < file.bytes.size(); size += stride()) {
      // A buffer of exactly this size, so that a sanitizer sees one byte too far.
      AlignedBuffer<std::byte> prefix(size);
      std::copy_n(file.bytes.begin(), size, prefix.data());
      const auto result = ModelFile::from_memory({prefix.data(), size});
      ASSERT_EQ(outcome(result), "MODEL_TRUNCATED") << file.name << " cut to " << size << " bytes";
    }
  }
}

TEST(Truncation, EveryPrefixOfAGoldenFileIsRefused) {
  const auto bytes = test::golden_bytes(test::tiny_qama_vit());
  for (std::size_t size = 0; size < bytes.size(); size += stride()) {
    const auto result = GoldenFile::from_memory(std::span(bytes).first(size));
    ASSERT_FALSE(result.ok()) << size;
    ASSERT_EQ(result.error().code, ErrorCode::model_truncated) << size;
  }
}

// One bit of a sealed file: none is free.
TEST(Damage, EveryBitFlipIsRefused) {
  for (const test::NamedFile& file : test::good_model_files()) {
    ASSERT_OK_AND_ASSIGN(const auto good, ModelFile::from_memory(file.bytes));
    if (!good->sealed()) continue;
    const std::size_t data_begin = header_end(file.bytes);
    AlignedBuffer<std::byte> bytes(file.bytes.size());
    std::copy(file.bytes.begin(), file.bytes.end(), bytes.data());
    for (std::size_t at = 0; at < bytes.size(); at += stride()) {
      // One header bit by bit, the rest a bit a byte: the test stays short.
      const bool all = at < data_begin && file.name == "qama-vit";
      for (int bit = 0; bit < (all ? 8 : 1); ++bit) {
        bytes[at] ^= std::byte{1} << bit;
        const auto result = ModelFile::from_memory(bytes.span());
        ASSERT_FALSE(result.ok()) << file.name << " byte " << at << " bit " << bit;
        if (at >= data_begin) {
          ASSERT_EQ(outcome(result), "MODEL_CHECKSUM_MISMATCH") << file.name << " byte " << at;
        }
        bytes[at] ^= std::byte{1} << bit;
      }
    }
    EXPECT_OK(ModelFile::from_memory(bytes.span()));
  }
}

// The same with shipped models, a prime stride apart. All bits of both headers, in some minutes:
//   QAMA_SEAL_STRIDE=1 build/release/bin/weights_test --gtest_filter=Damage.EveryHeaderBit*
TEST(Damage, EveryHeaderBitOfShippedModelsIsRefused) {
  const char* text = std::getenv("QAMA_SEAL_STRIDE");
  const std::size_t step = text != nullptr ? std::strtoul(text, nullptr, 10) : 211 * stride();
  ASSERT_GT(step, 0U);
  for (const char* name : {"mnist-qama", "sst2-softmax"}) {
    const auto file =
        test::read_file(test::source_path("weights/models/" + std::string(name) + ".safetensors"));
    AlignedBuffer<std::byte> bytes(file.size());
    std::copy(file.begin(), file.end(), bytes.data());
    ASSERT_OK_AND_ASSIGN(const auto good, ModelFile::from_memory(bytes.span()));
    ASSERT_TRUE(good->sealed()) << name;
    std::size_t tried = 0;
    std::size_t accepted = 0;
    for (std::size_t bit = 0; bit < 8 * header_end(file); bit += step) {
      const std::byte mask = std::byte{1} << (bit % 8);
      bytes[bit / 8] ^= mask;
      accepted += ModelFile::from_memory(bytes.span()).ok() ? 1U : 0U;
      bytes[bit / 8] ^= mask;
      ++tried;
    }
    std::printf("%s: %zu of %zu header bits flipped one by one, %zu accepted\n", name, tried,
                8 * header_end(file), accepted);
    EXPECT_EQ(accepted, 0U) << name;
    EXPECT_GT(tried, stride() == 1 ? 100U : 0U);
  }
}

// Version 1: a file that is still accepted is a whole model with the same data. Its header has no
// checksum: a changed label or learning rate in it is still a label.
TEST(Damage, AFileOfVersionOneIsRefusedOrWhole) {
  const auto file = test::unsealed_model_bytes(test::tiny_qama_vit());
  ASSERT_OK_AND_ASSIGN(const auto good, ModelFile::from_memory(file));
  EXPECT_FALSE(good->sealed());
  AlignedBuffer<std::byte> bytes(file.size());
  std::copy(file.begin(), file.end(), bytes.data());
  std::size_t accepted = 0;
  for (std::size_t at = 0; at < bytes.size(); at += stride()) {
    for (const std::byte mask : {std::byte{0x01}, std::byte{0x20}, std::byte{0x80}}) {
      bytes[at] ^= mask;
      const auto result = ModelFile::from_memory(bytes.span());
      if (at >= header_end(file)) {
        ASSERT_EQ(outcome(result), "MODEL_CHECKSUM_MISMATCH") << " byte " << at;
      } else if (result.ok()) {
        ++accepted;
        const ModelFile& model = **result;
        ASSERT_EQ(model.sha256(), good->sha256());
        ASSERT_OK(model.architecture().validate());
        ASSERT_EQ(model.labels().size(), static_cast<std::size_t>(model.architecture().classes));
        ASSERT_EQ(model.parameters(), good->parameters());
        for (const TensorSpec& spec : expected_tensors(good->architecture())) {
          ASSERT_OK_AND_ASSIGN(const TensorView* tensor, model.tensor(spec.name));
          ASSERT_EQ(tensor->shape, good->tensor(spec.name).value()->shape);
        }
      }
      bytes[at] ^= mask;
    }
  }
  // Digits of numbers, letters of labels and of the producer: some are harmless, most are not.
  EXPECT_GT(accepted, 0U);
  EXPECT_LT(accepted, header_end(file) / 2);
}

// Runs of bytes are overwritten; what the fuzzer does at random, done always and everywhere.
TEST(Damage, OverwrittenRunsNeverCrash) {
  const auto good = test::model_bytes(test::tiny_qama_vit());
  ASSERT_OK_AND_ASSIGN(const auto model, ModelFile::from_memory(good));
  const std::int64_t parameters = model->parameters();
  AlignedBuffer<std::byte> bytes(good.size());
  for (const std::byte value : {std::byte{0}, std::byte{0xFF}, std::byte{'['}, std::byte{'"'}}) {
    for (const std::size_t length : {2U, 8U, 64U}) {
      for (std::size_t at = 0; at + length <= good.size(); at += 3 * stride()) {
        std::copy(good.begin(), good.end(), bytes.data());
        std::fill_n(bytes.data() + at, length, value);
        const auto result = ModelFile::from_memory(bytes.span());
        if (!result.ok()) continue;
        EXPECT_EQ((*result)->parameters(), parameters) << at;
      }
    }
  }
}

// Names of corpus files: NAME.ERROR.safetensors.
TEST(Corpus, CommittedFilesAreStillRefusedByTheirRule) {
  std::size_t count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(test::source_path("tests/weights/corpus"))) {
    const std::filesystem::path name = entry.path().filename();
    if (name.extension() != ".safetensors") continue;
    ++count;
    const std::string expected = name.stem().extension().string().substr(1);
    const bool is_golden = name.string().find("-golden") != std::string::npos;
    const std::string got = is_golden ? test::describe(GoldenFile::open(entry.path().string()))
                                      : test::describe(ModelFile::open(entry.path().string()));
    EXPECT_EQ(got.substr(0, got.find(':')), expected) << name;
  }
  EXPECT_GE(count, 10U);
}

}  // namespace
}  // namespace qama::weights
