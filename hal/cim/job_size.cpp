// Sizes of a job in the two encodings of PROTOCOL.md, from the quantiser's own rounding.
#include "hal/job_size.h"

#include <algorithm>
#include <vector>

#include "hal/cim/link_codec.h"
#include "hal/cim/quantise.h"

namespace qama::hal {
namespace {

class QuantiserGauge final : public JobGauge {
 public:
  QuantiserGauge(const ProblemShape& shape, cim::Quantiser quantiser)
      : shape_(shape), quantiser_(std::move(quantiser)) {}

  Status add(const DenseView& problem) override {
    cim::QuantiseReport report;
    QAMA_RETURN_IF_ERROR(quantiser_.run(problem, &report));
    reports_.push_back(report);
    return {};
  }

  [[nodiscard]] std::optional<JobSize> size() const override {
    if (reports_.empty()) return std::nullopt;
    JobSize out;
    const auto count = static_cast<double>(reports_.size());
    std::vector<std::int32_t> ancillas;
    for (const cim::QuantiseReport& report : reports_) {
      ancillas.push_back(report.ancillas);
      out.zeroed_share += report.zeroed_share / count;
      out.mean_error += report.mean_error / count;
      out.coupling_deviation += report.coupling_deviation / count;
    }
    const auto middle = ancillas.begin() + static_cast<std::ptrdiff_t>((ancillas.size() - 1) / 2);
    std::nth_element(ancillas.begin(), middle, ancillas.end());
    out.ancillas = *middle;
    const auto request = [&](cim::Encoding encoding) {
      return cim::kFrameHeaderBytes + cim::submit_bytes(shape_, out.ancillas, encoding);
    };
    out.spins = static_cast<std::int32_t>(shape_.spins());
    out.block_request = request(cim::Encoding::block_i8);
    out.dense_request = request(cim::Encoding::dense_i8);
    const auto packed = static_cast<std::size_t>((out.spins + out.ancillas + 7) / 8);
    out.reply = cim::kFrameHeaderBytes + cim::kResultFixedBytes + packed;
    return out;
  }

 private:
  ProblemShape shape_;
  cim::Quantiser quantiser_;
  std::vector<cim::QuantiseReport> reports_;
};

}  // namespace

Result<std::unique_ptr<JobGauge>> gauge_jobs(const ProblemShape& shape) {
  QAMA_ASSIGN_OR_RETURN(auto quantiser, cim::Quantiser::create(shape, {}));
  return std::unique_ptr<JobGauge>(std::make_unique<QuantiserGauge>(shape, std::move(quantiser)));
}

}  // namespace qama::hal
