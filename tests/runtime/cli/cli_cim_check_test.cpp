// `qama cim-check` as its users see it: verdicts, JSON, the page, sentences for wrong use.
// tests/hal/search/cim_check.py computes every figure again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/runtime/cli/cli_files.h"
#include "tests/runtime/cli/process.h"

namespace qama::test {
namespace {

using testing::HasSubstr;

class CliCimCheck : public testing::Test {
 protected:
  std::string put(const std::string& name, std::string_view text) {
    put_file(directory_.file(name), text);
    return directory_.file(name);
  }
  TempDir directory_;
};

TEST_F(CliCimCheck, ADiagonalIsCalledOne) {
  // Spin 4 is the ancilla of the other three, which are not coupled.
  const std::string file = put("m.csv", "0,0,0,5\n0,0,0,-7\n0,0,0,127\n5,-7,127,0\n");
  const Outcome text = run_qama({"cim-check", file});
  EXPECT_EQ(text.status, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("This is a diagonal: the machine adds nothing."));
  EXPECT_THAT(text.out, HasSubstr("spin 4 of the file carries them"));
  const auto json = run_qama({"cim-check", "--json", file}).json();
  EXPECT_EQ(json["problems"][0]["verdict"], "diagonal");
  EXPECT_EQ(json["problems"][0]["spins_needed"], 4);
}

TEST_F(CliCimCheck, ACoupledProblemOfFewLevelsIsFine) {
  const std::string file = put("c5.mc", "5 5\n1 2 1\n2 3 1\n3 4 1\n4 5 1\n5 1 1\n");
  const auto problem = run_qama({"cim-check", "--json", file}).json()["problems"][0];
  EXPECT_EQ(problem["verdict"], "fine");
  EXPECT_EQ(problem["optimum"], 4);
  EXPECT_EQ(problem["optimum_is"], "proven");
  EXPECT_EQ(problem["one"]["ancillas"], 0);
  EXPECT_EQ(problem["one"]["lost"], 0);
  // One ancilla, or none, is all that is wanted: it is the same problem and the same answer.
  EXPECT_EQ(problem["more"], problem["one"]);
  const std::string ising = put("f.ising", "3 4\n1 2 0.37\n2 3 -0.81\n1 1 0.2\n3 3 0.5\n");
  const auto with_field = run_qama({"cim-check", "--json", ising}).json()["problems"][0];
  EXPECT_EQ(with_field["wanted_ancillas"], 1);
  EXPECT_EQ(with_field["one"]["ancillas"], 1);
  EXPECT_EQ(with_field["more"], with_field["one"]);
  const auto small = run_qama({"cim-check", "--json", "--machine-spins", "4", file}).json();
  EXPECT_EQ(small["problems"][0]["verdict"], "too large");
}

TEST_F(CliCimCheck, ALossCountsWhateverTheOptimumAndTheOffsetAre) {
  // The optimum is 0, all variables at 0; with one ancilla the best answer is 1.6.
  const std::string text =
      "5 11\n1 1 400\n2 2 9.3\n2 3 -3.4\n2 4 4.1\n2 5 -1.1\n3 3 0.8\n3 4 -2.2\n3 5 1.4\n4 4 3.6\n"
      "4 5 -6.8\n5 5 4.8\n";
  const auto of = [&](const char* name, const std::string& content) {
    return run_qama({"cim-check", "--json", put(name, content)}).json()["problems"][0];
  };
  const auto problem = of("zero.qubo", text);
  EXPECT_EQ(problem["optimum"], 0);
  EXPECT_NEAR(problem["one"]["lost"].get<double>(), 1.6, 1e-12);
  // The mean over all answers is 207.25: (400 + 9.3 + ..) / 2 + (-3.4 + 4.1 ..) / 4.
  EXPECT_NEAR(problem["one"]["lost_percent"].get<double>(), 160 / 207.25, 1e-9);
  EXPECT_EQ(problem["more"]["lost"], 0);
  const auto beside = of("offset.qubo", text + "offset -1000000\n");
  EXPECT_EQ(beside["optimum"], -1000000);
  EXPECT_NEAR(beside["one"]["lost_percent"].get<double>(), 160 / 207.25, 1e-6);
}

TEST_F(CliCimCheck, TheLargestAndTheSmallestWeightsAreRefusedInOneSentence) {
  const auto matrix = [&](const char* name, const std::string& w) {
    return put(name, "0," + w + "," + w + "\n" + w + ",0," + w + "\n" + w + "," + w + ",0\n");
  };
  const Outcome huge = run_qama({"cim-check", "-q", matrix("huge.csv", "1e308")});
  expect_error(huge, "PROBLEM_BAD_VALUE");
  EXPECT_THAT(huge.err, HasSubstr("sum up to infinity"));
  const Outcome tiny = run_qama({"cim-check", "-q", matrix("tiny.csv", "1e-310")});
  expect_error(tiny, "PROBLEM_BAD_VALUE");
  EXPECT_THAT(tiny.err, HasSubstr("the largest weight of a problem is 2e-310 in signs, expected 0 "
                                  "or at least 1e-298"));
  EXPECT_EQ(run_qama({"cim-check", "-q", matrix("large.csv", "1e300")}).status, 0);
  EXPECT_EQ(run_qama({"cim-check", "-q", matrix("small.csv", "1e-290")}).status, 0);
}

TEST_F(CliCimCheck, ItSaysHowAFileWasRead) {
  // With a diagonal it is a QUBO, without one an Ising matrix.
  const std::string qubo = put("q.csv", "5,1\n1,0\n");
  EXPECT_THAT(run_qama({"cim-check", qubo}).out,
              HasSubstr("read as    csv-qubo (from the name .csv and a diagonal)"));
  const auto json = run_qama({"cim-check", "--json", qubo, put("i.csv", "0,1\n1,0\n")}).json();
  EXPECT_EQ(json["problems"][0]["format"], "csv-qubo");
  EXPECT_EQ(json["problems"][1]["format"], "csv");
  EXPECT_EQ(json["problems"][1]["guessed_from"], "the name .csv and a diagonal of 0");
}

TEST_F(CliCimCheck, EveryLayerOfAModelAndAPage) {
  const std::string model =
      put_model(directory_, "m.safetensors", small_vit(weights::AttentionKind::qama));
  put_mnist(directory_, 1);
  const std::string page = directory_.file("page.html");
  const Outcome outcome =
      run_qama({"cim-check", "-q", "--json", "-m", model,
                directory_.file("t10k-images-idx3-ubyte.gz") + ":0", "--html", page});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.json()["problems"].size(), 2U);
  EXPECT_EQ(outcome.json()["problems"][0]["spins"], 4 * 49);
  std::ostringstream html;
  html << std::ifstream(page).rdbuf();
  EXPECT_THAT(html.str(), HasSubstr("<svg"));
}

TEST_F(CliCimCheck, WrongUseIsOneSentence) {
  EXPECT_EQ(run_qama({"cim-check"}).status, 2);
  EXPECT_EQ(run_qama({"cim-check", "--text", "x"}).status, 2);
  EXPECT_EQ(run_qama({"cim-check", "x", "--trust", "y"}).status, 2);
  EXPECT_EQ(run_qama({"cim-check", "x", "-m", "y", "--maximise"}).status, 2);
  expect_error(run_qama({"cim-check", "-q", directory_.file("none.csv")}), "NOT_FOUND");
  expect_error(run_qama({"cim-check", "-q", put("bad.csv", "1,2\n3\n")}), "PROBLEM_BAD_FORMAT");
}

}  // namespace
}  // namespace qama::test
