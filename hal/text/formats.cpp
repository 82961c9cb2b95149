#include "hal/text/formats.h"

#include <algorithm>

#include "hal/base/quote.h"

namespace qama::hal {

extern const ProblemFormat kQamaFormat, kQuboFormat, kMaxcutFormat;

namespace {

constexpr const ProblemFormat* kFormats[] = {&kQamaFormat, &kQuboFormat, &kMaxcutFormat};

}  // namespace

std::string_view name_of(ProblemKind kind) noexcept {
  switch (kind) {
    case ProblemKind::qama:
      return "qama";
    case ProblemKind::maxcut:
      return "maxcut";
    case ProblemKind::qubo:
      return "qubo";
  }
  return "";
}

std::span<const ProblemFormat* const> problem_formats() noexcept {
  return kFormats;
}

std::vector<std::string> problem_format_names() {
  std::vector<std::string> out;
  for (const ProblemFormat* format : kFormats) out.emplace_back(format->name);
  return out;
}

Result<ProblemFile> parse_problem(std::string_view bytes, std::string_view name,
                                  std::string_view format) {
  if (bytes.size() > kMaxProblemBytes) {
    return Error{ErrorCode::problem_too_large,
                 "problem " + quote(name) + " has " + std::to_string(bytes.size()) +
                     " bytes, expected at most " + std::to_string(kMaxProblemBytes)};
  }
  const auto* const found =
      std::find_if(std::begin(kFormats), std::end(kFormats), [&](const ProblemFormat* one) {
        return format.empty() ? one->sniff(bytes, name) : one->name == format;
      });
  if (found != std::end(kFormats)) return (*found)->parse(bytes, name);
  std::string known;
  for (const ProblemFormat* one : kFormats)
    known += (known.empty() ? "" : ", ") + std::string(one->name);
  return Error{ErrorCode::invalid_argument,
               "problem format " + quote(format) + " is not known, expected one of " + known};
}

std::string to_text(const ProblemFile& file) {
  const ProblemFormat* last = nullptr;
  for (const ProblemFormat* format : kFormats) {
    if (format->kind == file.kind) last = format;
  }
  return last != nullptr ? last->print(file) : "";
}

}  // namespace qama::hal
