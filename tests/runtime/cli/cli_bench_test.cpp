// `qama bench`: its figures belong together, its report comes back through --against, assertions
// pass and fail, and bad input costs one sentence. Nothing here depends on how fast the machine is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "runtime/cli/bench/machine.h"
#include "runtime/cli/bench/report.h"
#include "tests/runtime/cli/cli_files.h"
#include "tests/runtime/cli/process.h"

namespace qama::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using weights::AttentionKind;

class CliBench : public testing::Test {
 protected:
  void SetUp() override {
    model_ = put_model(directory_, "qama.safetensors", small_vit(AttentionKind::qama));
  }
  static Outcome bench(const std::string& model, const std::vector<std::string>& more,
                       bool as_json = true) {
    std::vector<std::string> words = {"bench", "-q",      "-m",  model,       "--runs",
                                      "5",     "--batch", "1,4", "--threads", "1,2"};
    if (as_json) words.emplace_back("--json");
    words.insert(words.end(), more.begin(), more.end());
    return run_qama(words);
  }
  json report(const std::vector<std::string>& more) const {
    const Outcome outcome = bench(model_, more);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return outcome.json();
  }
  /// A report as a file, changed.
  std::string put_report(json report) const {
    put_file(directory_.file("then.json"), report.dump());
    return directory_.file("then.json");
  }
  /// Of this report --against says so.
  void expect_refused(const std::string& text, const std::string& code,
                      const std::string& words) const {
    put_file(directory_.file("bad.json"), text);
    const Outcome outcome = bench(model_, {"--against", directory_.file("bad.json")});
    expect_error(outcome, code);
    EXPECT_THAT(outcome.err, HasSubstr(words));
  }

  TempDir directory_;
  std::string model_;
};

TEST_F(CliBench, FiguresBelongTogether) {
  const json all = report({});
  const json& f = all["figures"];
  const double load = f["load_us"];
  const double model = f["model_us"];
  const double start = f["start_us"];
  EXPECT_GT(load, 0);
  EXPECT_DOUBLE_EQ(start, load + model);
  EXPECT_DOUBLE_EQ(f["first_answer_us"], start + f["plan_us"].get<double>() +
                                             f["session_us"].get<double>() +
                                             f["first_us"].get<double>());
  EXPECT_GT(f["min_us"], 0);
  EXPECT_LE(f["min_us"], f["p50_us"]);
  EXPECT_LE(f["p50_us"], f["p90_us"]);
  EXPECT_LE(f["p90_us"], f["p99_us"]);
  EXPECT_LE(f["p99_us"], f["p99.9_us"]);
  EXPECT_EQ(f["p99.9_us"], f["max_us"]) << "of 5 runs";
  EXPECT_LE(f["min_us"], f["mean_us"]);
  EXPECT_LE(f["mean_us"], f["max_us"]);
  EXPECT_GT(f["cpu_us"], 0);
  EXPECT_GT(f["peak_rss_bytes"], f["arena_bytes"]);
  EXPECT_TRUE(f["accuracy"].is_null()) << "nobody labelled these";
  for (const char* load_name : {"per_s_1x1", "per_s_1x4", "per_s_2x4"}) {
    EXPECT_GT(f[load_name], 0) << load_name;
  }
  EXPECT_FALSE(f.contains("per_s_2x1")) << "a thread would have nothing to do";
  EXPECT_EQ(all["inputs"], "16 synthetic inputs, seed 1");
  EXPECT_EQ(all["runs"], 5);
  for (const char* key : {"governor", "temperature_before_c", "energy"})
    EXPECT_TRUE(all["machine"].contains(key)) << key;
  for (const char* key : {"revision", "compiler", "flags", "cpu", "time"})
    EXPECT_TRUE(all["provenance"].contains(key)) << key;
  const json info = run_qama({"info", "-q", "--json", model_}).json();
  EXPECT_EQ(f["arena_bytes"], info["arena_bytes"]);
  EXPECT_EQ(all["model_sha256"], info["sha256"]);
}

TEST_F(CliBench, AnswersAreThoseOfEval) {
  put_mnist(directory_, 7);
  const std::vector<std::string> data = {"--dataset", "mnist", "--data", directory_.path()};
  const json all = report(data);
  std::vector<std::string> words = {"eval", "-q", "--json", "-m", model_};
  words.insert(words.end(), data.begin(), data.end());
  const json eval = run_qama(words).json();
  EXPECT_EQ(all["labels_sha256"], eval["checksum"]);
  EXPECT_EQ(all["figures"]["accuracy"], eval["accuracy"]);
  EXPECT_EQ(all["inputs"], "the first 7 of mnist/test");
  std::vector<std::string> fewer = data;
  fewer.insert(fewer.end(), {"--limit", "3"});
  EXPECT_NE(report(fewer)["labels_sha256"], eval["checksum"]);
  // What eval refuses is refused here.
  expect_error(
      bench(put_model(directory_, "text.safetensors", small_text(AttentionKind::qama)), data),
      "MODEL_WRONG_KIND");
}

TEST_F(CliBench, OtherKindsOfModels) {
  for (const weights::Architecture& a :
       {small_vit(AttentionKind::softmax), small_text(AttentionKind::qama),
        small_features(AttentionKind::qama)}) {
    const Outcome outcome = bench(put_model(directory_, "other.safetensors", a), {});
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_GT(outcome.json()["figures"]["p50_us"], 0);
  }
}

TEST_F(CliBench, AgainstAnEarlierReport) {
  json then = report({});
  const double was = then["figures"]["weight_bytes"];
  then["figures"]["weight_bytes"] = 2 * was;
  then["figures"]["p50_us"] = nullptr;
  const std::string path = put_report(then);
  const json all = report({"--against", path, "--assert", "weight_bytes_ratio<=0.5", "--assert",
                           "arena_bytes_ratio >= 1"});
  EXPECT_EQ(all["against"]["ratios"]["weight_bytes_ratio"], 0.5);
  EXPECT_EQ(all["against"]["ratios"]["arena_bytes_ratio"], 1);
  EXPECT_TRUE(all["against"]["ratios"]["p50_us_ratio"].is_null());
  EXPECT_EQ(all["against"]["same_labels"], true);
  EXPECT_EQ(all["against"]["same_logits"], true);
  // A report that was itself compared is read, too; and another device is compared.
  EXPECT_EQ(report({"--against", put_report(all), "--device", "cpu:scalar"})["device"],
            "cpu:scalar");
  // The same for people.
  const Outcome text = bench(model_, {"--against", put_report(then)}, false);
  EXPECT_EQ(text.status, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("the same labels as then"));
  then["labels_sha256"] = std::string(64, '0');
  EXPECT_THAT(bench(model_, {"--against", put_report(then)}, false).out,
              HasSubstr("OTHER LABELS than then"));
}

TEST_F(CliBench, BadReportsAreRefused) {
  const json good = report({});
  const std::string text = good.dump();
  expect_refused(text.substr(0, text.size() / 2), "REPORT_BAD_FORMAT", "bad.json");
  expect_refused("", "REPORT_BAD_FORMAT", "bad.json");
  expect_refused("[1, 2]", "REPORT_BAD_FORMAT", "report is missing, expected 'qama bench 1'");
  const auto changed = [&good](const char* key, const json& value) {
    json out = good;
    out[key] = value;
    return out.dump();
  };
  expect_refused(changed("report", "qama bench 2"), "REPORT_BAD_FORMAT", "expected 'qama bench 1'");
  expect_refused(changed("model_sha256", std::string(64, 'a')), "GOLDEN_WRONG_MODEL",
                 "is of other weights: '" + std::string(64, 'a') + "', expected '" +
                     good["model_sha256"].get<std::string>() + "'");
  expect_refused(changed("inputs", "17 others"), "REPORT_BAD_FORMAT", "is of other inputs");
  expect_refused(changed("runs", -1), "REPORT_BAD_FORMAT", "runs");
  expect_refused(changed("odd", 1), "REPORT_BAD_FORMAT", "odd");
  expect_refused(changed("figures", json::array()), "REPORT_BAD_FORMAT", "expected objects");
  json figures = good["figures"];
  figures["p50_us"] = -1;
  expect_refused(changed("figures", figures), "REPORT_BAD_FORMAT", "figures.p50_us is '-1'");
  figures["p50_us"] = "fast";
  expect_refused(changed("figures", figures), "REPORT_BAD_FORMAT", "figures.p50_us");
  std::string nan = text;
  nan.replace(nan.find("\"runs\":5"), 8, "\"runs\":nan");
  expect_refused(nan, "REPORT_BAD_FORMAT", "bad.json");
  std::string twice = text;
  twice.insert(1, "\"runs\":5,");
  expect_refused(twice, "REPORT_BAD_FORMAT", "runs");
  expect_error(bench(model_, {"--against", directory_.file("none.json")}), "NOT_FOUND");
}

TEST_F(CliBench, Assertions) {
  EXPECT_EQ(bench(model_, {"--assert", "p99_us<=1e9", "--assert", "per_s_2x4 > 0"}).status, 0);
  const Outcome failed = bench(
      model_, {"--assert", "p99_us<=0", "--assert", "p50_us<1e9", "--assert", "weight_bytes<1"});
  EXPECT_EQ(failed.status, 1);
  EXPECT_GT(failed.json()["figures"]["p99_us"], 0) << "the report is there all the same";
  EXPECT_THAT(failed.err, testing::MatchesRegex("qama: error: ASSERTION_FAILED: p99_us is [0-9.]+, "
                                                "expected <= 0\n"
                                                "qama: error: ASSERTION_FAILED: weight_bytes is "
                                                "[0-9]+, expected < 1\n"));
  const Outcome unknown = bench(model_, {"--assert", "accuracy>=0"});
  EXPECT_EQ(unknown.status, 1) << "nothing is right or wrong about inputs without labels";
  EXPECT_THAT(unknown.err, HasSubstr("accuracy is not measured here, expected >= 0"));
}

TEST_F(CliBench, BadAssertionsAreWrongUsage) {
  for (const char* text : {"p99_us", "p99_us=300", "p99_us<=", "p99_us<=nan", "p99_us<=inf",
                           "p99_us<=-1", "p99_us<=-0", "p99_us<=1x", "p99_us<=1e999", "p98_us<=1",
                           "<=1", "p50_us_ratio<=1", "per_s_8x8>1", ""}) {
    const Outcome outcome = bench(model_, {"--assert", text});
    EXPECT_EQ(outcome.status, 2) << text;
    EXPECT_EQ(outcome.out, "") << text;
    EXPECT_THAT(outcome.err, testing::StartsWith("qama: error: USAGE: ")) << text;
  }
  const Outcome listed = bench(model_, {"--assert", "p98_us<=1"});
  for (const std::string& name : cli::figure_names(std::vector<cli::Load>{{1, 1}, {1, 4}, {2, 4}}))
    EXPECT_THAT(listed.err, HasSubstr(name));
  EXPECT_EQ(bench(model_, {"--batch", "0"}).status, 2);
  EXPECT_EQ(bench(model_, {"--runs", "0"}).status, 2);
}

TEST_F(CliBench, StateOfTheMachine) {
  const TempDir sys;
  const auto put = [&sys](const std::string& path, const std::string& text) {
    const std::string file = sys.file(path);
    std::filesystem::create_directories(std::filesystem::path(file).parent_path());
    put_file(file, text);
  };
  const cli::MachineState none = cli::read_machine(sys.path());
  EXPECT_EQ(none.governor, "");
  EXPECT_FALSE(none.temperature_c);
  EXPECT_EQ(none.no_energy, "not there");

  put("devices/system/cpu/cpu0/cpufreq/scaling_governor", "schedutil\n");
  put("devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance\n");
  put("devices/system/cpu/cpu2/cpufreq/scaling_governor", "performance\n");
  put("class/thermal/thermal_zone0/temp", "41500\n");
  put("class/thermal/thermal_zone1/temp", "67250\n");
  put("class/thermal/thermal_zone2/temp", "none\n");
  put("class/powercap/intel-rapl:0/name", "package-0\n");
  put("class/powercap/intel-rapl:0/energy_uj", "900\n");
  put("class/powercap/intel-rapl:0/max_energy_range_uj", "999\n");
  put("class/powercap/intel-rapl:0:0/name", "core\n");
  put("class/powercap/intel-rapl:0:0/energy_uj", "7\n");
  put("class/powercap/intel-rapl:1/name", "psys\n");
  put("class/powercap/intel-rapl:1/energy_uj", "7\n");
  const cli::MachineState before = cli::read_machine(sys.path());
  EXPECT_EQ(before.governor, "performance, schedutil");
  EXPECT_EQ(before.temperature_c, 67.25);
  ASSERT_EQ(before.energy.size(), 1U);
  EXPECT_EQ(before.no_energy, "");

  put("class/powercap/intel-rapl:0/energy_uj", "950\n");
  EXPECT_EQ(cli::energy_between(before, cli::read_machine(sys.path())), 50.0);
  put("class/powercap/intel-rapl:0/energy_uj", "100\n");
  EXPECT_EQ(cli::energy_between(before, cli::read_machine(sys.path())), 200.0)
      << "900 to 999, then 0 to 100";
  EXPECT_FALSE(cli::energy_between(none, before));

  std::filesystem::remove(sys.file("class/powercap/intel-rapl:0/energy_uj"));
  const cli::MachineState after = cli::read_machine(sys.path());
  EXPECT_EQ(after.no_energy, "not readable");
  EXPECT_FALSE(cli::energy_between(before, after));
}

}  // namespace
}  // namespace qama::test
