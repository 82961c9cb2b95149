// `qama devices`: what can be opened without an address, and how it is.
#include "hal/device.h"
#include "runtime/cli/arguments.h"
#include "runtime/cli/command.h"
#include "runtime/cli/report.h"

namespace qama::cli {
namespace {

class Devices final : public Command {
 public:
  CommandText text() const override {
    return {.summary = "List the devices that can solve.", .examples = "qama devices\n"};
  }

  void declare(CLI::App&) override {}

  Status run(Console& console) override {
    Json list = Json::array();
    for (const hal::DeviceListing& listing : hal::list_devices()) {
      Json entry = {{"uri", listing.uri},
                    {"description", listing.description},
                    {"usable", listing.usable},
                    {"reason", listing.reason}};
      if (listing.usable) {
        const auto device = hal::open_device(listing.uri);
        const auto health = device.ok() ? (*device)->probe() : device.error();
        if (health.ok()) {
          entry.update(device_json((*device)->info(), &*health));
          entry["uri"] = listing.uri;
        } else {
          entry["state"] = hal::device_state_name(hal::DeviceState::unreachable);
          entry["state_detail"] = health.error().message;
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

}  // namespace

std::unique_ptr<Command> make_devices() {
  return std::make_unique<Devices>();
}

}  // namespace qama::cli
