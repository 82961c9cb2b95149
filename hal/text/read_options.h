// What whoever reads a problem file says of it.
#pragma once

#include <string_view>

namespace qama::hal {

/// How to read a file, where the file does not say it itself.
struct ReadOptions {
  std::string_view format = {};  ///< a name in the table, in any case; empty: the file decides
  bool maximise = false;  ///< of a quadratic form or an Ising problem, which is minimised else
  /// i j and j i are one entry of a symmetric matrix, given once or twice (pairs.h).
  bool symmetric = false;
};

}  // namespace qama::hal
