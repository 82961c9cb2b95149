// The tables of the terminal.
#include <algorithm>

#include "runtime/cli/profile/report.h"
#include "runtime/cli/profile/tables.h"

namespace qama::cli {
namespace {

void print_rows(const Table& table, Console& console) {
  std::vector<std::size_t> widths;
  const auto widen = [&widths](const std::vector<std::string>& row) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  };
  widen(table.head);
  for (const auto& row : table.rows) widen(row);
  const auto print = [&](const std::vector<std::string>& row) {
    std::string line = "  ";
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string pad(widths[i] - row[i].size(), ' ');
      line += i == 0 ? row[i] + pad : "  " + pad + row[i];
    }
    console.line(line);
  };
  print(table.head);
  for (const auto& row : table.rows) print(row);
}

}  // namespace

void print_profile(const Profile& profile, Console& console) {
  console.line("model " + profile.model_path + ", " + profile.inputs + ", " +
               std::to_string(profile.runs) + " runs");
  for (const Table& table : tables_of(profile)) {
    console.line("");
    console.line(table.title);
    if (!table.note.empty()) console.line("  " + table.note);
    print_rows(table, console);
  }
  console.line("");
  for (const DeviceProfile& device : profile.devices) {
    console.line("device " +
                 (device.has_device ? device.info.uri : std::string("none (softmax attention)")) +
                 ", arena " + std::to_string(device.arena_bytes) + " bytes, peak resident " +
                 std::to_string(device.peak_rss) + " bytes (of the process so far)" +
                 (device.info.is_emulated ? ", an EMULATED machine: " + device.info.name : ""));
  }
  console.line("provenance " + profile.provenance.dump());
}

}  // namespace qama::cli
