#include "runtime/cli/receipt.h"

#include <bit>
#include <span>
#include <vector>

#include "hal/base/quote.h"
#include "hal/base/strict_json.h"
#include "hal/platform/sha256.h"

namespace qama::cli {
namespace {

constexpr std::uint64_t kVersion = 1;
static_assert(std::endian::native == std::endian::little,
              "hashes are of numbers as memory has them");
static_assert(sizeof(hal::Edge) == 16, "an edge has no gaps");

template <typename T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

/// A double of which JSON has no number, as a time limit never is one.
Json target_json(const std::optional<double>& target) {
  return target ? Json(*target) : Json();
}

}  // namespace

std::string problem_sha256(const hal::ProblemFile& file) {
  const bool is_layer = file.kind == hal::ProblemKind::qama;
  const hal::QamaLayer& layer = file.layer;
  const std::string head =
      "qama problem 1 " + std::string(hal::name_of(file.kind)) + " " +
      (file.maximises() ? "maximise" : "minimise") + " " +
      (is_layer ? std::to_string(layer.heads) + " " + std::to_string(layer.tokens) + " " +
                      std::to_string(layer.rank)
                : std::to_string(file.graph.size)) +
      "\n";
  const std::vector<double> numbers =
      is_layer ? std::vector<double>{layer.rho, layer.lambda} : std::vector<double>{file.offset};
  if (is_layer) {
    return platform::sha256_hex({bytes_of(head), bytes_of(numbers), bytes_of(layer.signs),
                                 bytes_of(layer.fields), bytes_of(layer.factors)});
  }
  return platform::sha256_hex({bytes_of(head), bytes_of(numbers), bytes_of(file.graph.edges)});
}

Json to_json(const Receipt& receipt) {
  const hal::SolveRequest& request = receipt.request;
  Json out;
  out["receipt"] = kVersion;
  out["problem_sha256"] = receipt.problem_sha256;
  out["format"] = receipt.format;
  out["maximise"] = receipt.maximise;
  out["symmetric"] = receipt.symmetric;
  out["seed"] = request.seed;
  Json schedule;
  schedule["sweeps"] = request.schedule.sweeps;
  schedule["fit_sweeps"] = request.fit_sweeps;
  schedule["restarts"] = request.restarts;
  schedule["t_start"] = request.schedule.t_start;
  schedule["t_end"] = request.schedule.t_end;
  schedule["start"] = hal::name_of(request.schedule.start);
  schedule["rounds"] = request.schedule.rounds;
  schedule["round_sweeps"] = request.schedule.round_sweeps;
  schedule["t_round"] = request.schedule.t_round;
  out["schedule"] = schedule;
  out["answers"] = request.answers;
  out["time_limit_ms"] = request.time_limit_ms;
  out["target"] = target_json(request.target);
  out["threads"] = request.threads;
  out["form"] = request.form ? Json(hal::name_of(*request.form)) : Json();
  out["device"] = receipt.device;
  out["kernel"] = receipt.kernel;
  out["revision"] = receipt.revision;
  out["repeatable"] = receipt.repeatable;
  out["value"] = receipt.value;
  out["optimal"] = receipt.optimal;
  out["spins_sha256"] = receipt.spins_sha256;
  out["spins"] = receipt.spins;
  return out;
}

Result<Receipt> parse_receipt(std::string_view text, std::string_view name) {
  const std::string what = "receipt " + quote(name);
  constexpr ErrorCode code = ErrorCode::report_bad_format;
  QAMA_ASSIGN_OR_RETURN(const qama::Json json, parse_json(text, {.what = what,
                                                                 .code = code,
                                                                 .twice = code,
                                                                 .max_bytes = kMaxReceiptBytes,
                                                                 .max_depth = 3,
                                                                 .max_values = 64}));
  ObjectReader reader(json, what, code);
  Receipt out;
  hal::SolveRequest& request = out.request;
  std::uint64_t version = 0, restarts = 0, answers = 0;
  reader.read("receipt", version);
  reader.read("problem_sha256", out.problem_sha256);
  reader.read("format", out.format);
  reader.read("maximise", out.maximise);
  reader.read("symmetric", out.symmetric);
  reader.read("seed", request.seed);
  if (const qama::Json* schedule = reader.raw("schedule")) {
    ObjectReader fields(*schedule, what + ", schedule", code);
    fields.read("sweeps", request.schedule.sweeps);
    fields.read("fit_sweeps", request.fit_sweeps);
    fields.read("restarts", restarts);
    fields.read("t_start", request.schedule.t_start);
    fields.read("t_end", request.schedule.t_end);
    fields.read("start", request.schedule.start, hal::kStartNames);
    fields.read("rounds", request.schedule.rounds);
    fields.read("round_sweeps", request.schedule.round_sweeps);
    fields.read("t_round", request.schedule.t_round);
    reader.merge(fields.finish());
  }
  reader.read("answers", answers);
  reader.read("time_limit_ms", request.time_limit_ms);
  if (const qama::Json* target = reader.raw("target"); target != nullptr && !target->is_null()) {
    request.target = 0;
    reader.read("target", *request.target);
  }
  reader.read("threads", request.threads);
  if (const qama::Json* form = reader.raw("form"); form != nullptr && !form->is_null()) {
    request.form = hal::Form::dense;
    reader.read("form", *request.form, hal::kFormNames);
  }
  reader.read("device", out.device);
  reader.read("kernel", out.kernel);
  reader.read("revision", out.revision);
  reader.read("repeatable", out.repeatable);
  reader.read("value", out.value);
  reader.read("optimal", out.optimal);
  reader.read("spins_sha256", out.spins_sha256);
  reader.read("spins", out.spins);
  QAMA_RETURN_IF_ERROR(reader.finish());
  // Whatever else is out of bounds, solve() refuses.
  constexpr std::uint64_t most = std::uint64_t{1} << 31;
  if (version != kVersion || restarts > most || answers > most || request.threads < 1) {
    return Error{code, what + ": version " + std::to_string(version) + ", " +
                           std::to_string(restarts) + " restarts, " + std::to_string(answers) +
                           " answers, " + std::to_string(request.threads) +
                           " threads, expected version 1, at most 2^31 of both and a thread"};
  }
  request.restarts = static_cast<std::int64_t>(restarts);
  request.answers = static_cast<std::int64_t>(answers);
  return out;
}

}  // namespace qama::cli
