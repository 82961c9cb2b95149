#include "runtime/engine/arena_layout.h"

#include <algorithm>

#include "hal/base/aligned.h"
#include "hal/base/checked.h"

namespace qama::runtime {

Result<std::size_t> ArenaLayout::add(std::string name, std::size_t count,
                                     std::size_t element_bytes) {
  const auto bytes = checked_mul(count, element_bytes);
  if (!bytes || *bytes > SIZE_MAX / 4) {
    return Error{ErrorCode::size_overflow, "'" + name + "' of " + std::to_string(count) + " x " +
                                               std::to_string(element_bytes) +
                                               " bytes does not fit this machine's addresses"};
  }
  regions_.push_back({.name = std::move(name), .bytes = round_up(*bytes, kAlignment)});
  return regions_.size() - 1;
}

void ArenaLayout::use(std::size_t id, std::size_t step) noexcept {
  regions_[id].first = std::min(regions_[id].first, step);
  regions_[id].last = std::max(regions_[id].last, step);
}

Result<std::size_t> ArenaLayout::place() {
  std::vector<Region*> order;
  for (Region& region : regions_) {
    if (region.bytes > 0 && region.first <= region.last) order.push_back(&region);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const Region* a, const Region* b) { return a->bytes > b->bytes; });
  std::vector<const Region*> placed;  // by offset
  std::size_t total = 0;
  for (Region* region : order) {
    std::size_t offset = 0;
    for (const Region* other : placed) {
      const bool together = other->first <= region->last && region->first <= other->last;
      if (!together) continue;
      if (offset + region->bytes <= other->offset) break;
      offset = std::max(offset, other->offset + other->bytes);
    }
    const auto end = checked_add(offset, region->bytes);
    if (!end || *end > SIZE_MAX / 4) {
      return Error{ErrorCode::size_overflow,
                   "the intermediates do not fit this machine's addresses"};
    }
    region->offset = offset;
    total = std::max(total, *end);
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), region,
                         [](const Region* a, const Region* b) { return a->offset < b->offset; }),
        region);
  }
  return total;
}

}  // namespace qama::runtime
