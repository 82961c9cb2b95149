// cpqc-emulator: an emulated coherent Ising machine behind the link of hal/cim/PROTOCOL.md and
// behind the vendor terminal's HTTP paths. Prints one JSON line when it serves, and one with its
// counts when it ends.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <system_error>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"
#include "hal/emulator/http_terminal.h"
#include "hal/emulator/service.h"
#include "hal/network/network.h"
#include "hal/platform/before_main.h"

namespace qama::emulator {
namespace {

Network* serving = nullptr;

void on_signal(int) {
  if (serving != nullptr) serving->stop();
}

struct Options {
  NetworkOptions network;
  ServiceOptions service;
  HttpOptions http;
  std::string config_file;
  std::string preset = "assumed";
  std::string http_password_file;
  std::string faults;
  double fault_percent = 0;
  std::uint64_t seed = 1;
  bool pace = false;
  bool serve_http = false;
};

void add_options(CLI::App& app, Options& o) {
  app.add_option("--address", o.network.address, "IP address; anything off loopback needs TLS")
      ->capture_default_str();
  app.add_option("--port", o.network.port, "port of the link; 0: any free one")
      ->capture_default_str();
  CLI::Option* const http = app.add_flag(
      "--http", o.serve_http,
      "serve the HTTP paths of the vendor's terminal and cloud as well (loopback only)");
  app.add_option("--http-port", o.http.port, "port of the HTTP paths; 0: any free one")
      ->capture_default_str();
  app.add_option("--http-user", o.http.user, "who may log in; the cloud's user id")
      ->capture_default_str();
  app.add_option("--http-password-file", o.http_password_file,
                 "file whose first line is the password; the cloud's SDK code");
  app.add_option("--http-tls-cert", o.http.tls.certificate,
                 "serve HTTPS with this certificate chain (PEM)");
  app.add_option("--http-tls-key", o.http.tls.key, "its key (PEM)");
  app.add_option_function<std::string>(
      "--http-password",
      [](const std::string&) {
        throw CLI::ValidationError(
            "--http-password", "everybody sees a command line, expected --http-password-file FILE");
      },
      "refused: see --http-password-file");
  app.add_option("--http-token-requests", o.http.token_requests,
                 "requests that a token is good for; 0: any")
      ->check(CLI::Range(0, 1'000'000'000));
  app.add_option("--http-machine-status", o.http.machine_status,
                 "what the terminal says of its machine, 0 to 4")
      ->check(CLI::Range(0, 4));
  app.add_flag("--http-fail-tasks", o.http.fail_tasks, "every task fails");
  app.add_flag("--http-damage-answers", o.http.damage_answers, "every answer is damaged");
  CLI::Option* const preset =
      app.add_option("--preset", o.preset,
                     "whose times: published (15 us a read, the median of the 40 published ones) "
                     "or assumed (162 us, their mean, whatever the problem is)")
          ->capture_default_str();
  app.add_option("--config", o.config_file, "machine configuration (JSON) in place of a preset")
      ->excludes(preset);  // by name it would look for it in a noexcept function that takes memory
  app.add_option("--seed", o.seed, "seed of the faults' dice")->capture_default_str();
  app.add_flag("--pace", o.pace, "hold every answer back until device time is over");
  app.add_flag("--allow-faults", o.service.allow_faults, "obey FAULT messages");
  CLI::Option* const percent = app.add_option("--fault-percent", o.fault_percent,
                                              "inject faults with this probability a job and kind");
  app.add_option("--faults", o.faults, "kinds to inject, with commas between; none: all")
      ->needs(percent);
  app.add_option("--tls-cert", o.network.tls.certificate, "certificate chain (PEM)");
  app.add_option("--tls-key", o.network.tls.key, "its key (PEM)");
  app.add_option("--tls-ca", o.network.tls.authority,
                 "authority of the clients' certificates (PEM)");
  app.add_option("--tls-psk", o.network.tls.psk_file, "file with 'identity:hexadecimal key'");
  app.add_flag("--insecure-permissions", o.network.tls.others_may,
               "take key and password files that others than their owner may read");
  app.add_flag("--verbose", o.service.verbose, "a line an event on stderr");
  for (CLI::Option* option : app.get_options()) {
    // Alone they did nothing, and said nothing.
    if (option->get_name().starts_with("--http-")) option->needs(http);
  }
}

/// An empty value is a variable of the shell that is not set, not a wish for the default: an empty
/// --http-password-file let in whoever knows the default password, an empty --tls-psk everybody.
void refuse_empty_values(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (option->get_items_expected_min() == 0) continue;
    option->transform(CLI::Validator(
        [](std::string& text) { return std::string(text.empty() ? "its value is empty" : ""); },
        std::string()));
  }
}

/// Decimal digits alone: CLI11 takes 010 for 8, and -1 for the largest number without a sign.
void read_decimal_numbers(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    const std::string type = option->get_type_name();
    if (!type.starts_with("INT") && !type.starts_with("UINT")) continue;
    option->transform(CLI::Validator(
        [](std::string& text) -> std::string {
          std::uint64_t number = 0;
          const char* const end = text.data() + text.size();
          const auto [stop, error] = std::from_chars(text.data(), end, number);
          if (stop != end || error != std::errc())
            return quote(text) + " is no whole number in decimal digits";
          text = std::to_string(number);
          return {};
        },
        std::string()));
  }
}

/// The faults of --fault-percent and --faults.
Result<FaultPlan> plan_of(const Options& options) {
  if (!(options.fault_percent >= 0 && options.fault_percent <= 100))
    return Error{ErrorCode::invalid_argument, "--fault-percent: expected 0 to 100"};
  FaultPlan out(options.seed);
  const auto parts_per_million = static_cast<std::uint32_t>(options.fault_percent * 1e4);
  std::string_view rest = options.faults;
  for (std::size_t kind = 0; rest.empty() && kind < kFaultKinds; ++kind)
    out[static_cast<FaultKind>(kind)].parts_per_million = parts_per_million;
  while (!rest.empty()) {
    const std::string_view name = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    const auto known = std::find(kFaultNames.begin(), kFaultNames.end(), name);
    if (known == kFaultNames.end())
      return make_error(ErrorCode::invalid_argument, "--faults: no kind ", quote(name));
    out[static_cast<FaultKind>(known - kFaultNames.begin())].parts_per_million = parts_per_million;
  }
  return out;
}

/// IO_ERROR where standard output takes no more.
Status print_line(const nlohmann::json& object) {
  if (std::printf("%s\n", object.dump().c_str()) >= 0 && std::fflush(stdout) == 0) return {};
  return make_error(ErrorCode::io_error,
                    "standard output cannot be written: ", std::strerror(errno));
}

Status print_start(const Options& options, const MachineConfig& config, const Network& network,
                   const HttpTerminal* terminal) {
  nlohmann::json line = {
      {"port", network.port()}, {"is_emulated", true},    {"tls", options.network.tls.any()},
      {"paced", options.pace},  {"name", config.name},    {"max_spins", config.max_spins},
      {"pid", ::getpid()},      {"preset", config.preset}};
  if (terminal != nullptr) line["http_port"] = terminal->port();
  return print_line(line);
}

Status print_report(const MachineConfig& config, const Network& network, Service& service,
                    HttpCounts http) {
  nlohmann::json injected = nlohmann::json::object();
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    injected[std::string(kFaultNames[kind])] =
        service.faults()[static_cast<FaultKind>(kind)].injected +
        http.faults[static_cast<FaultKind>(kind)].injected;
  }
  const ServiceCounts& counts = service.counts();
  const nlohmann::json report = {{"is_emulated", true},
                                 {"preset", config.preset},
                                 {"connections", network.accepted()},
                                 {"refused_frames", counts.refused_frames},
                                 {"jobs", counts.jobs},
                                 {"solved", counts.solved},
                                 {"joined", counts.joined},
                                 {"from_memory", counts.from_memory},
                                 {"cancelled", counts.cancelled},
                                 {"late", counts.late},
                                 {"refused_jobs", counts.refused_jobs},
                                 {"restarts", counts.restarts},
                                 {"http_logins", http.logins},
                                 {"http_submits", http.submits},
                                 {"http_jobs", http.jobs},
                                 {"http_most_submits_of_a_job", http.most_submits},
                                 {"faults", injected}};
  return print_line(report);
}

Status serve(Options options) {
  QAMA_ASSIGN_OR_RETURN(FaultPlan faults, plan_of(options));
  FaultPlan http_faults = faults;  // dice of its own: another thread
  QAMA_ASSIGN_OR_RETURN(MachineConfig config, MachineConfig::of_preset(options.preset));
  if (!options.config_file.empty()) {
    QAMA_ASSIGN_OR_RETURN(config, MachineConfig::load(options.config_file));
  }
  options.network.max_connections = static_cast<std::size_t>(config.max_connections);
  options.network.hello_time = std::chrono::milliseconds(config.hello_ms);
  options.network.idle_time = std::chrono::milliseconds(config.idle_ms);
  // Some problems of the largest size at the same time.
  const auto spins = static_cast<std::size_t>(config.max_spins);
  options.network.max_buffered = std::max(options.network.max_buffered, 8 * spins * spins);
  options.network.verbose = options.http.verbose = options.service.verbose;
  options.http.tls.asks_peer = false;
  options.http.tls.others_may = options.network.tls.others_may;
  if (!options.http_password_file.empty()) {
    QAMA_ASSIGN_OR_RETURN(const Secret file,
                          read_secret({options.http_password_file, "password file",
                                       "--insecure-permissions", options.network.tls.others_may}));
    options.http.password = Secret(first_line(file.view()));
    if (options.http.password.empty()) {
      return make_error(ErrorCode::invalid_argument, "password file ",
                        quote(options.http_password_file),
                        ": its first line is empty, expected the password");
    }
  }

  // An error of a write, both.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  QAMA_ASSIGN_OR_RETURN(const auto machine, Machine::create(config, options.pace));
  QAMA_ASSIGN_OR_RETURN(const auto network, Network::create(options.network));
  Service service(config, options.service, std::move(faults), *machine, *network);
  serving = network.get();
  std::signal(SIGTERM, on_signal);
  std::signal(SIGINT, on_signal);
  std::unique_ptr<HttpTerminal> terminal;
  if (options.serve_http) {
    QAMA_ASSIGN_OR_RETURN(terminal,
                          HttpTerminal::create(config, options.http, *machine, http_faults));
  }
  QAMA_RETURN_IF_ERROR(print_start(options, config, *network, terminal.get()));
  network->run(service);
  serving = nullptr;
  HttpCounts http = terminal ? terminal->end() : HttpCounts{0, 0, 0, 0, FaultPlan(1)};
  terminal.reset();
  return print_report(config, *network, service, std::move(http));
}

int run(int argc, char** argv) {
  CLI::App app(
      "Emulates a coherent Ising machine (CPQC-550). It never claims to be one: every answer and "
      "report says is_emulated.");
  Options options;
  add_options(app, options);
  read_decimal_numbers(app);
  refuse_empty_values(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const Status served = serve(std::move(options));
  if (served.ok()) return 0;
  const std::string_view name = error_name(served.error().code);
  std::fprintf(stderr, "cpqc-emulator: error: %.*s: %s\n", static_cast<int>(name.size()),
               name.data(), served.error().message.c_str());
  return 1;
}

}  // namespace
}  // namespace qama::emulator

int main(int argc, char** argv) {
  qama::platform::main_begins();
  try {
    return qama::emulator::run(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("cpqc-emulator: error: OUT_OF_MEMORY: no memory to start or to report\n", stderr);
    return 1;
  }
}
