#include "runtime/serve/server.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <span>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"
#include "hal/network/http_head.h"
#include "hal/network/http_request.h"

namespace qama::serve {
namespace {

using network::Connection;
using network::HttpRequest;
using network::Network;

constexpr auto kLastCall = std::chrono::milliseconds(250);  // for requests on their way at the end
constexpr std::string_view kJson = "application/json";

std::string_view reason_of(int status) noexcept {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 411:
      return "Length Required";
    case 413:
      return "Payload Too Large";
    case 415:
      return "Unsupported Media Type";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Internal Server Error";
  }
}

struct Reply {
  int status = 200;
  std::string body;
  std::size_t header_length = 0;
  std::string_view type = kJson;
  std::string_view allow = {};  ///< of a wrong method: the right ones
};

Reply error_reply(int status, const Error& error) {
  return {status, error_body(error)};
}

Reply not_found(std::string_view what) {
  return error_reply(404, make_error(ErrorCode::not_found, quote(what), " is not served here"));
}

Reply wrong_method(std::string_view method, std::string_view allow) {
  Reply out = error_reply(405, make_error(ErrorCode::request_bad_method, "method ", quote(method),
                                          ": expected ", allow));
  out.allow = allow;
  return out;
}

constexpr std::string_view kReads = "GET, HEAD";

/// What tells something; a request to change it is refused.
template <typename Make>
Reply read_by(std::string_view method, const Make& make) {
  if (method == "GET" || method == "HEAD") return make();
  return wrong_method(method, kReads);
}

/// The parts of a path that begins with '/'.
std::vector<std::string_view> parts_of(std::string_view path) {
  std::vector<std::string_view> out;
  while (path.starts_with('/')) {
    path.remove_prefix(1);
    const std::size_t end = std::min(path.find('/'), path.size());
    out.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return out;
}

}  // namespace

struct Server::Impl final : network::PeerHandler {
  /// A connection whose request is with a model.
  struct Busy {
    std::uint64_t ticket = 0;
    Clock::time_point deadline;
    bool closes = false;
  };
  struct Served {
    NamedModel source;
    std::shared_ptr<ModelMetrics> metrics = std::make_shared<ModelMetrics>();
    std::shared_ptr<ServedModel> model;
  };
  /// What the loader made of a file.
  using Loaded = std::vector<Result<std::shared_ptr<ServedModel>>>;

  ServerOptions options;
  std::unique_ptr<Network> port;
  std::unique_ptr<network::HttpReader> reader;
  std::vector<Served> models;
  std::vector<std::shared_ptr<ServedModel>> retired;  // with answers that are owed
  std::map<std::uint64_t, Busy> busy;                 // by the connection's number
  std::uint64_t last_ticket = 0;
  std::uint64_t replies[6] = {};  // by the first digit of their status

  std::atomic<bool> drain_wanted{false}, reload_wanted{false};
  bool draining = false;
  Clock::time_point drain_begun;

  std::mutex done_mutex;
  std::unique_ptr<Ticket> done;  // a list, the newest first

  platform::Thread loader;
  std::mutex loaded_mutex;
  std::unique_ptr<Loaded> loaded;
  bool loading = false;

  explicit Impl(ServerOptions o) : options(std::move(o)) {}
  ~Impl() override {
    (void)loader.join().ok();
    // Their threads call in here.
    retired.clear();
    models.clear();
    take_down(std::move(done));
  }

  /// A long list, without recursion.
  static void take_down(std::unique_ptr<Ticket> list) {
    while (list != nullptr) list = std::move(list->next);
  }

  Status start() {
    QAMA_ASSIGN_OR_RETURN(reader, network::open_http_reader());
    for (Served& served : models) {
      QAMA_ASSIGN_OR_RETURN(served.model, open(served));
    }
    QAMA_ASSIGN_OR_RETURN(port, Network::create(options.port));
    if (!port->local() && options.token.empty()) {
      return Error{ErrorCode::device_auth,
                   "the port can be reached from other machines, expected a token"};
    }
    return {};
  }

  Result<std::shared_ptr<ServedModel>> open(const Served& served) {
    QAMA_ASSIGN_OR_RETURN(auto model, runtime::Model::open(served.source.path, options.files));
    return ServedModel::create(served.source.name, std::move(model), options.model, served.metrics,
                               [this](std::unique_ptr<Ticket> ticket) {
                                 {
                                   const std::lock_guard lock(done_mutex);
                                   ticket->next = std::move(done);
                                   done = std::move(ticket);
                                 }
                                 // Models may answer before there is a port.
                                 if (port != nullptr) port->wake();
                               });
  }

  Served* find_model(std::string_view name) {
    const auto at = std::find_if(models.begin(), models.end(),
                                 [&](const Served& s) { return s.source.name == name; });
    return at == models.end() ? nullptr : &*at;
  }

  // ---- the network's thread: requests ----

  void on_bytes(Connection& from) override {
    while (from.usable() && !from.in.empty()) {
      if (busy.contains(from.number)) {
        // It is not read while its request is under way, but for what was on its way already.
        if (from.in.size() > options.max_body) from.broken = true;
        return;
      }
      const std::string_view in(reinterpret_cast<const char*>(from.in.data()), from.in.size());
      const auto head = network::read_head(in);
      if (!head) {
        if (in.size() >= network::kMaxHeadBytes) {
          refuse(from, 431,
                 make_error(ErrorCode::invalid_argument, "the head of a request has more than ",
                            network::kMaxHeadBytes, " bytes"));
        }
        return;
      }
      if (head->bad) {
        return refuse(
            from, 411,
            {ErrorCode::invalid_argument,
             "expected header fields NAME: VALUE, and one Content-Length, a number of bytes; "
             "Transfer-Encoding is not read"});
      }
      if (head->encoded) {
        return refuse(from, 415, {ErrorCode::unsupported, "a packed body is not read"});
      }
      const bool admitted = admits(head->authorization);
      if (!admitted && head->body > 0) return refuse_stranger(from);
      if (head->body > options.max_body) {
        return refuse(from, 413,
                      make_error(ErrorCode::request_too_large, "the body has ", head->body,
                                 " bytes, expected at most ", options.max_body));
      }
      const std::size_t size = head->bytes + head->body;
      if (in.size() < size) {
        if (head->expects && from.session[0] == 0) {
          from.session[0] = 1;  // said once a request
          say(from, "HTTP/1.1 100 Continue\r\n\r\n");
        }
        return;
      }
      from.session[0] = 0;
      auto request = reader->read(in.substr(0, head->bytes), in.substr(head->bytes, head->body));
      from.in.erase(from.in.begin(), from.in.begin() + static_cast<std::ptrdiff_t>(size));
      if (!request) {
        return refuse(from, 400, {ErrorCode::invalid_argument, "not a request of HTTP 1.0 or 1.1"});
      }
      if (!admitted && !request->path.starts_with("/v2/health/")) return refuse_stranger(from);
      if (request->method == "POST" && !head->sized) {
        return refuse(from, 411, {ErrorCode::invalid_argument, "expected a Content-Length"});
      }
      from.kind = Connection::Kind::data;
      const bool closes = request->closes, wants_body = request->method != "HEAD";
      if (const auto answered = answer(from, std::move(*request))) {
        send(from, *answered, closes, wants_body);
      }
    }
  }

  [[nodiscard]] bool admits(std::string_view authorization) const {
    if (options.token.empty()) return true;
    constexpr std::string_view kBearer = "Bearer ";
    if (!network::same_word(authorization.substr(0, kBearer.size()), kBearer)) return false;
    authorization.remove_prefix(kBearer.size());
    authorization.remove_prefix(
        std::min(authorization.find_first_not_of(' '), authorization.size()));
    const std::string_view token = options.token.view();
    return authorization.size() == token.size() &&
           CRYPTO_memcmp(authorization.data(), token.data(), token.size()) == 0;
  }

  /// The answer, or nothing if a model was asked.
  std::optional<Reply> answer(Connection& from, HttpRequest request) {
    const std::string path = request.path;
    const auto parts = parts_of(path);
    const std::string method = request.method;
    const auto is = [&](auto... words) {
      const std::string_view expected[] = {words...};
      return std::equal(parts.begin(), parts.end(), std::begin(expected), std::end(expected));
    };
    if (is("v2", "health", "live")) {
      return read_by(method, [] { return Reply{200, "{\"live\":true}"}; });
    }
    if (is("v2", "health", "ready")) return read_by(method, [this] { return ready(); });
    if (is("v2")) {
      return read_by(method, [this] { return Reply{200, server_metadata(options.version)}; });
    }
    if (is("metrics")) {
      return read_by(method, [this] {
        return Reply{200, metrics(), 0, "text/plain; version=0.0.4"};
      });
    }
    if (parts.size() < 3 || parts[0] != "v2" || parts[1] != "models") return not_found(path);
    Served* served = find_model(parts[2]);
    if (served == nullptr) return not_found(path);
    auto rest = std::span(parts).subspan(3);
    if (rest.size() >= 2 && rest[0] == "versions") {
      if (rest[1] != "1") return not_found(path);
      rest = rest.subspan(2);
    }
    if (rest.empty()) {
      return read_by(method, [&] {
        return Reply{200, model_metadata(served->model->model(), served->source.name)};
      });
    }
    if (rest.size() != 1) return not_found(path);
    if (rest[0] == "ready") return read_by(method, [this] { return ready(); });
    if (rest[0] != "infer") return not_found(path);
    if (method != "POST") return wrong_method(method, "POST");
    return infer(from, *served, std::move(request));
  }

  [[nodiscard]] Reply ready() const {
    return draining ? Reply{503, "{\"ready\":false}"} : Reply{200, "{\"ready\":true}"};
  }

  std::optional<Reply> infer(Connection& from, Served& served, HttpRequest request) {
    auto ticket = std::make_unique<Ticket>();
    ticket->number = ++last_ticket;
    ticket->connection = from.number;
    ticket->body = std::move(request.body);
    ticket->content_type = std::move(request.content_type);
    ticket->header_length = std::move(request.inference_header);
    ticket->sample_index = std::move(request.sample_index);
    ticket->timeout = std::move(request.timeout);
    ticket->deadline = ticket->arrived + options.request_time;
    if (served.model->answer_here(*ticket, port->last())) return reply_of(*ticket);
    const Busy entry{ticket->number, ticket->deadline, request.closes};
    busy.emplace(from.number, entry);
    if (served.model->offer(ticket)) {
      port->pause(from);
      return std::nullopt;
    }
    busy.erase(from.number);
    ++served.metrics->full;
    return error_reply(429, make_error(ErrorCode::server_busy, "model ", quote(served.source.name),
                                       " has no room for one more request that waits"));
  }

  // ---- replies ----

  void say(Connection& to, std::string_view text) {
    port->send(to, network::View(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
  }

  /// The answer to HEAD has no body: the client would take it for the next answer.
  void send(Connection& to, const Reply& reply, bool closes, bool with_body = true) {
    ++replies[std::clamp(reply.status / 100, 0, 5)];
    std::string head = sentence(
        "HTTP/1.1 ", reply.status, " ", reason_of(reply.status),
        "\r\nContent-Type: ", reply.header_length > 0 ? "application/octet-stream" : reply.type,
        "\r\nContent-Length: ", reply.body.size(), "\r\n");
    if (reply.header_length > 0)
      head += sentence("Inference-Header-Content-Length: ", reply.header_length, "\r\n");
    if (reply.status == 429) head += "Retry-After: 1\r\n";
    if (reply.status == 401) head += "WWW-Authenticate: Bearer\r\n";
    if (!reply.allow.empty()) head += sentence("Allow: ", reply.allow, "\r\n");
    const bool last = closes || draining;
    if (last) head += "Connection: close\r\n";
    head += "\r\n";
    if (with_body) head += reply.body;
    say(to, head);
    if (last) port->end(to);
  }

  void refuse(Connection& from, int status, const Error& error) {
    send(from, error_reply(status, error), true);
  }

  void refuse_stranger(Connection& from) {
    refuse(from, 401,
           {ErrorCode::request_unauthorized, "expected the token that the server was given"});
  }

  // ---- what happened elsewhere ----

  void on_wake() override {
    answer_done();
    if (reload_wanted && !loading) begin_loading();
    take_loaded();
    if (drain_wanted && !draining) begin_draining();
  }

  static Reply reply_of(Ticket& ticket) {
    Reply reply{ticket.status, std::move(ticket.reply.body), ticket.reply.header_length};
    if (reply.body.empty())
      reply.body = error_body({ErrorCode::out_of_memory, "not enough memory for an answer"});
    return reply;
  }

  void answer_done() {
    std::unique_ptr<Ticket> list, in_order;
    {
      const std::lock_guard lock(done_mutex);
      list = std::move(done);
    }
    while (list != nullptr) {
      auto ticket = std::move(list);
      list = std::move(ticket->next);
      ticket->next = std::move(in_order);
      in_order = std::move(ticket);
    }
    while (in_order != nullptr) {
      const auto ticket = std::move(in_order);
      in_order = std::move(ticket->next);
      const auto at = busy.find(ticket->connection);
      if (at == busy.end() || at->second.ticket != ticket->number) continue;  // answered, or gone
      Connection* to = port->find(ticket->connection);
      const bool closes = at->second.closes;
      busy.erase(at);
      if (to == nullptr || to->broken) continue;
      finish(*to, reply_of(*ticket), closes);
    }
  }

  void finish(Connection& to, const Reply& reply, bool closes) {
    send(to, reply, closes);
    port->resume(to);
  }

  void on_tick() override {
    const auto now = Clock::now();
    std::vector<std::uint64_t> late;
    for (const auto& [number, entry] : busy) {
      // The model's thread says so itself, unless it is held up.
      if (now > entry.deadline + std::chrono::milliseconds(50)) late.push_back(number);
    }
    for (const std::uint64_t number : late) {
      const bool closes = busy.at(number).closes;
      busy.erase(number);
      Connection* to = port->find(number);
      if (to == nullptr || to->broken) continue;
      finish(*to,
             error_reply(504, {ErrorCode::deadline_exceeded, "no answer within the server's time"}),
             closes);
    }
    std::erase_if(retired, [](const auto& model) { return model->finished(); });
    if (draining) go_on_draining(now);
  }

  [[nodiscard]] bool may_close(const Connection& idle) const override {
    return !busy.contains(idle.number);
  }
  void on_closed(const Connection& gone) noexcept override { busy.erase(gone.number); }

  // ---- the end ----

  void begin_draining() {
    draining = true;
    drain_begun = Clock::now();
    port->stop_listening();
    options.log(sentence("draining: ", busy.size(), " requests under way"));
  }

  void go_on_draining(Clock::time_point now) {
    bool owed = !busy.empty();
    port->for_each([&](Connection& c) {
      if (c.hung_up() || busy.contains(c.number)) return;
      if (c.unfinished()) {
        owed = true;
      } else if (now - drain_begun > kLastCall) {
        port->end(c);
      } else {
        owed = true;
      }
    });
    if (!owed || now - drain_begun > options.drain_time) port->stop();
  }

  // ---- reload ----

  void begin_loading() {
    reload_wanted = false;
    const Status started = loader.start([this] {
      auto out = std::make_unique<Loaded>();
      for (const Served& served : models) out->push_back(open(served));
      {
        const std::lock_guard lock(loaded_mutex);
        loaded = std::move(out);
      }
      port->wake();
    });
    loading = started.ok();
    if (!started.ok()) options.log("models are not read again: " + started.error().message);
  }

  void take_loaded() {
    std::unique_ptr<Loaded> fresh;
    {
      const std::lock_guard lock(loaded_mutex);
      fresh = std::move(loaded);
    }
    if (fresh == nullptr) return;
    (void)loader.join().ok();
    loading = false;
    for (std::size_t i = 0; i < fresh->size(); ++i) {
      Served& served = models[i];
      auto& result = (*fresh)[i];
      if (!result.ok()) {
        ++served.metrics->failed_reloads;
        options.log(sentence("model ", quote(served.source.name), " stays as it is: ",
                             error_name(result.error().code), ": ", result.error().message));
        continue;
      }
      ++served.metrics->reloads;
      served.model->close();
      retired.push_back(std::move(served.model));
      served.model = std::move(*result);
      options.log(sentence("model ", quote(served.source.name), " was read again"));
    }
    if (reload_wanted) begin_loading();
  }

  // ---- figures ----

  [[nodiscard]] std::string metrics() const {
    std::string out;
    const auto each = [&](std::string_view name, std::string_view help, auto value) {
      print_kind(out, name, "counter", help);
      for (const Served& served : models)
        print_value(out, name, labels_of(served), value(*served.metrics));
    };
    print_kind(out, "qama_replies_total", "counter", "Replies by the class of their status.");
    for (int digit = 2; digit <= 5; ++digit) {
      print_value(out, "qama_replies_total", sentence("status=\"", digit, "xx\""), replies[digit]);
    }
    print_kind(out, "qama_connections", "gauge", "Open connections.");
    out += sentence("qama_connections ", port->connections(), "\n");
    print_kind(out, "qama_requests_under_way", "gauge", "Inferences without an answer yet.");
    out += sentence("qama_requests_under_way ", busy.size(), "\n");
    print_kind(out, "qama_queue_length", "gauge", "Requests that wait for a thread.");
    for (const Served& served : models)
      print_value(out, "qama_queue_length", labels_of(served), served.model->waiting());
    each("qama_samples_total", "Samples answered.",
         [](const ModelMetrics& m) { return m.samples.load(); });
    each("qama_refused_total", "Requests that were not right.",
         [](const ModelMetrics& m) { return m.refused.load(); });
    each("qama_failed_total", "Requests that a device or the server failed.",
         [](const ModelMetrics& m) { return m.failed.load(); });
    each("qama_late_total", "Requests that waited past their deadline.",
         [](const ModelMetrics& m) { return m.late.load(); });
    each("qama_full_total", "Requests that found the queue full.",
         [](const ModelMetrics& m) { return m.full.load(); });
    each("qama_here_total", "Short requests that the port's thread answered itself.",
         [](const ModelMetrics& m) { return m.here.load(); });
    each("qama_reloads_total", "Model files read again.",
         [](const ModelMetrics& m) { return m.reloads.load(); });
    each("qama_failed_reloads_total", "Model files that could not be used.",
         [](const ModelMetrics& m) { return m.failed_reloads.load(); });
    print_kind(out, "qama_request_seconds", "histogram",
               "From a request's last byte to its answer.");
    for (const Served& s : models)
      s.metrics->request_time.print(out, "qama_request_seconds", labels_of(s));
    print_kind(out, "qama_inference_seconds", "histogram", "Of a batch in the engine.");
    for (const Served& s : models)
      s.metrics->inference_time.print(out, "qama_inference_seconds", labels_of(s));
    return out;
  }

  static std::string labels_of(const Served& served) {
    return sentence("model=\"", served.source.name, "\"");
  }
};

Result<std::unique_ptr<Server>> Server::create(ServerOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  for (const NamedModel& model : impl->options.models) impl->models.emplace_back().source = model;
  QAMA_RETURN_IF_ERROR(impl->start());
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

std::uint16_t Server::port() const noexcept {
  return impl_->port->port();
}

void Server::run() {
  impl_->port->run(*impl_);
}

void Server::drain() noexcept {
  impl_->drain_wanted = true;
  impl_->port->wake();
}

void Server::reload() noexcept {
  impl_->reload_wanted = true;
  impl_->port->wake();
}

}  // namespace qama::serve
