#include "hal/network/http_request.h"

#include "hal/network/http_exchange.h"

namespace qama::network {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// The library hands over each request before it looks for a handler or reads a body.
class Router final : public httplib::Server {
 public:
  Router() {
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response&) {
      HttpRequest out;
      out.method = request.method;
      out.path = request.path;
      out.content_type = request.get_header_value("Content-Type");
      out.content_type.resize(
          std::min(out.content_type.find_first_of("; \t"), out.content_type.size()));
      for (char& c : out.content_type) c = lower(c);
      out.inference_header = request.get_header_value("Inference-Header-Content-Length");
      out.sample_index = request.get_param_value("sample_index");
      out.timeout = request.get_param_value("timeout");
      taken_ = std::move(out);
      return HandlerResponse::Handled;
    });
  }

  std::optional<HttpRequest> take(std::string_view head) {
    taken_.reset();
    Exchange exchange(head);
    bool closed = false;
    const auto set_up = [](httplib::Request& request) { request.headers.erase("Expect"); };
    const bool stays = process_request(exchange, false, closed, set_up) && !closed;
    if (taken_) taken_->closes = !stays;
    return std::move(taken_);
  }

 private:
  std::optional<HttpRequest> taken_;
};

class LibraryReader final : public HttpReader {
 public:
  std::optional<HttpRequest> read(std::string_view head, std::string_view body) override {
    auto out = router_.take(head);
    if (out) out->body = body;
    return out;
  }

 private:
  Router router_;
};

}  // namespace
}  // namespace qama::network

/// What http_library.cpp looks for. The caller owns the reader.
extern "C" __attribute__((visibility("default"))) qama::network::HttpReader*
qama_network_new_http_reader() {
  return new qama::network::LibraryReader;
}
