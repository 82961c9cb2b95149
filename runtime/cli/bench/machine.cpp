#include "runtime/cli/bench/machine.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <set>

namespace qama::cli {
namespace {

/// The first line of a file; empty if it cannot be read.
std::string line_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<std::int64_t> number_of(const std::filesystem::path& path) {
  const std::string line = line_of(path);
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), out);
  if (error != std::errc() || end != line.data() + line.size() || line.empty()) return {};
  return out;
}

/// Folders in `folder` whose names begin so, in the order of their names.
std::vector<std::filesystem::path> folders(const std::filesystem::path& folder,
                                           std::string_view begin) {
  std::vector<std::filesystem::path> out;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator(folder, error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    if (entry->path().filename().string().starts_with(begin)) out.push_back(entry->path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

void read_energy(const std::filesystem::path& sys, MachineState& out) {
  out.no_energy = "not there";
  for (const auto& zone : folders(sys / "class" / "powercap", "intel-rapl:")) {
    // Not the parts of a package, and not the platform, which holds the packages.
    const std::string name = line_of(zone / "name");
    if (!name.starts_with("package")) continue;
    const auto now = number_of(zone / "energy_uj");
    const auto most = number_of(zone / "max_energy_range_uj");
    if (!now || !most) {
      // Half of the packages would be a wrong sum.
      out.energy.clear();
      out.no_energy = "not readable";
      return;
    }
    out.energy.push_back({name, *now, *most});
    out.no_energy.clear();
  }
}

}  // namespace

MachineState read_machine(const std::string& sys) {
  MachineState out;
  const std::filesystem::path root(sys);
  std::set<std::string> governors;
  for (const auto& cpu : folders(root / "devices" / "system" / "cpu", "cpu")) {
    const std::string governor = line_of(cpu / "cpufreq" / "scaling_governor");
    if (!governor.empty()) governors.insert(governor);
  }
  for (const std::string& governor : governors) {
    out.governor += (out.governor.empty() ? "" : ", ") + governor;
  }
  for (const auto& zone : folders(root / "class" / "thermal", "thermal_zone")) {
    constexpr double kMilli = 1e-3;
    const auto value = number_of(zone / "temp");
    if (!value) continue;
    const double celsius = static_cast<double>(*value) * kMilli;
    out.temperature_c = std::max(out.temperature_c.value_or(celsius), celsius);
  }
  read_energy(root, out);
  return out;
}

std::optional<double> energy_between(const MachineState& before, const MachineState& after) {
  if (before.energy.empty() || before.energy.size() != after.energy.size()) return {};
  double sum = 0;
  for (std::size_t i = 0; i < before.energy.size(); ++i) {
    const MachineState::Counter& a = before.energy[i];
    const MachineState::Counter& b = after.energy[i];
    if (a.name != b.name) return {};
    sum += static_cast<double>(b.microjoules) - static_cast<double>(a.microjoules);
    if (b.microjoules < a.microjoules) sum += static_cast<double>(a.wraps_at) + 1;
  }
  return sum;
}

}  // namespace qama::cli
