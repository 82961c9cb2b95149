#include "runtime/cli/bench/report.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"
#include "hal/base/strict_json.h"

namespace qama::cli {
namespace {

/// The first word of a report, and the number of its form.
constexpr std::string_view kForm = "qama bench 1";
constexpr std::string_view kRatio = "_ratio";

struct Known {
  std::string_view name, what;
};
constexpr Known kFigures[] = {
    {"start_us", "from the process's start until the model is open: load_us + model_us"},
    {"load_us", "processor time of the program until the command begins"},
    {"model_us", "to open the model"},
    {"plan_us", "to make the plan"},
    {"session_us", "to make the session"},
    {"first_us", "the first sample"},
    {"first_answer_us", "from the process's start to the first answer: the sum of these parts"},
    {"mean_us", "a single sample on one thread; so are the next six"},
    {"min_us", "the fastest"},
    {"p50_us", "the median"},
    {"p90_us", "nearest rank, as all percentiles"},
    {"p99_us", ""},
    {"p99.9_us", "needs 1000 runs, or it is the maximum"},
    {"max_us", "the slowest"},
    {"cpu_us", "processor time of a sample, of all threads"},
    {"energy_uj", "energy of a sample: that of all packages, whatever else runs there"},
    {"temperature_c", "the hottest thermal zone behind the runs"},
    {"peak_rss_bytes", "most memory resident by then (VmHWM)"},
    {"arena_bytes", "what the session allocates for a sample"},
    {"weight_bytes", "weights in their final layout"},
    {"accuracy", "share of right answers, of labelled data"},
};

std::string list_of(std::span<const std::string> names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

Json figures_json(std::span<const Figure> figures) {
  Json out = Json::object();
  for (const Figure& figure : figures) {
    out[figure.name] = figure.value ? Json(*figure.value) : Json();
  }
  return out;
}

}  // namespace

std::string load_name(const Load& load) {
  return "per_s_" + std::to_string(load.threads) + "x" + std::to_string(load.batch);
}

std::vector<std::string> figure_names(std::span<const Load> loads) {
  std::vector<std::string> out;
  for (const Known& known : kFigures) out.emplace_back(known.name);
  for (const Load& load : loads) out.push_back(load_name(load));
  return out;
}

std::string figures_help() {
  std::string out;
  for (const Known& known : kFigures) {
    out += format("  %-16.*s %.*s\n", static_cast<int>(known.name.size()), known.name.data(),
                  static_cast<int>(known.what.size()), known.what.data());
  }
  return out + "  per_s_TxB        samples a second of batches of B samples on T threads\n";
}

void BenchReport::set(std::string_view name, std::optional<double> value) {
  figures.push_back({std::string(name), value});
}

Json BenchReport::json() const {
  Json out;
  out["report"] = kForm;
  out["version"] = version;
  out["model"] = model;
  out["model_sha256"] = model_sha256;
  out["inputs"] = inputs;
  out["runs"] = runs;
  out["device"] = device;
  out["seed"] = seed;
  out["schedules"] = schedules;
  out["figures"] = figures_json(figures);
  out["labels_sha256"] = labels_sha256;
  out["logits_sha256"] = logits_sha256;
  out["machine"] = machine;
  out["provenance"] = provenance;
  return out;
}

Result<BenchReport> parse_bench_report(std::string_view text, std::string_view name) {
  const std::string what = "report " + quote(name);
  const JsonRules rules{.what = what,
                        .code = ErrorCode::report_bad_format,
                        .twice = ErrorCode::report_bad_format,
                        .max_bytes = std::size_t{1} << 20,
                        .max_depth = 8,
                        .max_values = 20000};
  QAMA_ASSIGN_OR_RETURN(const qama::Json value, parse_json(text, rules));
  // Of another form nothing else can be said.
  const bool ours = value.is_object() && value.contains("report");
  if (!ours || value["report"] != kForm) {
    return make_error(ErrorCode::report_bad_format, what, ": report is ",
                      ours ? quote(value["report"].dump()) : "missing", ", expected ", quote(kForm),
                      ", what `qama bench --json` prints");
  }
  BenchReport out;
  ObjectReader reader(value, what, ErrorCode::report_bad_format);
  std::string form;
  reader.read("report", form);
  for (const auto& [key, field] : {std::pair{"version", &out.version},
                                   {"model", &out.model},
                                   {"model_sha256", &out.model_sha256},
                                   {"inputs", &out.inputs},
                                   {"device", &out.device},
                                   {"labels_sha256", &out.labels_sha256},
                                   {"logits_sha256", &out.logits_sha256}}) {
    reader.read(key, *field);
  }
  reader.read("runs", out.runs);
  reader.read("seed", out.seed);
  for (const auto& [key, field] : {std::pair{"schedules", &out.schedules},
                                   {"machine", &out.machine},
                                   {"provenance", &out.provenance}}) {
    if (const qama::Json* found = reader.raw(key)) *field = *found;
  }
  (void)reader.optional("against");
  const qama::Json* figures = reader.raw("figures");
  QAMA_RETURN_IF_ERROR(reader.finish());
  if (!figures->is_object() || !out.provenance.is_object()) {
    return make_error(ErrorCode::report_bad_format, what,
                      ": figures and provenance: expected objects");
  }
  for (const auto& [key, figure] : figures->items()) {
    if (figure.is_null()) {
      out.set(key, {});
    } else if (figure.is_number() && std::isfinite(figure.get<double>()) &&
               figure.get<double>() >= 0) {
      out.set(key, figure.get<double>());
    } else {
      return make_error(ErrorCode::report_bad_format, what, ": figures.", key, " is ",
                        quote(figure.dump()), ", expected a finite number from 0, or null");
    }
  }
  return out;
}

Result<std::vector<Figure>> ratios(const BenchReport& now, const BenchReport& then,
                                   std::string_view name_of_then) {
  const auto foreign = [&](ErrorCode code, std::string_view what, const std::string& got,
                           const std::string& expected) {
    return make_error(code, "report ", quote(name_of_then), " is of other ", what, ": ", quote(got),
                      ", expected ", quote(expected));
  };
  if (now.model_sha256 != then.model_sha256) {
    return foreign(ErrorCode::golden_wrong_model, "weights", then.model_sha256, now.model_sha256);
  }
  if (now.inputs != then.inputs) {
    return foreign(ErrorCode::report_bad_format, "inputs", then.inputs, now.inputs);
  }
  std::vector<Figure> out;
  for (const Figure& figure : now.figures) {
    Figure& added = out.emplace_back(Figure{figure.name + std::string(kRatio), {}});
    const auto before = std::find_if(then.figures.begin(), then.figures.end(),
                                     [&](const Figure& f) { return f.name == figure.name; });
    if (before == then.figures.end() || !before->value || !figure.value) continue;
    if (*before->value > 0) added.value = *figure.value / *before->value;
  }
  return out;
}

bool Assertion::holds(double value) const {
  if (comparison == "<=") return value <= bound;
  if (comparison == ">=") return value >= bound;
  return comparison == "<" ? value < bound : value > bound;
}

Result<Assertion> parse_assertion(const std::string& text, std::span<const std::string> names) {
  const auto refused = [&text](const std::string& why) {
    return Error{ErrorCode::usage, "--assert is " + quote(text) + ", " + why};
  };
  Assertion out;
  const std::size_t at = text.find_first_of("<>");
  if (at == std::string::npos) {
    return refused("expected FIGURE<=VALUE, or >=, < or >");
  }
  out.figure = text.substr(0, at);
  while (out.figure.ends_with(' ')) out.figure.pop_back();
  const bool equal = at + 1 < text.size() && text[at + 1] == '=';
  out.comparison = text.substr(at, equal ? 2 : 1);
  std::size_t begin = at + out.comparison.size();
  while (begin < text.size() && text[begin] == ' ') ++begin;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + begin, end, out.bound);
  if (error != std::errc() || stop != end || !std::isfinite(out.bound) || std::signbit(out.bound)) {
    return refused("expected a finite decimal number from 0 behind " + out.comparison);
  }
  if (std::find(names.begin(), names.end(), out.figure) == names.end()) {
    return refused("expected one of these figures: " + list_of(names));
  }
  return out;
}

Status check_assertion(const Assertion& assertion, std::span<const Figure> figures) {
  const auto found = std::find_if(figures.begin(), figures.end(),
                                  [&](const Figure& f) { return f.name == assertion.figure; });
  const bool measured = found != figures.end() && found->value;
  if (measured && assertion.holds(*found->value)) return {};
  return Error{ErrorCode::assertion_failed,
               assertion.figure + " is " +
                   (measured ? format("%.10g", *found->value) : "not measured here") +
                   ", expected " + assertion.comparison + format(" %.10g", assertion.bound)};
}

}  // namespace qama::cli
