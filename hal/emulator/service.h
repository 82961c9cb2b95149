// What the emulator does with each message of hal/cim/PROTOCOL.md: sessions, programs, jobs,
// credit, faults. It runs on the network's thread; the machine works on its own.
//
// To add a message: see hal/emulator/wire.h for its bytes, then a case in Service::on_control() or
// Service::on_data().
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hal/emulator/fault.h"
#include "hal/emulator/job_memory.h"
#include "hal/emulator/machine.h"
#include "hal/emulator/machine_config.h"
#include "hal/network/network.h"

namespace qama::emulator {

using network::Connection;
using network::Network;
using network::NetworkOptions;
using network::PeerAddress;
using network::PeerHandler;

struct ServiceOptions {
  bool allow_faults = false;  ///< FAULT messages are obeyed
  bool verbose = false;       ///< a line a fault and lease on stderr, never a secret
};

/// Counts for the report at the end.
struct ServiceCounts {
  std::uint64_t refused_frames = 0, jobs = 0, solved = 0, joined = 0, from_memory = 0,
                cancelled = 0, late = 0, refused_jobs = 0, restarts = 0;
};

class Service final : public PeerHandler {
 public:
  /// Network and machine must outlive it.
  Service(const MachineConfig& config, const ServiceOptions& options, FaultPlan faults,
          Machine& machine, Network& network);
  /// Stops the machine's work on its jobs.
  ~Service() override;

  [[nodiscard]] const ServiceCounts& counts() const noexcept { return counts_; }
  [[nodiscard]] FaultPlan& faults() noexcept { return faults_; }

  void on_bytes(Connection& from) override;
  void on_wake() override;
  void on_tick() override;
  [[nodiscard]] bool may_close(const Connection& idle) const override;
  void on_closed(const Connection& gone) noexcept override;

 private:
  struct Session {
    std::uint64_t user = 0;     // whose turn it is on the machine
    std::uint64_t control = 0;  // its control connection; 0 once that is gone
    PeerAddress peer{};
    int version = 1;
    Id name{};  // what ATTACH of version 2 calls it
    Clock::time_point heard = Clock::now();
    std::size_t attached = 0;         // data connections
    std::size_t jobs = 0, bytes = 0;  // credit in use
    [[nodiscard]] bool idle() const noexcept { return attached == 0 && jobs == 0; }
    std::map<std::uint32_t, ProgramRequest> programs;
  };

  void on_frame(Connection& from, const Head& head, View payload);
  /// The payload's CRC is wrong.
  void on_damaged(Connection& from, const Head& head);
  /// The header is none of this link's, or its length is above the connection's limit.
  void on_rubbish(Connection& from);
  void on_first(Connection& c, const Head& head, View payload);
  void on_control(Connection& c, const Head& head, View payload, Session& session);
  void on_data(Connection& c, const Head& head, View payload, Session& session);
  void on_hello(Connection& c, const Head& head, const HelloRequest& hello);
  void on_attach(Connection& c, const Head& head, const AttachRequest& attach);
  void on_cancel(Connection& c, const Head& head, const CancelRequest& cancel);
  void on_fault(Connection& c, const Head& head, const FaultRequest& fault);
  void on_program(Connection& c, const Head& head, const ProgramRequest& program, Session& session);
  void on_submit(Connection& c, const Head& head, const SubmitRequest& submit, View payload,
                 Session& session);

  /// Calls take(request), or refuses the frame.
  template <typename T, typename Take>
  void with(Connection& c, const Head& head, const Parsed<T>& parsed, const Take& take);
  void send(Connection& c, Type type, std::uint64_t request, View payload, Code status = kOk);
  void refuse(Connection& c, std::uint64_t request, const Refusal& why, const Id& job = {});
  /// An error after which the connection ends.
  void dismiss(Connection& c, std::uint64_t request, const Refusal& why);

  [[nodiscard]] bool answered_before(Connection& c, const Head& head, const SubmitRequest& submit,
                                     std::uint64_t hash);
  [[nodiscard]] std::optional<Refusal> refusal_of(const SubmitRequest& submit, std::size_t bytes,
                                                  const Session& session);
  [[nodiscard]] std::shared_ptr<MachineJob> machine_job(const SubmitRequest& submit,
                                                        IsingProblem problem, std::size_t bytes,
                                                        std::uint64_t user);
  void uncharge(Job& job);
  void finish(const Id& id, Job& job);
  void reply_result(const Job& job);
  void strike(Connection& c);
  void restart();
  void end_session(const Id& token);
  [[nodiscard]] bool room_for_session(const PeerAddress& peer);

  [[nodiscard]] Capabilities capabilities(const Id& token, int version) const;
  [[nodiscard]] std::size_t max_frame() const;
  [[nodiscard]] std::uint8_t state() const;
  void note(const char* text) const;

  const MachineConfig config_;
  const ServiceOptions options_;
  FaultPlan faults_;
  Machine& machine_;
  Network& network_;
  ServiceCounts counts_;
  std::uint64_t epoch_;
  std::uint64_t last_user_ = 0;
  Clock::time_point calibrated_{};  // until then the machine calibrates
  std::map<Id, Session> sessions_;
  std::size_t job_bytes_ = 0;  // of the sessions' credit in use
  JobMemory jobs_;

  std::mutex finished_mutex_;
  // Epoch and job, from the machine's thread. Both have room for all jobs that may be under way.
  std::vector<std::pair<std::uint64_t, Id>> finished_, finishing_;
};

}  // namespace qama::emulator
