// qama.hpp offers all of qama.h, and the library shows all of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "tests/test_support.h"

namespace qama::test {
namespace {

std::string text_of(const char* name) {
  std::ifstream in(source_path("runtime/api/include/qama") / name);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// First group of every match.
std::set<std::string> matches(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  std::set<std::string> out;
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it) {
    out.insert((*it)[1]);
  }
  return out;
}

std::vector<std::string> functions_that_no_call_reaches(const std::string& c,
                                                        const std::string& cpp) {
  const std::set<std::string> functions = matches(c, "QAMA_API[^;(]*?(qama_\\w+)\\(");
  std::set<std::string> called = matches(cpp, "\\b(qama_\\w+)\\(");
  // qama_x_options_init() is a macro that calls qama_x_options_init_size().
  for (const std::string& name : std::set<std::string>(called)) called.insert(name + "_size");
  std::vector<std::string> out;
  std::set_difference(functions.begin(), functions.end(), called.begin(), called.end(),
                      std::back_inserter(out));
  return out;
}

TEST(Headers, CppCoversC) {
  const std::string c = text_of("qama.h");
  EXPECT_GT(matches(c, "QAMA_API[^;(]*?(qama_\\w+)\\(").size(), 25U);
  EXPECT_THAT(functions_that_no_call_reaches(c, text_of("qama.hpp")), testing::IsEmpty());
}

TEST(Headers, AMissingFunctionIsFound) {
  const std::string c = text_of("qama.h") + "\nQAMA_API int32_t qama_something_new(void);\n";
  EXPECT_THAT(functions_that_no_call_reaches(c, text_of("qama.hpp")),
              testing::ElementsAre("qama_something_new"));
}

}  // namespace
}  // namespace qama::test
