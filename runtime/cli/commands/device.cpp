// `qama device URI`: opens a device, probes it and says what it is.
#include "hal/device.h"

#include "runtime/cli/command.h"
#include "runtime/cli/report.h"

namespace qama::cli {
namespace {

class DeviceCommand final : public Command {
 public:
  CommandText text() const override {
    return {.summary = "Probe and describe one device.",
            .examples =
                "qama device cpu:\n"
                "qama device cim://127.0.0.1:7010 --json\n"};
  }

  void declare(CLI::App& app) override {
    app.add_option("URI", uri_, "The device, for example cpu: or exact:.")
        ->required()
        ->type_name("");
  }

  Status run(Console& console) override {
    QAMA_ASSIGN_OR_RETURN(const auto device, hal::open_device(uri_));
    QAMA_ASSIGN_OR_RETURN(const hal::DeviceHealth health, device->probe());
    const hal::DeviceInfo& info = device->info();
    if (console.json) {
      console.object(device_json(info, &health));
      return {};
    }
    std::string encodings;
    for (const std::string& encoding : info.encodings) {
      encodings += (encodings.empty() ? "" : ", ") + encoding;
    }
    const auto yes = [](bool value) { return value ? std::string("yes") : std::string("no"); };
    console.line("device         " + info.uri);
    console.line("name           " + info.name);
    if (!info.detail.empty()) console.line("detail         " + info.detail);
    console.line("state          " + std::string(hal::device_state_name(health.state)) +
                 (health.detail.empty() ? "" : " (" + health.detail + ")"));
    console.line(format("round trip     %.1f us", health.round_trip_us));
    console.line("max spins      " +
                 (info.max_spins > 0 ? std::to_string(info.max_spins) : "bounded by memory"));
    console.line("coupling bits  " + std::to_string(info.coupling_bits));
    console.line("encodings      " + encodings);
    console.line("in flight      " + std::to_string(info.max_in_flight));
    console.line("emulated       " + yes(info.is_emulated));
    console.line("deterministic  " + yes(info.deterministic));
    return {};
  }

 private:
  std::string uri_;
};

}  // namespace

std::unique_ptr<Command> make_device() {
  return std::make_unique<DeviceCommand>();
}

}  // namespace qama::cli
