// `qama serve`: the options of the server (runtime/serve), its signals, and what systemd gives it.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"
#include "qama/qama.h"
#include "runtime/cli/arguments.h"
#include "runtime/cli/command.h"
#include "runtime/serve/server.h"

namespace qama::cli {
namespace {

serve::Server* signalled_server = nullptr;

extern "C" void on_server_signal(int number) {
  if (signalled_server == nullptr) return;
  if (number == SIGHUP) {
    signalled_server->reload();
  } else {
    signalled_server->drain();
  }
}

/// While one exists, SIGTERM and SIGINT drain the server and SIGHUP makes it read its models again.
class ServerSignals {
 public:
  explicit ServerSignals(serve::Server& server) {
    signalled_server = &server;
    struct sigaction action {};
    action.sa_handler = on_server_signal;
    action.sa_flags = SA_RESTART;
    for (std::size_t i = 0; i < std::size(kNumbers); ++i)
      sigaction(kNumbers[i], &action, &former_[i]);
  }
  ~ServerSignals() {
    for (std::size_t i = 0; i < std::size(kNumbers); ++i)
      sigaction(kNumbers[i], &former_[i], nullptr);
    signalled_server = nullptr;
  }
  ServerSignals(const ServerSignals&) = delete;
  ServerSignals& operator=(const ServerSignals&) = delete;

 private:
  static constexpr int kNumbers[] = {SIGTERM, SIGINT, SIGHUP};
  struct sigaction former_[std::size(kNumbers)] = {};
};

/// Tells systemd how the service is, if it asked (sd_notify(3)).
void tell_systemd(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  const std::size_t size = std::strlen(path);
  if (size >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path, size);
  if (path[0] == '@') address.sun_path[0] = '\0';
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
  (void)::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&address), length);
  ::close(fd);
}

/// The socket that systemd listens to for this process (sd_listen_fds(3)).
Result<int> systemd_socket() {
  constexpr int kFirst = 3;
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  if (pid != nullptr && count != nullptr && std::to_string(::getpid()) == pid &&
      std::string_view(count) == "1") {
    return kFirst;
  }
  return Error{ErrorCode::invalid_argument,
               "--listen systemd: expected one socket from a systemd .socket unit"};
}

class Serve final : public Command {
 public:
  CommandText text() const override {
    return {
        .summary = "Answer requests of the Open Inference Protocol over HTTP.",
        .notes =
            "GET /v2/health/live, /v2/health/ready, /v2, /v2/models/NAME and /metrics; POST\n"
            "/v2/models/NAME/infer. The tensor is 'image' (UINT8 or FP32 values, or BYTES: "
            "files),\n"
            "'text' (BYTES) or 'features' (FP32). A body may also be an image file (Content-Type:\n"
            "image/png) or a text (text/plain). Answers are 'label', 'probabilities' and "
            "'logits'.\n"
            "\n"
            "Sample i of a request has the index 'sample_index' + i, 0 without that parameter. "
            "The\n"
            "index and the seed decide the annealer's random numbers, so that answers equal those\n"
            "of `qama classify` and `qama eval`.\n"
            "\n"
            "SIGTERM answers what is under way and ends; SIGHUP reads the models again.\n",
        .examples =
            "qama serve -m weights/models/fashion-mnist-qama.safetensors\n"
            "qama serve -m shoes=MODEL -m MODEL --listen unix:/run/qama/qama.sock --threads 4\n"
            "curl --data-binary @shoe.png -H 'Content-Type: image/png' "
            "localhost:8080/v2/models/shoes/infer\n"};
  }

  void declare(CLI::App& app) override {
    app.add_option("-m,--model", models_,
                   "Serve this model file, under the name of the file or under NAME.")
        ->required()
        ->type_name("[NAME=]MODEL")
        ->expected(1)
        ->take_all();
    declare_trust(app, options_.files);
    app.add_option("--listen", listen_,
                   "Listen to IP:PORT, to unix:PATH, or to systemd:, the socket of a .socket unit; "
                   "port 0 is any free one. An address off loopback needs TLS and a token.")
        ->type_name("ADDRESS")
        ->capture_default_str();
    app.add_option("--tls-cert", options_.port.tls.certificate,
                   "Serve HTTPS, TLS 1.3, with this certificate chain (PEM).")
        ->type_name("FILE");
    app.add_option("--tls-key", options_.port.tls.key, "Use this key of the certificate (PEM).")
        ->type_name("FILE");
    app.add_option("--token-file", token_file_,
                   "Answer, except for the health, those alone who send the first line of this "
                   "file: Authorization: Bearer TOKEN.")
        ->type_name("FILE");
    app.add_flag("--insecure-permissions", options_.port.tls.others_may,
                 "Take key and token files that others than their owner may read.");
    const auto number = [&app](const char* name, auto& value, const char* help, auto least,
                               auto most) {
      app.add_option(name, value, help)
          ->type_name("N")
          ->check(CLI::Range(least, most))
          ->capture_default_str();
    };
    number("--batch", options_.model.batch,
           "Let each thread take up to N waiting requests at once; more than 1 helps if the device "
           "is far away.",
           1, 1024);
    number("--batch-wait-us", batch_wait_us_, "Wait up to N microseconds for a batch to fill.",
           std::int64_t{0}, std::int64_t{1000000});
    number("--queue", options_.model.queue,
           "Let up to N requests wait; the next one is refused with 429.", std::size_t{1},
           std::size_t{65536});
    number("--max-body", options_.max_body, "Refuse bodies of more than N bytes.",
           std::size_t{1024}, std::size_t{256} << 20);
    number("--request-ms", request_ms_,
           "Answer a request after N milliseconds at the latest, with 504 if need be.",
           std::int64_t{1}, std::int64_t{3600000});
    number("--drain-ms", drain_ms_, "Give requests that are under way at SIGTERM N milliseconds.",
           std::int64_t{0}, std::int64_t{3600000});
    number("--connections", options_.port.max_connections,
           "Keep up to N connections open, half of them from one address.", std::size_t{4},
           std::size_t{65536});
    run_.declare(app);
  }

  Status run(Console& console) override {
    QAMA_RETURN_IF_ERROR(name_models());
    QAMA_RETURN_IF_ERROR(read_address());
    QAMA_RETURN_IF_ERROR(read_credentials());
    QAMA_ASSIGN_OR_RETURN(options_.model.session, run_.session_options());
    options_.model.threads = run_.threads;
    options_.model.session.in_flight =
        options_.model.batch > 1 ? run_.in_flight_for(run_.device) : 1;
    options_.model.batch_wait = std::chrono::microseconds(batch_wait_us_);
    options_.model.here = options_.model.batch == 1 && batch_wait_us_ == 0 && run_.local();
    options_.request_time = std::chrono::milliseconds(request_ms_);
    options_.drain_time = std::chrono::milliseconds(drain_ms_);
    options_.port.max_buffered = std::max(std::size_t{64} << 20, 4 * options_.max_body);
    options_.model.queue_bytes = options_.port.max_buffered;
    options_.port.name = "qama";
    options_.version = qama_version();
    options_.log = [&console](const std::string& line) { console.log(line); };
    QAMA_ASSIGN_OR_RETURN(const auto server, serve::Server::create(std::move(options_)));
    const ServerSignals signals(*server);
    if (console.json) {
      Json out;
      out["listen"] = listen_;
      out["port"] = server->port();
      console.object(out);
    } else {
      console.line(server->port() > 0 ? format("port %d", int{server->port()}) : listen_);
    }
    QAMA_RETURN_IF_ERROR(console.finish());
    tell_systemd("READY=1");
    server->run();
    tell_systemd("STOPPING=1");
    return {};
  }

 private:
  Status name_models() {
    std::set<std::string> names;
    for (const std::string& model : models_) {
      const std::size_t sign = model.find('=');
      const bool named = sign != std::string::npos && model.find('/') > sign;
      const std::string path = named ? model.substr(sign + 1) : model;
      const std::string name =
          named ? model.substr(0, sign) : std::filesystem::path(path).stem().string();
      const bool plain = !name.empty() && name.find_first_not_of(
                                              "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                              "0123456789._-") == std::string::npos;
      if (!plain) {
        return make_error(ErrorCode::invalid_argument, "model name ", quote(name),
                          ": expected letters, digits, '.', '_' and '-' (NAME=MODEL)");
      }
      if (!names.insert(name).second) {
        return make_error(ErrorCode::invalid_argument, "two models have the name ", quote(name),
                          ", expected NAME=MODEL for one of them");
      }
      options_.models.push_back({name, path});
    }
    return {};
  }

  Status read_address() {
    constexpr std::string_view kUnix = "unix:";
    if (listen_ == "systemd:") {
      QAMA_ASSIGN_OR_RETURN(options_.port.inherited, systemd_socket());
      return {};
    }
    if (listen_.starts_with(kUnix)) {
      options_.port.path = listen_.substr(kUnix.size());
      if (!options_.port.path.empty()) return {};
    }
    const std::size_t colon = listen_.rfind(':');
    std::string address = listen_.substr(0, std::min(colon, listen_.size()));
    if (address.starts_with('[') && address.ends_with(']'))
      address = address.substr(1, address.size() - 2);
    const char* end = listen_.data() + listen_.size();
    const char* digits = colon == std::string::npos ? end : listen_.data() + colon + 1;
    const auto read = std::from_chars(digits, end, options_.port.port);
    if (digits == end || read.ec != std::errc() || read.ptr != end) {
      return make_error(ErrorCode::invalid_argument, "--listen ", quote(listen_),
                        ": expected IP:PORT, unix:PATH or systemd:");
    }
    options_.port.address = address;
    return {};
  }

  Status read_credentials() {
    platform::TlsFiles& tls = options_.port.tls;
    tls.asks_peer = false;
    if (tls.certificate.empty() != tls.key.empty()) {
      return Error{ErrorCode::invalid_argument, "--tls-cert and --tls-key go together"};
    }
    if (token_file_.empty()) return {};
    QAMA_ASSIGN_OR_RETURN(
        const Secret file,
        read_secret({token_file_, "token file", "--insecure-permissions", tls.others_may}));
    options_.token = Secret(first_line(file.view()));
    if (!options_.token.empty()) return {};
    return make_error(ErrorCode::invalid_argument, "token file ", quote(token_file_),
                      ": its first line is empty, expected the token");
  }

  serve::ServerOptions options_;
  std::vector<std::string> models_;
  std::string listen_ = "127.0.0.1:8080", token_file_;
  std::int64_t batch_wait_us_ = 0, request_ms_ = 10000, drain_ms_ = 10000;
  RunArguments run_;
};

}  // namespace

std::unique_ptr<Command> make_serve() {
  return std::make_unique<Serve>();
}

}  // namespace qama::cli
