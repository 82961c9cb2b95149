// ArenaLayout: where in a lane every intermediate lies. Regions say in which steps they are alive;
// two that are never alive together may share bytes. Largest first, each at the lowest place that
// is free in all of its steps, which for a chain of layers is close to the best there is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "hal/base/result.h"

namespace qama::runtime {

class ArenaLayout {
 public:
  struct Region {
    std::string name;
    std::size_t bytes = 0;
    std::size_t first = SIZE_MAX;  ///< step
    std::size_t last = 0;          ///< step
    std::size_t offset = 0;        ///< a multiple of kAlignment
  };

  /// A region of `count` elements of `element_bytes`; SIZE_OVERFLOW. A region without elements is
  /// allowed.
  Result<std::size_t> add(std::string name, std::size_t count, std::size_t element_bytes);
  /// Region `id` is alive in `step`, and between all the steps where it is said to be.
  void use(std::size_t id, std::size_t step) noexcept;
  /// Sets every offset and returns the bytes of all; SIZE_OVERFLOW. Regions that no step uses get
  /// no place.
  Result<std::size_t> place();
  [[nodiscard]] const std::vector<Region>& regions() const noexcept { return regions_; }

 private:
  std::vector<Region> regions_;
};

}  // namespace qama::runtime
