#include "runtime/engine/info.h"

#include <algorithm>

namespace qama::runtime {

bool is_reference(std::string_view implementation) noexcept {
  while (!implementation.empty()) {
    const std::size_t end = std::min(implementation.find_first_of(":+, "), implementation.size());
    const std::string_view part = implementation.substr(0, end);
    if (part == "ref" || part == "reference" || part == "scalar" || part.starts_with("ref_"))
      return true;
    implementation.remove_prefix(std::min(end + 1, implementation.size()));
  }
  return false;
}

}  // namespace qama::runtime
