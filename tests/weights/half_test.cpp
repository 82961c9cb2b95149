// Half-precision numbers: every one of the 65536 there and back, rounding at the edges, and a model
// file whose matrices are stored so.
#include "weights/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/test_support.h"
#include "weights/model_file.h"
#include "weights/model_writer.h"

namespace qama::test {
namespace {

using namespace qama::weights;

TEST(Half, EveryF16IsWhatItsBitsSay) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const int exponent = static_cast<int>(bits >> 10 & 31U);
    const int fraction = static_cast<int>(bits & 1023U);
    const float found = float_from_f16(half);
    if (exponent == 31) {
      EXPECT_EQ(std::isnan(found), fraction != 0) << bits;
      EXPECT_FALSE(std::isfinite(found)) << bits;
      continue;
    }
    double expected =
        exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    if ((bits & 0x8000U) != 0) expected = -expected;
    EXPECT_EQ(static_cast<double>(found), expected) << bits;
    EXPECT_EQ(std::signbit(found), (bits & 0x8000U) != 0) << bits;
    EXPECT_EQ(f16_from_float(found), half) << bits;
  }
}

TEST(Half, EveryBf16IsTheUpperHalfOfAFloat) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float found = float_from_bf16(half);
    if (std::isnan(found)) continue;
    EXPECT_EQ(bf16_from_float(found), half) << bits;
  }
}

TEST(Half, RoundsToNearestTiesToEven) {
  EXPECT_EQ(float_from_f16(f16_from_float(1.0F + 0x1p-11F)), 1.0F);                // tie, to even
  EXPECT_EQ(float_from_f16(f16_from_float(1.0F + 3 * 0x1p-11F)), 1.0F + 0x1p-9F);  // tie, to even
  EXPECT_EQ(float_from_f16(f16_from_float(std::nextafter(1.0F + 0x1p-11F, 2.0F))), 1.0F + 0x1p-10F);
  EXPECT_EQ(float_from_f16(f16_from_float(0x1p-25F)), 0.0F);  // half of the smallest
  EXPECT_EQ(float_from_f16(f16_from_float(0x1.8p-25F)), 0x1p-24F);
  EXPECT_EQ(float_from_f16(f16_from_float(0x1.ffcp-15F + 0x1p-26F)),
            0x1p-14F);  // into the normal ones
  EXPECT_EQ(float_from_f16(f16_from_float(65519.0F)), 65504.0F);
  EXPECT_TRUE(std::isinf(float_from_f16(f16_from_float(65520.0F))));
  EXPECT_TRUE(std::isnan(float_from_f16(f16_from_float(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_EQ(float_from_bf16(bf16_from_float(1.0F + 0x1p-8F)), 1.0F);
  EXPECT_EQ(float_from_bf16(bf16_from_float(1.0F + 3 * 0x1p-8F)), 1.0F + 0x1p-6F);
  EXPECT_TRUE(
      std::isnan(float_from_bf16(bf16_from_float(std::numeric_limits<float>::quiet_NaN()))));
}

Architecture small_architecture() {
  Architecture a;
  a.image_height = a.image_width = 8;
  a.image_channels = 1;
  a.patch = 4;
  a.dim = 8;
  a.depth = a.heads = 2;
  a.dim_head = 4;
  a.mlp = 12;
  a.classes = 3;
  return a;
}

/// The random model of `seed` with its matrices stored as `dtype`.
std::vector<std::byte> half_model(Dtype dtype) {
  auto full = random_model(small_architecture(), 4);
  auto bytes = full->serialise();
  auto file = ModelFile::from_memory(*bytes);
  EXPECT_TRUE(file.ok()) << describe(file);
  auto half = half_copy(**file, dtype);
  EXPECT_OK(half);
  return *half->serialise();
}

TEST(Half, AModelFileWidensItsMatrices) {
  auto full = random_model(small_architecture(), 4);
  const auto full_bytes = *full->serialise();
  ASSERT_OK_AND_ASSIGN(const auto original, ModelFile::from_memory(full_bytes));
  for (const auto& [dtype, bound] : {std::pair{Dtype::f16, 0x1p-11}, {Dtype::bf16, 0x1p-8}}) {
    const std::vector<std::byte> bytes = half_model(dtype);
    EXPECT_LT(bytes.size(), full_bytes.size());
    ASSERT_OK_AND_ASSIGN(const auto file, ModelFile::from_memory(bytes));
    EXPECT_EQ(file->parameters(), original->parameters());
    EXPECT_TRUE(file->architecture().half_products);
    ASSERT_OK_AND_ASSIGN(const HalfMatrix head, half_matrix(*file, "head.weight"));
    EXPECT_EQ(head.dtype, dtype);
    EXPECT_EQ(head.values.size(), original->f32("head.weight")->size());
    ASSERT_OK_AND_ASSIGN(const HalfMatrix none, half_matrix(*file, "head.bias"));
    EXPECT_TRUE(none.values.empty());
    for (const TensorSpec& spec : expected_tensors(small_architecture())) {
      ASSERT_OK_AND_ASSIGN(const auto found, file->f32(spec.name));
      ASSERT_OK_AND_ASSIGN(const auto expected, original->f32(spec.name));
      ASSERT_EQ(found.size(), expected.size());
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(found.data()) % 64, 0U);
      for (std::size_t i = 0; i < found.size(); ++i) {
        const double allowed = spec.shape.size() < 2
                                   ? 0.0
                                   : bound * std::fabs(static_cast<double>(expected[i])) + 0x1p-25;
        EXPECT_NEAR(static_cast<double>(found[i]), static_cast<double>(expected[i]), allowed)
            << spec.name;
      }
    }
  }
}

TEST(Half, OtherTypesAreRefused) {
  auto full = random_model(small_architecture(), 4);
  const auto full_bytes = *full->serialise();
  ASSERT_OK_AND_ASSIGN(const auto original, ModelFile::from_memory(full_bytes));
  auto writer =
      model_writer(original->architecture(), original->preprocess(), original->labels(), "wrong");
  for (const TensorSpec& spec : expected_tensors(original->architecture())) {
    const auto values = *original->f32(spec.name);
    if (spec.name == "head.bias") {
      const std::vector<double> wide(values.begin(), values.end());
      EXPECT_OK(writer->add(spec.name, Dtype::f64, spec.shape, std::as_bytes(std::span(wide))));
    } else {
      EXPECT_OK(writer->add_f32(spec.name, spec.shape, values));
    }
  }
  const auto bytes = *writer->serialise();
  const auto refused = ModelFile::from_memory(bytes);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::model_bad_dtype);
  EXPECT_NE(refused.error().message.find("expected F32, F16 or BF16"), std::string::npos);
}

}  // namespace
}  // namespace qama::test
