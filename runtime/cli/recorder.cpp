#include "runtime/cli/recorder.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "hal/base/quote.h"
#include "hal/lower/lower.h"
#include "hal/text/formats.h"
#include "runtime/cli/files.h"

namespace qama::cli {

hal::QamaLayer to_factors(const runtime::LayerProblem& layer, std::string name) {
  const auto heads = static_cast<std::size_t>(layer.heads);
  const auto tokens = static_cast<std::size_t>(layer.tokens);
  const auto width = static_cast<std::size_t>(layer.dim_head);
  const auto stride = static_cast<std::size_t>(layer.stride);
  const bool shifted = std::any_of(layer.coupling_shift.begin(), layer.coupling_shift.end(),
                                   [](double shift) { return shift != 0; });
  hal::QamaLayer out;
  out.name = std::move(name);
  out.heads = layer.heads;
  out.tokens = layer.tokens;
  out.rank = layer.dim_head + (shifted ? 1 : 0);
  out.rho = layer.rho;
  out.lambda = layer.lambda;
  const auto rank = static_cast<std::size_t>(out.rank);
  out.factors.assign(heads * tokens * rank, 0.0);
  for (std::size_t t = 0; t < heads; ++t) {
    const double scale = layer.coupling_scale[t];
    const double shift = layer.coupling_shift[t];
    const auto positive = width - static_cast<std::size_t>(layer.negative);
    out.signs.insert(out.signs.end(), positive, scale < 0 ? -1.0 : 1.0);
    out.signs.insert(out.signs.end(), width - positive, scale < 0 ? 1.0 : -1.0);
    if (shifted) out.signs.push_back(shift < 0 ? -1.0 : 1.0);
    const double factor = std::sqrt(std::fabs(scale));
    for (std::size_t i = 0; i < tokens; ++i) {
      double* row = out.factors.data() + (t * tokens + i) * rank;
      for (std::size_t d = 0; d < width; ++d) {
        row[d] = factor * static_cast<double>(layer.factors[(t * width + d) * stride + i]);
      }
      if (shifted) row[width] = std::sqrt(std::fabs(shift));
      const double field = layer.fields[t * stride + i];
      out.fields.push_back(layer.rho != 0 ? field / layer.rho : 0.0);
    }
  }
  return out;
}

ProblemRecorder::ProblemRecorder(std::string directory, std::string stem, std::int64_t most,
                                 std::vector<std::string> inputs)
    : directory_(std::move(directory)),
      stem_(std::move(stem)),
      most_(most),
      inputs_(std::move(inputs)) {
  for (char& c : stem_) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.';
    if (!plain) c = '-';
  }
}

Status ProblemRecorder::prepare() const {
  std::error_code error;
  std::filesystem::create_directories(directory_, error);
  if (!error) return {};
  return Error{ErrorCode::io_error,
               "directory " + quote(directory_) + " cannot be made: " + error.message()};
}

void ProblemRecorder::problem(const runtime::LayerProblem& layer) {
  if (full()) return;
  char numbers[48];
  std::snprintf(numbers, sizeof(numbers), "_%05llu_%02d",
                static_cast<unsigned long long>(layer.index), static_cast<int>(layer.layer));
  const std::string name = stem_ + numbers;
  const bool factors = !layer.factors.empty();
  const std::string path =
      (std::filesystem::path(directory_) / (name + (factors ? ".txt" : ".qubo"))).string();
  const std::string text =
      hal::to_text(factors ? hal::ProblemFile{.layer = to_factors(layer, name), .graph = {}}
                           : hal::to_qubo(*layer.problem));
  status_ = check_no_input("--record", path, inputs_);
  if (status_.ok()) status_ = write_file(path, text);
  if (status_.ok()) ++written_;
}

void LayerCollector::problem(const runtime::LayerProblem& layer) {
  auto& block = layers[static_cast<std::size_t>(layer.layer)];
  if (block.size() >= most_) return;
  RecordedLayer& out = block.emplace_back();
  const hal::DenseView& from = *layer.problem;
  const auto heads = static_cast<std::size_t>(from.shape.heads);
  const auto stride = static_cast<std::size_t>(hal::row_stride(from.shape.tokens));
  out.couplings.resize(heads * static_cast<std::size_t>(from.shape.tokens) * stride);
  std::copy_n(from.couplings, out.couplings.size(), out.couplings.data());
  out.fields.resize(heads * stride);
  std::copy_n(from.fields, out.fields.size(), out.fields.data());
  out.problem = from;
  out.problem.couplings = out.couplings.data();
  out.problem.fields = out.fields.data();
}

}  // namespace qama::cli
