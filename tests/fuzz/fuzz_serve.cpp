// Fuzz target: what clients send to `qama serve`. The input's first byte chooses: 0xFF, the rest
// goes to a port as it is, and the server has to answer a good request afterwards; else bits say
// which model and which kind of body, and the parts of the rest are the JSON and what lies behind
// it. A request that is read is as large as it says.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "runtime/serve/protocol.h"
#include "runtime/serve/server.h"
#include "tests/fuzz/fuzz_files.h"
#include "tests/fuzz/fuzz_socket.h"

namespace {

using namespace qama;

constexpr int kPatienceMs = 20000;  // of a request that has to be answered
constexpr int kRawPatienceMs = 2;   // of one that may be none
constexpr std::string_view kReady = "GET /v2/health/ready HTTP/1.1\r\nConnection: close\r\n\r\n";

std::string path_of(const char* name) {
  return QAMA_SMALL_MODELS + std::string("/") + name + ".model.safetensors";
}

struct Taker {
  explicit Taker(const char* name)
      : model(runtime::Model::open(path_of(name)).value()),
        reader(runtime::SampleReader::create(model, name).value()) {}
  std::shared_ptr<const runtime::Model> model;
  runtime::SampleReader reader;
};

struct Port {
  Port() {
    serve::ServerOptions options;
    options.models = {{"image", path_of("linformer-image")}, {"text", path_of("linformer-text")}};
    options.max_body = 65536;
    options.log = [](const std::string&) {};
    server = serve::Server::create(std::move(options)).value();
    if (!thread.start([this] { server->run(); }).ok()) std::abort();
  }
  ~Port() {
    server->drain();
    (void)thread.join().ok();
  }
  std::unique_ptr<serve::Server> server;
  platform::Thread thread;
};

void send_to_port(std::string_view bytes) {
  static Port port;
  std::string got;
  {
    fuzz::Socket raw;
    if (raw.connect(port.server->port()) && raw.send(bytes.data(), bytes.size())) {
      raw.end_writing();
      (void)raw.receive(got, kRawPatienceMs);
    }
  }
  got.clear();
  fuzz::Socket good;
  const bool sent = good.connect(port.server->port()) && good.send(kReady.data(), kReady.size());
  while (sent && got.find("\r\n\r\n") == std::string::npos && good.receive(got, kPatienceMs)) {
  }
  if (!got.starts_with("HTTP/1.1 200 ")) {
    std::fputs("the server does not answer any more\n", stderr);
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::span<const std::uint8_t> rest(data + 1, size - 1);
  if (data[0] == 0xFF) {
    send_to_port(fuzz::text_of(rest));
    return 0;
  }
  static const Taker kTakers[] = {Taker("linformer-image"), Taker("linformer-text")};
  const Taker& taker = kTakers[data[0] & 1U];
  const auto parts = fuzz::parts_of(rest, 2);
  std::string body = fuzz::text_of(parts[0]);
  serve::InferBody request;
  std::string length;
  if (parts.size() > 1) {
    length = std::to_string(body.size());
    body += fuzz::text_of(parts[1]);
  }
  request.header_length = length;
  constexpr std::string_view kTypes[] = {"application/json", "image/png", "text/plain", ""};
  request.content_type = kTypes[data[0] >> 1 & 3U];
  request.bytes = body;
  const auto read = serve::read_request(*taker.model, taker.reader, request);
  if (!read.ok()) {
    if (serve::error_body(read.error()).size() > 4096) std::abort();
    return 0;
  }
  const auto count = static_cast<std::size_t>(read->count);
  const std::size_t values = read->pixels.size() + read->floats.size() + read->tokens.size();
  const std::size_t each = read->kind == serve::InferRequest::Kind::pixels
                               ? taker.model->input_pixels()
                           : read->kind == serve::InferRequest::Kind::floats
                               ? taker.model->input_floats()
                               : static_cast<std::size_t>(taker.model->architecture().max_tokens);
  if (count < 1 || values != count * each) std::abort();
  const std::vector<float> logits(count * static_cast<std::size_t>(taker.model->classes()), 0.5F);
  if (!serve::write_reply(*taker.model, "m", *read, logits).ok()) std::abort();
  return 0;
}
