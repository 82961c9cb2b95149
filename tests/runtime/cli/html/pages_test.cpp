// The pages of `qama explain`, `qama profile` and `qama solve`: well formed, with a role and a
// title on every picture, as wide as the screen lets them, and with every value in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "runtime/cli/console.h"
#include "runtime/cli/explain/report.h"
#include "runtime/cli/html/charts.h"
#include "runtime/cli/html/svg.h"
#include "tests/runtime/cli/cli_files.h"
#include "tests/runtime/cli/process.h"

namespace qama::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using weights::AttentionKind;

struct Tag {
  std::string name, attributes;
  std::size_t end = 0;  ///< behind its '>'
};

/// Every tag that a page opens, in order; fails the test where one is not closed, or closed by
/// another.
std::vector<Tag> tags_of(const std::string& page) {
  std::vector<Tag> out;
  std::vector<std::string> open;
  for (std::size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at + 1)) {
    if (page.compare(at, 9, "<!DOCTYPE") == 0) continue;
    const std::size_t end = page.find('>', at);
    if (end == std::string::npos) {
      ADD_FAILURE() << "a tag that never ends: " << page.substr(at, 60);
      break;
    }
    std::string tag = page.substr(at + 1, end - at - 1);
    EXPECT_EQ(tag.find('<'), std::string::npos) << tag;
    EXPECT_EQ(std::count(tag.begin(), tag.end(), '"') % 2, 0) << tag;
    if (tag[0] == '/') {
      EXPECT_FALSE(open.empty()) << tag;
      if (open.empty()) break;
      EXPECT_EQ(tag.substr(1), open.back()) << page.substr(at > 80 ? at - 80 : 0, 100);
      open.pop_back();
      continue;
    }
    const bool alone = tag.back() == '/';
    const std::size_t space = tag.find_first_of(" /");
    out.push_back(
        {tag.substr(0, space), space == std::string::npos ? "" : tag.substr(space), end + 1});
    if (!alone && out.back().name != "meta") open.push_back(out.back().name);
    // What is between these is no markup.
    for (const char* raw : {"script", "style"}) {
      if (out.back().name == raw) at = page.find(std::string("</") + raw, at) - 1;
    }
  }
  EXPECT_TRUE(open.empty()) << open.size() << " tags stay open, the last is " << open.back();
  return out;
}

void expect_good_page(const std::string& page) {
  int pictures = 0;
  for (const Tag& tag : tags_of(page)) {
    SCOPED_TRACE(tag.name + tag.attributes);
    if (tag.name == "svg") {
      ++pictures;
      EXPECT_THAT(tag.attributes, HasSubstr("role=\"img\""));
      const std::string title = "<title>";
      EXPECT_EQ(page.compare(tag.end, title.size(), title), 0) << "a picture without a title";
      EXPECT_NE(page[tag.end + title.size()], '<') << "an empty title";
      // The page's style gives it the width that there is, or its own where that is less.
      EXPECT_THAT(tag.attributes, Not(HasSubstr(" width=")));
      EXPECT_THAT(tag.attributes,
                  testing::AnyOf(HasSubstr("class=\"scaled"), HasSubstr("\"wide\"")));
    }
    if (tag.name == "link" || tag.name == "img" || tag.name == "iframe") ADD_FAILURE();
    EXPECT_THAT(tag.attributes, Not(HasSubstr(" src=")));
    EXPECT_THAT(tag.attributes, Not(HasSubstr(" onclick=")));
    if (tag.name != "svg") {
      EXPECT_THAT(tag.attributes, Not(HasSubstr("http")));
    }
  }
  EXPECT_GT(pictures, 0);
  for (const char* rule : {"svg.scaled{width:100%", "svg.wide{width:100%",
                           "figure{margin:0;max-width:100%", ".scroll{overflow-x:auto",
                           "prefers-color-scheme:dark", "width=device-width,initial-scale=1"}) {
    EXPECT_THAT(page, HasSubstr(rule));
  }
}

int count_of(const std::string& page, const std::string& what) {
  int found = 0;
  for (std::size_t at = page.find(what); at != std::string::npos; at = page.find(what, at + 1))
    ++found;
  return found;
}

std::string text_of_file(const std::string& path) {
  const auto bytes = read_file(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(Pages, SolveHasItsReadsAndItsBestValueOverTime) {
  const TempDir directory;
  put_file(directory.file("g&1.mc"), "5 6\n1 2 3\n2 3 -1\n3 4 2\n4 5 0.5\n5 1 1\n1 3 1\n");
  const std::string path = directory.file("p");
  const json report = run_qama({"solve", "-q", "--json", directory.file("g&1.mc"), "--device",
                                "cpu:", "--sweeps", "0", "--samples", "3", "--html", path})
                          .json();
  const std::string page = text_of_file(path);
  expect_good_page(page);
  EXPECT_EQ(report["html"], path);
  EXPECT_THAT(page, HasSubstr("g&amp;1.mc"));
  EXPECT_THAT(page, HasSubstr("cut " + report["cut"].dump()));
  EXPECT_THAT(page, HasSubstr("32 reads."));
  EXPECT_EQ(count_of(page, "<circle"), static_cast<int>(report["improvements"].size()));
  for (const json& sample : report["samples"])
    EXPECT_THAT(page, HasSubstr(sample["spins"].get<std::string>()));
  for (const json& bin : report["histogram"])
    EXPECT_THAT(page, HasSubstr(">" + bin["count"].dump() + "<"));
  EXPECT_THAT(page, HasSubstr("Histogram: cut"));
}

TEST(Pages, ChartsOfEqualValuesEnd) {
  const std::vector<double> equal(5, 11624.0);
  EXPECT_THAT(cli::histogram(equal, "cut"), HasSubstr("</svg>"));
  const double next = std::nextafter(11624.0, 2e4);
  const std::vector<cli::StepPoint> points{{1, 11624}, {2, next}};
  EXPECT_THAT(cli::step_chart("cut", points, 3, "ms"), HasSubstr("</svg>"));
  EXPECT_THAT(cli::step_chart("cut", std::span(points).first(1), 0, "ms"), HasSubstr("</svg>"));
  cli::SurfaceChart surface;
  surface.z = equal;
  surface.rows = 1;
  surface.columns = 5;
  surface.plane = 11624;
  EXPECT_THAT(cli::surface_chart(surface), HasSubstr("</svg>"));
}

TEST(Pages, ExplainHasEveryValueOfAPicture) {
  const TempDir directory;
  const std::string path = put_model(directory, "m", small_vit(AttentionKind::qama));
  put_mnist(directory, 1);
  const json report =
      run_qama({"explain", "-q", "--json", "-m", path,
                directory.file("t10k-images-idx3-ubyte.gz") + ":0", "--html", directory.file("p")})
          .json();
  const std::string page = text_of_file(directory.file("p"));
  expect_good_page(page);
  for (std::size_t layer = 0; layer < 2; ++layer) {
    for (std::size_t t = 0; t < 4; ++t) {
      const double energy = report["energy"][layer];
      for (const std::size_t i : {0U, 13U, 48U}) {
        const double flipped = report["flip_energies"][layer][t][i];
        EXPECT_THAT(page, HasSubstr(cli::format("head %zu, token %zu (row %zu, column %zu): "
                                                "flipping costs %.3f, to %.3f<",
                                                t, i, i / 7, i % 7, flipped - energy, flipped)));
      }
      int selected = 0;
      for (const int level : report["masks"][layer][t]) selected += level;
      EXPECT_THAT(page, HasSubstr(cli::format("Layer %zu, tokens that a head selected, head %zu: "
                                              "%d of 49<",
                                              layer, t, selected)));
    }
  }
  EXPECT_EQ(count_of(page, "flipping costs"), 2 * 4 * 49);
  // Four masks, the energies and the flips of each layer answer to the keyboard.
  EXPECT_EQ(count_of(page, "tabindex=\"0\""), 2 * 6);
  EXPECT_EQ(count_of(page, "<script>"), 1);
}

cli::Explanation explained_text(std::int32_t heads) {
  cli::Explanation e;
  e.model_path = "m";
  e.input = "a text";
  e.label = "positive";
  e.words = {"a", "<b>", "film", "&"};
  e.known = {true, false, true, true};
  cli::Layer layer;
  layer.heads = heads;
  layer.tokens = 4;
  for (std::int32_t i = 0; i < heads * 4; ++i) {
    layer.mask.push_back(i % 4 == 1 || i == 6 ? 1 : 0);
    layer.token_energy.push_back(layer.mask.back() * -2.5);
    layer.flip_energy.push_back(i);
  }
  layer.output = {0.5, -0.5, 1, 2};
  e.layers = {layer};
  return e;
}

TEST(Pages, ExplainMarksTheWordsOfAText) {
  const TempDir directory;
  const std::string path = directory.file("p");
  ASSERT_OK(
      cli::write_explanation_html(explained_text(1), small_text(AttentionKind::qama), {}, path));
  std::string page = text_of_file(path);
  expect_good_page(page);
  EXPECT_THAT(page, HasSubstr("<span class=\"\" style=\"--part:0.00\" title=\"token 0 &#39;a&#39;: "
                              "not selected\">a</span>"));
  EXPECT_THAT(page, HasSubstr("<span class=\"on unknown\" style=\"--part:1.00\" title=\"token 1 "
                              "&#39;&lt;b&gt;&#39;: selected, not in the vocabulary\">&lt;b&gt;<"));
  EXPECT_THAT(page, HasSubstr("head 0, token 2 &#39;film&#39;: flipping costs 2.000, to 2.000<"));
  // Two heads: the second one selects 'film', too.
  ASSERT_OK(
      cli::write_explanation_html(explained_text(2), small_text(AttentionKind::qama), {}, path));
  page = text_of_file(path);
  expect_good_page(page);
  EXPECT_THAT(page,
              HasSubstr("\"--part:0.50\" title=\"token 2 &#39;film&#39;: selected by head 1\""));
  EXPECT_THAT(page, HasSubstr("selected by head 0, 1, not in the vocabulary"));
}

TEST(Pages, ExplainGivesTheWordsToThePage) {
  const TempDir directory;
  const std::string path = put_model(directory, "m", small_text(AttentionKind::qama));
  const json report = run_qama({"explain", "-q", "--json", "-m", path, "--text", "What a film",
                                "--html", directory.file("p")})
                          .json();
  const std::string page = text_of_file(directory.file("p"));
  expect_good_page(page);
  ASSERT_EQ(report["words"].size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    const std::string word = report["words"][i];
    EXPECT_THAT(page, HasSubstr("&#39;" + word + "&#39;: " +
                                (report["masks"][0][0][i] != 0 ? "selected" : "not selected")));
  }
}

TEST(Pages, ALongHeadIsDrawnInRows) {
  const TempDir directory;
  cli::Explanation e = explained_text(1);
  cli::Layer& layer = e.layers[0];
  layer.tokens = 150;
  layer.mask.assign(150, 1);
  layer.token_energy.assign(150, -1);
  layer.flip_energy.assign(150, 3);
  e.words.clear();
  ASSERT_OK(
      cli::write_explanation_html(e, small_text(AttentionKind::qama), {}, directory.file("p")));
  const std::string page = text_of_file(directory.file("p"));
  expect_good_page(page);
  // 2 x 63 faces between 3 rows of 64, the walls of two edges, the plane.
  EXPECT_EQ(count_of(page, "class=\"face\""), 2 * 63);
  EXPECT_EQ(count_of(page, "flipping costs"), 150);
}

TEST(Pages, ProfileHasOneScaleForAllDevices) {
  const TempDir directory;
  const std::string path = put_model(directory, "m", small_vit(AttentionKind::qama));
  const Outcome outcome =
      run_qama({"profile", "-q", "-m", path, "--runs", "3", "--device", "cpu:", "--device",
                "cpu:scalar", "--html", directory.file("p")});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const std::string page = text_of_file(directory.file("p"));
  expect_good_page(page);
  // Latencies, kinds of work, parts of a solve: a picture each, both devices in it.
  EXPECT_EQ(count_of(page, "<svg"), 3);
}

TEST(Pages, AQuantityOfOneSignHasAScaleFromZero) {
  const std::vector<double> negative = {-4, -1, 0};
  const cli::ColourScale one(negative);
  EXPECT_EQ(one(0), cli::ramp(0));
  EXPECT_EQ(one(-4), cli::ramp(1));
  EXPECT_THAT(one.bar("energies"), HasSubstr(">-4.00<"));
  EXPECT_THAT(one.bar("energies"), HasSubstr(">0<"));
  const std::vector<double> both = {-1, 2};
  const cli::ColourScale two(both);
  EXPECT_EQ(two(0), cli::warmth(0));
  EXPECT_EQ(two(-2), cli::warmth(-1));
  EXPECT_EQ(two(2), cli::warmth(1));
  EXPECT_THAT(two.bar("energies"), HasSubstr(">-2.00<"));
  EXPECT_THAT(two.bar("energies"), HasSubstr(">2.00<"));
  // Measured from another level.
  const std::vector<double> flips = {11, 14};
  const cli::ColourScale above(flips, 10);
  EXPECT_EQ(above(10), cli::ramp(0));
  EXPECT_EQ(above(14), cli::ramp(1));
}

TEST(Pages, BarsThatAreTooLongAreCutAndSaySo) {
  cli::BarChart chart;
  chart.title = "bars";
  chart.part_names = {"a", "b"};
  chart.rows = {{"short", {1, 2}}, {"long", {1, 5000}}};
  chart.unit = "us";
  const std::string whole = cli::bar_chart(chart);
  EXPECT_THAT(whole, Not(HasSubstr("cut off")));
  chart.most = 4;
  const std::string cut = cli::bar_chart(chart);
  EXPECT_EQ(count_of(cut, "cut off"), 1);
  EXPECT_THAT(cut, HasSubstr("5001 us, cut off"));
  EXPECT_THAT(cut, HasSubstr("x=\"24.000%\" y=\"18\" width=\"48.000%\""));  // b of the short bar
}

TEST(Pages, TheTerminalShowsMasksAsTheyLieInThePicture) {
  const TempDir directory;
  const std::string path = put_model(directory, "m", small_vit(AttentionKind::qama));
  put_mnist(directory, 1);
  const std::string input = directory.file("t10k-images-idx3-ubyte.gz") + ":0";
  const json report = run_qama({"explain", "-q", "--json", "-m", path, input}).json();
  const std::string out = run_qama({"explain", "-q", "-m", path, input}).out;
  std::string expected = "  head 0   head 1   head 2   head 3\n";
  for (std::size_t row = 0; row < 7; ++row) {
    for (std::size_t t = 0; t < 4; ++t) {
      expected += "  ";
      for (std::size_t column = 0; column < 7; ++column)
        expected += report["masks"][0][t][row * 7 + column] != 0 ? '#' : '.';
    }
    expected += "\n";
  }
  EXPECT_THAT(out, HasSubstr(expected));
}

}  // namespace
}  // namespace qama::test
