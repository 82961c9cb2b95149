// `qama merge`: the shards' report is the report of one process, and what does not belong together
// is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "runtime/cli/eval_report.h"
#include "tests/runtime/cli/cli_files.h"
#include "tests/runtime/cli/process.h"

namespace qama::test {
namespace {

using cli::EvalReport;
using nlohmann::json;
using testing::HasSubstr;
using weights::AttentionKind;

constexpr int kCount = 23;

std::string get_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// What a report says besides times.
json without_times(json report) {
  for (const char* key : {"seconds", "images_per_s", "latency_us"}) {
    EXPECT_EQ(report.erase(key), 1U) << key;
  }
  return report;
}

class CliMerge : public testing::Test {
 protected:
  void SetUp() override {
    qama_ = put_model(directory_, "qama.safetensors", small_vit(AttentionKind::qama));
    put_mnist(directory_, kCount);
  }
  Outcome eval(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {
        "eval", "-q", "--json", "-m", qama_, "--dataset", "mnist", "--data", directory_.path()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_qama(arguments);
  }
  /// The path of the report of a shard.
  std::string shard(const std::string& part, std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--shard", part});
    const Outcome outcome = eval(more);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return put("shard", outcome.out);
  }
  /// The path of a new file.
  std::string put(const std::string& name, const std::string& text) {
    const std::string path = directory_.file(name + std::to_string(++files_) + ".json");
    put_file(path, text);
    return path;
  }
  static Outcome merge(std::vector<std::string> files) {
    files.insert(files.begin(), {"merge", "-q", "--json"});
    return run_qama(files);
  }

  TempDir directory_;
  std::string qama_;
  int files_ = 0;
};

TEST_F(CliMerge, TheReportIsThatOfOneProcess) {
  for (const std::vector<std::string>& parts :
       {std::vector<std::string>{"2/4", "0/4", "3/4", "1/4"}, {"1/3", "2/3", "3/3"}, {"0/1"}}) {
    std::vector<std::string> files;
    std::map<double, int> histogram;
    double seconds = 0;
    for (const std::string& part : parts) {
      files.push_back(shard(part));
      const json report = json::parse(get_file(files.back()));
      for (const json& pair : report["latency_us"]["histogram"]) {
        histogram[pair[0].get<double>()] += pair[1].get<int>();
      }
      seconds += report["seconds"].get<double>();
    }
    const Outcome outcome = merge(files);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    const json merged = outcome.json();
    EXPECT_EQ(without_times(merged), without_times(eval({"--shard", "0/1"}).json()));

    // Without --shard it is shorter, and the same.
    json brief = without_times(merged);
    brief["shard"].erase("answers");
    brief["shard"].erase("label_probability");
    EXPECT_EQ(brief, without_times(eval({}).json()));

    // Times are those of all shards.
    json pairs = json::array();
    std::vector<double> sorted;
    for (const auto& [us, count] : histogram) {
      pairs.push_back({us, count});
      sorted.insert(sorted.end(), static_cast<std::size_t>(count), us);
    }
    const json& latency = merged["latency_us"];
    EXPECT_EQ(latency["histogram"], pairs);
    ASSERT_EQ(sorted.size(), kCount);
    EXPECT_EQ(latency["p50"], sorted[11]);  // nearest rank: the 12th of 23
    EXPECT_EQ(latency["p90"], sorted[20]);
    EXPECT_EQ(latency["p99"], sorted[22]);
    EXPECT_EQ(latency["max"], sorted[22]);
    EXPECT_NEAR(merged["seconds"].get<double>(), seconds, 1e-12);
    EXPECT_NEAR(merged["images_per_s"].get<double>(), kCount / seconds, 1e-6 * kCount / seconds);

    // What was merged may be merged again.
    EXPECT_EQ(merge({put("merged", outcome.out)}).json(), merged);
  }
}

TEST_F(CliMerge, TheTextIsThatOfEval) {
  const auto lines_without_times = [](std::string text) {
    const std::size_t begin = text.find("latency us");
    EXPECT_NE(begin, std::string::npos);
    return text.erase(begin, text.find('\n', begin) - begin);
  };
  const Outcome whole =
      run_qama({"eval", "-q", "-m", qama_, "--dataset", "mnist", "--data", directory_.path()});
  const Outcome merged = run_qama({"merge", shard("0/2"), shard("1/2")});
  EXPECT_EQ(merged.status, 0) << merged.err;
  EXPECT_EQ(lines_without_times(merged.out), lines_without_times(whole.out));
  EXPECT_EQ(merged.err, "");
}

TEST_F(CliMerge, ShardsWithoutASampleMayBeMissing) {
  std::vector<std::string> files;
  for (int i = 0; i < 3; ++i) files.push_back(shard(std::to_string(i) + "/5", {"--limit", "3"}));
  expect_error(eval({"--limit", "3", "--shard", "3/5"}), "DATASET_EMPTY");
  EXPECT_EQ(without_times(merge(files).json()),
            without_times(eval({"--limit", "3", "--shard", "0/1"}).json()));
}

TEST_F(CliMerge, SamplesThatCannotBeReadKeepTheirPlace) {
  std::filesystem::create_directories(directory_.file("own/1"));
  for (int i = 0; i < 6; ++i) {
    const std::string file = directory_.file("own/1/" + std::to_string(i));
    if (i % 3 == 1) {
      put_file(file, "no picture");
    } else {
      put_file(file, png_file(28, 28, 1, sample_pixels(28 + i, 28, 1)));
    }
  }
  std::vector<std::string> command = {
      "eval", "-q", "--json", "-m", qama_, "--data", directory_.file("own"), "--shard"};
  const auto run = [&command](const std::string& part) {
    std::vector<std::string> with = command;
    with.push_back(part);
    return run_qama(with);
  };
  std::vector<std::string> files;
  for (const char* part : {"0/3", "1/3", "2/3"}) files.push_back(put("own", run(part).out));
  const json of_unread = json::parse(get_file(files[1]));
  EXPECT_EQ(of_unread["n"], 0);
  EXPECT_EQ(of_unread["unread"], 2);
  const Outcome outcome = merge(files);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(without_times(outcome.json()), without_times(run("0/1").json()));
  EXPECT_TRUE(outcome.json()["shard"]["answers"][4].is_null());
}

TEST_F(CliMerge, ShardsOfAnotherFolderOrTableAreForeign) {
  const auto run = [&](const std::string& data, const std::string& part) {
    const Outcome outcome = run_qama(
        {"eval", "-q", "--json", "-m", qama_, "--data", directory_.file(data), "--shard", part});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return put("own", outcome.out);
  };
  // The same files elsewhere are the same data. Another name, label or order is not.
  for (const auto& [folder, files] :
       std::map<std::string, std::vector<const char*>>{{"a", {"1/x", "2/y"}},
                                                       {"moved", {"1/x", "2/y"}},
                                                       {"b", {"1/x", "2/z"}},
                                                       {"c", {"1/x", "3/y"}}}) {
    std::string table = "file,label\n";
    for (const std::string file : files) {
      std::filesystem::create_directories(directory_.file(folder + "/" + file.substr(0, 1)));
      put_file(directory_.file(folder + "/" + file), png_file(28, 28, 1, sample_pixels(28, 28, 1)));
      table += file + "," + file.substr(0, 1) + "\n";
    }
    put_file(directory_.file(folder + "/table.csv"), table);
  }
  for (const std::string end : {"", "/table.csv"}) {
    const std::string first = run("a" + end, "0/2");
    EXPECT_EQ(merge({first, run("moved" + end, "1/2")}).status, 0);
    for (const char* other : {"b", "c"}) {
      const Outcome outcome = merge({first, run(other + end, "1/2")});
      expect_error(outcome, "SHARD_FOREIGN");
      EXPECT_THAT(outcome.err, HasSubstr("data_sha256"));
    }
  }
}

TEST_F(CliMerge, ShardsOfAnotherRunAreForeign) {
  const std::string first = shard("0/2");
  const std::string second = shard("1/2");
  ASSERT_EQ(merge({first, second}).status, 0);
  put_model(directory_, "other.safetensors", small_vit(AttentionKind::softmax));
  const std::string model = qama_;
  qama_ = directory_.file("other.safetensors");
  const std::string of_other_model = shard("1/2");
  qama_ = model;
  put_file(directory_.file("train-images-idx3-ubyte.gz"),
           get_file(directory_.file("t10k-images-idx3-ubyte.gz")));
  put_file(directory_.file("train-labels-idx1-ubyte"),
           get_file(directory_.file("t10k-labels-idx1-ubyte")));
  const std::pair<std::string, std::string> foreign[] = {
      {of_other_model, "model_sha256"},
      {shard("1/2", {"--seed", "2"}), "seed '2', expected '1'"},
      {shard("1/2", {"--sweeps", "3"}), "schedules"},
      {shard("1/2", {"--limit", "22"}), "samples '22', expected '23'"},
      {shard("1/2", {"--split", "train"}), "split"},
      {shard("1/2", {"--invert", "yes"}), "invert"},
      {shard("1/3"), "of '3', expected '2'"}};
  for (const auto& [file, what] : foreign) {
    const Outcome outcome = merge({first, file});
    expect_error(outcome, "SHARD_FOREIGN");
    EXPECT_THAT(outcome.err, HasSubstr(what));
    EXPECT_THAT(outcome.err, HasSubstr(file));
  }
}

TEST_F(CliMerge, EachShardIsThereOnce) {
  const std::string zero = shard("0/3");
  const std::string one = shard("1/3");
  const std::string two = shard("3/3", {"--threads", "2"});
  const Outcome missing = merge({zero, one});
  expect_error(missing, "SHARD_MISSING");
  EXPECT_THAT(missing.err, HasSubstr("shard 2/3 is missing"));
  // 3/3 is 0/3.
  expect_error(merge({zero, one, two}), "SHARD_TWICE");
  expect_error(merge({zero, one, shard("2/3"), one}), "SHARD_TWICE");
}

TEST_F(CliMerge, OnlyReportsAreRead) {
  const std::string good = get_file(shard("0/1"));
  expect_error(merge({directory_.file("absent")}), "NOT_FOUND");
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("[]"), std::string("{}"), good + good,
        eval({}).out, "{\"model\":1," + good.substr(1)}) {
    expect_error(merge({put("bad", text)}), "REPORT_BAD_FORMAT");
  }
}

/// Every key of a report counts.
TEST_F(CliMerge, ChangedReportsAreNoticed) {
  const std::string text = get_file(shard("0/2"));
  const json good = json::parse(text);
  ASSERT_TRUE(cli::parse_eval_report(text, "good").ok());
  const auto expect_bad = [](const json& changed, const std::string& what) {
    const auto report = cli::parse_eval_report(changed.dump(), "changed");
    ASSERT_FALSE(report.ok()) << what;
    EXPECT_EQ(report.error().code, ErrorCode::report_bad_format) << what;
  };
  for (const auto& [key, value] : good.items()) {
    json changed = good;
    changed.erase(key);
    expect_bad(changed, "without " + key);
    for (const json& other :
         {json(-1), json(1e300), json("x"), json(true), json(json::array({json::object()})),
          json(json::object({{"x", -1}}))}) {
      // A name may be any; all shards of a run have the same.
      const bool name = (value.is_string() && key != "checksum") || value.is_null();
      if (name && other.is_string()) continue;
      changed = good;
      changed[key] = other;
      expect_bad(changed, key + " as " + other.dump());
    }
  }
  for (const char* pointer :
       {"/shard/answers/0", "/shard/label_probability", "/shard/index", "/confusion/0/0",
        "/latency_us/histogram/0/1", "/latency_us/p50", "/correct", "/n", "/schedules/0/sweeps"}) {
    json changed = good;
    json& value = changed[json::json_pointer(pointer)];
    value = value == 0 ? json(1) : json(value.get<std::int64_t>() - 1);
    expect_bad(changed, pointer);
  }
}

EvalReport made(std::int64_t index, std::int64_t count, std::int64_t samples, std::int64_t done) {
  EvalReport out;
  out.classes = {"no", "yes"};
  out.confusion.assign(2, std::vector<std::int64_t>(2));
  out.samples = samples;
  out.shard = {index, count};
  out.mergeable = true;
  for (std::int64_t k = 0; k < done; ++k) {
    const auto at = static_cast<std::int32_t>(index + k * count);
    out.add(at % 2, at % 3 == 0 ? 1 : 0, 1.0 / (at + 2), 100.04 * at);
  }
  return out;
}

TEST(EvalReports, ManyShardsAreOneRun) {
  constexpr std::int64_t kSamples = 1000;
  const EvalReport whole = made(0, 1, kSamples, kSamples);
  for (const std::int64_t count : {1, 2, 7, 999, 1000, 1500}) {
    std::vector<std::pair<std::string, EvalReport>> shards;
    for (std::int64_t i = count - 1; i >= 0; --i) {
      const std::int64_t share = cli::Shard{i, count}.share_of(kSamples);
      shards.emplace_back(std::to_string(i), made(i, count, kSamples, share));
    }
    const auto merged = cli::merge(shards);
    ASSERT_TRUE(merged.ok()) << merged.error().message;
    EXPECT_EQ(merged->json(), whole.json());
  }
}

TEST(EvalReports, AStoppedShardIsMissing) {
  EvalReport stopped = made(1, 2, 10, 3);
  stopped.stopped = true;
  const std::pair<std::string, EvalReport> shards[] = {{"a", made(0, 2, 10, 5)}, {"b", stopped}};
  const auto merged = cli::merge(shards);
  ASSERT_FALSE(merged.ok());
  EXPECT_EQ(merged.error().code, ErrorCode::shard_missing);
  EXPECT_THAT(merged.error().message, HasSubstr("stopped after 3 of 5 samples"));
  // It is a report all the same.
  EXPECT_TRUE(cli::parse_eval_report(stopped.json().dump(), "b").ok());
}

TEST(EvalReports, DevicesOfShardsAreAllNamed) {
  EvalReport a = made(0, 2, 10, 5);
  EvalReport b = made(1, 2, 10, 5);
  a.device = "cpu:avx512";
  b.device = "cpu:avx2";
  const std::pair<std::string, EvalReport> shards[] = {{"a", a}, {"b", b}};
  EXPECT_EQ(cli::merge(shards)->device, "cpu:avx2, cpu:avx512");
}

}  // namespace
}  // namespace qama::test
