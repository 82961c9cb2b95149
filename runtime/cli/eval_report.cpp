#include "runtime/cli/eval_report.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"
#include "hal/base/strict_json.h"
#include "runtime/cli/report.h"

namespace qama::cli {
namespace {

using Parsed = qama::Json;

constexpr std::size_t kMaxReportValues = std::size_t{1} << 25;
constexpr std::size_t kMaxReportDepth = 8;
/// No set has more samples. So no sum overflows: not that of a shard's counts, and not that of all
/// shards' probabilities.
constexpr std::int64_t kMaxSamples = std::int64_t{1} << 30;
constexpr std::int64_t kMaxSolves = std::int64_t{1} << 42;  // of all layers
constexpr double kProbabilityUnit = 0x1p-32;
constexpr double kTenths = 10;  // a microsecond

/// Keys on which all shards of a run agree.
constexpr const char* kRunKeys[] = {"version",     "model_sha256", "dataset", "split",
                                    "data_sha256", "classes",      "fit",     "invert",
                                    "schedules",   "seed"};

/// Nearest rank, as percentile() of report.h; microseconds.
double latency_percentile(const EvalReport& report, double p) {
  const double rank = std::ceil(p / 100.0 * static_cast<double>(report.count()));
  double passed = 0;
  for (const auto& [tenths, samples] : report.latency) {
    passed += static_cast<double>(samples);
    if (passed >= std::max(rank, 1.0)) return static_cast<double>(tenths) / kTenths;
  }
  return 0;
}

std::int64_t correct(const EvalReport& report) {
  std::int64_t out = 0;
  for (std::size_t c = 0; c < report.confusion.size(); ++c) out += report.confusion[c][c];
  return out;
}

std::int64_t unread(const EvalReport& report) {
  return std::count(report.answers.begin(), report.answers.end(), EvalReport::kUnread);
}

/// A sum over the answered samples, divided by their number; 0 where there are none.
double per_sample(const EvalReport& report, double sum) {
  return sum / static_cast<double>(std::max<std::int64_t>(report.count(), 1));
}

double accuracy(const EvalReport& report) {
  return per_sample(report, static_cast<double>(correct(report)));
}

double mean_label_probability(const EvalReport& report) {
  return per_sample(report, static_cast<double>(report.label_probability) * kProbabilityUnit);
}

double samples_per_second(const EvalReport& report) {
  return report.seconds > 0 ? static_cast<double>(report.count()) / report.seconds : 0;
}

std::string checksum(const EvalReport& report) {
  std::vector<std::int32_t> answered;
  for (const std::int32_t answer : report.answers) {
    if (answer != EvalReport::kUnread) answered.push_back(answer);
  }
  return answers_sha256(answered);
}

Json text_or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

Json shard_json(const EvalReport& report) {
  Json out = {
      {"index", report.shard.index}, {"of", report.shard.count}, {"samples", report.samples}};
  if (!report.mergeable) return out;
  out["label_probability"] = report.label_probability;
  Json& answers = out["answers"] = Json::array();
  for (const std::int32_t answer : report.answers) {
    answers.push_back(answer == EvalReport::kUnread ? Json() : Json(answer));
  }
  return out;
}

Json latency_json(const EvalReport& report) {
  Json out = {{"p50", latency_percentile(report, 50)},
              {"p90", latency_percentile(report, 90)},
              {"p99", latency_percentile(report, 99)},
              {"max", latency_percentile(report, 100)}};
  if (!report.mergeable) return out;
  Json& histogram = out["histogram"] = Json::array();
  for (const auto& [tenths, samples] : report.latency) {
    histogram.push_back({static_cast<double>(tenths) / kTenths, samples});
  }
  return out;
}

// ---- reading ------------------------------------------------------------------------------------

Error bad_report(std::string_view what, std::string_view why) {
  return make_error(ErrorCode::report_bad_format, what, ": ", why);
}

Result<std::int64_t> count_of(const Parsed& value, const std::string& what,
                              std::int64_t most = kMaxSamples) {
  if (value.is_number_unsigned() &&
      value.get<std::uint64_t>() <= static_cast<std::uint64_t>(most)) {
    return value.get<std::int64_t>();
  }
  return bad_report(what,
                    sentence(quote(value.dump()), ", expected a whole number from 0 to ", most));
}

Status read_texts(const Parsed& value, const std::string& what, std::vector<std::string>& out) {
  if (!value.is_array()) return bad_report(what, "expected an array of texts");
  for (const Parsed& text : value) {
    if (!text.is_string()) return bad_report(what, "expected an array of texts");
    out.push_back(text.get<std::string>());
  }
  return {};
}

Status read_text_or_null(const Parsed& value, const std::string& what, std::string& out) {
  if (value.is_string()) {
    out = value.get<std::string>();
  } else if (!value.is_null()) {
    return bad_report(what, "expected a text or null");
  }
  return {};
}

Status read_counts(const Parsed& value, const std::string& what,
                   std::map<std::string, std::int64_t>& out) {
  if (!value.is_object()) return bad_report(what, "expected an object of counts");
  for (const auto& [name, number] : value.items()) {
    QAMA_ASSIGN_OR_RETURN(out[name], count_of(number, what, kMaxSolves));
  }
  return {};
}

Status read_confusion(const Parsed& value, const std::string& what, EvalReport& out) {
  const std::size_t classes = out.classes.size();
  const auto fits = [classes](const Parsed& list) {
    return list.is_array() && list.size() == classes;
  };
  if (!fits(value) || !std::all_of(value.begin(), value.end(), fits)) {
    return bad_report(what, "expected " + std::to_string(classes) + " rows of as many counts");
  }
  for (const Parsed& row : value) {
    auto& counts = out.confusion.emplace_back();
    for (const Parsed& number : row) {
      QAMA_ASSIGN_OR_RETURN(counts.emplace_back(), count_of(number, what));
    }
  }
  return {};
}

Status read_histogram(const Parsed& value, const std::string& what, EvalReport& out) {
  const bool there = value.is_object() && value.contains("histogram");
  if (!there || !value["histogram"].is_array()) return bad_report(what, "no array histogram");
  for (const Parsed& pair : value["histogram"]) {
    const bool fits = pair.is_array() && pair.size() == 2 && pair[0].is_number();
    const double tenths = fits ? std::round(pair[0].get<double>() * kTenths) : -1;
    if (!(tenths >= 0 && tenths <= static_cast<double>(kMaxSolves))) {
      return bad_report(what, quote(pair.dump()) + ", expected microseconds and a count");
    }
    QAMA_ASSIGN_OR_RETURN(out.latency[static_cast<std::int64_t>(tenths)], count_of(pair[1], what));
  }
  return {};
}

Status read_schedules(const Parsed& value, const std::string& what,
                      std::vector<hal::Schedule>& out) {
  if (!value.is_array()) return bad_report(what, "expected an array of schedules");
  for (const Parsed& layer : value) {
    ObjectReader reader(layer, what, ErrorCode::report_bad_format);
    hal::for_each_field(out.emplace_back(), [&](std::string_view name, auto& field) {
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(field)>, hal::StartKind>) {
        reader.read(name, field, hal::kStartNames);
      } else {
        reader.read(name, field);
      }
    });
    QAMA_RETURN_IF_ERROR(reader.finish());
  }
  return {};
}

Status read_shard(const Parsed& value, const std::string& what, EvalReport& out) {
  if (!value.is_object() || !value.contains("answers")) {
    return bad_report(what, "no answers, expected a report of `qama eval --shard I/N --json`");
  }
  ObjectReader reader(value, what, ErrorCode::report_bad_format);
  for (const auto& [key, number, most] :
       {std::tuple{"index", &out.shard.index, kMaxSamples},
        {"of", &out.shard.count, kMaxSamples},
        {"samples", &out.samples, kMaxSamples},
        {"label_probability", &out.label_probability, std::int64_t{1} << 62}}) {
    const Parsed* found = reader.raw(key);
    if (found == nullptr) return reader.finish();
    QAMA_ASSIGN_OR_RETURN(*number, count_of(*found, sentence(what, ".", key), most));
  }
  const Parsed& answers = *reader.raw("answers");
  QAMA_RETURN_IF_ERROR(reader.finish());
  if (out.shard.index >= out.shard.count) {
    return bad_report(what, sentence("shard ", out.shard.index, "/", out.shard.count));
  }
  if (!answers.is_array() ||
      answers.size() > static_cast<std::size_t>(out.shard.share_of(out.samples))) {
    return bad_report(what, sentence("answers: expected an array of at most ",
                                     out.shard.share_of(out.samples), " classes"));
  }
  for (const Parsed& answer : answers) {
    const bool is_class = answer.is_number_unsigned() &&
                          answer.get<std::uint64_t>() < std::uint64_t{out.classes.size()};
    if (!is_class && !answer.is_null()) {
      return bad_report(what, "answer " + quote(answer.dump()) + ", expected a class or null");
    }
    out.answers.push_back(is_class ? answer.get<std::int32_t>() : EvalReport::kUnread);
  }
  return {};
}

/// REPORT_BAD_FORMAT where the figures of a report that was read do not belong together. `json`: as
/// it was written.
Status check_figures(const EvalReport& report, const Parsed& json, const std::string& what) {
  std::int64_t in_confusion = 0;
  for (const auto& row : report.confusion) {
    in_confusion = std::accumulate(row.begin(), row.end(), in_confusion);
  }
  std::int64_t in_histogram = 0;
  for (const auto& [tenths, samples] : report.latency) in_histogram += samples;
  const std::int64_t n = report.count();
  if (in_confusion != n || in_histogram != n || report.label_probability >> 32 > n) {
    return bad_report(what, sentence(n, " answers, but ", in_confusion, " in confusion, ",
                                     in_histogram, " in latency_us.histogram"));
  }
  // What follows from these is what this program makes of them, the answers' checksum too.
  const Parsed again(report.json());
  for (const Parsed* side : {&json, &again}) {
    for (const auto& [key, value] : side->items()) {
      const Parsed got = json.value(key, Parsed());
      const Parsed expected = again.value(key, Parsed());
      if (got != expected) {
        return bad_report(
            what, sentence(key, " is ", quote(got.dump()), ", expected ", quote(expected.dump())));
      }
    }
  }
  return {};
}

/// Each shard once, in its order of indices; those without a sample may be missing.
Result<std::vector<const EvalReport*>> in_order(
    std::span<const std::pair<std::string, EvalReport>> shards) {
  const EvalReport& first = shards.front().second;
  std::map<std::int64_t, const std::pair<std::string, EvalReport>*> found;
  for (const auto& entry : shards) {
    const Shard& shard = entry.second.shard;
    const auto [place, added] = found.emplace(shard.index, &entry);
    if (!added) {
      return make_error(ErrorCode::shard_twice, "report ", quote(entry.first), ": shard ",
                        shard.index, "/", shard.count, " is in ", quote(place->second->first),
                        ", too; expected each once");
    }
  }
  std::vector<const EvalReport*> out;
  const std::int64_t needed = std::min(first.shard.count, first.samples);
  for (std::int64_t i = 0; i < needed; ++i) {
    const auto place = found.find(i);
    if (place == found.end()) {
      return make_error(ErrorCode::shard_missing, "shard ", i, "/", first.shard.count,
                        " is missing; got ", found.size(), " of ", needed);
    }
    const auto& [name, report] = *place->second;
    const std::int64_t share = report.shard.share_of(report.samples);
    if (static_cast<std::int64_t>(report.answers.size()) != share) {
      return make_error(ErrorCode::shard_missing, "report ", quote(name), ": shard ", i, "/",
                        report.shard.count, " was stopped after ", report.answers.size(), " of ",
                        share, " samples");
    }
    out.push_back(&report);
  }
  return out;
}

/// SHARD_FOREIGN where `b` is of another run than `a`; both are of json().
Status check_same_run(const Json& a, const std::string& name_a, const Json& b,
                      const std::string& name_b) {
  const auto differ = [&](std::string_view key, const Json& expected, const Json& got) {
    return make_error(ErrorCode::shard_foreign, "report ", quote(name_b),
                      " is of another run: ", key, " ", quote(got.dump()), ", expected ",
                      quote(expected.dump()), " as in ", quote(name_a));
  };
  for (const char* key : kRunKeys) {
    if (a.value(key, Json()) != b.value(key, Json())) {
      return differ(key, a.value(key, Json()), b.value(key, Json()));
    }
  }
  for (const char* key : {"of", "samples"}) {
    if (a["shard"][key] != b["shard"][key]) return differ(key, a["shard"][key], b["shard"][key]);
  }
  return {};
}

}  // namespace

void EvalReport::add(std::int32_t label, std::int32_t answer, double probability,
                     double latency_us) {
  answers.push_back(answer);
  ++confusion[static_cast<std::size_t>(label)][static_cast<std::size_t>(answer)];
  label_probability += std::llround(probability / kProbabilityUnit);
  ++latency[std::llround(latency_us * kTenths)];
}

std::int64_t EvalReport::count() const {
  return static_cast<std::int64_t>(answers.size()) - unread(*this);
}

Json EvalReport::json() const {
  Json out;
  out["version"] = version;
  out["model"] = model;
  out["model_sha256"] = model_sha256;
  out["dataset"] = dataset;
  out["split"] = split;
  if (!data_sha256.empty()) out["data_sha256"] = data_sha256;
  out["n"] = count();
  out["correct"] = correct(*this);
  if (own) out["unread"] = unread(*this);
  out["accuracy"] = accuracy(*this);
  out["mean_label_probability"] = mean_label_probability(*this);
  out["confusion"] = confusion;
  out["classes"] = classes;
  out["fit"] = text_or_null(fit);
  out["invert"] = text_or_null(invert);
  out["latency_us"] = latency_json(*this);
  out["images_per_s"] = samples_per_second(*this);
  out["seconds"] = seconds;
  out["device"] = text_or_null(device);
  out["solved_by"] = solvers.solved_by();
  out["fallbacks"] = solvers.fallbacks();
  out["seed"] = seed;
  if (!schedules.empty()) {
    out["sweeps"] = schedules[0].sweeps;
    out["restarts"] = schedules[0].restarts;
    out["schedules"] = schedules_json(schedules);
  }
  out["threads"] = threads;
  out["shard"] = shard_json(*this);
  out["checksum"] = checksum(*this);
  if (stopped) out["stopped"] = true;
  return out;
}

void EvalReport::print(Console& console) const {
  if (console.json) return console.object(json());
  console.line(format("%s on %s/%s: %lld of %lld right, accuracy %.2f %%", model.c_str(),
                      dataset.c_str(), split.c_str(), static_cast<long long>(correct(*this)),
                      static_cast<long long>(count()), 100 * accuracy(*this)));
  if (unread(*this) > 0) {
    console.line(format("%lld samples cannot be read and are not counted",
                        static_cast<long long>(unread(*this))));
  }
  console.line(format("mean probability of the label %.4f", mean_label_probability(*this)));
  console.line(format("latency us: p50 %.1f, p90 %.1f, p99 %.1f; %.1f samples/s",
                      latency_percentile(*this, 50), latency_percentile(*this, 90),
                      latency_percentile(*this, 99), samples_per_second(*this)));
  if (!device.empty()) {
    console.line("device " + device + ", solved by " + solvers.text() + ", seed " +
                 std::to_string(seed));
  }
  console.line("confusion (row: label, column: answer)");
  for (std::size_t row = 0; row < confusion.size(); ++row) {
    std::string line;
    for (const std::int64_t samples_of_cell : confusion[row]) {
      line += format("%7lld", static_cast<long long>(samples_of_cell));
    }
    console.line(line + "  " + classes[row]);
  }
  console.line("checksum " + checksum(*this));
}

Result<EvalReport> parse_eval_report(std::string_view text, std::string_view name) {
  const std::string what = "report " + quote(name);
  QAMA_ASSIGN_OR_RETURN(const Parsed json,
                        parse_json<Parsed>(text, {.what = what,
                                                  .code = ErrorCode::report_bad_format,
                                                  .twice = ErrorCode::report_bad_format,
                                                  .max_bytes = kMaxReportBytes,
                                                  .max_depth = kMaxReportDepth,
                                                  .max_values = kMaxReportValues}));
  EvalReport out;
  out.mergeable = true;
  ObjectReader reader(json, what, ErrorCode::report_bad_format);
  // What follows from the other keys; check_figures() compares it.
  for (const char* key : {"n", "correct", "accuracy", "mean_label_probability", "images_per_s",
                          "sweeps", "restarts", "checksum"}) {
    static_cast<void>(reader.optional(key));
  }
  out.own = reader.optional("unread") != nullptr;
  out.stopped = reader.optional("stopped") != nullptr;
  reader.read("version", out.version);
  reader.read("model", out.model);
  reader.read("model_sha256", out.model_sha256);
  reader.read("dataset", out.dataset);
  reader.read("split", out.split);
  if (json.contains("data_sha256")) reader.read("data_sha256", out.data_sha256);
  reader.read("seed", out.seed);
  reader.read("threads", out.threads);
  reader.read("seconds", out.seconds);
  const auto read = [&](const char* key, auto reads, auto& into) {
    if (const Parsed* value = reader.raw(key)) {
      reader.merge(reads(*value, sentence(what, ".", key), into));
    }
  };
  std::map<std::string, std::int64_t> solved_by, fallbacks;
  read("classes", read_texts, out.classes);
  read("fit", read_text_or_null, out.fit);
  read("invert", read_text_or_null, out.invert);
  read("device", read_text_or_null, out.device);
  read("solved_by", read_counts, solved_by);
  read("fallbacks", read_counts, fallbacks);
  read("confusion", read_confusion, out);
  read("shard", read_shard, out);
  read("latency_us", read_histogram, out);
  if (json.contains("schedules")) read("schedules", read_schedules, out.schedules);
  QAMA_RETURN_IF_ERROR(reader.finish());
  out.solvers = runtime::SolveCounter(std::move(solved_by), std::move(fallbacks));
  QAMA_RETURN_IF_ERROR(check_figures(out, json, what));
  return out;
}

Result<EvalReport> merge(std::span<const std::pair<std::string, EvalReport>> shards) {
  const auto& [first_name, first] = shards.front();
  const Json expected = first.json();
  for (const auto& [name, report] : shards) {
    QAMA_RETURN_IF_ERROR(check_same_run(expected, first_name, report.json(), name));
  }
  QAMA_ASSIGN_OR_RETURN(const auto ordered, in_order(shards));
  EvalReport out = first;
  out.shard = {};
  out.answers.assign(static_cast<std::size_t>(first.samples), EvalReport::kUnread);
  out.confusion.assign(first.classes.size(), std::vector<std::int64_t>(first.classes.size()));
  out.latency.clear();
  out.label_probability = 0;
  out.seconds = 0;
  out.solvers = {};
  std::set<std::string> devices;
  for (const EvalReport* part : ordered) {
    auto at = static_cast<std::size_t>(part->shard.index);
    for (const std::int32_t answer : part->answers) {
      out.answers[at] = answer;
      at += static_cast<std::size_t>(part->shard.count);
    }
    for (std::size_t row = 0; row < out.confusion.size(); ++row) {
      for (std::size_t column = 0; column < out.confusion.size(); ++column) {
        out.confusion[row][column] += part->confusion[row][column];
      }
    }
    for (const auto& [tenths, samples] : part->latency) out.latency[tenths] += samples;
    out.label_probability += part->label_probability;
    out.seconds += part->seconds;
    out.solvers.add(part->solvers);
    out.threads = std::max(out.threads, part->threads);
    devices.insert(part->device);
  }
  out.device.clear();
  for (const std::string& device : devices) out.device += (out.device.empty() ? "" : ", ") + device;
  return out;
}

}  // namespace qama::cli
