// The device by hand: what it writes, that its answers are exact, and that nobody else takes over.
#include "hal/csv/csv_device.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "hal/fallback.h"
#include "hal/platform/sha256.h"
#include "hal/text/formats.h"
#include "tests/hal/cim/problems.h"

namespace qama::hal {
namespace {

class CsvDevice : public ::testing::Test {
 protected:
  /// The files of the directory that end so.
  std::vector<std::filesystem::path> files(const std::string& ending) const {
    std::vector<std::filesystem::path> out;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      if (entry.path().string().ends_with(ending)) out.push_back(entry.path());
    }
    std::sort(out.begin(), out.end());
    return out;
  }
  static std::string text_of(const std::filesystem::path& path) {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
  }
  std::unique_ptr<Solver> solver(const ProblemShape& shape, const std::string& more = "") {
    auto device = open_device("csv:" + folder_ + more);
    EXPECT_OK(device);
    auto compiled = device.value()->compile(shape);
    EXPECT_OK(compiled);
    return std::move(compiled).value();
  }
  test::TempDir dir_;
  std::string folder_ = dir_.file("machine");
};

// The message was "no answer yet", although the answer was there: browsers and Windows change the
// ending of a file's name.
TEST_F(CsvDevice, AnAnswerWithAnotherEndingIsNamed) {
  const ProblemShape shape{2, 5};
  const auto layer = test::small_integers(2, 5, 12, 3);
  const auto by_hand = solver(shape);
  std::vector<std::uint64_t> spins(2);
  SolveResult result;
  const auto says = [&] {
    return test::describe(by_hand->solve(layer.problem(), {}, spins, result));
  };
  EXPECT_EQ(says().find("is not read"), std::string::npos);
  const std::string id = files(".csv")[0].stem().string();
  for (const std::string ending : {".answer.csv.txt", ".answer.JSON", ".answer (1).json"}) {
    const std::string path = folder_ + "/" + id + ending;
    std::ofstream(path) << "1\n";
    EXPECT_NE(says().find("; '" + id + ending + "' is not read, for its name ends otherwise"),
              std::string::npos)
        << says();
    std::filesystem::remove(path);
  }
}

TEST_F(CsvDevice, WritesTheMatrixAndGoesOnWithTheAnswer) {
  const ProblemShape shape{2, 5};
  const auto layer = test::small_integers(2, 5, 12, 3);
  const auto by_hand = solver(shape);
  std::vector<std::uint64_t> spins(2);
  SolveResult result;
  const Status stopped = by_hand->solve(layer.problem(), {}, spins, result);
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, ErrorCode::not_found);
  ASSERT_EQ(files(".csv").size(), 1U);
  const std::filesystem::path path = files(".csv")[0];
  const auto manifest = nlohmann::json::parse(text_of(files(".json")[0]));
  EXPECT_EQ(manifest["heads"], 2);
  EXPECT_EQ(manifest["tokens"], 5);

  // The matrix is the problem: the best state of the file is the best of the layer, exactly.
  const auto file = parse_problem(text_of(path), "m.csv", std::string_view("csv"));
  ASSERT_OK(file);
  const std::int32_t width = file->graph.size;
  EXPECT_EQ(width, manifest["spins"].get<int>());
  double best = 0;
  std::uint32_t best_state = 0;
  for (std::uint32_t state = 0; state < 1U << width; ++state) {
    double value = file->offset;
    for (const Edge& edge : file->graph.edges) {
      const bool equal = (state >> edge.first & 1U) == (state >> edge.second & 1U);
      value += equal ? edge.weight : -edge.weight;
    }
    if (value >= best) continue;
    best = value;
    best_state = state;
  }
  nlohmann::json row = nlohmann::json::array();
  for (std::int32_t i = 0; i < width; ++i) row.push_back((best_state >> i & 1U) != 0 ? 1 : -1);
  const std::string stem = path.string().substr(0, path.string().size() - 4);
  std::ofstream(stem + ".answer.json")
      << nlohmann::json::array({{{"quboValue", best}, {"solutionVector", row}}});
  ASSERT_OK(by_hand->solve(layer.problem(), {}, spins, result));
  EXPECT_STREQ(result.solved_by, "csv");
  EXPECT_EQ(result.energy, energy_of(layer.problem(), spins));
  const auto exact = open_device("exact:").value()->compile(shape).value();
  SolveResult proven;
  std::vector<std::uint64_t> ignored(2);
  ASSERT_OK(exact->solve(layer.problem(), {}, ignored, proven));
  ASSERT_GE(manifest["scale"].get<double>(), 1);
  EXPECT_EQ(result.energy, proven.energy);
}

TEST_F(CsvDevice, NoOtherDeviceTakesOver) {
  const auto layer = test::random_layer(2, 8, 1);
  auto pair = with_fallback(open_device("csv:" + folder_).value(), open_device("cpu:").value(), {});
  ASSERT_OK(pair);
  auto both = pair.value()->compile({2, 8});
  ASSERT_OK(both);
  std::vector<std::uint64_t> spins(2);
  SolveResult result;
  for (int time = 0; time < 8; ++time) {  // nor does the circuit breaker
    const Status stopped = both.value()->solve(layer.problem(), {}, spins, result);
    ASSERT_FALSE(stopped.ok());
    EXPECT_EQ(stopped.error().code, ErrorCode::not_found) << stopped.error().message;
  }
  const std::string path = files(".csv")[0].string();
  std::ofstream(path.substr(0, path.size() - 4) + ".answer.csv") << "1,1\n";
  const Status refused = both.value()->solve(layer.problem(), {}, spins, result);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(refused.error().message.find("line 1 has 2 values"), std::string::npos);
}

TEST_F(CsvDevice, ForeignFilesOfTheSameWidthAreNoProblems) {
  const auto layer = test::small_integers(1, 3, 9, 1);
  const auto by_hand = solver({1, 3}, "?ancillas=1");
  std::vector<std::uint64_t> spins(1);
  SolveResult result;
  EXPECT_FALSE(by_hand->solve(layer.problem(), {}, spins, result).ok());
  const std::filesystem::path path = files(".csv")[0];
  // Not symmetric, with a diagonal, too long: flips of them never end, or they are no matrices.
  const std::string skew = "0,9,9,9\n-9,0,9,9\n-9,-9,0,9\n-9,-9,-9,0\n";
  const std::string diagonal = "-9,1,1,1\n1,-9,1,1\n1,1,-9,1\n1,1,1,-9\n";
  const std::string longer = "0,1,1,1\n1,0,1,1\n1,1,0,1\n1,1,1,0\n0,0,0,0\n";
  for (const std::string& text : {skew, diagonal, longer}) {
    const std::string hash = platform::sha256_hex(text).substr(0, 16);
    std::ofstream(folder_ + "/" + hash + ".csv") << text;
  }
  // Each answer is read; the ones that are far from a minimum look at all the files beside it.
  const std::string stem = path.string().substr(0, path.string().size() - 4);
  int refused = 0;
  for (int state = 0; state < 8; ++state) {
    std::ofstream answer(stem + ".answer.csv");
    for (int bit = 0; bit < 3; ++bit) answer << ((state >> bit & 1) != 0 ? "1," : "-1,");
    answer << "1\n";
    answer.close();
    const Status status = by_hand->solve(layer.problem(), {}, spins, result);
    if (status.ok()) continue;
    ++refused;
    EXPECT_NE(status.error().message.find("no answer to this problem"), std::string::npos)
        << status.error().message;
  }
  EXPECT_GT(refused, 0);
  EXPECT_LT(refused, 8);
}

TEST_F(CsvDevice, OnlyFilesThatAreNamedByTheirHashAreOtherProblems) {
  const auto layer = test::small_integers(1, 3, 9, 1);
  const auto by_hand = solver({1, 3}, "?ancillas=1");
  std::vector<std::uint64_t> spins(1);
  SolveResult result;
  EXPECT_FALSE(by_hand->solve(layer.problem(), {}, spins, result).ok());
  const std::string own = files(".csv")[0].string();
  const std::string stem = own.substr(0, own.size() - 4);
  // The other problem is the first one's negative: what is worst for one is best for the other.
  std::string other = text_of(own), negative;
  std::istringstream lines(other);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream cells(line);
    std::string cell, row;
    while (std::getline(cells, cell, ','))
      row += (row.empty() ? "" : ",") + std::to_string(-std::stoi(cell));
    negative += row + "\n";
  }
  const auto worst = parse_problem(text_of(own), "m.csv", std::string_view("csv"));
  ASSERT_OK(worst);
  double most = -1e9;
  std::string answer;
  for (std::uint32_t state = 0; state < 16; ++state) {
    double value = 0;
    for (const Edge& edge : worst->graph.edges) {
      const bool equal = (state >> edge.first & 1U) == (state >> edge.second & 1U);
      value += equal ? edge.weight : -edge.weight;
    }
    if (value <= most) continue;
    most = value;
    answer.clear();
    for (int bit = 0; bit < 4; ++bit) answer += (state >> bit & 1U) != 0 ? "1 " : "-1 ";
  }
  std::ofstream(stem + ".answer.csv") << answer << "\n";
  const auto says = [&] {
    const Status status = by_hand->solve(layer.problem(), {}, spins, result);
    EXPECT_FALSE(status.ok());
    return status.ok() ? std::string() : status.error().message;
  };
  std::ofstream(folder_ + "/notes.csv") << negative;
  EXPECT_NE(says().find("no answer to this problem"), std::string::npos) << says();
  std::ofstream(folder_ + "/" + platform::sha256_hex(negative).substr(0, 16) + ".csv") << negative;
  EXPECT_NE(says().find("two answers are swapped"), std::string::npos) << says();
}

TEST_F(CsvDevice, NoOtherDeviceTakesOverWhereFilesCannotBeReadOrWritten) {
  const auto layer = test::random_layer(2, 8, 1);
  auto pair = with_fallback(open_device("csv:" + folder_).value(), open_device("cpu:").value(), {});
  ASSERT_OK(pair);
  auto both = pair.value()->compile({2, 8});
  ASSERT_OK(both);
  std::vector<std::uint64_t> spins(2);
  SolveResult result;
  const auto says = [&] {
    const Status status = both.value()->solve(layer.problem(), {}, spins, result);
    EXPECT_ERROR(invalid_argument, status);
    return status.ok() ? std::string() : status.error().message;
  };
  // The directory is gone.
  std::filesystem::remove_all(folder_);
  EXPECT_NE(says().find("does not exist"), std::string::npos) << says();
  std::filesystem::create_directories(folder_);
  EXPECT_ERROR(not_found, both.value()->solve(layer.problem(), {}, spins, result));
  const std::string path = files(".csv")[0].string();
  const std::string stem = path.substr(0, path.size() - 4);
  // An answer that is too large, or none that can be read.
  std::ofstream(stem + ".answer.csv").close();
  std::filesystem::resize_file(stem + ".answer.csv", (std::uintmax_t{64} << 20) + 1);
  EXPECT_NE(says().find("larger than expected"), std::string::npos) << says();
  std::filesystem::remove(stem + ".answer.csv");
  std::filesystem::create_directory(stem + ".answer.json");
  EXPECT_NE(says().find("is a directory"), std::string::npos) << says();
  std::filesystem::remove(stem + ".answer.json");
  // A problem file that is too large, or a directory.
  std::filesystem::resize_file(path, (std::uintmax_t{64} << 20) + 1);
  EXPECT_NE(says().find("larger than expected"), std::string::npos) << says();
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  EXPECT_NE(says().find("is a directory"), std::string::npos) << says();
}

TEST_F(CsvDevice, AncillasAndSpinsOfTheAddress) {
  const auto layer = test::random_layer(8, 49, 1);
  std::vector<std::uint64_t> spins(8);
  SolveResult result;
  EXPECT_FALSE(solver({8, 49}, "?ancillas=1")->solve(layer.problem(), {}, spins, result).ok());
  ASSERT_EQ(files(".json").size(), 1U);
  const auto manifest = nlohmann::json::parse(text_of(files(".json")[0]));
  EXPECT_EQ(manifest["ancillas"], 1);
  EXPECT_EQ(manifest["spins"], 393);
  const auto small = open_device("csv:" + folder_ + "?spins=100").value();
  EXPECT_EQ(small->supports(ProblemShape{8, 49}).error().code, ErrorCode::problem_too_large);
  for (const char* wrong : {"csv:", "csv:?ancillas=1", "csv:x?ancillas=-1",
                            "csv:x?ancillas=1&"
                            "ancillas=2",
                            "csv:x?reads=3"}) {
    const auto opened = open_device(wrong);
    ASSERT_FALSE(opened.ok()) << wrong;
    EXPECT_EQ(opened.error().code, ErrorCode::device_unknown);
  }
}

}  // namespace
}  // namespace qama::hal
