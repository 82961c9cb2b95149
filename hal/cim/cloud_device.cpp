#include "hal/cim/cloud_device.h"

#include <algorithm>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"
#include "hal/cim/cloud_solver.h"

namespace qama::hal::cim {
namespace {

using std::chrono::milliseconds;

constexpr auto kProbeTime = milliseconds(5000);

class CloudDevice final : public Device {
 public:
  explicit CloudDevice(CloudOptions options)
      : access_(std::make_shared<CloudAccess>(std::move(options))) {}

  /// Logs in.
  Status start(std::string uri) {
    const CloudOptions& options = access_->options;
    VendorHttp http;
    QAMA_ASSIGN_OR_RETURN(
        const CloudToken token,
        access_->account.token(http, 0, LinkClock::now() + milliseconds(options.timeout_ms)));
    info_.uri = std::move(uri);
    info_.name = "QBoson cloud, machine " + options.machine;
    info_.detail = "the vendor's HTTP interface: seconds to minutes a job";
    info_.max_spins = options.spins;
    info_.coupling_bits = 8;
    info_.encodings = {"csv"};
    info_.max_in_flight = options.in_flight;
    info_.is_emulated = token.emulated;
    info_.deterministic = false;
    access_->emulated = token.emulated;
    return {};
  }
  const DeviceInfo& info() const noexcept override { return info_; }

  /// The interface has no question for a machine's state: a new login says whether the cloud is
  /// there.
  Result<DeviceHealth> probe() override {
    VendorHttp http;
    const TimePoint start = LinkClock::now();
    const auto token = access_->account.token(http, access_->account.newest(), start + kProbeTime);
    DeviceHealth health;
    health.round_trip_us = us_between(start, LinkClock::now());
    health.state = token.ok() ? DeviceState::available : DeviceState::unreachable;
    health.detail = token.ok() ? "the cloud lets us in; it does not say how its machine is"
                               : token.error().message;
    return health;
  }

  Status supports(const Workload& workload) const override {
    QAMA_RETURN_IF_ERROR(check_workload(info_, workload));
    const ProblemShape& shape = workload.shape;
    const CloudOptions& options = access_->options;
    if (shape.spins() + std::max(options.ancillas, 1) <= options.spins) return {};
    return make_error(ErrorCode::problem_too_large, "a layer of ", shape.spins(),
                      " spins, the machine has ", options.spins, " with the ancillas");
  }

  Result<std::unique_ptr<Solver>> compile(const Workload& workload) override {
    QAMA_RETURN_IF_ERROR(supports(workload));
    auto solver = std::make_unique<CloudSolver>(access_);
    QAMA_RETURN_IF_ERROR(solver->prepare(workload.shape));
    return std::unique_ptr<Solver>(std::move(solver));
  }

 private:
  const std::shared_ptr<CloudAccess> access_;
  DeviceInfo info_;
};

Result<std::shared_ptr<Device>> open_cloud(std::string_view scheme, std::string_view rest) {
  if (curl_library() == nullptr)
    return Error{ErrorCode::unsupported, "libcurl.so.4 cannot be loaded, or does not start"};
  QAMA_ASSIGN_OR_RETURN(CloudOptions options,
                        parse_cloud_options(rest, scheme == "qboson-cloud://"));
  auto device = std::make_shared<CloudDevice>(std::move(options));
  QAMA_RETURN_IF_ERROR(device->start(sentence(scheme, rest)));
  return std::shared_ptr<Device>(std::move(device));
}

}  // namespace

Result<std::shared_ptr<Device>> open_qboson_cloud_device(std::string_view rest) {
  return open_cloud("qboson-cloud://", rest);
}
Result<std::shared_ptr<Device>> open_qboson_cloud_http_device(std::string_view rest) {
  return open_cloud("qboson-cloud+http://", rest);
}

}  // namespace qama::hal::cim
