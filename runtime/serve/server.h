// The server behind `qama serve`: the Open Inference Protocol over HTTP. One thread has the port
// (hal/network): it reads whole requests, answers what is short itself, and hands other inferences
// to the models' threads (served_model.h). What a client sends costs one sentence at most; who
// sends much, slowly or nothing gives way, as hal/network/network.h says.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "hal/base/result.h"
#include "hal/base/secret.h"
#include "hal/network/network.h"
#include "runtime/serve/served_model.h"
#include "weights/model_file.h"

namespace qama::serve {

struct NamedModel {
  std::string name;  ///< in paths
  std::string path;  ///< of the file
};

struct ServerOptions {
  network::NetworkOptions port;
  Secret token;  ///< who asks for anything but the health has to show it; empty: nobody has to
  std::vector<NamedModel> models;
  weights::ModelOptions files;
  ModelOptions model;
  std::size_t max_body = std::size_t{8} << 20;    ///< bytes
  std::chrono::milliseconds request_time{10000};  ///< then a request is answered without its answer
  std::chrono::milliseconds drain_time{10000};    ///< for what is under way when the server ends
  std::string version;
  std::function<void(const std::string&)> log;  ///< a sentence for people
};

class Server {
 public:
  /// The models' errors and the network's; DEVICE_AUTH for a port off this machine without a token.
  [[nodiscard]] static Result<std::unique_ptr<Server>> create(ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept;
  /// Serves until drain(), and answers what is under way. To be called once.
  void run();
  /// From any thread or a signal handler: takes no new connections, answers what is under way, and
  /// ends run().
  void drain() noexcept;
  /// From any thread or a signal handler: reads all model files again. Requests are answered by the
  /// old models until the new ones are there, and for good where a file cannot be used.
  void reload() noexcept;

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace qama::serve
