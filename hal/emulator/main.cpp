// cpqc-emulator: an emulated coherent Ising machine behind the link of hal/cim/PROTOCOL.md and
// behind the vendor terminal's HTTP paths. Prints one JSON line when it serves, and one with its
// counts when it ends.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "hal/emulator/http_terminal.h"
#include "hal/emulator/server.h"

namespace {

qama::emulator::Server* serving = nullptr;

void on_signal(int) {
  if (serving != nullptr) serving->stop();
}

int fail(const qama::Error& error) {
  std::fprintf(stderr, "cpqc-emulator: error: %s: %s\n",
               std::string(qama::error_name(error.code)).c_str(), error.message.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace qama::emulator;
  CLI::App app(
      "Emulates a coherent Ising machine (CPQC-550). It never claims to be one: every answer and "
      "report "
      "says is_emulated.");
  ServerOptions options;
  HttpOptions http;
  std::string config_file;
  std::string faults_text;
  double percent = 0;
  bool pace = false;
  bool serve_http = false;
  app.add_option("--address", options.address, "IP address; anything off loopback needs TLS")
      ->capture_default_str();
  app.add_option("--port", options.port, "port of the link; 0: any free one")
      ->capture_default_str();
  app.add_flag("--http", serve_http,
               "serve the vendor terminal's HTTP paths as well (loopback only)");
  app.add_option("--http-port", http.port, "port of the HTTP paths; 0: any free one")
      ->capture_default_str();
  app.add_option("--http-user", http.user, "who may log in")->capture_default_str();
  app.add_option("--http-password", http.password, "with which password");
  app.add_option("--http-token-requests", http.token_requests,
                 "requests that a token is good for; 0: any");
  app.add_option("--http-machine-status", http.machine_status,
                 "what the terminal says of its machine, 0 to 4");
  app.add_flag("--http-fail-tasks", http.fail_tasks, "every task fails");
  app.add_flag("--http-damage-answers", http.damage_answers, "every answer is damaged");
  app.add_option("--config", config_file,
                 "machine configuration (JSON); none: the CPQC-550 as assumed");
  app.add_option("--seed", options.seed, "seed of the faults' dice")->capture_default_str();
  app.add_flag("--pace", pace, "hold every answer back until device time is over");
  app.add_flag("--allow-faults", options.allow_faults, "obey FAULT messages");
  app.add_option("--fault-percent", percent, "inject faults with this probability a job and kind");
  app.add_option("--faults", faults_text, "kinds to inject, with commas between; none: all");
  app.add_option("--tls-cert", options.tls.certificate, "certificate chain (PEM)");
  app.add_option("--tls-key", options.tls.key, "its key (PEM)");
  app.add_option("--tls-ca", options.tls.authority, "authority of the clients' certificates (PEM)");
  app.add_option("--tls-psk", options.tls.psk_file, "file with 'identity:hexadecimal key'");
  app.add_flag("--verbose", options.verbose, "a line an event on stderr");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (!(percent >= 0 && percent <= 100)) {
    return fail({qama::ErrorCode::invalid_argument, "--fault-percent: expected 0 to 100"});
  }
  MachineConfig config;
  if (!config_file.empty()) {
    auto loaded = MachineConfig::load(config_file);
    if (!loaded.ok()) return fail(loaded.error());
    config = std::move(loaded).value();
  }
  FaultPlan faults(options.seed);
  if (percent > 0) {
    std::string rest = faults_text;
    if (rest.empty()) {
      for (const std::string_view name : kFaultNames) rest += std::string(name) + ",";
    }
    while (!rest.empty()) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      const std::string name = rest.substr(0, comma);
      rest.erase(0, comma + 1);
      bool known = false;
      for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
        if (name != kFaultNames[kind]) continue;
        known = true;
        faults[static_cast<FaultKind>(kind)].parts_per_million =
            static_cast<std::uint32_t>(percent * 1e4);
      }
      if (!known)
        return fail({qama::ErrorCode::invalid_argument, "--faults: no kind '" + name + "'"});
    }
  }

  std::signal(SIGPIPE, SIG_IGN);
  Machine machine(config, pace);
  auto server = Server::create(config, options, machine, std::move(faults));
  if (!server.ok()) return fail(server.error());
  serving = server.value().get();
  std::signal(SIGTERM, on_signal);
  std::signal(SIGINT, on_signal);

  std::unique_ptr<HttpTerminal> terminal;
  if (serve_http) {
    auto opened = HttpTerminal::create(config, http, machine);
    if (!opened.ok()) return fail(opened.error());
    terminal = std::move(opened).value();
  }
  nlohmann::json line = {{"port", server.value()->port()},
                         {"is_emulated", true},
                         {"tls", options.tls.any()},
                         {"paced", pace},
                         {"name", config.name},
                         {"max_spins", config.max_spins},
                         {"pid", ::getpid()}};
  if (terminal) line["http_port"] = terminal->port();
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);

  server.value()->run();
  serving = nullptr;
  terminal.reset();

  const ServerCounts& counts = server.value()->counts();
  nlohmann::json injected = nlohmann::json::object();
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    injected[std::string(kFaultNames[kind])] =
        server.value()->faults()[static_cast<FaultKind>(kind)].injected;
  }
  const nlohmann::json report = {{"is_emulated", true},
                                 {"connections", counts.connections},
                                 {"refused_frames", counts.refused_frames},
                                 {"jobs", counts.jobs},
                                 {"solved", counts.solved},
                                 {"joined", counts.joined},
                                 {"from_memory", counts.from_memory},
                                 {"cancelled", counts.cancelled},
                                 {"late", counts.late},
                                 {"refused_jobs", counts.refused_jobs},
                                 {"restarts", counts.restarts},
                                 {"faults", injected}};
  std::printf("%s\n", report.dump().c_str());
  return 0;
}
