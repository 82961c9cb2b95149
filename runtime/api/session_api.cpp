// The C API's models and sessions; solver_api.cpp has the annealer, api_error.h the edge of the
// ABI.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "runtime/api/api_error.h"
#include "runtime/engine/log.h"
#include "runtime/engine/model.h"
#include "runtime/engine/plan.h"
#include "runtime/engine/preprocess.h"
#include "runtime/engine/session.h"

namespace {

using qama::Error;
using qama::ErrorCode;
using qama::Result;
using qama::Status;
namespace runtime = qama::runtime;

#define QAMA_STRING_(x) #x
#define QAMA_STRING(x) QAMA_STRING_(x)
constexpr const char* kVersion = QAMA_STRING(QAMA_VERSION_MAJOR) "." QAMA_STRING(
    QAMA_VERSION_MINOR) "." QAMA_STRING(QAMA_VERSION_PATCH);

Error null_argument(const char* name) {
  return {ErrorCode::invalid_argument, std::string("'") + name + "' is NULL"};
}

}  // namespace

struct qama_model {
  std::shared_ptr<const runtime::Model> model;
  std::vector<std::string> labels;  // zero-terminated
  // The last plan, so that the query and the sessions that follow it, on one thread or on many,
  // share it.
  std::mutex mutex;
  std::shared_ptr<const runtime::Plan> plan;

  Result<std::shared_ptr<const runtime::Plan>> plan_for(const qama_session_options& options) {
    const runtime::PlanOptions wanted{
        options.max_batch == 0 ? 1 : options.max_batch, options.threads == 0 ? 1 : options.threads,
        options.in_flight == 0 ? 1 : options.in_flight,
        options.device == nullptr || runtime::takes_factors(options.device)};
    const std::scoped_lock lock(mutex);
    if (plan == nullptr || plan->options().max_batch != wanted.max_batch ||
        plan->options().threads != wanted.threads ||
        plan->options().in_flight != wanted.in_flight ||
        plan->options().factors != wanted.factors) {
      plan.reset();
      QAMA_ASSIGN_OR_RETURN(plan, runtime::Plan::create(model, wanted));
    }
    return plan;
  }
};

struct qama_session {
  std::unique_ptr<runtime::Session> session;
  std::uint64_t first_sample = 0;
  // Text models only.
  std::optional<runtime::Tokeniser> tokeniser;
  std::vector<std::int32_t> tokens;
  std::vector<std::int32_t> lengths;

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
  [[nodiscard]] runtime::RunOptions run_options() const noexcept {
    runtime::RunOptions options;
    options.first_sample = first_sample;
    return options;
  }
};

namespace {

Status open_model(Result<std::shared_ptr<const runtime::Model>> opened, qama_model** out) {
  QAMA_ASSIGN_OR_RETURN(auto model, std::move(opened));
  auto handle = std::make_unique<qama_model>();
  for (std::int32_t i = 0; i < model->classes(); ++i) handle->labels.emplace_back(model->label(i));
  handle->model = std::move(model);
  runtime::log(runtime::LogLevel::info, "model opened: %lld parameters, %d classes",
               static_cast<long long>(handle->model->file().parameters()),
               handle->model->classes());
  *out = handle.release();
  return {};
}

/// The caller's options, of whatever version its header was: what it does not know keeps its
/// default.
Result<qama_session_options> read_options(const qama_session_options* given) {
  qama_session_options options;
  qama_session_options_init(&options);
  if (given != nullptr) {
    if (given->struct_size < sizeof given->struct_size) {
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
  if (handle->model().architecture().is_text()) {
    QAMA_ASSIGN_OR_RETURN(handle->tokeniser, runtime::Tokeniser::create(plan->shared_model()));
    const auto batch = static_cast<std::size_t>(plan->options().max_batch);
    handle->tokens.resize(batch *
                          static_cast<std::size_t>(handle->model().architecture().max_tokens));
    handle->lengths.resize(batch);
  }
  runtime::log(runtime::LogLevel::info,
               "session created: %d threads, batches of %d, arena of %zu bytes",
               plan->options().threads, plan->options().max_batch, plan->arena_bytes());
  *out = handle.release();
  return {};
}

}  // namespace

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
    return open_model(runtime::Model::open(path), out);
  });
}

qama_status qama_model_from_memory(const void* data, size_t bytes, qama_model** out) {
  return runtime::guarded([&]() -> Status {
    if (out == nullptr) return null_argument("out");
    *out = nullptr;
    if (data == nullptr) return null_argument("data");
    return open_model(runtime::Model::from_memory({static_cast<const std::byte*>(data), bytes}),
                      out);
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
  return model->labels[static_cast<std::size_t>(class_index)].c_str();
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

void qama_session_set_first_sample(qama_session* session, uint64_t index) {
  if (session != nullptr) session->first_sample = index;
}

qama_status qama_session_classify_u8(qama_session* session, const uint8_t* pixels, int32_t count,
                                     float* logits) {
  return runtime::guarded([&]() -> Status {
    if (session == nullptr) return null_argument("session");
    if (pixels == nullptr) return null_argument("pixels");
    QAMA_ASSIGN_OR_RETURN(const auto out, session->logits(logits, count));
    const std::size_t all = static_cast<std::size_t>(count) * session->model().input_pixels();
    return session->session->run_u8({pixels, all}, count, out, session->run_options());
  });
}

qama_status qama_session_run_f32(qama_session* session, const float* input, int32_t count,
                                 float* logits) {
  return runtime::guarded([&]() -> Status {
    if (session == nullptr) return null_argument("session");
    if (input == nullptr) return null_argument("input");
    QAMA_ASSIGN_OR_RETURN(const auto out, session->logits(logits, count));
    const std::size_t all = static_cast<std::size_t>(count) * session->model().input_floats();
    return session->session->run_f32({input, all}, count, out, session->run_options());
  });
}

qama_status qama_session_classify_text(qama_session* session, const char* const* texts,
                                       int32_t count, float* logits) {
  return runtime::guarded([&]() -> Status {
    if (session == nullptr) return null_argument("session");
    if (texts == nullptr) return null_argument("texts");
    QAMA_ASSIGN_OR_RETURN(const auto out, session->logits(logits, count));
    if (!session->tokeniser.has_value()) {
      return Error{ErrorCode::model_wrong_kind, "text for a model that classifies images"};
    }
    const auto n = static_cast<std::size_t>(session->model().architecture().max_tokens);
    const auto batch = static_cast<std::size_t>(count);
    for (std::size_t i = 0; i < batch; ++i) {
      if (texts[i] == nullptr) return null_argument("texts[i]");
      QAMA_ASSIGN_OR_RETURN(
          session->lengths[i],
          session->tokeniser->encode(texts[i], std::span(session->tokens).subspan(i * n, n)));
    }
    return session->session->run_tokens(std::span(session->tokens).first(batch * n),
                                        std::span(session->lengths).first(batch), out,
                                        session->run_options());
  });
}

qama_status qama_session_latency_us(const qama_session* session, int32_t sample,
                                    double* microseconds) {
  return runtime::guarded([&]() -> Status {
    if (session == nullptr) return null_argument("session");
    if (microseconds == nullptr) return null_argument("microseconds");
    if (sample < 0 || sample >= session->session->plan().options().max_batch) {
      return Error{ErrorCode::index_out_of_range,
                   "sample " + std::to_string(sample) + ", expected 0 to " +
                       std::to_string(session->session->plan().options().max_batch - 1)};
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
