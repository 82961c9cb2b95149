// What index.mjs calls beside functions of the C API that it calls as they are (CMakeLists.txt
// lists both): those that take structs, with the fields as arguments, and results as an array of
// doubles. A status is the C API's.
#include <qama/qama.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <new>

#define QAMA_EXPORT(NAME) extern "C" __attribute__((export_name(#NAME), used))

namespace {

/// Given by index.mjs. The end of memory: it throws there, and the module is not used again.
extern "C" __attribute__((import_module("qama"), import_name("no_memory"))) void no_memory();
/// 1: the search ends.
extern "C" __attribute__((import_module("qama"), import_name("progress"))) std::int32_t progress(
    double value, double elapsed_ms, const std::uint8_t* answer);

std::int32_t on_progress(void* /*context*/, const qama_progress* now) {
  return now->answer == nullptr ? 0 : progress(now->value, now->elapsed_ms, now->answer);
}

qama_session_options options_of(const char* device, std::uint64_t seed, std::int32_t explain) {
  qama_session_options options;
  qama_session_options_init(&options);
  options.device = device;
  options.seed = seed;
  options.explain = explain;
  return options;
}

/// `out`: label, microseconds, layers, words, 1 if a picture is blank, 1 if it was inverted,
/// unknown words, 1 if a text was truncated.
qama_status give(qama_status status, const qama_answer& answer, double* out, float* probabilities) {
  const double found[] = {
      static_cast<double>(answer.class_index),   answer.latency_us,
      static_cast<double>(answer.layers),        static_cast<double>(answer.words),
      static_cast<double>(answer.blank),         static_cast<double>(answer.inverted),
      static_cast<double>(answer.unknown_words), static_cast<double>(answer.truncated)};
  std::copy(std::begin(found), std::end(found), out);
  for (std::int32_t k = 0; status == 0 && k < answer.classes; ++k)
    probabilities[answer.top[k].class_index] = static_cast<float>(answer.top[k].probability);
  return status;
}

}  // namespace

QAMA_EXPORT(start) void start() {
  std::set_new_handler(no_memory);
}

QAMA_EXPORT(session_create)
qama_status session_create(const qama_model* model, const char* device, std::uint64_t seed,
                           std::int32_t explain, qama_session** out) {
  const qama_session_options options = options_of(device, seed, explain);
  return qama_session_create(model, &options, out);
}

QAMA_EXPORT(session_arena_bytes)
qama_status session_arena_bytes(const qama_model* model, const char* device, std::size_t* out) {
  const qama_session_options options = options_of(device, 0, 0);
  return qama_session_arena_bytes(model, &options, out);
}

/// `fit`, `invert`: as qama_picture_options.
QAMA_EXPORT(answer_image)
qama_status answer_image(qama_session* session, const std::uint8_t* pixels, std::int32_t width,
                         std::int32_t height, std::int32_t channels, std::int32_t fit,
                         std::int32_t invert, double* out, float* probabilities) {
  const qama_picture_options pictures{sizeof pictures, fit, invert, 0};
  if (const qama_status status = qama_session_set_pictures(session, &pictures)) return status;
  const qama_image image{sizeof image, width, height, channels, 0, pixels};
  qama_answer answer{};
  answer.struct_size = sizeof answer;
  const qama_status status = qama_session_answer_images(session, &image, 1, &answer);
  return give(status, answer, out, probabilities);
}

QAMA_EXPORT(answer_text)
qama_status answer_text(qama_session* session, const char* text, double* out,
                        float* probabilities) {
  qama_answer answer{};
  answer.struct_size = sizeof answer;
  const qama_status status = qama_session_answer_texts(session, &text, 1, &answer);
  return give(status, answer, out, probabilities);
}

QAMA_EXPORT(answer_f32)
qama_status answer_f32(qama_session* session, const float* input, double* out,
                       float* probabilities) {
  qama_answer answer{};
  answer.struct_size = sizeof answer;
  const qama_status status = qama_session_answer_f32(session, input, 1, &answer);
  return give(status, answer, out, probabilities);
}

/// `out`: block, heads, tokens, bits, energy, the same without the penalty, and the addresses of
/// selected, energies and flip costs.
QAMA_EXPORT(session_layer)
qama_status session_layer(const qama_session* session, std::int32_t number, double* out) {
  qama_layer layer{};
  layer.struct_size = sizeof layer;
  const qama_status status = qama_session_layer(session, 0, number, &layer);
  const auto address = [](const void* of) {
    return static_cast<double>(reinterpret_cast<std::uintptr_t>(of));
  };
  const double found[] = {static_cast<double>(layer.block),
                          static_cast<double>(layer.heads),
                          static_cast<double>(layer.tokens),
                          static_cast<double>(layer.bits),
                          layer.energy,
                          layer.pure_energy,
                          address(layer.selected),
                          address(layer.energies),
                          address(layer.flip_costs)};
  std::copy(std::begin(found), std::end(found), out);
  return status;
}

/// `target`: NaN for none. `out`: value, seconds, 1 if it is proven, 1 if it was stopped.
QAMA_EXPORT(solve)
qama_status solve(const qama_problem* problem, std::uint64_t seed, std::int32_t sweeps,
                  double time_limit_ms, double target, const std::uint8_t* initial,
                  std::int32_t initial_count, std::int32_t told, std::uint8_t* answer,
                  double* out) {
  qama_solve_options options;
  qama_solve_options_init(&options);
  options.seed = seed;
  options.sweeps = sweeps;
  options.time_limit_ms = time_limit_ms;
  options.target = target;
  options.initial = initial;
  options.initial_count = initial_count;
  if (told != 0) options.progress = on_progress;
  qama_solution solution{};
  solution.struct_size = sizeof solution;
  const qama_status status = qama_problem_solve(problem, &options, answer, &solution);
  const double found[] = {solution.value, solution.solve_us / 1e6,
                          static_cast<double>(solution.optimal),
                          static_cast<double>(solution.stopped)};
  std::copy(std::begin(found), std::end(found), out);
  return status;
}
