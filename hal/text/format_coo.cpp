// coo: lines "i j w" without a first line of sizes; variables from 0, i = j is linear, there are as
// many variables as the largest number says. dimod writes such files with a comment
// "# vartype=BINARY" (minimise sum w x_i x_j) or "# vartype=SPIN" (minimise sum h s + sum J s s);
// without it x is 0 or 1. These comments stand in front of the first pair. A line or a comment
// "offset W" is added to every value.
#include <algorithm>
#include <cctype>
#include <optional>

#include "hal/base/quote.h"
#include "hal/text/formats.h"
#include "hal/text/pairs.h"

namespace qama::hal {
namespace {

/// What a line that begins with a comment's mark says; none of another line.
std::optional<std::string_view> comment_of(std::string_view line) {
  if (line.starts_with("//")) return line.substr(2);
  if (line.front() == '#' || line.front() == '%') return line.substr(1);
  if (line.starts_with("c ") || line.starts_with("c\t")) return line.substr(1);
  return std::nullopt;
}

bool begins_with_key(std::string_view text, std::string_view key) {
  return text.size() > key.size() &&
         std::equal(key.begin(), key.end(), text.begin(), [](char a, char b) {
           return a == std::tolower(static_cast<unsigned char>(b));
         });
}

/// The value of "# KEY=VALUE" or "# KEY VALUE" among the comments in front of the first pair, in
/// whatever letters the key is; empty if there is none.
std::string_view comment_value(std::string_view bytes, std::string_view key) {
  while (!bytes.empty()) {
    const std::size_t end = std::min(bytes.find('\n'), bytes.size());
    std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
    const auto skip = [&](std::string_view characters) {
      line.remove_prefix(std::min(line.find_first_not_of(characters), line.size()));
    };
    skip(" \t\r");
    if (line.empty()) continue;
    const std::optional<std::string_view> comment = comment_of(line);
    if (!comment) return {};
    line = *comment;
    skip(" \t");
    if (!begins_with_key(line, key)) continue;
    line.remove_prefix(key.size());
    if (std::string_view("=: \t").find(line.front()) == std::string_view::npos) continue;
    skip("=: \t");
    return line.substr(0, line.find_first_of(" \t\r"));
  }
  return {};
}

std::string claim(std::string_view bytes, std::string_view name) {
  if (!comment_value(bytes, "vartype").empty()) return "the comment 'vartype'";
  return claim_by_name(name, {".coo"});
}

Result<ProblemFile> parse_kind(std::string_view bytes, std::string_view name, ProblemKind kind,
                               const ReadOptions& options) {
  Pairs pairs(kind, 0);
  const std::string_view offset = comment_value(bytes, "offset");
  if (!offset.empty()) {
    Lines value(offset, name);
    value.next();
    QAMA_ASSIGN_OR_RETURN(const double number, value.number(0, "the offset"));
    pairs.add_offset(number);
  }
  Lines lines(bytes, name);
  std::int64_t size = 0;
  while (lines.next()) {
    QAMA_ASSIGN_OR_RETURN(const bool is_offset, pairs.take_offset(lines));
    if (is_offset) continue;
    QAMA_RETURN_IF_ERROR(pairs.add_line(lines, 0, kMaxTokens));
    for (const std::size_t k : {std::size_t{0}, std::size_t{1}}) {
      QAMA_ASSIGN_OR_RETURN(const std::int64_t index, lines.integer(k, "index", 0, kMaxTokens));
      size = std::max(size, index + 1);
    }
  }
  if (size == 0) return lines.error(ErrorCode::problem_bad_format, "a line 'i j w' is missing");
  return pairs.finish(size, name, options);
}

Result<ProblemFile> parse(std::string_view bytes, std::string_view name,
                          const ReadOptions& options) {
  std::string type(comment_value(bytes, "vartype"));
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (!type.empty() && type != "BINARY" && type != "SPIN") {
    return Error{ErrorCode::problem_bad_format, "problem " + quote(name) + " has vartype " +
                                                    quote(type) + ", expected BINARY or SPIN"};
  }
  return parse_kind(bytes, name, type == "SPIN" ? ProblemKind::ising : ProblemKind::qubo, options);
}

}  // namespace

extern const ProblemFormat kCooFormat{
    "coo",
    ProblemKind::qubo,
    "the sum of w x_i x_j, i = j is linear, over x in {0, 1}; with vartype=SPIN over {-1, +1}, "
    "written as 0 and 1",
    true,
    claim,
    parse,
    nullptr};

}  // namespace qama::hal
