#include "hal/search/all_states.h"

#include <algorithm>

namespace qama::hal {
namespace {

template <std::size_t N>
Exhaustive try_all_of(const Landscape& landscape, const Halt& halt, std::size_t most) {
  Exhaustive out;
  if (landscape.size() > kMaxTried) {
    out.lowest.push_back(0);
    return out;
  }
  // The lowest states so far; the first of them is the one that leaves next.
  struct Kept {
    Wide<N> energy;
    std::uint64_t step = 0;
    std::uint32_t state = 0;
    bool operator<(const Kept& other) const noexcept {
      return energy < other.energy || (energy == other.energy && step < other.step);
    }
  };
  std::vector<Kept> kept;
  const std::uint64_t tried = for_each_state<N>(
      landscape, halt, [&](std::uint64_t step, std::uint32_t state, const Wide<N>& energy) {
        if (kept.size() == most) {
          if (!(energy < kept.front().energy)) return;
          std::pop_heap(kept.begin(), kept.end());
          kept.pop_back();
        }
        kept.push_back({energy, step, state});
        std::push_heap(kept.begin(), kept.end());
      });
  std::sort_heap(kept.begin(), kept.end());
  for (const Kept& one : kept) out.lowest.push_back(one.state);
  out.states = static_cast<std::int64_t>(tried);
  out.complete = tried == std::uint64_t{1} << landscape.size();
  return out;
}

}  // namespace

Exhaustive try_all(const Landscape& landscape, const Halt& halt, std::size_t most) {
  return with_width(landscape, [&](auto width) {
    return try_all_of<decltype(width)::value>(landscape, halt, std::max<std::size_t>(most, 1));
  });
}

}  // namespace qama::hal
