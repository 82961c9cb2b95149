#include "runtime/cli/sample_batch.h"

namespace qama::cli {

Result<SampleBatch> SampleBatch::create(std::shared_ptr<const runtime::Model> model,
                                        runtime::PictureOptions pictures) {
  QAMA_ASSIGN_OR_RETURN(auto reader,
                        runtime::SampleReader::create(model, "that is open", pictures));
  return SampleBatch(std::move(model), std::move(reader));
}

void SampleBatch::clear() {
  pixels_.clear();
  tokens_.clear();
  features_.clear();
  lengths_.clear();
  indices_.clear();
}

Result<runtime::Sample> SampleBatch::sample_of(const io::Sample& from) const {
  runtime::Sample out;
  if (const runtime::Tokeniser* tokeniser = reader_.tokeniser()) {
    out.tokens.resize(static_cast<std::size_t>(model_->architecture().max_tokens));
    QAMA_ASSIGN_OR_RETURN(out.text, tokeniser->encode(from.text, out.tokens));
  } else if (!from.name.empty()) {
    QAMA_ASSIGN_OR_RETURN(out, model_->architecture().is_features()
                                   ? reader_.read(from.name)
                                   : reader_.encoded(from.file, from.name));
  } else {
    out.pixels.resize(model_->input_pixels());
    QAMA_ASSIGN_OR_RETURN(const io::PictureNotes notes, reader_.fit(from.image, out.pixels, true));
    if (notes.blank) out.doubt = runtime::blank(std::to_string(from.index) + " of the data set");
  }
  out.index = static_cast<std::uint64_t>(from.index);
  return out;
}

Status SampleBatch::add(const io::Sample& sample, std::optional<Error>* doubt) {
  QAMA_ASSIGN_OR_RETURN(runtime::Sample read, sample_of(sample));
  add(read);
  if (doubt != nullptr) *doubt = std::move(read.doubt);
  return {};
}

void SampleBatch::add(const runtime::Sample& sample) {
  pixels_.insert(pixels_.end(), sample.pixels.begin(), sample.pixels.end());
  tokens_.insert(tokens_.end(), sample.tokens.begin(), sample.tokens.end());
  features_.insert(features_.end(), sample.features.begin(), sample.features.end());
  lengths_.push_back(sample.text.length);
  indices_.push_back(sample.index);
}

Status SampleBatch::run(runtime::Session& session, const runtime::Hooks& hooks) {
  runtime::RunOptions options;
  options.indices = indices_;
  options.hooks = hooks;
  logits_.resize(size() * static_cast<std::size_t>(model_->classes()));
  const weights::Architecture& a = model_->architecture();
  const auto count = static_cast<std::int32_t>(size());
  if (a.is_text()) return session.run_tokens(tokens_, lengths_, logits_, options);
  if (a.is_features()) return session.run_f32(features_, count, logits_, options);
  return session.run_u8(pixels_, count, logits_, options);
}

std::span<const float> SampleBatch::logits(std::size_t sample) const {
  const auto classes = static_cast<std::size_t>(model_->classes());
  return std::span(logits_).subspan(sample * classes, classes);
}

}  // namespace qama::cli
