// qama: a layer in factor form.
//
//   qama NAME
//   H N D rho lambda
//   for each head: signs sg_1 .. sg_D (+1 or -1), then N rows h_i F_i1 .. F_iD
//
// J_tij = sum_d sg_td F_tid F_tjd for i != j. Minimise the paper's Eq. 3,
// E = - sum_t sum_{i<j} J_tij s_ti s_tj - rho sum h_ti s_ti + lambda sum_i sum_{t<u} s_ti s_ui.
#include "hal/text/formats.h"
#include "hal/text/scanner.h"

namespace qama::hal {
namespace {

Result<QamaLayer> parse_layer(Scanner& scan) {
  QamaLayer out;
  if (scan.word() != "qama") {
    return scan.error(ErrorCode::problem_bad_format, "expected 'qama' and a name");
  }
  out.name = scan.word();
  QAMA_ASSIGN_OR_RETURN(const std::int64_t heads, scan.integer("number of heads", 1, kMaxHeads));
  QAMA_ASSIGN_OR_RETURN(const std::int64_t tokens, scan.integer("number of tokens", 1, kMaxTokens));
  QAMA_ASSIGN_OR_RETURN(const std::int64_t rank, scan.integer("number of columns", 1, kMaxRank));
  QAMA_ASSIGN_OR_RETURN(out.rho, scan.number("rho"));
  QAMA_ASSIGN_OR_RETURN(out.lambda, scan.number("lambda"));
  if (out.lambda < 0) {
    return scan.error(ErrorCode::problem_bad_value, "lambda is negative, expected 0 or more");
  }
  // At most 64 * (2^20 * 4097 + 4096): far from overflow. Every number takes a digit and a
  // separator.
  const std::int64_t numbers = heads * (rank + tokens * (rank + 1));
  if (static_cast<std::uint64_t>(numbers) > (scan.bytes_left() + 1) / 2) {
    return scan.error(ErrorCode::problem_bad_format, "the file is too short for " +
                                                         std::to_string(heads) + " heads of " +
                                                         std::to_string(tokens) + " tokens and " +
                                                         std::to_string(rank) + " columns");
  }
  out.heads = static_cast<std::int32_t>(heads);
  out.tokens = static_cast<std::int32_t>(tokens);
  out.rank = static_cast<std::int32_t>(rank);
  out.signs.reserve(static_cast<std::size_t>(heads * rank));
  out.fields.reserve(static_cast<std::size_t>(heads * tokens));
  out.factors.reserve(static_cast<std::size_t>(heads * tokens * rank));
  for (std::int64_t t = 0; t < heads; ++t) {
    for (std::int64_t d = 0; d < rank; ++d) {
      QAMA_ASSIGN_OR_RETURN(const double sign, scan.number("a column's sign"));
      if (sign != 1.0 && sign != -1.0) {
        return scan.error(ErrorCode::problem_bad_value, "a column's sign must be +1 or -1");
      }
      out.signs.push_back(sign);
    }
    for (std::int64_t i = 0; i < tokens; ++i) {
      QAMA_ASSIGN_OR_RETURN(const double field, scan.number("a field"));
      out.fields.push_back(field);
      for (std::int64_t d = 0; d < rank; ++d) {
        QAMA_ASSIGN_OR_RETURN(const double factor, scan.number("a factor"));
        out.factors.push_back(factor);
      }
    }
  }
  QAMA_RETURN_IF_ERROR(scan.end());
  return out;
}

bool sniff(std::string_view bytes, std::string_view name) noexcept {
  return Scanner(bytes, name).word() == "qama";
}

Result<ProblemFile> parse(std::string_view bytes, std::string_view name) {
  Scanner scan(bytes, name);
  ProblemFile out;
  QAMA_ASSIGN_OR_RETURN(out.layer, parse_layer(scan));
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

extern const ProblemFormat kQamaFormat{"qama", ProblemKind::qama, sniff, parse, print};

}  // namespace qama::hal
