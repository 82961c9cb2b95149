#include "hal/cim/vendor_device.h"

#include <algorithm>
#include <mutex>

#include "hal/base/sentence.h"
#include "hal/cim/cim_device.h"
#include "hal/cim/vendor_solver.h"
#include "hal/cim_limits.h"

namespace qama::hal::cim {
namespace {

using std::chrono::milliseconds;

class VendorDevice final : public Device {
 public:
  explicit VendorDevice(VendorOptions options)
      : options_(std::move(options)), terminal_(options_) {}

  /// Logs in and asks for the machine.
  Status start(std::string uri) {
    const TimePoint deadline = LinkClock::now() + milliseconds(options_.timeout_ms);
    QAMA_RETURN_IF_ERROR(terminal_.login(deadline));
    QAMA_ASSIGN_OR_RETURN(const MachineStatus machine, terminal_.machine_status(deadline));
    if (machine.state != DeviceState::available)
      return Error{ErrorCode::device_unavailable, detail_of(machine)};
    info_.uri = std::move(uri);
    info_.name = "QBoson terminal, machine " + options_.machine_id;
    info_.detail = "the vendor's HTTP interface: seconds a job";
    info_.max_spins = kCimSpins;
    info_.coupling_bits = 8;
    info_.encodings = {"csv"};
    info_.is_emulated = machine.emulated;
    info_.deterministic = false;
    return {};
  }
  const DeviceInfo& info() const noexcept override { return info_; }

  Result<DeviceHealth> probe() override {
    const std::lock_guard lock(mutex_);
    const TimePoint start = LinkClock::now();
    const auto machine = terminal_.machine_status(start + milliseconds(5000));
    DeviceHealth health;
    health.round_trip_us = us_between(start, LinkClock::now());
    health.state = machine.ok() ? machine->state : DeviceState::unreachable;
    health.detail = machine.ok() ? detail_of(*machine) : machine.error().message;
    return health;
  }

  Status supports(const Workload& workload) const override {
    QAMA_RETURN_IF_ERROR(check_workload(info_, workload));
    const ProblemShape& shape = workload.shape;
    if (shape.spins() + std::max(options_.ancillas, 1) <= kCimSpins) return {};
    return make_error(ErrorCode::problem_too_large, "a layer of ", shape.spins(),
                      " spins, the machine has ", kCimSpins, " with the ancillas");
  }

  Result<std::unique_ptr<Solver>> compile(const Workload& workload) override {
    QAMA_RETURN_IF_ERROR(supports(workload));
    auto solver = std::make_unique<VendorSolver>(options_, info_.is_emulated);
    QAMA_RETURN_IF_ERROR(solver->prepare(workload.shape));
    return std::unique_ptr<Solver>(std::move(solver));
  }

 private:
  [[nodiscard]] std::string detail_of(const MachineStatus& machine) const {
    return sentence("machine ", options_.machine_id, " ", machine.text);
  }

  const VendorOptions options_;
  std::mutex mutex_;  // the terminal
  Terminal terminal_;
  DeviceInfo info_;
};

Result<std::shared_ptr<Device>> open_vendor(std::string_view scheme, std::string_view rest) {
  if (curl_library() == nullptr)
    return Error{ErrorCode::unsupported, "libcurl.so.4 cannot be loaded, or does not start"};
  QAMA_ASSIGN_OR_RETURN(VendorOptions options,
                        parse_vendor_options(rest, scheme == "qboson+https://"));
  auto device = std::make_shared<VendorDevice>(std::move(options));
  QAMA_RETURN_IF_ERROR(device->start(sentence(scheme, rest)));
  return std::shared_ptr<Device>(std::move(device));
}

}  // namespace

Result<std::shared_ptr<Device>> open_qboson_http_device(std::string_view rest) {
  return open_vendor("qboson+http://", rest);
}
Result<std::shared_ptr<Device>> open_qboson_https_device(std::string_view rest) {
  return open_vendor("qboson+https://", rest);
}

}  // namespace qama::hal::cim
