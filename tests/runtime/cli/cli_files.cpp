#include "tests/runtime/cli/cli_files.h"

#include <map>

#include "runtime/engine/session.h"
#include "weights/golden_file.h"
#include "weights/model_writer.h"

namespace qama::test {
namespace {

/// Keeps every intermediate of every sample, one after the other.
class Keeper final : public runtime::Recorder {
 public:
  void tensor(std::string_view name, std::int32_t, std::span<const float> values) override {
    auto& kept = floats[std::string(name)];
    kept.insert(kept.end(), values.begin(), values.end());
  }
  void spins(std::string_view name, std::int32_t, std::span<const std::uint8_t> values) override {
    auto& kept = bytes[std::string(name)];
    kept.insert(kept.end(), values.begin(), values.end());
  }
  void energies(std::string_view name, std::int32_t, std::span<const double> values) override {
    auto& kept = floats[std::string(name)];
    for (const double value : values) kept.push_back(static_cast<float>(value));
  }
  std::map<std::string, std::vector<float>> floats;
  std::map<std::string, Bytes> bytes;
};

}  // namespace

weights::Architecture small_vit(weights::AttentionKind kind) {
  weights::Architecture a;
  a.image_height = a.image_width = 28;
  a.image_channels = 1;
  a.patch = 4;
  a.dim = 32;
  a.depth = 2;
  a.heads = 4;
  a.dim_head = 8;
  a.mlp = 32;
  a.classes = 10;
  a.attention.kind = kind;
  if (kind == weights::AttentionKind::qama) {
    a.attention.normalisation = weights::Normalisation::batch;
    a.attention.energy_norm = weights::EnergyNorm::batch;
  }
  if (kind == weights::AttentionKind::qama_v1) {
    a.attention.bits = 3;
    a.attention.quadratic = a.attention.linear = 1;
    a.attention.penalty = 2;
  }
  return a;
}

weights::Architecture small_text(weights::AttentionKind kind) {
  weights::Architecture a;
  a.kind = weights::ModelKind::text_transformer;
  a.max_tokens = 40;
  a.vocabulary = 60;
  a.embedding = 8;
  a.dim = 16;
  a.depth = 1;
  a.heads = 1;
  a.dim_head = 8;
  a.mlp = 16;
  a.classes = 2;
  a.attention.kind = kind;
  if (kind == weights::AttentionKind::qama) {
    a.attention.normalisation = weights::Normalisation::instance;
    a.attention.energy_norm = weights::EnergyNorm::layer;
  }
  return a;
}

weights::Architecture small_features(weights::AttentionKind kind) {
  weights::Architecture a = small_text(kind);
  a.kind = weights::ModelKind::feature_transformer;
  a.max_tokens = 30;
  a.vocabulary = 0;
  a.embedding = 6;
  return a;
}

std::string put_model(const TempDir& directory, const std::string& name,
                      const weights::Architecture& architecture) {
  const std::string path = directory.file(name);
  const auto writer = weights::random_model(architecture, 7);
  EXPECT_OK(writer);
  if (writer.ok()) EXPECT_OK(writer->write(path));
  return path;
}

std::string put_golden(const TempDir& directory, const std::string& name,
                       const std::string& model_path, int samples, const std::string& spoilt) {
  const std::string path = directory.file(name);
  const auto model = runtime::Model::open(model_path);
  EXPECT_OK(model);
  auto session = runtime::Session::create(*model, runtime::SessionOptions{});
  EXPECT_OK(session);
  const weights::Architecture& a = (*model)->architecture();
  Keeper keeper;
  const std::size_t floats = (*model)->input_floats();
  std::vector<float> input(floats * static_cast<std::size_t>(samples));
  for (std::size_t i = 0; i < input.size(); ++i) {
    input[i] = static_cast<float>(i * i % 251) / 125.0F - 1.0F;
  }
  std::vector<std::int32_t> labels;
  std::vector<float> logits(static_cast<std::size_t>(a.classes));
  for (int b = 0; b < samples; ++b) {
    runtime::RunOptions options;
    options.first_sample = static_cast<std::uint64_t>(b);
    options.hooks.recorder = &keeper;
    EXPECT_OK((*session)->run_f32(
        std::span<const float>(input).subspan(static_cast<std::size_t>(b) * floats, floats), 1,
        logits, options));
    labels.push_back(b % a.classes);
  }
  weights::TensorFileWriter writer(weights::kGoldenFormat);
  writer.set_metadata("model_sha256", (*model)->file().sha256());
  std::vector<std::int64_t> sizes = {samples, a.image_channels, a.image_height, a.image_width};
  if (a.is_features()) sizes = {samples, a.max_tokens, a.embedding};
  EXPECT_OK(writer.add_f32("input", sizes, input));
  EXPECT_OK(writer.add_i32("labels", {samples}, labels));
  for (auto& [tensor, values] : keeper.floats) {
    if (tensor == spoilt) {
      for (float& value : values) value += 1;
    }
    const auto width = static_cast<std::int64_t>(values.size()) / samples;
    std::vector<std::int64_t> shape = {samples, width};
    if (tensor.ends_with(".energies")) {
      shape = {samples, a.heads, a.tokens()};
    } else if (tensor != "pooled" && tensor != "logits") {
      shape = {samples, a.tokens(), a.dim};
    }
    EXPECT_OK(writer.add_f32(tensor, shape, values));
  }
  for (const auto& [tensor, values] : keeper.bytes) {
    EXPECT_OK(writer.add_u8(tensor, {samples, a.heads, a.tokens()}, values));
  }
  EXPECT_OK(writer.write(path));
  return path;
}

Bytes put_mnist(const TempDir& directory, int count) {
  const Bytes pixels = sample_pixels(28, 28 * count, 1);
  Bytes labels;
  for (int i = 0; i < count; ++i) labels.push_back(static_cast<std::uint8_t>(i * 7 % 10));
  const auto n = static_cast<std::uint32_t>(count);
  put_file(directory.file("t10k-images-idx3-ubyte.gz"), gzipped(idx_file({n, 28, 28}, pixels)));
  put_file(directory.file("t10k-labels-idx1-ubyte"), idx_file({n}, labels));
  return pixels;
}

}  // namespace qama::test
