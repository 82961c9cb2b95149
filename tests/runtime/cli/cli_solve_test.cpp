// `qama solve`: right answers of small problems, equal answers for equal seeds, sentences for bad
// files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <random>
#include <sstream>

#include "tests/runtime/cli/cli_files.h"
#include "tests/runtime/cli/process.h"

namespace qama::test {
namespace {

using testing::HasSubstr;

class CliSolve : public testing::Test {
 protected:
  std::string put(const std::string& name, std::string_view text) {
    put_file(directory_.file(name), text);
    return directory_.file(name);
  }
  static nlohmann::json solve(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"solve", "-q", "--json"});
    const Outcome outcome = run_qama(arguments);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return outcome.json();
  }
  /// A graph of n vertices and edges of weight -9 .. 9.
  static std::string graph(int n, unsigned seed) {
    std::mt19937 random(seed);
    std::ostringstream lines;
    int edges = 0;
    for (int i = 1; i <= n; ++i) {
      for (int j = i + 1; j <= n; ++j) {
        if (random() % 2 == 0) continue;
        lines << i << ' ' << j << ' ' << static_cast<int>(random() % 19) - 9 << '\n';
        ++edges;
      }
    }
    return std::to_string(n) + " " + std::to_string(edges) + "\n" + lines.str();
  }
  /// A ring of n vertices, each joined with those so many steps ahead, by edges of weight 1.
  static std::string ring(int n, const std::vector<int>& steps) {
    std::string out = std::to_string(n) + " " + std::to_string(n * std::ssize(steps)) + "\n";
    for (int i = 1; i <= n; ++i) {
      for (const int step : steps)
        out += std::to_string(i) + " " + std::to_string((i + step - 1) % n + 1) + " 1\n";
    }
    return out;
  }

  TempDir directory_;
};

TEST_F(CliSolve, MaxCutOfAFiveCycle) {
  const std::string file = put("c5.mc", "5 5\n1 2 1\n2 3 1\n3 4 1\n4 5 1\n5 1 1\n");
  auto result = solve({file});
  EXPECT_EQ(result["kind"], "maxcut");
  EXPECT_EQ(result["n"], 5);
  EXPECT_EQ(result["cut"], 4);
  EXPECT_FALSE(result.contains("energy"));
  EXPECT_TRUE(result["cut"].is_number_integer());
  const std::string spins = result["spins"];
  ASSERT_EQ(spins.size(), 5U);
  int cut = 0;
  for (std::size_t i = 0; i < 5; ++i) cut += spins[i] != spins[(i + 1) % 5] ? 1 : 0;
  EXPECT_EQ(cut, 4);
  EXPECT_EQ(result["format"], "maxcut");
  EXPECT_EQ(result["guessed_format"], "maxcut");
  EXPECT_EQ(result["guessed_from"], "the name .mc");
  EXPECT_EQ(result["optimal"], true);
  EXPECT_EQ(result["device"], "exact:");
  EXPECT_EQ(result["proposals"], 32);
  result = solve({file, "--device", "cpu:", "--format", "maxcut"});
  EXPECT_EQ(result["cut"], 4);
  EXPECT_TRUE(result["guessed_format"].is_null());
  EXPECT_EQ(result["optimal"], false);
  EXPECT_EQ(result["seed"], 1);
  EXPECT_EQ(result["sweeps"], 1000);
  EXPECT_EQ(result["restarts"], 32);
  EXPECT_GT(result["proposals"], 0);
  EXPECT_GE(result["ns_per_proposal"], 0);
  EXPECT_EQ(result["weights_exact"], true);
  for (const char* field : {"solve_us", "flips", "kernel", "device"}) {
    EXPECT_TRUE(result.contains(field)) << field;
  }
}

TEST_F(CliSolve, AnnealerFindsWhatExhaustiveSearchFinds) {
  for (unsigned seed = 1; seed <= 3; ++seed) {
    const std::string file = put("g", graph(16, seed));
    for (const char* kind : {"maxcut", "qubo"}) {
      const auto annealed = solve({file, "--format", kind, "--device", "cpu:"});
      const auto exact = solve({file, "--format", kind, "--device", "exact:"});
      EXPECT_EQ(exact["device"], "exact:");
      const char* value = std::string(kind) == "maxcut" ? "cut" : "energy";
      EXPECT_EQ(annealed[value], exact[value]) << kind << seed;
    }
  }
}

TEST_F(CliSolve, TheBestDifferentAnswersAndTheReadsByValue) {
  const std::string file = put("g.mc", graph(60, 4));
  const std::vector<std::string> search = {file,         "--samples", "4",      "--sweeps", "1",
                                           "--restarts", "50",        "--form", "dense"};
  const auto result = solve(search);
  EXPECT_EQ(result["reads"], 50);
  ASSERT_EQ(result["samples"].size(), 4U);
  EXPECT_EQ(result["samples"][0]["cut"], result["cut"]);
  int binned = 0;
  for (const auto& bin : result["histogram"]) {
    EXPECT_LE(bin["from"], bin["to"]);
    binned += bin["count"].get<int>();
  }
  EXPECT_EQ(binned, 50);
  EXPECT_GE(result["histogram"].front()["to"], result["cut"]);
  ASSERT_FALSE(result["improvements"].empty());
  EXPECT_EQ(result["improvements"].back()["cut"], result["cut"]);
  for (std::size_t k = 1; k < 4; ++k) {
    EXPECT_LE(result["samples"][k]["cut"], result["samples"][k - 1]["cut"]);
    EXPECT_NE(result["samples"][k]["spins"], result["samples"][k - 1]["spins"]);
  }
  // The same answers on two threads.
  std::vector<std::string> with_threads = search;
  with_threads.insert(with_threads.end(), {"--threads", "2"});
  const auto again = solve(with_threads);
  EXPECT_EQ(again["samples"], result["samples"]);
  EXPECT_EQ(again["histogram"], result["histogram"]);
  // All states of a small problem: the best three of eight, each once.
  const Outcome text =
      run_qama({"solve", "-q", put("p.qubo", "3 3\n1 1 -1\n2 2 -2\n3 3 -4\n"), "--samples", "3"});
  EXPECT_EQ(text.status, 0);
  EXPECT_THAT(text.out, HasSubstr("samples    3 different of 3 reads\n"
                                  "    1  -7  x 1      111\n"
                                  "    2  -6  x 1      011\n"
                                  "    3  -5  x 1      101\n"
                                  "histogram\n"));
  EXPECT_NE(run_qama({"solve", file, "--samples", "0"}).status, 0);
  EXPECT_FALSE(solve({file}).contains("samples"));
}

TEST_F(CliSolve, FractionalWeightsOfACut) {
  // 0.1 + 0.2 + 0.4 of 0.7: the triangle loses its lightest edge.
  const auto result = solve({put("f.mc", "3 3\n1 2 0.1\n2 3 0.25\n1 3 0.4\n")});
  EXPECT_EQ(result["cut"], 0.65);
  EXPECT_EQ(solve({put("f.mc", "3 3\n1 2 0.1\n2 3 0.25\n1 3 0.4\n"), "--device", "cpu:"})["cut"],
            0.65);
}

TEST_F(CliSolve, AReceiptIsProvenByReplay) {
  const std::string file = put("g.mc", graph(60, 5));
  const std::string receipt = directory_.file("receipt");
  const auto solved = solve({file, "--receipt", receipt, "--seed", "7", "--threads", "2"});
  EXPECT_EQ(solved["receipt"], receipt);
  const auto replay = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"replay", "-q", "--json"});
    return run_qama(arguments);
  };
  const Outcome outcome = replay({receipt, file});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  auto proof = outcome.json();
  EXPECT_EQ(proof["cut"], solved["cut"]);
  EXPECT_EQ(proof["search_repeated"], true);
  EXPECT_EQ(proof["same_revision"], true);
  EXPECT_THAT(replay({receipt, file, "--device", "cpu:scalar"}).json()["kernel"].get<std::string>(),
              HasSubstr("cpu:scalar"));
  // The same problem in another order, with a comment, from another file.
  std::string text = graph(60, 5);
  const std::size_t first = text.find('\n') + 1;
  const std::string line = text.substr(first, text.find('\n', first) + 1 - first);
  text.erase(first, line.size());
  EXPECT_EQ(replay({receipt, put("other", "# the same\n" + text + line)}).status, 0);
  EXPECT_THAT(run_qama({"replay", receipt, file}).out, HasSubstr("search     repeated on cpu:"));

  // Another problem, another answer, another value, another seed.
  const auto refused = [&](const std::string& path, const std::string& problem,
                           const std::string& sentence) {
    const Outcome failed = run_qama({"replay", "-q", path, problem});
    EXPECT_EQ(failed.status, 1);
    EXPECT_THAT(failed.err, HasSubstr(sentence));
  };
  refused(receipt, put("h.mc", graph(60, 6)), "INVALID_ARGUMENT");
  const nlohmann::json good = nlohmann::json::parse(std::ifstream(receipt));
  const auto changed = [&](const char* key, const nlohmann::json& value) {
    nlohmann::json bad = good;
    bad[key] = value;
    return put("bad", bad.dump());
  };
  std::string spins = good["spins"];
  spins[20] = spins[20] == '0' ? '1' : '0';
  refused(changed("spins", spins), file, "DEVICE_BAD_ANSWER: receipt");
  refused(changed("spins", "01"), file, "2 spins, expected 60");
  refused(changed("value", good["value"].get<double>() + 1), file, "its spins have the cut");
  refused(changed("seed", 8), file, "DEVICE_BAD_ANSWER: device");
  refused(changed("seed", -1), file, "REPORT_BAD_FORMAT");
  refused(changed("more", 1), file, "REPORT_BAD_FORMAT");
  refused(changed("threads", 0), file, "REPORT_BAD_FORMAT");
  refused(put("bad", "{"), file, "REPORT_BAD_FORMAT");
  refused(file, file, "REPORT_BAD_FORMAT");

  // With a time limit the answer is proven, the search is not repeated.
  EXPECT_EQ(solve({file, "--receipt", receipt, "--time-limit", "5"})["receipt"], receipt);
  proof = replay({receipt, file}).json();
  EXPECT_EQ(proof["answer_proven"], true);
  EXPECT_EQ(proof["search_repeated"], false);
  EXPECT_THAT(run_qama({"replay", receipt, file}).out, HasSubstr("search     not repeated"));
  // Of every format, and in every other: a hash is of the numbers.
  const std::string banner = "%%MatrixMarket matrix coordinate ";
  const std::vector<std::string> same = {
      put("a.qubo", "2 3\n1 1 -1\n1 2 2\n2 2 -3\n"),
      put("a.csv", "-1,1\n1,-3\n"),
      put("a.coo", "1 0 2\n0 0 -1\n1 1 -3\n"),
      put("a.mtx", banner + "real symmetric\n2 2 3\n1 1 -1\n2 1 1\n2 2 -3\n"),
      put("b.mtx", "%%MatrixMarket matrix array real general\n2 2\n-1\n2\n0\n-3\n"),
      put("a.qbsolv", "p qubo 0 2 2 1\n0 0 -1\n1 1 -3\n0 1 2\n")};
  for (const std::string& one : same) {
    solve({one, "--receipt", receipt});
    for (const std::string& other : same) {
      const Outcome proven = run_qama({"replay", "-q", receipt, other});
      EXPECT_EQ(proven.status, 0) << one << " " << other << " " << proven.err;
    }
  }
  const std::string pattern = put("c.mtx", banner + "pattern symmetric\n3 3 2\n2 1\n3 2\n");
  solve({pattern, "--receipt", receipt});
  EXPECT_EQ(replay({receipt, pattern}).json()["cut"], 2);
  EXPECT_EQ(replay({receipt, put("c.mc", "3 2\n1 2 1\n2 3 1\n")}).json()["cut"], 2);
  refused(receipt, same[0], "INVALID_ARGUMENT: problem");
  // A small problem is proven to be optimal again; a maximised one is read as it was.
  const std::string qubo = put("p.qubo", "3 3\n1 1 -1\n2 2 2\n1 3 4\n");
  solve({qubo, "--maximise", "--receipt", receipt});
  proof = replay({receipt, qubo}).json();
  EXPECT_EQ(proof["energy"], 5);
  EXPECT_EQ(proof["optimal"], true);
}

TEST_F(CliSolve, QuboWithLinearTerms) {
  // x1 = x3 = 1: -2.5 - 1 = -3.5; adding x2 costs 3 - 2.
  const auto result = solve({put("p", "3 5\n1 1 -2.5\n2 2 -2\n3 3 -1\n1 2 3\n2 3 0.25\n")});
  EXPECT_EQ(result["kind"], "qubo");
  EXPECT_EQ(result["energy"], -3.5);
  EXPECT_EQ(result["spins"], "101");
  EXPECT_EQ(result["weights_exact"], true);
  EXPECT_EQ(solve({directory_.file("p"), "--device", "cpu:"})["weights_exact"], false);
}

TEST_F(CliSolve, EnergyIsThatOfTheFilesOwnNumbers) {
  // Couplings 0.6 and -0.35, fields 1.5 * h: the best of the eight states by hand is 110.
  const auto result =
      solve({put("layer", "qama tiny\n1 3 2 1.5 0\n1 -1\n0.4 1 0.5\n-0.2 0.6 0\n-0.5 0 0.7\n")});
  EXPECT_EQ(result["kind"], "qama");
  EXPECT_EQ(result["spins"], "110");
  EXPECT_NEAR(result["energy"].get<double>(), -(0.6 + 1.5 * 0.4 - 1.5 * 0.2), 1e-12);
}

TEST_F(CliSolve, SameSeedSameAnswerOnAnyNumberOfThreads) {
  const std::string file = put("g.mc", graph(120, 9));
  const std::vector<std::string> schedule = {file, "--sweeps", "3", "--restarts", "64"};
  const auto with = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = schedule;
    arguments.insert(arguments.end(), more.begin(), more.end());
    return solve(arguments);
  };
  const auto one = with({"--seed", "5"});
  EXPECT_EQ(one["restarts"], 64);
  const auto again = with({"--seed", "5"});
  const auto threaded = with({"--seed", "5", "--threads", "4"});
  EXPECT_EQ(one["spins"], again["spins"]);
  EXPECT_EQ(one["spins"], threaded["spins"]);
  EXPECT_EQ(one["proposals"], threaded["proposals"]);
  EXPECT_EQ(with({"--seed", "5", "--device", "cpu:scalar"})["spins"], one["spins"]);
}

TEST_F(CliSolve, AGraphHasTheSameAnswerInEveryForm) {
  const std::string file = put("g.mc", graph(150, 12));
  for (const char* restarts : {"1", "32", "70"}) {
    const std::vector<std::string> schedule = {file,         "--sweeps", "4",
                                               "--restarts", restarts,   "--form"};
    const auto in_form = [&](const char* form) {
      std::vector<std::string> arguments = schedule;
      arguments.emplace_back(form);
      return solve(arguments);
    };
    const auto matrix = in_form("dense");
    const auto sparse = in_form("sparse");
    EXPECT_EQ(matrix["form"], "dense");
    EXPECT_EQ(sparse["form"], "sparse");
    for (const char* field : {"spins", "cut", "flips", "proposals", "restarts", "total_sweeps"}) {
      EXPECT_EQ(matrix[field], sparse[field]) << field;
    }
  }
}

TEST_F(CliSolve, VariablesOfFewCouplingsAreEliminated) {
  const std::string file = put("ring.mc", ring(20000, {1}));
  const auto whole = solve({file});
  EXPECT_EQ(whole["cut"], 20000);
  EXPECT_EQ(whole["optimal"], true);
  EXPECT_EQ(whole["eliminated"], 20000);
  EXPECT_FALSE(solve({file, "--form", "sparse", "--sweeps", "2"}).contains("eliminated"));
  // Four rings side by side: vertices of the outer two have three neighbours, the others four.
  std::string ladder = "160 280\n";
  for (int i = 1; i <= 40; ++i) {
    for (int k = 0; k < 4; ++k)
      ladder += std::to_string(i + 40 * k) + " " + std::to_string(i % 40 + 1 + 40 * k) + " 1\n";
    for (int k = 0; k < 3; ++k)
      ladder += std::to_string(i + 40 * k) + " " + std::to_string(i + 40 * k + 40) + " 1\n";
  }
  const auto part = solve({put("ladder.mc", ladder)});
  EXPECT_EQ(part["cut"], 280);
  EXPECT_GE(part["eliminated"], 40);
  EXPECT_EQ(part["spins"].get<std::string>().size(), 160U);
}

TEST_F(CliSolve, TheFastestFormIsTaken) {
  const auto large = solve({put("ring.mc", ring(20000, {1, 3})), "--sweeps", "50"});
  EXPECT_EQ(large["form"], "sparse");
  EXPECT_GT(large["cut"], 36000);
  EXPECT_LE(large["cut"], 40000);
  EXPECT_EQ(solve({put("g.mc", graph(100, 3)), "--restarts", "4"})["form"], "dense");
  EXPECT_EQ(solve({put("g.mc", graph(100, 3))})["form"], "sparse");
  EXPECT_EQ(solve({put("g.mc", graph(100, 3)), "--rounds", "1"})["form"], "dense");
  EXPECT_EQ(solve({put("g.mc", graph(12, 3)), "--device", "exact:"})["form"], "dense");
  EXPECT_EQ(solve({put("g.mc", graph(300, 3))})["form"], "dense");  // 150 neighbours
  std::ostringstream complete;
  complete << "80 3160\n";
  for (int i = 1; i <= 80; ++i) {
    for (int j = i + 1; j <= 80; ++j)
      complete << i << ' ' << j << ' ' << 1 - 2 * (i * j % 2) << '\n';
  }
  const std::string few = put("k80.mc", complete.str());
  const auto planes = solve({few});
  EXPECT_EQ(planes["form"], "planes");
  EXPECT_THAT(planes["kernel"].get<std::string>(), testing::EndsWith(" planes"));
  EXPECT_EQ(solve({few, "--form", "planes"})["spins"], planes["spins"]);
  expect_error(run_qama({"solve", "-q", put("g.mc", graph(100, 3)), "--form", "planes"}),
               "INVALID_ARGUMENT");
}

TEST_F(CliSolve, ALayerAsFactorsHasTheEnergyOfItsMatrix) {
  // Fields of one sign and positive couplings: all selected is best, in any form.
  std::string text = "qama long\n1 40 3 1 0\n1 1 1\n";
  for (int i = 0; i < 40; ++i) text += "0.5 0.1 0.2 0.3\n";
  const std::string file = put("long", text);
  const auto matrix = solve({file});
  const auto factors = solve({file, "--form", "factors"});
  EXPECT_EQ(matrix["form"], "dense");
  EXPECT_EQ(factors["form"], "factors");
  EXPECT_EQ(factors["spins"], matrix["spins"]);
  EXPECT_NEAR(factors["energy"].get<double>(), -(40 * 0.5 + 780 * 0.14), 1e-9);
  expect_error(run_qama({"solve", "-q", file, "--form", "sparse"}), "INVALID_ARGUMENT");
  expect_error(run_qama({"solve", "-q", file, "--form", "factors", "--rounds", "2"}),
               "INVALID_ARGUMENT");
  expect_error(run_qama({"solve", "-q", file, "--form", "factors", "--device", "exact:"}),
               "UNSUPPORTED");
  expect_error(run_qama({"solve", "-q", put("g.mc", graph(9, 4)), "--form", "factors"}),
               "INVALID_ARGUMENT");
  EXPECT_EQ(run_qama({"solve", "-q", file, "--form", "cube"}).status, 2);
}

TEST_F(CliSolve, TheStartOfALayersRestartsMayBeChosen) {
  QAMA_SHARED_OR_SKIP(file, "instances/qama/norm0_8x49x8_s1.txt");
  std::vector<std::string> spins;
  for (const char* start : {"guessed", "random", "mixed"}) {
    // One sweep and four restarts: what they begin with shows.
    const auto result = solve({file, "--sweeps", "1", "--restarts", "4", "--start", start});
    EXPECT_LT(result["energy"], -600) << start;
    spins.push_back(result["spins"]);
  }
  EXPECT_NE(spins[0], spins[1]);
  EXPECT_EQ(solve({file, "--sweeps", "1", "--restarts", "4"})["spins"], spins[0]);
  EXPECT_EQ(run_qama({"solve", "-q", file, "--start", "cold"}).status, 2);
}

TEST_F(CliSolve, TemperaturesAreChecked) {
  const std::string file = put("g.mc", graph(9, 4));
  EXPECT_EQ(run_qama({"solve", file, "--t-start", "0.1", "--t-end", "0.2"}).status, 2);
  EXPECT_EQ(solve({file, "--t-start", "2", "--t-end", "0.05"})["cut"], solve({file})["cut"]);
}

TEST_F(CliSolve, TargetStopsTheSearch) {
  const std::string file = put("c5.mc", "5 5\n1 2 1\n2 3 1\n3 4 1\n4 5 1\n5 1 1\n");
  const auto reached = solve({file, "--target", "4", "--restarts", "1000000"});
  EXPECT_EQ(reached["target_reached"], true);
  EXPECT_LE(reached["restarts"], 64);
  const auto not_reached = solve({file, "--target", "5", "--restarts", "20"});
  EXPECT_EQ(not_reached["target_reached"], false);
  EXPECT_EQ(not_reached["restarts"], 20);
  expect_error(run_qama({"solve", "-q", put("loop", "3 2\n1 2 1\n2 2 1\n")}), "PROBLEM_BAD_FORMAT");
  const auto energy = solve({file, "--format", "qubo", "--target", "0"});
  EXPECT_EQ(energy["target_reached"], true);
}

TEST_F(CliSolve, TimeLimitIsKept) {
  const std::string file = put("g.mc", graph(200, 2));
  const auto result = solve({file, "--time-limit", "60"});
  EXPECT_GE(result["solve_us"], 30e3);
  EXPECT_LE(result["solve_us"], 5e6);  // one part of restarts more, on a busy machine
  EXPECT_GE(result["restarts"], 1);
  // A limit that is too short for the schedule shortens it; what is asked for by name stays.
  const std::string large = put("ring.mc", ring(16000, {1, 3}));
  EXPECT_LT(solve({large, "--time-limit", "1"})["sweeps"], 1000);
  EXPECT_EQ(solve({large, "--time-limit", "1", "--sweeps", "1000"})["sweeps"], 1000);
  EXPECT_EQ(solve({put("c4.mc", "4 4\n1 2 1\n2 3 1\n3 4 1\n4 1 1\n"), "--time-limit", "1",
                   "--device", "exact:"})["cut"],
            4);
}

TEST_F(CliSolve, StandardInputAndPlainOutput) {
  RunSetup setup;
  setup.input = "2 1\n1 2 7\n";
  const Outcome outcome = run_qama({"solve", "-"}, setup);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("cut        7, optimal\n"));
  EXPECT_THAT(outcome.out, HasSubstr("read as    maxcut (from weights that are all positive)\n"));
  EXPECT_THAT(outcome.out, HasSubstr("means      maximises the weight of the edges"));
  EXPECT_THAT(outcome.out, HasSubstr("work       4 of 4 states"));
  EXPECT_THAT(outcome.out, testing::Not(HasSubstr("seed")));
  const Outcome annealed = run_qama({"solve", "-", "--sweeps", "10"}, setup);
  EXPECT_THAT(annealed.out, HasSubstr("cut        7\n"));
  EXPECT_THAT(annealed.out, HasSubstr("work       10 sweeps x 32 restarts"));
  EXPECT_THAT(annealed.out, HasSubstr("seed 1"));
  EXPECT_THAT(annealed.err, HasSubstr("weights exact"));
}

TEST_F(CliSolve, BadFiles) {
  const auto refused = [&](std::string_view text, const std::string& name,
                           const std::vector<std::string>& more = {}) {
    SCOPED_TRACE(text);
    std::vector<std::string> arguments = {"solve", "-q", put("p", text)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    expect_error(run_qama(arguments), name);
  };
  refused("", "PROBLEM_BAD_FORMAT");
  refused("hello world\n", "PROBLEM_BAD_FORMAT");
  refused("2 1\n1 2\n", "PROBLEM_BAD_FORMAT");
  refused("2 1\n1 2 x\n", "PROBLEM_BAD_FORMAT");
  refused("2 1\n1 2 nan\n", "PROBLEM_BAD_VALUE", {"--format", "qubo"});
  refused("20000 1\n1 2 1\n", "PROBLEM_TOO_LARGE", {"--form", "dense"});
  refused("20000 1\n1 2 1\n", "PROBLEM_TOO_LARGE", {"--rounds", "1"});
  refused("99999999 1\n1 2 1\n", "PROBLEM_TOO_LARGE");
  refused("qama x\n1 2\n", "PROBLEM_BAD_FORMAT");
  refused("qama x\n64 1000000 4000 1 1\n1\n", "PROBLEM_BAD_FORMAT");
  refused("2 1\n1 2 1\n", "PROBLEM_BAD_FORMAT", {"--format", "qama"});
  refused("2 1\n1 2 1\n", "DEVICE_UNKNOWN", {"--device", "gpu:"});
  expect_error(run_qama({"solve", "-q", directory_.file("absent")}), "NOT_FOUND");
  expect_error(run_qama({"solve", "-q", directory_.path()}), "IO_ERROR");
  const Outcome too_many = run_qama({"solve", "-q", put("p", graph(40, 1)), "--device", "exact:"});
  EXPECT_EQ(too_many.status, 1);
  EXPECT_THAT(too_many.err, testing::StartsWith("qama: error: "));
}

TEST_F(CliSolve, WeightsOfMoreThan16Bits) {
  const std::string least = put("min2.qubo", "2 3\n1 2 200000\n1 1 -1\n2 2 -2\n");
  const std::string wide =
      put("range.mc", "5 6\n1 2 1000000000\n2 3 1\n3 4 2\n4 5 3\n1 5 -2\n1 3 -4\n");
  const std::string big =
      put("big.qubo", "4 6\n1 2 1e18\n3 4 1e18\n1 1 -1\n2 2 -2\n3 3 -3\n4 4 -1\n");
  for (const char* device : {"exact:", "cpu:"}) {
    EXPECT_EQ(solve({least, "--device", device})["energy"], -2) << device;
    EXPECT_EQ(solve({least, "--device", device})["spins"], "01") << device;
    EXPECT_EQ(solve({wide, "--device", device})["cut"], 1000000006) << device;
    EXPECT_EQ(solve({big, "--device", device})["energy"], -5) << device;
  }
  // All digits, in text too.
  const Outcome outcome = run_qama({"solve", "-q", put("d.qubo", "1 1\n1 1 -123456789.0625\n")});
  EXPECT_THAT(outcome.out, HasSubstr("energy     -123456789.0625, optimal"));
}

TEST_F(CliSolve, OtherConventions) {
  const std::string file = put("m.bqp", "3 5\n1 1 4\n2 2 2\n3 3 3\n1 2 -5\n2 3 -2\n");
  EXPECT_EQ(solve({file})["energy"], 0);
  auto result = solve({file, "--maximise", "--symmetric"});
  EXPECT_EQ(result["energy"], 7);
  EXPECT_EQ(result["spins"], "101");
  EXPECT_THAT(result["convention"].get<std::string>(), HasSubstr("counts twice"));
  EXPECT_EQ(solve({file, "--maximise", "--device", "cpu:", "--target", "7"})["target_reached"],
            true);
  EXPECT_EQ(solve({put("s.ising", "2 2\noffset 1\n1 1 0.5\n1 2 -1\n")})["energy"], -0.5);
  EXPECT_EQ(
      run_qama({"solve", "-q", put("layer", "qama x\n1 1 1 1 0\n1\n0 0\n"), "--maximise"}).status,
      1);
}

TEST_F(CliSolve, ManySpinsGoToAFile) {
  const std::string file = put("g.mc", graph(400, 3));
  Outcome outcome = run_qama({"solve", "-q", file, "--sweeps", "1", "--restarts", "1"});
  EXPECT_THAT(outcome.out, HasSubstr("spins      400, not printed: --out FILE or --json has them"));
  const std::string out = directory_.file("spins");
  outcome = run_qama({"solve", "-q", file, "--sweeps", "1", "--restarts", "1", "--out", out});
  EXPECT_THAT(outcome.out, HasSubstr("spins      in '" + out));
  std::ifstream read(out);
  std::string spins;
  std::getline(read, spins);
  EXPECT_EQ(spins.size(), 400U);
  EXPECT_EQ(solve({file, "--sweeps", "1", "--restarts", "1"})["spins"], spins);
}

TEST_F(CliSolve, ReportedInputs) {
  QAMA_SHARED_OR_SKIP(inputs, "reports/inputs/problem");
  const auto is = [&](const std::string& name, const char* value, double expected,
                      std::vector<std::string> more = {}) {
    SCOPED_TRACE(name);
    more.insert(more.begin(), inputs / name);
    EXPECT_EQ(solve(more)[value], expected);
    more.insert(more.end(), {"--device", "cpu:"});
    EXPECT_EQ(solve(more)[value], expected);
  };
  const auto refused = [&](const std::string& name, const std::string& sentence) {
    const Outcome outcome = run_qama({"solve", "-q", inputs / name});
    EXPECT_EQ(outcome.status, 1) << name;
    EXPECT_THAT(outcome.err, HasSubstr(sentence)) << name;
  };
  is("min2_200000.qubo", "energy", -2);
  is("assign4_P100000.qubo", "energy", -799990);
  is("range.mc", "cut", 1000000006);
  is("bigpen.qubo", "energy", -5);
  is("path.txt", "cut", 3);
  is("nolin.qubo", "energy", -3);
  is("nolin.txt", "energy", -3, {"--format", "QUBO"});
  is("mqlib_like.bqp", "energy", 0);
  is("mqlib_like.bqp", "energy", 7, {"--maximise", "--symmetric"});
  is("qbsolv.qubo", "energy", -5);
  is("hash.mc", "cut", 1);
  refused("selfloop.txt", "could be a qubo or a maxcut");
  refused("nolin.txt", "could be a qubo or a maxcut");
  refused("ragged.mc", "line 2: a weight is missing");
}

TEST_F(CliSolve, SharedInstancesComeCloseToTheBestKnown) {
  QAMA_SHARED_OR_SKIP(instances, "instances");
  std::ifstream best(instances / "best_known.tsv");
  std::string file, kind;
  double known = 0;
  best.ignore(1000, '\n');
  int seen = 0;
  while (best >> file >> kind >> known) {
    if (file.find("s1.txt") == std::string::npos && kind != "maxcut") continue;
    const auto result = solve({instances / file, "--restarts", "64"});
    const double value =
        kind == "maxcut" ? -result["cut"].get<double>() : result["energy"].get<double>();
    const double bound = kind == "maxcut" ? -known : known;
    EXPECT_LE((value - bound) / std::fabs(bound), 0.01) << file << " " << value;
    EXPECT_GE((value - bound) / std::fabs(bound), -1e-4) << file << ": better than best known?";
    ++seen;
  }
  EXPECT_GT(seen, 8);
}

}  // namespace
}  // namespace qama::test
