#include "hal/text/formats.h"

#include <algorithm>
#include <cctype>

#include "hal/base/quote.h"
#include "hal/text/pairs.h"
#include "hal/text/unpack.h"

namespace qama::hal {

extern const ProblemFormat kQamaFormat, kMtxFormat, kMtxMaxcutFormat, kQbsolvFormat, kDimacsFormat,
    kCooFormat, kCsvFormat, kCsvQuboFormat, kIsingFormat, kQuboFormat, kMaxcutFormat;

namespace {

/// What a file's first line decides stands first.
constexpr const ProblemFormat* kFormats[] = {
    &kQamaFormat, &kMtxFormat,     &kMtxMaxcutFormat, &kQbsolvFormat, &kDimacsFormat, &kCooFormat,
    &kCsvFormat,  &kCsvQuboFormat, &kIsingFormat,     &kQuboFormat,   &kMaxcutFormat};

/// What a packed file may hold: so many bytes, or so many times its own where that is more.
constexpr std::size_t kMostUnpacked = std::size_t{1} << 28;
constexpr std::size_t kMostRatio = 64;
/// What some editors begin a file with.
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string small(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

const ProblemFormat* find_format(std::string_view name) {
  for (const ProblemFormat* format : kFormats) {
    if (format->name == name) return format;
  }
  return nullptr;
}

/// What a file is that no format claims: a list of pairs that could be two things, or nothing that
/// is known.
Error unclear(std::string_view bytes, std::string_view name) {
  const std::string problem = "problem " + quote(name);
  const PairSurvey survey = survey_pairs(bytes);
  if (survey.well_formed) {
    return Error{
        ErrorCode::problem_bad_format,
        problem +
            (survey.loops > 0 ? " has " + std::to_string(survey.loops) +
                                    (survey.loops > 1 ? " lines" : " line") + " with i = j among " +
                                    std::to_string(survey.variables) + " variables"
                              : " has negative weights and no line with i = j") +
            ": it could be a qubo or a maxcut, name one with --format"};
  }
  if (!small(bytes.substr(0, 14)).starts_with("%%matrixmarket") && name.find(".csv") == name.npos) {
    Lines lines(bytes, name);
    const bool sizes = lines.next() && lines.size() == 2 && lines.integer(0, "", 1, INT32_MAX).ok();
    if (sizes) {  // a list of pairs with a fault
      const Result<ProblemFile> read = kMaxcutFormat.parse(bytes, name, {});
      const Result<ProblemFile> other = kQuboFormat.parse(bytes, name, {});
      if (!other.ok()) return other.error();
      if (!read.ok()) return read.error();
    }
    if (lines.size() == 3 && lines.integer(0, "", 0, INT32_MAX).ok()) {
      return lines.error(ErrorCode::problem_bad_format,
                         "three numbers where a file begins with 'n m': it could be a coo, name a "
                         "format with --format");
    }
    std::string names;
    for (const ProblemFormat* format : kFormats)
      names += (names.empty() ? "" : ", ") + std::string(format->name);
    return lines.error(ErrorCode::problem_bad_format,
                       (lines.size() > 0 ? quote(lines.word(0)) + " begins" : "an empty text is") +
                           std::string(" no problem that is known; the formats are ") + names);
  }
  return Error{ErrorCode::problem_bad_format,
               problem +
                   " is a matrix that could be a quadratic form or a graph's or Ising "
                   "problem's: name a format with --format"};
}

}  // namespace

std::span<const ProblemFormat* const> problem_formats() noexcept {
  return kFormats;
}

std::vector<std::string> problem_format_names() {
  std::vector<std::string> out;
  for (const ProblemFormat* format : kFormats) out.emplace_back(format->name);
  return out;
}

std::string claim_by_name(std::string_view name, std::initializer_list<std::string_view> endings) {
  for (const std::string_view ending : endings) {
    if (name.ends_with(ending)) return "the name " + std::string(ending);
  }
  return {};
}

Result<ProblemFile> parse_problem(std::string_view bytes, std::string_view name,
                                  const ReadOptions& options) {
  if (bytes.size() > kMaxProblemBytes) {
    return Error{ErrorCode::problem_too_large,
                 "problem " + quote(name) + " has " + std::to_string(bytes.size()) +
                     " bytes, expected at most " + std::to_string(kMaxProblemBytes)};
  }
  if (is_packed(bytes)) {
    // Lists of pairs become a tenth; a file that says a thousand times as much means harm.
    const std::size_t most = std::max(kMostUnpacked, kMostRatio * bytes.size());
    QAMA_ASSIGN_OR_RETURN(const std::string text,
                          unpack(bytes, name, std::min(most, kMaxProblemBytes)));
    if (is_packed(text)) {
      return Error{ErrorCode::problem_bad_format,
                   "problem " + quote(name) + " was packed by gzip twice"};
    }
    const bool named = small(name).ends_with(".gz");
    return parse_problem(text, named ? name.substr(0, name.size() - 3) : name, options);
  }
  if (bytes.starts_with(kByteOrderMark)) bytes.remove_prefix(kByteOrderMark.size());
  const ProblemFormat* format = nullptr;
  std::string reason;
  if (!options.format.empty()) {
    format = find_format(small(options.format));
    if (format == nullptr) {
      std::string known;
      for (const ProblemFormat* one : kFormats)
        known += (known.empty() ? "" : ", ") + std::string(one->name);
      return Error{ErrorCode::invalid_argument, "problem format " + quote(options.format) +
                                                    " is not known, expected one of " + known};
    }
  } else {
    const std::string small_name = small(name);
    for (const ProblemFormat* one : kFormats) {
      reason = one->claim(bytes, small_name);
      if (reason.empty()) continue;
      format = one;
      break;
    }
    if (format == nullptr) return unclear(bytes, name);
  }
  if (options.symmetric && !format->takes_symmetric) {
    return Error{ErrorCode::invalid_argument,
                 "format " + quote(format->name) + " says itself what is symmetric"};
  }
  if (options.maximise && format->kind == ProblemKind::qama) {
    return Error{ErrorCode::invalid_argument, "a layer's energy is minimised, not maximised"};
  }
  QAMA_ASSIGN_OR_RETURN(ProblemFile out, format->parse(bytes, name, options));
  out.format = format->name;
  out.guessed_from = reason;
  return out;
}

std::string describe_format(const ProblemFile& file) {
  if (file.format.empty()) return std::string(name_of(file.kind));
  return file.format + (file.guessed_from.empty() ? "" : " (from " + file.guessed_from + ")");
}

std::string describe_convention(const ProblemFile& file) {
  const ProblemFormat* format = find_format(file.format);
  if (format == nullptr) format = find_format(name_of(file.kind));
  std::string out = file.maximises() ? "maximises " : "minimises ";
  // Of a comment in a file the kind is known by now.
  out +=
      format->kind == file.kind ? format->convention : find_format(name_of(file.kind))->convention;
  if (format->takes_symmetric) {
    out += !file.symmetric                  ? "; i j and j i add up"
           : file.kind == ProblemKind::qubo ? "; i j stands for j i, too, and counts twice"
                                            : "; i j stands for j i, too, and counts once";
  }
  if (file.offset != 0) {
    out += "; the offset ";
    append_number(out, file.offset, 0);
    out += " is added";
  }
  if (file.kind != ProblemKind::qama)
    out += "; the first variable is " + std::to_string(file.index_base);
  return out;
}

std::string to_text(const ProblemFile& file) {
  const ProblemFormat* format = find_format(name_of(file.kind));
  return format != nullptr && format->print != nullptr ? format->print(file) : "";
}

}  // namespace qama::hal
