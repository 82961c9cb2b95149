// Samples in, answers out: the C API and its C++ face against the engine and against each other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <qama/qama.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <qama/qama.hpp>
#include <string>
#include <vector>

#include "runtime/api/answer.h"
#include "runtime/api/sample.h"
#include "runtime/engine/session.h"
#include "runtime/io/image.h"
#include "tests/counted_malloc.h"
#include "tests/runtime/engine/models.h"
#include "tests/runtime/io/sample_files.h"

namespace qama::test {
namespace {

using weights::AttentionKind;

qama_answer new_answer() {
  qama_answer out{};
  out.struct_size = sizeof out;
  return out;
}

qama_image view_of(const io::Image& image) {
  return {sizeof(qama_image), image.width, image.height, image.channels, 0, image.pixels.data()};
}

/// A model of a kind, opened from memory, with a session for batches of `max_batch`.
class Opened {
 public:
  Opened(const weights::Architecture& architecture, std::int32_t max_batch)
      : held(make_model(architecture)) {
    EXPECT_EQ(qama_model_from_memory(held.bytes.data(), held.bytes.size(), &model), 0);
    qama_session_options options;
    qama_session_options_init(&options);
    options.max_batch = max_batch;
    options.seed = 5;
    EXPECT_EQ(qama_session_create(model, &options, &session), 0) << qama_last_error();
  }
  ~Opened() {
    qama_session_destroy(session);
    qama_model_close(model);
  }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;

  MemoryModel held;
  qama_model* model = nullptr;
  qama_session* session = nullptr;
};

class Answers : public testing::Test {
 protected:
  Opened images{mnist_architecture(AttentionKind::qama), 4};
};

TEST_F(Answers, AreWhatTheLogitsSay) {
  const auto pixels = random_pixels(784, 3);
  std::vector<float> logits(10);
  ASSERT_EQ(qama_session_classify_u8(images.session, pixels.data(), 1, logits.data()), 0);
  const qama_image image{sizeof image, 28, 28, 1, 0, pixels.data()};
  qama_answer answer = new_answer();
  ASSERT_EQ(qama_session_answer_images(images.session, &image, 1, &answer), 0) << qama_last_error();

  EXPECT_EQ(std::vector<float>(answer.logits, answer.logits + answer.classes), logits);
  EXPECT_EQ(answer.class_index, runtime::argmax(logits));
  EXPECT_STREQ(answer.label, qama_model_label(images.model, answer.class_index));
  std::vector<double> p(10);
  ASSERT_OK(runtime::softmax(logits, p));
  EXPECT_EQ(answer.probability, p[static_cast<std::size_t>(answer.class_index)]);
  ASSERT_EQ(answer.classes, 10);
  double sum = 0;
  for (int k = 0; k < 10; ++k) {
    const qama_guess& guess = answer.top[k];
    EXPECT_EQ(guess.probability, p[static_cast<std::size_t>(guess.class_index)]);
    EXPECT_STREQ(guess.label, qama_model_label(images.model, guess.class_index));
    if (k > 0) {
      EXPECT_LE(guess.probability, answer.top[k - 1].probability);
    }
    sum += guess.probability;
  }
  EXPECT_NEAR(sum, 1.0, 1e-12);
  EXPECT_GT(answer.latency_us, 0);
  ASSERT_EQ(answer.layers, 2);
  EXPECT_STREQ(answer.solved_by, qama_session_solved_by(images.session, 0, 0));
  EXPECT_STREQ(answer.solves[1].solved_by, answer.solved_by);
  EXPECT_EQ(answer.fallback, nullptr);
  EXPECT_EQ(answer.solves[0].fallback, nullptr);
  EXPECT_LT(answer.solves[0].energy, 0);
}

TEST_F(Answers, TakeImagesOfAnySizeAsTheProgramFitsThem) {
  for (const int channels : {1, 2, 3, 4}) {
    const io::Image image{40, 33, channels, sample_pixels(40, 33, channels)};
    Bytes fitted(784);
    ASSERT_OK(io::prepare_picture(image, {28, 28, 1}, io::Invert::automatic, fitted));
    std::vector<float> logits(10);
    ASSERT_EQ(qama_session_classify_u8(images.session, fitted.data(), 1, logits.data()), 0);
    const qama_image view = view_of(image);
    qama_answer answer = new_answer();
    ASSERT_EQ(qama_session_answer_images(images.session, &view, 1, &answer), 0)
        << qama_last_error();
    EXPECT_EQ(std::vector<float>(answer.logits, answer.logits + 10), logits) << channels;
    const Bytes png = png_file(40, 33, channels, image.pixels);
    ASSERT_EQ(qama_session_answer_encoded(images.session, png.data(), png.size(), &answer), 0)
        << qama_last_error();
    EXPECT_EQ(std::vector<float>(answer.logits, answer.logits + 10), logits) << channels;
  }
}

TEST_F(Answers, OfABatchAreThoseOfItsSamples) {
  const io::Image small{9, 9, 3, sample_pixels(9, 9, 3)};
  const io::Image large{60, 50, 1, sample_pixels(60, 50, 1)};
  const std::array<qama_image, 2> both{view_of(small), view_of(large)};
  std::array<qama_answer, 2> answers{new_answer()};
  ASSERT_EQ(qama_session_answer_images(images.session, both.data(), 2, answers.data()), 0);
  for (std::size_t i = 0; i < 2; ++i) {
    const std::vector<float> logits(answers[i].logits, answers[i].logits + 10);
    Opened alone(mnist_architecture(AttentionKind::qama), 1);
    qama_session_set_first_sample(alone.session, i);
    qama_answer answer = new_answer();
    ASSERT_EQ(qama_session_answer_images(alone.session, &both[i], 1, &answer), 0);
    EXPECT_EQ(std::vector<float>(answer.logits, answer.logits + 10), logits) << i;
  }
}

TEST_F(Answers, OfNormalisedValuesAndOfFiles) {
  const auto values = random_floats(2 * 784, 1);
  std::vector<float> logits(20);
  ASSERT_EQ(qama_session_run_f32(images.session, values.data(), 2, logits.data()), 0);
  std::array<qama_answer, 2> answers{new_answer()};
  ASSERT_EQ(qama_session_answer_f32(images.session, values.data(), 2, answers.data()), 0);
  EXPECT_EQ(std::vector<float>(answers[1].logits, answers[1].logits + 10),
            std::vector<float>(logits.begin() + 10, logits.end()));

  const TempDir directory;
  const Bytes data = sample_pixels(28, 28 * 3, 1);
  put_file(directory.file("images.idx"), idx_file({3, 28, 28}, data));
  qama_session_set_first_sample(images.session, 2);
  ASSERT_EQ(qama_session_classify_u8(images.session, data.data() + 2 * 784, 1, logits.data()), 0);
  qama_session_set_first_sample(images.session, 0);
  qama_answer answer = new_answer();
  const std::string third = directory.file("images.idx") + ":2";
  ASSERT_EQ(qama_session_answer_file(images.session, third.c_str(), &answer), 0)
      << qama_last_error();
  logits.resize(10);
  EXPECT_EQ(std::vector<float>(answer.logits, answer.logits + 10), logits);
}

TEST_F(Answers, AllocateNothingForImagesOfTheModelsSize) {
  if (QAMA_COUNTS_MALLOC == 0) GTEST_SKIP() << "malloc cannot be counted here";
  const auto pixels = random_pixels(784, 3);
  const qama_image image{sizeof image, 28, 28, 1, 0, pixels.data()};
  qama_answer answer = new_answer();
  AllocationCounter counter;
  const qama_status status = qama_session_answer_images(images.session, &image, 1, &answer);
  EXPECT_EQ(counter.count(), 0);
  EXPECT_EQ(status, 0);
}

TEST_F(Answers, TheModelSeesOfAFileWhatTheAnswerIsFor) {
  const Bytes png = png_file(50, 31, 3, sample_pixels(50, 31, 3));
  std::vector<std::uint8_t> pixels(784);
  ASSERT_EQ(qama_model_fit_encoded(images.model, png.data(), png.size(), pixels.data()), 0)
      << qama_last_error();
  std::vector<float> logits(10);
  ASSERT_EQ(qama_session_classify_u8(images.session, pixels.data(), 1, logits.data()), 0);
  qama_answer answer = new_answer();
  ASSERT_EQ(qama_session_answer_encoded(images.session, png.data(), png.size(), &answer), 0);
  EXPECT_EQ(std::vector<float>(answer.logits, answer.logits + 10), logits);

  EXPECT_EQ(qama_model_fit_encoded(images.model, "text", 4, pixels.data()), 200);
  EXPECT_EQ(qama_model_fit_encoded(nullptr, png.data(), png.size(), pixels.data()), 1);
  EXPECT_EQ(qama_model_fit_encoded(images.model, nullptr, 4, pixels.data()), 1);
  EXPECT_EQ(qama_model_fit_encoded(images.model, png.data(), png.size(), nullptr), 1);
  const Opened texts(text_architecture(AttentionKind::softmax), 1);
  EXPECT_EQ(qama_model_fit_encoded(texts.model, png.data(), png.size(), pixels.data()), 119);
}

TEST_F(Answers, MisuseIsAnErrorAndNoAnswer) {
  const auto pixels = random_pixels(784, 3);
  const qama_image good{sizeof good, 28, 28, 1, 0, pixels.data()};
  const auto refused = [this](const qama_image& image, const char* name) {
    qama_answer answer = new_answer();
    answer.class_index = 3;
    const qama_status status = qama_session_answer_images(images.session, &image, 1, &answer);
    EXPECT_STREQ(qama_status_name(status), name);
    EXPECT_EQ(answer.class_index, -1);
    EXPECT_EQ(answer.label, nullptr);
    EXPECT_EQ(answer.struct_size, sizeof answer);
  };
  qama_image image = good;
  image.width = 0;
  refused(image, "INVALID_ARGUMENT");
  image = good;
  image.channels = 5;
  refused(image, "INVALID_ARGUMENT");
  EXPECT_STREQ(qama_last_error(),
               "an image of 28 x 28 pixels and 5 channels, expected at least 1 x 1 and 1 to 4 "
               "channels");
  image = good;
  image.row_bytes = 27;
  refused(image, "INVALID_ARGUMENT");
  // As other libraries name a distance to the row above.
  image.row_bytes = std::size_t{0} - 28;
  refused(image, "INVALID_ARGUMENT");
  image = good;
  image.width = 1 << 30;
  refused(image, "IMAGE_TOO_LARGE");
  image = good;
  image.pixels = nullptr;
  refused(image, "INVALID_ARGUMENT");
  image = good;
  image.struct_size = 8;
  refused(image, "INVALID_ARGUMENT");

  qama_answer answer = new_answer();
  answer.struct_size = 0;
  EXPECT_EQ(qama_session_answer_images(images.session, &good, 1, &answer), 1);
  EXPECT_EQ(std::string(qama_last_error()),
            "struct_size is 0, expected sizeof(qama_answer), at least " +
                std::to_string(offsetof(qama_answer, solves) + sizeof answer.solves));
  answer = new_answer();
  EXPECT_EQ(qama_session_answer_images(nullptr, &good, 1, &answer), 1);
  EXPECT_EQ(qama_session_answer_images(images.session, nullptr, 1, &answer), 1);
  EXPECT_EQ(qama_session_answer_images(images.session, &good, 1, nullptr), 1);
  EXPECT_EQ(qama_session_answer_images(images.session, &good, 0, &answer), 1);
  EXPECT_EQ(qama_session_answer_images(images.session, &good, 5, &answer), 1);
  EXPECT_EQ(qama_session_answer_f32(images.session, nullptr, 1, &answer), 1);
  EXPECT_EQ(qama_session_answer_file(images.session, nullptr, &answer), 1);
  EXPECT_EQ(qama_session_answer_file(images.session, "/nowhere", &answer), 4);
  EXPECT_EQ(qama_session_answer_encoded(images.session, "text", 4, &answer), 200);
  EXPECT_EQ(qama_session_answer_encoded(images.session, nullptr, 4, &answer), 1);
  const char* text = "some words";
  EXPECT_EQ(qama_session_answer_texts(images.session, &text, 1, &answer), 119);
}

// Programs built with the first header have no room for the words.
TEST_F(Answers, OlderStructsAreNotWrittenBeyondTheirEnd) {
  const auto pixels = random_pixels(784, 3);
  const qama_image image{sizeof image, 28, 28, 1, 0, pixels.data()};
  qama_answer answer = new_answer();
  answer.struct_size = offsetof(qama_answer, words);
  answer.words = 99;
  ASSERT_EQ(qama_session_answer_images(images.session, &image, 1, &answer), 0);
  EXPECT_GE(answer.class_index, 0);
  EXPECT_EQ(answer.words, 99);
}

// An older library does not know a newer header's fields: they are 0, and elements lie where that
// header has them.
TEST_F(Answers, NewerStructsKeepTheirDistance) {
  struct Newer {
    qama_answer known;
    std::uint64_t later;
  };
  const auto pixels = random_pixels(2 * 784, 3);
  const std::array<qama_image, 2> both{
      qama_image{sizeof(qama_image), 28, 28, 1, 0, pixels.data()},
      qama_image{sizeof(qama_image), 28, 28, 1, 0, pixels.data() + 784}};
  std::array<Newer, 2> answers{};
  for (Newer& answer : answers) answer.later = 99;
  answers[0].known.struct_size = sizeof(Newer);
  ASSERT_EQ(qama_session_answer_images(images.session, both.data(), 2, &answers[0].known), 0);
  for (const Newer& answer : answers) {
    EXPECT_GE(answer.known.class_index, 0);
    EXPECT_EQ(answer.later, 0U);
  }
}

TEST(AnswersOfTexts, AreWhatTheLogitsSay) {
  Opened texts(text_architecture(AttentionKind::qama), 2);
  const char* words[] = {"some words, and more!", ""};
  std::vector<float> logits(6);
  ASSERT_EQ(qama_session_classify_text(texts.session, words, 2, logits.data()), 0);
  std::array<qama_answer, 2> answers{new_answer()};
  ASSERT_EQ(qama_session_answer_texts(texts.session, words, 2, answers.data()), 0)
      << qama_last_error();
  for (std::size_t i = 0; i < 2; ++i) {
    const std::vector<float> expected(logits.begin() + static_cast<std::ptrdiff_t>(3 * i),
                                      logits.begin() + static_cast<std::ptrdiff_t>(3 * i + 3));
    EXPECT_EQ(std::vector<float>(answers[i].logits, answers[i].logits + 3), expected);
  }
  const char* bad = "caf\xE9";
  EXPECT_EQ(qama_session_answer_texts(texts.session, &bad, 1, answers.data()), 206);
  // What the model did not read.
  std::string long_text;
  for (int i = 0; i < 60; ++i) long_text += "w10 zebra ";
  const char* odd[] = {long_text.c_str(), "\xC2\xA0"};
  ASSERT_EQ(qama_session_answer_texts(texts.session, odd, 2, answers.data()), 0);
  EXPECT_EQ(answers[0].words, 120);
  EXPECT_EQ(answers[0].unknown_words, 25);
  EXPECT_EQ(answers[0].truncated, 1);
  EXPECT_EQ(answers[1].words, 0);
  EXPECT_EQ(answers[1].unknown_words, 0);
  EXPECT_EQ(answers[1].truncated, 0);
  EXPECT_STREQ(qama_last_error(), "text 'texts[0]': byte 3 is not valid UTF-8 text");
  const Bytes png = png_file(3, 3, 1, sample_pixels(3, 3, 1));
  EXPECT_EQ(qama_session_answer_encoded(texts.session, png.data(), png.size(), answers.data()),
            119);
  const qama_image image{sizeof image, 3, 3, 1, 0, png.data()};
  EXPECT_EQ(qama_session_answer_images(texts.session, &image, 1, answers.data()), 119);
}

// A device that is not there: the local annealer solves, and the answer says why.
TEST(AnswersOfFallbacks, SayWhySomebodyElseSolved) {
  const MemoryModel held = make_model(mnist_architecture(AttentionKind::qama));
  auto model = api::Model::from_memory(held.bytes);
  ASSERT_TRUE(model.ok());
  api::SessionOptions options;
  options.device = "exact:";  // 392 spins are far too many for it
  options.fallback = "error";
  auto session = model->session(options);
  ASSERT_TRUE(session.ok()) << session.status().sentence();
  const auto pixels = random_pixels(784, 1);
  const auto answer = session->answer_image({pixels.data(), 28, 28, 1});
  ASSERT_TRUE(answer.ok()) << answer.status().sentence();
  EXPECT_EQ(answer->fallback, "unsupported");
  EXPECT_TRUE(answer->solved_by.starts_with("cpu:")) << answer->solved_by;
  EXPECT_STREQ(answer->solves[0].fallback, "unsupported");
}

TEST(CppAnswers, AreThoseOfTheCApi) {
  const MemoryModel held = make_model(mnist_architecture(AttentionKind::qama));
  auto model = api::Model::from_memory(held.bytes);
  ASSERT_TRUE(model.ok());
  api::SessionOptions options;
  options.max_batch = 2;
  auto session = model->session(options);
  ASSERT_TRUE(session.ok());
  const auto pixels = random_pixels(2 * 784, 1);
  const std::array<api::Image, 2> both{api::Image(pixels.data(), 28, 28, 1),
                                       api::Image(pixels.data() + 784, 28, 28, 1)};
  std::vector<float> logits(20);
  ASSERT_TRUE(session->classify(pixels.data(), 2, logits.data()).ok());
  const auto answers = session->answer_images(both);
  ASSERT_TRUE(answers.ok()) << answers.status().sentence();
  ASSERT_EQ(answers->size(), 2U);
  EXPECT_THAT((*answers)[1].logits, testing::ElementsAreArray(logits.data() + 10, 10));
  EXPECT_EQ((*answers)[0].label, model->label((*answers)[0].class_index));
  EXPECT_EQ((*answers)[0].top.size(), 10U);
  EXPECT_EQ((*answers)[0].solves.size(), 2U);
  EXPECT_EQ((*answers)[0].solved_by, session->solved_by(0, 0));
  const auto one = session->answer_image(both[0]);
  ASSERT_TRUE(one.ok());
  EXPECT_THAT(one->logits, testing::ElementsAreArray(logits.data(), 10));
  const auto png = png_file(28, 28, 1, Bytes(pixels.begin(), pixels.begin() + 784));
  const auto encoded = session->answer_encoded(std::as_bytes(std::span(png)));
  ASSERT_TRUE(encoded.ok());
  EXPECT_EQ(encoded->class_index, one->class_index);
  EXPECT_EQ(encoded->words, 0);
  const auto seen = model->fit_encoded(std::as_bytes(std::span(png)));
  ASSERT_TRUE(seen.ok());
  EXPECT_EQ(*seen, std::vector<std::uint8_t>(pixels.begin(), pixels.begin() + 784));
  EXPECT_STREQ(model->fit_encoded({}).status().name(), "INVALID_ARGUMENT");
  EXPECT_FALSE(session->answer_images({}).ok());
  EXPECT_STREQ(session->answer_text("words").status().name(), "MODEL_WRONG_KIND");
  EXPECT_STREQ(session->answer_file("/nowhere").status().name(), "NOT_FOUND");
  // A zero byte ends no name and no text.
  const std::string null_and_more("/dev/null\0more", 14);
  EXPECT_STREQ(session->answer_file(null_and_more).status().name(), "NOT_FOUND");
  EXPECT_STREQ(api::Model::open(null_and_more).status().name(), "NOT_FOUND");
  EXPECT_STREQ(api::Problem::open(null_and_more).status().name(), "NOT_FOUND");
  EXPECT_FALSE(session->answer_f32(nullptr, 1).ok());
  const MemoryModel texts = make_model(text_architecture(AttentionKind::qama));
  auto of_texts = api::Model::from_memory(texts.bytes);
  ASSERT_TRUE(of_texts.ok());
  auto reader = of_texts->session();
  ASSERT_TRUE(reader.ok());
  const auto answer = reader->answer_text(std::string("some\0words", 10));
  EXPECT_STREQ(answer.status().name(), "TEXT_BAD_ENCODING");
  EXPECT_THAT(answer.status().sentence(), testing::HasSubstr("byte 4"));
}

// ---- explanations -------------------------------------------------------------------------------

/// A session that explains.
qama_session* explaining(const qama_model* model, std::int32_t max_batch) {
  qama_session_options options;
  qama_session_options_init(&options);
  options.max_batch = max_batch;
  options.seed = 5;
  options.explain = 1;
  qama_session* session = nullptr;
  EXPECT_EQ(qama_session_create(model, &options, &session), 0) << qama_last_error();
  return session;
}

qama_layer layer_of(const qama_session* session, std::int32_t sample, std::int32_t number) {
  qama_layer out{};
  out.struct_size = sizeof out;
  EXPECT_EQ(qama_session_layer(session, sample, number, &out), 0) << qama_last_error();
  return out;
}

TEST_F(Answers, OfASessionThatExplainsHaveLayers) {
  const auto pixels = random_pixels(2 * 784, 3);
  const std::array<qama_image, 2> both{
      qama_image{sizeof(qama_image), 28, 28, 1, 0, pixels.data()},
      qama_image{sizeof(qama_image), 28, 28, 1, 0, pixels.data() + 784}};
  std::array<qama_answer, 2> plain{new_answer()};
  ASSERT_EQ(qama_session_answer_images(images.session, both.data(), 2, plain.data()), 0);
  qama_session* session = explaining(images.model, 2);
  std::array<qama_answer, 2> answers{new_answer()};
  ASSERT_EQ(qama_session_answer_images(session, both.data(), 2, answers.data()), 0);
  for (std::int32_t i = 0; i < 2; ++i) {
    const auto at = static_cast<std::size_t>(i);
    EXPECT_EQ(std::vector<float>(answers[at].logits, answers[at].logits + 10),
              std::vector<float>(plain[at].logits, plain[at].logits + 10));
    ASSERT_EQ(answers[at].layers, 2);
    for (std::int32_t number = 0; number < 2; ++number) {
      const qama_layer layer = layer_of(session, i, number);
      EXPECT_EQ(layer.block, number);
      EXPECT_EQ(layer.tokens, 49);
      EXPECT_EQ(layer.bits, 1);
      const double energy = answers[at].solves[number].energy;
      EXPECT_NEAR(layer.energy, energy, 1e-3 * std::fabs(energy));
      EXPECT_LE(layer.pure_energy, layer.energy);
      // The penalty is all that is between the two, and lambda for each pair of heads at a token.
      std::vector<double> heads(49);
      for (std::int32_t k = 0; k < layer.heads * 49; ++k) heads[k % 49] += layer.selected[k];
      double pairs = 0;
      for (const double count : heads) pairs += count * (count - 1) / 2;
      const double lambda = pairs > 0 ? (layer.energy - layer.pure_energy) / pairs : 0;
      for (std::int32_t k = 0; k < layer.heads * layer.tokens; ++k) {
        EXPECT_LE(layer.selected[k], 1);
        EXPECT_TRUE(layer.selected[k] == 1 || layer.energies[k] == 0) << k;
        EXPECT_GE(layer.flip_costs[k], -2e-3 * std::fabs(energy)) << k;
        if (layer.selected[k] == 0) continue;
        EXPECT_NEAR(layer.energies[k], -layer.flip_costs[k] - lambda * (heads[k % 49] - 1),
                    1e-5 * std::fabs(energy));
      }
    }
  }
  // A run that fails has none, and the figures of the one before are gone.
  qama_layer layer{};
  layer.struct_size = sizeof layer;
  EXPECT_NE(qama_session_answer_images(session, nullptr, 1, answers.data()), 0);
  EXPECT_STREQ(qama_status_name(qama_session_layer(session, 0, 0, &layer)), "INDEX_OUT_OF_RANGE");
  qama_session_destroy(session);
}

TEST_F(Answers, WithoutExplainHaveNoLayers) {
  const auto pixels = random_pixels(784, 3);
  const qama_image image{sizeof image, 28, 28, 1, 0, pixels.data()};
  qama_answer answer = new_answer();
  ASSERT_EQ(qama_session_answer_images(images.session, &image, 1, &answer), 0);
  qama_layer layer{};
  layer.struct_size = sizeof layer;
  EXPECT_STREQ(qama_status_name(qama_session_layer(images.session, 0, 0, &layer)), "UNSUPPORTED");
  layer.struct_size = 8;
  EXPECT_STREQ(qama_status_name(qama_session_layer(images.session, 0, 0, &layer)),
               "INVALID_ARGUMENT");
  EXPECT_STREQ(qama_status_name(qama_session_layer(nullptr, 0, 0, &layer)), "INVALID_ARGUMENT");
  EXPECT_STREQ(qama_status_name(qama_session_layer(images.session, 0, 0, nullptr)),
               "INVALID_ARGUMENT");
  EXPECT_EQ(qama_session_word(images.session, 0, 0), nullptr);
  EXPECT_EQ(qama_session_word(nullptr, 0, 0), nullptr);
}

TEST(Explanations, OfTextsHaveTheirWords) {
  Opened texts(text_architecture(AttentionKind::qama), 2);
  qama_session* session = explaining(texts.model, 2);
  const std::array<const char*, 2> both{"Two Words", "And three more"};
  std::array<qama_answer, 2> answers{new_answer()};
  ASSERT_EQ(qama_session_answer_texts(session, both.data(), 2, answers.data()), 0)
      << qama_last_error();
  EXPECT_STREQ(qama_session_word(session, 0, 0), "Two");
  EXPECT_STREQ(qama_session_word(session, 1, 2), "more");
  EXPECT_EQ(qama_session_word(session, 0, 2), nullptr);
  EXPECT_EQ(qama_session_word(session, 2, 0), nullptr);
  EXPECT_EQ(qama_session_word(session, 0, -1), nullptr);
  EXPECT_EQ(layer_of(session, 0, 0).tokens, 2);
  EXPECT_EQ(layer_of(session, 1, 0).tokens, 3);
  qama_layer layer{};
  layer.struct_size = sizeof layer;
  EXPECT_STREQ(qama_status_name(qama_session_layer(session, 0, 1000, &layer)),
               "INDEX_OUT_OF_RANGE");
  EXPECT_STREQ(qama_status_name(qama_session_layer(session, 2, 0, &layer)), "INDEX_OUT_OF_RANGE");
  qama_session_destroy(session);
}

TEST(CppAnswers, OfASessionThatExplains) {
  const MemoryModel held = make_model(mnist_architecture(AttentionKind::qama));
  auto model = api::Model::from_memory(held.bytes);
  ASSERT_TRUE(model.ok());
  api::SessionOptions options;
  options.explain = 1;
  auto session = model->session(options);
  ASSERT_TRUE(session.ok());
  const auto pixels = random_pixels(784, 1);
  ASSERT_TRUE(session->answer_image({pixels.data(), 28, 28, 1}).ok());
  const auto layer = session->layer(0, 1);
  ASSERT_TRUE(layer.ok()) << layer.status().sentence();
  EXPECT_EQ(layer->block, 1);
  EXPECT_STREQ(session->layer(0, 2).status().name(), "INDEX_OUT_OF_RANGE");
  EXPECT_EQ(session->word(0, 0), "");
}

}  // namespace
}  // namespace qama::test
