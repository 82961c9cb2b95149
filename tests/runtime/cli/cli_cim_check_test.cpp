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
