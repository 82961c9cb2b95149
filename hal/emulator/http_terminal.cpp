// Public: the paths, the field names in them, status numbers, the envelope {code, msg, data}, codes
// 0 and 20001. Assumed: what upload and batch-task say besides (`id`, `task_name`), out_data as
// rows of 1 and -1 with the last spin the ancilla at +1, ten samples a task, "is_emulated" in every
// data object.
#include "hal/emulator/http_terminal.h"

#include <httplib.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <charconv>
#include <map>
#include <mutex>
#include <thread>

#include "hal/base/strict_json.h"

namespace qama::emulator {
namespace {

// A request's body; null if it is not what a client sends.
Json body_of(const httplib::Request& request) {
  auto body = parse_json(request.body, {.what = "body",
                                        .code = ErrorCode::invalid_argument,
                                        .twice = ErrorCode::invalid_argument,
                                        .max_bytes = std::size_t{1} << 20,
                                        .max_depth = 8,
                                        .max_values = 1024});
  return body.ok() ? std::move(body).value() : Json();
}
constexpr std::size_t kMaxBodyBytes = 16U << 20;
constexpr std::size_t kMaxThings = 1024;  // files and tasks that are kept
constexpr int kSamples = 10;

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
std::string md5(const std::string& text) {
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

}  // namespace

struct HttpTerminal::Impl {
  struct Task {
    std::string name;
    std::shared_ptr<MachineJob> job;
    std::shared_ptr<std::atomic<bool>> done = std::make_shared<std::atomic<bool>>(false);
  };

  MachineConfig config;
  HttpOptions options;
  Machine& machine;
  httplib::Server server;
  std::thread thread;
  int port = 0;
  std::mutex mutex;
  std::map<std::string, int> tokens;  // requests made with each
  std::map<std::uint64_t, std::string> files;
  std::map<std::uint64_t, Task> tasks;
  std::uint64_t last_id = 0;

  Impl(const MachineConfig& c, const HttpOptions& o, Machine& m)
      : config(c), options(o), machine(m) {}
  ~Impl() {
    server.stop();
    if (thread.joinable()) thread.join();
    for (auto& [id, task] : tasks) machine.cancel(task.job);
  }

  static void answer(httplib::Response& response, const std::string& code, const std::string& text,
                     Json data) {
    if (data.is_object()) data["is_emulated"] = true;
    response.set_content(Json{{"code", code}, {"msg", text}, {"data", std::move(data)}}.dump(),
                         "application/json");
  }

  bool admitted(const httplib::Request& request, httplib::Response& response) {
    const std::string header = request.get_header_value("Authorization");
    const auto token = header.rfind("JWT ", 0) == 0 ? tokens.find(header.substr(4)) : tokens.end();
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
    if (!body.is_object() || body.value("username", Json()) != options.user ||
        body.value("pwd", Json()) != md5(options.password)) {
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
    if (files.size() >= kMaxThings) files.erase(files.begin());
    const std::uint64_t id = ++last_id;
    files[id] = file.content;
    answer(response, "0", "ok", {{"id", id}, {"name", file.filename}, {"creator", options.user}});
  }

  void submit(const httplib::Request& request, httplib::Response& response) {
    const Json body = body_of(request);
    const Json list = body.is_object() ? body.value("data", Json()) : Json();
    if (!list.is_array() || list.size() != 1 || !list[0].is_object()) {
      return answer(response, "40003", "expected a list of one task", nullptr);
    }
    const Json name = list[0].value("task_name", Json());
    const Json file_id = list[0].value("file_id", Json());
    const auto file =
        file_id.is_number_unsigned() ? files.find(file_id.get<std::uint64_t>()) : files.end();
    if (!name.is_string() || file == files.end())
      return answer(response, "40004", "no such file or name", nullptr);
    for (const auto& [id, task] : tasks) {
      if (task.name == name)
        return answer(response, "40005", "a task of this name exists", nullptr);
    }
    auto job = std::make_shared<MachineJob>();
    if (!parse_csv(file->second, config.max_spins, job->problem)) {
      return answer(response, "40002", "the file is no matrix any more", nullptr);
    }
    Task task;
    task.name = name.get<std::string>();
    job->bytes = file->second.size();
    job->reads = kSamples;
    job->keep_all = true;
    job->seed = ++last_id;
    job->done = [done = task.done] { *done = true; };
    task.job = job;
    if (tasks.size() >= kMaxThings || !machine.submit(job)) {
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
  httplib::Server::Handler guarded(Member member, bool needs_token = true) {
    return
        [this, member, needs_token](const httplib::Request& request, httplib::Response& response) {
          const std::lock_guard lock(mutex);
          if (!needs_token || admitted(request, response)) (this->*member)(request, response);
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
  httplib::Server& server = impl->server;
  server.set_payload_max_length(kMaxBodyBytes);
  server.set_read_timeout(5);
  server.set_keep_alive_max_count(1000);
  server.new_task_queue = [] { return new httplib::ThreadPool(2); };
  server.Post("/kdev/terminal/login/", impl->guarded(&Impl::login, false));
  server.Get("/kdev/terminal/machine/", impl->guarded(&Impl::machine_state));
  server.Post("/kdev/terminal/upload_file/", impl->guarded(&Impl::upload));
  server.Post("/kdev/terminal/batch-task/", impl->guarded(&Impl::submit));
  server.Get("/kdev/terminal/machine-task/", impl->guarded(&Impl::poll));
  server.Get(R"(/kdev/terminal/task/(\d+)/)", impl->guarded(&Impl::fetch));
  server.Delete(R"(/kdev/terminal/machine-task/(\d+)/)", impl->guarded(&Impl::remove));
  if (options.port != 0) {
    impl->port = server.bind_to_port("127.0.0.1", options.port) ? options.port : -1;
  } else {
    impl->port = server.bind_to_any_port("127.0.0.1");
  }
  if (impl->port <= 0) {
    return Error{ErrorCode::io_error,
                 "HTTP port " + std::to_string(options.port) + " cannot be opened"};
  }
  impl->thread = std::thread([raw = impl.get()] { raw->server.listen_after_bind(); });
  return std::unique_ptr<HttpTerminal>(new HttpTerminal(std::move(impl)));
}

HttpTerminal::HttpTerminal(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpTerminal::~HttpTerminal() = default;
std::uint16_t HttpTerminal::port() const noexcept {
  return static_cast<std::uint16_t>(impl_->port);
}

}  // namespace qama::emulator
