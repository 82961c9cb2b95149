// The C API and its C++ face: life cycles, errors with sentences, options of older headers, log
// hook.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <qama/qama.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <filesystem>
#include <limits>
#include <qama/qama.hpp>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "hal/base/aligned.h"
#include "runtime/engine/session.h"
#include "tests/runtime/engine/models.h"
#include "tests/test_support.h"
#include "tests/weights/keys.h"
#include "weights/signature.h"

extern "C" int api_works_from_c(void);

namespace qama::test {
namespace {

using testing::HasSubstr;
using weights::AttentionKind;

TEST(CApi, CompilesAsC) {
  EXPECT_EQ(api_works_from_c(), 1);
}

TEST(CApi, VersionIsTheHeaders) {
  EXPECT_EQ(std::string(qama_version()), std::to_string(QAMA_VERSION_MAJOR) + "." +
                                             std::to_string(QAMA_VERSION_MINOR) + "." +
                                             std::to_string(QAMA_VERSION_PATCH));
}

class CApiModel : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(qama_model_from_memory(held.bytes.data(), held.bytes.size(), &model), 0);
  }
  void TearDown() override { qama_model_close(model); }
  MemoryModel held = make_model(mnist_architecture(AttentionKind::qama));
  qama_model* model = nullptr;
};

TEST_F(CApiModel, SaysWhatItIs) {
  EXPECT_EQ(qama_model_classes(model), 10);
  EXPECT_EQ(qama_model_image_height(model), 28);
  EXPECT_EQ(qama_model_image_width(model), 28);
  EXPECT_EQ(qama_model_image_channels(model), 1);
  EXPECT_EQ(qama_model_max_tokens(model), 0);
  EXPECT_STREQ(qama_model_label(model, 3), "3");
  EXPECT_EQ(qama_model_label(model, 10), nullptr);
  EXPECT_EQ(qama_model_label(model, -1), nullptr);
}

TEST_F(CApiModel, ClassifiesAsTheEngineDoes) {
  qama_session_options options;
  qama_session_options_init(&options);
  options.max_batch = 4;
  options.threads = 2;
  options.seed = 5;
  qama_session* session = nullptr;
  ASSERT_EQ(qama_session_create(model, &options, &session), 0) << qama_last_error();
  const auto pixels = random_pixels(4 * 784, 1);
  std::vector<float> logits(40);
  std::vector<float> expected(40);
  qama_session_set_first_sample(session, 30);
  ASSERT_EQ(qama_session_classify_u8(session, pixels.data(), 4, logits.data()), 0)
      << qama_last_error();

  ASSERT_OK_AND_ASSIGN(auto engine,
                       runtime::Session::create(held.model, {.max_batch = 4, .seed = 5}));
  runtime::RunOptions from_30;
  from_30.first_sample = 30;
  ASSERT_OK(engine->run_u8(pixels, 4, expected, from_30));
  EXPECT_EQ(logits, expected);

  double latency = 0;
  EXPECT_EQ(qama_session_latency_us(session, 0, &latency), 0);
  EXPECT_GT(latency, 0);
  EXPECT_EQ(qama_session_latency_us(session, 4, &latency), 205);
  ASSERT_NE(qama_session_solved_by(session, 0, 1), nullptr);
  EXPECT_TRUE(std::string(qama_session_solved_by(session, 0, 1)).starts_with("cpu:"));
  EXPECT_EQ(qama_session_solved_by(session, 0, 2), nullptr);
  qama_session_destroy(session);
}

TEST_F(CApiModel, WhatIsToldIsOfTheLastRun) {
  qama_session_options options;
  qama_session_options_init(&options);
  options.max_batch = 3;
  qama_session* session = nullptr;
  ASSERT_EQ(qama_session_create(model, &options, &session), 0) << qama_last_error();
  const auto told = [session](std::int32_t sample) {
    double latency = -1;
    const qama_status status = qama_session_latency_us(session, sample, &latency);
    EXPECT_EQ(status == 0, latency >= 0) << sample;
    EXPECT_EQ(status == 0, qama_session_solved_by(session, sample, 0) != nullptr) << sample;
    return status == 0;
  };
  EXPECT_FALSE(told(0)) << "there is no run";
  const auto pixels = random_pixels(3 * 784, 1);
  std::vector<float> logits(30);
  ASSERT_EQ(qama_session_classify_u8(session, pixels.data(), 3, logits.data()), 0);
  EXPECT_TRUE(told(0) && told(2));
  ASSERT_EQ(qama_session_classify_u8(session, pixels.data(), 1, logits.data()), 0);
  EXPECT_TRUE(told(0));
  EXPECT_FALSE(told(1) || told(2)) << "they are of the run before";
  EXPECT_THAT(qama_last_error(), HasSubstr("which has 1"));
  // A sample that failed before its layers has nobody who solved them.
  std::vector<float> input(784, std::numeric_limits<float>::quiet_NaN());
  EXPECT_NE(qama_session_run_f32(session, input.data(), 1, logits.data()), 0);
  EXPECT_STREQ(qama_session_solved_by(session, 0, 0), "");
  qama_session_destroy(session);
}

TEST_F(CApiModel, ASessionOutlivesItsModelsHandle) {
  qama_session* session = nullptr;
  ASSERT_EQ(qama_session_create(model, nullptr, &session), 0);
  qama_model_close(model);
  model = nullptr;
  const auto pixels = random_pixels(784, 1);
  std::vector<float> logits(10);
  EXPECT_EQ(qama_session_classify_u8(session, pixels.data(), 1, logits.data()), 0);
  qama_session_destroy(session);
}

TEST_F(CApiModel, ArenaIsExact) {
  qama_session_options options;
  qama_session_options_init(&options);
  options.threads = 2;
  size_t bytes = 0;
  ASSERT_EQ(qama_session_arena_bytes(model, &options, &bytes), 0);
  ASSERT_GT(bytes, 0U);
  AlignedBuffer<std::byte> memory(bytes);
  options.arena = memory.data();
  qama_session* session = nullptr;
  for (const size_t too_few : {bytes - 1, size_t{0}}) {
    options.arena_bytes = too_few;
    EXPECT_EQ(qama_session_create(model, &options, &session), 7);
    EXPECT_EQ(session, nullptr);
    EXPECT_EQ(std::string(qama_last_error()), "an arena of " + std::to_string(too_few) +
                                                  " bytes, expected " + std::to_string(bytes));
  }
  EXPECT_STREQ(qama_status_name(7), "ARENA_TOO_SMALL");
  options.arena_bytes = bytes;
  ASSERT_EQ(qama_session_create(model, &options, &session), 0) << qama_last_error();
  qama_session_destroy(session);
}

// A lane of the arena each; the annealer of this machine holds one, and answers the same.
TEST_F(CApiModel, SamplesInFlight) {
  qama_session_options options;
  qama_session_options_init(&options);
  EXPECT_EQ(options.in_flight, 0);
  options.max_batch = 4;
  std::array<size_t, 4> bytes{};
  std::array<std::vector<float>, 4> logits;
  const auto pixels = random_pixels(4 * 784, 1);
  for (const std::int32_t in_flight : {0, 1, 3}) {
    const auto i = static_cast<std::size_t>(in_flight);
    options.in_flight = in_flight;
    ASSERT_EQ(qama_session_arena_bytes(model, &options, &bytes[i]), 0) << qama_last_error();
    qama_session* session = nullptr;
    ASSERT_EQ(qama_session_create(model, &options, &session), 0) << qama_last_error();
    logits[i].resize(40);
    EXPECT_EQ(qama_session_classify_u8(session, pixels.data(), 4, logits[i].data()), 0)
        << qama_last_error();
    qama_session_destroy(session);
  }
  EXPECT_EQ(bytes[0], bytes[1]);
  EXPECT_EQ(bytes[3], 3 * bytes[1]);
  EXPECT_EQ(logits[0], logits[1]);
  EXPECT_EQ(logits[3], logits[1]);
  for (const std::int32_t refused : {-1, 65}) {
    options.in_flight = refused;
    qama_session* session = nullptr;
    EXPECT_EQ(qama_session_create(model, &options, &session), 1) << refused;
    EXPECT_EQ(session, nullptr);
  }
}

TEST_F(CApiModel, ThreadsOfOneSample) {
  qama_session_options options;
  qama_session_options_init(&options);
  EXPECT_EQ(options.sample_threads, 0);
  options.max_batch = 2;
  const auto pixels = random_pixels(2 * 784, 1);
  std::vector<float> alone(20);
  for (const std::int32_t threads : {0, 1, 3}) {
    options.sample_threads = threads;
    size_t bytes = 0;
    ASSERT_EQ(qama_session_arena_bytes(model, &options, &bytes), 0) << qama_last_error();
    AlignedBuffer<std::byte> memory(bytes);
    options.arena = memory.data();
    options.arena_bytes = bytes;
    qama_session* session = nullptr;
    ASSERT_EQ(qama_session_create(model, &options, &session), 0) << qama_last_error();
    std::vector<float> logits(20);
    EXPECT_EQ(qama_session_classify_u8(session, pixels.data(), 2, logits.data()), 0)
        << qama_last_error();
    qama_session_destroy(session);
    if (threads == 0) alone = logits;
    EXPECT_EQ(logits, alone) << threads;
  }
  options.arena = nullptr;
  for (const std::int32_t refused : {-1, 257}) {
    options.sample_threads = refused;
    qama_session* session = nullptr;
    EXPECT_EQ(qama_session_create(model, &options, &session), 1) << refused;
    EXPECT_EQ(session, nullptr);
  }
}

TEST_F(CApiModel, OptionsOfAnOlderHeaderKeepTheirDefaults) {
  // Bytes behind what that header knew must not be read.
  alignas(qama_session_options) std::array<unsigned char, sizeof(qama_session_options)> bytes;
  bytes.fill(0xFF);
  auto* options = reinterpret_cast<qama_session_options*>(bytes.data());
  options->struct_size = offsetof(qama_session_options, seed);
  options->max_batch = 2;
  options->threads = 1;
  qama_session* session = nullptr;
  ASSERT_EQ(qama_session_create(model, options, &session), 0) << qama_last_error();
  qama_session_destroy(session);
  for (const std::uint32_t bad : {std::uint32_t{0}, UINT32_MAX}) {
    options->struct_size = bad;
    EXPECT_EQ(qama_session_create(model, options, &session), 1);
  }
}

// A program of an older header calls the function itself, whose struct ends before what came later.
TEST_F(CApiModel, TheOldInitWritesOnlyTheOldFields) {
  alignas(qama_session_options) std::array<unsigned char, sizeof(qama_session_options)> bytes;
  bytes.fill(0xAB);
  auto* options = reinterpret_cast<qama_session_options*>(bytes.data());
  (qama_session_options_init)(options);
  EXPECT_EQ(options->struct_size, offsetof(qama_session_options, rounds));
  EXPECT_EQ(options->sweeps, -1);
  for (std::size_t i = offsetof(qama_session_options, rounds); i < bytes.size(); ++i)
    EXPECT_EQ(bytes[i], 0xAB);
  qama_session_options_init(options);
  EXPECT_EQ(options->struct_size, sizeof(qama_session_options));
  EXPECT_EQ(options->rounds, -1);
}

TEST_F(CApiModel, MisuseIsAnErrorWithASentence) {
  qama_session* session = nullptr;
  const float* none = nullptr;
  std::vector<float> logits(10);
  const auto pixels = random_pixels(784, 1);
  EXPECT_EQ(qama_session_create(nullptr, nullptr, &session), 1);
  EXPECT_STREQ(qama_last_error(), "'model' is NULL");
  EXPECT_EQ(qama_session_create(model, nullptr, nullptr), 1);
  ASSERT_EQ(qama_session_create(model, nullptr, &session), 0);
  EXPECT_EQ(qama_session_classify_u8(nullptr, pixels.data(), 1, logits.data()), 1);
  EXPECT_EQ(qama_session_classify_u8(session, nullptr, 1, logits.data()), 1);
  EXPECT_EQ(qama_session_classify_u8(session, pixels.data(), 1, nullptr), 1);
  EXPECT_EQ(qama_session_classify_u8(session, pixels.data(), 2, logits.data()), 1);
  EXPECT_EQ(qama_session_classify_u8(session, pixels.data(), -1, logits.data()), 1);
  EXPECT_EQ(qama_session_run_f32(session, none, 1, logits.data()), 1);
  const char* text = "a text";
  EXPECT_EQ(qama_session_classify_text(session, &text, 1, logits.data()), 119);
  EXPECT_STREQ(qama_status_name(119), "MODEL_WRONG_KIND");
  qama_session_destroy(session);

  qama_model* other = nullptr;
  EXPECT_EQ(qama_model_open("/nowhere/at/all", &other), 4);
  EXPECT_EQ(other, nullptr);
  EXPECT_EQ(qama_model_from_memory("x", 1, &other), 100);
  EXPECT_EQ(qama_model_open(nullptr, &other), 1);
  qama_model_options model_options{};
  EXPECT_EQ(qama_model_open_with("/nowhere/at/all", &model_options, &other), 1);  // struct_size
  model_options.struct_size = 1U << 20;
  EXPECT_EQ(qama_model_open_with("/nowhere/at/all", &model_options, &other), 1);
  model_options.struct_size = sizeof model_options;
  EXPECT_EQ(qama_model_open_with("/nowhere/at/all", &model_options, &other), 4);
  EXPECT_EQ(qama_model_open_with("/nowhere/at/all", nullptr, &other), 4);
  model_options.mapping = 3;
  EXPECT_EQ(qama_model_open_with("/nowhere/at/all", &model_options, &other), 1);
  qama_model_close(nullptr);
  qama_session_destroy(nullptr);
  EXPECT_EQ(qama_model_classes(nullptr), 0);
}

TEST_F(CApiModel, OpensWhatATrustedKeySigned) {
  const TempDir directory;
  const std::string path = directory.file("m");
  write_file(path, held.bytes);
  const std::string key = directory.file("key.pem");
  const std::string pub = directory.file("key.pub");
  write_file(key, std::as_bytes(std::span(kSecretKey, sizeof kSecretKey - 1)));
  write_file(pub, std::as_bytes(std::span(kPublicKey, sizeof kPublicKey - 1)));
  std::filesystem::permissions(key, std::filesystem::perms::owner_read);
  for (const std::int32_t mapping : {0, 1, 2}) {
    qama_model_options options{sizeof options, mapping, pub.c_str()};
    qama_model* opened = nullptr;
    EXPECT_EQ(qama_model_open_with(path.c_str(), &options, &opened), 125);
    EXPECT_EQ(opened, nullptr);
    EXPECT_STREQ(qama_status_name(125), "MODEL_NOT_TRUSTED");
    ASSERT_OK_AND_ASSIGN(const auto file, weights::ModelFile::open(path));
    ASSERT_OK_AND_ASSIGN(const auto signature, weights::sign_seal(key, file->sha256()));
    write_file(weights::signature_path(path), std::as_bytes(std::span(signature)));
    EXPECT_EQ(qama_model_open_with(path.c_str(), &options, &opened), 0) << qama_last_error();
    EXPECT_EQ(qama_model_classes(opened), 10);
    qama_model_close(opened);
    EXPECT_TRUE(api::Model::open(path, {0, mapping, pub.c_str()}).ok());
    options.trust = "";
    EXPECT_EQ(qama_model_open_with(path.c_str(), &options, &opened), 4);
    std::filesystem::remove(weights::signature_path(path));
  }
}

TEST_F(CApiModel, OneModelManyThreads) {
  const auto pixels = random_pixels(784, 1);
  std::vector<std::vector<float>> logits(6, std::vector<float>(10));
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (auto& out : logits) {
    threads.emplace_back([&] {
      qama_session* session = nullptr;
      if (qama_session_create(model, nullptr, &session) != 0) {
        ++failures;
        return;
      }
      for (int i = 0; i < 20; ++i) {
        if (qama_session_classify_u8(session, pixels.data(), 1, out.data()) != 0) ++failures;
      }
      qama_session_destroy(session);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failures.load(), 0);
  for (const auto& out : logits) EXPECT_EQ(out, logits[0]);
}

TEST(CApiText, ClassifiesTexts) {
  const MemoryModel held = make_model(text_architecture(AttentionKind::qama));
  qama_model* model = nullptr;
  ASSERT_EQ(qama_model_from_memory(held.bytes.data(), held.bytes.size(), &model), 0);
  EXPECT_EQ(qama_model_max_tokens(model), 50);
  qama_session_options options;
  qama_session_options_init(&options);
  options.max_batch = 2;
  qama_session* session = nullptr;
  ASSERT_EQ(qama_session_create(model, &options, &session), 0);
  const char* texts[] = {"some words, and more!", ""};
  std::vector<float> logits(6, -1000.0F);
  ASSERT_EQ(qama_session_classify_text(session, texts, 2, logits.data()), 0) << qama_last_error();
  for (const float v : logits) EXPECT_GT(v, -1000.0F);
  const char* missing[] = {"text", nullptr};
  EXPECT_EQ(qama_session_classify_text(session, missing, 2, logits.data()), 1);
  qama_session_destroy(session);
  qama_model_close(model);
}

TEST(CApiFeatures, ClassifiesFeatures) {
  const MemoryModel held = make_model(feature_architecture(AttentionKind::qama));
  qama_model* model = nullptr;
  ASSERT_EQ(qama_model_from_memory(held.bytes.data(), held.bytes.size(), &model), 0);
  EXPECT_EQ(qama_model_max_tokens(model), 50);
  EXPECT_EQ(qama_model_feature_width(model), 20);
  EXPECT_EQ(qama_model_feature_width(nullptr), 0);
  EXPECT_EQ(qama_model_image_height(model), 0);
  qama_session_options options;
  qama_session_options_init(&options);
  options.max_batch = 2;
  qama_session* session = nullptr;
  ASSERT_EQ(qama_session_create(model, &options, &session), 0);
  std::vector<float> features = random_floats(2 * 50 * 20, 4);
  std::vector<float> logits(6);
  ASSERT_EQ(qama_session_run_f32(session, features.data(), 2, logits.data()), 0)
      << qama_last_error();
  qama_answer answers[2] = {};
  answers[0].struct_size = sizeof(qama_answer);
  ASSERT_EQ(qama_session_answer_f32(session, features.data(), 2, answers), 0);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(answers[i / 3].logits[i % 3], logits[i]);
  EXPECT_EQ(qama_session_pixels(session, 0), nullptr);

  // What is no features.
  const char* texts[] = {"text"};
  const auto status = [](qama_status code) { return std::string(qama_status_name(code)); };
  EXPECT_EQ(status(qama_session_classify_text(session, texts, 1, logits.data())),
            "MODEL_WRONG_KIND");
  EXPECT_STREQ(qama_last_error(), "text for a model that classifies features");
  EXPECT_EQ(status(qama_session_answer_encoded(session, "P5", 2, answers)), "MODEL_WRONG_KIND");
  std::uint8_t pixel = 0;
  EXPECT_EQ(status(qama_model_fit_encoded(model, "P5", 2, &pixel)), "MODEL_WRONG_KIND");
  EXPECT_EQ(status(qama_session_classify_u8(session, &pixel, 1, logits.data())),
            "MODEL_WRONG_KIND");
  features[7] = std::nanf("");
  EXPECT_EQ(status(qama_session_run_f32(session, features.data(), 1, logits.data())),
            "PROBLEM_BAD_VALUE");
  qama_session_destroy(session);
  qama_model_close(model);
}

TEST(CApiLog, TheHookGetsLines) {
  static std::vector<std::string> lines;
  lines.clear();
  qama_set_log([](void*, int32_t, const char* message) { lines.emplace_back(message); }, nullptr);
  const MemoryModel held = make_model(mnist_architecture(AttentionKind::softmax));
  qama_model* model = nullptr;
  ASSERT_EQ(qama_model_from_memory(held.bytes.data(), held.bytes.size(), &model), 0);
  qama_set_log(nullptr, nullptr);
  qama_model_close(model);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("model opened"), std::string::npos);
}

TEST(CppApi, RoundTrip) {
  const MemoryModel held = make_model(mnist_architecture(AttentionKind::qama));
  auto model = api::Model::from_memory(held.bytes);
  ASSERT_TRUE(model.ok()) << model.status().sentence();
  EXPECT_EQ(model->classes(), 10);
  EXPECT_EQ(model->label(9), "9");
  EXPECT_EQ(model->label(10), "");
  api::SessionOptions options;
  options.max_batch = 2;
  auto bytes = model->arena_bytes(options);
  ASSERT_TRUE(bytes.ok());
  auto session = model->session(options);
  ASSERT_TRUE(session.ok()) << session.status().sentence();
  const auto pixels = random_pixels(2 * 784, 1);
  std::vector<float> logits(20);
  EXPECT_TRUE(session->classify(pixels.data(), 2, logits.data()).ok());
  EXPECT_GT(session->latency_us(1), 0.0);
  const auto status = session->classify(pixels.data(), 3, logits.data());
  EXPECT_FALSE(status.ok());
  EXPECT_STREQ(status.name(), "INVALID_ARGUMENT");
  EXPECT_NE(status.sentence().find("expected 1 to 2"), std::string::npos);
  const auto missing = api::Model::open("/nowhere/at/all");
  EXPECT_FALSE(missing.ok());
  EXPECT_STREQ(missing.status().name(), "NOT_FOUND");

  auto solver = api::Solver::create(2, 3);
  ASSERT_TRUE(solver.ok()) << solver.status().sentence();
  const std::vector<float> couplings(2 * 3 * 3, 0.0F);
  const std::vector<float> fields{1, -1, 2, -1, 1, -2};
  std::vector<std::uint8_t> spins(6, 9);
  double energy = 0;
  ASSERT_TRUE(
      solver->solve(1, couplings.data(), fields.data(), 0.5F, 1, spins.data(), &energy).ok());
  EXPECT_EQ(spins, (std::vector<std::uint8_t>{1, 0, 1, 0, 1, 0}));
  EXPECT_DOUBLE_EQ(energy, -4.0);
}

}  // namespace
}  // namespace qama::test
