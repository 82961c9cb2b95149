// What the emulator's HTTP paths share, terminal and cloud.
#pragma once

#include <httplib.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "hal/base/strict_json.h"
#include "hal/emulator/fault.h"
#include "hal/emulator/machine.h"

namespace qama::emulator {

inline constexpr std::size_t kMaxJsonBytes = 64U << 10;  // all that a peer without a token may send
inline constexpr std::size_t kMaxThings = 1024;          // tokens, and tasks that are kept
inline constexpr std::size_t kMaxFiles = 64;  // problems that are kept, and tasks that wait
inline constexpr int kSamples = 10;           // of a task

/// A request's body; null if it is none of the JSON that clients send.
[[nodiscard]] Json body_of(const httplib::Request& request);
/// An object's member, or null.
[[nodiscard]] const Json& member(const Json& object, const char* name);
/// The envelope; an object in it says that it is emulated.
[[nodiscard]] std::string envelope(const std::string& code, const std::string& text, Json data);
/// A reply of it.
void answer(httplib::Response& response, const std::string& code, const std::string& text,
            Json data);
/// What the terminal's login asks for; it protects nothing.
[[nodiscard]] std::string md5(std::string_view text);
/// A square matrix of 8-bit integers, symmetric with zero diagonal; false for anything else.
[[nodiscard]] bool parse_csv(const std::string& text, int max_spins, IsingProblem& out);

/// Who is logged in.
class HttpTokens {
 public:
  HttpTokens(int requests, FaultPlan& faults) : requests_(requests), faults_(faults) {}
  [[nodiscard]] std::string make();
  [[nodiscard]] bool knows(std::string_view token) const {
    return tokens_.find(token) != tokens_.end();
  }
  /// Whether the request has a token that is still good.
  [[nodiscard]] bool admits(const httplib::Request& request);
  [[nodiscard]] std::uint64_t made() const noexcept { return made_; }

 private:
  const int requests_;  // that a token is good for; 0: any
  FaultPlan& faults_;
  std::uint64_t made_ = 0;
  std::map<std::string, int, std::less<>> tokens_;  // requests made with each
};

/// What becomes of a reply.
struct HttpFate {
  bool lost = false;  ///< the connection ends without it
  std::chrono::microseconds later{0};
};

/// How often each task was submitted, by its name.
struct SubmitCounts {
  void add(const std::string& name);
  std::uint64_t all = 0, most = 0;
  std::map<std::string, std::uint64_t> names;
};

}  // namespace qama::emulator
