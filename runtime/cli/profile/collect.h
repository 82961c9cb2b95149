// Runs a model on one or several devices side by side, over the same inputs, and keeps what
// happened.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hal/base/result.h"
#include "runtime/cli/arguments.h"
#include "runtime/cli/console.h"
#include "runtime/cli/picture_arguments.h"
#include "runtime/cli/profile/profile.h"

namespace qama::cli {

struct ProfileRequest {
  std::string model_path;
  weights::ModelOptions model_options;
  std::vector<std::string> inputs;   ///< as a user names them; none: synthetic ones
  std::vector<std::string> devices;  ///< at least one
  std::int32_t runs = 200, warm_up = 20;
  std::int32_t batch = 0;  ///< samples of a batch whose throughput is measured; 0: none
  bool strict = false;     ///< an input that says nothing to the model is an error
  PictureArguments pictures;
  RunArguments run;  ///< without the device
};

[[nodiscard]] Result<Profile> collect_profile(const ProfileRequest& request,
                                              const Console& console);

}  // namespace qama::cli
