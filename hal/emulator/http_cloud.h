// The vendor's cloud as far as its HTTP interface is public (login, submit, one path that polls and
// fetches), in front of the emulated machine; see http_terminal.h, whose port and thread it has.
#pragma once

#include "hal/emulator/http_options.h"
#include "hal/emulator/http_support.h"

namespace qama::emulator {

/// Everything it is given outlives it.
class HttpCloud {
 public:
  HttpCloud(const MachineConfig& config, const HttpOptions& options, Machine& machine,
            FaultPlan& faults, HttpFate& fate, SubmitCounts& submits)
      : config_(config),
        options_(options),
        machine_(machine),
        faults_(faults),
        fate_(fate),
        submits_(submits),
        tokens_(options.token_requests, faults) {}
  ~HttpCloud();
  void add_to(httplib::Server& router);
  [[nodiscard]] bool knows(std::string_view token) const { return tokens_.knows(token); }
  [[nodiscard]] std::uint64_t logins() const noexcept { return tokens_.made(); }

 private:
  struct Task {
    std::string name;
    std::shared_ptr<MachineJob> job;
    std::shared_ptr<std::atomic<bool>> done = std::make_shared<std::atomic<bool>>(false);
    bool fails = false;
  };
  void login(const httplib::Request& request, httplib::Response& response);
  void submit(const httplib::Request& request, httplib::Response& response);
  void poll(const httplib::Request& request, httplib::Response& response);
  void complete(const Task& task, httplib::Response& response);

  const MachineConfig& config_;
  const HttpOptions& options_;
  Machine& machine_;
  FaultPlan& faults_;
  HttpFate& fate_;
  SubmitCounts& submits_;
  HttpTokens tokens_;
  std::map<std::uint64_t, Task> tasks_;
  std::uint64_t last_id_ = 0;
};

}  // namespace qama::emulator
