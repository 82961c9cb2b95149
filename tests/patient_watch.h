// A stopwatch for deadlines that are a feature: it stands still while the processes that it knows
// of wait for a core, so that a loaded machine breaks no deadline. On a quiet one it is a clock.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

namespace qama::test {

class PatientWatch {
 public:
  /// Starts. This process and `others` are known.
  explicit PatientWatch(const std::vector<pid_t>& others = {})
      : processes_(others), waited_(waited()), start_(Clock::now()) {}

  /// Since the start, without what the threads of the processes waited for a core.
  [[nodiscard]] double seconds() const {
    const std::chrono::duration<double> wall = Clock::now() - start_;
    return std::max(0.0, wall.count() - (waited() - waited_));
  }

 private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] double waited() const {
    double sum = waited_by("self");
    for (const pid_t process : processes_) sum += waited_by(std::to_string(process));
    return sum;
  }
  /// Seconds on run queues; 0 where the system does not say.
  static double waited_by(const std::string& process) {
    double sum = 0;
    std::error_code failed;
    for (const auto& thread :
         std::filesystem::directory_iterator("/proc/" + process + "/task", failed)) {
      std::uint64_t ran_ns = 0, waited_ns = 0;
      if (std::ifstream(thread.path() / "schedstat") >> ran_ns >> waited_ns)
        sum += static_cast<double>(waited_ns) * 1e-9;
    }
    return sum;
  }

  const std::vector<pid_t> processes_;
  const double waited_;
  const Clock::time_point start_;
};

}  // namespace qama::test
