// GoldenFile: good files, and every way not to match a model.
#include "weights/golden_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/test_support.h"
#include "tests/weights/bad_files.h"
#include "weights/model_file.h"
#include "weights/model_writer.h"

namespace qama::weights {
namespace {

std::string model_checksum(const Architecture& a) {
  const auto bytes = test::model_bytes(a);
  const auto model = ModelFile::from_memory(bytes);
  EXPECT_OK(model);
  return model.value()->sha256();
}

TEST(GoldenFile, MatchesItsModelOnly) {
  for (const Architecture& a : {test::tiny_softmax_vit(), test::tiny_qama_vit(),
                                test::tiny_qama_text(), test::tiny_features()}) {
    const auto bytes = test::golden_bytes(a);
    ASSERT_OK_AND_ASSIGN(const auto golden, GoldenFile::from_memory(bytes));
    EXPECT_EQ(golden->batch(), 2);
    EXPECT_EQ(golden->model_sha256(), model_checksum(a));
    EXPECT_OK(golden->matches(a, golden->model_sha256()));
    EXPECT_ERROR(golden_wrong_model, golden->matches(a, std::string(64, '0')));
    ASSERT_OK_AND_ASSIGN(const TensorView* logits, golden->tensor("logits"));
    EXPECT_EQ(logits->shape, (std::vector<std::int64_t>{2, a.classes}));
  }
}

TEST(GoldenFile, OpensAFileAndRefusesAModel) {
  const test::TempDir directory;
  test::write_file(directory.file("golden"), test::golden_bytes(test::tiny_qama_vit()));
  EXPECT_OK(GoldenFile::open(directory.file("golden")));
  EXPECT_ERROR(not_found, GoldenFile::open(directory.file("absent")));
  test::write_file(directory.file("model"), test::model_bytes(test::tiny_qama_vit()));
  EXPECT_ERROR(model_wrong_kind, GoldenFile::open(directory.file("model")));
  EXPECT_ERROR(model_wrong_kind, ModelFile::open(directory.file("golden")));
}

// A golden file as a list that tests change.
struct Draft {
  struct Tensor {
    Dtype dtype;
    std::vector<std::int64_t> shape;
    std::vector<std::byte> bytes;
  };
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

Status check_changed(const Architecture& a, const std::function<void(Draft&)>& change) {
  const auto source = test::golden_bytes(a);
  QAMA_ASSIGN_OR_RETURN(const auto file, TensorFile::from_memory(source, kGoldenFormat));
  Draft draft;
  for (const TensorView& view : file->tensors()) {
    if (view.is_padding()) continue;
    draft.tensors[view.name] = {view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}};
  }
  draft.metadata["model_sha256"] = *file->metadata("model_sha256");
  change(draft);
  TensorFileWriter writer(kGoldenFormat);
  for (const auto& [key, value] : draft.metadata) writer.set_metadata(key, value);
  for (const auto& [name, tensor] : draft.tensors) {
    QAMA_RETURN_IF_ERROR(writer.add(name, tensor.dtype, tensor.shape, tensor.bytes));
  }
  QAMA_ASSIGN_OR_RETURN(const auto bytes, writer.serialise());
  QAMA_ASSIGN_OR_RETURN(const auto golden, GoldenFile::from_memory(bytes));
  return golden->matches(a, golden->model_sha256());
}

TEST(GoldenFile, OnlyInputAndLogitsAreNeeded) {
  EXPECT_OK(check_changed(test::tiny_qama_vit(), [](Draft& d) {
    std::erase_if(d.tensors,
                  [](const auto& t) { return t.first != "input" && t.first != "logits"; });
  }));
  for (const char* name : {"input", "logits"}) {
    EXPECT_ERROR(model_missing_tensor,
                 check_changed(test::tiny_qama_vit(), [&](Draft& d) { d.tensors.erase(name); }));
  }
  for (const char* name : {"tokens", "lengths", "logits"}) {
    EXPECT_ERROR(model_missing_tensor,
                 check_changed(test::tiny_qama_text(), [&](Draft& d) { d.tensors.erase(name); }));
  }
  EXPECT_ERROR(model_bad_metadata, check_changed(test::tiny_qama_vit(), [](Draft& d) {
                 d.metadata.erase("model_sha256");
               }));
}

TEST(GoldenFile, EveryTensorHasItsShapeAndType) {
  for (const Architecture& a : {test::tiny_qama_vit(), test::tiny_qama_text()}) {
    const auto source = test::golden_bytes(a);
    ASSERT_OK_AND_ASSIGN(const auto golden, GoldenFile::from_memory(source));
    for (const TensorView& view : golden->tensors()) {
      if (view.is_padding() || view.name == "logits") continue;
      SCOPED_TRACE(view.name);
      EXPECT_ERROR(model_bad_shape, check_changed(a, [&](Draft& d) {
                     Draft::Tensor& tensor = d.tensors[view.name];
                     tensor.shape.push_back(1);
                   }));
      EXPECT_ERROR(model_bad_dtype, check_changed(a, [&](Draft& d) {
                     Draft::Tensor& tensor = d.tensors[view.name];
                     tensor.dtype = tensor.dtype == Dtype::u8 ? Dtype::i8 : Dtype::u32;
                   }));
    }
    // The batch is what the logits say; with other logits everything else is wrong.
    EXPECT_ERROR(model_bad_shape, check_changed(a, [](Draft& d) {
                   Draft::Tensor& tensor = d.tensors["logits"];
                   tensor.shape[0] = 1;
                   tensor.bytes.resize(tensor.bytes.size() / 2);
                 }));
    EXPECT_ERROR(model_bad_shape,
                 check_changed(a, [](Draft& d) { d.tensors["logits"].shape = {4}; }));
  }
}

TEST(GoldenFile, NothingUnknown) {
  EXPECT_ERROR(model_unknown_tensor, check_changed(test::tiny_qama_vit(), [](Draft& d) {
                 d.tensors["extra"] = d.tensors["logits"];
               }));
  // Softmax attention has no spins.
  EXPECT_ERROR(model_unknown_tensor, check_changed(test::tiny_softmax_vit(), [](Draft& d) {
                 d.tensors["block.0.spins"] = {Dtype::u8, {2, 2, 4}, std::vector<std::byte>(16)};
               }));
}

TEST(GoldenFile, IntegersAreInRange) {
  const auto with_first = [](const char* name, std::int32_t value) {
    return check_changed(test::tiny_qama_text(), [&](Draft& d) {
      std::memcpy(d.tensors[name].bytes.data(), &value, sizeof value);
    });
  };
  EXPECT_OK(with_first("tokens", 0));
  EXPECT_OK(with_first("tokens", 4));
  EXPECT_ERROR(model_bad_value, with_first("tokens", 5));
  EXPECT_ERROR(model_bad_value, with_first("tokens", -1));
  EXPECT_OK(with_first("lengths", 8));
  EXPECT_ERROR(model_bad_value, with_first("lengths", 9));
  EXPECT_ERROR(model_bad_value, with_first("lengths", 0));
  EXPECT_ERROR(model_bad_value, with_first("labels", 2));
  EXPECT_ERROR(model_bad_value, with_first("labels", -1));
  EXPECT_ERROR(model_bad_value, check_changed(test::tiny_qama_vit(), [](Draft& d) {
                 d.tensors["block.0.spins"].bytes.back() = std::byte{2};
               }));
}

}  // namespace
}  // namespace qama::weights
