// The annealer of the C API: batches of QAMA layers given in real numbers. This is what training
// calls, so that training and inference use one solver.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/aligned.h"
#include "hal/base/random.h"
#include "hal/base/sentence.h"
#include "hal/device.h"
#include "hal/form.h"
#include "hal/lower/problem_builder.h"
#include "hal/platform/process.h"
#include "hal/platform/thread_pool.h"
#include "runtime/api/api_error.h"

namespace {

using qama::Error;
using qama::ErrorCode;
using qama::Result;
using qama::Status;
namespace hal = qama::hal;

/// Energy of the real problem, Eq. 3, in double.
double real_energy(std::int32_t heads, std::int32_t tokens, std::int32_t stride,
                   const float* couplings, const float* fields, float lambda,
                   const std::uint8_t* spins) {
  double energy = 0;
  for (std::int32_t t = 0; t < heads; ++t) {
    for (std::int32_t i = 0; i < tokens; ++i) {
      const std::int64_t at = static_cast<std::int64_t>(t) * stride + i;
      if (spins[at] == 0) continue;
      energy -= static_cast<double>(fields[at]);
      const float* row = couplings + at * stride;
      for (std::int32_t j = i + 1; j < tokens; ++j) {
        if (spins[static_cast<std::int64_t>(t) * stride + j] != 0)
          energy -= static_cast<double>(row[j]);
      }
    }
  }
  for (std::int32_t i = 0; i < tokens; ++i) {
    double count = 0;
    for (std::int32_t t = 0; t < heads; ++t)
      count += spins[static_cast<std::int64_t>(t) * stride + i];
    energy += static_cast<double>(lambda) * count * (count - 1) / 2;
  }
  return energy;
}

constexpr std::int32_t kBlock = 16;

/// The largest of |J_ij| and |J_ij - J_ji|, by columns of a block: sixteen numbers side by side are
/// compared at once.
struct Largest {
  std::array<float, kBlock> value{};
  std::array<float, kBlock> difference{};

  void see(std::int32_t lane, float low, float high) {
    const auto at = static_cast<std::size_t>(lane);
    const float size = std::max(std::abs(low), std::abs(high));
    const float apart = std::abs(low - high);
    value[at] = value[at] < size ? size : value[at];
    difference[at] = difference[at] < apart ? apart : difference[at];
  }
};

/// J must be symmetric, up to what products in half precision round in different ways [measured
/// while training in bfloat16: 0.01 of the largest].
Status check_symmetric(std::int32_t heads, std::int32_t tokens, std::int32_t used,
                       const float* couplings) {
  for (std::int32_t t = 0; t < heads; ++t) {
    const float* head = couplings + static_cast<std::int64_t>(t) * tokens * tokens;
    Largest found;
    // In blocks: column by column, every number would come from a cache line of its own.
    for (std::int32_t top = 0; top < used; top += kBlock) {
      for (std::int32_t left = 0; left <= top; left += kBlock) {
        if (left == top || top + kBlock > used) {
          for (std::int32_t i = top; i < std::min(top + kBlock, used); ++i) {
            for (std::int32_t j = left; j < std::min(left + kBlock, i); ++j) {
              found.see(j - left, head[static_cast<std::int64_t>(i) * tokens + j],
                        head[static_cast<std::int64_t>(j) * tokens + i]);
            }
          }
          continue;
        }
        std::array<std::array<float, kBlock>, kBlock> above;  // the diagonal, transposed
        for (std::int32_t j = 0; j < kBlock; ++j) {
          const float* row = head + static_cast<std::int64_t>(left + j) * tokens + top;
          for (std::int32_t i = 0; i < kBlock; ++i)
            above[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)] = row[i];
        }
        for (std::int32_t i = 0; i < kBlock; ++i) {
          const float* row = head + static_cast<std::int64_t>(top + i) * tokens + left;
          const float* other = above[static_cast<std::size_t>(i)].data();
          for (std::int32_t j = 0; j < kBlock; ++j) found.see(j, row[j], other[j]);
        }
      }
    }
    const float largest = *std::max_element(found.value.begin(), found.value.end());
    const float difference = *std::max_element(found.difference.begin(), found.difference.end());
    if (difference > 0.05F * largest) {
      return qama::make_error(ErrorCode::invalid_argument, "J of head ", t,
                              " is not symmetric: J_ij and J_ji differ by ", difference,
                              " where the largest is ", largest);
    }
  }
  return {};
}

}  // namespace

/// Everything a batch needs, one of each a worker thread.
struct qama_solver {
  struct Worker {
    std::unique_ptr<hal::Solver> solver;  ///< with `buffer`, from the first problem that needs them
    hal::ProblemBuffer buffer;
    std::vector<std::uint64_t> words;
    std::vector<float>
        couplings;  ///< [H][N][N], only for problems that come as factors and are solved as J
    std::unique_ptr<hal::Solver> factors_solver;  ///< for `factors_rank`
    std::int32_t factors_rank = 0;
    std::vector<float> left, right,
        fields;  ///< of a low-rank problem, where the caller's cannot be used
    Status status;
  };

  std::int32_t heads = 0;
  std::int32_t tokens = 0;
  hal::SolveOptions options;
  std::shared_ptr<hal::Device> device;
  bool long_heads = false;  ///< there may be samples that are solved on factors
  std::vector<Worker> workers;
  std::unique_ptr<qama::platform::ThreadPool> pool;
  qama::platform::ProcessMark made_in;  ///< threads and connections do not follow a fork
  bool has_threads = false;

  struct Batch {
    qama_solver* self;
    const float* couplings;
    const float* factors;
    const float* signs;
    std::int32_t rank;
    const float* fields;
    float lambda;
    const std::int32_t* count;
    std::uint64_t seed;
    std::uint8_t* spins;
    double* energy;
  };

  Status compile_dense(Worker& worker) const;
  Status solve_dense(const Batch& batch, std::int32_t sample, std::int32_t used,
                     const hal::SolveOptions& job, Worker& worker) const;
  Status solve_long(const Batch& batch, std::int32_t sample, std::int32_t used,
                    const hal::SolveOptions& job, Worker& worker) const;
  Status solve_sample(const Batch& batch, std::int32_t sample, Worker& worker) const;
  Status run(Batch batch, std::int32_t samples);
};

namespace {

/// J_tij = sum_d sign_td F_tid F_tjd for the first `used` tokens of each head.
void build_couplings(std::int32_t heads, std::int32_t tokens, std::int32_t used, std::int32_t rank,
                     const float* factors, const float* signs, float* couplings) {
  for (std::int32_t t = 0; t < heads; ++t) {
    const float* head = factors + static_cast<std::int64_t>(t) * tokens * rank;
    const float* sign = signs + static_cast<std::int64_t>(t) * rank;
    float* out = couplings + static_cast<std::int64_t>(t) * tokens * tokens;
    for (std::int32_t i = 0; i < used; ++i) {
      const float* a = head + static_cast<std::int64_t>(i) * rank;
      for (std::int32_t j = i + 1; j < used; ++j) {
        const float* b = head + static_cast<std::int64_t>(j) * rank;
        float sum = 0;
        for (std::int32_t d = 0; d < rank; ++d) sum += sign[d] * a[d] * b[d];
        out[static_cast<std::int64_t>(i) * tokens + j] = sum;
        out[static_cast<std::int64_t>(j) * tokens + i] = sum;
      }
    }
  }
}

/// Packed spins as the caller wants them: a byte each, [heads][tokens], 0 behind `used`.
void unpack(std::int32_t heads, std::int32_t tokens, std::int32_t used, const std::uint64_t* words,
            std::uint8_t* spins) {
  const std::int32_t count = hal::words_per_head(used);
  for (std::int32_t t = 0; t < heads; ++t, words += count) {
    for (std::int32_t i = 0; i < tokens; ++i) {
      const bool on = i < used && ((words[i / 64] >> (i % 64)) & 1U) != 0;
      spins[static_cast<std::int64_t>(t) * tokens + i] = on ? 1 : 0;
    }
  }
}

}  // namespace

Status qama_solver::compile_dense(Worker& worker) const {
  const hal::ProblemShape shape{heads, tokens};
  QAMA_ASSIGN_OR_RETURN(worker.solver, device->compile(shape));
  QAMA_ASSIGN_OR_RETURN(worker.buffer, hal::ProblemBuffer::create(shape));
  return {};
}

/// Spins into worker.words, the energy of the real problem into batch.energy.
Status qama_solver::solve_dense(const Batch& batch, std::int32_t sample, std::int32_t used,
                                const hal::SolveOptions& job, Worker& worker) const {
  if (worker.solver == nullptr) QAMA_RETURN_IF_ERROR(compile_dense(worker));
  const std::int64_t per_sample = static_cast<std::int64_t>(heads) * tokens;
  const float* fields = batch.fields + sample * per_sample;
  const float* couplings = nullptr;
  if (batch.couplings != nullptr) {
    couplings = batch.couplings + sample * per_sample * tokens;
    QAMA_RETURN_IF_ERROR(check_symmetric(heads, tokens, used, couplings));
  } else {
    worker.couplings.resize(static_cast<std::size_t>(per_sample) *
                            static_cast<std::size_t>(tokens));
    build_couplings(heads, tokens, used, batch.rank,
                    batch.factors + sample * per_sample * batch.rank, batch.signs,
                    worker.couplings.data());
    couplings = worker.couplings.data();
  }
  // With fewer tokens the heads are still `tokens` apart in the caller's memory.
  QAMA_RETURN_IF_ERROR(
      worker.buffer.build({heads, used}, couplings, tokens, fields, tokens, batch.lambda, tokens));
  hal::SolveResult result;
  QAMA_RETURN_IF_ERROR(worker.solver->solve(worker.buffer.problem(), job, worker.words, result));
  unpack(heads, tokens, used, worker.words.data(), batch.spins + sample * per_sample);
  if (batch.energy != nullptr) {
    batch.energy[sample] = real_energy(heads, used, tokens, couplings, fields, batch.lambda,
                                       batch.spins + sample * per_sample);
  }
  return {};
}

Status qama_solver::solve_long(const Batch& batch, std::int32_t sample, std::int32_t used,
                               const hal::SolveOptions& job, Worker& worker) const {
  if (worker.factors_rank != batch.rank) {
    QAMA_ASSIGN_OR_RETURN(worker.factors_solver,
                          device->compile({{heads, tokens}, hal::Form::factors, batch.rank}));
    worker.factors_rank = batch.rank;
  }
  const std::int64_t per_sample = static_cast<std::int64_t>(heads) * tokens;
  const std::int64_t rank = batch.rank;
  hal::FactorsView problem;
  problem.shape = {heads, used};
  problem.rank = batch.rank;
  problem.right = batch.factors + sample * per_sample * rank;
  problem.fields = batch.fields + sample * per_sample;
  problem.penalty = batch.lambda;
  if (heads > 1 && used < tokens) {
    // A problem's heads lie one behind the other.
    worker.right.resize(static_cast<std::size_t>(per_sample * rank));
    worker.fields.resize(static_cast<std::size_t>(per_sample));
    for (std::int64_t t = 0; t < heads; ++t) {
      std::copy_n(problem.right + t * tokens * rank, used * rank,
                  worker.right.data() + t * used * rank);
      std::copy_n(problem.fields + t * tokens, used, worker.fields.data() + t * used);
    }
    problem.right = worker.right.data();
    problem.fields = worker.fields.data();
  }
  problem.left = problem.right;
  if (std::any_of(batch.signs, batch.signs + heads * rank,
                  [](float sign) { return sign != 1.0F; })) {
    worker.left.resize(static_cast<std::size_t>(per_sample * rank));
    for (std::int64_t t = 0; t < heads; ++t) {
      for (std::int64_t k = t * used * rank; k < (t + 1) * used * rank; ++k) {
        worker.left[static_cast<std::size_t>(k)] =
            problem.right[k] * batch.signs[t * rank + k % rank];
      }
    }
    problem.left = worker.left.data();
  }
  hal::SolveResult result;
  QAMA_RETURN_IF_ERROR(worker.factors_solver->solve(problem, job, worker.words, result));
  unpack(heads, tokens, used, worker.words.data(), batch.spins + sample * per_sample);
  if (batch.energy != nullptr) batch.energy[sample] = hal::energy_of(problem, worker.words);
  return {};
}

Status qama_solver::solve_sample(const Batch& batch, std::int32_t sample, Worker& worker) const {
  const std::int32_t used = batch.count != nullptr ? batch.count[sample] : tokens;
  if (used < 1 || used > tokens) {
    return Error{ErrorCode::invalid_argument, "sample " + std::to_string(sample) + ": " +
                                                  std::to_string(used) + " tokens, expected 1 to " +
                                                  std::to_string(tokens)};
  }
  hal::SolveOptions job = options;
  job.seed = qama::solve_seed(options.seed, batch.seed, sample);
  // As sessions do it: the sample's own tokens decide.
  const hal::Form form = hal::choose_form({.shape = {heads, used},
                                           .rank = batch.factors != nullptr ? batch.rank : 0,
                                           .restarts = options.schedule.restarts,
                                           .schedule = options.schedule,
                                           .forms = device->forms()});
  return form == hal::Form::factors ? solve_long(batch, sample, used, job, worker)
                                    : solve_dense(batch, sample, used, job, worker);
}

Status qama_solver::run(Batch batch, std::int32_t samples) {
  if (has_threads && made_in.is_other()) return made_in.error("the solver");
  if (samples < 0) {
    return qama::make_error(ErrorCode::invalid_argument, "a batch of ", samples,
                            ", expected 0 or more");
  }
  if (!(batch.lambda >= 0) || !std::isfinite(batch.lambda)) {
    return qama::make_error(ErrorCode::problem_bad_value, "lambda is ", batch.lambda,
                            ", expected a finite number of 0 or more");
  }
  batch.self = this;
  for (Worker& worker : workers) worker.status = Status{};
  pool->run(
      samples,
      [](void* context, std::int32_t sample, std::int32_t index) {
        const auto& job = *static_cast<const Batch*>(context);
        Worker& worker = job.self->workers[static_cast<std::size_t>(index)];
        if (!worker.status.ok()) return;
        try {
          worker.status = job.self->solve_sample(job, sample, worker);
        } catch (...) {
          worker.status = Error{ErrorCode::out_of_memory, "no memory left"};
        }
      },
      &batch);
  for (Worker& worker : workers) QAMA_RETURN_IF_ERROR(std::move(worker.status));
  return {};
}

extern "C" {

void qama_solver_options_init_size(qama_solver_options* options, size_t struct_size) {
  if (options == nullptr) return;
  qama_solver_options defaults{};
  defaults.struct_size = static_cast<uint32_t>(std::min(struct_size, sizeof defaults));
  defaults.threads = 1;
  defaults.seed = 1;
  defaults.sweeps = 20;
  defaults.restarts = 1;
  std::memcpy(options, &defaults, defaults.struct_size);
}

void(qama_solver_options_init)(qama_solver_options* options) {
  qama_solver_options_init_size(options, offsetof(qama_solver_options, rounds));
}

qama_status qama_solver_create(const char* uri, int32_t heads, int32_t tokens,
                               const qama_solver_options* options, qama_solver** out) {
  return qama::runtime::guarded([&]() -> Status {
    if (out == nullptr) return Error{ErrorCode::invalid_argument, "'out' is NULL"};
    *out = nullptr;
    qama_solver_options chosen;
    qama_solver_options_init(&chosen);
    if (options != nullptr) {
      // Up to t_end is what the first version had; what an older header does not know keeps its
      // default.
      if (options->struct_size < offsetof(qama_solver_options, rounds) ||
          options->struct_size > qama::runtime::kMostStructBytes) {
        return Error{ErrorCode::invalid_argument,
                     "struct_size is " + std::to_string(options->struct_size) + ", expected " +
                         std::to_string(sizeof(qama_solver_options)) +
                         ": call qama_solver_options_init first"};
      }
      std::memcpy(&chosen, options, std::min<std::size_t>(options->struct_size, sizeof chosen));
    }
    if (chosen.threads < 0 || chosen.threads > 1024) {
      return Error{ErrorCode::invalid_argument,
                   std::to_string(chosen.threads) + " threads, expected 0 to 1024"};
    }
    if (chosen.start < 0 || chosen.start > static_cast<std::int32_t>(hal::StartKind::mixed)) {
      return Error{ErrorCode::invalid_argument,
                   "start " + std::to_string(chosen.start) + ", expected 0 to 2"};
    }
    auto solver = std::make_unique<qama_solver>();
    solver->heads = heads;
    solver->tokens = tokens;
    solver->options.seed = chosen.seed;
    solver->options.schedule.sweeps = chosen.sweeps;
    solver->options.schedule.restarts = chosen.restarts;
    // 0 is the default; everything else, what is no number too, has to pass validate().
    if (chosen.t_start != 0) solver->options.schedule.t_start = chosen.t_start;
    if (chosen.t_end != 0) solver->options.schedule.t_end = chosen.t_end;
    solver->options.schedule.rounds = chosen.rounds;
    if (chosen.round_sweeps != 0) solver->options.schedule.round_sweeps = chosen.round_sweeps;
    if (chosen.t_round != 0) solver->options.schedule.t_round = chosen.t_round;
    solver->options.schedule.start = static_cast<hal::StartKind>(chosen.start);
    QAMA_RETURN_IF_ERROR(hal::validate(solver->options.schedule));
    QAMA_ASSIGN_OR_RETURN(solver->device, hal::open_device(uri == nullptr ? "cpu:" : uri));
    const auto threads = static_cast<std::size_t>(std::max(1, chosen.threads));
    // Whoever has long heads may never want a solver with N x N integers a head: it is made when a
    // problem needs it.
    const hal::Workload most{{heads, tokens}, hal::Form::factors, hal::kMaxRankLimit};
    solver->long_heads = tokens >= hal::first_factors_tokens(heads, hal::kMaxRankLimit,
                                                             solver->options.schedule.rounds) &&
                         solver->device->supports(most).ok();
    for (std::size_t k = 0; k < threads; ++k) {
      qama_solver::Worker worker;
      if (!solver->long_heads) QAMA_RETURN_IF_ERROR(solver->compile_dense(worker));
      worker.words.resize(static_cast<std::size_t>(heads) * hal::words_per_head(tokens));
      solver->workers.push_back(std::move(worker));
    }
    QAMA_ASSIGN_OR_RETURN(solver->pool,
                          qama::platform::ThreadPool::create(static_cast<std::int32_t>(threads)));
    solver->has_threads =
        threads > 1 || !std::string_view(uri == nullptr ? "cpu:" : uri).starts_with("cpu:");
    *out = solver.release();
    return {};
  });
}

void qama_solver_destroy(qama_solver* solver) {
  // What the threads of another process hold cannot be taken back here: it stays as it is.
  if (solver != nullptr && solver->has_threads && solver->made_in.is_other()) return;
  delete solver;
}

qama_status qama_solver_solve_f32(qama_solver* solver, int32_t batch, const float* J,
                                  const float* field, float lambda, const int32_t* count,
                                  uint64_t seed, uint8_t* spins, double* energy) {
  return qama::runtime::guarded([&]() -> Status {
    if (solver == nullptr || J == nullptr || field == nullptr || spins == nullptr) {
      return Error{ErrorCode::invalid_argument, "solver, J, field or spins is NULL"};
    }
    return solver->run({nullptr, J, nullptr, nullptr, 0, field, lambda, count, seed, spins, energy},
                       batch);
  });
}

qama_status qama_solver_solve_factors_f32(qama_solver* solver, int32_t batch, int32_t rank,
                                          const float* factors, const float* signs,
                                          const float* field, float lambda, const int32_t* count,
                                          uint64_t seed, uint8_t* spins, double* energy) {
  return qama::runtime::guarded([&]() -> Status {
    if (solver == nullptr || factors == nullptr || signs == nullptr || field == nullptr ||
        spins == nullptr) {
      return Error{ErrorCode::invalid_argument, "solver, factors, signs, field or spins is NULL"};
    }
    if (rank < 1 || rank > 65536) {
      return Error{ErrorCode::invalid_argument,
                   "factors of rank " + std::to_string(rank) + ", expected 1 to 65536"};
    }
    return solver->run(
        {nullptr, nullptr, factors, signs, rank, field, lambda, count, seed, spins, energy}, batch);
  });
}
}
