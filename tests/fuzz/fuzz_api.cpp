// Fuzz target: calls of the C API in any order, with any arguments. The input is a program: a byte
// for the call, then its arguments; where a number is asked for, one in eight is an extreme one.
// Handles are few, and may be NULL. Pointers are always good for what their call says it reads;
// sizes of work (sweeps, restarts, variables) are small, as a large one is a long wait and no
// fault. A call fails with a code that has a name and a sentence; what classified a sample once
// gives the same logits again.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "hal/base/aligned.h"
#include "qama/qama.h"
#include "tests/fuzz/fuzz_bytes.h"
#include "weights/model_writer.h"

namespace {

using namespace qama;

[[noreturn]] void fail(int line) {
  std::fprintf(stderr, "fuzz_api: line %d, after: %s\n", line, qama_last_error());
  std::abort();
}

constexpr int kMostCalls = 24;
constexpr std::int32_t kMostSamples = 4, kSide = 4, kClasses = 3;
constexpr std::size_t kPixels = kSide * kSide;
constexpr std::int32_t kMostVariables = 12;

weights::Architecture architecture_of(int which) {
  weights::Architecture a;
  a.dim = 8;
  a.depth = 1;
  a.heads = 2;
  a.dim_head = 4;
  a.mlp = 8;
  a.classes = kClasses;
  if (which >= 2) {
    a.kind =
        which == 2 ? weights::ModelKind::text_transformer : weights::ModelKind::feature_transformer;
    a.max_tokens = which == 2 ? 6 : 4;
    a.vocabulary = which == 2 ? 40 : 0;
    a.embedding = which == 2 ? 8 : 4;  // of features: kPixels numbers a sample, as an image
  } else {
    a.image_height = a.image_width = kSide;
    a.image_channels = 1;
    a.patch = 2;
  }
  a.attention.kind = which == 1 ? weights::AttentionKind::softmax : weights::AttentionKind::qama;
  if (which == 0) a.attention.normalisation = weights::Normalisation::batch;
  return a;
}

/// Two models of images, one of texts and one of features, for all inputs.
struct Models {
  Models() {
    for (int i = 0; i < 4; ++i) {
      bytes[i] = weights::random_model(architecture_of(i), 1).value().serialise().value();
      if (qama_model_from_memory(bytes[i].data(), bytes[i].size(), &model[i]) != 0) fail(__LINE__);
    }
  }
  std::array<std::vector<std::byte>, 4> bytes;
  std::array<qama_model*, 4> model{};
};

const Models& models() {
  static const Models* const out = new Models;  // stays: sessions may outlive main()'s statics
  return *out;
}

class Calls {
 public:
  explicit Calls(std::span<const std::uint8_t> data) : in_(data) {}
  ~Calls() {
    for (auto* session : sessions_) qama_session_destroy(session);
    for (auto* problem : problems_) qama_problem_close(problem);
    qama_solver_destroy(solver_);
  }
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;

  void run() {
    const int calls = 1 + static_cast<int>(in_.byte() % kMostCalls);
    for (int i = 0; i < calls; ++i) call();
  }

 private:
  void check(qama_status status) {
    const char* const name = qama_status_name(status);
    if (name == nullptr || name[0] == '\0') fail(__LINE__);
    if (status != 0 && qama_last_error()[0] == '\0') fail(__LINE__);
    if (std::strcmp(name, "INTERNAL") == 0) fail(__LINE__);
  }

  // ---- arguments ----

  std::int32_t number(std::int32_t most) {
    constexpr std::int32_t kExtreme[] = {std::numeric_limits<std::int32_t>::min(), -2, -1, 0};
    const std::uint32_t b = in_.byte();
    if (b >= 224) return kExtreme[b % std::size(kExtreme)];
    return static_cast<std::int32_t>(b) % (most + 1);
  }
  /// One that is only an index or a time, so that large ones cost nothing.
  std::int64_t any_number() {
    constexpr std::int64_t kExtreme[] = {std::numeric_limits<std::int64_t>::min(),
                                         std::numeric_limits<std::int32_t>::min(),
                                         -1,
                                         0,
                                         1,
                                         std::numeric_limits<std::int32_t>::max(),
                                         std::int64_t{1} << 40,
                                         std::numeric_limits<std::int64_t>::max()};
    return kExtreme[in_.byte() % std::size(kExtreme)];
  }
  std::int32_t any_index() { return static_cast<std::int32_t>(any_number()); }
  double real() {
    constexpr double kExtreme[] = {0.0,
                                   -1.0,
                                   1e300,
                                   -1e300,
                                   1e-320,
                                   std::numeric_limits<double>::infinity(),
                                   -std::numeric_limits<double>::infinity(),
                                   std::numeric_limits<double>::quiet_NaN()};
    const std::uint32_t b = in_.byte();
    if (b >= 240) return kExtreme[b % std::size(kExtreme)];
    return (static_cast<double>(b) - 120.0) / 16.0;
  }
  template <typename T>
  std::vector<T> reals(std::size_t count) {
    std::vector<T> out(count);
    for (T& value : out) value = static_cast<T>(real());
    return out;
  }
  std::vector<std::uint8_t> bytes(std::size_t count) {
    std::vector<std::uint8_t> out(count);
    for (auto& value : out) value = static_cast<std::uint8_t>(in_.byte());
    return out;
  }
  std::string text() {
    std::string out;
    for (std::uint32_t left = in_.byte() % 24; left > 0; --left) {
      const char c = static_cast<char>(in_.byte());
      out += c == '\0' ? ' ' : c;
    }
    return out;
  }
  std::uint32_t struct_size(std::size_t right) {
    const std::uint32_t b = in_.byte();
    return b < 240 ? static_cast<std::uint32_t>(right) : static_cast<std::uint32_t>(any_number());
  }
  /// Of a struct that the library writes, or of an array's: a larger one has its room, as the twice
  /// as many elements that follow are.
  std::uint32_t room_size(std::size_t right) {
    const std::size_t sizes[] = {0, 8, right - 8, right + 8, 2 * right};
    const std::uint32_t b = in_.byte();
    return static_cast<std::uint32_t>(b < 240 ? right : sizes[b % std::size(sizes)]);
  }
  const char* device() {
    constexpr const char* kDevices[] = {
        nullptr, "cpu:", "cpu:scalar", "exact:", "", "cpu:none", "\xFF"};
    return kDevices[in_.byte() % std::size(kDevices)];
  }
  const qama_model* model() {
    const std::uint32_t b = in_.byte() % 16;
    return b == 15 ? nullptr : models().model[b % 4];
  }
  qama_session*& session() { return sessions_[in_.byte() % sessions_.size()]; }
  qama_problem*& problem() { return problems_[in_.byte() % problems_.size()]; }

  // ---- calls ----

  void call() {
    switch (in_.byte() % 14) {
      case 0:
        return create_session();
      case 1:
        return classify();
      case 2:
        return run_floats();
      case 3:
        return answer_texts();
      case 4:
        return answer_images();
      case 5:
        return answer_encoded();
      case 6:
        return look_at_session();
      case 7:
        return look_at_model();
      case 8:
        return make_problem();
      case 9:
        return make_layer();
      case 10:
        return solve_problem();
      case 11:
        return make_solver();
      case 12:
        return solve();
      default:
        return forget();
    }
  }

  void create_session() {
    qama_session_options o;
    qama_session_options_init(&o);
    o.max_batch = number(kMostSamples);
    o.threads = number(2);
    o.seed = in_.byte();
    o.device = device();
    constexpr const char* kFallbacks[] = {nullptr, "never", "error", "deadline", "hedge", "else"};
    o.fallback = kFallbacks[in_.byte() % std::size(kFallbacks)];
    if (in_.byte() % 4 == 0) o.deadline_us = any_number();
    o.sweeps = number(3);
    o.restarts = number(3);
    o.rounds = number(1);
    o.round_sweeps = number(2);
    o.in_flight = number(3);
    o.struct_size = struct_size(sizeof o);
    const qama_model* const of = model();
    std::size_t arena = 0;
    const bool sized = qama_session_arena_bytes(of, &o, &arena) == 0;
    const std::size_t which = in_.byte() % sessions_.size();
    qama_session_destroy(sessions_[which]);
    sessions_[which] = nullptr;
    const std::uint32_t kind = in_.byte() % 8;
    if (sized && kind < 3) {
      // The caller's arena: enough, a byte too few, not aligned.
      arenas_[which] = AlignedBuffer<std::uint8_t>(arena + 64);
      o.arena = arenas_[which].data() + (kind == 2 ? 1 : 0);
      o.arena_bytes = arena - (kind == 1 ? 1 : 0);
    }
    const qama_status made = qama_session_create(of, &o, &sessions_[which]);
    check(made);
    if ((made == 0) != (sessions_[which] != nullptr)) fail(__LINE__);
    if (made == 0 && sized && (kind == 1 || kind == 2)) fail(__LINE__);
    text_[which] = of == models().model[2];
    features_[which] = of == models().model[3];
    timed_[which] = o.deadline_us != 0;
    most_[which] = std::max(o.max_batch, 1);
  }

  /// A session's samples, twice.
  void classify() {
    const std::size_t which = in_.byte() % sessions_.size();
    qama_session* const s = sessions_[which];
    const std::int32_t count = number(kMostSamples + 1);
    std::array<float, (kMostSamples + 1) * kClasses> first{}, second{};
    std::vector<std::string> texts(kMostSamples + 1);
    for (std::string& t : texts) t = text();
    std::vector<const char*> pointers;
    for (const std::string& t : texts) pointers.push_back(t.c_str());
    const auto pixels = bytes((kMostSamples + 1) * kPixels);
    const bool as_text = in_.byte() % 8 == 0 ? !text_[which] : text_[which];
    const auto once = [&](float* logits) {
      qama_session_set_first_sample(s, 5);
      return as_text ? qama_session_classify_text(s, pointers.data(), count, logits)
                     : qama_session_classify_u8(s, pixels.data(), count, logits);
    };
    const qama_status status = once(first.data());
    check(status);
    if (status != 0) return;
    if (count > most_[which] || as_text != text_[which] || features_[which]) fail(__LINE__);
    if (once(second.data()) != 0) fail(__LINE__);
    if (!timed_[which] && std::memcmp(first.data(), second.data(), sizeof first) != 0)
      fail(__LINE__);
  }

  void run_floats() {
    const auto values = reals<float>((kMostSamples + 1) * kPixels);
    std::array<float, (kMostSamples + 1) * kClasses> logits{};
    std::array<qama_answer, 2 * (kMostSamples + 1)> answers{};
    answers[0].struct_size = room_size(sizeof(qama_answer));
    qama_session* const s = session();
    const std::int32_t count = number(kMostSamples + 1);
    check(in_.byte() % 2 == 0 ? qama_session_run_f32(s, values.data(), count, logits.data())
                              : qama_session_answer_f32(s, values.data(), count, answers.data()));
  }

  void check_answer(const qama_answer& a) {
    if (a.struct_size != sizeof a) return;  // of another version: not all of it was written
    if (a.class_index < -1 || a.class_index >= kClasses || a.solved_by == nullptr) fail(__LINE__);
    if (a.class_index >= 0 && (a.classes != kClasses || a.logits == nullptr || a.top == nullptr))
      fail(__LINE__);
  }

  void answer_texts() {
    std::vector<std::string> texts(kMostSamples + 1);
    for (std::string& t : texts) t = text();
    std::vector<const char*> pointers;
    for (const std::string& t : texts) pointers.push_back(t.c_str());
    std::array<qama_answer, 2 * (kMostSamples + 1)> answers{};
    answers[0].struct_size = room_size(sizeof(qama_answer));
    qama_session* const of = session();
    const qama_status status =
        qama_session_answer_texts(of, pointers.data(), number(kMostSamples + 1), answers.data());
    check(status);
    if (status == 0) check_answer(answers[0]);
  }

  void answer_images() {
    std::array<qama_image, 2 * (kMostSamples + 1)> images{};
    std::array<std::vector<std::uint8_t>, 2 * (kMostSamples + 1)> pixels;
    for (std::size_t i = 0; i < images.size(); ++i) {
      qama_image& image = images[i];
      image.struct_size = i == 0 ? room_size(sizeof image) : sizeof image;
      image.width = number(12);
      image.height = number(12);
      image.channels = number(5);
      const auto positive = [](std::int32_t n) { return static_cast<std::size_t>(std::max(n, 0)); };
      const std::size_t row = positive(image.width) * positive(image.channels);
      const std::uint32_t gap = in_.byte() % 8;
      image.row_bytes = gap < 2 ? gap * (row / 2) : row + gap - 2;  // 1: too few
      pixels[i] =
          bytes(std::min<std::size_t>(std::max(row, row + gap) * positive(image.height), 2000));
      pixels[i].resize(std::max(row, row + gap) * positive(image.height));
      image.pixels = pixels[i].empty() ? nullptr : pixels[i].data();
    }
    std::array<qama_answer, 2 * (kMostSamples + 1)> answers{};
    answers[0].struct_size = room_size(sizeof(qama_answer));
    qama_session* const of = session();
    std::int32_t count = number(kMostSamples + 1);
    // With another size than theirs the images do not lie where they should.
    if (images[0].struct_size != sizeof(qama_image)) count = std::min(count, 1);
    const qama_status status = qama_session_answer_images(of, images.data(), count, answers.data());
    check(status);
    if (status == 0) check_answer(answers[0]);
  }

  void answer_encoded() {
    std::array<qama_answer, 2> answer{};
    answer[0].struct_size = room_size(sizeof answer[0]);
    std::string file = "P5 3 2 255\n";
    if (in_.byte() % 2 == 0) file.clear();
    const auto rest = bytes(in_.byte() % 32);
    file.append(rest.begin(), rest.end());
    std::array<std::uint8_t, kPixels> pixels{};
    qama_session* const of = session();
    check(in_.byte() % 2 == 0
              ? qama_session_answer_encoded(of, file.data(), file.size(), answer.data())
              : qama_model_fit_encoded(models().model[in_.byte() % 4], file.data(), file.size(),
                                       pixels.data()));
  }

  void look_at_session() {
    qama_session* const s = session();
    qama_picture_options o{};
    o.struct_size = struct_size(sizeof o);
    o.fit = number(5);
    o.invert = number(4);
    o.strict = number(1);
    check(qama_session_set_pictures(s, in_.byte() % 8 == 0 ? nullptr : &o));
    qama_session_set_first_sample(s, static_cast<std::uint64_t>(any_number()));
    double us = 0;
    check(qama_session_latency_us(s, any_index(), &us));
    const std::int32_t sample = any_index();
    (void)qama_session_solved_by(s, sample, any_index());
    if (const std::uint8_t* p = qama_session_pixels(s, any_index()); p != nullptr)
      sum_ += static_cast<unsigned>(p[0]) + p[kPixels - 1];
  }

  void look_at_model() {
    const qama_model* const m = model();
    if (const char* label = qama_model_label(m, any_index())) sum_ += std::strlen(label);
    sum_ += static_cast<std::size_t>(qama_model_classes(m) + qama_model_image_height(m) +
                                     qama_model_max_tokens(m) + qama_model_feature_width(m));
    const auto file = bytes(in_.byte());
    qama_model* opened = nullptr;
    const qama_status status = qama_model_from_memory(file.data(), file.size(), &opened);
    check(status);
    qama_model_close(opened);
    (void)qama_status_name(any_index());
  }

  void make_problem() {
    const std::int32_t variables = number(kMostVariables);
    const auto count = static_cast<std::int64_t>(number(20));
    std::vector<std::int32_t> first(20), second(20);
    for (auto* list : {&first, &second}) {
      for (auto& index : *list) index = number(kMostVariables - 1);
    }
    const auto weights = reals<double>(kMostVariables * kMostVariables);
    qama_problem* out = nullptr;
    qama_status status = 0;
    switch (in_.byte() % 5) {
      case 0:
        status = qama_problem_from_graph(variables, count, first.data(), second.data(),
                                         in_.byte() % 2 == 0 ? nullptr : weights.data(), &out);
        break;
      case 1:
        status = qama_problem_from_terms(variables, count, first.data(), second.data(),
                                         weights.data(), real(), &out);
        break;
      case 2: {
        // Starts that rise, but for a mistake now and then; never beyond the 20 that are there.
        std::vector<std::int64_t> starts(kMostVariables + 1);
        std::int64_t at = 0;
        for (auto& start : starts)
          start = std::exchange(at, std::min<std::int64_t>(at + in_.byte() % 4, 20));
        if (in_.byte() % 8 == 0) std::swap(starts[1], starts[2]);
        status = qama_problem_from_rows(variables, starts.data(), second.data(), weights.data(),
                                        real(), &out);
        break;
      }
      case 3:
        status = qama_problem_from_matrix(variables, weights.data(), real(), &out);
        break;
      default: {
        const std::string problem = text();
        const std::uint8_t flags = in_.byte();
        const qama_problem_options options{sizeof options, flags & 1, nullptr, flags & 2};
        status = qama_problem_from_text_with(problem.data(), problem.size(), &options, &out);
      }
    }
    keep(status, out);
  }

  void make_layer() {
    const std::int32_t heads = number(2), tokens = number(4), rank = number(3);
    const auto factors = reals<double>(24), fields = reals<double>(8);
    std::vector<double> signs(6, 1.0);
    if (in_.byte() % 4 == 0) signs = reals<double>(6);
    qama_problem* out = nullptr;
    const bool no_signs = in_.byte() % 2 == 0;
    const double rho = real(), lambda = real();
    const qama_status status = qama_problem_from_factors(heads, tokens, rank, factors.data(),
                                                         no_signs ? nullptr : signs.data(),
                                                         fields.data(), rho, lambda, &out);
    keep(status, out);
  }

  void keep(qama_status status, qama_problem* made) {
    check(status);
    if ((status == 0) != (made != nullptr)) fail(__LINE__);
    qama_problem*& place = problem();
    qama_problem_close(place);
    place = made;
  }

  void solve_problem() {
    const qama_problem* const p = problem();
    // A text may name any number of variables.
    const std::int64_t variables = qama_problem_variables(p);
    if (variables > 64) return;
    qama_solve_options o;
    qama_solve_options_init(&o);
    o.struct_size = struct_size(sizeof o);
    o.threads = number(2);
    o.seed = in_.byte();
    o.sweeps = std::max(number(3), 0);
    o.restarts = std::max(number(3), 0);
    if (in_.byte() % 4 == 0) o.time_limit_ms = real();
    if (in_.byte() % 4 == 0) o.target = real();
    if (in_.byte() % 4 == 0) o.t_start = real();
    if (in_.byte() % 4 == 0) o.t_end = real();
    o.start = number(3);
    o.rounds = number(1);
    o.round_sweeps = number(2);
    if (in_.byte() % 4 == 0) o.t_round = real();
    o.device = device();
    constexpr const char* kForms[] = {nullptr,  nullptr,   "dense", "planes",
                                      "sparse", "factors", "x"};
    o.form = kForms[in_.byte() % std::size(kForms)];
    std::vector<std::uint8_t> answer(
        static_cast<std::size_t>(std::max<std::int64_t>(variables, 1)));
    std::array<qama_solution, 2> solutions{};
    qama_solution& solution = solutions[0];
    solution.struct_size = room_size(sizeof solution);
    const qama_status status = qama_problem_solve(p, &o, answer.data(), solutions.data());
    check(status);
    double value = 0;
    check(qama_problem_value(p, answer.data(), &value));
    if (status == 0 && solution.struct_size == sizeof solution &&
        std::memcmp(&value, &solution.value, sizeof value) != 0 && value != solution.value) {
      fail(__LINE__);
    }
    if (in_.byte() % 4 == 0) solve_many(o);
    if (in_.byte() % 4 == 0) sample_problem();
  }

  void solve_many(const qama_solve_options& o) {
    const qama_problem* const p = problem();
    const std::int64_t variables = qama_problem_variables(p);
    if (variables > 64) return;
    const std::int64_t most = number(3);
    const auto size = static_cast<std::size_t>(std::max<std::int64_t>(variables, 1));
    std::vector<std::uint8_t> answers(size * 4);
    std::array<double, 4> values{};
    std::array<std::int64_t, 4> counts{};
    std::int64_t found = -1;
    const qama_status status = qama_problem_solve_many(p, &o, most, answers.data(), values.data(),
                                                       counts.data(), &found, nullptr);
    check(status);
    if (status != 0) return;
    if (found < 1 || found > most) fail(__LINE__);
    for (std::size_t k = 0; k < static_cast<std::size_t>(found); ++k) {
      double value = 0;
      check(qama_problem_value(p, &answers[k * size], &value));
      if (std::isfinite(value) && value != values[k]) fail(__LINE__);
      if (counts[k] < 1) fail(__LINE__);
    }
  }

  void sample_problem() {
    const qama_problem* const p = problem();
    const std::int64_t variables = qama_problem_variables(p);
    if (variables > 64) return;
    qama_sample_options o;
    qama_sample_options_init(&o);
    o.struct_size = struct_size(sizeof o);
    o.threads = number(2);
    o.burn_in = number(3);
    o.between = number(3);
    if (in_.byte() % 2 == 0) o.temperature = real();
    const std::int64_t count = number(3);
    std::vector<std::uint8_t> answers(
        static_cast<std::size_t>(std::max<std::int64_t>(variables, 1) * 4));
    std::array<double, 4> values{};
    const qama_status status = qama_problem_sample(p, &o, count, answers.data(), values.data());
    check(status);
    double value = 0;
    if (status != 0) return;
    check(qama_problem_value(p, answers.data(), &value));
    if (std::memcmp(&value, values.data(), sizeof value) != 0 && value != values[0]) fail(__LINE__);
  }

  void make_solver() {
    qama_solver_options o;
    qama_solver_options_init(&o);
    o.struct_size = struct_size(sizeof o);
    o.threads = number(2);
    o.sweeps = number(3);
    o.restarts = number(3);
    o.rounds = number(1);
    o.round_sweeps = number(2);
    o.start = number(3);
    if (in_.byte() % 4 == 0) o.t_start = static_cast<float>(real());
    if (in_.byte() % 4 == 0) o.t_end = static_cast<float>(real());
    if (in_.byte() % 4 == 0) o.t_round = static_cast<float>(real());
    qama_solver_destroy(solver_);
    solver_ = nullptr;
    heads_ = number(2);
    tokens_ = number(4);
    const qama_status status = qama_solver_create(device(), heads_, tokens_, &o, &solver_);
    check(status);
    if ((status == 0) != (solver_ != nullptr)) fail(__LINE__);
  }

  void solve() {
    const auto heads = static_cast<std::size_t>(std::max(heads_, 1));
    const auto tokens = static_cast<std::size_t>(std::max(tokens_, 1));
    auto couplings = reals<float>(2 * heads * tokens * tokens);
    if (in_.byte() % 8 != 0) {  // symmetric
      for (std::size_t t = 0; t < 2 * heads; ++t) {
        for (std::size_t i = 0; i < tokens; ++i) {
          for (std::size_t j = 0; j < i; ++j) {
            couplings[(t * tokens + i) * tokens + j] = couplings[(t * tokens + j) * tokens + i];
          }
        }
      }
    }
    const auto fields = reals<float>(2 * heads * tokens);
    const auto factors = reals<float>(2 * heads * tokens * 3);
    std::vector<float> signs(heads * 3, 1.0F);
    const std::array<std::int32_t, 2> counts = {number(4), number(4)};
    std::vector<std::uint8_t> spins(2 * heads * tokens);
    std::array<double, 2> energy{};
    const std::int32_t batch = number(2);
    const std::int32_t* const count = in_.byte() % 2 == 0 ? nullptr : counts.data();
    const auto lambda = static_cast<float>(real());
    if (in_.byte() % 2 == 0) {
      check(qama_solver_solve_f32(solver_, batch, couplings.data(), fields.data(), lambda, count,
                                  in_.byte(), spins.data(), energy.data()));
    } else {
      const std::int32_t rank = number(3);
      check(qama_solver_solve_factors_f32(solver_, batch, rank, factors.data(), signs.data(),
                                          fields.data(), lambda, count, in_.byte(), spins.data(),
                                          energy.data()));
    }
  }

  void forget() {
    qama_session*& s = session();
    qama_session_destroy(s);
    s = nullptr;
    qama_problem*& p = problem();
    qama_problem_close(p);
    p = nullptr;
  }

  fuzz::Bytes in_;
  std::array<qama_session*, 2> sessions_{};
  std::array<AlignedBuffer<std::uint8_t>, 2> arenas_;
  std::array<bool, 2> text_{}, features_{}, timed_{};
  std::array<std::int32_t, 2> most_{};
  std::array<qama_problem*, 2> problems_{};
  qama_solver* solver_ = nullptr;
  std::int32_t heads_ = 0, tokens_ = 0;
  std::size_t sum_ = 0;  // of what was read, so that it is read
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  (void)models();
  Calls({data, size}).run();
  return 0;
}
