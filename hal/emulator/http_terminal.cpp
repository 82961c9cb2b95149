// Public: the paths, the field names in them, status numbers, the envelope {code, msg, data}, codes
// 0 and 20001. Assumed: what upload and batch-task say besides (`id`, `task_name`), out_data as
// rows of 1 and -1 with the last spin the ancilla at +1, ten samples a task, "is_emulated" in every
// data object.
#include "hal/emulator/http_terminal.h"

#include <httplib.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <optional>
#include <thread>

#include "hal/base/strict_json.h"
#include "hal/emulator/network.h"

namespace qama::emulator {
namespace {

constexpr std::size_t kMaxHeadBytes = 8192;       // request line and headers
constexpr std::size_t kMaxJsonBytes = 64U << 10;  // all that a peer without a token may send
constexpr std::size_t kMaxThings = 1024;          // tokens, and tasks that are kept
constexpr std::size_t kMaxFiles = 64;             // problems that are kept, and tasks that wait
constexpr int kSamples = 10;

/// A request's body; null if it is none of the JSON that clients send.
Json body_of(const httplib::Request& request) {
  auto body = parse_json(request.body, {.what = "body",
                                        .code = ErrorCode::invalid_argument,
                                        .twice = ErrorCode::invalid_argument,
                                        .max_bytes = kMaxJsonBytes,
                                        .max_depth = 8,
                                        .max_values = 1024});
  return body.ok() ? std::move(body).value() : Json();
}

/// An object's member, or null.
const Json& member(const Json& object, const char* name) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto at = object.find(name);
  return at == object.end() ? kNull : *at;
}

std::string hexadecimal(const unsigned char* bytes, std::size_t size) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < size; ++i) {
    out += kDigits[bytes[i] >> 4];
    out += kDigits[bytes[i] & 15];
  }
  return out;
}

// What the vendor's login asks for; it protects nothing.
std::string md5(std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_Digest(text.data(), text.size(), digest, &size, EVP_md5(), nullptr) != 1) return {};
  return hexadecimal(digest, size);
}

std::string random_token() {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return {};
  return hexadecimal(bytes, sizeof bytes);
}

// A square matrix of 8-bit integers, symmetric with zero diagonal.
bool parse_csv(const std::string& text, int max_spins, IsingProblem& out) {
  std::vector<std::vector<std::int8_t>> rows(1);
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    int value = 0;
    const auto parsed = std::from_chars(at, end, value);
    if (parsed.ec != std::errc{} || value < -127 || value > 127) return false;
    rows.back().push_back(static_cast<std::int8_t>(value));
    if (rows.back().size() > static_cast<std::size_t>(max_spins)) return false;
    at = parsed.ptr;
    if (at < end && *at == '\r') ++at;
    if (at < end && *at == ',') {
      ++at;
    } else if (at < end && *at == '\n') {
      ++at;
      if (at < end) rows.emplace_back();
      if (rows.size() > static_cast<std::size_t>(max_spins)) return false;
    } else if (at < end) {
      return false;
    }
  }
  const std::size_t width = rows.size();
  if (width < 2) return false;
  for (std::size_t i = 0; i < width; ++i) {
    if (rows[i].size() != width || rows[i][i] != 0) return false;
  }
  out = IsingProblem{};
  out.heads = 1;
  out.tokens = static_cast<int>(width);
  out.first_ancilla = out.tokens - 1;
  for (std::size_t i = 0; i < width; ++i) {
    for (std::size_t j = i + 1; j < width; ++j) {
      if (rows[i][j] != rows[j][i]) return false;
      out.couplings.push_back(rows[i][j]);
    }
  }
  return true;
}

/// A request whose head is whole.
struct Head {
  std::size_t bytes = 0;  ///< up to the body
  std::size_t body = 0;   ///< bytes
  std::string_view token;
  bool expects = false;  ///< the client waits for "100 Continue"
  bool bad = false;      ///< a length that is no number, or no length at all
};

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

/// Nothing while the head is not whole.
std::optional<Head> read_head(std::string_view in) {
  const std::size_t end = in.substr(0, kMaxHeadBytes).find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  Head out;
  out.bytes = end + 4;
  std::string_view lines = in.substr(0, end + 2);
  bool sized = false;
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find("\r\n"));
    lines.remove_prefix(line.size() + 2);
    const std::size_t colon = std::min(line.find(':'), line.size());
    const std::string_view name = line.substr(0, colon);
    std::string_view value = line.substr(std::min(colon + 1, line.size()));
    while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    if (same_word(name, "content-length")) {
      const auto read = std::from_chars(value.data(), value.data() + value.size(), out.body);
      out.bad = out.bad || sized || read.ec != std::errc{} || read.ptr != value.end();
      sized = true;
    } else if (same_word(name, "transfer-encoding")) {
      out.bad = true;
    } else if (same_word(name, "expect")) {
      out.expects = true;
    } else if (same_word(name, "authorization") && value.starts_with("JWT ")) {
      out.token = value.substr(4);
    }
  }
  return out;
}

/// A whole request in memory, and room for its answer, in place of a socket.
class Exchange final : public httplib::Stream {
 public:
  explicit Exchange(std::string_view request) : request_(request) {}
  [[nodiscard]] const std::string& reply() const { return reply_; }

  bool is_readable() const override { return true; }
  bool is_writable() const override { return true; }
  ssize_t read(char* to, std::size_t size) override {
    const std::size_t count = std::min(size, request_.size());
    std::copy_n(request_.data(), count, to);
    request_.remove_prefix(count);
    return static_cast<ssize_t>(count);
  }
  ssize_t write(const char* from, std::size_t size) override {
    reply_.append(from, size);
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string& ip, int& port) const override { ip.clear(), port = 0; }
  void get_local_ip_and_port(std::string& ip, int& port) const override { ip.clear(), port = 0; }
  socket_t socket() const override { return INVALID_SOCKET; }

 private:
  std::string_view request_;
  std::string reply_;
};

/// The library reads requests, finds their handlers and prints replies. Sockets are network.h's.
class Router final : public httplib::Server {
 public:
  /// False if the connection has to end after the reply.
  bool answer(Exchange& exchange) {
    bool closed = false;
    const auto set_up = [](httplib::Request& request) { request.headers.erase("Expect"); };
    return process_request(exchange, false, closed, set_up) && !closed;
  }
};

}  // namespace

struct HttpTerminal::Impl final : PeerHandler {
  struct Task {
    std::string name;
    std::shared_ptr<MachineJob> job;
    std::shared_ptr<std::atomic<bool>> done = std::make_shared<std::atomic<bool>>(false);
  };

  MachineConfig config;
  HttpOptions options;
  Machine& machine;
  Router router;
  std::unique_ptr<Network> network;
  std::thread thread;
  std::map<std::string, int, std::less<>> tokens;  // requests made with each
  std::map<std::uint64_t, IsingProblem> files;
  std::map<std::uint64_t, Task> tasks;
  std::uint64_t last_id = 0;

  Impl(const MachineConfig& c, const HttpOptions& o, Machine& m)
      : config(c), options(o), machine(m) {}
  ~Impl() override {
    if (network) network->stop();
    if (thread.joinable()) thread.join();
    for (auto& [id, task] : tasks) machine.cancel(task.job);
  }

  /// A matrix of the largest problem, four digits and a comma a number, and the form around it.
  [[nodiscard]] std::size_t max_upload() const {
    const auto spins = static_cast<std::size_t>(config.max_spins);
    return 5 * spins * spins + kMaxHeadBytes;
  }

  // ---- the network's thread ----

  void on_bytes(Connection& from) override {
    while (from.usable() && !from.in.empty()) {
      const std::string_view in(reinterpret_cast<const char*>(from.in.data()), from.in.size());
      const auto head = read_head(in);
      if (!head) {
        if (in.size() >= kMaxHeadBytes) refuse(from, "431 Request Header Fields Too Large");
        return;
      }
      const bool known = tokens.find(head->token) != tokens.end();
      if (head->bad) return refuse(from, "411 Length Required");
      if (head->body > (known ? max_upload() : kMaxJsonBytes))
        return refuse(from, "413 Payload Too Large");
      const std::size_t size = head->bytes + head->body;
      if (in.size() < size) {
        if (head->expects && from.session[0] == 0) {
          from.session[0] = 1;  // said once a request
          say(from, "HTTP/1.1 100 Continue\r\n\r\n");
        }
        return;
      }
      from.session[0] = 0;
      Exchange exchange(in.substr(0, size));
      const bool stays = router.answer(exchange);
      // Who has a token keeps a place; who has none any more does not.
      from.kind = known ? Connection::Kind::data : Connection::Kind::unknown;
      say(from, exchange.reply());
      from.in.erase(from.in.begin(), from.in.begin() + static_cast<std::ptrdiff_t>(size));
      if (!stays) network->end(from);
    }
  }
  void on_wake() override {}
  void on_tick() override {}
  [[nodiscard]] bool may_close(const Connection&) const override { return true; }
  void on_closed(const Connection&) noexcept override {}

  void say(Connection& to, std::string_view text) {
    network->send(to, View(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
  }
  void refuse(Connection& to, const std::string& why) {
    say(to, "HTTP/1.1 " + why + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    network->end(to);
  }

  // ---- the handlers ----

  static void answer(httplib::Response& response, const std::string& code, const std::string& text,
                     Json data) {
    if (data.is_object()) data["is_emulated"] = true;
    response.set_content(Json{{"code", code}, {"msg", text}, {"data", std::move(data)}}.dump(),
                         "application/json");
  }

  bool admitted(const httplib::Request& request, httplib::Response& response) {
    const std::string header = request.get_header_value("Authorization");
    const auto token = header.starts_with("JWT ") ? tokens.find(header.substr(4)) : tokens.end();
    if (token == tokens.end()) {
      answer(response, "20001", "token expired", nullptr);
      return false;
    }
    if (options.token_requests > 0 && ++token->second > options.token_requests) {
      tokens.erase(token);
      answer(response, "20001", "token expired", nullptr);
      return false;
    }
    return true;
  }

  void login(const httplib::Request& request, httplib::Response& response) {
    const Json body = body_of(request);
    if (member(body, "username") != options.user ||
        member(body, "pwd") != md5(options.password.view())) {
      return answer(response, "10001", "wrong user or password", nullptr);
    }
    const std::string token = random_token();
    if (tokens.size() >= kMaxThings) tokens.clear();
    tokens[token] = 0;
    answer(response, "0", "ok", {{"token", {{"access", token}}}, {"user_id", 1}});
  }

  void upload(const httplib::Request& request, httplib::Response& response) {
    if (request.files.size() != 1) return answer(response, "40001", "expected one file", nullptr);
    const auto& file = request.files.begin()->second;
    IsingProblem problem;
    if (!parse_csv(file.content, config.max_spins, problem)) {
      return answer(response, "40002",
                    "not a symmetric matrix of 8-bit integers of at most " +
                        std::to_string(config.max_spins) + " spins",
                    nullptr);
    }
    if (files.size() >= kMaxFiles) files.erase(files.begin());
    const std::uint64_t id = ++last_id;
    files[id] = std::move(problem);
    answer(response, "0", "ok", {{"id", id}, {"name", file.filename}, {"creator", options.user}});
  }

  void submit(const httplib::Request& request, httplib::Response& response) {
    const Json body = body_of(request);
    const Json& list = member(body, "data");
    if (!list.is_array() || list.size() != 1 || !list[0].is_object()) {
      return answer(response, "40003", "expected a list of one task", nullptr);
    }
    const Json& name = member(list[0], "task_name");
    const Json& file_id = member(list[0], "file_id");
    const auto file =
        file_id.is_number_unsigned() ? files.find(file_id.get<std::uint64_t>()) : files.end();
    if (!name.is_string() || file == files.end())
      return answer(response, "40004", "no such file or name", nullptr);
    std::size_t waiting = 0;
    for (auto& [id, task] : tasks) {
      if (name == task.name)
        return answer(response, "40005", "a task of this name exists", nullptr);
      if (!*task.done) {
        ++waiting;
      } else {
        task.job->problem = IsingProblem{};  // its answers are all that is needed
      }
    }
    auto job = std::make_shared<MachineJob>();
    job->problem = file->second;
    Task task;
    task.name = name.get<std::string>();
    // What the vendor's terminal has to send on: a number and a comma for each entry.
    job->bytes = 4 * static_cast<std::size_t>(job->problem.width()) *
                 static_cast<std::size_t>(job->problem.width());
    job->reads = kSamples;
    job->keep_all = true;
    job->seed = ++last_id;
    job->done = [done = task.done] { *done = true; };
    task.job = job;
    if (tasks.size() >= kMaxThings || waiting >= kMaxFiles || !machine.submit(job)) {
      return answer(response, "40006", "the queue is full", nullptr);
    }
    const std::uint64_t id = last_id;
    tasks.emplace(id, std::move(task));
    answer(response, "0", "ok", {{"id", id}, {"task_name", name}});
  }

  [[nodiscard]] int status_of(const Task& task) const {
    if (!*task.done) return task.job->started ? 1 : 0;
    return options.fail_tasks || task.job->end != MachineJob::End::solved ? 6 : 5;
  }

  void poll(const httplib::Request& request, httplib::Response& response) {
    const std::string name = request.get_param_value("task_name");
    for (const auto& [id, task] : tasks) {
      if (task.name == name) {
        return answer(response, "0", "ok",
                      {{"id", id}, {"task_name", name}, {"status", status_of(task)}});
      }
    }
    answer(response, "0", "ok", {{"id", 0}, {"task_name", name}, {"status", -1}});
  }

  std::map<std::uint64_t, Task>::iterator task_of(const httplib::Request& request) {
    std::uint64_t id = 0;
    const std::string text = request.matches[1];
    std::from_chars(text.data(), text.data() + text.size(), id);
    return tasks.find(id);
  }

  void fetch(const httplib::Request& request, httplib::Response& response) {
    const auto task = task_of(request);
    if (task == tasks.end() || status_of(task->second) != 5) {
      return answer(response, "40007", "no such finished task", nullptr);
    }
    Json rows = Json::array();
    for (const auto& signs : task->second.job->answers)
      rows.push_back(Json(std::vector<int>(signs.begin(), signs.end())));
    if (options.damage_answers) rows[0][0] = 7;
    answer(response, "0", "ok", {{"id", task->first}, {"out_data", std::move(rows)}});
  }

  void remove(const httplib::Request& request, httplib::Response& response) {
    const auto task = task_of(request);
    if (task == tasks.end()) return answer(response, "40007", "no such task", nullptr);
    machine.cancel(task->second.job);
    tasks.erase(task);
    answer(response, "0", "ok", Json::object());
  }

  using Member = void (Impl::*)(const httplib::Request&, httplib::Response&);
  httplib::Server::Handler guarded(Member handler, bool needs_token = true) {
    return
        [this, handler, needs_token](const httplib::Request& request, httplib::Response& response) {
          if (!needs_token || admitted(request, response)) (this->*handler)(request, response);
        };
  }

  void machine_state(const httplib::Request& request, httplib::Response& response) {
    (void)request;
    answer(response, "0", "ok",
           {{"status", options.machine_status},
            {"name", config.name},
            {"max_spins", config.max_spins}});
  }
};

Result<std::unique_ptr<HttpTerminal>> HttpTerminal::create(const MachineConfig& config,
                                                           const HttpOptions& options,
                                                           Machine& machine) {
  auto impl = std::make_unique<Impl>(config, options, machine);
  httplib::Server& router = impl->router;
  router.set_payload_max_length(impl->max_upload());
  router.Post("/kdev/terminal/login/", impl->guarded(&Impl::login, false));
  router.Get("/kdev/terminal/machine/", impl->guarded(&Impl::machine_state));
  router.Post("/kdev/terminal/upload_file/", impl->guarded(&Impl::upload));
  router.Post("/kdev/terminal/batch-task/", impl->guarded(&Impl::submit));
  router.Get("/kdev/terminal/machine-task/", impl->guarded(&Impl::poll));
  router.Get(R"(/kdev/terminal/task/(\d+)/)", impl->guarded(&Impl::fetch));
  router.Delete(R"(/kdev/terminal/machine-task/(\d+)/)", impl->guarded(&Impl::remove));
  NetworkOptions network;
  network.port = options.port;
  network.max_connections = static_cast<std::size_t>(config.max_connections);
  network.max_buffered = std::max(network.max_buffered, 4 * impl->max_upload());
  network.hello_time = std::chrono::milliseconds(config.hello_ms);
  network.idle_time = std::chrono::milliseconds(config.idle_ms);
  network.verbose = options.verbose;
  QAMA_ASSIGN_OR_RETURN(impl->network, Network::create(network));
  impl->thread = std::thread([raw = impl.get()] { raw->network->run(*raw); });
  return std::unique_ptr<HttpTerminal>(new HttpTerminal(std::move(impl)));
}

HttpTerminal::HttpTerminal(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpTerminal::~HttpTerminal() = default;
std::uint16_t HttpTerminal::port() const noexcept {
  return impl_->network->port();
}

}  // namespace qama::emulator
