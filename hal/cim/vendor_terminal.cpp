#include "hal/cim/vendor_terminal.h"

#include "hal/base/quote.h"
#include "hal/base/sentence.h"

namespace qama::hal::cim {
namespace {

constexpr std::size_t kMaxReplyBytes = 64U << 20;

std::size_t collect(char* data, std::size_t size, std::size_t count, void* to) {
  auto* reply = static_cast<std::string*>(to);
  if (reply->size() + size * count > kMaxReplyBytes) return 0;
  reply->append(data, size * count);
  return size * count;
}

int watch(void* terminal, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Terminal*>(terminal)->stopped() ? 1 : 0;
}

}  // namespace

Terminal::Terminal(const VendorOptions& options)
    : options_(options), curl_(*curl_library()), handle_(curl_.easy_init()) {}

Terminal::~Terminal() {
  curl_.slist_free_all(token_);
  curl_.easy_cleanup(handle_);
}

Status Terminal::login(TimePoint deadline) {
  QAMA_ASSIGN_OR_RETURN(const Json data, send({"POST", "/kdev/terminal/login/",
                                               login_body(options_.user, options_.password)},
                                              deadline));
  const Json access = member(member(data, "token"), "access");
  if (!access.is_string())
    return Error{ErrorCode::device_protocol, "the terminal's login gives no token"};
  curl_.slist_free_all(token_);
  token_ = curl_.slist_append(nullptr, ("Authorization: JWT " + access.get<std::string>()).c_str());
  user_id_ = member(data, "user_id");
  return {};
}

Result<MachineStatus> Terminal::machine_status(TimePoint deadline) {
  QAMA_ASSIGN_OR_RETURN(
      const Json data,
      ask({"GET", "/kdev/terminal/machine/?machine_id=" + options_.machine_id}, deadline));
  return read_machine_status(data);
}

Result<Json> Terminal::upload(const std::string& name, const std::string& csv, TimePoint deadline) {
  QAMA_ASSIGN_OR_RETURN(const Json data,
                        ask({"POST", "/kdev/terminal/upload_file/", name, &csv}, deadline));
  Json id = member(data, "id");
  if (!id.is_number_integer())
    return Error{ErrorCode::device_protocol, "the terminal does not name the uploaded file"};
  return id;
}

Status Terminal::submit(const std::string& task_name, const Json& file_id, TimePoint deadline) {
  const auto sent = ask({"POST", "/kdev/terminal/batch-task/",
                         task_body(options_.machine_id, task_name, user_id_, file_id)},
                        deadline);
  if (!sent.ok() && !in_doubt_) return sent.error();
  return {};
}

Result<TaskStatus> Terminal::poll(const std::string& task_name, TimePoint deadline) {
  QAMA_ASSIGN_OR_RETURN(
      const Json data,
      ask({"GET", "/kdev/terminal/machine-task/?task_name=" + task_name}, deadline));
  return read_task_status(data);
}

Result<Json> Terminal::fetch(std::int64_t task_id, TimePoint deadline) {
  QAMA_ASSIGN_OR_RETURN(const Json data,
                        ask({"GET", sentence("/kdev/terminal/task/", task_id, "/")}, deadline));
  Json samples = member(data, "out_data");
  if (!samples.is_array() || samples.empty())
    return Error{ErrorCode::device_bad_answer, "the terminal's answer has no samples"};
  return samples;
}

void Terminal::remove(std::int64_t task_id, TimePoint deadline) {
  (void)ask({"DELETE", sentence("/kdev/terminal/machine-task/", task_id, "/")}, deadline).ok();
}

// The terminal refused the first try, so that a second is safe for requests that must not be made
// twice.
Result<Json> Terminal::ask(const Request& request, TimePoint deadline) {
  auto answer = send(request, deadline);
  if (answer.ok() || !expired_) return answer;
  QAMA_RETURN_IF_ERROR(login(deadline));
  return send(request, deadline);
}

Result<Json> Terminal::send(const Request& request, TimePoint deadline) {
  expired_ = false;
  in_doubt_ = false;
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - LinkClock::now()).count();
  if (left <= 0) return Error{ErrorCode::deadline_exceeded, "no time left for the terminal"};
  const CURLcode code = perform(request, left);
  if (code != CURLE_OK) return transport_error(code);
  Envelope envelope;
  Json data;
  if (!read_envelope(reply_, envelope, data)) {
    long status = 0;
    curl_.easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status);
    return make_error(ErrorCode::device_protocol, "the terminal answers ", quote(request.path),
                      " with HTTP status ", status, " and no envelope");
  }
  if (envelope.code == "0") return data;
  expired_ = envelope.code == kTokenExpired;
  return make_error(expired_ ? ErrorCode::device_auth : ErrorCode::device_unavailable,
                    "the terminal refuses ", quote(request.path), " with code ",
                    quote(envelope.code), ": ", quote(envelope.message));
}

CURLcode Terminal::perform(const Request& request, long time_ms) {
  reply_.clear();
  const std::string url = options_.base + request.path;
  curl_.easy_reset(handle_);
  curl_.easy_setopt(handle_, CURLOPT_URL, url.c_str());
  curl_.easy_setopt(handle_, CURLOPT_NOSIGNAL, 1L);
  curl_.easy_setopt(handle_, CURLOPT_TIMEOUT_MS, time_ms);
  curl_.easy_setopt(handle_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_.easy_setopt(handle_, CURLOPT_FOLLOWLOCATION, 0L);
  curl_.easy_setopt(handle_, CURLOPT_PROXY, "");
  curl_.easy_setopt(handle_, CURLOPT_WRITEFUNCTION, &collect);
  curl_.easy_setopt(handle_, CURLOPT_WRITEDATA, &reply_);
  curl_.easy_setopt(handle_, CURLOPT_NOPROGRESS, 0L);
  curl_.easy_setopt(handle_, CURLOPT_XFERINFOFUNCTION, &watch);
  curl_.easy_setopt(handle_, CURLOPT_XFERINFODATA, this);
  curl_.easy_setopt(handle_, CURLOPT_CUSTOMREQUEST, request.method);
  curl_slist* headers = nullptr;
  if (token_ != nullptr) headers = curl_.slist_append(headers, token_->data);
  curl_mime* form = nullptr;
  if (request.upload != nullptr) {
    form = curl_.mime_init(handle_);
    curl_mimepart* part = curl_.mime_addpart(form);
    curl_.mime_name(part, "file");
    curl_.mime_filename(part, request.body.c_str());
    curl_.mime_type(part, "text/csv");
    curl_.mime_data(part, request.upload->data(), request.upload->size());
    curl_.easy_setopt(handle_, CURLOPT_MIMEPOST, form);
  } else if (!request.body.empty()) {
    headers = curl_.slist_append(headers, "Content-Type: application/json");
    curl_.easy_setopt(handle_, CURLOPT_POSTFIELDSIZE_LARGE,
                      static_cast<curl_off_t>(request.body.size()));
    curl_.easy_setopt(handle_, CURLOPT_POSTFIELDS, request.body.c_str());
  }
  curl_.easy_setopt(handle_, CURLOPT_HTTPHEADER, headers);
  const CURLcode code = curl_.easy_perform(handle_);
  curl_.mime_free(form);
  curl_.slist_free_all(headers);
  return code;
}

Error Terminal::transport_error(CURLcode code) {
  in_doubt_ = code != CURLE_COULDNT_CONNECT && code != CURLE_COULDNT_RESOLVE_HOST;
  if (code == CURLE_ABORTED_BY_CALLBACK) return {ErrorCode::cancelled, "the job was cancelled"};
  const ErrorCode kind = code == CURLE_OPERATION_TIMEDOUT         ? ErrorCode::deadline_exceeded
                         : code == CURLE_PEER_FAILED_VERIFICATION ? ErrorCode::device_auth
                         : code == CURLE_COULDNT_RESOLVE_HOST     ? ErrorCode::device_unknown
                                                                  : ErrorCode::device_unavailable;
  return make_error(kind, "the terminal at ", quote(options_.base), ": ",
                    curl_.easy_strerror(code));
}

}  // namespace qama::hal::cim
