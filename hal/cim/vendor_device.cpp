#include "hal/cim/vendor_device.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "hal/base/quote.h"
#include "hal/cim/address.h"
#include "hal/cim/curl_library.h"
#include "hal/cim/quantise.h"
#include "hal/verify.h"

namespace qama::hal::cim {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kMaxReplyBytes = 64U << 20;
constexpr auto kFirstPoll = milliseconds(5);
constexpr auto kLongestPoll = milliseconds(2000);
constexpr const char* kTokenExpired = "20001";
constexpr std::int32_t kVendorSpins = 550;

double us_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
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

// What the login asks for in place of the password; it protects nothing.
std::string md5(const std::string& text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_Digest(text.data(), text.size(), digest, &size, EVP_md5(), nullptr) != 1) return {};
  return hexadecimal(digest, size);
}

struct VendorOptions {
  std::string base;  // http://HOST:PORT
  std::string user, password, machine_id = "0";
  std::int32_t ancillas = 0;
  std::int32_t timeout_ms = 60000;
};

/// One HTTP connection with a token. One thread at a time. libcurl must be there: open_vendor() has
/// looked.
class Terminal {
 public:
  explicit Terminal(const VendorOptions& options) : options_(options), handle_(curl_.easy_init()) {}
  ~Terminal() {
    curl_.slist_free_all(headers_);
    curl_.easy_cleanup(handle_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void stop() noexcept { stopped_ = true; }
  void start() noexcept { stopped_ = false; }
  [[nodiscard]] bool stopped() const noexcept { return stopped_; }

  Status login(Clock::time_point deadline) {
    const Json body = {{"username", options_.user}, {"pwd", md5(options_.password)}};
    QAMA_ASSIGN_OR_RETURN(const Json data,
                          send("POST", "/kdev/terminal/login/", body.dump(), nullptr, deadline));
    const Json token = data.is_object() ? data.value("token", Json()) : Json();
    const Json access = token.is_object() ? token.value("access", Json()) : Json();
    if (!access.is_string())
      return Error{ErrorCode::device_protocol, "the terminal's login gives no token"};
    curl_.slist_free_all(headers_);
    headers_ =
        curl_.slist_append(nullptr, ("Authorization: JWT " + access.get<std::string>()).c_str());
    user_id_ = data.value("user_id", Json());
    return {};
  }

  /// A request with the token; an expired one is renewed once. The terminal refused the first try,
  /// so that this is safe for requests that must not be made twice.
  Result<Json> ask(const char* method, const std::string& path, const std::string& body,
                   const std::string* upload, Clock::time_point deadline) {
    auto answer = send(method, path, body, upload, deadline);
    if (answer.ok() || !expired_) return answer;
    QAMA_RETURN_IF_ERROR(login(deadline));
    return send(method, path, body, upload, deadline);
  }
  /// Whether the last request may have reached the terminal although it failed here.
  [[nodiscard]] bool in_doubt() const noexcept { return in_doubt_; }
  [[nodiscard]] const Json& user_id() const noexcept { return user_id_; }

 private:
  static std::size_t collect(char* data, std::size_t size, std::size_t count, void* to) {
    auto* reply = static_cast<std::string*>(to);
    if (reply->size() + size * count > kMaxReplyBytes) return 0;
    reply->append(data, size * count);
    return size * count;
  }
  static int watch(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Terminal*>(self)->stopped_ ? 1 : 0;
  }

  Result<Json> send(const char* method, const std::string& path, const std::string& body,
                    const std::string* upload, Clock::time_point deadline) {
    expired_ = false;
    in_doubt_ = false;
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return Error{ErrorCode::deadline_exceeded, "no time left for the terminal"};
    reply_.clear();
    const std::string url = options_.base + path;
    curl_.easy_reset(handle_);
    curl_.easy_setopt(handle_, CURLOPT_URL, url.c_str());
    curl_.easy_setopt(handle_, CURLOPT_NOSIGNAL, 1L);
    curl_.easy_setopt(handle_, CURLOPT_TIMEOUT_MS, static_cast<long>(left));
    curl_.easy_setopt(handle_, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_.easy_setopt(handle_, CURLOPT_FOLLOWLOCATION, 0L);
    curl_.easy_setopt(handle_, CURLOPT_PROXY, "");
    curl_.easy_setopt(handle_, CURLOPT_WRITEFUNCTION, &Terminal::collect);
    curl_.easy_setopt(handle_, CURLOPT_WRITEDATA, &reply_);
    curl_.easy_setopt(handle_, CURLOPT_NOPROGRESS, 0L);
    curl_.easy_setopt(handle_, CURLOPT_XFERINFOFUNCTION, &Terminal::watch);
    curl_.easy_setopt(handle_, CURLOPT_XFERINFODATA, this);
    curl_.easy_setopt(handle_, CURLOPT_CUSTOMREQUEST, method);
    curl_slist* headers = nullptr;
    for (const curl_slist* h = headers_; h != nullptr; h = h->next)
      headers = curl_.slist_append(headers, h->data);
    curl_mime* form = nullptr;
    if (upload != nullptr) {
      form = curl_.mime_init(handle_);
      curl_mimepart* part = curl_.mime_addpart(form);
      curl_.mime_name(part, "file");
      curl_.mime_filename(part, body.c_str());
      curl_.mime_type(part, "text/csv");
      curl_.mime_data(part, upload->data(), upload->size());
      curl_.easy_setopt(handle_, CURLOPT_MIMEPOST, form);
    } else if (!body.empty()) {
      headers = curl_.slist_append(headers, "Content-Type: application/json");
      curl_.easy_setopt(handle_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
      curl_.easy_setopt(handle_, CURLOPT_POSTFIELDS, body.c_str());
    }
    curl_.easy_setopt(handle_, CURLOPT_HTTPHEADER, headers);
    const CURLcode code = curl_.easy_perform(handle_);
    curl_.mime_free(form);
    curl_.slist_free_all(headers);
    if (code != CURLE_OK) {
      in_doubt_ = code != CURLE_COULDNT_CONNECT && code != CURLE_COULDNT_RESOLVE_HOST;
      if (code == CURLE_ABORTED_BY_CALLBACK)
        return Error{ErrorCode::cancelled, "the job was cancelled"};
      const ErrorCode kind = code == CURLE_OPERATION_TIMEDOUT ? ErrorCode::deadline_exceeded
                             : code == CURLE_PEER_FAILED_VERIFICATION
                                 ? ErrorCode::device_auth
                                 : ErrorCode::device_unavailable;
      return Error{kind,
                   "the terminal at " + quote(options_.base) + ": " + curl_.easy_strerror(code)};
    }
    long status = 0;
    curl_.easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status);
    const Json json = Json::parse(reply_, nullptr, false);
    if (!json.is_object() || !json.contains("code")) {
      return Error{ErrorCode::device_protocol, "the terminal answers " + quote(path) +
                                                   " with HTTP status " + std::to_string(status) +
                                                   " and no envelope"};
    }
    const Json& result = json["code"];
    const std::string text = result.is_string() ? result.get<std::string>() : result.dump();
    if (text != "0") {
      expired_ = text == kTokenExpired;
      const Json message = json.value("msg", Json());
      return Error{expired_ ? ErrorCode::device_auth : ErrorCode::device_unavailable,
                   "the terminal refuses " + quote(path) + " with code " + quote(text) + ": " +
                       quote(message.is_string() ? message.get<std::string>() : "")};
    }
    return json.value("data", Json());
  }

  const VendorOptions& options_;
  const CurlLibrary& curl_ = *curl_library();
  CURL* handle_;
  curl_slist* headers_ = nullptr;  // the token
  std::string reply_;
  Json user_id_;
  bool expired_ = false, in_doubt_ = false;
  std::atomic<bool> stopped_{false};
};

Status machine_available(Terminal& terminal, const VendorOptions& options,
                         Clock::time_point deadline, DeviceState& state, std::string& detail,
                         bool& emulated) {
  QAMA_ASSIGN_OR_RETURN(
      const Json data,
      terminal.ask("GET", "/kdev/terminal/machine/?machine_id=" + options.machine_id, "", nullptr,
                   deadline));
  constexpr std::array kNames = {"is shut down", "is available", "is being debugged", "is faulty",
                                 "tests itself"};
  constexpr std::array kStates = {DeviceState::unreachable, DeviceState::available,
                                  DeviceState::busy, DeviceState::faulty, DeviceState::calibrating};
  const Json status = data.is_object() ? data.value("status", Json()) : Json();
  if (!status.is_number_integer() || status.get<std::int64_t>() < 0 ||
      status.get<std::int64_t>() > 4) {
    return Error{ErrorCode::device_protocol, "the terminal does not say its machine's status"};
  }
  const auto index = status.get<std::size_t>();
  state = kStates[index];
  detail = std::string("machine ") + options.machine_id + " " + kNames[index];
  emulated = data.value("is_emulated", Json()) == true;
  return {};
}

class VendorSolver final : public Solver {
 public:
  VendorSolver(const VendorOptions& options, bool emulated)
      : options_(options), emulated_(emulated), terminal_(options_) {}

  Status prepare(const ProblemShape& shape) {
    QuantiseOptions quantise;
    quantise.max_spins = kVendorSpins;
    quantise.ancillas = options_.ancillas;
    QAMA_ASSIGN_OR_RETURN(quantiser_, Quantiser::create(shape, quantise));
    QAMA_ASSIGN_OR_RETURN(verifier_, Verifier::create(shape));
    shape_ = shape;
    const auto words = static_cast<std::size_t>(shape.heads) * words_per_head(shape.tokens);
    candidate_.resize(words);
    return terminal_.login(Clock::now() + milliseconds(options_.timeout_ms));
  }

  Status submit(std::int32_t slot, const Problem& any, const SolveOptions& options) override {
    if (slot != 0 || pending_) {
      return Error{ErrorCode::invalid_argument,
                   "slot " + std::to_string(slot) + ", expected 0 and that it is free"};
    }
    const auto* dense = std::get_if<DenseView>(&any);
    // Too many tokens are the quantiser's error, PROBLEM_TOO_LARGE.
    if (dense == nullptr || dense->shape.heads != shape_.heads) return check_fits(shape_, any);
    const DenseView& problem = *dense;
    terminal_.start();
    start_ = Clock::now();
    timing_ = {};
    QAMA_RETURN_IF_ERROR(quantiser_.run(problem));
    timing_.quantise_us = us_since(start_);
    const Clock::time_point encode_start = Clock::now();
    const std::int32_t width = quantiser_.block().spins();
    matrix_.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(width));
    quantiser_.expand(matrix_);
    const std::string csv = matrix_csv(matrix_, width);
    timing_.encode_us = us_since(encode_start);
    deadline_ = start_ + (options.deadline_us > 0
                              ? std::chrono::microseconds(options.deadline_us)
                              : std::chrono::microseconds(options_.timeout_ms * 1000LL));
    const Clock::time_point send_start = Clock::now();
    unsigned char random[12];
    if (RAND_bytes(random, sizeof random) != 1)
      return Error{ErrorCode::internal, "no random numbers"};
    task_name_ = "qama-" + hexadecimal(random, sizeof random);
    QAMA_ASSIGN_OR_RETURN(const Json file, terminal_.ask("POST", "/kdev/terminal/upload_file/",
                                                         task_name_ + ".csv", &csv, deadline_));
    const Json file_id = file.is_object() ? file.value("id", Json()) : Json();
    if (!file_id.is_number_integer()) {
      return Error{ErrorCode::device_protocol, "the terminal does not name the uploaded file"};
    }
    const Json body = {{"data",
                        {{{"priority", 1},
                          {"machine_id", options_.machine_id},
                          {"task_name", task_name_},
                          {"user_id", terminal_.user_id()},
                          {"file_id", file_id},
                          {"csv_name", task_name_ + ".csv"}}}}};
    // Not idempotent: sent once. If it is in doubt whether it arrived, the poll by its name will
    // tell.
    auto sent =
        terminal_.ask("POST", "/kdev/terminal/batch-task/", body.dump(), nullptr, deadline_);
    if (!sent.ok() && !terminal_.in_doubt()) return sent.error();
    timing_.send_us = us_since(send_start);
    problem_ = problem;
    pending_ = true;
    return {};
  }

  Status wait(std::int32_t slot, std::span<std::uint64_t> spins, SolveResult& result) override {
    if (slot != 0 || !pending_) {
      return Error{ErrorCode::invalid_argument,
                   "slot " + std::to_string(slot) + " has no job to wait for"};
    }
    pending_ = false;
    auto done = finish(spins, result);
    // The terminal keeps tasks until told otherwise; that this fails now and then is no reason to
    // lose an answer.
    if (task_id_ > 0) {
      terminal_.start();
      (void)terminal_
          .ask("DELETE", "/kdev/terminal/machine-task/" + std::to_string(task_id_) + "/", "",
               nullptr, Clock::now() + milliseconds(1000))
          .ok();
    }
    task_id_ = 0;
    return done;
  }

  void cancel(std::int32_t) noexcept override { terminal_.stop(); }

 private:
  Status finish(std::span<std::uint64_t> spins, SolveResult& result) {
    auto pause = std::chrono::duration_cast<milliseconds>(kFirstPoll);
    const Clock::time_point polling = Clock::now();
    while (true) {
      QAMA_ASSIGN_OR_RETURN(
          const Json data,
          terminal_.ask("GET", "/kdev/terminal/machine-task/?task_name=" + task_name_, "", nullptr,
                        deadline_));
      const Json status = data.is_object() ? data.value("status", Json()) : Json();
      const Json id = data.is_object() ? data.value("id", Json()) : Json();
      if (!status.is_number_integer())
        return Error{ErrorCode::device_protocol, "the terminal does not say a task's status"};
      if (id.is_number_integer()) task_id_ = id.get<std::int64_t>();
      const auto number = status.get<std::int64_t>();
      if (number == 5) break;
      if (number == 6)
        return Error{ErrorCode::device_lost, "the machine failed at task " + quote(task_name_)};
      if (number != 0 && number != 1) {
        return Error{ErrorCode::device_lost, "the terminal does not know task " +
                                                 quote(task_name_) + " (status " +
                                                 std::to_string(number) + ")"};
      }
      if (terminal_.stopped()) return Error{ErrorCode::cancelled, "the job was cancelled"};
      if (Clock::now() + pause >= deadline_) {
        return Error{ErrorCode::deadline_exceeded,
                     "task " + quote(task_name_) + " is not done in time"};
      }
      std::this_thread::sleep_for(pause);
      pause = std::min(2 * pause, std::chrono::duration_cast<milliseconds>(kLongestPoll));
    }
    timing_.queue_us = us_since(polling);
    const Clock::time_point fetch_start = Clock::now();
    QAMA_ASSIGN_OR_RETURN(
        const Json data,
        terminal_.ask("GET", "/kdev/terminal/task/" + std::to_string(task_id_) + "/", "", nullptr,
                      deadline_));
    timing_.network_us = us_since(fetch_start);
    const Clock::time_point verify_start = Clock::now();
    const Json rows = data.is_object() ? data.value("out_data", Json()) : Json();
    if (!rows.is_array() || rows.empty())
      return Error{ErrorCode::device_bad_answer, "the terminal's answer has no samples"};
    bool found = false;
    Error why{ErrorCode::device_bad_answer, ""};
    result = SolveResult{};
    for (const Json& row : rows) {
      auto unpacked = unpack(row);
      std::int64_t energy = 0;
      if (unpacked.ok()) unpacked = verifier_.check_and_price(problem_, candidate_, energy);
      if (!unpacked.ok()) {
        why = unpacked.error();
        continue;
      }
      if (!found || energy < result.energy) {
        found = true;
        result.energy = energy;
        if (spins.size() < words_used_)
          return Error{ErrorCode::invalid_argument, "no room for the spins"};
        std::copy_n(candidate_.begin(), words_used_, spins.begin());
      }
    }
    if (!found) return why;
    result.restarts = static_cast<std::int32_t>(std::min<std::size_t>(rows.size(), 1U << 20));
    result.solved_by = emulated_ ? "qboson:emulated" : "qboson";
    timing_.verify_us = us_since(verify_start);
    timing_.total_us = us_since(start_);
    timing_.modelled = emulated_;
    result.timing = timing_;
    return {};
  }

  /// A sample as the vendor gives it into candidate_: numbers +1 and -1, flipped so that the
  /// ancillas are +1.
  Status unpack(const Json& row) {
    const BlockProblem& block = quantiser_.block();
    const auto width = static_cast<std::size_t>(block.spins());
    if (!row.is_array() || row.size() != width) {
      return Error{ErrorCode::device_bad_answer, "a sample of " + std::to_string(row.size()) +
                                                     " spins, expected " + std::to_string(width)};
    }
    packed_.assign((width + 7) / 8, 0);
    const std::size_t first_ancilla = width - static_cast<std::size_t>(block.ancillas);
    const bool flip = row[first_ancilla] == -1;
    for (std::size_t i = 0; i < width; ++i) {
      if (row[i] != 1 && row[i] != -1) {
        return Error{ErrorCode::device_bad_answer,
                     "a sample holds " + quote(row[i].dump()) + ", expected 1 or -1"};
      }
      if ((row[i] == 1) != flip)
        packed_[i / 8] = static_cast<std::uint8_t>(packed_[i / 8] | (1U << (i % 8)));
    }
    words_used_ = static_cast<std::size_t>(block.shape.heads) * words_per_head(block.shape.tokens);
    return unpack_spins(block, packed_, candidate_);
  }

  const VendorOptions options_;
  const bool emulated_;
  Terminal terminal_;
  Quantiser quantiser_;
  Verifier verifier_;
  ProblemShape shape_;
  DenseView problem_;
  std::vector<std::int8_t> matrix_;
  std::vector<std::uint8_t> packed_;
  std::vector<std::uint64_t> candidate_;
  std::size_t words_used_ = 0;
  std::string task_name_;
  std::int64_t task_id_ = 0;
  Clock::time_point start_, deadline_;
  SolveTiming timing_;
  bool pending_ = false;
};

class VendorDevice final : public Device {
 public:
  explicit VendorDevice(VendorOptions options)
      : options_(std::move(options)), terminal_(options_) {}

  Status start(const std::string& uri) {
    const Clock::time_point deadline = Clock::now() + milliseconds(options_.timeout_ms);
    QAMA_RETURN_IF_ERROR(terminal_.login(deadline));
    DeviceState state{};
    std::string detail;
    bool emulated = false;
    QAMA_RETURN_IF_ERROR(machine_available(terminal_, options_, deadline, state, detail, emulated));
    if (state != DeviceState::available) return Error{ErrorCode::device_unavailable, detail};
    info_.uri = uri;
    info_.name = "QBoson terminal, machine " + options_.machine_id;
    info_.detail = "the vendor's HTTP interface: seconds a job";
    info_.max_spins = kVendorSpins;
    info_.coupling_bits = 8;
    info_.encodings = {"csv"};
    info_.is_emulated = emulated;
    info_.deterministic = false;
    return {};
  }
  const DeviceInfo& info() const noexcept override { return info_; }
  Result<DeviceHealth> probe() override {
    const std::lock_guard lock(mutex_);
    DeviceHealth health;
    bool emulated = false;
    const Clock::time_point start = Clock::now();
    auto asked = machine_available(terminal_, options_, start + milliseconds(5000), health.state,
                                   health.detail, emulated);
    if (!asked.ok()) {
      health.state = DeviceState::unreachable;
      health.detail = asked.error().message;
    }
    health.round_trip_us = us_since(start);
    return health;
  }
  Status supports(const Workload& workload) const override {
    QAMA_RETURN_IF_ERROR(check_workload(info_, workload));
    const ProblemShape& shape = workload.shape;
    if (shape.spins() + std::max(options_.ancillas, 1) > kVendorSpins) {
      return Error{ErrorCode::problem_too_large,
                   "a layer of " + std::to_string(shape.spins()) +
                       " spins, the machine has 550 with the ancillas"};
    }
    return {};
  }
  Result<std::unique_ptr<Solver>> compile(const Workload& workload) override {
    QAMA_RETURN_IF_ERROR(supports(workload));
    auto solver = std::make_unique<VendorSolver>(options_, info_.is_emulated);
    QAMA_RETURN_IF_ERROR(solver->prepare(workload.shape));
    return std::unique_ptr<Solver>(std::move(solver));
  }

 private:
  const VendorOptions options_;
  std::mutex mutex_;
  Terminal terminal_;
  DeviceInfo info_;
};

Result<std::shared_ptr<Device>> open_vendor(std::string_view rest, bool tls) {
  const auto bad = [&](const std::string& what) {
    return Error{ErrorCode::device_unknown, "device address " + quote(rest) + ": " + what};
  };
  if (curl_library() == nullptr)
    return Error{ErrorCode::unsupported, "libcurl.so.4 cannot be loaded, or does not start"};
  VendorOptions options;
  const std::size_t question = std::min(rest.find('?'), rest.size());
  const std::string_view address = rest.substr(0, question);
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0 ||
      address.find_first_of("/@#\\ ") != std::string_view::npos) {
    return bad("expected HOST:PORT");
  }
  const std::string_view host = address.substr(0, colon);
  if (!tls && host != "127.0.0.1" && host != "localhost" && host != "[::1]") {
    return Error{ErrorCode::device_auth,
                 "host " + quote(host) +
                     " is not loopback: plain HTTP is refused there, expected qboson+https://"};
  }
  options.base = (tls ? "https://" : "http://") + std::string(address);
  const std::string_view query =
      question < rest.size() ? rest.substr(question + 1) : std::string_view{};
  std::string password_file;
  const auto refused = refused_option(query, [&](std::string_view key, std::string_view value) {
    if (key == "ancillas") return number_in(value, 0, kMaxAncillas, options.ancillas);
    if (key == "timeout_ms") return number_in(value, 1, 3'600'000, options.timeout_ms);
    if (key == "machine_id") {
      options.machine_id = std::string(value);
      return !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '-' || c == '_';
      });
    }
    std::string* text = key == "user"            ? &options.user
                        : key == "password_file" ? &password_file
                                                 : nullptr;
    if (text != nullptr) *text = std::string(value);
    return text != nullptr;
  });
  if (refused) {
    // Without the value, which may be a secret in the wrong place.
    return bad("option " + quote(refused->substr(0, refused->find('='))) +
               " is unknown or out of range");
  }
  if (!password_file.empty()) {
    std::ifstream stream(password_file);
    if (!std::getline(stream, options.password)) {
      return Error{ErrorCode::io_error,
                   "password file " + quote(password_file) + " cannot be read"};
    }
  } else if (const char* password = std::getenv("QAMA_QBOSON_PASSWORD")) {
    options.password = password;
  }
  if (options.user.empty() || options.password.empty()) {
    return Error{ErrorCode::device_auth,
                 "the terminal needs '?user=NAME' and a password in '&password_file=FILE' or in "
                 "QAMA_QBOSON_PASSWORD"};
  }
  auto device = std::make_shared<VendorDevice>(std::move(options));
  QAMA_RETURN_IF_ERROR(
      device->start((tls ? "qboson+https://" : "qboson+http://") + std::string(rest)));
  return std::shared_ptr<Device>(std::move(device));
}

}  // namespace

Result<std::shared_ptr<Device>> open_qboson_http_device(std::string_view rest) {
  return open_vendor(rest, false);
}
Result<std::shared_ptr<Device>> open_qboson_https_device(std::string_view rest) {
  return open_vendor(rest, true);
}

}  // namespace qama::hal::cim
