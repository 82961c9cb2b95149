// Problems in, answers out: every way to make a problem gives the problem of the equal text, and
// solving is what the program does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <qama/qama.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <qama/qama.hpp>
#include <string>
#include <thread>
#include <vector>

#include "hal/schedule.h"
#include "tests/runtime/cli/process.h"
#include "tests/runtime/io/sample_files.h"
#include "tests/test_support.h"

namespace qama::test {
namespace {

using testing::ElementsAre;

struct Close {
  void operator()(qama_problem* problem) const { qama_problem_close(problem); }
};
using Problem = std::unique_ptr<qama_problem, Close>;

/// A ring of six with two chords.
const std::vector<std::int32_t> kFirst{0, 1, 2, 3, 4, 5, 0, 1};
const std::vector<std::int32_t> kSecond{1, 2, 3, 4, 5, 0, 3, 4};
const std::vector<double> kWeights{3, -2, 5, 1, 1, 4, 2, -1};

std::string text_of_graph() {
  std::string out = "6 8\n";
  for (std::size_t k = 0; k < 8; ++k) {
    out += std::to_string(kFirst[k] + 1) + " " + std::to_string(kSecond[k] + 1) + " " +
           std::to_string(static_cast<int>(kWeights[k])) + "\n";
  }
  return out;
}

/// The value of every answer, so that equal lists mean equal problems.
std::vector<double> values_of(const qama_problem* problem) {
  const auto n = static_cast<std::size_t>(qama_problem_variables(problem));
  std::vector<double> out(std::size_t{1} << n);
  std::vector<std::uint8_t> answer(n);
  for (std::size_t bits = 0; bits < out.size(); ++bits) {
    for (std::size_t i = 0; i < n; ++i) answer[i] = (bits >> i) & 1U;
    EXPECT_EQ(qama_problem_value(problem, answer.data(), &out[bits]), 0);
  }
  return out;
}

Problem from_text(const std::string& text, const char* format) {
  qama_problem* out = nullptr;
  EXPECT_EQ(qama_problem_from_text(text.data(), text.size(), format, &out), 0) << qama_last_error();
  return Problem(out);
}

TEST(Problems, AGraphIsThatOfItsText) {
  qama_problem* graph = nullptr;
  ASSERT_EQ(qama_problem_from_graph(6, 8, kFirst.data(), kSecond.data(), kWeights.data(), &graph),
            0)
      << qama_last_error();
  const Problem owner(graph);
  const auto values = values_of(graph);
  EXPECT_EQ(values, values_of(from_text(text_of_graph(), "maxcut").get()));
  EXPECT_EQ(qama_problem_maximises(graph), 1);
  EXPECT_EQ(values[0], 0);
  EXPECT_EQ(values[1], 3 + 4 + 2);  // vertex 0 alone on its side

  std::array<std::uint8_t, 6> answer{};
  qama_solution solution{};
  solution.struct_size = sizeof solution;
  ASSERT_EQ(qama_problem_solve(graph, nullptr, answer.data(), &solution), 0) << qama_last_error();
  EXPECT_EQ(solution.value, *std::max_element(values.begin(), values.end()));
  double value = 0;
  ASSERT_EQ(qama_problem_value(graph, answer.data(), &value), 0);
  EXPECT_EQ(solution.value, value);
  EXPECT_EQ(solution.exact_weights, 1);
  EXPECT_EQ(solution.target_reached, 0);
  EXPECT_EQ(solution.optimal, 1);  // 6 variables, and nothing is asked of the annealer
  EXPECT_STREQ(solution.solved_by, "exact:");
  EXPECT_EQ(solution.restarts, 0);
  qama_solve_options options;
  qama_solve_options_init(&options);
  options.device = "cpu:";
  ASSERT_EQ(qama_problem_solve(graph, &options, answer.data(), &solution), 0) << qama_last_error();
  EXPECT_EQ(solution.value, value);
  EXPECT_EQ(solution.optimal, 0);
  EXPECT_EQ(solution.restarts, 32);
  EXPECT_GT(solution.solve_us, 0);
  EXPECT_GT(solution.proposals, 0);
  EXPECT_TRUE(std::string(solution.solved_by).starts_with("cpu:")) << solution.solved_by;
  EXPECT_STRNE(solution.form, "");
}

TEST(Problems, TermsRowsAndMatrixAreOneQuadraticForm) {
  // Both triangles add up, what occurs again adds to the first, the diagonal is linear.
  const std::vector<std::int32_t> rows{0, 0, 1, 2, 1, 1};
  const std::vector<std::int32_t> columns{0, 1, 0, 2, 2, 2};
  const std::vector<double> weights{-1.5, 2, 0.25, -3, 1, 0.5};
  const std::vector<std::int64_t> starts{0, 2, 5, 6};
  const std::vector<std::int32_t> row_columns{0, 1, 0, 2, 2, 2};
  const std::vector<double> row_weights{-1.5, 2, 0.25, 1, 0.5, -3};
  const std::vector<double> matrix{-1.5, 2, 0, 0.25, 0, 1.5, 0, 0, -3};
  std::array<qama_problem*, 3> made{};
  ASSERT_EQ(
      qama_problem_from_terms(3, 6, rows.data(), columns.data(), weights.data(), 10, &made[0]), 0);
  ASSERT_EQ(qama_problem_from_rows(3, starts.data(), row_columns.data(), row_weights.data(), 10,
                                   &made[1]),
            0);
  ASSERT_EQ(qama_problem_from_matrix(3, matrix.data(), 10, &made[2]), 0);
  for (qama_problem* problem : made) {
    const Problem owner(problem);
    EXPECT_THAT(values_of(problem), ElementsAre(10, 8.5, 10, 10.75, 7, 5.5, 8.5, 9.25));
    std::array<std::uint8_t, 3> answer{};
    qama_solution solution{};
    solution.struct_size = sizeof solution;
    qama_solve_options options;
    qama_solve_options_init(&options);
    options.target = 5.5;  // with the offset, as the value
    ASSERT_EQ(qama_problem_solve(problem, &options, answer.data(), &solution), 0)
        << qama_last_error();
    EXPECT_THAT(answer, ElementsAre(1, 0, 1));
    EXPECT_EQ(solution.value, 5.5);
    EXPECT_EQ(solution.target_reached, 1);
  }
}

TEST(Problems, FactorsAreTheLayerOfTheirText) {
  const std::string text =
      "qama layer\n2 3 2 0.5 0.75\n1 -1\n0.5 1 2\n-1 0.25 -1\n2 -0.5 0.5\n1 1\n0 1 0\n1 2 1\n-2 1 "
      "1\n";
  const std::vector<double> signs{1, -1, 1, 1};
  const std::vector<double> fields{0.5, -1, 2, 0, 1, -2};
  const std::vector<double> factors{1, 2, 0.25, -1, -0.5, 0.5, 1, 0, 2, 1, 1, 1};
  qama_problem* layer = nullptr;
  ASSERT_EQ(qama_problem_from_factors(2, 3, 2, factors.data(), signs.data(), fields.data(), 0.5,
                                      0.75, &layer),
            0)
      << qama_last_error();
  const Problem owner(layer);
  EXPECT_EQ(qama_problem_variables(layer), 6);
  EXPECT_EQ(qama_problem_maximises(layer), 0);
  const auto values = values_of(layer);
  EXPECT_EQ(values, values_of(from_text(text, nullptr).get()));
  std::array<std::uint8_t, 6> answer{};
  qama_solution solution{};
  solution.struct_size = sizeof solution;
  ASSERT_EQ(qama_problem_solve(layer, nullptr, answer.data(), &solution), 0);
  EXPECT_EQ(solution.value, *std::min_element(values.begin(), values.end()));
}

/// The program's answer to the same file with the same options.
class AsTheProgram : public testing::Test {
 protected:
  void compare(const std::string& path, const std::vector<std::string>& arguments,
               const qama_solve_options& options, const qama_problem_options* read = nullptr) {
    std::vector<std::string> line{"solve", path, "--json", "--quiet"};
    line.insert(line.end(), arguments.begin(), arguments.end());
    const Outcome outcome = run_qama(line);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    const auto expected = outcome.json();

    qama_problem* problem = nullptr;
    ASSERT_EQ(qama_problem_open_with(path.c_str(), read, &problem), 0) << qama_last_error();
    const Problem owner(problem);
    std::vector<std::uint8_t> answer(static_cast<std::size_t>(qama_problem_variables(problem)));
    qama_solution solution{};
    solution.struct_size = sizeof solution;
    ASSERT_EQ(qama_problem_solve(problem, &options, answer.data(), &solution), 0)
        << qama_last_error();
    std::string spins;
    for (const std::uint8_t spin : answer) spins += spin != 0 ? '1' : '0';
    EXPECT_EQ(expected["spins"], spins);
    EXPECT_EQ(expected[expected.contains("cut") ? "cut" : "energy"], solution.value);
    EXPECT_EQ(expected["sweeps"], solution.sweeps);
    EXPECT_EQ(expected["restarts"], solution.restarts);
    EXPECT_EQ(expected["rounds"], solution.rounds);
    EXPECT_EQ(expected["total_sweeps"], solution.total_sweeps);
    EXPECT_EQ(expected["proposals"], solution.proposals);
    EXPECT_EQ(expected["flips"], solution.flips);
    EXPECT_EQ(expected["form"], solution.form);
    EXPECT_EQ(expected["kernel"], solution.solved_by);
    EXPECT_EQ(expected["weights_exact"], solution.exact_weights == 1);
  }

  static qama_solve_options defaults() {
    qama_solve_options out;
    qama_solve_options_init(&out);
    return out;
  }

  /// A graph or a quadratic form of `size` that has many answers of nearly the best value.
  std::string write(const std::string& name, int size, const std::string& weights) {
    std::string text = std::to_string(size) + " " + std::to_string(3 * size) + "\n";
    for (int i = 0; i < size; ++i) {
      for (const int step : {1, 7, 12}) {
        text += std::to_string(i + 1) + " " + std::to_string((i + step) % size + 1) + " " +
                weights.substr(static_cast<std::size_t>(i * step) % weights.size(), 1) + "\n";
      }
    }
    put_file(directory.file(name), text);
    return directory.file(name);
  }

  TempDir directory;
};

TEST_F(AsTheProgram, AGraphWithItsDefaults) {
  compare(write("graph.mc", 60, "12131"), {}, defaults());
}

TEST_F(AsTheProgram, AGraphWithSeedSweepsAndThreads) {
  qama_solve_options options = defaults();
  options.seed = 42;
  options.sweeps = 3;
  options.restarts = 70;
  options.threads = 2;
  options.t_start = 0.5;
  options.t_end = 0.125;
  compare(write("graph.mc", 90, "1"),
          {"--seed", "42", "--sweeps", "3", "--restarts", "70", "--threads", "2", "--t-start",
           "0.5", "--t-end", "0.125"},
          options);
}

TEST_F(AsTheProgram, AQuadraticForm) {
  qama_solve_options options = defaults();
  options.sweeps = 5;
  compare(write("form.qubo", 50, "1729"), {"--sweeps", "5"}, options);
}

TEST_F(AsTheProgram, AFormThatIsMaximisedAndSymmetric) {
  qama_solve_options options = defaults();
  options.sweeps = 5;
  const qama_problem_options read{sizeof read, 1, "qubo", 1};
  compare(write("form.txt", 50, "1729"),
          {"--sweeps", "5", "--format", "qubo", "--maximise", "--symmetric"}, options, &read);
}

TEST(Problems, HowAFileIsReadIsAnOption) {
  const std::string text = "2 3\n1 1 3\n1 2 -2\n2 1 -2\n";  // 3 x_1 - 2 x_1 x_2, once or twice
  const auto read = [&](std::int32_t maximise, std::int32_t symmetric) {
    const qama_problem_options options{sizeof options, maximise, "qubo", symmetric};
    qama_problem* out = nullptr;
    EXPECT_EQ(qama_problem_from_text_with(text.data(), text.size(), &options, &out), 0)
        << qama_last_error();
    return Problem(out);
  };
  EXPECT_THAT(values_of(read(0, 0).get()), ElementsAre(0, 3, 0, -1));
  EXPECT_THAT(values_of(read(0, 1).get()), ElementsAre(0, 3, 0, -1));
  EXPECT_EQ(qama_problem_maximises(read(0, 1).get()), 0);
  EXPECT_EQ(qama_problem_maximises(read(1, 0).get()), 1);

  const std::string once = "2 1\n1 2 -2\n";
  qama_problem* out = nullptr;
  qama_problem_options options{sizeof options, 0, "qubo", 1};
  ASSERT_EQ(qama_problem_from_text_with(once.data(), once.size(), &options, &out), 0);
  EXPECT_THAT(values_of(Problem(out).get()), ElementsAre(0, 0, 0, -4));
}

TEST_F(AsTheProgram, ALayerWithRounds) {
  const std::string text =
      "qama layer\n2 3 2 0.5 0.75\n1 -1\n0.5 1 2\n-1 0.25 -1\n2 -0.5 0.5\n1 1\n0 1 0\n1 2 1\n-2 1 "
      "1\n";
  put_file(directory.file("layer.qama"), text);
  qama_solve_options options = defaults();
  options.sweeps = 4;
  options.restarts = 20;
  options.start = 2;
  options.rounds = 2;
  options.round_sweeps = 3;
  options.t_round = 0.5;
  compare(directory.file("layer.qama"),
          {"--sweeps", "4", "--restarts", "20", "--start", "mixed", "--rounds", "2",
           "--round-sweeps", "3", "--t-round", "0.5"},
          options);
}

TEST(Problems, ATimeLimitEndsTheSearchAndATargetToo) {
  const Problem problem = from_text(text_of_graph(), "maxcut");
  std::array<std::uint8_t, 6> answer{};
  qama_solution solution{};
  solution.struct_size = sizeof solution;
  qama_solve_options options;
  qama_solve_options_init(&options);
  options.device = "cpu:";
  options.time_limit_ms = 200;
  ASSERT_EQ(qama_problem_solve(problem.get(), &options, answer.data(), &solution), 0);
  EXPECT_GT(solution.restarts, 32) << "restarts fill the time";
  EXPECT_GE(solution.solve_us, 200e3);
  options.target = 0;
  for (const char* device : {"cpu:", "exact:"}) {
    options.device = device;
    for (const double limit : {1e9, 1e12}) {
      options.time_limit_ms = limit;
      ASSERT_EQ(qama_problem_solve(problem.get(), &options, answer.data(), &solution), 0);
      EXPECT_EQ(solution.target_reached, 1);
    }
  }
}

TEST(Problems, MisuseIsAnErrorWithASentence) {
  qama_problem* out = nullptr;
  const auto refused = [&out](qama_status status, const char* name, const std::string& part) {
    EXPECT_STREQ(qama_status_name(status), name);
    EXPECT_THAT(qama_last_error(), testing::HasSubstr(part));
    EXPECT_EQ(out, nullptr);
  };
  const std::int32_t* a = kFirst.data();
  const std::int32_t* b = kSecond.data();
  const double* w = kWeights.data();
  refused(qama_problem_from_graph(0, 0, a, b, w, &out), "INVALID_ARGUMENT", "0 variables");
  refused(qama_problem_from_graph(1 << 30, 8, a, b, w, &out), "PROBLEM_TOO_LARGE", "expected 1 to");
  refused(qama_problem_from_graph(6, -1, a, b, w, &out), "INVALID_ARGUMENT", "-1");
  refused(qama_problem_from_graph(6, std::int64_t{1} << 40, a, b, w, &out), "PROBLEM_TOO_LARGE",
          "expected 0 to");
  refused(qama_problem_from_graph(6, 8, nullptr, b, w, &out), "INVALID_ARGUMENT", "NULL");
  refused(qama_problem_from_graph(5, 8, a, b, w, &out), "INDEX_OUT_OF_RANGE",
          "edge 4 joins 4 and 5, expected 0 to 4");
  refused(qama_problem_from_graph(6, 8, a, a, w, &out), "PROBLEM_BAD_VALUE", "with itself");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  refused(qama_problem_from_graph(6, 1, a, b, &nan, &out), "PROBLEM_BAD_VALUE", "edge 0");
  refused(qama_problem_from_terms(6, 1, a, b, &nan, 0, &out), "PROBLEM_BAD_VALUE", "term 0");
  refused(qama_problem_from_terms(6, 1, a, b, w, nan, &out), "PROBLEM_BAD_VALUE", "offset");
  refused(qama_problem_from_terms(6, 1, a, b, nullptr, 0, &out), "INVALID_ARGUMENT", "NULL");
  const std::int64_t descending[] = {0, 5, 3};
  refused(qama_problem_from_rows(2, descending, a, w, 0, &out), "INVALID_ARGUMENT", "row 1");
  refused(qama_problem_from_rows(2, nullptr, a, w, 0, &out), "INVALID_ARGUMENT", "NULL");
  refused(qama_problem_from_matrix(1, &nan, 0, &out), "PROBLEM_BAD_VALUE", "number 0");
  refused(qama_problem_from_matrix(1 << 15, w, 0, &out), "PROBLEM_TOO_LARGE", "expected 1 to");
  refused(qama_problem_from_factors(1, 2, 1, w, nullptr, w, 1, -1, &out), "PROBLEM_BAD_VALUE",
          "lambda");
  refused(qama_problem_from_factors(1, 2, 1, w, w, w, 1, 0, &out), "PROBLEM_BAD_VALUE", "sign");
  refused(qama_problem_from_factors(65, 2, 1, w, w, w, 1, 0, &out), "PROBLEM_TOO_LARGE", "heads");
  refused(qama_problem_from_factors(1, 2, 1, nullptr, w, w, 1, 0, &out), "INVALID_ARGUMENT",
          "NULL");
  refused(qama_problem_open("/nowhere", nullptr, &out), "NOT_FOUND", "/nowhere");
  refused(qama_problem_from_text("1 1\n", 4, "maxcut", &out), "PROBLEM_BAD_FORMAT", "line");
  refused(qama_problem_from_text("1 0\n", 4, "sudoku", &out), "INVALID_ARGUMENT", "sudoku");
  refused(qama_problem_from_text(nullptr, 4, nullptr, &out), "INVALID_ARGUMENT", "NULL");
  const std::string layer = "qama layer\n1 1 1 0.5 0.75\n1\n1\n1\n";
  qama_problem_options reading{sizeof reading, 1, nullptr, 0};
  refused(qama_problem_from_text_with(layer.data(), layer.size(), &reading, &out),
          "INVALID_ARGUMENT", "minimised");
  reading = {sizeof reading, 0, nullptr, 1};
  refused(qama_problem_from_text_with(layer.data(), layer.size(), &reading, &out),
          "INVALID_ARGUMENT", "symmetric");
  reading.struct_size = 4;
  refused(qama_problem_from_text_with("2 0\n", 4, &reading, &out), "INVALID_ARGUMENT",
          "qama_problem_options");
  reading.struct_size = 1U << 20;
  refused(qama_problem_open_with("/nowhere", &reading, &out), "INVALID_ARGUMENT",
          "qama_problem_options");
  EXPECT_EQ(qama_problem_from_graph(6, 8, a, b, w, nullptr), 1);
  qama_problem_close(nullptr);
  EXPECT_EQ(qama_problem_variables(nullptr), 0);
  EXPECT_EQ(qama_problem_maximises(nullptr), 0);

  const Problem problem = from_text(text_of_graph(), "maxcut");
  std::array<std::uint8_t, 6> answer{};
  qama_solve_options options;
  qama_solve_options_init(&options);
  qama_solution solution{};
  EXPECT_EQ(qama_problem_solve(problem.get(), &options, answer.data(), &solution), 1);
  EXPECT_THAT(qama_last_error(), testing::HasSubstr("sizeof(qama_solution)"));
  solution.struct_size = sizeof solution;
  EXPECT_EQ(qama_problem_solve(nullptr, &options, answer.data(), &solution), 1);
  EXPECT_EQ(qama_problem_solve(problem.get(), &options, nullptr, &solution), 1);
  const auto refuses = [&](const char* name, auto change) {
    qama_solve_options_init(&options);
    change(options);
    const auto status = qama_problem_solve(problem.get(), &options, answer.data(), &solution);
    EXPECT_STREQ(qama_status_name(status), name) << qama_last_error();
  };
  // The sentence says which of them it is, and what it was.
  const auto says = [&](const char* sentence, auto change) {
    refuses("INVALID_ARGUMENT", change);
    EXPECT_STREQ(qama_last_error(), sentence);
  };
  says("2147483647 restarts, expected at most 2^30", [](auto& o) { o.restarts = INT32_MAX; });
  says("a time limit of -0.001 ms, expected 0 to 10^12", [](auto& o) { o.time_limit_ms = -0.001; });
  says("a target of -inf, expected a finite number",
       [](auto& o) { o.target = -std::numeric_limits<double>::infinity(); });
  refuses("INVALID_ARGUMENT", [](auto& o) { o.struct_size = 0; });
  refuses("INVALID_ARGUMENT", [](auto& o) { o.struct_size = UINT32_MAX; });
  refuses("INVALID_ARGUMENT", [](auto& o) { o.t_start = std::numeric_limits<float>::quiet_NaN(); });
  refuses("INVALID_ARGUMENT", [](auto& o) { o.t_start = -1; });
  refuses("INVALID_ARGUMENT", [](auto& o) { o.time_limit_ms = 1e300; });
  refuses("INVALID_ARGUMENT", [](auto& o) { o.threads = 5000; });
  refuses("INVALID_ARGUMENT", [](auto& o) { o.start = 3; });
  refuses("INVALID_ARGUMENT", [](auto& o) { o.sweeps = 2'000'000; });
  refuses("INVALID_ARGUMENT", [](auto& o) { o.restarts = 0; });
  refuses("INVALID_ARGUMENT", [](auto& o) { o.t_end = 9; });
  refuses("INVALID_ARGUMENT", [](auto& o) {
    o.t_start = 0.1;
    o.t_end = 0.2;
  });
  refuses("INVALID_ARGUMENT", [](auto& o) { o.time_limit_ms = -1; });
  refuses("INVALID_ARGUMENT", [](auto& o) { o.target = std::numeric_limits<double>::infinity(); });
  refuses("INVALID_ARGUMENT", [](auto& o) { o.form = "heap"; });
  refuses("DEVICE_UNKNOWN", [](auto& o) { o.device = "abacus:"; });
}

TEST(Problems, NewerAndOlderOptionsWork) {
  const Problem problem = from_text(text_of_graph(), "maxcut");
  std::array<std::uint8_t, 6> answer{};
  qama_solve_options older;
  qama_solve_options_init_size(&older, offsetof(qama_solve_options, restarts));
  EXPECT_EQ(older.struct_size, offsetof(qama_solve_options, restarts));
  older.restarts = 99;  // behind what that header knew
  struct {
    qama_solution known;
    std::uint64_t later;
  } newer{};
  newer.later = 7;
  newer.known.struct_size = sizeof newer;
  ASSERT_EQ(qama_problem_solve(problem.get(), &older, answer.data(), &newer.known), 0);
  EXPECT_EQ(newer.known.optimal, 1);  // 99 restarts would be the annealer's
  EXPECT_EQ(newer.later, 0U);
}

TEST(Problems, TheBestDifferentAnswers) {
  const Problem problem = from_text(text_of_graph(), "maxcut");
  std::vector<double> all = values_of(problem.get());
  std::sort(all.rbegin(), all.rend());
  constexpr std::int64_t kMost = 5;
  std::vector<std::uint8_t> answers(6 * kMost);
  std::vector<double> values(kMost);
  std::vector<std::int64_t> counts(kMost);
  std::int64_t found = 0;
  qama_solution solution{};
  solution.struct_size = sizeof solution;
  // All states: each cut stands twice among the values, with its sides swapped.
  ASSERT_EQ(qama_problem_solve_many(problem.get(), nullptr, kMost, answers.data(), values.data(),
                                    counts.data(), &found, &solution),
            0)
      << qama_last_error();
  ASSERT_EQ(found, kMost);
  EXPECT_EQ(solution.optimal, 1);
  EXPECT_EQ(solution.value, values[0]);
  for (std::size_t k = 0; k < kMost; ++k) {
    EXPECT_EQ(values[k], all[2 * k]);
    EXPECT_EQ(counts[k], 1);
    double value = 0;
    ASSERT_EQ(qama_problem_value(problem.get(), &answers[6 * k], &value), 0);
    EXPECT_EQ(value, values[k]);
  }
  // Reads of the annealer; values and counts are optional, and so is the solution.
  qama_solve_options options;
  qama_solve_options_init(&options);
  options.sweeps = 0;
  options.restarts = 20;
  options.threads = 2;
  options.form = "dense";
  ASSERT_EQ(qama_problem_solve_many(problem.get(), &options, kMost, answers.data(), nullptr,
                                    counts.data(), &found, nullptr),
            0);
  std::int64_t reads = 0;
  for (std::int64_t k = 0; k < found; ++k) reads += counts[static_cast<std::size_t>(k)];
  EXPECT_EQ(reads, 20);
  const auto refused = [&](qama_status status, const char* name) {
    EXPECT_STREQ(qama_status_name(status), name) << qama_last_error();
  };
  const auto many = [&](std::int64_t most, std::uint8_t* out, std::int64_t* number) {
    return qama_problem_solve_many(problem.get(), &options, most, out, nullptr, nullptr, number,
                                   nullptr);
  };
  refused(many(0, answers.data(), &found), "INVALID_ARGUMENT");
  EXPECT_EQ(found, 0);
  refused(many(INT64_MAX, answers.data(), &found), "PROBLEM_TOO_LARGE");
  refused(many(1, nullptr, &found), "INVALID_ARGUMENT");
  refused(many(1, answers.data(), nullptr), "INVALID_ARGUMENT");
  refused(qama_problem_solve_many(nullptr, nullptr, 1, answers.data(), nullptr, nullptr, &found,
                                  nullptr),
          "INVALID_ARGUMENT");
}

TEST(Problems, InitialAnswers) {
  const Problem problem = from_text(text_of_graph(), "maxcut");
  qama_solve_options options;
  qama_solve_options_init(&options);
  std::array<std::uint8_t, 6> best{}, answer{};
  ASSERT_EQ(qama_problem_solve(problem.get(), &options, best.data(), nullptr), 0);
  double value = 0, other = 0;
  ASSERT_EQ(qama_problem_value(problem.get(), best.data(), &value), 0);
  options.device = "cpu:";
  options.sweeps = 0;
  options.restarts = 1;
  options.initial = best.data();
  options.initial_count = 1;
  qama_solution solution{};
  solution.struct_size = sizeof solution;
  ASSERT_EQ(qama_problem_solve(problem.get(), &options, answer.data(), &solution), 0);
  ASSERT_EQ(qama_problem_value(problem.get(), answer.data(), &other), 0);
  EXPECT_EQ(other, value);
  const auto refused = [&](std::int64_t count, const std::uint8_t* initial, const char* name) {
    options.initial = initial;
    options.initial_count = count;
    EXPECT_STREQ(
        qama_status_name(qama_problem_solve(problem.get(), &options, answer.data(), nullptr)),
        name);
  };
  refused(-1, best.data(), "INVALID_ARGUMENT");
  refused(1, nullptr, "INVALID_ARGUMENT");
  refused(INT64_MAX, best.data(), "PROBLEM_TOO_LARGE");
}

struct Told {
  std::thread::id thread = std::this_thread::get_id();
  std::int64_t calls = 0;
  qama_progress last{};
  std::vector<std::uint8_t> answer;  ///< of the last call
  std::size_t variables = 0;
  bool stops = false;
};

std::int32_t tell(void* context, const qama_progress* progress) {
  auto& told = *static_cast<Told*>(context);
  EXPECT_EQ(told.thread, std::this_thread::get_id());
  ++told.calls;
  EXPECT_GE(progress->elapsed_ms, told.last.elapsed_ms);
  EXPECT_GE(progress->reads, told.last.reads);
  EXPECT_EQ(progress->answer == nullptr, progress->reads == 0);
  if (progress->answer != nullptr)
    told.answer.assign(progress->answer, progress->answer + told.variables);
  told.last = *progress;
  return told.stops ? 1 : 0;
}

TEST(Problems, AnAnswerIsZerosAndOnes) {
  const Problem problem = from_text(text_of_graph(), "maxcut");
  std::array<std::uint8_t, 6> answer{0, 1, 0, 2, 0, 255};
  double value = 0;
  EXPECT_STREQ(qama_status_name(qama_problem_value(problem.get(), answer.data(), &value)),
               "INVALID_ARGUMENT");
  EXPECT_THAT(qama_last_error(), testing::HasSubstr("byte 3 is 2, expected 0 or 1"));
  qama_solve_options options;
  qama_solve_options_init(&options);
  options.device = "cpu:";
  // No number is no value: these weights are finite, and their sum is not.
  const std::array<std::int32_t, 2> first{0, 0}, second{1, 1};
  const std::array<double, 2> huge{1e308, 1e308};
  const auto beyond = qama::api::Problem::from_graph(2, first, second, huge);
  ASSERT_TRUE(beyond.ok());
  const std::array<std::uint8_t, 2> cut{0, 1};
  EXPECT_STREQ(beyond->value(cut.data()).status().name(), "PROBLEM_BAD_VALUE");
  options.initial = answer.data();
  options.initial_count = 1;
  std::array<std::uint8_t, 6> best{};
  EXPECT_STREQ(qama_status_name(qama_problem_solve(problem.get(), &options, best.data(), nullptr)),
               "INVALID_ARGUMENT");
}

TEST(Problems, ACallbackIsToldAndMayStop) {
  const Problem problem = from_text(text_of_graph(), "maxcut");
  std::array<std::uint8_t, 6> answer{};
  qama_solution solution{};
  solution.struct_size = sizeof solution;
  Told told;
  told.variables = answer.size();
  qama_solve_options options;
  qama_solve_options_init(&options);
  options.device = "cpu:";
  options.progress = tell;
  options.progress_context = &told;
  ASSERT_EQ(qama_problem_solve(problem.get(), &options, answer.data(), &solution), 0);
  EXPECT_GE(told.calls, 1);
  double of_told = 0;
  ASSERT_EQ(told.answer.size(), answer.size());
  ASSERT_EQ(qama_problem_value(problem.get(), told.answer.data(), &of_told), 0);
  EXPECT_EQ(of_told, told.last.value);
  EXPECT_EQ(told.last.value, solution.value);
  EXPECT_GE(told.last.reads, 1);
  EXPECT_EQ(solution.stopped, 0);
  // Without being stopped it would be there for hours, also in the middle of a part.
  for (const std::int32_t sweeps : {1, hal::kMaxSweeps}) {
    told = {};
    told.stops = true;
    options.sweeps = sweeps;
    options.restarts = 1 << 30;
    options.threads = 2;
    ASSERT_EQ(qama_problem_solve(problem.get(), &options, answer.data(), &solution), 0);
    EXPECT_EQ(solution.stopped, 1);
    double value = 0;
    ASSERT_EQ(qama_problem_value(problem.get(), answer.data(), &value), 0);
    EXPECT_EQ(value, solution.value);
  }
  // An error of the search is the call's.
  told = {};
  options.device = "nothing:";
  EXPECT_STREQ(
      qama_status_name(qama_problem_solve(problem.get(), &options, answer.data(), &solution)),
      "DEVICE_UNKNOWN");
  options.device = "cpu:";
  options.form = "factors";
  EXPECT_STREQ(
      qama_status_name(qama_problem_solve(problem.get(), &options, answer.data(), &solution)),
      "INVALID_ARGUMENT");
}

TEST(Problems, SamplesAtATemperature) {
  const Problem problem = from_text(text_of_graph(), "maxcut");
  constexpr std::int64_t kSamples = 5000;
  std::vector<std::uint8_t> answers(6 * kSamples);
  std::vector<double> values(kSamples);
  qama_sample_options options;
  qama_sample_options_init(&options);
  options.temperature = 3;
  ASSERT_EQ(qama_problem_sample(problem.get(), &options, kSamples, answers.data(), values.data()),
            0)
      << qama_last_error();
  double sum = 0, weights = 0, mean = 0;
  for (const double value : values_of(problem.get())) {
    weights += std::exp(value / 3);
    sum += value * std::exp(value / 3);
  }
  for (std::size_t k = 0; k < kSamples; ++k) {
    double value = 0;
    ASSERT_EQ(qama_problem_value(problem.get(), &answers[6 * k], &value), 0);
    ASSERT_EQ(value, values[k]);
    mean += value / kSamples;
  }
  EXPECT_NEAR(mean, sum / weights, 0.3);
  // Values are optional, and so are options.
  EXPECT_EQ(qama_problem_sample(problem.get(), nullptr, 3, answers.data(), nullptr), 0);
  const auto refused = [&](qama_status status, const char* name) {
    EXPECT_STREQ(qama_status_name(status), name) << qama_last_error();
  };
  options.temperature = 0;
  refused(qama_problem_sample(problem.get(), &options, 3, answers.data(), nullptr),
          "INVALID_ARGUMENT");
  refused(qama_problem_sample(problem.get(), nullptr, 0, answers.data(), nullptr),
          "INVALID_ARGUMENT");
  refused(qama_problem_sample(problem.get(), nullptr, INT64_MAX, answers.data(), nullptr),
          "PROBLEM_TOO_LARGE");
  refused(qama_problem_sample(nullptr, nullptr, 3, answers.data(), nullptr), "INVALID_ARGUMENT");
  refused(qama_problem_sample(problem.get(), nullptr, 3, nullptr, nullptr), "INVALID_ARGUMENT");
  options.struct_size = 1;
  refused(qama_problem_sample(problem.get(), &options, 3, answers.data(), nullptr),
          "INVALID_ARGUMENT");
}

TEST(CppProblems, AreThoseOfTheCApi) {
  const auto graph = api::Problem::from_graph(6, kFirst, kSecond, kWeights);
  ASSERT_TRUE(graph.ok()) << graph.status().sentence();
  api::Problem::Options options;
  options.seed = 3;
  const auto best = graph->solve(options);
  ASSERT_TRUE(best.ok()) << best.status().sentence();
  const auto value = graph->value(best->answer.data());
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(*value, best->value);
  const auto text = api::Problem::from_text(text_of_graph(), "maxcut");
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(text->solve(options)->answer, best->answer);
  EXPECT_EQ(api::Problem::from_terms(6, kFirst, kSecond, kWeights, 1)->variables(), 6);
  const std::vector<std::int64_t> starts{0, 1, 1};
  EXPECT_EQ(api::Problem::from_rows(starts, kFirst, kWeights)->variables(), 2);
  EXPECT_EQ(api::Problem::from_matrix(2, kWeights.data())->variables(), 2);
  EXPECT_EQ(api::Problem::from_factors(1, 2, 1, kWeights.data(), nullptr, kWeights.data(), 1, 0)
                ->variables(),
            2);
  EXPECT_STREQ(api::Problem::open("/nowhere").status().name(), "NOT_FOUND");
  EXPECT_TRUE(graph->maximises());
  const auto many = graph->solve_many(3, options);
  ASSERT_TRUE(many.ok()) << many.status().sentence();
  EXPECT_EQ(many->answers.size(), 18U);
  EXPECT_EQ(many->counts.size(), 3U);
  EXPECT_EQ(*graph->value(many->answers.data() + 12), many->values[2]);
  EXPECT_EQ(many->solution.value, many->values[0]);
  EXPECT_EQ(*graph->value(many->solution.answer.data()), many->values[0]);
  EXPECT_STREQ(graph->solve_many(0).status().name(), "INVALID_ARGUMENT");
  EXPECT_STREQ(graph->solve_many(INT64_MAX).status().name(), "PROBLEM_TOO_LARGE");
  const auto samples = graph->sample(4);
  ASSERT_TRUE(samples.ok());
  EXPECT_EQ(samples->answers.size(), 24U);
  EXPECT_EQ(*graph->value(samples->answers.data() + 18), samples->values[3]);
  EXPECT_STREQ(graph->sample(-1).status().name(), "INVALID_ARGUMENT");
  EXPECT_STREQ(graph->sample(INT64_MAX).status().name(), "PROBLEM_TOO_LARGE");
}

}  // namespace
}  // namespace qama::test
