// Public: the paths, the field names in them, status numbers, the envelope {code, msg, data}, codes
// 0 and 20001. Assumed: what upload and batch-task say besides (`id`, `task_name`), out_data as
// rows of 1 and -1 with the last spin the ancilla at +1, ten samples a task, "is_emulated" in every
// data object.
#include "hal/emulator/http_terminal.h"

#include <charconv>
#include <map>
#include <optional>

#include "hal/emulator/http_cloud.h"
#include "hal/emulator/http_support.h"
#include "hal/network/http_exchange.h"
#include "hal/network/network.h"
#include "hal/platform/thread.h"

namespace qama::emulator {

using network::Connection;
using network::Network;
using network::NetworkOptions;
using network::PeerHandler;

namespace {

using network::Exchange;
using network::kMaxHeadBytes;
using network::read_head;

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
  platform::Thread thread;
  FaultPlan faults;
  HttpFate fate;  // of the reply at hand
  SubmitCounts submits;
  HttpCloud cloud;
  HttpTokens tokens;
  std::map<std::uint64_t, IsingProblem> files;
  std::map<std::uint64_t, Task> tasks;
  std::uint64_t last_id = 0;

  Impl(const MachineConfig& c, const HttpOptions& o, Machine& m, FaultPlan f)
      : config(c),
        options(o),
        machine(m),
        faults(std::move(f)),
        cloud(config, options, machine, faults, fate, submits),
        tokens(options.token_requests, faults) {}
  ~Impl() override {
    end();
    for (auto& [id, task] : tasks) machine.cancel(task.job);
  }

  void end() {
    if (network) network->stop();
    (void)thread.join().ok();
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
      std::string_view token = head->authorization;
      token.remove_prefix(token.starts_with("JWT ") ? 4 : token.size());
      const bool known = tokens.knows(token) || cloud.knows(token);
      if (head->bad) return refuse(from, "411 Length Required");
      // A token that is over: its owner has to hear so, whatever the size, and logs in again.
      if (!known && !token.empty() && head->body > kMaxJsonBytes && head->body <= max_upload())
        return refuse(from, "200 OK", envelope("20001", "token expired", nullptr));
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
      fate = {};
      const bool stays = router.answer(exchange);
      // Who has a token keeps a place; who has none any more does not.
      from.kind = known ? Connection::Kind::data : Connection::Kind::unknown;
      from.in.erase(from.in.begin(), from.in.begin() + static_cast<std::ptrdiff_t>(size));
      const std::string_view text = exchange.reply();
      if (fate.lost) return network->end(from);
      if (fate.later.count() > 0) {
        network->send_later(from, network::Bytes(text.begin(), text.end()),
                            network::Clock::now() + fate.later);
        continue;
      }
      say(from, text);
      if (!stays) network->end(from);
    }
  }
  void on_wake() override {}
  void on_tick() override {}
  [[nodiscard]] bool may_close(const Connection&) const override { return true; }
  void on_closed(const Connection&) noexcept override {}

  void say(Connection& to, std::string_view text) {
    network->send(to,
                  network::View(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
  }
  void refuse(Connection& to, const std::string& why, const std::string& body = {}) {
    say(to, "HTTP/1.1 " + why + "\r\nContent-Length: " + std::to_string(body.size()) +
                "\r\nConnection: close\r\n\r\n" + body);
    network->end(to);
  }

  // ---- the handlers ----

  bool admitted(const httplib::Request& request, httplib::Response& response) {
    if (tokens.admits(request)) return true;
    answer(response, "20001", "token expired", nullptr);
    return false;
  }

  void login(const httplib::Request& request, httplib::Response& response) {
    const Json body = body_of(request);
    if (member(body, "username") != options.user ||
        member(body, "pwd") != md5(options.password.view())) {
      return answer(response, "10001", "wrong user or password", nullptr);
    }
    answer(response, "0", "ok", {{"token", {{"access", tokens.make()}}}, {"user_id", 1}});
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
    submits.add(name.get<std::string>());
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
    fate.lost = faults.strikes(FaultKind::submit_lost);
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
                                                           Machine& machine, FaultPlan faults) {
  auto impl = std::make_unique<Impl>(config, options, machine, std::move(faults));
  httplib::Server& router = impl->router;
  router.set_payload_max_length(impl->max_upload());
  router.Post("/kdev/terminal/login/", impl->guarded(&Impl::login, false));
  router.Get("/kdev/terminal/machine/", impl->guarded(&Impl::machine_state));
  router.Post("/kdev/terminal/upload_file/", impl->guarded(&Impl::upload));
  router.Post("/kdev/terminal/batch-task/", impl->guarded(&Impl::submit));
  router.Get("/kdev/terminal/machine-task/", impl->guarded(&Impl::poll));
  router.Get(R"(/kdev/terminal/task/(\d+)/)", impl->guarded(&Impl::fetch));
  router.Delete(R"(/kdev/terminal/machine-task/(\d+)/)", impl->guarded(&Impl::remove));
  impl->cloud.add_to(router);
  NetworkOptions network;
  network.port = options.port;
  network.tls = options.tls;
  network.max_connections = static_cast<std::size_t>(config.max_connections);
  network.max_buffered = std::max(network.max_buffered, 4 * impl->max_upload());
  network.hello_time = std::chrono::milliseconds(config.hello_ms);
  network.idle_time = std::chrono::milliseconds(config.idle_ms);
  network.verbose = options.verbose;
  QAMA_ASSIGN_OR_RETURN(impl->network, Network::create(network));
  QAMA_RETURN_IF_ERROR(impl->thread.start([raw = impl.get()] { raw->network->run(*raw); }));
  return std::unique_ptr<HttpTerminal>(new HttpTerminal(std::move(impl)));
}

HttpTerminal::HttpTerminal(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpTerminal::~HttpTerminal() = default;
std::uint16_t HttpTerminal::port() const noexcept {
  return impl_->network->port();
}
HttpCounts HttpTerminal::end() {
  impl_->end();
  return {impl_->tokens.made() + impl_->cloud.logins(), impl_->submits.all,
          impl_->submits.names.size(), impl_->submits.most, impl_->faults};
}

}  // namespace qama::emulator
