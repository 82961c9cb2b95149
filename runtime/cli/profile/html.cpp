// The page: plots of what was measured, then the same tables as on the terminal.
#include <algorithm>

#include "runtime/cli/html/charts.h"
#include "runtime/cli/html/page.h"
#include "runtime/cli/profile/figures.h"
#include "runtime/cli/profile/report.h"
#include "runtime/cli/profile/tables.h"

namespace qama::cli {
namespace {

constexpr std::size_t kMostKinds = 8;

std::string name_of(const DeviceProfile& device) {
  return device.uri.empty() ? "model" : device.uri;
}

void add_latencies(HtmlPage& page, const Profile& profile) {
  std::vector<Series> series;
  for (const DeviceProfile& device : profile.devices) {
    series.push_back({name_of(device), latencies(device)});
  }
  page.heading("Latency of a sample, measured: share of runs at or below");
  page.markup(cumulative_chart("Share of runs at or below a latency", series, "us, logarithmic"));
}

/// The operators of a plan, those that take longest first.
std::vector<std::string> kinds_of(const DeviceProfile& device) {
  std::vector<std::string> kinds;
  for (const runtime::StepInfo& step : device.steps) {
    if (std::find(kinds.begin(), kinds.end(), step.op) == kinds.end()) kinds.push_back(step.op);
  }
  std::stable_sort(kinds.begin(), kinds.end(), [&](const std::string& a, const std::string& b) {
    const auto cost = [&](const std::string& kind) {
      return median(sums(device, [&](const auto& step) { return step.op == kind; }));
    };
    return cost(a) > cost(b);
  });
  return kinds;
}

/// Where bars end: an emulator's own computing, a thousand times longer, would leave nothing of the
/// others. Its bars are cut.
double scale_of(const Profile& profile, const std::vector<BarRow>& rows) {
  double most = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (profile.devices[i].info.is_emulated) continue;
    double sum = 0;
    for (const double part : rows[i].parts) sum += part;
    most = std::max(most, 1.5 * sum);
  }
  return profile.devices.size() > 1 ? most : 0;
}

void add_kinds(HtmlPage& page, const Profile& profile) {
  page.heading("A sample by kind of work, measured (p50 of each, microseconds)");
  const std::vector<std::string> kinds = kinds_of(profile.devices[0]);
  BarChart chart;
  chart.title = "Microseconds of a sample by device and kind of work";
  chart.unit = "us";
  chart.part_names.assign(kinds.begin(), kinds.begin() + static_cast<std::ptrdiff_t>(
                                                             std::min(kinds.size(), kMostKinds)));
  if (kinds.size() > kMostKinds) chart.part_names.emplace_back("others");
  for (const DeviceProfile& device : profile.devices) {
    BarRow row{name_of(device), {}};
    for (std::size_t k = 0; k < chart.part_names.size(); ++k) {
      row.parts.push_back(median(sums(device, [&](const auto& step) {
        const auto at = static_cast<std::size_t>(std::find(kinds.begin(), kinds.end(), step.op) -
                                                 kinds.begin());
        return k < kMostKinds ? at == k : at >= kMostKinds;
      })));
    }
    chart.rows.push_back(std::move(row));
  }
  chart.most = scale_of(profile, chart.rows);
  page.markup(bar_chart(chart));
}

void add_measured_solve(HtmlPage& page, const Profile& profile) {
  BarChart chart;
  chart.title = "Microseconds of a solve by device and part";
  chart.unit = "us";
  for (const Part& part : kParts) {
    chart.part_names.emplace_back(part.machine ? std::string(part.name) + " (own clock)"
                                               : part.name);
  }
  chart.part_names.emplace_back("emulator's computing");
  page.heading("A solve, measured (p50 of each part, microseconds)");
  for (const DeviceProfile& device : profile.devices) {
    BarRow row{device.uri, {}};
    for (const Part& part : kParts) {
      row.parts.push_back(part.machine && modelled(device) ? 0 : part_median(device, part));
    }
    row.parts.push_back(modelled(device) ? rest_median(device) : 0);
    chart.rows.push_back(std::move(row));
  }
  chart.most = scale_of(profile, chart.rows);
  page.markup(bar_chart(chart));
}

void add_modelled_solve(HtmlPage& page, const Profile& profile) {
  BarChart chart;
  chart.title = "Modelled microseconds of a solve by device and part";
  chart.unit = "us";
  chart.hatched = true;
  for (const Part& part : kParts) {
    if (part.machine) chart.part_names.emplace_back(part.name);
  }
  for (const DeviceProfile& device : profile.devices) {
    if (!modelled(device)) continue;
    BarRow row{device.uri, {}};
    for (const Part& part : kParts) {
      if (part.machine) row.parts.push_back(part_median(device, part));
    }
    chart.rows.push_back(std::move(row));
  }
  if (chart.rows.empty()) return;
  page.heading("A solve, modelled by the emulator (device time, microseconds)");
  page.markup(bar_chart(chart));
}

void add_provenance(HtmlPage& page, const Profile& profile) {
  page.heading("Provenance");
  std::vector<std::vector<std::string>> facts{{"model's SHA-256", profile.sha256},
                                              {"architecture", profile.architecture}};
  for (const auto& [key, value] : profile.provenance.items()) {
    facts.push_back({key, value.is_string() ? value.get_ref<const std::string&>() : value.dump()});
  }
  for (std::vector<std::string>& fact : facts) {
    if (fact[1].size() > 110) fact[1] = fact[1].substr(0, 110) + "...";
  }
  page.table({"what", "value"}, facts);
}

}  // namespace

Status write_profile_html(const Profile& profile, const std::string& path) {
  HtmlPage page("Where the time goes: " + profile.model_path,
                profile.inputs + ", " + std::to_string(profile.runs) + " runs a device, " +
                    std::to_string(profile.layers) + " QAMA layers of " +
                    std::to_string(profile.spins) + " spins");
  const bool emulated = std::any_of(profile.devices.begin(), profile.devices.end(),
                                    [](const auto& d) { return d.info.is_emulated; });
  if (emulated) {
    page.text(
        "One of the devices is an emulator of a coherent Ising machine: its wall time says nothing "
        "about a real one, and "
        "its device time (hatched below) is modelled from assumptions. The two are never added "
        "up.");
  }
  add_latencies(page, profile);
  add_kinds(page, profile);
  if (profile.layers > 0) {
    add_measured_solve(page, profile);
    add_modelled_solve(page, profile);
  }
  for (const Table& table : tables_of(profile)) {
    page.heading(table.title);
    if (!table.note.empty()) page.text(table.note);
    page.table(table.head, table.rows);
  }
  add_provenance(page, profile);
  return page.write(path);
}

}  // namespace qama::cli
