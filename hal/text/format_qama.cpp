// qama: a layer in factor form.
//
//   qama NAME
//   H N D rho lambda
//   for each head: signs sg_1 .. sg_D (+1 or -1), then N rows h_i F_i1 .. F_iD
//
// J_tij = sum_d sg_td F_tid F_tjd for i != j. Minimise the paper's Eq. 3,
// E = - sum_t sum_{i<j} J_tij s_ti s_tj - rho sum h_ti s_ti + lambda sum_i sum_{t<u} s_ti s_ui.
#include <algorithm>

#include "hal/base/quote.h"
#include "hal/text/formats.h"
#include "hal/text/lines.h"

namespace qama::hal {
namespace {

/// The line that comes next, with exactly `words` words; `what` is the first that may be missing.
Status next_row(Lines& lines, std::size_t words, std::string_view what) {
  if (!lines.next()) {
    return lines.error(ErrorCode::problem_bad_format,
                       "the file ends, " + std::string(what) + " is missing");
  }
  return lines.at_most(words);
}

Result<QamaLayer> parse_layer(Lines& lines) {
  QamaLayer out;
  if (!lines.next() || lines.word(0) != "qama" || lines.size() < 2) {
    return lines.error(ErrorCode::problem_bad_format, "expected 'qama' and a name");
  }
  out.name = lines.word(1);
  QAMA_RETURN_IF_ERROR(lines.at_most(2));
  QAMA_RETURN_IF_ERROR(next_row(lines, 5, "number of heads"));
  QAMA_ASSIGN_OR_RETURN(const std::int64_t heads,
                        lines.integer(0, "number of heads", 1, kMaxHeads));
  QAMA_ASSIGN_OR_RETURN(const std::int64_t tokens,
                        lines.integer(1, "number of tokens", 1, kMaxTokens));
  QAMA_ASSIGN_OR_RETURN(const std::int64_t rank,
                        lines.integer(2, "number of columns", 1, kMaxRank));
  QAMA_ASSIGN_OR_RETURN(out.rho, lines.number(3, "rho"));
  QAMA_ASSIGN_OR_RETURN(out.lambda, lines.number(4, "lambda"));
  if (out.lambda < 0) {
    return lines.error(ErrorCode::problem_bad_value, "lambda is negative, expected 0 or more");
  }
  out.heads = static_cast<std::int32_t>(heads);
  out.tokens = static_cast<std::int32_t>(tokens);
  out.rank = static_cast<std::int32_t>(rank);
  // At most 2^38 numbers: no overflow. Every number takes a digit and a separator, and no more are
  // reserved than the bytes that are there have room for, whatever the second line says.
  const std::size_t room = lines.bytes_left() / 2 + 1;
  out.signs.reserve(std::min(static_cast<std::size_t>(heads * rank), room));
  out.fields.reserve(std::min(static_cast<std::size_t>(heads * tokens), room));
  out.factors.reserve(std::min(static_cast<std::size_t>(heads * tokens * rank), room));
  const auto columns = static_cast<std::size_t>(rank);
  for (std::int64_t t = 0; t < heads; ++t) {
    QAMA_RETURN_IF_ERROR(next_row(lines, columns, "a column's sign"));
    for (std::size_t d = 0; d < columns; ++d) {
      QAMA_ASSIGN_OR_RETURN(const double sign, lines.number(d, "a column's sign"));
      if (sign != 1.0 && sign != -1.0) {
        return lines.error(ErrorCode::problem_bad_value, "a column's sign must be +1 or -1");
      }
      out.signs.push_back(sign);
    }
    for (std::int64_t i = 0; i < tokens; ++i) {
      QAMA_RETURN_IF_ERROR(next_row(lines, columns + 1, "a field"));
      QAMA_ASSIGN_OR_RETURN(const double field, lines.number(0, "a field"));
      out.fields.push_back(field);
      for (std::size_t d = 0; d < columns; ++d) {
        QAMA_ASSIGN_OR_RETURN(const double factor, lines.number(d + 1, "a factor"));
        out.factors.push_back(factor);
      }
    }
  }
  if (lines.next()) {
    return lines.error(
        ErrorCode::problem_bad_format,
        quote(lines.word(0)) + " follows the last number, expected the end of the file");
  }
  return out;
}

std::string claim(std::string_view bytes, std::string_view name) {
  Lines lines(bytes, name);
  return lines.next() && lines.word(0) == "qama" ? "the first word 'qama'" : "";
}

Result<ProblemFile> parse(std::string_view bytes, std::string_view name,
                          const ReadOptions& /*options*/) {
  Lines lines(bytes, name);
  ProblemFile out;
  QAMA_ASSIGN_OR_RETURN(out.layer, parse_layer(lines));
  return out;
}

std::string print(const ProblemFile& file) {
  const QamaLayer& layer = file.layer;
  std::string out = "qama " + layer.name + "\n" + std::to_string(layer.heads) + " " +
                    std::to_string(layer.tokens) + " " + std::to_string(layer.rank) + " ";
  append_number(out, layer.rho);
  out += ' ';
  append_number(out, layer.lambda);
  out += '\n';
  const auto tokens = static_cast<std::size_t>(layer.tokens);
  const auto rank = static_cast<std::size_t>(layer.rank);
  for (std::size_t t = 0; t < static_cast<std::size_t>(layer.heads); ++t) {
    for (std::size_t d = 0; d < rank; ++d) {
      out += layer.signs[t * rank + d] > 0 ? "1" : "-1";
      out += d + 1 < rank ? ' ' : '\n';
    }
    for (std::size_t i = 0; i < tokens; ++i) {
      append_number(out, layer.fields[t * tokens + i]);
      for (std::size_t d = 0; d < rank; ++d) {
        out += ' ';
        append_number(out, layer.factors[(t * tokens + i) * rank + d]);
      }
      out += '\n';
    }
  }
  return out;
}

}  // namespace

extern const ProblemFormat kQamaFormat{
    "qama", ProblemKind::qama, "the layer's energy (Eq. 3)", false, claim, parse, print};

}  // namespace qama::hal
