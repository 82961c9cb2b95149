// The C API's problems: from arrays or text to a hal::ProblemFile, and hal::solve() for it. To add
// a source: a function that fills in a ProblemFile and hands it to publish().
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstddef>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "hal/base/sentence.h"
#include "hal/device.h"
#include "hal/lower/decode.h"
#include "hal/platform/clock.h"
#include "hal/platform/file.h"
#include "hal/platform/thread.h"
#include "hal/search/answers.h"
#include "hal/search/boltzmann.h"
#include "hal/search/solve.h"
#include "hal/text/formats.h"
#include "hal/text/pairs.h"
#include "runtime/api/api_error.h"

namespace {

using qama::Error;
using qama::ErrorCode;
using qama::Result;
using qama::Status;
using qama::runtime::null_argument;
namespace hal = qama::hal;

}  // namespace

struct qama_problem {
  hal::ProblemFile file;
};

namespace {

/// Bytes of all answers of one call.
constexpr std::int64_t kMostSampleBytes = std::int64_t{1} << 40;

Status check_count(const char* what, std::int64_t count, std::int64_t least, std::int64_t most) {
  if (count >= least && count <= most) return {};
  return Error{count < least ? ErrorCode::invalid_argument : ErrorCode::problem_too_large,
               std::to_string(count) + " " + what + ", expected " + std::to_string(least) + " to " +
                   std::to_string(most)};
}

Status check_finite(const char* what, const double* values, std::size_t count) {
  const double* end = values + count;
  const double* bad = std::find_if_not(values, end, [](double v) { return std::isfinite(v); });
  if (bad == end) return {};
  return qama::make_error(ErrorCode::problem_bad_value, what, " ", bad - values, " is ", *bad,
                          ", expected a finite number");
}

void publish(hal::ProblemFile file, qama_problem** out) {
  auto handle = std::make_unique<qama_problem>();
  handle->file = std::move(file);
  *out = handle.release();
}

/// Collects the pairs of a graph or a quadratic form.
class Pairs {
 public:
  /// `what`: "edge", "term".
  static Result<Pairs> create(hal::ProblemKind kind, const char* what, std::int32_t variables,
                              std::int64_t pairs) {
    QAMA_RETURN_IF_ERROR(check_count("variables", variables, 1, hal::kMaxTokens));
    QAMA_RETURN_IF_ERROR(
        check_count("pairs of variables", pairs, 0, std::numeric_limits<std::int32_t>::max()));
    Pairs out;
    out.what_ = what;
    out.file_.kind = kind;
    out.file_.graph.size = variables;
    out.file_.graph.edges.reserve(static_cast<std::size_t>(pairs));
    return out;
  }

  Status add(std::int32_t i, std::int32_t j, double weight) {
    const std::int32_t size = file_.graph.size;
    if (i < 0 || j < 0 || i >= size || j >= size) {
      return bad(ErrorCode::index_out_of_range, "joins " + std::to_string(i) + " and " +
                                                    std::to_string(j) + ", expected 0 to " +
                                                    std::to_string(size - 1));
    }
    if (!std::isfinite(weight)) {
      return bad(ErrorCode::problem_bad_value,
                 "has weight " + std::to_string(weight) + ", expected a finite number");
    }
    if (file_.kind == hal::ProblemKind::maxcut && i == j) {
      return bad(ErrorCode::problem_bad_value,
                 "joins vertex " + std::to_string(i) + " with itself");
    }
    ++seen_;
    file_.graph.edges.push_back({std::min(i, j), std::max(i, j), weight});
    return {};
  }

  Status finish(double offset, qama_problem** out) {
    QAMA_RETURN_IF_ERROR(check_finite("offset", &offset, 1));
    hal::sort_and_merge(file_.graph);
    file_.offset = offset;
    file_.index_base = 0;
    publish(std::move(file_), out);
    return {};
  }

 private:
  [[nodiscard]] Error bad(ErrorCode code, const std::string& sentence) const {
    return {code, std::string(what_) + " " + std::to_string(seen_) + " " + sentence};
  }

  hal::ProblemFile file_;
  const char* what_ = "";
  std::int64_t seen_ = 0;
};

Result<hal::ReadOptions> read_options(const qama_problem_options* given) {
  hal::ReadOptions out;
  if (given == nullptr) return out;
  constexpr std::size_t kFirst =
      offsetof(qama_problem_options, symmetric) + sizeof given->symmetric;
  if (given->struct_size < kFirst || given->struct_size > qama::runtime::kMostStructBytes) {
    return Error{ErrorCode::invalid_argument, "struct_size is " +
                                                  std::to_string(given->struct_size) +
                                                  ", expected sizeof(qama_problem_options)"};
  }
  if (given->format != nullptr) out.format = given->format;
  out.maximise = given->maximise != 0;
  out.symmetric = given->symmetric != 0;
  return out;
}

/// The format, and nothing else.
qama_problem_options options_of(const char* format) {
  qama_problem_options out{};
  out.struct_size = sizeof out;
  out.format = format;
  return out;
}

Status from_text(std::string_view bytes, const char* name, const hal::ReadOptions& options,
                 qama_problem** out) {
  QAMA_ASSIGN_OR_RETURN(auto file, hal::parse_problem(bytes, name, options));
  publish(std::move(file), out);
  return {};
}

Status from_factors(std::int32_t heads, std::int32_t tokens, std::int32_t rank,
                    const double* factors, const double* signs, const double* fields, double rho,
                    double lambda, qama_problem** out) {
  QAMA_RETURN_IF_ERROR(check_count("heads", heads, 1, hal::kMaxHeads));
  QAMA_RETURN_IF_ERROR(check_count("tokens", tokens, 1, hal::kMaxTokens));
  QAMA_RETURN_IF_ERROR(check_count("columns", rank, 1, hal::kMaxRank));
  // At most 2^38: no overflow.
  const std::size_t rows = static_cast<std::size_t>(heads) * static_cast<std::size_t>(tokens);
  const std::size_t numbers = rows * static_cast<std::size_t>(rank);
  const std::size_t columns = static_cast<std::size_t>(heads) * static_cast<std::size_t>(rank);
  QAMA_RETURN_IF_ERROR(check_finite("factor", factors, numbers));
  QAMA_RETURN_IF_ERROR(check_finite("field", fields, rows));
  QAMA_RETURN_IF_ERROR(check_finite("rho", &rho, 1));
  if (!(lambda >= 0) || !std::isfinite(lambda)) {
    return qama::make_error(ErrorCode::problem_bad_value, "lambda is ", lambda,
                            ", expected a finite number of 0 or more");
  }
  hal::ProblemFile file;
  file.kind = hal::ProblemKind::qama;
  hal::QamaLayer& layer = file.layer;
  layer.name = "layer";
  layer.heads = heads;
  layer.tokens = tokens;
  layer.rank = rank;
  layer.rho = rho;
  layer.lambda = lambda;
  layer.signs.assign(columns, 1.0);
  if (signs != nullptr) layer.signs.assign(signs, signs + columns);
  for (const double sign : layer.signs) {
    if (sign == 1.0 || sign == -1.0) continue;
    return qama::make_error(ErrorCode::problem_bad_value, "a column's sign is ", sign,
                            ", expected +1 or -1");
  }
  layer.fields.assign(fields, fields + rows);
  layer.factors.assign(factors, factors + numbers);
  publish(std::move(file), out);
  return {};
}

/// `out`, the defaults, with the fields that the caller's struct has.
template <typename Options>
Result<Options> read_options(const Options* given, Options out, const char* type) {
  if (given == nullptr) return out;
  if (given->struct_size < sizeof given->struct_size ||
      given->struct_size > qama::runtime::kMostStructBytes) {
    return Error{ErrorCode::invalid_argument,
                 "struct_size is " + std::to_string(given->struct_size) + ", expected sizeof(" +
                     type + "): call " + type + "_init first"};
  }
  std::memcpy(&out, given, std::min<std::size_t>(given->struct_size, sizeof out));
  return out;
}

Result<hal::SolveRequest> to_request(const qama_problem& problem,
                                     const qama_solve_options& options) {
  hal::SolveRequest out = hal::default_request(problem.file.kind);
  if (options.threads < 0 || options.threads > 1024) {
    return Error{ErrorCode::invalid_argument,
                 std::to_string(options.threads) + " threads, expected 0 to 1024"};
  }
  if (options.start < 0 || options.start > static_cast<std::int32_t>(hal::StartKind::mixed)) {
    return Error{ErrorCode::invalid_argument,
                 "start " + std::to_string(options.start) + ", expected 0 to 2"};
  }
  out.threads = std::max(1, options.threads);
  out.seed = options.seed;
  if (options.restarts == 0) {
    return Error{ErrorCode::invalid_argument,
                 "0 restarts, expected 1 or more, or less than 0 for the default"};
  }
  out.restarts = std::max(0, options.restarts);
  out.time_limit_ms = options.time_limit_ms;
  if (!std::isnan(options.target)) out.target = options.target;
  if (options.form != nullptr) {
    QAMA_ASSIGN_OR_RETURN(out.form, hal::parse_form(options.form));
  }
  hal::Schedule& schedule = out.schedule;
  if (options.sweeps >= 0) {
    schedule.sweeps = options.sweeps;
    out.fit_sweeps = false;
  }
  if (options.t_start != 0) schedule.t_start = options.t_start;
  if (options.t_end != 0) {
    schedule.t_end = options.t_end;
    out.fit_end = false;
  }
  schedule.start = static_cast<hal::StartKind>(options.start);
  schedule.rounds = options.rounds;
  if (options.round_sweeps >= 0) schedule.round_sweeps = options.round_sweeps;
  if (options.t_round != 0) schedule.t_round = options.t_round;
  return out;
}

/// Whether options are set that mean something to the annealer only.
bool asks_for_annealing(const qama_solve_options& options) {
  return options.sweeps >= 0 || options.restarts > 0 || options.t_start != 0 ||
         options.t_end != 0 || options.rounds > 0 || options.start != 0 || options.form != nullptr;
}

void unpack(const hal::ProblemShape& shape, const std::vector<std::uint64_t>& spins,
            std::uint8_t* answer) {
  hal::for_each_spin(shape, [&](std::size_t at, std::size_t word, std::uint64_t bit) {
    answer[at] = (spins[word] & bit) != 0 ? 1 : 0;
  });
}

/// INVALID_ARGUMENT for a byte that is neither 0 nor 1: it may have meant -1, a colour, a sum.
Result<std::vector<std::uint64_t>> pack(const hal::ProblemShape& shape,
                                        const std::uint8_t* answer) {
  std::vector<std::uint64_t> spins(static_cast<std::size_t>(shape.heads) *
                                   static_cast<std::size_t>(hal::words_per_head(shape.tokens)));
  const std::uint8_t* const end = answer + shape.spins();
  const std::uint8_t* const wrong =
      std::find_if(answer, end, [](std::uint8_t byte) { return byte > 1; });
  if (wrong != end) {
    return Error{ErrorCode::invalid_argument, "answer: byte " + std::to_string(wrong - answer) +
                                                  " is " + std::to_string(*wrong) +
                                                  ", expected 0 or 1"};
  }
  hal::for_each_spin(shape, [&](std::size_t at, std::size_t word, std::uint64_t bit) {
    if (answer[at] != 0) spins[word] |= bit;
  });
  return spins;
}

Status read_initial(const hal::ProblemShape& shape, const qama_solve_options& options,
                    hal::SolveRequest& out) {
  QAMA_RETURN_IF_ERROR(check_count("initial answers", options.initial_count, 0,
                                   std::min(hal::kMostAnswers, kMostSampleBytes / shape.spins())));
  if (options.initial_count > 0 && options.initial == nullptr) return null_argument("initial");
  for (std::int64_t k = 0; k < options.initial_count; ++k) {
    QAMA_ASSIGN_OR_RETURN(auto spins, pack(shape, options.initial + k * shape.spins()));
    out.initial.push_back(std::move(spins));
  }
  return {};
}

/// hal::solve() in a thread of its own, while the calling one tells how far it is. Where there are
/// no threads, the search tells it between its parts.
class ToldSearch {
 public:
  ToldSearch(const qama_solve_options& options, bool larger_is_better)
      : options_(options), larger_is_better_(larger_is_better) {
    now_.value = std::numeric_limits<double>::quiet_NaN();
  }

  Result<hal::BestAnswer> run(const hal::ProblemFile& file, hal::Device& device,
                              hal::SolveRequest request, hal::SolveHooks hooks) {
    const auto start = qama::platform::Clock::now();
    const hal::ProblemShape shape = file.shape();
    best_.resize(static_cast<std::size_t>(shape.spins()));
    told_.resize(best_.size());
    request.stop = &stop_;
    hooks.answer = [this, shape, then = std::move(hooks.answer)](double elapsed_ms, double value,
                                                                 const auto& spins) {
      if (then) then(elapsed_ms, value, spins);
      const std::lock_guard lock(mutex_);
      ++now_.reads;
      const bool better = larger_is_better_ ? value > now_.value : value < now_.value;
      if (better || std::isnan(now_.value)) {
        now_.value = value;
        unpack(shape, spins, best_.data());
      }
    };
    if constexpr (!qama::platform::kHasThreads) {
      hooks.progress = [this](double elapsed_ms, std::int64_t) {
        tell(elapsed_ms);
        return !stop_.load();
      };
      Result<hal::BestAnswer> out = hal::solve(file, device, request, hooks);
      tell(qama::platform::microseconds_since(start) / 1000);
      return out;
    }
    Result<hal::BestAnswer> out = Error{ErrorCode::internal, "a search without an answer"};
    qama::platform::Thread thread;
    QAMA_RETURN_IF_ERROR(thread.start([&] {
      const Ending ending(*this);
      out = hal::solve(file, device, request, hooks);
    }));
    for (bool ended = false; !ended;) {
      std::unique_lock lock(mutex_);
      ended = woken_.wait_for(lock, kInterval, [this] { return ended_; });
      lock.unlock();
      tell(qama::platform::microseconds_since(start) / 1000);
    }
    QAMA_RETURN_IF_ERROR(thread.join());
    return out;
  }

 private:
  /// Calls the caller's function, which may ask for the end.
  void tell(double elapsed_ms) {
    qama_progress now{};
    {
      const std::lock_guard lock(mutex_);
      now = now_;
      if (now.reads > 0) std::copy(best_.begin(), best_.end(), told_.begin());
    }
    now.elapsed_ms = elapsed_ms;
    now.answer = now.reads > 0 ? told_.data() : nullptr;
    if (options_.progress(options_.progress_context, &now) != 0) stop_ = true;
  }

  static constexpr std::chrono::milliseconds kInterval{20};
  /// Wakes the calling thread, also where an exception ends the search.
  struct Ending {
    explicit Ending(ToldSearch& of) noexcept : search(of) {}
    ~Ending() {
      const std::lock_guard lock(search.mutex_);
      search.ended_ = true;
      search.woken_.notify_all();
    }
    Ending(const Ending&) = delete;
    Ending& operator=(const Ending&) = delete;
    ToldSearch& search;
  };

  const qama_solve_options& options_;
  const bool larger_is_better_;
  std::atomic<bool> stop_ = false;
  std::vector<std::uint8_t> told_;  ///< what the caller sees
  std::mutex mutex_;                ///< guards what follows
  std::condition_variable woken_;
  bool ended_ = false;
  qama_progress now_{};
  std::vector<std::uint8_t> best_;
};

/// Where the answers of a call go.
struct Room {
  std::int64_t most = 0;  ///< 0: the best one alone
  std::uint8_t* answers = nullptr;
  double* values = nullptr;
  std::int64_t* counts = nullptr;
  std::int64_t* found = nullptr;
};

Status solve(const qama_problem& problem, const qama_solve_options* given, const Room& room,
             qama_solution* solution) {
  const hal::ProblemFile& file = problem.file;
  const hal::ProblemShape shape = file.shape();
  if (room.answers == nullptr) return null_argument(room.most > 0 ? "answers" : "answer");
  // What the first version of the struct had: no caller has less.
  constexpr std::size_t least = offsetof(qama_solution, flips) + sizeof(qama_solution::flips);
  if (solution != nullptr &&
      (solution->struct_size < least || solution->struct_size > qama::runtime::kMostStructBytes)) {
    return Error{ErrorCode::invalid_argument,
                 "struct_size is " + std::to_string(solution->struct_size) +
                     ", expected sizeof(qama_solution), " + std::to_string(least)};
  }
  qama_solve_options defaults;
  qama_solve_options_init(&defaults);
  QAMA_ASSIGN_OR_RETURN(const auto options, read_options(given, defaults, "qama_solve_options"));
  QAMA_ASSIGN_OR_RETURN(auto request, to_request(problem, options));
  QAMA_RETURN_IF_ERROR(read_initial(shape, options, request));
  request.answers = room.most;
  QAMA_ASSIGN_OR_RETURN(
      const auto device,
      hal::open_device(options.device != nullptr
                           ? options.device
                           : hal::default_device(file, asks_for_annealing(options))));
  hal::AnswerSet kept(room.most, file.maximises());
  hal::SolveHooks hooks;
  if (room.most > 0) {
    hooks.answer = [&](double, double value, const auto& spins) { kept.add(value, spins); };
  }
  QAMA_ASSIGN_OR_RETURN(
      const auto best,
      options.progress == nullptr
          ? hal::solve(file, *device, request, hooks)
          : ToldSearch(options, file.maximises()).run(file, *device, std::move(request), hooks));
  if (room.most == 0) {
    unpack(shape, best.spins, room.answers);
  } else {
    const std::vector<hal::AnswerSet::Answer> answers = kept.answers();
    for (std::size_t k = 0; k < answers.size(); ++k) {
      unpack(shape, answers[k].spins, room.answers + k * static_cast<std::size_t>(shape.spins()));
      if (room.values != nullptr) room.values[k] = answers[k].value;
      if (room.counts != nullptr) room.counts[k] = answers[k].count;
    }
    *room.found = static_cast<std::int64_t>(answers.size());
  }
  if (solution == nullptr) return {};
  qama_solution out{};
  out.struct_size = solution->struct_size;
  out.exact_weights = best.decode.exact ? 1 : 0;
  out.value = best.value;
  out.target_reached = best.target_reached ? 1 : 0;
  out.sweeps = best.sweeps;
  out.form = hal::name_of(best.form).data();  // of a string literal, so it ends with a zero
  out.solved_by = best.solved_by;
  out.solve_us = best.solve_us;
  out.restarts = best.restarts;
  out.rounds = best.rounds;
  out.total_sweeps = best.total_sweeps;
  out.proposals = best.proposals;
  out.flips = best.flips;
  out.optimal = best.optimal ? 1 : 0;
  out.stopped = best.stopped ? 1 : 0;
  // A newer header's fields, which this library does not know, are 0.
  std::memset(solution, 0, out.struct_size);
  std::memcpy(solution, &out, std::min<std::size_t>(out.struct_size, sizeof out));
  return {};
}

/// The edge of the functions that make a problem.
template <typename Body>
qama_status make(qama_problem** out, Body&& body) noexcept {
  return qama::runtime::guarded([&]() -> Status {
    if (out == nullptr) return null_argument("out");
    *out = nullptr;
    return body();
  });
}

}  // namespace

extern "C" {

qama_status qama_problem_open(const char* path, const char* format, qama_problem** out) {
  const qama_problem_options options = options_of(format);
  return qama_problem_open_with(path, &options, out);
}

qama_status qama_problem_open_with(const char* path, const qama_problem_options* options,
                                   qama_problem** out) {
  return make(out, [&]() -> Status {
    if (path == nullptr) return null_argument("path");
    QAMA_ASSIGN_OR_RETURN(const auto read, read_options(options));
    QAMA_ASSIGN_OR_RETURN(
        const auto bytes,
        qama::platform::read_file(path, hal::kMaxProblemBytes, ErrorCode::problem_too_large));
    return from_text({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path, read, out);
  });
}

qama_status qama_problem_from_text(const void* text, size_t bytes, const char* format,
                                   qama_problem** out) {
  const qama_problem_options options = options_of(format);
  return qama_problem_from_text_with(text, bytes, &options, out);
}

qama_status qama_problem_from_text_with(const void* text, size_t bytes,
                                        const qama_problem_options* options, qama_problem** out) {
  return make(out, [&]() -> Status {
    if (text == nullptr) return null_argument("text");
    QAMA_ASSIGN_OR_RETURN(const auto read, read_options(options));
    if (bytes > hal::kMaxProblemBytes) {
      return Error{ErrorCode::problem_too_large, "a text of " + std::to_string(bytes) +
                                                     " bytes, expected at most " +
                                                     std::to_string(hal::kMaxProblemBytes)};
    }
    return from_text({static_cast<const char*>(text), bytes}, "in memory", read, out);
  });
}

qama_status qama_problem_from_graph(int32_t vertices, int64_t edges, const int32_t* first,
                                    const int32_t* second, const double* weights,
                                    qama_problem** out) {
  return make(out, [&]() -> Status {
    QAMA_ASSIGN_OR_RETURN(auto pairs,
                          Pairs::create(hal::ProblemKind::maxcut, "edge", vertices, edges));
    if (edges > 0 && (first == nullptr || second == nullptr)) return null_argument("first, second");
    for (std::int64_t k = 0; k < edges; ++k) {
      QAMA_RETURN_IF_ERROR(pairs.add(first[k], second[k], weights == nullptr ? 1.0 : weights[k]));
    }
    return pairs.finish(0, out);
  });
}

qama_status qama_problem_from_terms(int32_t variables, int64_t terms, const int32_t* rows,
                                    const int32_t* columns, const double* weights, double offset,
                                    qama_problem** out) {
  return make(out, [&]() -> Status {
    QAMA_ASSIGN_OR_RETURN(auto pairs,
                          Pairs::create(hal::ProblemKind::qubo, "term", variables, terms));
    if (terms > 0 && (rows == nullptr || columns == nullptr || weights == nullptr)) {
      return null_argument("rows, columns, weights");
    }
    for (std::int64_t k = 0; k < terms; ++k) {
      QAMA_RETURN_IF_ERROR(pairs.add(rows[k], columns[k], weights[k]));
    }
    return pairs.finish(offset, out);
  });
}

qama_status qama_problem_from_rows(int32_t variables, const int64_t* starts, const int32_t* columns,
                                   const double* weights, double offset, qama_problem** out) {
  return make(out, [&]() -> Status {
    if (starts == nullptr) return null_argument("starts");
    QAMA_RETURN_IF_ERROR(check_count("variables", variables, 1, hal::kMaxTokens));
    for (std::int32_t i = 0; i < variables; ++i) {
      if (starts[0] == 0 && starts[i] <= starts[i + 1]) continue;
      return Error{ErrorCode::invalid_argument,
                   "row " + std::to_string(i) + " is from " + std::to_string(starts[i]) + " to " +
                       std::to_string(starts[i + 1]) + ", expected a start of 0 and no descent"};
    }
    const std::int64_t terms = starts[variables];
    QAMA_ASSIGN_OR_RETURN(auto pairs,
                          Pairs::create(hal::ProblemKind::qubo, "term", variables, terms));
    if (terms > 0 && (columns == nullptr || weights == nullptr)) {
      return null_argument("columns, weights");
    }
    for (std::int32_t i = 0; i < variables; ++i) {
      for (std::int64_t k = starts[i]; k < starts[i + 1]; ++k) {
        QAMA_RETURN_IF_ERROR(pairs.add(i, columns[k], weights[k]));
      }
    }
    return pairs.finish(offset, out);
  });
}

qama_status qama_problem_from_matrix(int32_t variables, const double* matrix, double offset,
                                     qama_problem** out) {
  return make(out, [&]() -> Status {
    if (matrix == nullptr) return null_argument("matrix");
    QAMA_RETURN_IF_ERROR(check_count("variables", variables, 1, hal::kMaxDenseTokens));
    const auto n = static_cast<std::size_t>(variables);
    const auto terms = static_cast<std::int64_t>(
        std::count_if(matrix, matrix + n * n, [](double weight) { return weight != 0; }));
    QAMA_ASSIGN_OR_RETURN(auto pairs,
                          Pairs::create(hal::ProblemKind::qubo, "number", variables, terms));
    for (std::int32_t i = 0; i < variables; ++i) {
      for (std::int32_t j = 0; j < variables; ++j, ++matrix) {
        if (*matrix != 0) QAMA_RETURN_IF_ERROR(pairs.add(i, j, *matrix));
      }
    }
    return pairs.finish(offset, out);
  });
}

qama_status qama_problem_from_factors(int32_t heads, int32_t tokens, int32_t rank,
                                      const double* factors, const double* signs,
                                      const double* fields, double rho, double lambda,
                                      qama_problem** out) {
  return make(out, [&]() -> Status {
    if (factors == nullptr) return null_argument("factors");
    if (fields == nullptr) return null_argument("fields");
    return from_factors(heads, tokens, rank, factors, signs, fields, rho, lambda, out);
  });
}

void qama_problem_close(qama_problem* problem) {
  delete problem;
}

int64_t qama_problem_variables(const qama_problem* problem) {
  return problem == nullptr ? 0 : problem->file.shape().spins();
}

int32_t qama_problem_maximises(const qama_problem* problem) {
  return problem != nullptr && problem->file.maximises() ? 1 : 0;
}

qama_status qama_problem_value(const qama_problem* problem, const uint8_t* answer, double* value) {
  return qama::runtime::guarded([&]() -> Status {
    if (problem == nullptr) return null_argument("problem");
    if (answer == nullptr) return null_argument("answer");
    if (value == nullptr) return null_argument("value");
    QAMA_ASSIGN_OR_RETURN(const auto spins, pack(problem->file.shape(), answer));
    const double worth = hal::value_of(problem->file, spins);
    if (!std::isfinite(worth)) {
      return Error{ErrorCode::problem_bad_value,
                   "the weights of the problem sum up to more than a double holds"};
    }
    *value = worth;
    return {};
  });
}

void qama_solve_options_init_size(qama_solve_options* options, size_t struct_size) {
  if (options == nullptr) return;
  qama_solve_options defaults{};
  defaults.struct_size = static_cast<std::uint32_t>(std::min(struct_size, sizeof defaults));
  defaults.threads = 1;
  defaults.seed = 1;
  defaults.sweeps = -1;
  defaults.restarts = -1;
  defaults.target = std::numeric_limits<double>::quiet_NaN();
  defaults.round_sweeps = -1;
  std::memcpy(options, &defaults, defaults.struct_size);
}

qama_status qama_problem_solve(const qama_problem* problem, const qama_solve_options* options,
                               uint8_t* answer, qama_solution* solution) {
  return qama::runtime::guarded([&]() -> Status {
    if (problem == nullptr) return null_argument("problem");
    return solve(*problem, options, {.answers = answer}, solution);
  });
}

qama_status qama_problem_solve_many(const qama_problem* problem, const qama_solve_options* options,
                                    int64_t most, uint8_t* answers, double* values, int64_t* counts,
                                    int64_t* found, qama_solution* solution) {
  return qama::runtime::guarded([&]() -> Status {
    if (problem == nullptr) return null_argument("problem");
    if (found == nullptr) return null_argument("found");
    *found = 0;
    QAMA_RETURN_IF_ERROR(
        check_count("answers", most, 1,
                    std::min(hal::kMostAnswers, kMostSampleBytes / problem->file.shape().spins())));
    return solve(*problem, options, {most, answers, values, counts, found}, solution);
  });
}

void qama_sample_options_init_size(qama_sample_options* options, size_t struct_size) {
  if (options == nullptr) return;
  const hal::BoltzmannRequest request;
  qama_sample_options defaults{};
  defaults.struct_size = static_cast<std::uint32_t>(std::min(struct_size, sizeof defaults));
  defaults.threads = request.threads;
  defaults.seed = request.seed;
  defaults.temperature = request.temperature;
  defaults.burn_in = request.burn_in;
  defaults.between = request.between;
  std::memcpy(options, &defaults, defaults.struct_size);
}

qama_status qama_problem_sample(const qama_problem* problem, const qama_sample_options* options,
                                int64_t count, uint8_t* answers, double* values) {
  return qama::runtime::guarded([&]() -> Status {
    if (problem == nullptr) return null_argument("problem");
    const std::int64_t variables = problem->file.shape().spins();
    QAMA_RETURN_IF_ERROR(check_count("samples", count, 1, kMostSampleBytes / variables));
    if (answers == nullptr) return null_argument("answers");
    qama_sample_options defaults;
    qama_sample_options_init(&defaults);
    QAMA_ASSIGN_OR_RETURN(const auto given, read_options(options, defaults, "qama_sample_options"));
    const hal::BoltzmannRequest request{.temperature = given.temperature,
                                        .burn_in = given.burn_in,
                                        .between = given.between,
                                        .seed = given.seed,
                                        .threads = given.threads == 0 ? 1 : given.threads};
    const auto numbers = static_cast<std::size_t>(count);
    return hal::sample_boltzmann(problem->file, request, count,
                                 {answers, numbers * static_cast<std::size_t>(variables)},
                                 {values, values == nullptr ? 0 : numbers});
  });
}

}  // extern "C"
