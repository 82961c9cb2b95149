// How the link's driver fits together, and its three layers of retry. A layer does its part and
// reports to the next; the last word has the fall-back (hal/fallback.h), which knows other devices.
//
//   3 session  (link_session)  up --silence, end, new epoch--> down --HELLO, waits 5 to 500 ms-->
//   up 2 data     (link_data)     closed --ATTACH, PROGRAM--> open --end, LOST, NO_SESSION-->
//   closed 1 job      (link_job)      queued --SUBMIT--> sent --RESULT--> answered
//                              sent --ERROR, bad answer, no answer in a third of the time--> queued
//                              third attempt or deadline: failed, an error value for the fall-back
//
// A job is queued while 2 attaches; 2 waits at most 50 ms for 3, then the attempt fails. All
// attempts of a job carry one id and one body: the machine never anneals it twice.
#include "hal/cim/cim_device.h"

#include <algorithm>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"
#include "hal/cim/link_options.h"
#include "hal/cim/link_session.h"
#include "hal/cim/link_solver.h"

namespace qama::hal::cim {
namespace {

class LinkDevice final : public Device {
 public:
  LinkDevice(LinkOptions options, std::shared_ptr<LinkSession> session)
      : options_(std::move(options)), session_(std::move(session)) {
    const HelloAck& machine = session_->capabilities();
    info_.uri = session_->uri();
    info_.name = std::string(machine.name);
    info_.detail =
        sentence(machine.emulated ? "an emulated machine" : "a machine", " over the link, ring of ",
                 machine.round_trips, " round trips of ", machine.round_trip_ns, " ns");
    info_.max_spins = static_cast<std::int64_t>(machine.max_spins);
    info_.coupling_bits = machine.coupling_bits;
    if (machine.takes(Encoding::block_i8)) info_.encodings.emplace_back("block_i8");
    if (machine.takes(Encoding::dense_i8)) info_.encodings.emplace_back("dense_i8");
    info_.max_in_flight =
        std::min(options_.in_flight, static_cast<std::int32_t>(machine.credit_jobs));
    info_.is_emulated = machine.emulated;
    info_.deterministic = false;
  }

  const DeviceInfo& info() const noexcept override { return info_; }
  Result<DeviceHealth> probe() override { return session_->probe(); }

  Status supports(const Workload& workload) const override {
    QAMA_RETURN_IF_ERROR(check_workload(info_, workload));
    const ProblemShape& shape = workload.shape;
    const std::int64_t needed = shape.spins() + std::max(options_.ancillas, 1);
    if (needed > info_.max_spins) {
      return make_error(ErrorCode::problem_too_large, "a layer of ", shape.heads, " x ",
                        shape.tokens, " spins needs ", needed, " spins with its ancillas, device ",
                        quote(info_.uri), " has ", info_.max_spins);
    }
    const std::size_t bytes =
        submit_bytes(shape, std::max(options_.ancillas, 1), options_.encoding);
    const std::size_t most = session_->capabilities().most_job_bytes();
    if (bytes <= most) return {};
    return make_error(ErrorCode::problem_too_large, "a layer of ", shape.heads, " x ", shape.tokens,
                      " spins is a job of ", bytes, " bytes, device ", quote(info_.uri),
                      " takes at most ", most);
  }

  Result<std::unique_ptr<Solver>> compile(const Workload& workload) override {
    QAMA_RETURN_IF_ERROR(supports(workload));
    auto solver = std::make_unique<LinkSolver>(session_, options_, workload.shape);
    QAMA_RETURN_IF_ERROR(solver->prepare(static_cast<std::size_t>(info_.max_in_flight)));
    return std::unique_ptr<Solver>(std::move(solver));
  }

  [[nodiscard]] LinkSession& session() noexcept { return *session_; }

 private:
  const LinkOptions options_;
  const std::shared_ptr<LinkSession> session_;
  DeviceInfo info_;
};

Result<std::shared_ptr<Device>> open_link(std::string_view scheme, std::string_view rest) {
  QAMA_ASSIGN_OR_RETURN(LinkOptions options, parse_link_options(rest, scheme == "cims://"));
  QAMA_ASSIGN_OR_RETURN(auto session, LinkSession::open(options.endpoint, sentence(scheme, rest)));
  if (!session->capabilities().takes(options.encoding)) {
    return Error{ErrorCode::unsupported,
                 "the machine does not take the encoding that was asked for"};
  }
  return std::shared_ptr<Device>(
      std::make_shared<LinkDevice>(std::move(options), std::move(session)));
}

}  // namespace

Result<std::shared_ptr<Device>> open_cim_device(std::string_view rest) {
  return open_link("cim://", rest);
}
Result<std::shared_ptr<Device>> open_cims_device(std::string_view rest) {
  return open_link("cims://", rest);
}

Status inject_fault(Device& device, int kind, unsigned parts_per_million,
                    unsigned long long argument) {
  auto* link = dynamic_cast<LinkDevice*>(&device);
  if (link == nullptr)
    return Error{ErrorCode::invalid_argument, "faults are injected over the link only"};
  return link->session().send_fault(
      {static_cast<std::uint16_t>(kind), parts_per_million, argument});
}

}  // namespace qama::hal::cim
