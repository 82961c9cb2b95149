// A system without files that have no name, and with random numbers that are known: both only where
// a test asks for it. The calls of the C library are replaced in the whole program.
#pragma once

#include <cstdint>

namespace qama::test {

/// While it lives, open() refuses O_TMPFILE, and getrandom() gives 1, 2, 3.
class PlainSystem {
 public:
  PlainSystem();
  PlainSystem(const PlainSystem&) = delete;
  PlainSystem& operator=(const PlainSystem&) = delete;
  ~PlainSystem();
};

}  // namespace qama::test
