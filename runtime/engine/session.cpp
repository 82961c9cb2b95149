#include "runtime/engine/session.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cmath>
#include <limits>
#include <new>
#include <vector>

#include "hal/base/aligned.h"
#include "hal/platform/process.h"
#include "hal/platform/thread_pool.h"
#include "hal/reopen.h"
#include "runtime/engine/pipeline.h"
#include "runtime/engine/profiler.h"

namespace qama::runtime {
namespace {

Error bad_count(const char* what, std::size_t got, std::size_t expected) {
  return {ErrorCode::invalid_argument, std::string(what) + ": " + std::to_string(got) +
                                           " elements, expected " + std::to_string(expected)};
}

constexpr std::string_view kLocalDevice = "cpu:";
/// Longer than a step that one thread does alone.
constexpr std::chrono::microseconds kBetweenSteps(200);
constexpr std::int64_t kLongestDeadlineUs = std::int64_t{1} << 40;  // twelve days

/// The first of `values` that is not a finite number, or their count. One pass over the bits, which
/// the compiler vectorises, finds that there is none.
std::size_t first_not_finite(std::span<const float> values) noexcept {
  constexpr std::uint32_t kExponent = 0x7F800000U;
  std::uint32_t any = 0;
  for (const float value : values) {
    any |= (std::bit_cast<std::uint32_t>(value) & kExponent) == kExponent ? 1U : 0U;
  }
  if (any == 0) return values.size();
  const auto found = std::find_if_not(values.begin(), values.end(),
                                      [](float value) { return std::isfinite(value); });
  return static_cast<std::size_t>(found - values.begin());
}

/// A sample on its way through the steps, which may stop at one that waits for a device.
struct Flight {
  SampleRun run;
  std::size_t step = 0;
  std::int64_t start_ns = 0;       ///< of the sample
  std::int64_t step_start_ns = 0;  ///< of the step that waits
  std::uint64_t ticket = 0;  ///< rises with every wait: the lowest waits longest; 0: lane is free
};

}  // namespace

std::string_view name_of(FallbackPolicy policy) noexcept {
  return hal::fallback_policy_name(policy);
}

Result<FallbackPolicy> parse_fallback(std::string_view text) {
  return hal::parse_fallback_policy(text);
}

struct Session::Impl {
  std::shared_ptr<const Plan> plan;
  std::shared_ptr<hal::Device> device;
  SolveSettings settings;
  std::int64_t deadline_us = 0;
  AlignedBuffer<std::byte> own_arena;
  std::vector<std::unique_ptr<hal::Solver>> solvers;          // one a worker
  std::vector<std::unique_ptr<hal::Solver>> factors_solvers;  // one a worker, or none
  std::vector<Lane> lanes;                                    // [threads][in_flight]
  std::vector<Flight> flights;                                // one a lane
  std::int32_t in_flight = 1;                                 // what the device holds of the plan's
  std::unique_ptr<platform::ThreadPool> pool;
  std::vector<std::unique_ptr<platform::ThreadPool>> teams;  // one a worker
  platform::ProcessMark made_in;  // threads and connections do not follow a fork
  bool has_threads = false;
  std::atomic<std::int32_t> next_sample{0};  // of a run with several in flight

  // What the last run left; one entry a sample, of which it had `samples`.
  std::int32_t samples = 0;
  std::vector<LayerSolve> solves;
  std::vector<double> latency_us;
  std::vector<Status> statuses;

  /// The run in progress. What the samples are is asked once, by the run_* function that knows.
  struct Batch {
    const std::uint8_t* pixels = nullptr;
    const float* floats = nullptr;
    const std::int32_t* tokens = nullptr;
    const std::int32_t* lengths = nullptr;
    /// Gives `run` the input of sample `s`.
    void (*place)(const Batch& batch, const Model& model, std::size_t s, SampleRun& run) = nullptr;
    float* logits = nullptr;
    const RunOptions* options = nullptr;
    std::int32_t count = 0;
  } batch;

  Status open_devices(const SessionOptions& options);
  Status make_lanes(std::span<std::byte> arena);
  Status start(std::int32_t count, std::span<float> logits, const RunOptions& options, bool fits,
               std::string_view what);
  Status run(std::int32_t count);
  void run_sample(std::int32_t sample, std::int32_t worker) noexcept;
  void run_interleaved(std::int32_t worker) noexcept;
  void begin(Flight& flight, std::int32_t sample, std::int32_t worker) noexcept;
  bool advance(Flight& flight) noexcept;
  Status run_steps(Flight& flight) const;
  Status check_input(const SampleRun& run) const;
  Status check_logits(const SampleRun& run) const;
};

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() {
  // What the threads of another process hold cannot be taken back here: it stays as it is.
  if (impl_ != nullptr && impl_->has_threads && impl_->made_in.is_other()) {
    static_cast<void>(impl_.release());
  }
}

const Plan& Session::plan() const noexcept {
  return *impl_->plan;
}
const hal::Device* Session::device() const noexcept {
  return impl_->device.get();
}
std::uint64_t Session::seed() const noexcept {
  return impl_->settings.seed;
}
std::span<const hal::Schedule> Session::schedules() const noexcept {
  return impl_->settings.layers;
}

std::int32_t Session::samples() const noexcept {
  return impl_->samples;
}

std::span<const LayerSolve> Session::solves(std::int32_t sample) const noexcept {
  const auto layers = static_cast<std::size_t>(impl_->plan->qama_layers());
  if (sample < 0 || sample >= impl_->samples) return {};
  return {impl_->solves.data() + static_cast<std::size_t>(sample) * layers, layers};
}

double Session::latency_us(std::int32_t sample) const noexcept {
  if (sample < 0 || sample >= impl_->samples) return 0;
  return impl_->latency_us[static_cast<std::size_t>(sample)];
}

// ---- creation -----------------------------------------------------------------------------------

Result<std::unique_ptr<Session>> Session::create(std::shared_ptr<const Model> model,
                                                 const SessionOptions& options) {
  QAMA_ASSIGN_OR_RETURN(
      auto plan,
      Plan::create(std::move(model), {options.max_batch, options.threads, options.in_flight,
                                      hal::forms_of(options.device).has(hal::Form::factors),
                                      options.sample_threads}));
  return create(std::move(plan), options);
}

Result<std::unique_ptr<Session>> Session::create(std::shared_ptr<const Plan> plan,
                                                 const SessionOptions& options) {
  QAMA_RETURN_IF_ERROR(plan->model().file().unchanged());
  const std::size_t needed = plan->arena_bytes();
  if (!options.arena.empty()) {
    if (options.arena.size() < needed) {
      return Error{ErrorCode::arena_too_small, "an arena of " +
                                                   std::to_string(options.arena.size()) +
                                                   " bytes, expected " + std::to_string(needed)};
    }
    if (reinterpret_cast<std::uintptr_t>(options.arena.data()) % kAlignment != 0) {
      return Error{ErrorCode::invalid_argument,
                   "the arena's address is no multiple of " + std::to_string(kAlignment)};
    }
  }
  if (options.deadline_us < 0) {
    return Error{
        ErrorCode::invalid_argument,
        "a deadline of " + std::to_string(options.deadline_us) + " us, expected at least 0"};
  }
  QAMA_RETURN_IF_ERROR(hal::validate(options.schedule.apply({})));
  try {
    auto impl = std::make_unique<Impl>();
    impl->plan = std::move(plan);
    const weights::Architecture& architecture = impl->plan->model().architecture();
    impl->settings.seed = options.seed.value_or(architecture.attention.seed);
    for (const std::int32_t block : impl->plan->qama_blocks()) {
      const hal::Schedule schedule = options.schedule.apply(architecture.anneal_of(block));
      QAMA_RETURN_IF_ERROR(hal::validate(schedule));
      impl->settings.layers.push_back(schedule);
    }
    // A longer one is as good as this one, and would not fit into nanoseconds.
    impl->deadline_us = std::min(options.deadline_us, kLongestDeadlineUs);

    const auto batch = static_cast<std::size_t>(impl->plan->options().max_batch);
    impl->solves.resize(batch * static_cast<std::size_t>(impl->plan->qama_layers()));
    impl->latency_us.resize(batch);
    impl->statuses.resize(batch);
    if (impl->plan->qama_layers() > 0) {
      QAMA_RETURN_IF_ERROR(impl->open_devices(options));
    } else {
      QAMA_RETURN_IF_ERROR(hal::check_unused_device(options.device));
    }
    std::span<std::byte> arena = options.arena;
    if (arena.empty()) {
      impl->own_arena.resize(needed);
      arena = impl->own_arena.span();
    }
    QAMA_RETURN_IF_ERROR(impl->make_lanes(arena));
    QAMA_ASSIGN_OR_RETURN(impl->pool, platform::ThreadPool::create(impl->plan->options().threads));
    for (std::int32_t worker = 0; worker < impl->plan->options().threads; ++worker) {
      QAMA_ASSIGN_OR_RETURN(
          impl->teams.emplace_back(),
          platform::ThreadPool::create(impl->plan->options().sample_threads, kBetweenSteps));
    }
    impl->has_threads = impl->pool->threads() > 1 || impl->plan->options().sample_threads > 1 ||
                        (impl->device != nullptr && !options.device.starts_with(kLocalDevice));
    return std::unique_ptr<Session>(new Session(std::move(impl)));
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::out_of_memory, "not enough memory for a session with an arena of " +
                                               std::to_string(needed) + " bytes"};
  }
}

Status Session::Impl::open_devices(const SessionOptions& options) {
  // The annealer is always at hand; falling back from it to itself would only hide an error.
  const bool local = options.device.starts_with(kLocalDevice);
  if (plan->uses_factors() && !hal::forms_of(options.device).has(hal::Form::factors)) {
    return Error{ErrorCode::unsupported, "the plan has long heads as factors, which device '" +
                                             options.device +
                                             "' does not take: expected a plan without factors"};
  }
  if (options.fallback == FallbackPolicy::never || local) {
    QAMA_ASSIGN_OR_RETURN(device, hal::open_device(options.device));
  } else {
    QAMA_ASSIGN_OR_RETURN(device, hal::open_device_or_retry(options.device));
    QAMA_ASSIGN_OR_RETURN(auto annealer, hal::open_device(kLocalDevice));
    hal::FallbackOptions schedule;
    schedule.policy = options.fallback;
    QAMA_ASSIGN_OR_RETURN(device,
                          hal::with_fallback(std::move(device), std::move(annealer), schedule));
  }
  return device->supports(plan->pipeline().dense_shape);
}

Status Session::Impl::make_lanes(std::span<std::byte> arena) {
  const Pipeline& p = plan->pipeline();
  const auto workers = static_cast<std::size_t>(plan->options().threads);
  const auto lanes_a_worker = static_cast<std::size_t>(plan->options().in_flight);
  lanes.resize(workers * lanes_a_worker);
  flights.resize(lanes.size());
  in_flight = plan->options().in_flight;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    Lane& lane = lanes[i];
    std::byte* base = arena.data() + i * p.lane_bytes;
    lane.regions.reserve(p.offsets.size());
    for (const std::size_t offset : p.offsets) lane.regions.push_back(base + offset);
    lane.linears.resize(p.linear_steps.size());
    for (const LinearStep* step : p.linear_steps) QAMA_RETURN_IF_ERROR(step->bind(lane));
    if (device == nullptr) continue;
    if (i % lanes_a_worker == 0) {
      QAMA_ASSIGN_OR_RETURN(auto solver, device->compile(p.dense_shape));
      in_flight = std::min(in_flight, solver->max_in_flight());
      solvers.push_back(std::move(solver));
      if (plan->uses_factors()) {
        QAMA_ASSIGN_OR_RETURN(
            auto factors_solver,
            device->compile({p.factors_shape, hal::Form::factors, p.factors_rank}));
        factors_solvers.push_back(std::move(factors_solver));
      }
    }
    lane.solver = solvers.back().get();
    if (!factors_solvers.empty()) lane.factors_solver = factors_solvers.back().get();
    lane.slot = static_cast<std::int32_t>(i % lanes_a_worker);
  }
  return {};
}

// ---- running ------------------------------------------------------------------------------------

/// What is common to all inputs: checks the arguments and remembers them. `fits`: the model takes
/// the input, which is `what`.
Status Session::Impl::start(std::int32_t count, std::span<float> logits, const RunOptions& options,
                            bool fits, std::string_view what) {
  if (has_threads && made_in.is_other()) return made_in.error("the session");
  const weights::Architecture& a = plan->model().architecture();
  if (!fits) {
    return Error{ErrorCode::model_wrong_kind, std::string(what) + " for a model that classifies " +
                                                  std::string(plan->model().takes())};
  }
  if (count < 1 || count > plan->options().max_batch) {
    return Error{ErrorCode::invalid_argument, "a batch of " + std::to_string(count) +
                                                  " samples, expected 1 to " +
                                                  std::to_string(plan->options().max_batch)};
  }
  const auto n = static_cast<std::size_t>(count);
  if (logits.size() != n * static_cast<std::size_t>(a.classes)) {
    return bad_count("logits", logits.size(), n * static_cast<std::size_t>(a.classes));
  }
  if (!options.indices.empty() && options.indices.size() != n) {
    return bad_count("sample indices", options.indices.size(), n);
  }
  const Hooks& hooks = options.hooks;
  if (hooks.profiler != nullptr && hooks.profiler->steps() != plan->steps().size()) {
    return bad_count("the profiler's steps", hooks.profiler->steps(), plan->steps().size());
  }
  if (hooks.forced_spins.size() > static_cast<std::size_t>(plan->qama_layers())) {
    return bad_count("layers of forced spins", hooks.forced_spins.size(),
                     static_cast<std::size_t>(plan->qama_layers()));
  }
  const std::size_t spins =
      n * static_cast<std::size_t>(a.heads) * static_cast<std::size_t>(a.spins_per_head());
  for (const auto& layer : hooks.forced_spins) {
    if (!layer.empty() && layer.size() != spins)
      return bad_count("forced spins", layer.size(), spins);
  }
  batch = {};
  batch.logits = logits.data();
  batch.options = &options;
  return {};
}

Status Session::Impl::run(std::int32_t count) {
  const Hooks& hooks = batch.options->hooks;
  samples = count;
  if (hooks.recorder != nullptr || hooks.problems != nullptr) {
    for (std::int32_t sample = 0; sample < count; ++sample) run_sample(sample, 0);
  } else if (in_flight > 1 && count > 1 && device != nullptr) {
    batch.count = count;
    next_sample = 0;
    pool->run(
        pool->threads(),
        [](void* context, std::int32_t /*index*/, std::int32_t worker) {
          static_cast<Impl*>(context)->run_interleaved(worker);
        },
        this);
  } else {
    pool->run(
        count,
        [](void* context, std::int32_t sample, std::int32_t worker) {
          static_cast<Impl*>(context)->run_sample(sample, worker);
        },
        this);
  }
  for (std::int32_t sample = 0; sample < count; ++sample) {
    Status& status = statuses[static_cast<std::size_t>(sample)];
    if (!status.ok()) return std::move(status);
  }
  return {};
}

void Session::Impl::run_sample(std::int32_t sample, std::int32_t worker) noexcept {
  Flight& flight = flights[static_cast<std::size_t>(worker * plan->options().in_flight)];
  begin(flight, sample, worker);
  while (!advance(flight)) {
  }
}

/// Keeps up to in_flight samples on their way: whatever need not wait is done while the device
/// solves.
void Session::Impl::run_interleaved(std::int32_t worker) noexcept {
  const std::span<Flight> mine =
      std::span(flights).subspan(static_cast<std::size_t>(worker * plan->options().in_flight),
                                 static_cast<std::size_t>(in_flight));
  for (Flight& flight : mine) flight.ticket = 0;
  std::uint64_t last_ticket = 0;
  bool more = true;
  while (true) {
    Flight* oldest = nullptr;
    for (Flight& flight : mine) {
      if (flight.ticket == 0 && more) {
        const std::int32_t sample = next_sample.fetch_add(1);
        more = sample < batch.count;
        if (more) {
          begin(flight, sample, worker);
          if (!advance(flight)) flight.ticket = ++last_ticket;
        }
      }
      if (flight.ticket != 0 && (oldest == nullptr || flight.ticket < oldest->ticket))
        oldest = &flight;
    }
    if (oldest != nullptr) {
      oldest->ticket = advance(*oldest) ? 0 : ++last_ticket;
    } else if (!more) {
      return;
    }
  }
}

void Session::Impl::begin(Flight& flight, std::int32_t sample, std::int32_t worker) noexcept {
  const auto s = static_cast<std::size_t>(sample);
  const weights::Architecture& a = plan->model().architecture();
  const Pipeline& p = plan->pipeline();
  const RunOptions& options = *batch.options;
  flight.start_ns = now_ns();
  flight.step = 0;

  SampleRun& run = flight.run;
  run = {};
  run.lane = &lanes[static_cast<std::size_t>(&flight - flights.data())];
  run.settings = &settings;
  run.hooks = &options.hooks;
  run.team = teams[static_cast<std::size_t>(worker)].get();
  run.solves = solves.data() + s * p.qama_blocks.size();
  std::fill_n(run.solves, p.qama_blocks.size(), LayerSolve{});
  run.sample = sample;
  run.index = options.indices.empty() ? options.first_sample + s : options.indices[s];
  run.logits = batch.logits + s * static_cast<std::size_t>(a.classes);
  run.deadline_ns = deadline_us > 0 ? flight.start_ns + deadline_us * 1000 : 0;
  run.count = a.tokens();
  batch.place(batch, plan->model(), s, run);
  while (p.rows[run.variant] < run.count) ++run.variant;
  run.rows = p.rows[run.variant];
  if (options.hooks.profiler != nullptr) options.hooks.profiler->worker(sample) = worker;
}

/// Goes on with the sample until it waits for the device (false) or is done (true).
bool Session::Impl::advance(Flight& flight) noexcept {
  SampleRun& run = flight.run;
  Status status;
  try {
    status = run_steps(flight);
  } catch (const std::bad_alloc&) {
    // Only a hook or the wording of an error allocates.
    run.waiting = false;
    status = Error{ErrorCode::out_of_memory, {}};
  }
  if (run.waiting) return false;
  const auto s = static_cast<std::size_t>(run.sample);
  if (!status.ok()) {
    std::fill_n(run.logits, plan->model().architecture().classes,
                std::numeric_limits<float>::quiet_NaN());
  }
  statuses[s] = std::move(status);
  latency_us[s] = static_cast<double>(now_ns() - flight.start_ns) * 1e-3;
  return true;
}

Status Session::Impl::run_steps(Flight& flight) const {
  const Pipeline& p = plan->pipeline();
  SampleRun& run = flight.run;
  Profiler* const profiler = run.hooks->profiler;
  Recorder* const recorder = run.hooks->recorder;
  if (flight.step == 0 && run.floats != nullptr) QAMA_RETURN_IF_ERROR(check_input(run));
  for (std::size_t& i = flight.step; i < p.steps.size(); ++i) {
    const Step& step = *p.steps[i];
    if (run.waiting) {
      run.waiting = false;
      QAMA_RETURN_IF_ERROR(step.finish(run));
    } else {
      flight.step_start_ns = profiler != nullptr ? now_ns() : 0;
      QAMA_RETURN_IF_ERROR(step.run(run));
      if (run.waiting) return {};
    }
    if (profiler != nullptr) {
      profiler->row(run.sample)[i] = {flight.step_start_ns, now_ns() - flight.step_start_ns};
    }
    if (recorder == nullptr) continue;
    for (const Tap& tap : step.taps) {
      float* values = tap.region.in(*run.lane);
      const std::int64_t all = tap.per_token ? p.rows.back() * tap.dim : tap.dim;
      // Rows behind a shorter text are of no sample; the file format has zeros there.
      if (tap.per_token) std::fill(values + run.count * tap.dim, values + all, 0.0F);
      recorder->tensor(tap.name, run.sample, {values, static_cast<std::size_t>(all)});
    }
  }
  return check_logits(run);
}

Status Session::Impl::check_input(const SampleRun& run) const {
  const std::span<const float> input(run.floats, plan->model().input_floats());
  const std::size_t bad = first_not_finite(input);
  if (bad == input.size()) return {};
  return Error{ErrorCode::problem_bad_value,
               "sample " + std::to_string(run.sample) + ": input " + std::to_string(bad) + " is " +
                   std::to_string(input[bad]) + ", expected a finite number"};
}

Status Session::Impl::check_logits(const SampleRun& run) const {
  const std::span<const float> logits(
      run.logits, static_cast<std::size_t>(plan->model().architecture().classes));
  const std::size_t bad = first_not_finite(logits);
  if (bad == logits.size()) return {};
  return Error{ErrorCode::problem_bad_value,
               "sample " + std::to_string(run.sample) + ": logit " + std::to_string(bad) + " is " +
                   std::to_string(logits[bad]) +
                   ", expected a finite number: the input or the weights are out of range"};
}

Status Session::run_u8(std::span<const std::uint8_t> pixels, std::int32_t count,
                       std::span<float> logits, const RunOptions& options) {
  QAMA_RETURN_IF_ERROR(
      impl_->start(count, logits, options, model().architecture().is_image(), "pixels"));
  const std::size_t expected = static_cast<std::size_t>(count) * model().input_pixels();
  if (pixels.size() != expected) return bad_count("pixels", pixels.size(), expected);
  impl_->batch.pixels = pixels.data();
  impl_->batch.place = [](const Impl::Batch& batch, const Model& m, std::size_t s, SampleRun& run) {
    run.pixels = batch.pixels + s * m.input_pixels();
  };
  return impl_->run(count);
}

Status Session::run_f32(std::span<const float> input, std::int32_t count, std::span<float> logits,
                        const RunOptions& options) {
  QAMA_RETURN_IF_ERROR(
      impl_->start(count, logits, options, !model().architecture().is_text(), "floats"));
  const std::size_t expected = static_cast<std::size_t>(count) * model().input_floats();
  if (input.size() != expected) return bad_count("input", input.size(), expected);
  impl_->batch.floats = input.data();
  impl_->batch.place = [](const Impl::Batch& batch, const Model& m, std::size_t s, SampleRun& run) {
    run.floats = batch.floats + s * m.input_floats();
  };
  return impl_->run(count);
}

Status Session::run_tokens(std::span<const std::int32_t> tokens,
                           std::span<const std::int32_t> lengths, std::span<float> logits,
                           const RunOptions& options) {
  const weights::Architecture& a = model().architecture();
  const auto n = static_cast<std::size_t>(a.max_tokens);
  const std::size_t limit = static_cast<std::size_t>(impl_->plan->options().max_batch);
  const auto count = static_cast<std::int32_t>(std::min(lengths.size(), limit + 1));
  QAMA_RETURN_IF_ERROR(impl_->start(count, logits, options, a.is_text(), "tokens"));
  if (tokens.size() != lengths.size() * n) {
    return bad_count("tokens", tokens.size(), lengths.size() * n);
  }
  for (std::size_t s = 0; s < lengths.size(); ++s) {
    if (lengths[s] < 1 || lengths[s] > a.max_tokens) {
      return Error{ErrorCode::invalid_argument,
                   "text " + std::to_string(s) + " has " + std::to_string(lengths[s]) +
                       " tokens, expected 1 to " + std::to_string(a.max_tokens)};
    }
    for (std::size_t i = 0; i < static_cast<std::size_t>(lengths[s]); ++i) {
      const std::int32_t id = tokens[s * n + i];
      if (id < 0 || id >= a.vocabulary) {
        return Error{ErrorCode::index_out_of_range, "text " + std::to_string(s) + ", token " +
                                                        std::to_string(i) + ": id " +
                                                        std::to_string(id) + ", expected 0 to " +
                                                        std::to_string(a.vocabulary - 1)};
      }
    }
  }
  impl_->batch.tokens = tokens.data();
  impl_->batch.lengths = lengths.data();
  impl_->batch.place = [](const Impl::Batch& batch, const Model& m, std::size_t s, SampleRun& run) {
    run.tokens = batch.tokens + s * static_cast<std::size_t>(m.architecture().max_tokens);
    run.count = batch.lengths[s];
  };
  return impl_->run(count);
}

}  // namespace qama::runtime
