// Matrices in int8: what a model file holds, and how a row is rounded.
#include "weights/int8.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/test_support.h"
#include "tests/weights/bad_files.h"
#include "weights/model_file.h"
#include "weights/model_writer.h"

namespace qama::test {
namespace {

using namespace weights;

TEST(Int8, ARowIsRounded) {
  const std::vector<float> row{1.27F, -0.635F, 0.004F, 0.0F};
  std::vector<std::int8_t> values(4);
  float scale = 1;
  quantise_row(row, values, scale);
  EXPECT_FLOAT_EQ(scale, 0.01F);
  EXPECT_EQ(values[0], 127);
  EXPECT_LE(values[1], -63);
  EXPECT_EQ(values[2], 0);
  EXPECT_EQ(values[3], 0);
  quantise_row(std::vector<float>{-127.0F, 2.5F, 3.5F, -0.5F}, values, scale);
  EXPECT_EQ(scale, 1.0F);
  EXPECT_EQ(values, (std::vector<std::int8_t>{-127, 2, 4, 0}));
  quantise_row(std::vector<float>(4), values, scale);
  EXPECT_EQ(scale, 0.0F);
  EXPECT_EQ(values, std::vector<std::int8_t>(4));
  // Scales of the smallest floats are a few steps: nothing may leave int8.
  quantise_row(std::vector<float>{0x1.7cp-142F, -0x1.7cp-142F, 0.0F, 0x1p-149F}, values, scale);
  EXPECT_EQ(values[0], 127);
  EXPECT_EQ(values[1], -127);
}

TEST(Int8, WhatWasWidenedBecomesTheSameAgain) {
  std::vector<std::int8_t> values;
  for (int v = -127; v <= 127; ++v) values.push_back(static_cast<std::int8_t>(v));
  for (const float scale : {0.1F, 1.0F / 3.0F, 7.7e-5F, 123.4F}) {
    const std::vector<float> scales{scale};
    std::vector<float> row(values.size());
    widen({values, scales}, row);
    std::vector<std::int8_t> again(values.size());
    float near = 0;
    quantise_row(row, again, near);
    EXPECT_EQ(again, values);
    EXPECT_FLOAT_EQ(near, scale);
  }
}

TEST(Int8, AModelFileHoldsMatricesAndScales) {
  for (const Architecture& a : {tiny_qama_vit(), tiny_qama_text(), tiny_features()}) {
    const auto float_bytes = model_bytes(a);
    ASSERT_OK_AND_ASSIGN(const auto original, ModelFile::from_memory(float_bytes));
    const auto bytes = int8_model_bytes(a);
    ASSERT_OK_AND_ASSIGN(const auto file, ModelFile::from_memory(bytes));
    EXPECT_EQ(file->parameters(), original->parameters());
    EXPECT_EQ(file->architecture(), original->architecture());
    std::size_t matrices = 0;
    for (const TensorSpec& spec : expected_tensors(a)) {
      if (spec.dtype != Dtype::f32) continue;
      ASSERT_OK_AND_ASSIGN(const auto expected, original->f32(spec.name));
      ASSERT_OK_AND_ASSIGN(const Int8Matrix matrix, int8_matrix(*file, spec.name));
      if (spec.shape.size() < 2) {
        EXPECT_TRUE(matrix.empty()) << spec.name;
        EXPECT_OK(file->f32(spec.name));
        continue;
      }
      ++matrices;
      ASSERT_EQ(matrix.values.size(), expected.size()) << spec.name;
      EXPECT_ERROR(model_bad_dtype, file->f32(spec.name));
      std::vector<float> floats(expected.size());
      widen(matrix, floats);
      const std::size_t columns = expected.size() / matrix.scales.size();
      for (std::size_t i = 0; i < floats.size(); ++i) {
        EXPECT_NEAR(floats[i], expected[i], 0.501F * matrix.scales[i / columns]) << spec.name;
      }
    }
    EXPECT_GE(matrices, 5U);
    EXPECT_ERROR(model_missing_tensor, int8_matrix(*file, "no.such"));
  }
}

TEST(Int8, NamesOfScales) {
  EXPECT_EQ(scales_of("blocks.0.mlp.fc1.weight"), "blocks.0.mlp.fc1.scale");
  EXPECT_EQ(scales_of("position"), "position.scale");
}

}  // namespace
}  // namespace qama::test
