// The annealer with which the paper's authors train (their published code, second version), for
// comparison: what is its answer worth against that of cpu:? Temperatures fall from 1000 to 0.001
// by factors of 0.99; at each, five spins drawn at random are proposed. It ends early after 50
// temperatures without a better energy. The best state is descended from by its best flip until
// none helps. Written from that description; temperatures are in the layer's own energy.
#pragma once

#include <memory>

#include "hal/device.h"

namespace qama::hal::published {

[[nodiscard]] std::shared_ptr<Device> open_published_device();

}  // namespace qama::hal::published
