#include "runtime/cli/provenance.h"

#include <sys/utsname.h>

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>
#include <thread>

#include "build_info.h"

namespace qama::cli {
namespace {

/// The processor's name as Linux tells it; ARM systems often tell none.
std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("model name") && !line.starts_with("Model")) continue;
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

}  // namespace

Json provenance() {
  Json out;
  out["revision"] = kBuildRevision;
  out["compiler"] = kBuildCompiler;
  out["flags"] = kBuildFlags;
  utsname system{};
  if (uname(&system) == 0) {
    out["architecture"] = system.machine;
    out["system"] = std::string(system.sysname) + " " + system.release;
  }
  out["cpu"] = cpu_name();
  out["cores"] = std::thread::hardware_concurrency();
  double load = 0;
  if (getloadavg(&load, 1) == 1) out["load"] = load;
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  char text[32] = {};
  if (gmtime_r(&now, &utc) != nullptr)
    std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
  out["time"] = text;
  return out;
}

std::int64_t peak_rss_bytes() {
  // Not getrusage(): its figure begins with that of the process that started this one.
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmHWM:")) return std::strtoll(line.c_str() + 6, nullptr, 10) * 1024;
  }
  return 0;
}

}  // namespace qama::cli
