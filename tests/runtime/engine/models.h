// Small models with random weights, for the engine's tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "runtime/engine/model.h"
#include "tests/test_support.h"
#include "weights/model_file.h"
#include "weights/model_writer.h"

namespace qama::test {

/// The paper's MNIST shape: 49 tokens, 8 heads of 8, dim 64, MLP 128, depth 2.
inline weights::Architecture mnist_architecture(weights::AttentionKind kind) {
  weights::Architecture a;
  a.image_height = a.image_width = 28;
  a.image_channels = 1;
  a.patch = 4;
  a.dim = 64;
  a.depth = 2;
  a.heads = a.dim_head = 8;
  a.mlp = 128;
  a.classes = 10;
  a.attention.kind = kind;
  if (kind == weights::AttentionKind::qama) {
    a.attention.normalisation = weights::Normalisation::batch;
    a.attention.energy_norm = weights::EnergyNorm::batch;
  }
  return a;
}

/// So large that the rows of its layers are shared out among a sample's threads: 197 tokens.
inline weights::Architecture large_architecture() {
  weights::Architecture a = mnist_architecture(weights::AttentionKind::softmax);
  a.patch = 2;
  a.class_tokens = 1;
  a.pool = weights::Pool::class_token;
  a.dim = 192;
  a.heads = 4;
  a.dim_head = 48;
  a.mlp = 256;
  return a;
}

/// `a` with an attention kind that is neither softmax nor qama, at sizes that fit some 50 tokens.
inline weights::Architecture with_kind(weights::Architecture a, weights::AttentionKind kind) {
  using Kind = weights::AttentionKind;
  weights::AttentionSpec& s = a.attention;
  s = {};
  s.kind = kind;
  if (kind == Kind::longformer) s.window = 5, s.global_tokens = 2;
  if (kind == Kind::bigbird) s.block = 8, s.window_blocks = s.global_blocks = s.random_blocks = 1;
  if (kind == Kind::linformer) s.rank = 9;
  if (kind == Kind::performer) s.features = 20;
  if (kind == Kind::reformer) s.hashes = 2, s.buckets = 4, s.chunk = 8;
  if (kind == Kind::qama_bilinear) a.dim_head = a.dim / a.heads;
  if (kind == Kind::qama_v1) s.bits = 3, s.quadratic = s.linear = 1.0, s.penalty = 2.0;
  return a;
}
inline constexpr weights::AttentionKind kOtherKinds[] = {
    weights::AttentionKind::longformer,   weights::AttentionKind::bigbird,
    weights::AttentionKind::linformer,    weights::AttentionKind::performer,
    weights::AttentionKind::reformer,     weights::AttentionKind::qama_v1,
    weights::AttentionKind::qama_bilinear};

inline weights::Architecture text_architecture(weights::AttentionKind kind) {
  weights::Architecture a;
  a.kind = weights::ModelKind::text_transformer;
  a.max_tokens = 50;
  a.vocabulary = 90;
  a.embedding = 20;
  a.dim = 36;
  a.depth = 2;
  a.heads = 2;
  a.dim_head = 12;
  a.mlp = 44;
  a.classes = 3;
  a.attention.kind = kind;
  return a;
}

inline weights::Architecture feature_architecture(weights::AttentionKind kind) {
  weights::Architecture a = text_architecture(kind);
  a.kind = weights::ModelKind::feature_transformer;
  a.vocabulary = 0;
  return a;
}

/// A model held in memory together with its bytes.
struct MemoryModel {
  std::vector<std::byte> bytes;
  std::shared_ptr<const runtime::Model> model;
};

inline MemoryModel make_model(const Result<weights::TensorFileWriter>& writer) {
  MemoryModel out;
  EXPECT_TRUE(writer.ok()) << describe(writer);
  if (!writer.ok()) return out;
  auto bytes = writer->serialise();
  EXPECT_TRUE(bytes.ok()) << describe(bytes);
  if (!bytes.ok()) return out;
  out.bytes = std::move(*bytes);
  auto model = runtime::Model::from_memory(out.bytes);
  EXPECT_TRUE(model.ok()) << describe(model);
  if (model.ok()) out.model = std::move(*model);
  return out;
}
inline MemoryModel make_model(const weights::Architecture& architecture, std::uint64_t seed = 1) {
  return make_model(weights::random_model(architecture, seed));
}
/// The same with its matrices in int8.
inline MemoryModel make_int8_model(const weights::Architecture& architecture,
                                   std::uint64_t seed = 1) {
  const MemoryModel floats = make_model(architecture, seed);
  return make_model(weights::int8_copy(floats.model->file()));
}

/// The same with its matrices in half precision, in which its layers compute.
inline MemoryModel make_half_model(const weights::Architecture& architecture, weights::Dtype half,
                                   std::uint64_t seed = 1) {
  const MemoryModel floats = make_model(architecture, seed);
  return make_model(weights::half_copy(floats.model->file(), half));
}
/// One of these: F32, I8, F16 or BF16.
inline MemoryModel make_model_in(weights::Dtype dtype, const weights::Architecture& architecture) {
  if (dtype == weights::Dtype::f32) return make_model(architecture);
  if (dtype == weights::Dtype::i8) return make_int8_model(architecture);
  return make_half_model(architecture, dtype);
}

inline std::vector<float> random_floats(std::size_t count, std::uint64_t seed,
                                        double deviation = 1.0) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0.0, deviation);
  std::vector<float> out(count);
  for (float& v : out) v = static_cast<float>(normal(random));
  return out;
}

inline std::vector<std::uint8_t> random_pixels(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::uint8_t> out(count);
  for (std::uint8_t& v : out) v = static_cast<std::uint8_t>(random());
  return out;
}

/// A text model whose vocabulary is `words` behind <pad> and <unk>.
inline MemoryModel model_with(const std::vector<std::string>& words, std::int32_t max_tokens,
                              weights::Tokeniser tokeniser = weights::Tokeniser::words,
                              weights::Truncate truncate = weights::Truncate::head) {
  weights::Architecture a = text_architecture(weights::AttentionKind::softmax);
  a.vocabulary = static_cast<std::int32_t>(words.size()) + 2;
  a.max_tokens = max_tokens;
  weights::Preprocess preprocess;
  preprocess.kind = a.kind;
  preprocess.tokeniser = tokeniser;
  preprocess.truncate = truncate;
  MemoryModel out;
  auto writer = weights::model_writer(a, preprocess, {"0", "1", "2"}, "test");
  EXPECT_OK(writer);
  std::string text = "<pad>\n<unk>";
  for (const std::string& word : words) text += "\n" + word;
  for (const auto& spec : weights::expected_tensors(a)) {
    if (spec.dtype == weights::Dtype::u8) {
      EXPECT_OK(writer->add(spec.name, spec.dtype, {static_cast<std::int64_t>(text.size())},
                            std::as_bytes(std::span(text))));
      continue;
    }
    std::size_t count = 1;
    for (const auto size : spec.shape) count *= static_cast<std::size_t>(size);
    EXPECT_OK(writer->add_f32(spec.name, spec.shape, random_floats(count, 1, 0.1)));
  }
  auto bytes = writer->serialise();
  EXPECT_OK(bytes);
  out.bytes = std::move(*bytes);
  auto model = runtime::Model::from_memory(out.bytes);
  EXPECT_OK(model);
  out.model = std::move(*model);
  return out;
}

}  // namespace qama::test
