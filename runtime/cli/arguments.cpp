#include "runtime/cli/arguments.h"

#include "hal/base/quote.h"
#include "hal/fallback.h"
#include "hal/platform/file.h"
#include "hal/reopen.h"
#include "runtime/cli/numbers.h"
#include "runtime/cli/report.h"
#include "runtime/engine/pipeline.h"
#include "weights/architecture.h"

namespace qama::cli {
namespace {

/// Devices that solve in this process.
bool is_local(std::string_view uri) noexcept {
  return uri.starts_with("cpu:") || uri.starts_with("exact:") || uri.starts_with("published:");
}

}  // namespace

void declare_model(CLI::App& app, std::string& path, weights::ModelOptions& options) {
  app.add_option("-m,--model", path, "Use this model file.")->required()->type_name("MODEL");
  declare_trust(app, options);
}

void declare_trust(CLI::App& app, weights::ModelOptions& options) {
  app.add_option("--trust", options.trust,
                 "Refuse a model that the owner of this public key did not sign (`qama sign`).")
      ->type_name("FILE");
}

void ReadingArguments::declare(CLI::App& app) {
  app.add_option("--format", format,
                 "Read the file in this format; by default, its name and content decide.")
      ->type_name("NAME")
      ->check(CLI::IsMember(hal::problem_format_names(), CLI::ignore_case));
  app.add_flag("--maximise", maximise,
               "Look for the largest value of a qubo or an ising, not the smallest.");
  app.add_flag("--symmetric", symmetric,
               "Take i j and j i as one entry of a symmetric matrix, given once or twice: of a "
               "qubo x^T Q x it counts twice, of a graph or an ising once.");
}

void declare_device(CLI::App& app, std::string& device) {
  app.add_option("--device", device,
                 "Solve on this device: cpu:, cpu:KERNEL, exact:, cim://HOST:PORT, ... `qama "
                 "devices` lists those of this machine.")
      ->type_name("URI")
      ->capture_default_str();
}

void declare_threads(CLI::App& app, std::int32_t& threads) {
  app.add_option("--threads", threads, "Use N worker threads.")
      ->type_name("N")
      ->check(CLI::Range(1, runtime::kMaxThreads))
      ->capture_default_str();
}

void declare_seed(CLI::App& app, std::optional<std::uint64_t>& seed, const char* default_text) {
  app.add_option("--seed", seed, "Seed the annealer: the same seed gives the same answer.")
      ->type_name("N")
      ->check(zero_or_more())
      ->default_str(default_text);
}

void RunArguments::declare(CLI::App& app) {
  declare_device(app, device);
  declare_without_device(app);
}

void RunArguments::declare_without_device(CLI::App& app) {
  declare_threads(app, threads);
  declare_the_rest(app);
}

void RunArguments::declare_the_rest(CLI::App& app) {
  app.add_option("--sample-threads", sample_threads,
                 "Let N threads work on each sample together, in each worker: for a single sample "
                 "of a large model.")
      ->type_name("N")
      ->check(CLI::Range(1, runtime::kMaxThreads))
      ->capture_default_str();
  declare_seed(app, seed, "the model's");
  app.add_option("--fallback", fallback,
                 "Say when the CPU takes over from the device: never; error, if the device fails "
                 "or is down; deadline, if it would be late; hedge, as soon as it is late (both "
                 "solve, and the first answer counts).")
      ->check(CLI::IsMember({"never", "error", "deadline", "hedge"}))
      ->type_name("WHEN")
      ->capture_default_str();
  app.add_option("--deadline-us", deadline_us,
                 "Limit the time for a sample to N microseconds; 0 is no limit.")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 40))
      ->capture_default_str();
  app.add_option("--sweeps", schedule.sweeps,
                 "Let the annealer do N sweeps in each restart; 0 only descends.")
      ->type_name("N")
      ->check(CLI::Range(0, hal::kMaxSweeps))
      ->default_str("the model's");
  app.add_option("--restarts", schedule.restarts,
                 "Start each solve N times and keep the best answer.")
      ->type_name("N")
      ->check(CLI::Range(1, hal::kMaxRestarts))
      ->default_str("the model's");
  app.add_option("--rounds", schedule.rounds,
                 "After the restarts, anneal N groups of four again from the best answer so far.")
      ->type_name("N")
      ->check(CLI::Range(0, hal::kMaxRestarts))
      ->default_str("the model's");
  app.add_option("--round-sweeps", schedule.round_sweeps, "Let each round do N sweeps.")
      ->type_name("N")
      ->check(CLI::Range(0, hal::kMaxSweeps))
      ->default_str("the model's");
  app.add_option("--in-flight", in_flight,
                 "Let each thread have N samples of a batch on their way at once; more than 1 "
                 "helps if the device is far away.")
      ->type_name("N")
      ->check(CLI::Range(1, runtime::kMaxInFlight))
      ->default_str("1; 4 for a device over a network");
}

std::int32_t RunArguments::in_flight_for(std::string_view uri) const noexcept {
  constexpr std::int32_t kFarInFlight = 4;
  if (in_flight > 0) return in_flight;
  return is_local(uri) ? 1 : kFarInFlight;
}

bool RunArguments::local() const noexcept {
  return is_local(device);
}

Result<std::unique_ptr<runtime::Session>> RunArguments::open(
    std::shared_ptr<const runtime::Model> model, const std::string& model_path,
    std::int32_t max_batch, const Console& console) const {
  const std::int32_t lanes = max_batch > 1 ? in_flight_for(device) : 1;
  QAMA_ASSIGN_OR_RETURN(
      auto plan, runtime::Plan::create(
                     std::move(model),
                     {max_batch, threads, lanes,
                      !integers && hal::forms_of(device).has(hal::Form::factors), sample_threads}));
  return open(std::move(plan), model_path, console);
}

Result<runtime::SessionOptions> RunArguments::session_options() const {
  runtime::SessionOptions options;
  options.seed = seed;
  options.device = device;
  QAMA_ASSIGN_OR_RETURN(options.fallback, runtime::parse_fallback(fallback));
  options.deadline_us = deadline_us;
  options.schedule = schedule;
  return options;
}

Result<std::unique_ptr<runtime::Session>> RunArguments::open(
    std::shared_ptr<const runtime::Plan> plan, const std::string& model_path,
    const Console& console) const {
  QAMA_ASSIGN_OR_RETURN(const runtime::SessionOptions options, session_options());
  QAMA_ASSIGN_OR_RETURN(auto session, runtime::Session::create(std::move(plan), options));
  std::string sentence = "model " + quote(model_path);
  if (session->device() != nullptr) {
    sentence += ", device " + session->device()->info().uri + ", seed " +
                std::to_string(session->seed()) + ", " + schedules_text(session->schedules());
    const std::string down = hal::why_not_reached(*session->device());
    if (!down.empty()) {
      console.log("warning: device " + quote(device) + " cannot be reached: " + down +
                  "; the CPU solves until it can (--fallback never makes this an error)");
    } else if (const hal::Device* first = hal::first_of(*session->device())) {
      const Status fits = first->supports({session->plan().pipeline().dense_shape});
      if (!fits.ok()) {
        console.log("warning: device " + quote(device) +
                    " does not take this model's layers: " + fits.error().message +
                    "; the CPU solves them (--fallback never makes this an error)");
      }
    }
  } else {
    sentence += ", " +
                std::string(weights::name_of(session->model().architecture().attention.kind)) +
                " attention (no device, no seed)";
  }
  sentence += ", threads " + std::to_string(threads);
  if (sample_threads > 1) sentence += " x " + std::to_string(sample_threads) + " a sample";
  console.log(sentence);
  return session;
}

Result<hal::ProblemFile> read_problem(const std::string& path, const hal::ReadOptions& options) {
  QAMA_ASSIGN_OR_RETURN(
      const std::vector<std::uint8_t> bytes,
      platform::read_file(path, hal::kMaxProblemBytes, ErrorCode::problem_too_large));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return hal::parse_problem(text, path, options);
}

Status need_qama(const runtime::Model& model, const std::string& model_path, const char* command) {
  const weights::Architecture& a = model.architecture();
  if (a.is_qama()) return {};
  return Error{ErrorCode::model_wrong_kind, "model " + quote(model_path) + " has " +
                                                std::string(weights::name_of(a.attention.kind)) +
                                                " attention, " + command + " needs QAMA"};
}

}  // namespace qama::cli
