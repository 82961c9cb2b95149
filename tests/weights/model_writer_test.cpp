// The writer: it refuses what the reader would, and what it writes is the same everywhere.
#include "weights/model_writer.h"
#include "hal/platform/sha256.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "tests/test_support.h"
#include "tests/weights/bad_files.h"
#include "weights/model_file.h"

namespace qama::weights {
namespace {

constexpr TensorFormat kFormat{"test", "1"};

TEST(ModelWriter, RefusesWhatTheProfileDoesNotAllow) {
  TensorFileWriter writer(kFormat);
  const std::vector<float> four(4);
  ASSERT_OK(writer.add_f32("a", {4}, four));
  EXPECT_ERROR(invalid_argument, writer.add_f32("a", {4}, four));
  EXPECT_ERROR(invalid_argument, writer.add_f32("__metadata__", {4}, four));
  EXPECT_ERROR(invalid_argument, writer.add_f32("__pad.0", {4}, four));
  EXPECT_ERROR(invalid_argument, writer.add_f32("b", {5}, four));
  EXPECT_ERROR(invalid_argument, writer.add_f32("b", {0}, {}));
  EXPECT_ERROR(invalid_argument, writer.add_f32("b", {-4, -1}, four));
  EXPECT_ERROR(invalid_argument, writer.add_f32("b", {1, 1, 1, 1, 1, 1, 4}, four));
  const std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  EXPECT_ERROR(invalid_argument, writer.add_f32("b", {huge, huge}, four));
  EXPECT_OK(writer.serialise());
}

TEST(ModelWriter, RefusesFilesThatTheReaderWouldRefuse) {
  {
    TensorFileWriter writer(kFormat);
    writer.set_metadata("note", "\xff");
    EXPECT_ERROR(invalid_argument, writer.serialise());
  }
  {
    TensorFileWriter writer(kFormat);
    writer.set_metadata("note", std::string(kMaxHeaderBytes, 'x'));
    EXPECT_ERROR(invalid_argument, writer.serialise());
  }
  {
    TensorFileWriter writer(kFormat);
    const std::vector<std::uint8_t> one(1);
    // Every tensor but the first needs a pad before it.
    for (std::size_t i = 0; i <= kMaxTensors / 2; ++i) {
      ASSERT_OK(writer.add_u8("t" + std::to_string(i), {1}, one));
    }
    EXPECT_ERROR(invalid_argument, writer.serialise());
  }
}

TEST(ModelWriter, AFileAtTheLimitIsReadBack) {
  TensorFileWriter writer(kFormat);
  const std::vector<float> line(16);
  for (std::size_t i = 0; i < kMaxTensors; ++i) {
    ASSERT_OK(writer.add_f32("t" + std::to_string(i), {16}, line));
  }
  ASSERT_OK_AND_ASSIGN(const auto bytes, writer.serialise());
  ASSERT_OK_AND_ASSIGN(const auto file, TensorFile::from_memory(bytes, kFormat));
  EXPECT_EQ(file->tensors().size(), kMaxTensors);
}

TEST(ModelWriter, AnEmptyFileIsAFile) {
  ASSERT_OK_AND_ASSIGN(const auto bytes, TensorFileWriter(kFormat).serialise());
  ASSERT_OK_AND_ASSIGN(const auto file, TensorFile::from_memory(bytes, kFormat));
  EXPECT_TRUE(file->tensors().empty());
}

TEST(ModelWriter, WritesAndReplacesAFile) {
  const test::TempDir directory;
  ASSERT_OK_AND_ASSIGN(const auto writer, random_model(test::tiny_qama_vit(), 1));
  ASSERT_OK(writer.write(directory.file("m")));
  ASSERT_OK(writer.write(directory.file("m")));
  ASSERT_OK_AND_ASSIGN(const auto bytes, writer.serialise());
  EXPECT_EQ(test::read_file(directory.file("m")), bytes);
  EXPECT_FALSE(std::filesystem::exists(directory.file("m.tmp")));
  EXPECT_ERROR(io_error, writer.write(directory.file("absent/m")));
}

TEST(ModelWriter, SealsTheWholeFile) {
  TensorFileWriter writer(kFormat);
  // What could be taken for the place of the seal.
  const std::string zeros(kDigestDigits, '0');
  writer.set_metadata("note", "\"sha256\":\"" + zeros + "\"");
  writer.set_metadata("sha256", "of an older file");
  writer.set_metadata(zeros, zeros);
  ASSERT_OK(writer.add_f32("sha256", {1}, std::vector<float>{1}));
  ASSERT_OK_AND_ASSIGN(auto bytes, writer.serialise());
  ASSERT_OK_AND_ASSIGN(const auto file, TensorFile::from_memory(bytes, kFormat));
  EXPECT_TRUE(file->sealed());
  const std::string digest = file->sha256();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t at = text.find(digest);
  EXPECT_EQ(digest, seal_of(bytes, at));
  std::memcpy(bytes.data() + at, zeros.data(), zeros.size());
  EXPECT_EQ(digest, platform::sha256_hex(bytes));
}

TEST(ModelWriter, ACopyOfAnOlderFileIsSealedAndTheSame) {
  const auto old = test::unsealed_model_bytes(test::tiny_qama_vit());
  ASSERT_OK_AND_ASSIGN(const auto model, ModelFile::from_memory(old));
  EXPECT_FALSE(model->sealed());
  ASSERT_OK_AND_ASSIGN(const auto writer, model_copy(*model, model->architecture()));
  ASSERT_OK_AND_ASSIGN(const auto bytes, writer.serialise());
  EXPECT_EQ(bytes, test::model_bytes(test::tiny_qama_vit()));
}

TEST(ModelWriter, RandomModelsAreReproducible) {
  const Architecture a = test::tiny_qama_vit();
  EXPECT_EQ(test::model_bytes(a), test::model_bytes(a));
  ASSERT_OK_AND_ASSIGN(const auto writer, random_model(a, 2));
  ASSERT_OK_AND_ASSIGN(const auto other, writer.serialise());
  EXPECT_NE(other, test::model_bytes(a));
  // The same on every platform: a change of this checksum is a change of the generator.
  const auto bytes = test::model_bytes(a);
  ASSERT_OK_AND_ASSIGN(const auto model, ModelFile::from_memory(bytes));
  EXPECT_EQ(model->sha256(), "b4e294915490758c0a00f4edd4227afe45c1b89dc07fd9247bae16ecce9a0329");
}

TEST(ModelWriter, RandomModelsOfEveryKindAreModels) {
  for (const Normalisation normalisation :
       {Normalisation::none, Normalisation::instance, Normalisation::batch}) {
    for (const EnergyNorm energy : {EnergyNorm::none, EnergyNorm::layer, EnergyNorm::batch}) {
      for (Architecture a : {test::tiny_qama_vit(), test::tiny_qama_text()}) {
        a.depth = 2;
        a.attention.normalisation = normalisation;
        a.attention.energy_norm = energy;
        const auto bytes = test::model_bytes(a);
        ASSERT_OK_AND_ASSIGN(const auto model, ModelFile::from_memory(bytes));
        EXPECT_EQ(model->architecture(), a);
      }
    }
  }
  Architecture bad = test::tiny_qama_vit();
  bad.dim = 0;
  EXPECT_ERROR(model_bad_architecture, random_model(bad, 1));
}

TEST(ModelWriter, ChecksTheRecords) {
  Architecture a = test::tiny_softmax_vit();
  Preprocess preprocess;
  EXPECT_ERROR(model_bad_preprocess, model_writer(a, preprocess, {"a", "b"}, "test"));
  preprocess.mean = {0.5};
  preprocess.stddev = {0.5};
  EXPECT_OK(model_writer(a, preprocess, {"a", "b"}, "test"));
  a.heads = 0;
  EXPECT_ERROR(model_bad_architecture, model_writer(a, preprocess, {"a", "b"}, "test"));
}

}  // namespace
}  // namespace qama::weights
