// Memory: nothing is allocated while inferring, by anybody in the process; the arena is exact to
// the byte; what lies outside of it is not touched. The counter stands in for malloc itself, so
// that it sees oneDNN's and the C++ library's requests too.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <tuple>
#include <vector>

#include "hal/base/aligned.h"
#include "runtime/engine/profiler.h"
#include "runtime/engine/session.h"
#include "tests/counted_malloc.h"
#include "tests/runtime/engine/models.h"

namespace qama::test {
namespace {

using runtime::Session;
using runtime::SessionOptions;
using weights::Architecture;
using weights::AttentionKind;

std::vector<Architecture> all_kinds() {
  std::vector<Architecture> out{mnist_architecture(AttentionKind::softmax),
                                text_architecture(AttentionKind::softmax)};
  for (const auto norm : {weights::Normalisation::none, weights::Normalisation::instance,
                          weights::Normalisation::batch}) {
    out.push_back(mnist_architecture(AttentionKind::qama));
    out.back().attention.normalisation = norm;
    out.back().attention.energy_norm = weights::EnergyNorm::layer;
    out.push_back(text_architecture(AttentionKind::qama));
    out.back().attention.normalisation = norm;
  }
  // A long head, solved on factors, beside short texts of the same model.
  out.push_back(text_architecture(AttentionKind::qama));
  out.back().max_tokens = 300;
  out.back().heads = 1;
  out.push_back(feature_architecture(AttentionKind::softmax));
  out.push_back(feature_architecture(AttentionKind::qama));
  // Rounds that recombine heads.
  out.push_back(mnist_architecture(AttentionKind::qama));
  out.back().attention.anneal.sweeps = 1;
  out.back().attention.anneal.restarts = 8;
  out.back().attention.anneal.rounds = 1;
  // Class tokens, biases; norms behind the sum, shared blocks.
  for (const AttentionKind kind : {AttentionKind::softmax, AttentionKind::qama}) {
    out.push_back(mnist_architecture(kind));
    out.back().class_tokens = 2;
    out.back().patch_norms = false;
    out.back().pool = weights::Pool::class_token;
    out.back().qkv_bias = out.back().out_bias = true;
    out.push_back(text_architecture(kind));
    out.back().norm = weights::NormPlace::post;
    out.back().embedding_norm = true;
    out.back().layer_groups = 1;
    out.back().head_hidden = 9;
  }
  out.push_back(large_architecture());
  for (const AttentionKind kind : kOtherKinds) {
    out.push_back(with_kind(mnist_architecture(AttentionKind::softmax), kind));
    out.push_back(with_kind(text_architecture(AttentionKind::softmax), kind));
  }
  return out;
}

/// Runs a batch of any kind of model.
struct Input {
  Input(const runtime::Model& model, std::int32_t samples)
      : count(samples), text(model.architecture().is_text()) {
    const Architecture& a = model.architecture();
    const auto n = static_cast<std::size_t>(samples);
    pixels = random_pixels(n * model.input_pixels(), 1);
    if (a.is_features()) features = random_floats(n * model.input_floats(), 1);
    logits.resize(n * static_cast<std::size_t>(a.classes));
    if (!text) return;
    tokens.resize(n * static_cast<std::size_t>(a.max_tokens), 3);
    for (std::size_t i = 0; i < n; ++i) {
      lengths.push_back(i == 0 ? a.max_tokens
                               : static_cast<std::int32_t>(
                                     1 + (i * 13) % static_cast<std::size_t>(a.max_tokens)));
    }
  }
  Status run(Session& session, const runtime::RunOptions& options = {}) {
    if (!features.empty()) return session.run_f32(features, count, logits, options);
    return text ? session.run_tokens(tokens, lengths, logits, options)
                : session.run_u8(pixels, count, logits, options);
  }
  std::int32_t count;
  bool text;
  std::vector<std::uint8_t> pixels;
  std::vector<std::int32_t> tokens, lengths;
  std::vector<float> features, logits;
};

TEST(Memory, TheCounterCounts) {
  if (QAMA_COUNTS_MALLOC == 0) GTEST_SKIP() << "SKIPPED: malloc belongs to the sanitizer here";
  AllocationCounter allocations;
  std::vector<int>* made = new std::vector<int>(1000);
  void* volatile plain = std::malloc(10);  // volatile: a compiler may leave out what nobody uses
  void* volatile aligned = std::aligned_alloc(64, 64);
  EXPECT_EQ(allocations.count(), 4);
  std::free(aligned);
  std::free(plain);
  delete made;
}

TEST(Memory, NothingIsAllocatedWhileInferring) {
  if (QAMA_COUNTS_MALLOC == 0) GTEST_SKIP() << "SKIPPED: malloc belongs to the sanitizer here";
#if !QAMA_LINEAR_NO_ALLOC
  GTEST_SKIP()
      << "SKIPPED: this oneDNN is the system's, which allocates its arguments in every call";
#endif
  for (const Architecture& a : all_kinds()) {
    using weights::Dtype;
    for (const auto& [threads, dtype, sample_threads] : {std::tuple(1, Dtype::f32, 1),
                                                         {3, Dtype::f32, 1},
                                                         {1, Dtype::i8, 1},
                                                         {1, Dtype::i8, 2},
                                                         {1, Dtype::bf16, 2},
                                                         {1, Dtype::f16, 1},
                                                         {2, Dtype::f32, 3}}) {
      SCOPED_TRACE(a.to_json() + ", threads " + std::to_string(threads) + " x " +
                   std::to_string(sample_threads) + ", " + std::string(dtype_name(dtype)));
      const MemoryModel held = make_model_in(dtype, a);
      ASSERT_OK_AND_ASSIGN(
          auto session,
          Session::create(held.model,
                          {.max_batch = 5, .threads = threads, .sample_threads = sample_threads}));
      Input input(*held.model, 5);
      runtime::Profiler profiler(session->plan());
      runtime::RunOptions options;
      options.hooks.profiler = &profiler;
      // From the very first run on.
      AllocationCounter allocations;
      bool ok = true;
      for (int run = 0; run < 3; ++run) ok = input.run(*session, options).ok() && ok;
      EXPECT_EQ(allocations.count(), 0);
      EXPECT_TRUE(ok);
    }
  }
}

TEST(Memory, ArenaIsExactToTheByte) {
  std::vector<MemoryModel> models;
  for (const Architecture& a : all_kinds()) {
    for (const auto dtype : {weights::Dtype::f32, weights::Dtype::i8, weights::Dtype::bf16}) {
      models.push_back(make_model_in(dtype, a));
    }
  }
  for (const MemoryModel& held : models) {
    SCOPED_TRACE(held.model->architecture().to_json());
    const runtime::PlanOptions plan_options{.max_batch = 3, .threads = 2};
    ASSERT_OK_AND_ASSIGN(auto plan, runtime::Plan::create(held.model, plan_options));
    const std::size_t bytes = plan->arena_bytes();
    EXPECT_EQ(bytes, 2 * plan->lane_bytes());

    // Guard bytes on both sides must survive.
    constexpr std::size_t kGuard = 4096;
    AlignedBuffer<std::byte> memory(bytes + 2 * kGuard);
    std::memset(memory.data(), 0x5A, memory.size());
    const std::span<std::byte> arena(memory.data() + kGuard, bytes);

    SessionOptions options{.max_batch = 3, .threads = 2};
    options.arena = arena.first(bytes - 1);
    const auto refused = Session::create(plan, options);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::arena_too_small);
    EXPECT_NE(refused.error().message.find("expected " + std::to_string(bytes)), std::string::npos)
        << refused.error().message;

    options.arena = std::span<std::byte>(memory.data() + kGuard + 1, bytes);
    const auto crooked = Session::create(plan, options);
    ASSERT_FALSE(crooked.ok());
    EXPECT_EQ(crooked.error().code, ErrorCode::invalid_argument);

    options.arena = arena;
    ASSERT_OK_AND_ASSIGN(auto with_arena, Session::create(plan, options));
    options.arena = {};
    ASSERT_OK_AND_ASSIGN(auto with_own, Session::create(plan, options));
    Input first(*held.model, 3);
    Input second(*held.model, 3);
    ASSERT_OK(first.run(*with_arena));
    ASSERT_OK(second.run(*with_own));
    // What was in the memory before does not matter.
    EXPECT_EQ(first.logits, second.logits);
    for (std::size_t i = 0; i < kGuard; ++i) {
      ASSERT_EQ(memory[i], std::byte{0x5A}) << "before the arena";
      ASSERT_EQ(memory[kGuard + bytes + i], std::byte{0x5A}) << "behind the arena";
    }
  }
}

TEST(Memory, RegionsThatAreAliveTogetherDoNotOverlap) {
  const MemoryModel held = make_model(mnist_architecture(AttentionKind::qama));
  ASSERT_OK_AND_ASSIGN(auto plan, runtime::Plan::create(held.model, {}));
  std::size_t sum = 0;
  for (const auto& region : plan->regions()) {
    EXPECT_EQ(region.offset % 64, 0U) << region.name;
    EXPECT_LE(region.offset + region.bytes, plan->lane_bytes()) << region.name;
    sum += region.bytes;
  }
  // Two blocks' worth of intermediates share one block's bytes.
  EXPECT_LT(plan->lane_bytes(), sum * 6 / 10);
}

}  // namespace
}  // namespace qama::test
