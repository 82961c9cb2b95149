#include "hal/csv/answer_file.h"

#include <algorithm>
#include <charconv>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"
#include "hal/base/strict_json.h"

namespace qama::hal::csv {
namespace {

constexpr std::size_t kDeepest = 8;
constexpr std::size_t kMostValues = std::size_t{4} << 20;
constexpr const char* kVector = "solutionVector";
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

Error bad(const std::string& path, const std::string& what) {
  return make_error(ErrorCode::invalid_argument, "answer file ", quote(path), ": ", what);
}

/// The lists that hold an answer, in the order of the file, and their values, or null. An item of a
/// list without an answer is an error; `name` is the list's.
Status find_rows(const Json& at, const std::string& path, const std::string& name,
                 std::vector<std::pair<const Json*, const Json*>>& out) {
  if (at.is_object()) {
    const auto vector = at.find(kVector);
    if (vector != at.end()) {
      const auto value = at.find("quboValue");
      out.emplace_back(&*vector, value != at.end() ? &*value : nullptr);
      return {};
    }
    for (const char* key : {"data", "out_data", "results"}) {
      const auto inner = at.find(key);
      if (inner != at.end())
        QAMA_RETURN_IF_ERROR(find_rows(*inner, path, sentence("\"", key, "\""), out));
    }
    return {};
  }
  if (!at.is_array()) return {};
  std::size_t number = 0;
  for (const Json& item : at) {
    ++number;
    const std::size_t before = out.size();
    if (item.is_array()) {
      out.emplace_back(&item, nullptr);
    } else {
      QAMA_RETURN_IF_ERROR(find_rows(item, path, name, out));
    }
    if (out.size() > before) continue;
    return bad(path,
               sentence("item ", number, " of ", name, " has no \"solutionVector\" and is no row"));
  }
  return {};
}

/// 0 where a row has 0 and 1, -1 where it has signs; `name` is "row 3", `word` gives a value as the
/// file has it.
template <typename Word>
Result<std::vector<std::int8_t>> signs_of(const std::vector<double>& values,
                                          const std::string& path, const std::string& name,
                                          std::size_t spins, const Word& word) {
  if (values.size() != spins) {
    return bad(path, sentence(name, " has ", values.size(), " values, expected ", spins));
  }
  const bool binary = std::find(values.begin(), values.end(), 0.0) != values.end();
  std::vector<std::int8_t> out;
  for (std::size_t k = 0; k < values.size(); ++k) {
    if (values[k] == 1) {
      out.push_back(1);
    } else if (values[k] == (binary ? 0 : -1)) {
      out.push_back(-1);
    } else {
      return bad(path, sentence(name, " holds ", quote(word(k)), ", expected ",
                                binary ? "0 and 1 alone" : "1 or -1"));
    }
  }
  return out;
}

Result<std::vector<AnswerRow>> parse_vendor_answer(std::string_view text, const std::string& path,
                                                   std::size_t spins) {
  const std::string what = "answer file " + quote(path);
  QAMA_ASSIGN_OR_RETURN(const Json json, parse_json(text, {.what = what,
                                                           .code = ErrorCode::invalid_argument,
                                                           .twice = ErrorCode::invalid_argument,
                                                           .max_bytes = kMaxAnswerBytes,
                                                           .max_depth = kDeepest,
                                                           .max_values = kMostValues}));
  std::vector<std::pair<const Json*, const Json*>> found;
  QAMA_RETURN_IF_ERROR(find_rows(json, path, "the list", found));
  if (found.empty()) return bad(path, "it has no \"solutionVector\" and no list of rows");
  std::vector<AnswerRow> out;
  std::vector<double> values;
  for (const auto& pair : found) {
    const Json* const vector = pair.first;
    const Json* const value = pair.second;
    const std::string name = "row " + std::to_string(out.size() + 1);
    if (!vector->is_array()) return bad(path, name + " is no list");
    values.clear();
    for (const Json& item : *vector) {
      if (!item.is_number())
        return bad(path, sentence(name, " holds ", quote(item.dump()), ", expected 1 or -1"));
      values.push_back(item.get<double>());
    }
    AnswerRow row;
    QAMA_ASSIGN_OR_RETURN(row.signs, signs_of(values, path, name, spins,
                                              [&](std::size_t k) { return (*vector)[k].dump(); }));
    if (value != nullptr) {
      if (!value->is_number())
        return bad(path,
                   sentence(name, " has quboValue ", quote(value->dump()), ", expected a number"));
      row.value = value->get<double>();
    }
    out.push_back(std::move(row));
  }
  return out;
}

Result<std::vector<AnswerRow>> parse_text_answer(std::string_view text, const std::string& path,
                                                 std::size_t spins) {
  std::vector<AnswerRow> out;
  std::vector<double> values;
  std::vector<std::string_view> words;
  std::size_t line_number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line_number;
    const std::string name = "line " + std::to_string(line_number);
    values.clear();
    words.clear();
    while (true) {
      const std::size_t begin = line.find_first_not_of(",; \t\r");
      if (begin == std::string_view::npos) break;
      line.remove_prefix(begin);
      const std::string_view word = line.substr(0, line.find_first_of(",; \t\r"));
      line.remove_prefix(word.size());
      // from_chars() takes a minus, so there must be none behind the plus.
      const bool plus = word.front() == '+' && !word.starts_with("+-");
      const std::string_view digits = plus ? word.substr(1) : word;
      double value = 0;
      const auto got = std::from_chars(digits.data(), digits.data() + digits.size(), value);
      if (digits.empty() || got.ec != std::errc{} || got.ptr != digits.data() + digits.size())
        return bad(path, sentence(name, " holds ", quote(word), ", expected 1 or -1"));
      values.push_back(value);
      words.push_back(word);
    }
    if (values.empty()) continue;
    AnswerRow row;
    QAMA_ASSIGN_OR_RETURN(
        row.signs, signs_of(values, path, name, spins, [&](std::size_t k) { return words[k]; }));
    out.push_back(std::move(row));
  }
  if (out.empty()) return bad(path, "it has no row");
  return out;
}

}  // namespace

Result<std::vector<AnswerRow>> parse_answer(std::string_view text, const std::string& path,
                                            std::size_t spins) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  const bool json = first != std::string_view::npos && (text[first] == '[' || text[first] == '{');
  return json ? parse_vendor_answer(text, path, spins) : parse_text_answer(text, path, spins);
}

}  // namespace qama::hal::csv
