#include "runtime/cli/measure.h"

#include <algorithm>
#include <vector>

#include "hal/platform/clock.h"
#include "runtime/cli/report.h"
#include "runtime/cli/sample_batch.h"

namespace qama::cli {

using platform::Clock;
using platform::microseconds_since;

Result<std::unique_ptr<runtime::Session>> open_timed(const std::string& model_path,
                                                     const weights::ModelOptions& options,
                                                     const RunArguments& run,
                                                     const Console& console, Opening& times) {
  Clock::time_point start = Clock::now();
  QAMA_ASSIGN_OR_RETURN(auto model, runtime::Model::open(model_path, options));
  times.model_us = microseconds_since(start);
  start = Clock::now();
  QAMA_ASSIGN_OR_RETURN(
      auto plan,
      runtime::Plan::create(std::move(model),
                            {1, run.threads, 1, hal::forms_of(run.device).has(hal::Form::factors),
                             run.sample_threads}));
  times.plan_us = microseconds_since(start);
  start = Clock::now();
  QAMA_ASSIGN_OR_RETURN(auto session, run.open(std::move(plan), model_path, console));
  times.session_us = microseconds_since(start);
  return session;
}

Result<Throughput> measure_throughput(const std::shared_ptr<const runtime::Model>& model,
                                      const std::string& model_path, const RunArguments& run,
                                      std::int32_t batch, std::int32_t runs,
                                      std::span<const runtime::Sample> inputs) {
  Console silent;
  silent.quiet = true;
  QAMA_ASSIGN_OR_RETURN(const auto session, run.open(model, model_path, batch, silent));
  QAMA_ASSIGN_OR_RETURN(SampleBatch samples, SampleBatch::create(model));
  for (std::int32_t i = 0; i < batch; ++i) {
    samples.add(inputs[static_cast<std::size_t>(i) % inputs.size()]);
  }
  QAMA_RETURN_IF_ERROR(samples.run(*session));
  std::vector<double> rates;
  for (std::int32_t round = 0; round < std::max(runs / batch, 1); ++round) {
    const Clock::time_point start = Clock::now();
    QAMA_RETURN_IF_ERROR(samples.run(*session));
    rates.push_back(static_cast<double>(batch) / microseconds_since(start) * 1e6);
  }
  std::sort(rates.begin(), rates.end());
  return Throughput{run.threads, batch, batch > 1 ? run.in_flight_for(run.device) : 1,
                    percentile(rates, 50)};
}

}  // namespace qama::cli
