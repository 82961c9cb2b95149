// A whole request in memory, and room for its answer, in place of a socket: what the HTTP library
// reads from and prints to. For files that are compiled with the library's header.
#pragma once

#include <httplib.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "hal/network/http_head.h"

namespace qama::network {

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

}  // namespace qama::network
