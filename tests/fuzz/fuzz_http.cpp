// Fuzz target: requests to the emulator's HTTP paths, several on a connection. The input's parts
// are requests: a byte for the path, one for the header, the rest is the body; an empty body of a
// login or a task is a good one. A part whose first byte is 0xFF goes to the port as it is. Every
// request that is well formed has an answer.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "hal/emulator/http_terminal.h"
#include "tests/fuzz/fuzz_files.h"
#include "tests/fuzz/fuzz_socket.h"

namespace {

using namespace qama::emulator;
using Part = std::span<const std::uint8_t>;

constexpr int kPatienceMs = 20000;  // of a request that has to be answered
constexpr int kRawPatienceMs = 2;   // of one that may be none
constexpr std::size_t kMostRequests = 12;

/// A terminal for all inputs: what it remembers is bounded by itself.
struct Server {
  MachineConfig config = [] {
    MachineConfig c;
    c.max_spins = 16;
    c.queue_limit = 8;
    c.dynamics.round_trips = 4;
    return c;
  }();
  std::unique_ptr<Machine> machine = Machine::create(config, false).value();
  HttpOptions options;
  std::unique_ptr<HttpTerminal> terminal = HttpTerminal::create(config, options, *machine).value();
};

Server& server() {
  static Server out;
  return out;
}

class Connection {
 public:
  void close() {
    socket_.close();
    buffer_.clear();
  }
  void end_writing() const { socket_.end_writing(); }
  bool send(std::string_view bytes) {
    if (!socket_.open() && !socket_.connect(server().terminal->port())) return false;
    return socket_.send(bytes.data(), bytes.size());
  }
  /// An answer's body; false if the other end closes or says nothing for so long.
  bool receive(std::string& body, int patience_ms) {
    std::size_t head = 0;
    while ((head = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!socket_.receive(buffer_, patience_ms)) return false;
    }
    const std::size_t at = buffer_.find("Content-Length: ");
    const std::size_t length = at < head ? std::strtoul(buffer_.c_str() + at + 16, nullptr, 10) : 0;
    while (buffer_.size() < head + 4 + length) {
      if (!socket_.receive(buffer_, patience_ms)) return false;
    }
    body = buffer_.substr(head + 4, length);
    const bool closes = buffer_.find("Connection: close") < head;
    buffer_.erase(0, head + 4 + length);
    if (closes) close();
    return true;
  }
  [[nodiscard]] bool timed_out() const { return socket_.timed_out(); }

 private:
  qama::fuzz::Socket socket_;
  std::string buffer_;
};

/// What the next requests need of the answers.
struct Known {
  std::string token = "none";
  std::string id = "0";
  std::string cloud_token = "none", cloud_id = "0";
  void learn(const std::string& body) {
    const auto find = [&body](std::string_view key, std::string_view end, std::string& to) {
      const std::size_t at = body.find(key);
      if (at == std::string::npos) return;
      const std::size_t from = at + key.size();
      to = body.substr(from, body.find_first_of(end, from) - from);
    };
    find(R"("access":")", "\"", token);
    find(R"("token":")", "\"", cloud_token);
    find(R"("task_id":)", ",}", cloud_id);
    find(R"("id":)", ",}", id);
  }
};

std::string request_of(Part part, const Known& known) {
  const unsigned path = part[0] % 12U;
  const unsigned header = part.size() > 1 ? part[1] : 0;
  std::string body = part.size() > 2 ? qama::fuzz::text_of(part.subspan(2)) : std::string();
  std::string line, type = "application/json";
  switch (path) {
    case 0:
      line = "POST /kdev/terminal/login/";
      // The MD5 of "password".
      if (body.empty()) body = R"({"username":"user","pwd":"5f4dcc3b5aa765d61d8327deb882cf99"})";
      break;
    case 1:
      line = "GET /kdev/terminal/machine/?machine_id=0";
      break;
    case 2:
      line = "POST /kdev/terminal/upload_file/";
      type = "multipart/form-data; boundary=X";
      if (body.empty()) body = "0,1\n1,0\n";
      body = "--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n" +
             body + "\r\n--X--\r\n";
      break;
    case 3:
      line = "POST /kdev/terminal/batch-task/";
      if (body.empty())
        body = R"({"data":[{"task_name":"t)" + known.id + R"(","file_id":)" + known.id + "}]}";
      break;
    case 4:
      line = "GET /kdev/terminal/machine-task/?task_name=t" + known.id;
      break;
    case 5:
      line = "GET /kdev/terminal/task/" + known.id + "/";
      break;
    case 6:
      line = "DELETE /kdev/terminal/machine-task/" + known.id + "/";
      break;
    case 7:
      line = "POST /kdev/terminal/upload_file/";
      break;
    case 9:
      line = "POST /sso/access_token/";
      if (body.empty()) body = R"({"user_id":"user","sdk_code":"password"})";
      break;
    case 10: {
      line = "POST /api/system/business/task/";
      type = "multipart/form-data; boundary=X";
      const auto field = [](const std::string& name, const std::string& value) {
        return "--X\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value +
               "\r\n";
      };
      if (body.empty()) body = "0,1\n1,0\n";
      body = field("task_name", "t" + known.cloud_id) + field("is_qubo", "False") +
             field("machine_name", "m") + field("url", body) + "--X--\r\n";
      break;
    }
    case 11:
      line = "GET /api/system/business/task/" + known.cloud_id + "/";
      break;
    default:
      line = "PUT /kdev/terminal/" + std::to_string(header);
      break;
  }
  std::string out = line + " HTTP/1.1\r\nHost: a\r\n";
  if ((header & 1U) == 0)
    out += "Authorization: JWT " + (path > 8 ? known.cloud_token : known.token) + "\r\n";
  if ((header & 2U) != 0) out += "Connection: close\r\n";
  out +=
      "Content-Type: " + type + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  return out + body;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  (void)server();  // it ends after the connection, which it would wait for
  static Connection kept;
  Known known;
  std::string body;
  for (const Part part : qama::fuzz::parts_of({data, size}, kMostRequests)) {
    if (part.empty()) continue;
    if (part[0] == 0xFF) {
      Connection raw;
      if (!raw.send(qama::fuzz::text_of(part.subspan(1)))) continue;
      raw.end_writing();
      (void)raw.receive(body, kRawPatienceMs);
      continue;
    }
    const std::string request = request_of(part, known);
    // A connection has its end; then the request goes out once more, on another.
    bool answered = kept.send(request) && kept.receive(body, kPatienceMs);
    if (!answered && !kept.timed_out()) {
      kept.close();
      answered = kept.send(request) && kept.receive(body, kPatienceMs);
    }
    if (!answered) {
      std::fprintf(stderr, "no answer to: %s\n", request.c_str());
      std::abort();
    }
    known.learn(body);
  }
  return 0;
}
