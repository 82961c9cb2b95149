// Interrupt: Ctrl-C for commands that have something to keep. While one exists, the first SIGINT or
// SIGTERM is only noted; the command ends its loop and reports what it has. A second one ends the
// program at once.
#pragma once

#include <atomic>

namespace qama::cli {

/// One at a time. A signal that was ignored when the program began stays ignored.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  /// SIGINT or SIGTERM once it came; 0 before.
  [[nodiscard]] static int signal() noexcept;
  /// The same for code that knows nothing of signals: true once one came.
  [[nodiscard]] static const std::atomic<bool>* flag() noexcept;
};

}  // namespace qama::cli
