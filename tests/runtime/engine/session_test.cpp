// Sessions: answers depend on the sample, its index and the seed alone; arguments are checked;
// hooks see what they should; an error of one sample stays its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <limits>
#include <vector>

#include "hal/device.h"
#include "runtime/engine/preprocess.h"
#include "runtime/engine/session.h"
#include "tests/runtime/engine/models.h"

namespace qama::test {
namespace {

using runtime::RunOptions;
using runtime::Session;
using runtime::SessionOptions;
using weights::AttentionKind;

class Sessions : public testing::Test {
 protected:
  std::unique_ptr<Session> session(const SessionOptions& options) {
    auto made = Session::create(held.model, options);
    EXPECT_TRUE(made.ok()) << describe(made);
    return made.ok() ? std::move(*made) : nullptr;
  }
  MemoryModel held = make_model(mnist_architecture(AttentionKind::qama), 3);
  static constexpr std::int32_t kCount = 12;
  std::vector<std::uint8_t> pixels = random_pixels(kCount * 784, 9);
};

// A text model reads its table of word vectors in place, sample by sample.
TEST(SessionFiles, AModelFileMayBeCutOrOverwrittenWhileItIsInUse) {
  const TempDir directory;
  const std::string path = directory.file("m");
  const MemoryModel held = make_model(text_architecture(AttentionKind::qama), 3);
  write_file(path, held.bytes);
  ASSERT_OK_AND_ASSIGN(const auto model, runtime::Model::open(path));
  ASSERT_OK_AND_ASSIGN(const auto session, Session::create(model, {}));
  const auto& a = model->architecture();
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(a.max_tokens));
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = static_cast<std::int32_t>(i) % a.vocabulary;
  }
  const std::vector<std::int32_t> lengths = {a.max_tokens};
  const auto run = [&] {
    std::vector<float> logits(static_cast<std::size_t>(a.classes));
    EXPECT_OK(session->run_tokens(tokens, lengths, logits));
    return logits;
  };
  const std::vector<float> expected = run();
  write_file(path, std::vector<std::byte>(held.bytes.size()));
  EXPECT_EQ(run(), expected);
  std::filesystem::resize_file(path, 0);
  EXPECT_EQ(run(), expected);
  EXPECT_OK(Session::create(model, {}));
}

TEST(SessionFiles, AMappedModelThatChangedGetsNoSession) {
  const TempDir directory;
  const std::string path = directory.file("m");
  const MemoryModel held = make_model(mnist_architecture(AttentionKind::qama), 3);
  write_file(path, held.bytes);
  weights::ModelOptions mapped;
  mapped.mapped_from = 0;
  ASSERT_OK_AND_ASSIGN(const auto model, runtime::Model::open(path, mapped));
  EXPECT_OK(Session::create(model, {}));
  write_file(directory.file("new"), held.bytes);
  std::filesystem::rename(directory.file("new"), path);  // how a file in use is replaced
  EXPECT_OK(Session::create(model, {}));
  ASSERT_OK_AND_ASSIGN(const auto changed, runtime::Model::open(path, mapped));
  std::filesystem::resize_file(path, held.bytes.size() + 1);
  EXPECT_ERROR(io_error, Session::create(changed, {}));
}

TEST_F(Sessions, AnswersDoNotDependOnBatchesOrThreads) {
  std::vector<float> expected(kCount * 10);
  auto whole = session({.max_batch = kCount, .threads = 1});
  RunOptions from_100;
  from_100.first_sample = 100;
  ASSERT_OK(whole->run_u8(pixels, kCount, expected, from_100));
  for (const std::int32_t threads : {1, 2, 5}) {
    for (const std::int32_t batch : {1, 3, 4, kCount}) {
      auto part = session({.max_batch = batch, .threads = threads});
      std::vector<float> logits(kCount * 10);
      for (std::int32_t at = 0; at < kCount; at += batch) {
        RunOptions options;
        options.first_sample = 100 + static_cast<std::uint64_t>(at);
        ASSERT_OK(part->run_u8(std::span(pixels).subspan(static_cast<std::size_t>(at) * 784,
                                                         static_cast<std::size_t>(batch) * 784),
                               batch,
                               std::span(logits).subspan(static_cast<std::size_t>(at) * 10,
                                                         static_cast<std::size_t>(batch) * 10),
                               options));
      }
      EXPECT_EQ(logits, expected) << threads << " threads, batches of " << batch;
    }
  }
}

// A device that solves in this process holds one job: more lanes change nothing but the arena.
TEST_F(Sessions, SamplesInFlight) {
  std::vector<float> expected(kCount * 10);
  auto one = session({.max_batch = kCount});
  ASSERT_OK(one->run_u8(pixels, kCount, expected));
  for (const std::int32_t threads : {1, 3}) {
    auto several = session({.max_batch = kCount, .threads = threads, .in_flight = 4});
    EXPECT_EQ(several->plan().arena_bytes(),
              4 * static_cast<std::size_t>(threads) * one->plan().arena_bytes());
    std::vector<float> logits(kCount * 10);
    ASSERT_OK(several->run_u8(pixels, kCount, logits));
    EXPECT_EQ(logits, expected);
  }
  for (const std::int32_t in_flight : {0, -1, 65}) {
    const auto refused = Session::create(held.model, {.max_batch = 2, .in_flight = in_flight});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(refused.error().message.find("expected 1 to 64"), std::string::npos)
        << refused.error().message;
  }
}

TEST_F(Sessions, IsReferenceKnowsItsNames) {
  for (const char* name : {"ref:any", "simd:scalar", "cpu:scalar", "gemm:ref", "ref_int8"}) {
    EXPECT_TRUE(runtime::is_reference(name)) << name;
  }
  for (const char* name : {"", "brgemm:avx512_core", "gemm:jit", "simd:avx2", "cpu:neon", "plain",
                           "prefer", "cim:emulated"}) {
    EXPECT_FALSE(runtime::is_reference(name)) << name;
  }
}

TEST_F(Sessions, IndicesNameSamples) {
  auto one = session({.max_batch = 2});
  const std::vector<std::uint64_t> indices{41, 7};
  RunOptions named;
  named.indices = indices;
  std::vector<float> both(20);
  const auto first_two = std::span(pixels).first(2 * 784);
  ASSERT_OK(one->run_u8(first_two, 2, both, named));
  for (std::size_t i = 0; i < 2; ++i) {
    RunOptions single;
    single.first_sample = indices[i];
    std::vector<float> logits(10);
    ASSERT_OK(one->run_u8(first_two.subspan(i * 784, 784), 1, logits, single));
    EXPECT_TRUE(std::equal(logits.begin(), logits.end(),
                           both.begin() + static_cast<std::ptrdiff_t>(i) * 10));
  }
}

TEST_F(Sessions, SeedAndIndexDecideTheSolversRandomNumbers) {
  EXPECT_NE(solve_seed(1, 0, 0), solve_seed(1, 0, 1));
  EXPECT_NE(solve_seed(1, 0, 0), solve_seed(1, 1, 0));
  EXPECT_NE(solve_seed(1, 0, 0), solve_seed(2, 0, 0));
  EXPECT_NE(solve_seed(1, 0, 1), solve_seed(1, 1, 0));
  // Pinned: a change would change every answer that a user has noted.
  EXPECT_EQ(solve_seed(1, 2, 3), 0xD0734750FDE362B3U) << std::hex << solve_seed(1, 2, 3);
  auto other = session({.seed = 77});
  EXPECT_EQ(other->seed(), 77U);
  std::vector<float> logits(10);
  ASSERT_OK(other->run_u8(std::span(pixels).first(784), 1, logits));
  ASSERT_EQ(other->solves(0).size(), 2U);
  EXPECT_EQ(other->solves(0)[1].seed, solve_seed(77, 0, 1));
}

/// Solves every layer again outside of the engine, and holds its integers against the real problem.
class SolvesAgain final : public runtime::ProblemSink {
 public:
  void problem(const runtime::LayerProblem& layer) override {
    const hal::DenseView& problem = *layer.problem;
    EXPECT_OK(hal::validate(problem));
    auto device = hal::open_device("cpu:");
    ASSERT_OK(device);
    auto solver = (*device)->compile(problem.shape);
    ASSERT_OK(solver);
    const auto words = static_cast<std::size_t>(hal::words_per_head(layer.tokens));
    std::vector<std::uint64_t> spins(static_cast<std::size_t>(layer.heads) * words);
    hal::SolveResult result;
    // The schedule is the default, which make_model() files.
    const hal::SolveOptions options{.seed = layer.seed};
    ASSERT_OK((*solver)->solve(problem, options, spins, result));
    energies.push_back(result.energy);
    std::vector<std::uint8_t> bytes;
    for (std::size_t t = 0; t < static_cast<std::size_t>(layer.heads); ++t) {
      for (std::size_t i = 0; i < static_cast<std::size_t>(layer.tokens); ++i) {
        bytes.push_back(spins[t * words + i / 64] >> (i % 64) & 1U);
      }
    }
    selections.push_back(bytes);

    const auto stride = static_cast<std::size_t>(layer.stride);
    for (std::size_t t = 0; t < static_cast<std::size_t>(layer.heads); ++t) {
      double coupling = layer.coupling_shift[t];
      for (std::size_t d = 0; d < static_cast<std::size_t>(layer.dim_head); ++d) {
        const std::size_t row = (t * static_cast<std::size_t>(layer.dim_head) + d) * stride;
        coupling += layer.coupling_scale[t] * layer.factors[row] * layer.factors[row + 5];
      }
      const double half = 0.51 / problem.scale;
      const auto head = t * static_cast<std::size_t>(layer.tokens) * stride;
      EXPECT_NEAR(problem.couplings[head + 5] / problem.scale, coupling, half);
      EXPECT_NEAR(problem.fields[t * stride + 7] / problem.scale, layer.fields[t * stride + 7],
                  half);
      EXPECT_NEAR(problem.penalty / problem.scale, layer.lambda, half);
    }
  }
  std::vector<std::int64_t> energies;
  std::vector<std::vector<std::uint8_t>> selections;
};

class KeepsSpins final : public runtime::Recorder {
 public:
  void tensor(std::string_view name, std::int32_t, std::span<const float> values) override {
    if (name == "block.1.attn_out") attended.assign(values.begin(), values.end());
  }
  void spins(std::string_view, std::int32_t, std::span<const std::uint8_t> values) override {
    selections.emplace_back(values.begin(), values.end());
  }
  void energies(std::string_view, std::int32_t, std::span<const double>) override {}
  std::vector<std::vector<std::uint8_t>> selections;
  std::vector<float> attended;
};

TEST_F(Sessions, TheSinkSeesWhatTheDeviceSolves) {
  auto one = session({});
  SolvesAgain sink;
  KeepsSpins recorder;
  RunOptions options;
  options.hooks.problems = &sink;
  options.hooks.recorder = &recorder;
  std::vector<float> logits(10);
  ASSERT_OK(one->run_u8(std::span(pixels).first(784), 1, logits, options));
  ASSERT_EQ(sink.energies.size(), 2U);
  const auto solves = one->solves(0);
  for (std::size_t layer = 0; layer < 2; ++layer) {
    EXPECT_EQ(solves[layer].result.energy, sink.energies[layer]);
    EXPECT_EQ(recorder.selections[layer], sink.selections[layer]);
    EXPECT_TRUE(std::string_view(solves[layer].result.solved_by).starts_with("cpu:"));
    EXPECT_EQ(solves[layer].result.fallback, hal::FallbackReason::none);
    EXPECT_LT(solves[layer].energy, 0.0) << "no selection at all has energy 0";
    EXPECT_GT(solves[layer].result.proposals, 0);
  }
  EXPECT_GT(one->latency_us(0), 0.0);
  EXPECT_TRUE(one->solves(1).empty()) << "a sample outside of the batch";
}

TEST_F(Sessions, ForcedSpinsTakeTheDevicesPlace) {
  auto one = session({.max_batch = 2});
  const auto two = std::span(pixels).first(2 * 784);
  std::vector<std::uint8_t> first_layer(2 * 8 * 49, 0);
  for (std::size_t i = 0; i < first_layer.size(); ++i) first_layer[i] = i % 3 == 0 ? 1 : 0;
  const std::vector<std::span<const std::uint8_t>> forced{first_layer};
  KeepsSpins recorder;
  RunOptions options;
  options.hooks.recorder = &recorder;
  options.hooks.forced_spins = forced;
  std::vector<float> logits(20);
  ASSERT_OK(one->run_u8(two, 2, logits, options));
  ASSERT_EQ(recorder.selections.size(), 4U);  // two layers of two samples
  EXPECT_TRUE(
      std::equal(first_layer.begin(), first_layer.begin() + 392, recorder.selections[0].begin()));
  EXPECT_TRUE(
      std::equal(first_layer.begin() + 392, first_layer.end(), recorder.selections[2].begin()));
  EXPECT_STREQ(one->solves(0)[0].result.solved_by, "forced");
  EXPECT_STRNE(one->solves(0)[1].result.solved_by, "forced");

  const std::vector<std::uint8_t> nothing(8 * 49, 0);
  const std::vector<std::span<const std::uint8_t>> none{{}, nothing};
  options.hooks.forced_spins = none;
  ASSERT_OK(one->run_u8(two.first(784), 1, std::span(logits).first(10), options));
  EXPECT_EQ(one->solves(0)[1].result.energy, 0);
  EXPECT_EQ(one->solves(0)[1].energy, 0.0);

  const std::vector<std::uint8_t> short_by_one(8 * 49 - 1, 0);
  const std::vector<std::span<const std::uint8_t>> wrong{short_by_one};
  options.hooks.forced_spins = wrong;
  EXPECT_ERROR(invalid_argument,
               one->run_u8(two.first(784), 1, std::span(logits).first(10), options));
}

TEST_F(Sessions, ScheduleCanBeOverridden) {
  auto as_filed = session({});
  EXPECT_EQ(as_filed->schedules()[0].sweeps, 20);
  EXPECT_EQ(as_filed->schedules()[0].restarts, 1);
  auto shorter = session({.schedule = {.sweeps = 3, .restarts = 2}});
  EXPECT_EQ(shorter->schedules()[0].sweeps, 3);
  std::vector<float> logits(10);
  ASSERT_OK(shorter->run_u8(std::span(pixels).first(784), 1, logits));
  EXPECT_EQ(shorter->solves(0)[0].result.restarts, 2);
  EXPECT_ERROR(invalid_argument, Session::create(held.model, {.schedule = {.sweeps = -1}}));
  EXPECT_ERROR(invalid_argument, Session::create(held.model, {.schedule = {.restarts = 0}}));
}

TEST_F(Sessions, ArgumentsAreChecked) {
  auto one = session({.max_batch = 2});
  std::vector<float> logits(20);
  const auto two = std::span(pixels).first(2 * 784);
  EXPECT_ERROR(invalid_argument, one->run_u8(two, 0, logits));
  EXPECT_ERROR(invalid_argument, one->run_u8(two, 3, logits));
  EXPECT_ERROR(invalid_argument, one->run_u8(two.first(784), 2, logits));
  EXPECT_ERROR(invalid_argument, one->run_u8(two, 2, std::span(logits).first(10)));
  const std::vector<std::uint64_t> three_indices{1, 2, 3};
  RunOptions named;
  named.indices = three_indices;
  EXPECT_ERROR(invalid_argument, one->run_u8(two, 2, logits, named));
  EXPECT_ERROR(invalid_argument, one->run_f32({}, 1, std::span(logits).first(10)));
  EXPECT_ERROR(model_wrong_kind, one->run_tokens({}, {}, logits));
  EXPECT_ERROR(invalid_argument, Session::create(held.model, {.max_batch = 0}));
  EXPECT_ERROR(invalid_argument, Session::create(held.model, {.threads = 0}));
  EXPECT_ERROR(invalid_argument, Session::create(held.model, {.threads = 1000000}));
  EXPECT_ERROR(device_unknown, Session::create(held.model, {.device = "nonsense:"}));
  EXPECT_ERROR(invalid_argument, runtime::parse_fallback("sometimes"));
  for (const auto* text : {"never", "error", "deadline", "hedge"}) {
    ASSERT_OK_AND_ASSIGN(const auto policy, runtime::parse_fallback(text));
    EXPECT_EQ(runtime::name_of(policy), text);
  }
}

TEST_F(Sessions, ALayerThatTheDeviceCannotTakeFallsBackAndSaysSo) {
  // 392 spins are too many for the exhaustive device.
  EXPECT_ERROR(problem_too_large,
               Session::create(held.model,
                               {.device = "exact:", .fallback = runtime::FallbackPolicy::never}));
  auto asked_exact = session({.device = "exact:"});
  auto asked_cpu = session({});
  std::vector<float> logits(10);
  std::vector<float> expected(10);
  ASSERT_OK(asked_exact->run_u8(std::span(pixels).first(784), 1, logits));
  ASSERT_OK(asked_cpu->run_u8(std::span(pixels).first(784), 1, expected));
  EXPECT_EQ(logits, expected);
  for (const auto& solve : asked_exact->solves(0)) {
    EXPECT_EQ(solve.result.fallback, hal::FallbackReason::unsupported);
    EXPECT_TRUE(std::string_view(solve.result.solved_by).starts_with("cpu:"));
  }
}

TEST_F(Sessions, ADeadlineIsSharedByTheLayers) {
  auto hurried = session({.deadline_us = 1});
  std::vector<float> logits(10);
  ASSERT_OK(
      hurried->run_u8(std::span(pixels).first(784), 1, logits));  // stops early, still an answer
  for (const float v : logits) EXPECT_TRUE(std::isfinite(v));
  // One that no clock reaches does not wrap to one that is over.
  std::vector<float> unhurried(10);
  ASSERT_OK(session({})->run_u8(std::span(pixels).first(784), 1, unhurried));
  auto patient = session({.deadline_us = std::numeric_limits<std::int64_t>::max()});
  ASSERT_OK(patient->run_u8(std::span(pixels).first(784), 1, logits));
  EXPECT_EQ(logits, unhurried);
}

TEST_F(Sessions, AnErrorOfOneSampleStaysItsOwn) {
  const MemoryModel plain = make_model(mnist_architecture(AttentionKind::qama), 3);
  ASSERT_OK_AND_ASSIGN(auto three, Session::create(plain.model, {.max_batch = 3, .threads = 2}));
  auto input = random_floats(3 * 784, 1);
  std::vector<float> good(30);
  ASSERT_OK(three->run_f32(input, 3, good));
  input[784 + 100] = std::nanf("");
  std::vector<float> logits(30);
  EXPECT_ERROR(problem_bad_value, three->run_f32(input, 3, logits));
  for (std::size_t i = 0; i < 30; ++i) {
    if (i / 10 == 1) {
      EXPECT_TRUE(std::isnan(logits[i]));
    } else {
      EXPECT_EQ(logits[i], good[i]);
    }
  }
  // The session is none the worse for it.
  input[784 + 100] = 0;
  EXPECT_OK(three->run_f32(input, 3, logits));
}

TEST(SampleThreads, TheAnswerDoesNotDependOnTheirNumber) {
  std::vector<weights::Architecture> models(3, large_architecture());
  models[1].norm = weights::NormPlace::post;
  models[2].other_blocks = {0};  // softmax, then QAMA
  models[2].attention.kind = AttentionKind::qama;
  models[2].attention.normalisation = weights::Normalisation::batch;
  models[2].attention.anneal = {.sweeps = 1, .restarts = 1};
  for (const weights::Architecture& a : models) {
    for (const bool int8 : {false, true}) {
      SCOPED_TRACE(a.to_json() + (int8 ? ", int8" : ""));
      const MemoryModel held = int8 ? make_int8_model(a, 3) : make_model(a, 3);
      ASSERT_NE(held.model, nullptr);
      const auto input = random_floats(2 * held.model->input_floats(), 5);
      std::vector<float> one;
      for (const std::int32_t threads : {1, 2, 3, 7}) {
        ASSERT_OK_AND_ASSIGN(auto session,
                             Session::create(held.model, {.max_batch = 2,
                                                          .threads = threads == 3 ? 2 : 1,
                                                          .sample_threads = threads}));
        EXPECT_EQ(session->plan().options().sample_threads, threads);
        std::vector<float> logits(20);
        for (int repeat = 0; repeat < 3; ++repeat) {
          ASSERT_OK(session->run_f32(input, 2, logits));
          if (one.empty()) one = logits;
          EXPECT_EQ(logits, one) << threads << " threads";
        }
      }
    }
  }
}

TEST(SampleThreads, ATextOfAnyLength) {
  weights::Architecture a = text_architecture(AttentionKind::softmax);
  a.max_tokens = 300;
  a.dim = 128;
  a.heads = 2;
  a.dim_head = 64;
  a.mlp = 256;
  const MemoryModel held = make_model(a, 3);
  ASSERT_NE(held.model, nullptr);
  const std::vector<std::int32_t> lengths{1, 99, 129, 255, 300};
  const std::vector<std::int32_t> tokens(5 * 300, 7);
  std::vector<float> one;
  for (const std::int32_t threads : {1, 2, 5}) {
    ASSERT_OK_AND_ASSIGN(auto session,
                         Session::create(held.model, {.max_batch = 5, .sample_threads = threads}));
    std::vector<float> logits(15);
    ASSERT_OK(session->run_tokens(tokens, lengths, logits));
    if (one.empty()) one = logits;
    EXPECT_EQ(logits, one) << threads << " threads";
  }
}

TEST(SampleThreads, AtMostSoManyInAll) {
  const MemoryModel held = make_model(mnist_architecture(AttentionKind::softmax));
  const auto plan = [&](std::int32_t workers, std::int32_t threads) {
    return runtime::Plan::create(held.model, {.threads = workers, .sample_threads = threads});
  };
  EXPECT_OK(plan(2, runtime::kMaxThreads / 2));
  EXPECT_ERROR(invalid_argument, plan(2, runtime::kMaxThreads / 2 + 1));
  EXPECT_ERROR(invalid_argument, plan(1, 0));
}

TEST_F(Sessions, InputsThatAreNotFiniteAreRefusedByEveryKind) {
  std::vector<weights::Architecture> kinds = {mnist_architecture(AttentionKind::softmax),
                                              mnist_architecture(AttentionKind::qama)};
  for (const AttentionKind kind : kOtherKinds) kinds.push_back(with_kind(kinds[0], kind));
  for (const weights::Architecture& a : kinds) {
    const MemoryModel other = make_model(a, 3);
    ASSERT_OK_AND_ASSIGN(auto one, Session::create(other.model, {}));
    std::vector<float> logits(10);
    for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()}) {
      auto input = random_floats(784, 1);
      input[500] = bad;
      const Status status = one->run_f32(input, 1, logits);
      EXPECT_ERROR(problem_bad_value, status);
      EXPECT_THAT(describe(status), testing::HasSubstr("sample 0: input 500 is "))
          << name_of(a.attention.kind);
      EXPECT_TRUE(std::isnan(logits[0]));
    }
    // Finite, but not for long.
    EXPECT_ERROR(
        problem_bad_value,
        one->run_f32(std::vector<float>(784, std::numeric_limits<float>::max()), 1, logits));
    EXPECT_OK(one->run_f32(random_floats(784, 1), 1, logits));
  }
}

/// Runs `body` in a forked child, which ends with its result; -1 if it does not end in time.
template <typename Body>
int in_child(Body&& body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(Sessions, ThreadsDoNotFollowAFork) {
  const MemoryModel other = make_model(mnist_architecture(AttentionKind::qama), 3);
  ASSERT_OK_AND_ASSIGN(auto two, Session::create(other.model, {.max_batch = 8, .threads = 2}));
  ASSERT_OK_AND_ASSIGN(auto one, Session::create(other.model, {}));
  const auto input = random_floats(std::size_t{8} * 784, 1);
  std::vector<float> logits(80);
  ASSERT_OK(two->run_f32(input, 8, logits));
  EXPECT_EQ(in_child([&] {
              const Status status = two->run_f32(input, 8, logits);
              two.reset();
              return status.error().code == ErrorCode::unsupported ? 7 : 1;
            }),
            7);
  // A session without threads works there, too.
  EXPECT_EQ(in_child([&] {
              std::vector<float> same(10);
              const auto first = std::span(input).first(784);
              const bool ok = one->run_f32(first, 1, same).ok() &&
                              std::equal(same.begin(), same.end(), logits.begin());
              one.reset();
              return ok ? 7 : 1;
            }),
            7);
  EXPECT_OK(two->run_f32(input, 8, logits));
}

TEST(TextSessions, TokensAreChecked) {
  const MemoryModel held = make_model(text_architecture(AttentionKind::qama));
  ASSERT_OK_AND_ASSIGN(auto one, Session::create(held.model, {}));
  std::vector<std::int32_t> tokens(50, 4);
  std::vector<float> logits(3);
  const auto run = [&](std::int32_t length) {
    return one->run_tokens(tokens, std::vector<std::int32_t>{length}, logits);
  };
  EXPECT_OK(run(50));
  EXPECT_ERROR(invalid_argument, run(0));
  EXPECT_ERROR(invalid_argument, run(51));
  tokens[20] = 90;
  EXPECT_ERROR(index_out_of_range, run(21));
  EXPECT_OK(run(20));  // behind the text: ignored
  tokens[20] = -1;
  EXPECT_ERROR(index_out_of_range, run(50));
  const std::vector<std::uint8_t> pixels(10);
  EXPECT_ERROR(model_wrong_kind, one->run_u8(pixels, 1, logits));
}

TEST(FeatureSessions, FloatsAreChecked) {
  const MemoryModel held = make_model(feature_architecture(AttentionKind::qama));
  EXPECT_EQ(held.model->input_floats(), 1000U);
  EXPECT_EQ(held.model->input_pixels(), 0U);
  ASSERT_OK_AND_ASSIGN(auto one, Session::create(held.model, {.max_batch = 2}));
  std::vector<float> features = random_floats(2000, 3);
  std::vector<float> logits(6);
  ASSERT_OK(one->run_f32(features, 2, logits));
  EXPECT_ERROR(invalid_argument, one->run_f32(std::span(features).first(1999), 2, logits));
  for (const float odd : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
    features[1999] = odd;
    const Status status = one->run_f32(features, 2, logits);
    EXPECT_ERROR(problem_bad_value, status);
    EXPECT_THAT(status.error().message, testing::HasSubstr("sample 1: input 999 is"));
    EXPECT_TRUE(std::isfinite(logits[0]));  // the other sample's
    EXPECT_TRUE(std::isnan(logits[3]));
  }
  const Status pixels = one->run_u8({}, 1, std::span(logits).first(3));
  EXPECT_ERROR(model_wrong_kind, pixels);
  EXPECT_EQ(pixels.error().message, "pixels for a model that classifies features");
  EXPECT_ERROR(model_wrong_kind, one->run_tokens({}, {}, logits));
  EXPECT_ERROR(model_wrong_kind, runtime::Tokeniser::create(held.model));
}

}  // namespace
}  // namespace qama::test
