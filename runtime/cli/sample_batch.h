// Samples of one kind, run together: the one place of the program that asks whether a model takes
// images, texts or features.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "hal/base/result.h"
#include "runtime/api/sample.h"
#include "runtime/engine/session.h"
#include "runtime/io/dataset.h"

namespace qama::cli {

/// One thread at a time.
class SampleBatch {
 public:
  [[nodiscard]] static Result<SampleBatch> create(std::shared_ptr<const runtime::Model> model,
                                                  runtime::PictureOptions pictures = {});

  /// A sample of a data set whose samples the model takes. IMAGE_* and the like: the file of one's
  /// own sample cannot be read.
  [[nodiscard]] Result<runtime::Sample> sample_of(const io::Sample& from) const;

  void clear();
  /// Adds sample_of(sample); after an error the batch stays as it is. `doubt` is that of the
  /// sample, if not null.
  Status add(const io::Sample& sample, std::optional<Error>* doubt = nullptr);
  void add(const runtime::Sample& sample);
  [[nodiscard]] std::size_t size() const noexcept { return indices_.size(); }

  /// Runs all samples under their own numbers.
  Status run(runtime::Session& session, const runtime::Hooks& hooks = {});
  /// What the last run put out for a sample.
  [[nodiscard]] std::span<const float> logits(std::size_t sample) const;
  [[nodiscard]] std::uint64_t index(std::size_t sample) const { return indices_[sample]; }

 private:
  SampleBatch(std::shared_ptr<const runtime::Model> model, runtime::SampleReader reader)
      : model_(std::move(model)), reader_(std::move(reader)) {}
  std::shared_ptr<const runtime::Model> model_;
  runtime::SampleReader reader_;
  std::vector<std::uint8_t> pixels_;
  std::vector<std::int32_t> tokens_, lengths_;
  std::vector<float> features_;
  std::vector<std::uint64_t> indices_;
  std::vector<float> logits_;
};

}  // namespace qama::cli
