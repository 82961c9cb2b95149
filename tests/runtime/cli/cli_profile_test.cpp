// `qama profile`: the report has what the contract names, its figures are consistent with each
// other, its files are what they claim to be. Nothing here depends on how fast the machine is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/runtime/cli/cli_files.h"
#include "tests/runtime/cli/process.h"

namespace qama::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using weights::AttentionKind;

class CliProfile : public testing::Test {
 protected:
  void SetUp() override {
    qama_ = put_model(directory_, "qama.safetensors", small_vit(AttentionKind::qama));
    softmax_ = put_model(directory_, "softmax.safetensors", small_vit(AttentionKind::softmax));
    text_ = put_model(directory_, "text.safetensors", small_text(AttentionKind::qama));
  }
  json profile(std::vector<std::string> more, const std::string& model) {
    std::vector<std::string> words = {"profile", "-q", "--json",    "-m", model,
                                      "--runs",  "6",  "--warm-up", "1"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = run_qama(words);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return outcome.json();
  }
  std::string text_of(const std::string& name) const {
    const auto bytes = read_file(directory_.path() / name);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  TempDir directory_;
  std::string qama_, softmax_, text_;
};

void expect_contract(const json& report) {
  for (const char* key : {"init_us", "first_us", "latency_us", "layers", "solver", "link",
                          "arena_bytes", "peak_rss_bytes", "provenance"}) {
    EXPECT_TRUE(report.contains(key)) << key;
  }
  const json& latency = report["latency_us"];
  EXPECT_GT(latency["min"], 0);
  EXPECT_LE(latency["min"], latency["p50"]);
  EXPECT_LE(latency["p50"], latency["p90"]);
  EXPECT_LE(latency["p90"], latency["p99"]);
  EXPECT_LE(latency["p99"], latency["max"]);
  double shares = 0;
  std::set<std::string> names;
  for (const json& layer : report["layers"]) {
    EXPECT_GE(layer["p50_us"], 0);
    EXPECT_FALSE(layer["op"].get<std::string>().empty());
    EXPECT_FALSE(layer["implementation"].get<std::string>().empty());
    shares += layer["share"].get<double>();
    names.insert(layer["name"].get<std::string>());
  }
  EXPECT_NEAR(shares, 1, 1e-9);
  EXPECT_EQ(names.size(), report["layers"].size());
  for (const char* key : {"sweeps", "proposals", "flips", "energy", "gap"})
    EXPECT_TRUE(report["solver"].contains(key)) << key;
  for (const char* key : {"encode_us", "quantise_us", "login_us", "send_us", "queue_us",
                          "program_us", "anneal_us", "readout_us", "verify_us", "modelled"}) {
    EXPECT_TRUE(report["link"].contains(key)) << key;
  }
  for (const char* key :
       {"revision", "compiler", "flags", "cpu", "threads", "seed", "model_sha256"}) {
    EXPECT_TRUE(report["provenance"].contains(key)) << key;
  }
}

TEST_F(CliProfile, HasWhatTheContractNames) {
  const json report = profile({}, qama_);
  expect_contract(report);
  EXPECT_GT(report["solver"]["proposals"], 0);
  EXPECT_LT(report["solver"]["energy"], 0);
  EXPECT_GE(report["solver"]["gap"], 0);
  EXPECT_GT(report["solver"]["share"], 0);
  EXPECT_LT(report["solver"]["share"], 1);
  EXPECT_EQ(report["solver"]["solves"], 12);
  EXPECT_EQ(report["link"]["modelled"], false);
  EXPECT_EQ(report["devices"].size(), 1U);
  // The same names, operators and arena as `qama info` has.
  const json info = run_qama({"info", "-q", "--json", qama_}).json();
  EXPECT_EQ(report["arena_bytes"], info["arena_bytes"]);
  ASSERT_EQ(report["layers"].size(), info["steps"].size());
  for (std::size_t i = 0; i < info["steps"].size(); ++i) {
    for (const char* key : {"name", "op"})
      EXPECT_EQ(report["layers"][i][key], info["steps"][i][key]);
    // Of a solve the report also knows the form: "cpu:avx512 factors".
    EXPECT_THAT(report["layers"][i]["implementation"].get<std::string>(),
                testing::StartsWith(info["steps"][i]["implementation"].get<std::string>()));
  }
  // 196 spins fit a machine of 550: what a job would weigh, block form and dense.
  const json& job = report["machine_job"];
  ASSERT_EQ(job["fits"], true);
  EXPECT_EQ(job["block_bytes"], 32 + 56 + 2 * 196 + 4 * 49 * 48 / 2);
  const int width = 196 + job["ancillas"].get<int>();
  EXPECT_EQ(job["dense_bytes"], 32 + 56 + width * (width - 1) / 2);
}

TEST_F(CliProfile, OtherKindsOfModels) {
  const json softmax = profile({}, softmax_);
  expect_contract(softmax);
  EXPECT_EQ(softmax["solver"]["solves"], 0);
  EXPECT_EQ(softmax["solver"]["share"], 0);
  EXPECT_TRUE(softmax["device"].is_null());
  const json text = profile({}, text_);
  expect_contract(text);
  EXPECT_EQ(text["solver"]["solves"], 6);
}

TEST_F(CliProfile, DevicesSideBySideSolveTheSame) {
  const json report =
      profile({"--device", "cpu:scalar", "--device", "cpu:", "--batch", "4"}, qama_);
  ASSERT_EQ(report["devices"].size(), 2U);
  const json& a = report["devices"][0];
  const json& b = report["devices"][1];
  EXPECT_EQ(a["device"], "cpu:scalar");
  EXPECT_NE(b["device"], "");
  for (const char* key : {"energy", "flips", "proposals", "gap"})
    EXPECT_EQ(a["solver"][key], b["solver"][key]) << key;
  EXPECT_EQ(report["latency_us"], a["latency_us"]);
  EXPECT_EQ(a["throughput"]["batch"], 4);
  EXPECT_GT(b["throughput"]["samples_per_s"], 0);
}

TEST_F(CliProfile, ChosenInputs) {
  put_mnist(directory_, 3);
  const std::string images = directory_.file("t10k-images-idx3-ubyte.gz");
  const json one = profile({images + ":1"}, qama_);
  const json same = profile({"--input", images + ":1"}, qama_);
  const json other = profile({images + ":2"}, qama_);
  EXPECT_EQ(one["solver"]["energy"], same["solver"]["energy"]);
  EXPECT_NE(one["solver"]["energy"], other["solver"]["energy"]);
  expect_error(run_qama({"profile", "-q", "-m", qama_, "--runs", "1", images + ":3"}),
               "INDEX_OUT_OF_RANGE");
}

TEST_F(CliProfile, CsvKeepsMeasuredAndModelledApart) {
  const json report = profile({"--csv", directory_.file("runs.csv")}, qama_);
  const std::string text = text_of("runs.csv");
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  EXPECT_EQ(lines.at(0), "device,run,input,part,op,implementation,measured_us,modelled_us");
  ASSERT_EQ(lines.size(), 1 + 6 * (report["layers"].size() + 1));
  for (std::size_t i = 1; i < lines.size(); ++i) {
    EXPECT_EQ(std::count(lines[i].begin(), lines[i].end(), ','), 7) << lines[i];
    // Nothing is modelled on a CPU: the last column is empty, the one before is not.
    EXPECT_EQ(lines[i].back(), ',') << lines[i];
    EXPECT_NE(lines[i][lines[i].size() - 2], ',') << lines[i];
  }
}

TEST_F(CliProfile, TraceIsNestedSlices) {
  (void)profile({"--trace", directory_.file("trace.json")}, qama_);
  const json trace = json::parse(text_of("trace.json"), nullptr, false);
  ASSERT_TRUE(trace.is_object());
  double from = 0;
  double to = 0;
  int samples = 0;
  int steps = 0;
  for (const json& event : trace["traceEvents"]) {
    if (event["ph"] == "M") continue;
    ASSERT_EQ(event["ph"], "X");
    const double start = event["ts"];
    const double end = start + event["dur"].get<double>();
    EXPECT_GE(start, 0);
    if (event["cat"] == "sample") {
      EXPECT_GE(start, to) << "samples follow each other";
      from = start;
      to = end;
      ++samples;
    } else {
      EXPECT_GE(start, from - 1e-6);
      EXPECT_LE(end, to + 1e-6);
      ++steps;
    }
  }
  EXPECT_EQ(samples, 6);
  EXPECT_GT(steps, 6 * 10);
}

TEST_F(CliProfile, PageStandsAlone) {
  (void)profile(
      {"--html", directory_.file("page.html"), "--device", "cpu:", "--device", "cpu:scalar"},
      qama_);
  std::string page = text_of("page.html");
  EXPECT_THAT(page, HasSubstr("<svg"));
  EXPECT_THAT(page, HasSubstr("cpu:scalar"));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("<link")));
  EXPECT_THAT(page, Not(HasSubstr("src=")));
  // The only address in it is the name of SVG's namespace.
  const std::string name = "http://www.w3.org/2000/svg";
  for (std::size_t at = page.find(name); at != std::string::npos; at = page.find(name))
    page.erase(at, name.size());
  EXPECT_THAT(page, Not(HasSubstr("http")));
  for (const char* tag : {"svg", "table", "tr", "h2", "p"}) {
    const auto count = [&page](const std::string& what) {
      std::size_t found = 0;
      for (std::size_t at = page.find(what); at != std::string::npos; at = page.find(what, at + 1))
        ++found;
      return found;
    };
    EXPECT_EQ(count(std::string("<") + tag + ">") + count(std::string("<") + tag + " "),
              count(std::string("</") + tag + ">"))
        << tag;
  }
}

TEST_F(CliProfile, StrictRefusesReferences) {
  const Outcome refused =
      run_qama({"profile", "-q", "--runs", "2", "-m", qama_, "--device", "cpu:scalar", "--strict"});
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.err, HasSubstr("qama: error: UNSUPPORTED: step 'block.0.attn.solve' "
                                     "(qama.solve): implementation 'cpu:scalar'"));
  const Outcome good = run_qama({"profile", "-q", "--runs", "2", "-m", qama_, "--strict"});
  EXPECT_EQ(good.status, 0) << good.err;
  EXPECT_EQ(run_qama({"info", "-q", "--strict", qama_}).status, 0);
}

TEST_F(CliProfile, Refusals) {
  expect_error(run_qama({"profile", "-q", "--runs", "1", "-m", qama_, "--device", "gpu:"}),
               "DEVICE_UNKNOWN");
  expect_error(run_qama({"profile", "-q", "--runs", "1", "-m", qama_, "--csv",
                         directory_.file("no/such/dir.csv")}),
               "IO_ERROR");
  expect_error(run_qama({"profile", "-q", "--runs", "1", "-m", qama_, "--html",
                         directory_.file("no/such/dir.html")}),
               "IO_ERROR");
  EXPECT_EQ(run_qama({"profile", "-m", qama_, "--runs", "0"}).status, 2);
}

}  // namespace
}  // namespace qama::test
