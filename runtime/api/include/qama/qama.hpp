// The C++ face of qama.h: handles that close themselves, spans, and errors as values. Header-only,
// C++20, no exception is thrown by it. What an error means and what a size must be is said in
// qama.h.
#pragma once

#include <qama/qama.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qama::api {

/// Success, or a code with its stable name and a sentence.
class [[nodiscard]] Status {
 public:
  Status() = default;
  /// Takes the sentence of this thread's last failed call along.
  explicit Status(qama_status code) : code_(code) {
    if (code_ != 0) sentence_ = qama_last_error();
  }
  [[nodiscard]] bool ok() const noexcept { return code_ == 0; }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] qama_status code() const noexcept { return code_; }
  [[nodiscard]] const char* name() const noexcept { return qama_status_name(code_); }
  [[nodiscard]] const std::string& sentence() const noexcept { return sentence_; }

 private:
  qama_status code_ = 0;
  std::string sentence_;
};

/// A value, or the Status that says why there is none.
template <typename T>
class [[nodiscard]] Expected {
 public:
  Expected(T value) : value_(std::move(value)) {}
  Expected(Status status) : status_(std::move(status)) {}
  [[nodiscard]] bool ok() const noexcept { return value_.has_value(); }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] const Status& status() const noexcept { return status_; }
  /// Precondition: ok().
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

namespace detail {
/// For C, a zero byte would end a text. As the bytes C0 80, which are no UTF-8, it is refused at
/// its place, as in a file.
[[nodiscard]] inline std::string without_zeros(std::string text) {
  for (std::size_t at = 0; (at = text.find('\0', at)) != std::string::npos; at += 2)
    text.replace(at, 1, "\xC0\x80");
  return text;
}
}  // namespace detail

/// "0.1.0"
[[nodiscard]] inline std::string_view version() {
  return qama_version();
}
/// See qama_set_log.
inline void set_log(qama_log_function function, void* user = nullptr) {
  qama_set_log(function, user);
}

/// Somebody else's pixels; the members are those of the C struct.
struct Image : qama_image {
  Image(const std::uint8_t* data, std::int32_t w, std::int32_t h, std::int32_t c,
        std::size_t row = 0) noexcept
      : qama_image{sizeof(qama_image), w, h, c, row, data} {}
};
static_assert(sizeof(Image) == sizeof(qama_image));

/// As qama_answer. What it views is valid until the session's next run or its end.
struct Answer {
  std::int32_t class_index = -1;
  std::string_view label;
  double probability = 0;
  double latency_us = 0;
  std::string_view solved_by;
  std::string_view fallback;  ///< empty: none
  std::span<const float> logits;
  std::span<const qama_guess> top;
  std::span<const qama_layer_solve> solves;
  std::int64_t words = 0;  ///< of a text, here and below
  std::int32_t unknown_words = 0;
  bool truncated = false;
  bool blank = false;  ///< of a picture, here and below
  bool inverted = false;

  Answer() = default;
  explicit Answer(const qama_answer& c)
      : class_index(c.class_index),
        label(view(c.label)),
        probability(c.probability),
        latency_us(c.latency_us),
        solved_by(view(c.solved_by)),
        fallback(view(c.fallback)),
        logits(c.logits, static_cast<std::size_t>(c.classes)),
        top(c.top, static_cast<std::size_t>(c.classes)),
        solves(c.solves, static_cast<std::size_t>(c.layers)),
        words(c.words),
        unknown_words(c.unknown_words),
        truncated(c.truncated != 0),
        blank(c.blank != 0),
        inverted(c.inverted != 0) {}

 private:
  static std::string_view view(const char* text) { return text == nullptr ? "" : text; }
};

/// A session's options with their defaults; the members are those of the C struct.
struct SessionOptions : qama_session_options {
  SessionOptions() : qama_session_options() { qama_session_options_init(this); }
};

class Session {
 public:
  /// Pixels: count x height x width x channels bytes. Logits: count x classes.
  Status classify(const std::uint8_t* pixels, std::int32_t count, float* logits) {
    return Status(qama_session_classify_u8(handle_.get(), pixels, count, logits));
  }
  /// Normalised values: count x channels x height x width.
  Status run(const float* input, std::int32_t count, float* logits) {
    return Status(qama_session_run_f32(handle_.get(), input, count, logits));
  }
  Status classify(std::span<const char* const> texts, float* logits) {
    return Status(qama_session_classify_text(handle_.get(), texts.data(),
                                             static_cast<std::int32_t>(texts.size()), logits));
  }

  /// A batch of images or of texts, one answer each; an error if one of them fails.
  [[nodiscard]] Expected<std::vector<Answer>> answer_images(std::span<const Image> images) {
    return answers(static_cast<std::int32_t>(images.size()), [&](auto count, auto* out) {
      return qama_session_answer_images(handle_.get(), images.data(), count, out);
    });
  }
  [[nodiscard]] Expected<std::vector<Answer>> answer_texts(std::span<const char* const> texts) {
    return answers(static_cast<std::int32_t>(texts.size()), [&](auto count, auto* out) {
      return qama_session_answer_texts(handle_.get(), texts.data(), count, out);
    });
  }
  /// Normalised values: count x channels x height x width.
  [[nodiscard]] Expected<std::vector<Answer>> answer_f32(const float* input, std::int32_t count) {
    return answers(count, [&](auto n, auto* out) {
      return qama_session_answer_f32(handle_.get(), input, n, out);
    });
  }
  /// One sample.
  [[nodiscard]] Expected<Answer> answer_image(const Image& image) {
    return answer(
        [&](auto* out) { return qama_session_answer_images(handle_.get(), &image, 1, out); });
  }
  [[nodiscard]] Expected<Answer> answer_text(const std::string& text) {
    const std::string whole = detail::without_zeros(text);
    const char* words = whole.c_str();
    return answer(
        [&](auto* out) { return qama_session_answer_texts(handle_.get(), &words, 1, out); });
  }
  /// The bytes of a PNG, JPEG, PNM, BMP, GIF or WebP file.
  [[nodiscard]] Expected<Answer> answer_encoded(std::span<const std::byte> bytes) {
    return answer([&](auto* out) {
      return qama_session_answer_encoded(handle_.get(), bytes.data(), bytes.size(), out);
    });
  }
  [[nodiscard]] Expected<Answer> answer_file(const std::string& path) {
    return answer([&](auto* out) {
      return qama_session_answer_file(handle_.get(), detail::without_zeros(path).c_str(), out);
    });
  }

  /// See qama_session_set_pictures. `options.struct_size` is set here.
  Status set_pictures(qama_picture_options options) {
    options.struct_size = sizeof options;
    return Status(qama_session_set_pictures(handle_.get(), &options));
  }
  /// What the model saw of a picture of the last answers, or null.
  [[nodiscard]] const std::uint8_t* pixels(std::int32_t sample = 0) const noexcept {
    return qama_session_pixels(handle_.get(), sample);
  }
  void set_first_sample(std::uint64_t first) {
    qama_session_set_first_sample(handle_.get(), first);
  }
  [[nodiscard]] double latency_us(std::int32_t sample) const {
    double out = 0;
    return qama_session_latency_us(handle_.get(), sample, &out) == 0 ? out : 0;
  }
  /// Who solved a layer in the last run; empty if there is no such layer.
  [[nodiscard]] std::string_view solved_by(std::int32_t sample, std::int32_t layer) const {
    const char* name = qama_session_solved_by(handle_.get(), sample, layer);
    return name == nullptr ? std::string_view() : std::string_view(name);
  }
  /// What a layer did for a sample of the last run, with options.explain. See qama_session_layer.
  [[nodiscard]] Expected<qama_layer> layer(std::int32_t sample, std::int32_t layer) const {
    qama_layer out{};
    out.struct_size = sizeof out;
    if (const qama_status code = qama_session_layer(handle_.get(), sample, layer, &out)) {
      return Status(code);
    }
    return out;
  }
  /// The word of a token of a text of the last run, with options.explain; empty if there is none.
  [[nodiscard]] std::string_view word(std::int32_t sample, std::int32_t token) const {
    const char* text = qama_session_word(handle_.get(), sample, token);
    return text == nullptr ? std::string_view() : std::string_view(text);
  }
  [[nodiscard]] qama_session* get() const noexcept { return handle_.get(); }

 private:
  template <typename Run>
  Expected<Answer> answer(Run&& run) {
    qama_answer out{};
    out.struct_size = sizeof out;
    if (const qama_status code = run(&out)) return Status(code);
    return Answer(out);
  }
  template <typename Run>
  Expected<std::vector<Answer>> answers(std::int32_t count, Run&& run) {
    std::vector<qama_answer> out(static_cast<std::size_t>(count > 1 ? count : 1));
    out[0].struct_size = sizeof out[0];
    if (const qama_status code = run(count, out.data())) return Status(code);
    return std::vector<Answer>(out.begin(), out.end());
  }

  friend class Model;
  struct Destroy {
    void operator()(qama_session* session) const noexcept { qama_session_destroy(session); }
  };
  explicit Session(qama_session* handle) : handle_(handle) {}
  std::unique_ptr<qama_session, Destroy> handle_;
};

/// Immutable; threads may share one.
class Model {
 public:
  [[nodiscard]] static Expected<Model> open(const std::string& path) {
    qama_model* handle = nullptr;
    if (const qama_status code = qama_model_open(detail::without_zeros(path).c_str(), &handle)) {
      return Status(code);
    }
    return Model(handle);
  }
  /// What it does not set is 0: struct_size is filled in here.
  [[nodiscard]] static Expected<Model> open(const std::string& path, qama_model_options options) {
    options.struct_size = sizeof options;
    qama_model* handle = nullptr;
    if (const qama_status code =
            qama_model_open_with(detail::without_zeros(path).c_str(), &options, &handle)) {
      return Status(code);
    }
    return Model(handle);
  }
  /// `bytes` must outlive the model and its sessions.
  [[nodiscard]] static Expected<Model> from_memory(std::span<const std::byte> bytes) {
    qama_model* handle = nullptr;
    if (const qama_status code = qama_model_from_memory(bytes.data(), bytes.size(), &handle)) {
      return Status(code);
    }
    return Model(handle);
  }

  [[nodiscard]] std::int32_t classes() const noexcept { return qama_model_classes(handle_.get()); }
  /// Empty for an index that is no class.
  [[nodiscard]] std::string_view label(std::int32_t index) const noexcept {
    const char* label = qama_model_label(handle_.get(), index);
    return label == nullptr ? std::string_view() : std::string_view(label);
  }
  [[nodiscard]] std::int32_t height() const noexcept {
    return qama_model_image_height(handle_.get());
  }
  [[nodiscard]] std::int32_t width() const noexcept {
    return qama_model_image_width(handle_.get());
  }
  [[nodiscard]] std::int32_t channels() const noexcept {
    return qama_model_image_channels(handle_.get());
  }

  /// Of a text model or one of features; 0 for image models.
  [[nodiscard]] std::int32_t max_tokens() const noexcept {
    return qama_model_max_tokens(handle_.get());
  }
  /// Numbers of a token of features; 0 for other models.
  [[nodiscard]] std::int32_t feature_width() const noexcept {
    return qama_model_feature_width(handle_.get());
  }

  /// What an image model sees of an image file: height x width x channels bytes.
  [[nodiscard]] Expected<std::vector<std::uint8_t>> fit_encoded(
      std::span<const std::byte> bytes) const {
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(height()) *
                                     static_cast<std::size_t>(width()) *
                                     static_cast<std::size_t>(channels()));
    if (const qama_status code =
            qama_model_fit_encoded(handle_.get(), bytes.data(), bytes.size(), pixels.data())) {
      return Status(code);
    }
    return pixels;
  }

  [[nodiscard]] Expected<std::size_t> arena_bytes(const SessionOptions& options = {}) const {
    std::size_t bytes = 0;
    if (const qama_status code = qama_session_arena_bytes(handle_.get(), &options, &bytes)) {
      return Status(code);
    }
    return bytes;
  }
  [[nodiscard]] Expected<Session> session(const SessionOptions& options = {}) const {
    qama_session* session = nullptr;
    if (const qama_status code = qama_session_create(handle_.get(), &options, &session)) {
      return Status(code);
    }
    return Session(session);
  }
  [[nodiscard]] qama_model* get() const noexcept { return handle_.get(); }

 private:
  struct Close {
    void operator()(qama_model* model) const noexcept { qama_model_close(model); }
  };
  explicit Model(qama_model* handle) : handle_(handle) {}
  std::unique_ptr<qama_model, Close> handle_;
};

/// A problem to solve; threads may share one. The factories are those of qama.h.
class Problem {
 public:
  struct Options : qama_solve_options {
    Options() : qama_solve_options() { qama_solve_options_init(this); }
  };
  struct Solution : qama_solution {
    Solution() : qama_solution() { struct_size = sizeof(qama_solution); }
    std::vector<std::uint8_t> answer;  ///< 0 or 1 for every variable
  };
  /// The best different answers, the best first.
  struct Answers {
    std::vector<std::uint8_t> answers;  ///< [values.size()][variables()]
    std::vector<double> values;
    std::vector<std::int64_t> counts;  ///< reads that ended there
    Solution solution;                 ///< its answer is the first of them
  };
  struct SampleOptions : qama_sample_options {
    SampleOptions() : qama_sample_options() { qama_sample_options_init(this); }
  };
  struct Samples {
    std::vector<std::uint8_t> answers;  ///< [count][variables()]
    std::vector<double> values;         ///< [count]
  };

  [[nodiscard]] static Expected<Problem> open(const std::string& path,
                                              const char* format = nullptr) {
    return make([&](auto** out) {
      return qama_problem_open(detail::without_zeros(path).c_str(), format, out);
    });
  }
  [[nodiscard]] static Expected<Problem> from_text(std::string_view text,
                                                   const char* format = nullptr) {
    return make(
        [&](auto** out) { return qama_problem_from_text(text.data(), text.size(), format, out); });
  }
  /// What `options` does not set is 0: struct_size is filled in here.
  [[nodiscard]] static Expected<Problem> open(const std::string& path,
                                              qama_problem_options options) {
    options.struct_size = sizeof options;
    return make([&](auto** out) { return qama_problem_open_with(path.c_str(), &options, out); });
  }
  [[nodiscard]] static Expected<Problem> from_text(std::string_view text,
                                                   qama_problem_options options) {
    options.struct_size = sizeof options;
    return make([&](auto** out) {
      return qama_problem_from_text_with(text.data(), text.size(), &options, out);
    });
  }
  /// Empty weights: all 1. Preconditions here and below: arrays of one size have one size.
  [[nodiscard]] static Expected<Problem> from_graph(std::int32_t vertices,
                                                    std::span<const std::int32_t> first,
                                                    std::span<const std::int32_t> second,
                                                    std::span<const double> weights = {}) {
    return make([&](auto** out) {
      return qama_problem_from_graph(vertices, static_cast<std::int64_t>(first.size()),
                                     first.data(), second.data(),
                                     weights.empty() ? nullptr : weights.data(), out);
    });
  }
  [[nodiscard]] static Expected<Problem> from_terms(std::int32_t variables,
                                                    std::span<const std::int32_t> rows,
                                                    std::span<const std::int32_t> columns,
                                                    std::span<const double> weights,
                                                    double offset = 0) {
    return make([&](auto** out) {
      return qama_problem_from_terms(variables, static_cast<std::int64_t>(rows.size()), rows.data(),
                                     columns.data(), weights.data(), offset, out);
    });
  }
  /// starts: one more than variables.
  [[nodiscard]] static Expected<Problem> from_rows(std::span<const std::int64_t> starts,
                                                   std::span<const std::int32_t> columns,
                                                   std::span<const double> weights,
                                                   double offset = 0) {
    return make([&](auto** out) {
      return qama_problem_from_rows(static_cast<std::int32_t>(starts.size()) - 1, starts.data(),
                                    columns.data(), weights.data(), offset, out);
    });
  }
  [[nodiscard]] static Expected<Problem> from_matrix(std::int32_t variables, const double* matrix,
                                                     double offset = 0) {
    return make(
        [&](auto** out) { return qama_problem_from_matrix(variables, matrix, offset, out); });
  }
  [[nodiscard]] static Expected<Problem> from_factors(std::int32_t heads, std::int32_t tokens,
                                                      std::int32_t rank, const double* factors,
                                                      const double* signs, const double* fields,
                                                      double rho, double lambda) {
    return make([&](auto** out) {
      return qama_problem_from_factors(heads, tokens, rank, factors, signs, fields, rho, lambda,
                                       out);
    });
  }

  [[nodiscard]] std::int64_t variables() const noexcept {
    return qama_problem_variables(handle_.get());
  }
  /// Whether the larger value is the better one.
  [[nodiscard]] bool maximises() const noexcept {
    return qama_problem_maximises(handle_.get()) != 0;
  }
  /// What an answer of variables() bytes is worth.
  [[nodiscard]] Expected<double> value(const std::uint8_t* answer) const {
    double out = 0;
    if (const qama_status code = qama_problem_value(handle_.get(), answer, &out)) {
      return Status(code);
    }
    return out;
  }
  [[nodiscard]] Expected<Solution> solve(const Options& options = {}) const {
    Solution out;
    out.answer.resize(static_cast<std::size_t>(variables()));
    if (const qama_status code =
            qama_problem_solve(handle_.get(), &options, out.answer.data(), &out)) {
      return Status(code);
    }
    return out;
  }
  /// The `most` best different answers (qama_problem_solve_many).
  [[nodiscard]] Expected<Answers> solve_many(std::int64_t most, const Options& options = {}) const {
    Answers out;
    const std::int64_t size = variables();
    // The library refuses other numbers before it looks at where the answers go.
    if (most > 0 && most <= (std::int64_t{1} << 40) / std::max<std::int64_t>(size, 1)) {
      out.answers.resize(static_cast<std::size_t>(most * size));
      out.values.resize(static_cast<std::size_t>(most));
      out.counts.resize(static_cast<std::size_t>(most));
    }
    std::int64_t found = 0;
    if (const qama_status code =
            qama_problem_solve_many(handle_.get(), &options, most, out.answers.data(),
                                    out.values.data(), out.counts.data(), &found, &out.solution)) {
      return Status(code);
    }
    out.answers.resize(static_cast<std::size_t>(found * size));
    out.values.resize(static_cast<std::size_t>(found));
    out.counts.resize(static_cast<std::size_t>(found));
    out.solution.answer.assign(out.answers.begin(), out.answers.begin() + size);
    return out;
  }
  [[nodiscard]] Expected<Samples> sample(std::int64_t count,
                                         const SampleOptions& options = {}) const {
    Samples out;
    // The library refuses other counts before it looks at where the answers go.
    const std::int64_t most = (std::int64_t{1} << 40) / std::max<std::int64_t>(variables(), 1);
    if (count > 0 && count <= most) {
      out.answers.resize(static_cast<std::size_t>(count * variables()));
      out.values.resize(static_cast<std::size_t>(count));
    }
    if (const qama_status code = qama_problem_sample(handle_.get(), &options, count,
                                                     out.answers.data(), out.values.data())) {
      return Status(code);
    }
    return out;
  }
  [[nodiscard]] const qama_problem* get() const noexcept { return handle_.get(); }

 private:
  struct Close {
    void operator()(qama_problem* problem) const noexcept { qama_problem_close(problem); }
  };
  template <typename Make>
  static Expected<Problem> make(Make&& make_handle) {
    qama_problem* handle = nullptr;
    if (const qama_status code = make_handle(&handle)) return Status(code);
    return Problem(handle);
  }
  explicit Problem(qama_problem* handle) : handle_(handle) {}
  std::unique_ptr<qama_problem, Close> handle_;
};

/// The annealer alone, for layers given in real numbers.
class Solver {
 public:
  struct Options : qama_solver_options {
    Options() : qama_solver_options() { qama_solver_options_init(this); }
  };
  [[nodiscard]] static Expected<Solver> create(std::int32_t heads, std::int32_t tokens,
                                               const Options& options = {},
                                               const char* uri = nullptr) {
    qama_solver* handle = nullptr;
    if (const qama_status code = qama_solver_create(uri, heads, tokens, &options, &handle)) {
      return Status(code);
    }
    return Solver(handle);
  }
  /// See qama_solver_solve_f32.
  Status solve(std::int32_t batch, const float* couplings, const float* fields, float lambda,
               std::uint64_t seed, std::uint8_t* spins, double* energies = nullptr,
               const std::int32_t* counts = nullptr) {
    return Status(qama_solver_solve_f32(handle_.get(), batch, couplings, fields, lambda, counts,
                                        seed, spins, energies));
  }
  /// See qama_solver_solve_factors_f32.
  Status solve_factors(std::int32_t batch, std::int32_t rank, const float* factors,
                       const float* signs, const float* fields, float lambda, std::uint64_t seed,
                       std::uint8_t* spins, double* energies = nullptr,
                       const std::int32_t* counts = nullptr) {
    return Status(qama_solver_solve_factors_f32(handle_.get(), batch, rank, factors, signs, fields,
                                                lambda, counts, seed, spins, energies));
  }

 private:
  struct Destroy {
    void operator()(qama_solver* solver) const noexcept { qama_solver_destroy(solver); }
  };
  explicit Solver(qama_solver* handle) : handle_(handle) {}
  std::unique_ptr<qama_solver, Destroy> handle_;
};

}  // namespace qama::api
