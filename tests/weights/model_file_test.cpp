// ModelFile: what it gives of good models, and its sentences.
#include "weights/model_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/test_support.h"
#include "tests/weights/bad_files.h"
#include "weights/golden_file.h"
#include "weights/model_writer.h"

namespace qama::weights {
namespace {

TEST(ModelFile, ReadsImageModels) {
  for (const Architecture& a : {test::tiny_softmax_vit(), test::tiny_qama_vit()}) {
    const auto bytes = test::model_bytes(a);
    ASSERT_OK_AND_ASSIGN(const auto model, ModelFile::from_memory(bytes));
    EXPECT_EQ(model->architecture(), a);
    EXPECT_THAT(model->labels(), testing::ElementsAre("0", "1"));
    EXPECT_EQ(model->preprocess().kind, ModelKind::simple_vit);
    EXPECT_TRUE(model->vocabulary().words().empty());
    EXPECT_EQ(model->producer(), "qama random model");
    EXPECT_EQ(model->training(), "");
    EXPECT_EQ(model->file_bytes(), bytes.size());
    EXPECT_EQ(model->sha256().size(), 64U);
    ASSERT_OK_AND_ASSIGN(const auto head, model->f32("head.weight"));
    EXPECT_EQ(head.size(), 8U);
    EXPECT_ERROR(model_missing_tensor, model->f32("head.weights"));
    std::int64_t parameters = 0;
    for (const TensorSpec& spec : expected_tensors(a)) {
      ASSERT_OK_AND_ASSIGN(const TensorView* tensor, model->tensor(spec.name));
      EXPECT_EQ(tensor->shape, spec.shape);
      parameters += static_cast<std::int64_t>(tensor->elements());
    }
    EXPECT_EQ(model->parameters(), parameters);
  }
}

TEST(ModelFile, ReadsTextModels) {
  const auto bytes = test::model_bytes(test::tiny_qama_text());
  ASSERT_OK_AND_ASSIGN(const auto model, ModelFile::from_memory(bytes));
  EXPECT_THAT(model->vocabulary().words(),
              testing::ElementsAre("<pad>", "<unk>", "w2", "w3", "w4"));
  EXPECT_ERROR(model_bad_dtype, model->f32("vocabulary"));
  EXPECT_EQ(model->preprocess().kind, ModelKind::text_transformer);
}

TEST(ModelFile, ReadsModelsOfFeatures) {
  const auto bytes = test::model_bytes(test::tiny_features());
  ASSERT_OK_AND_ASSIGN(const auto model, ModelFile::from_memory(bytes));
  EXPECT_TRUE(model->vocabulary().words().empty());
  EXPECT_EQ(model->preprocess().kind, ModelKind::feature_transformer);
  ASSERT_OK_AND_ASSIGN(const auto projection, model->f32("embed.proj.weight"));
  EXPECT_EQ(projection.size(), 12U);
  EXPECT_ERROR(model_missing_tensor, model->f32("position"));
}

TEST(ModelFile, OutlivesItsFileName) {
  const test::TempDir directory;
  test::write_file(directory.file("m"), test::model_bytes(test::tiny_qama_text()));
  ASSERT_OK_AND_ASSIGN(auto model, ModelFile::open(directory.file("m")));
  const std::shared_ptr<const ModelFile> copy = model;
  model.reset();
  std::filesystem::remove(directory.file("m"));
  copy->release_pages();
  EXPECT_EQ(copy->vocabulary().words()[4], "w4");
  EXPECT_ERROR(not_found, ModelFile::open(directory.file("m")));
}

// The list of tensors is the format itself: names and shapes as the exporter writes them.
TEST(ModelFile, ExpectsTheTensorsOfTheFormat) {
  Architecture a = test::tiny_qama_vit();
  a.image_channels = 3;
  a.image_height = 8;
  a.dim = 5;
  a.heads = 4;
  a.dim_head = 3;
  a.token_pool_rows = 2;
  std::vector<std::string> got;
  for (const TensorSpec& spec : expected_tensors(a)) {
    std::string line = spec.name + shape_text(spec.shape);
    if (!spec.other.empty()) line += shape_text(spec.other);
    got.push_back(line);
  }
  EXPECT_THAT(got, testing::UnorderedElementsAre(
                       "patch.norm1.weight[12]", "patch.norm1.bias[12]",
                       "patch.linear.weight[5,12]", "patch.linear.bias[5]", "patch.norm2.weight[5]",
                       "patch.norm2.bias[5]", "position[8,5]", "blocks.0.attn.norm.weight[5]",
                       "blocks.0.attn.norm.bias[5]", "blocks.0.attn.qkv.weight[36,5]",
                       "blocks.0.attn.out.weight[5,12]", "blocks.0.attn.w_eps[1,3][4,3]",
                       "blocks.0.attn.coupling.scale[4]", "blocks.0.attn.coupling.shift[4]",
                       "blocks.0.attn.field.scale[4]", "blocks.0.attn.field.shift[4]",
                       "blocks.0.attn.energy.scale[4]", "blocks.0.attn.energy.shift[4]",
                       "blocks.0.mlp.norm.weight[5]", "blocks.0.mlp.norm.bias[5]",
                       "blocks.0.mlp.fc1.weight[6,5]", "blocks.0.mlp.fc1.bias[6]",
                       "blocks.0.mlp.fc2.weight[5,6]", "blocks.0.mlp.fc2.bias[5]", "norm.weight[5]",
                       "norm.bias[5]", "head.weight[2,5]", "head.bias[2]"));

  const auto names = [](const Architecture& architecture) {
    std::set<std::string> out;
    for (const TensorSpec& spec : expected_tensors(architecture)) out.insert(spec.name);
    return out;
  };
  a.attention.energy_norm = EnergyNorm::layer;
  EXPECT_TRUE(names(a).contains("blocks.0.attn.energy.weight"));
  EXPECT_FALSE(names(a).contains("blocks.0.attn.energy.scale"));
  a.attention.energy_norm = EnergyNorm::none;
  EXPECT_FALSE(names(a).contains("blocks.0.attn.energy.weight"));
  EXPECT_FALSE(names(a).contains("blocks.0.attn.energy.scale"));
  EXPECT_FALSE(names(test::tiny_softmax_vit()).contains("blocks.0.attn.w_eps"));
  const auto text = names(test::tiny_qama_text());
  for (const char* name : {"embed.weight", "embed.proj.weight", "embed.proj.bias", "vocabulary"}) {
    EXPECT_TRUE(text.contains(name)) << name;
  }
  EXPECT_FALSE(text.contains("patch.linear.weight"));
}

// A model with one tensor replaced.
Result<std::shared_ptr<const ModelFile>> with_tensor(const Architecture& a, const std::string& name,
                                                     std::vector<std::int64_t> shape,
                                                     std::vector<std::byte>& bytes) {
  QAMA_ASSIGN_OR_RETURN(TensorFileWriter all, random_model(a, 1));
  QAMA_ASSIGN_OR_RETURN(const auto source, all.serialise());
  QAMA_ASSIGN_OR_RETURN(const auto file, TensorFile::from_memory(source, kModelFormat));
  TensorFileWriter writer(kModelFormat);
  for (const MetadataEntry& entry : file->all_metadata()) {
    writer.set_metadata(entry.key, entry.value);
  }
  for (const TensorView& view : file->tensors()) {
    if (view.is_padding() || view.name == name) continue;
    QAMA_RETURN_IF_ERROR(writer.add(view.name, view.dtype, view.shape, view.bytes));
  }
  std::size_t count = 1;
  for (const std::int64_t n : shape) count *= static_cast<std::size_t>(n);
  QAMA_RETURN_IF_ERROR(writer.add_f32(name, std::move(shape), std::vector<float>(count)));
  QAMA_ASSIGN_OR_RETURN(bytes, writer.serialise());
  return ModelFile::from_memory(bytes);
}

TEST(ModelFile, OneOrOneAHeadOutputWeights) {
  std::vector<std::byte> bytes;
  const Architecture a = test::tiny_qama_vit();
  EXPECT_OK(with_tensor(a, "blocks.0.attn.w_eps", {1, 2}, bytes));
  EXPECT_OK(with_tensor(a, "blocks.0.attn.w_eps", {2, 2}, bytes));
  EXPECT_EQ(test::describe(with_tensor(a, "blocks.0.attn.w_eps", {2, 1}, bytes)),
            "MODEL_BAD_SHAPE: tensor 'blocks.0.attn.w_eps': shape [2,1], expected [1,2] or [2,2]");
}

TEST(ModelFile, SentencesNameTheTensorAndTheShapes) {
  std::vector<std::byte> bytes;
  EXPECT_EQ(
      test::describe(with_tensor(test::tiny_qama_vit(), "blocks.0.mlp.fc1.weight", {6, 3}, bytes)),
      "MODEL_BAD_SHAPE: tensor 'blocks.0.mlp.fc1.weight': shape [6,3], expected [6,4]");
  EXPECT_EQ(
      test::describe(with_tensor(test::tiny_softmax_vit(), "blocks.0.attn.w_eps", {1, 2}, bytes)),
      "MODEL_UNKNOWN_TENSOR: tensor 'blocks.0.attn.w_eps': unknown to a simple_vit with softmax "
      "attention of depth 1");
}

TEST(ModelFile, TrainingAndProducerAreKept) {
  ASSERT_OK_AND_ASSIGN(TensorFileWriter writer, random_model(test::tiny_softmax_vit(), 1));
  writer.set_metadata("producer", "someone 1.0");
  writer.set_metadata("training", R"({"epochs":[1,2],"deep":{"accuracy":0.97}})");
  ASSERT_OK_AND_ASSIGN(const auto bytes, writer.serialise());
  ASSERT_OK_AND_ASSIGN(const auto model, ModelFile::from_memory(bytes));
  EXPECT_EQ(model->producer(), "someone 1.0");
  EXPECT_EQ(model->training(), R"({"epochs":[1,2],"deep":{"accuracy":0.97}})");
}

TEST(ModelFile, AVocabularyMayEndWithANewline) {
  const Architecture a = test::tiny_qama_text();
  ASSERT_OK_AND_ASSIGN(TensorFileWriter all, random_model(a, 1));
  ASSERT_OK_AND_ASSIGN(const auto source, all.serialise());
  ASSERT_OK_AND_ASSIGN(const auto file, TensorFile::from_memory(source, kModelFormat));
  TensorFileWriter writer(kModelFormat);
  for (const MetadataEntry& e : file->all_metadata()) writer.set_metadata(e.key, e.value);
  for (const TensorView& view : file->tensors()) {
    if (view.is_padding() || view.name == "vocabulary") continue;
    ASSERT_OK(writer.add(view.name, view.dtype, view.shape, view.bytes));
  }
  const std::string words = "<pad>\n<unk>\nthe\n\xc3\xa4\n'\n";
  ASSERT_OK(writer.add("vocabulary", Dtype::u8, {static_cast<std::int64_t>(words.size())},
                       std::as_bytes(std::span(words))));
  ASSERT_OK_AND_ASSIGN(const auto bytes, writer.serialise());
  ASSERT_OK_AND_ASSIGN(const auto model, ModelFile::from_memory(bytes));
  EXPECT_THAT(model->vocabulary().words(),
              testing::ElementsAre("<pad>", "<unk>", "the", "\xc3\xa4", "'"));
}

// Models that ship with the source tree, and golden files beside them, if any are there yet.
TEST(ModelFile, ShippedModelsAreGood) {
  std::error_code error;
  int count = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(test::source_path("weights/models"), error)) {
    if (entry.path().extension() != ".safetensors") continue;
    SCOPED_TRACE(entry.path().filename().string());
    const auto model = ModelFile::open(entry.path().string());
    if (!model.ok() && model.error().code == ErrorCode::model_wrong_kind) {
      EXPECT_OK(GoldenFile::open(entry.path().string()));
    } else {
      ASSERT_OK(model);
      EXPECT_TRUE((*model)->sealed());
    }
    ++count;
  }
  if (count == 0) GTEST_SKIP() << "SKIPPED: weights/models has no model";
}

}  // namespace
}  // namespace qama::weights
