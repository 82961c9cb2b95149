// How much longer things may take than in a release build on this machine: with a sanitizer, or
// under an emulator.
#pragma once

namespace qama::test {

#ifdef QAMA_SLOW_TESTS
inline constexpr int kPatience = 10;
#else
inline constexpr int kPatience = 1;
#endif

}  // namespace qama::test
