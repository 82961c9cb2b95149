#include "hal/cim/vendor_terminal.h"

#include <algorithm>
#include <cstring>

#include "hal/base/quote.h"
#include "hal/base/secret.h"
#include "hal/base/sentence.h"

namespace qama::hal::cim {
namespace {

constexpr std::size_t kMaxTokenBytes = 8192;

std::size_t collect(char* data, std::size_t size, std::size_t count, void* to) {
  auto* reply = static_cast<ReplyReader*>(to);
  return reply->take(std::string_view(data, size * count)) ? size * count : 0;
}

int watch(void* terminal, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Terminal*>(terminal)->stopped() ? 1 : 0;
}

}  // namespace

Terminal::Terminal(const VendorOptions& options)
    : options_(options), curl_(*curl_library()), handle_(curl_.easy_init()) {}

Terminal::~Terminal() {
  forget_token();
  curl_.easy_cleanup(handle_);
}

void Terminal::forget_token() noexcept {
  if (token_ != nullptr) ::explicit_bzero(token_->data, std::strlen(token_->data));
  curl_.slist_free_all(token_);
  token_ = nullptr;
}

Status Terminal::login(TimePoint deadline) {
  const Secret body = login_body(options_.user, options_.password);
  QAMA_ASSIGN_OR_RETURN(Json data, send({"POST", "/kdev/terminal/login/", body.view()}, deadline));
  wipe(reply_.text());
  const Json& access = member(member(data, "token"), "access");
  const bool is_token = access.is_string() && [](const std::string& text) {
    return !text.empty() && text.size() <= kMaxTokenBytes &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
  }(access.get_ref<const std::string&>());
  if (!is_token) return Error{ErrorCode::device_protocol, "the terminal's login gives no token"};
  forget_token();
  std::string header = "Authorization: JWT " + access.get_ref<const std::string&>();
  token_ = curl_.slist_append(nullptr, header.c_str());
  wipe(header);
  if (const Json& id = member(data, "user_id"); is_id(id)) user_id_ = id;
  wipe(data["token"]["access"].get_ref<std::string&>());
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
  const Json& id = member(data, "id");
  if (!is_id(id))
    return Error{ErrorCode::device_protocol, "the terminal does not name the uploaded file"};
  return id;
}

Status Terminal::submit(const std::string& task_name, const Json& file_id, TimePoint deadline) {
  const std::string body = task_body(options_.machine_id, task_name, user_id_, file_id);
  const auto sent = ask({"POST", "/kdev/terminal/batch-task/", body}, deadline);
  if (!sent.ok() && !in_doubt_) return sent.error();
  return {};
}

Result<TaskStatus> Terminal::poll(const std::string& task_name, TimePoint deadline) {
  QAMA_ASSIGN_OR_RETURN(
      const Json data,
      ask({"GET", "/kdev/terminal/machine-task/?task_name=" + task_name}, deadline));
  return read_task_status(data);
}

Result<Samples> Terminal::fetch(std::int64_t task_id, std::size_t width, std::size_t first_ancilla,
                                TimePoint deadline) {
  QAMA_ASSIGN_OR_RETURN(const Json data,
                        ask({"GET", sentence("/kdev/terminal/task/", task_id, "/")}, deadline,
                            ReplyReader(width, first_ancilla)));
  if (reply_.samples().count == 0)
    return Error{ErrorCode::device_bad_answer, "the terminal's answer has no samples"};
  return std::move(reply_.samples());
}

void Terminal::remove(std::int64_t task_id, TimePoint deadline) {
  (void)ask({"DELETE", sentence("/kdev/terminal/machine-task/", task_id, "/")}, deadline).ok();
}

// The terminal refused the first try, so that a second is safe for requests that must not be made
// twice.
Result<Json> Terminal::ask(const Request& request, TimePoint deadline, ReplyReader reply) {
  auto answer = send(request, deadline, reply);
  if (answer.ok() || !expired_) return answer;
  QAMA_RETURN_IF_ERROR(login(deadline));
  return send(request, deadline, std::move(reply));
}

Result<Json> Terminal::send(const Request& request, TimePoint deadline, ReplyReader reply) {
  reply_ = std::move(reply);
  expired_ = false;
  in_doubt_ = false;
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - LinkClock::now()).count();
  if (left <= 0) return Error{ErrorCode::deadline_exceeded, "no time left for the terminal"};
  const CURLcode code = perform(request, left);
  if (code != CURLE_OK) return transport_error(code);
  Envelope envelope;
  Json data;
  const Status read = read_envelope(reply_.text(), envelope, data);
  if (!read.ok()) {
    long status = 0;
    curl_.easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status);
    return make_error(ErrorCode::device_protocol, "the terminal answers ", quote(request.path),
                      " with HTTP status ", status, " and no envelope: ", read.error().message);
  }
  if (envelope.code == "0") return data;
  expired_ = envelope.code == kTokenExpired;
  return make_error(expired_ ? ErrorCode::device_auth : ErrorCode::device_unavailable,
                    "the terminal refuses ", quote(request.path), " with code ",
                    quote(envelope.code), ": ", quote(envelope.message));
}

CURLcode Terminal::perform(const Request& request, long time_ms) {
  why_[0] = '\0';
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
  curl_.easy_setopt(handle_, CURLOPT_ERRORBUFFER, why_.data());
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
    curl_.mime_filename(part, std::string(request.body).c_str());
    curl_.mime_type(part, "text/csv");
    curl_.mime_data(part, request.upload->data(), request.upload->size());
    curl_.easy_setopt(handle_, CURLOPT_MIMEPOST, form);
  } else if (!request.body.empty()) {
    headers = curl_.slist_append(headers, "Content-Type: application/json");
    curl_.easy_setopt(handle_, CURLOPT_POSTFIELDSIZE_LARGE,
                      static_cast<curl_off_t>(request.body.size()));
    curl_.easy_setopt(handle_, CURLOPT_POSTFIELDS, request.body.data());
  }
  curl_.easy_setopt(handle_, CURLOPT_HTTPHEADER, headers);
  const CURLcode code = curl_.easy_perform(handle_);
  curl_.mime_free(form);
  curl_.slist_free_all(headers);
  return code;
}

Error Terminal::transport_error(CURLcode code) {
  in_doubt_ = code != CURLE_COULDNT_CONNECT && code != CURLE_COULDNT_RESOLVE_HOST;
  if (!reply_.failure().ok()) {
    return make_error(ErrorCode::device_protocol, "the terminal at ", quote(options_.base),
                      " sends ", reply_.failure().error().message);
  }
  if (code == CURLE_ABORTED_BY_CALLBACK) return {ErrorCode::cancelled, "the job was cancelled"};
  const ErrorCode kind = code == CURLE_OPERATION_TIMEDOUT         ? ErrorCode::deadline_exceeded
                         : code == CURLE_PEER_FAILED_VERIFICATION ? ErrorCode::device_auth
                         : code == CURLE_COULDNT_RESOLVE_HOST     ? ErrorCode::device_unknown
                                                                  : ErrorCode::device_unavailable;
  return make_error(kind, "the terminal at ", quote(options_.base), ": ",
                    why_[0] != '\0' ? quote(why_.data()) : curl_.easy_strerror(code));
}

}  // namespace qama::hal::cim
