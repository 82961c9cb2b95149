// The C API's models, sessions and answers. solver_api.cpp has the annealer, api_error.h the edge
// of the ABI, sample.h and answer.h what the answers are made with.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "runtime/api/answer.h"
#include "runtime/api/api_error.h"
#include "runtime/api/sample.h"
#include "runtime/api/watcher.h"
#include "runtime/engine/log.h"
#include "runtime/engine/model.h"
#include "runtime/engine/plan.h"
#include "runtime/engine/session.h"
#include "runtime/io/text.h"

namespace {

using qama::Error;
using qama::ErrorCode;
using qama::Result;
using qama::Status;
using qama::runtime::null_argument;
namespace runtime = qama::runtime;

#define QAMA_STRING_(x) #x
#define QAMA_STRING(x) QAMA_STRING_(x)
constexpr const char* kVersion = QAMA_STRING(QAMA_VERSION_MAJOR) "." QAMA_STRING(
    QAMA_VERSION_MINOR) "." QAMA_STRING(QAMA_VERSION_PATCH);

}  // namespace

struct qama_model {
  std::shared_ptr<const runtime::Model> model;
  std::string name;                                        // its path, for sentences
  std::shared_ptr<const std::vector<std::string>> labels;  // zero-terminated; sessions share them
  // The last plan, so that the query and the sessions that follow it, on one thread or on many,
  // share it.
  std::mutex mutex;
  std::shared_ptr<const runtime::Plan> plan;

  Result<std::shared_ptr<const runtime::Plan>> plan_for(const qama_session_options& options) {
    const runtime::PlanOptions wanted{
        options.max_batch == 0 ? 1 : options.max_batch, options.threads == 0 ? 1 : options.threads,
        options.in_flight == 0 ? 1 : options.in_flight,
        // What is explained are integers.
        options.explain == 0 && (options.device == nullptr ||
                                 qama::hal::forms_of(options.device).has(qama::hal::Form::factors)),
        options.sample_threads == 0 ? 1 : options.sample_threads};
    const std::scoped_lock lock(mutex);
    if (plan == nullptr || plan->options().max_batch != wanted.max_batch ||
        plan->options().threads != wanted.threads ||
        plan->options().in_flight != wanted.in_flight ||
        plan->options().factors != wanted.factors ||
        plan->options().sample_threads != wanted.sample_threads) {
      plan.reset();
      QAMA_ASSIGN_OR_RETURN(plan, runtime::Plan::create(model, wanted));
    }
    return plan;
  }
};

struct qama_session {
  std::unique_ptr<runtime::Session> session;
  std::optional<runtime::SampleReader> reader;
  std::shared_ptr<const std::vector<std::string>> labels;
  std::uint64_t first_sample = 0;
  // A batch on its way in, of an image model or of a text model; features stay the caller's,
  std::vector<std::uint8_t> pixels;
  std::vector<std::int32_t> tokens;
  std::vector<std::int32_t> lengths;
  std::vector<runtime::Encoded> encoded;      // of images: zeros
  std::vector<qama::io::PictureNotes> notes;  // of texts: nothing
  std::int32_t seen = 0;                      // pictures whose pixels are there
  bool strict = false;
  // and out: what answers point to.
  std::vector<float> answer_logits;
  std::vector<runtime::Guess> ranked;  // of one sample
  std::vector<qama_guess> top;
  std::vector<qama_layer_solve> solves;
  std::vector<std::string> solved_by;  // of samples whose layers several solvers solved
  // With options.explain, of the last run. A layer's flips are told by what they cost.
  bool explains = false;
  runtime::Watcher watcher;
  std::vector<std::vector<std::string>> words;  // of texts, a token each

  [[nodiscard]] const runtime::Model& model() const noexcept { return session->model(); }

  /// `count` samples' logits, checked as far as the session cannot see it itself.
  Result<std::span<float>> logits(float* data, std::int32_t count) const {
    if (data == nullptr) return null_argument("logits");
    if (count < 1 || count > session->plan().options().max_batch) {
      return Error{ErrorCode::invalid_argument,
                   "a batch of " + std::to_string(count) + " samples, expected 1 to " +
                       std::to_string(session->plan().options().max_batch)};
    }
    return std::span<float>(
        data, static_cast<std::size_t>(count) * static_cast<std::size_t>(model().classes()));
  }
  [[nodiscard]] runtime::Hooks hooks() noexcept {
    runtime::Hooks out;
    if (explains) {
      out.recorder = &watcher;
      out.problems = &watcher;
    }
    return out;
  }
  [[nodiscard]] runtime::RunOptions run_options() noexcept {
    runtime::RunOptions options;
    options.first_sample = first_sample;
    options.hooks = hooks();
    return options;
  }
  /// What the last run left goes; every run begins with it.
  void forget() noexcept {
    watcher.layers.clear();
    for (std::vector<std::string>& text : words) text.clear();
  }
  Result<const runtime::WatchedLayer*> layer(std::int32_t sample, std::int32_t number) const;

  void allocate();
  Status run_images(const qama_image* images, std::int32_t count, std::span<float> out);
  Status run_texts(const char* const* texts, std::int32_t count, std::span<float> out, bool check);
  Status run_f32(const float* input, std::int32_t count, std::span<float> out);
  Status run_sample(runtime::Sample sample, std::span<float> out);

  /// Runs `body`, which takes room for the logits of `count` samples, and fills their answers in.
  template <typename Body>
  Status answer(std::int32_t count, qama_answer* answers, Body&& body);
  Status fill(std::int32_t sample, qama_answer& out);
};

namespace {

Status open_model(Result<std::shared_ptr<const runtime::Model>> opened, std::string name,
                  qama_model** out) {
  QAMA_ASSIGN_OR_RETURN(auto model, std::move(opened));
  auto handle = std::make_unique<qama_model>();
  std::vector<std::string> labels;
  for (std::int32_t i = 0; i < model->classes(); ++i) labels.emplace_back(model->label(i));
  handle->labels = std::make_shared<const std::vector<std::string>>(std::move(labels));
  handle->name = std::move(name);
  handle->model = std::move(model);
  runtime::log(runtime::LogLevel::info, "model opened: %lld parameters, %d classes",
               static_cast<long long>(handle->model->file().parameters()),
               handle->model->classes());
  *out = handle.release();
  return {};
}

Result<qama::weights::ModelOptions> read_options(const qama_model_options* given) {
  qama::weights::ModelOptions out;
  if (given == nullptr) return out;
  constexpr std::size_t kFirst = offsetof(qama_model_options, trust) + sizeof given->trust;
  if (given->struct_size < kFirst || given->struct_size > runtime::kMostStructBytes) {
    return Error{ErrorCode::invalid_argument, "struct_size is " +
                                                  std::to_string(given->struct_size) +
                                                  ", expected sizeof(qama_model_options)"};
  }
  constexpr std::size_t kFrom[] = {qama::weights::kMappedFrom, SIZE_MAX, 0};
  if (given->mapping < 0 || given->mapping > 2) {
    return Error{ErrorCode::invalid_argument,
                 "mapping is " + std::to_string(given->mapping) + ", expected 0, 1 or 2"};
  }
  out.mapped_from = kFrom[given->mapping];
  if (given->trust != nullptr) out.trust = given->trust;
  return out;
}

/// The caller's options, of whatever version its header was: what it does not know keeps its
/// default.
Result<qama_session_options> read_options(const qama_session_options* given) {
  qama_session_options options;
  qama_session_options_init(&options);
  if (given != nullptr) {
    if (given->struct_size < sizeof given->struct_size ||
        given->struct_size > runtime::kMostStructBytes) {
      return Error{
          ErrorCode::invalid_argument,
          "struct_size is " + std::to_string(given->struct_size) +
              ", expected sizeof(qama_session_options): call qama_session_options_init first"};
    }
    std::memcpy(&options, given, std::min<std::size_t>(given->struct_size, sizeof options));
  }
  return options;
}

Status create_session(qama_model& model, const qama_session_options& options, qama_session** out) {
  QAMA_ASSIGN_OR_RETURN(auto plan, model.plan_for(options));
  runtime::SessionOptions session_options;
  session_options.max_batch = plan->options().max_batch;
  session_options.threads = plan->options().threads;
  session_options.in_flight = plan->options().in_flight;
  session_options.sample_threads = plan->options().sample_threads;
  if (options.seed != 0) session_options.seed = options.seed;
  if (options.device != nullptr) session_options.device = options.device;
  if (options.fallback != nullptr) {
    QAMA_ASSIGN_OR_RETURN(session_options.fallback, runtime::parse_fallback(options.fallback));
  }
  session_options.deadline_us = options.deadline_us;
  if (options.sweeps >= 0) session_options.schedule.sweeps = options.sweeps;
  if (options.restarts > 0) session_options.schedule.restarts = options.restarts;
  if (options.rounds >= 0) session_options.schedule.rounds = options.rounds;
  if (options.round_sweeps >= 0) session_options.schedule.round_sweeps = options.round_sweeps;
  if (options.arena != nullptr) {
    // An arena of no bytes is the caller's and too small, not a wish for one of the session's own.
    if (options.arena_bytes < plan->arena_bytes()) {
      return Error{ErrorCode::arena_too_small,
                   "an arena of " + std::to_string(options.arena_bytes) + " bytes, expected " +
                       std::to_string(plan->arena_bytes())};
    }
    session_options.arena = {static_cast<std::byte*>(options.arena), options.arena_bytes};
  }
  auto handle = std::make_unique<qama_session>();
  QAMA_ASSIGN_OR_RETURN(handle->session, runtime::Session::create(plan, session_options));
  handle->labels = model.labels;
  handle->explains = options.explain != 0;
  QAMA_ASSIGN_OR_RETURN(handle->reader, runtime::SampleReader::create(model.model, model.name));
  handle->allocate();
  runtime::log(runtime::LogLevel::info,
               "session created: %d threads, batches of %d, arena of %zu bytes",
               plan->options().threads, plan->options().max_batch, plan->arena_bytes());
  *out = handle.release();
  return {};
}

/// What the first version of these structs had: no caller has less.
constexpr std::size_t kFirstImageBytes = offsetof(qama_image, pixels) + sizeof(qama_image::pixels);
constexpr std::size_t kFirstAnswerBytes =
    offsetof(qama_answer, solves) + sizeof(qama_answer::solves);

/// The bytes from one element of a caller's array to the next: its header's sizeof.
Result<std::size_t> stride_of(std::uint32_t struct_size, std::size_t least, const char* type) {
  if (struct_size < least || struct_size > runtime::kMostStructBytes) {
    return Error{ErrorCode::invalid_argument, "struct_size is " + std::to_string(struct_size) +
                                                  ", expected sizeof(" + type + "), at least " +
                                                  std::to_string(least)};
  }
  return struct_size;
}

Result<runtime::PictureOptions> read_pictures(const qama_picture_options& given) {
  using qama::io::Invert;
  using qama::weights::Fit;
  constexpr std::array<std::optional<Fit>, 5> kFits{std::nullopt, Fit::stretch, Fit::crop, Fit::pad,
                                                    Fit::content};
  constexpr std::array<std::optional<Invert>, 4> kInverts{std::nullopt, Invert::automatic,
                                                          Invert::no, Invert::yes};
  const auto fit = static_cast<std::size_t>(given.fit);
  const auto invert = static_cast<std::size_t>(given.invert);
  if (fit >= kFits.size() || invert >= kInverts.size()) {
    return Error{ErrorCode::invalid_argument, "fit " + std::to_string(given.fit) + " and invert " +
                                                  std::to_string(given.invert) +
                                                  ", expected 0 to 4 and 0 to 3"};
  }
  return runtime::PictureOptions{kFits[fit], kInverts[invert]};
}

}  // namespace

void qama_session::allocate() {
  const qama::weights::Architecture& a = model().architecture();
  const auto batch = static_cast<std::size_t>(session->plan().options().max_batch);
  const auto classes = static_cast<std::size_t>(model().classes());
  pixels.resize(batch * model().input_pixels());
  if (a.is_text()) {
    tokens.resize(batch * static_cast<std::size_t>(a.max_tokens));
    lengths.resize(batch);
  }
  encoded.resize(batch);
  notes.resize(batch);
  answer_logits.resize(batch * classes);
  ranked.resize(classes);
  top.resize(batch * classes);
  solves.resize(batch * static_cast<std::size_t>(session->plan().qama_layers()));
  solved_by.resize(batch);
  if (explains) words.resize(batch);
  watcher.all_tokens = static_cast<std::size_t>(a.tokens());
}

Status qama_session::run_images(const qama_image* images, std::int32_t count,
                                std::span<float> out) {
  forget();
  if (images == nullptr) return null_argument("images");
  QAMA_ASSIGN_OR_RETURN(const std::size_t stride,
                        stride_of(images->struct_size, kFirstImageBytes, "qama_image"));
  const std::size_t bytes = model().input_pixels();
  const auto batch = static_cast<std::size_t>(count);
  for (std::size_t i = 0; i < batch; ++i) {
    qama_image image{};
    std::memcpy(&image, reinterpret_cast<const std::byte*>(images) + i * stride,
                std::min(stride, sizeof image));
    QAMA_ASSIGN_OR_RETURN(notes[i], reader->fit({image.pixels, image.width, image.height,
                                                 image.channels, image.row_bytes},
                                                std::span(pixels).subspan(i * bytes, bytes)));
    if (strict && notes[i].blank) return runtime::blank("images[" + std::to_string(i) + "]");
  }
  seen = count;
  return session->run_u8(std::span(pixels).first(batch * bytes), count, out, run_options());
}

Status qama_session::run_texts(const char* const* texts, std::int32_t count, std::span<float> out,
                               bool check) {
  forget();
  if (texts == nullptr) return null_argument("texts");
  if (!model().architecture().is_text()) {
    return Error{ErrorCode::model_wrong_kind,
                 "text for a model that classifies " + std::string(model().takes())};
  }
  const auto n = static_cast<std::size_t>(model().architecture().max_tokens);
  const auto batch = static_cast<std::size_t>(count);
  for (std::size_t i = 0; i < batch; ++i) {
    if (texts[i] == nullptr) return null_argument("texts[i]");
    if (check)
      QAMA_RETURN_IF_ERROR(qama::io::check_utf8(texts[i], "texts[" + std::to_string(i) + "]"));
    QAMA_ASSIGN_OR_RETURN(
        encoded[i], reader->tokeniser()->encode(texts[i], std::span(tokens).subspan(i * n, n)));
    lengths[i] = encoded[i].length;
    if (explains) words[i] = reader->tokeniser()->words(texts[i]);
  }
  return session->run_tokens(std::span(tokens).first(batch * n), std::span(lengths).first(batch),
                             out, run_options());
}

Status qama_session::run_f32(const float* input, std::int32_t count, std::span<float> out) {
  forget();
  if (input == nullptr) return null_argument("input");
  const std::size_t all = static_cast<std::size_t>(count) * model().input_floats();
  return session->run_f32({input, all}, count, out, run_options());
}

Status qama_session::run_sample(runtime::Sample sample, std::span<float> out) {
  forget();
  sample.index += first_sample;
  encoded[0] = sample.text;
  notes[0] = sample.picture;
  if (strict && notes[0].blank) return *sample.doubt;
  if (!sample.pixels.empty()) {
    std::copy(sample.pixels.begin(), sample.pixels.end(), pixels.begin());
    seen = 1;
  }
  if (explains) words[0] = std::move(sample.words);
  return runtime::run_sample(*session, sample, out, hooks());
}

Result<const runtime::WatchedLayer*> qama_session::layer(std::int32_t sample,
                                                         std::int32_t number) const {
  if (!explains) {
    return Error{ErrorCode::unsupported,
                 "the session keeps nothing of its layers: create it with options.explain = 1"};
  }
  std::int32_t found = 0;
  for (const runtime::WatchedLayer& layer : watcher.layers) {
    if (layer.sample == sample && found++ == number) return &layer;
  }
  return Error{ErrorCode::index_out_of_range,
               "layer " + std::to_string(number) + " of sample " + std::to_string(sample) +
                   ": in the last run that sample has " + std::to_string(found)};
}

template <typename Body>
Status qama_session::answer(std::int32_t count, qama_answer* answers, Body&& body) {
  if (answers == nullptr) return null_argument("answers");
  QAMA_ASSIGN_OR_RETURN(const auto out, logits(answer_logits.data(), count));
  QAMA_ASSIGN_OR_RETURN(const std::size_t stride,
                        stride_of(answers->struct_size, kFirstAnswerBytes, "qama_answer"));
  // What no run writes is not a number, and so no answer.
  std::fill(out.begin(), out.end(), std::numeric_limits<float>::quiet_NaN());
  std::fill(notes.begin(), notes.end(), qama::io::PictureNotes{});
  seen = 0;
  Status status = body(out);
  for (std::int32_t i = 0; i < count; ++i) {
    qama_answer filled{};
    filled.class_index = -1;
    filled.solved_by = "";
    Status own = fill(i, filled);
    if (status.ok()) status = std::move(own);
    // A newer header's fields, which this library does not know, are 0.
    auto* to = reinterpret_cast<std::byte*>(answers) + static_cast<std::size_t>(i) * stride;
    filled.struct_size = static_cast<std::uint32_t>(stride);
    std::memset(to, 0, stride);
    std::memcpy(to, &filled, std::min(stride, sizeof filled));
  }
  return status;
}

Status qama_session::fill(std::int32_t sample, qama_answer& out) {
  const auto i = static_cast<std::size_t>(sample);
  const std::size_t classes = ranked.size();
  const auto own = std::span<const float>(answer_logits).subspan(i * classes, classes);
  QAMA_RETURN_IF_ERROR(runtime::rank(own, ranked));
  const std::span<qama_guess> guesses = std::span(top).subspan(i * classes, classes);
  std::transform(ranked.begin(), ranked.end(), guesses.begin(), [this](const auto& guess) {
    const std::string& label = (*labels)[static_cast<std::size_t>(guess.class_index)];
    return qama_guess{guess.class_index, label.c_str(), guess.probability};
  });
  const auto found = session->solves(sample);
  qama_layer_solve* layers = solves.data() + i * found.size();
  for (std::size_t layer = 0; layer < found.size(); ++layer) {
    const auto& [result, energy, seed] = found[layer];
    const bool fell_back = result.fallback != qama::hal::FallbackReason::none;
    layers[layer] = {result.solved_by,
                     fell_back ? qama::hal::fallback_reason_name(result.fallback).data() : nullptr,
                     energy};
    if (out.fallback == nullptr) out.fallback = layers[layer].fallback;
  }
  const bool one_solver = std::all_of(found.begin(), found.end(), [&found](const auto& solve) {
    return std::strcmp(solve.result.solved_by, found[0].result.solved_by) == 0;
  });
  if (!one_solver) {
    runtime::SolveCounter solvers;
    solvers.add(*session, sample);
    solved_by[i] = solvers.text();
    out.solved_by = solved_by[i].c_str();
  } else if (!found.empty()) {
    out.solved_by = found[0].result.solved_by;
  }
  out.class_index = guesses[0].class_index;
  out.label = guesses[0].label;
  out.probability = guesses[0].probability;
  out.latency_us = session->latency_us(sample);
  out.classes = static_cast<std::int32_t>(classes);
  out.layers = static_cast<std::int32_t>(found.size());
  out.logits = own.data();
  out.top = guesses.data();
  out.solves = layers;
  out.words = encoded[i].words;
  out.unknown_words = encoded[i].unknown;
  out.truncated = encoded[i].truncated() ? 1 : 0;
  out.blank = notes[i].blank ? 1 : 0;
  out.inverted = notes[i].inverted ? 1 : 0;
  return {};
}

extern "C" {

const char* qama_version(void) {
  return kVersion;
}

void qama_set_log(qama_log_function function, void* user) {
  runtime::set_log(function, user);
}

// ---- models -------------------------------------------------------------------------------------

qama_status qama_model_open(const char* path, qama_model** out) {
  return runtime::guarded([&]() -> Status {
    if (out == nullptr) return null_argument("out");
    *out = nullptr;
    if (path == nullptr) return null_argument("path");
    return open_model(runtime::Model::open(path), path, out);
  });
}

qama_status qama_model_open_with(const char* path, const qama_model_options* options,
                                 qama_model** out) {
  return runtime::guarded([&]() -> Status {
    if (out == nullptr) return null_argument("out");
    *out = nullptr;
    if (path == nullptr) return null_argument("path");
    QAMA_ASSIGN_OR_RETURN(const qama::weights::ModelOptions chosen, read_options(options));
    return open_model(runtime::Model::open(path, chosen), path, out);
  });
}

qama_status qama_model_from_memory(const void* data, size_t bytes, qama_model** out) {
  return runtime::guarded([&]() -> Status {
    if (out == nullptr) return null_argument("out");
    *out = nullptr;
    if (data == nullptr) return null_argument("data");
    return open_model(runtime::Model::from_memory({static_cast<const std::byte*>(data), bytes}),
                      "in memory", out);
  });
}

void qama_model_close(qama_model* model) {
  delete model;
}

int32_t qama_model_classes(const qama_model* model) {
  return model == nullptr ? 0 : model->model->classes();
}

const char* qama_model_label(const qama_model* model, int32_t class_index) {
  if (model == nullptr || class_index < 0 || class_index >= model->model->classes()) return nullptr;
  return (*model->labels)[static_cast<std::size_t>(class_index)].c_str();
}

int32_t qama_model_image_height(const qama_model* model) {
  return model == nullptr ? 0 : model->model->architecture().image_height;
}
int32_t qama_model_image_width(const qama_model* model) {
  return model == nullptr ? 0 : model->model->architecture().image_width;
}
int32_t qama_model_image_channels(const qama_model* model) {
  return model == nullptr ? 0 : model->model->architecture().image_channels;
}
int32_t qama_model_max_tokens(const qama_model* model) {
  return model == nullptr ? 0 : model->model->architecture().max_tokens;
}

int32_t qama_model_feature_width(const qama_model* model) {
  return model == nullptr || !model->model->architecture().is_features()
             ? 0
             : model->model->architecture().embedding;
}

qama_status qama_model_fit_encoded(const qama_model* model, const void* bytes, size_t size,
                                   uint8_t* pixels) {
  return runtime::guarded([&]() -> Status {
    if (model == nullptr) return null_argument("model");
    if (bytes == nullptr) return null_argument("bytes");
    // Another model is told apart before its pixels, of which it has none.
    QAMA_ASSIGN_OR_RETURN(const auto reader,
                          runtime::SampleReader::create(model->model, model->name));
    QAMA_ASSIGN_OR_RETURN(
        const auto sample,
        reader.encoded({static_cast<const std::uint8_t*>(bytes), size}, "in memory"));
    if (pixels == nullptr) return null_argument("pixels");
    std::copy(sample.pixels.begin(), sample.pixels.end(), pixels);
    return {};
  });
}

// ---- sessions -----------------------------------------------------------------------------------

void qama_session_options_init_size(qama_session_options* options, size_t struct_size) {
  if (options == nullptr) return;
  qama_session_options defaults{};
  defaults.struct_size = static_cast<uint32_t>(std::min(struct_size, sizeof defaults));
  defaults.sweeps = -1;
  defaults.rounds = -1;
  defaults.round_sweeps = -1;
  std::memcpy(options, &defaults, defaults.struct_size);
}

void(qama_session_options_init)(qama_session_options* options) {
  qama_session_options_init_size(options, offsetof(qama_session_options, rounds));
}

qama_status qama_session_arena_bytes(const qama_model* model, const qama_session_options* options,
                                     size_t* bytes) {
  return runtime::guarded([&]() -> Status {
    if (model == nullptr) return null_argument("model");
    if (bytes == nullptr) return null_argument("bytes");
    QAMA_ASSIGN_OR_RETURN(const auto read, read_options(options));
    // The handle is logically constant: the plan that it keeps changes no answer.
    QAMA_ASSIGN_OR_RETURN(const auto plan, const_cast<qama_model*>(model)->plan_for(read));
    *bytes = plan->arena_bytes();
    return {};
  });
}

qama_status qama_session_create(const qama_model* model, const qama_session_options* options,
                                qama_session** out) {
  return runtime::guarded([&]() -> Status {
    if (out == nullptr) return null_argument("out");
    *out = nullptr;
    if (model == nullptr) return null_argument("model");
    QAMA_ASSIGN_OR_RETURN(const auto read, read_options(options));
    return create_session(*const_cast<qama_model*>(model), read, out);
  });
}

void qama_session_destroy(qama_session* session) {
  delete session;
}

qama_status qama_session_set_pictures(qama_session* session, const qama_picture_options* options) {
  return runtime::guarded([&]() -> Status {
    if (session == nullptr) return null_argument("session");
    qama_picture_options given{};
    if (options != nullptr) {
      QAMA_ASSIGN_OR_RETURN(const std::size_t size,
                            stride_of(options->struct_size, sizeof given, "qama_picture_options"));
      std::memcpy(&given, options, std::min(size, sizeof given));
    }
    QAMA_ASSIGN_OR_RETURN(const auto pictures, read_pictures(given));
    session->reader->set_pictures(pictures);
    session->strict = given.strict != 0;
    return {};
  });
}

const uint8_t* qama_session_pixels(const qama_session* session, int32_t sample) {
  if (session == nullptr || sample < 0 || sample >= session->seen) return nullptr;
  return session->pixels.data() +
         static_cast<std::size_t>(sample) * session->model().input_pixels();
}

qama_status qama_session_layer(const qama_session* session, int32_t sample, int32_t layer,
                               qama_layer* out) {
  return runtime::guarded([&]() -> Status {
    if (session == nullptr) return null_argument("session");
    if (out == nullptr) return null_argument("out");
    constexpr std::size_t kFirst =
        offsetof(qama_layer, flip_costs) + sizeof(qama_layer::flip_costs);
    QAMA_ASSIGN_OR_RETURN(const std::size_t size,
                          stride_of(out->struct_size, kFirst, "qama_layer"));
    QAMA_ASSIGN_OR_RETURN(const runtime::WatchedLayer* const seen, session->layer(sample, layer));
    const qama_layer filled{static_cast<std::uint32_t>(size),
                            seen->block,
                            seen->heads,
                            seen->tokens,
                            seen->bits,
                            seen->energy,
                            seen->pure_energy,
                            seen->mask.data(),
                            seen->token_energy.data(),
                            seen->flip_cost.data()};
    // A newer header's fields, which this library does not know, are 0.
    std::memset(out, 0, size);
    std::memcpy(out, &filled, std::min(size, sizeof filled));
    return {};
  });
}

const char* qama_session_word(const qama_session* session, int32_t sample, int32_t token) {
  if (session == nullptr || sample < 0 || token < 0 ||
      static_cast<std::size_t>(sample) >= session->words.size())
    return nullptr;
  const std::vector<std::string>& text = session->words[static_cast<std::size_t>(sample)];
  const auto at = static_cast<std::size_t>(token);
  return at < text.size() ? text[at].c_str() : nullptr;
}

void qama_session_set_first_sample(qama_session* session, uint64_t index) {
  if (session != nullptr) session->first_sample = index;
}

qama_status qama_session_classify_u8(qama_session* session, const uint8_t* pixels, int32_t count,
                                     float* logits) {
  return runtime::guarded([&]() -> Status {
    if (session == nullptr) return null_argument("session");
    if (pixels == nullptr) return null_argument("pixels");
    QAMA_ASSIGN_OR_RETURN(const auto out, session->logits(logits, count));
    session->forget();
    const std::size_t all = static_cast<std::size_t>(count) * session->model().input_pixels();
    return session->session->run_u8({pixels, all}, count, out, session->run_options());
  });
}

qama_status qama_session_run_f32(qama_session* session, const float* input, int32_t count,
                                 float* logits) {
  return runtime::guarded([&]() -> Status {
    if (session == nullptr) return null_argument("session");
    QAMA_ASSIGN_OR_RETURN(const auto out, session->logits(logits, count));
    return session->run_f32(input, count, out);
  });
}

qama_status qama_session_classify_text(qama_session* session, const char* const* texts,
                                       int32_t count, float* logits) {
  return runtime::guarded([&]() -> Status {
    if (session == nullptr) return null_argument("session");
    QAMA_ASSIGN_OR_RETURN(const auto out, session->logits(logits, count));
    return session->run_texts(texts, count, out, false);
  });
}

// ---- answers ------------------------------------------------------------------------------------

qama_status qama_session_answer_images(qama_session* session, const qama_image* images,
                                       int32_t count, qama_answer* answers) {
  return runtime::guarded([&]() -> Status {
    if (session == nullptr) return null_argument("session");
    return session->answer(count, answers, [&](std::span<float> out) {
      return session->run_images(images, count, out);
    });
  });
}

qama_status qama_session_answer_texts(qama_session* session, const char* const* texts,
                                      int32_t count, qama_answer* answers) {
  return runtime::guarded([&]() -> Status {
    if (session == nullptr) return null_argument("session");
    return session->answer(count, answers, [&](std::span<float> out) {
      return session->run_texts(texts, count, out, true);
    });
  });
}

qama_status qama_session_answer_f32(qama_session* session, const float* input, int32_t count,
                                    qama_answer* answers) {
  return runtime::guarded([&]() -> Status {
    if (session == nullptr) return null_argument("session");
    return session->answer(
        count, answers, [&](std::span<float> out) { return session->run_f32(input, count, out); });
  });
}

qama_status qama_session_answer_encoded(qama_session* session, const void* bytes, size_t size,
                                        qama_answer* answer) {
  return runtime::guarded([&]() -> Status {
    if (session == nullptr) return null_argument("session");
    return session->answer(1, answer, [&](std::span<float> out) -> Status {
      if (bytes == nullptr) return null_argument("bytes");
      QAMA_ASSIGN_OR_RETURN(
          auto sample,
          session->reader->encoded({static_cast<const std::uint8_t*>(bytes), size}, "in memory"));
      return session->run_sample(std::move(sample), out);
    });
  });
}

qama_status qama_session_answer_file(qama_session* session, const char* path, qama_answer* answer) {
  return runtime::guarded([&]() -> Status {
    if (session == nullptr) return null_argument("session");
    return session->answer(1, answer, [&](std::span<float> out) -> Status {
      if (path == nullptr) return null_argument("path");
      QAMA_ASSIGN_OR_RETURN(auto sample, session->reader->read(path));
      return session->run_sample(std::move(sample), out);
    });
  });
}

qama_status qama_session_latency_us(const qama_session* session, int32_t sample,
                                    double* microseconds) {
  return runtime::guarded([&]() -> Status {
    if (session == nullptr) return null_argument("session");
    if (microseconds == nullptr) return null_argument("microseconds");
    const std::int32_t samples = session->session->samples();
    if (sample < 0 || sample >= samples) {
      return Error{ErrorCode::index_out_of_range, "sample " + std::to_string(sample) +
                                                      " of the last run, which has " +
                                                      std::to_string(samples)};
    }
    *microseconds = session->session->latency_us(sample);
    return {};
  });
}

const char* qama_session_solved_by(const qama_session* session, int32_t sample, int32_t layer) {
  if (session == nullptr) return nullptr;
  const auto solves = session->session->solves(sample);
  if (layer < 0 || static_cast<std::size_t>(layer) >= solves.size()) return nullptr;
  return solves[static_cast<std::size_t>(layer)].result.solved_by;
}

}  // extern "C"
