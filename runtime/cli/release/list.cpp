#include "runtime/cli/release/list.h"

#include <charconv>
#include <vector>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"
#include "release_list.h"

namespace qama::cli {
namespace {

constexpr std::string_view kFirst = "qama release list 1";
constexpr std::int32_t kMostNumber = 1'000'000;

std::vector<std::string> split_words(std::string_view line) {
  std::vector<std::string> out;
  while (!line.empty()) {
    const std::size_t end = std::min(line.find(' '), line.size());
    if (end > 0) out.emplace_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return out;
}

bool is_digest(const std::string& word) {
  return word.size() == 64 && word.find_first_not_of("0123456789abcdef") == std::string::npos;
}

bool read_number(const std::string& word, std::int32_t& out) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), out);
  return error == std::errc() && end == word.data() + word.size() && out >= 0 && out < kMostNumber;
}

/// False if it is no line of a list, or says something twice.
bool add_line(const std::vector<std::string>& words, ReleaseList& out) {
  if (words.size() == 3 && words[0] == "spins" && is_digest(words[2])) {
    return out.spins.emplace(words[1], words[2]).second;
  }
  ReleaseModel model;
  if (words.size() != 5 || words[0] != "model" || !is_digest(words[2]) ||
      !read_number(words[3], model.input) || !read_number(words[4], model.answer)) {
    return false;
  }
  model.sha256 = words[2];
  return out.models.emplace(words[1], model).second;
}

}  // namespace

std::string ReleaseList::text() const {
  std::string out = std::string(kFirst) + "\n";
  for (const auto& [layer, sha256] : spins) out += sentence("spins ", layer, " ", sha256, "\n");
  for (const auto& [name, model] : models) {
    out += sentence("model ", name, " ", model.sha256, " ", model.input, " ", model.answer, "\n");
  }
  return out;
}

Result<ReleaseList> parse_release_list(std::string_view text, std::string_view name) {
  ReleaseList out;
  for (std::int32_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (number == 1 ? line == kFirst : add_line(split_words(line), out)) continue;
    return make_error(ErrorCode::report_bad_format, "list ", quote(name), ", line ", number, ": ",
                      quote(line), ", expected ",
                      number == 1 ? quote(kFirst)
                                  : "spins LAYER SHA-256 or model NAME SHA-256 INPUT CLASS, once");
  }
  if (!out.spins.empty()) return out;
  return make_error(ErrorCode::report_bad_format, "list ", quote(name), " has no line of spins");
}

std::string_view own_release_list() noexcept {
  return kReleaseList;
}

}  // namespace qama::cli
