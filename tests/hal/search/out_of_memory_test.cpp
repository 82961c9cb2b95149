// The search behind `qama tune`, in which every allocation may fail (tests/out_of_memory.h).
#include <gtest/gtest.h>

#include "hal/search/best_known.h"
#include "hal/search/tuner.h"
#include "tests/hal/cim/problems.h"
#include "tests/out_of_memory.h"

namespace qama::hal {
namespace {

/// From the device to the schedule of one layer.
Status search(const DenseView& layer, std::vector<float>& out) {
  QAMA_ASSIGN_OR_RETURN(const auto device, open_device("cpu:"));
  QAMA_ASSIGN_OR_RETURN(const BestKnown best, best_known(*device, layer));
  const TuningProblem problems[] = {{layer, best.energy}};
  TuneOptions options;
  options.runs = 1;
  QAMA_ASSIGN_OR_RETURN(const Tuned tuned, tune(*device, problems, options));
  out[0] = static_cast<float>(best.energy);
  out[1] = static_cast<float>(tuned.cost);
  out[2] = static_cast<float>(tuned.share);
  return {};
}

TEST(SearchOutOfMemory, EveryRequestMayFail) {
  for (const std::int32_t tokens : {7, 12}) {  // 21 spins are solved exactly, 36 are not
    const auto layer = test::random_layer(3, tokens, 1);
    test::every_request_of_parts_may_fail(
        "search", 3, [&](auto& out) { return search(layer.problem(), out); }, 7);
  }
}

}  // namespace
}  // namespace qama::hal
