// `qama devices` lists what can be opened without an address; `qama device URI` opens one, probes
// it and says what it is.
#include "hal/device.h"
#include "runtime/cli/arguments.h"
#include "runtime/cli/command.h"
#include "runtime/cli/report.h"

namespace qama::cli {
namespace {

/// Both together, as both are needed: what a device says of itself and how it is.
struct Probed {
  std::shared_ptr<hal::Device> device;
  hal::DeviceHealth health;
};

Result<Probed> probe(const std::string& uri) {
  Probed out;
  QAMA_ASSIGN_OR_RETURN(out.device, hal::open_device(uri));
  QAMA_ASSIGN_OR_RETURN(out.health, out.device->probe());
  return out;
}

class Devices final : public Command {
 public:
  void declare(CLI::App&) override {}

  Status run(Console& console) override {
    Json list = Json::array();
    for (const hal::DeviceListing& listing : hal::list_devices()) {
      Json entry = {{"uri", listing.uri},
                    {"description", listing.description},
                    {"usable", listing.usable},
                    {"reason", listing.reason}};
      if (listing.usable) {
        const auto probed = probe(listing.uri);
        if (probed.ok()) {
          entry.update(device_json(probed->device->info(), &probed->health));
          entry["uri"] = listing.uri;
        } else {
          entry["state"] = hal::device_state_name(hal::DeviceState::unreachable);
          entry["state_detail"] = probed.error().message;
        }
      }
      if (!console.json) {
        console.line(format("%-12s %-4s %s%s%s", listing.uri.c_str(), listing.usable ? "yes" : "no",
                            listing.description.c_str(), listing.reason.empty() ? "" : "; ",
                            listing.reason.c_str()));
      }
      list.push_back(std::move(entry));
    }
    if (console.json) console.object({{"devices", std::move(list)}});
    return {};
  }
};

class DeviceCommand final : public Command {
 public:
  void declare(CLI::App& app) override {
    app.add_option("URI", uri_, "Device, e.g. cpu: or exact:")->required()->type_name("");
  }

  Status run(Console& console) override {
    QAMA_ASSIGN_OR_RETURN(const Probed probed, probe(uri_));
    const hal::DeviceInfo& info = probed.device->info();
    if (console.json) {
      console.object(device_json(info, &probed.health));
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
    console.line("state          " + std::string(hal::device_state_name(probed.health.state)) +
                 (probed.health.detail.empty() ? "" : " (" + probed.health.detail + ")"));
    console.line(format("round trip     %.1f us", probed.health.round_trip_us));
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

std::unique_ptr<Command> make_devices() {
  return std::make_unique<Devices>();
}
std::unique_ptr<Command> make_device() {
  return std::make_unique<DeviceCommand>();
}

}  // namespace qama::cli
