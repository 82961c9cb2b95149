#include "hal/cim/vendor_http.h"

#include <cstring>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"

namespace qama::hal::cim {
namespace {

std::size_t collect(char* data, std::size_t size, std::size_t count, void* to) {
  auto* reply = static_cast<ReplyReader*>(to);
  return reply->take(std::string_view(data, size * count)) ? size * count : 0;
}

int watch(void* http, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<VendorHttp*>(http)->stopped() ? 1 : 0;
}

}  // namespace

bool may_mend(ErrorCode code) noexcept {
  return code == ErrorCode::device_unavailable || code == ErrorCode::device_protocol ||
         code == ErrorCode::device_bad_answer ||
         code == ErrorCode::device_unknown ||  // names resolve again
         code == ErrorCode::deadline_exceeded;
}

VendorHttp::VendorHttp() : curl_(*curl_library()), handle_(curl_.easy_init()) {}

VendorHttp::~VendorHttp() {
  curl_.easy_cleanup(handle_);
}

Result<Json> VendorHttp::send(const HttpPeer& peer, const HttpRequest& request, const Secret& token,
                              TimePoint deadline, ReplyReader reply) {
  reply_ = std::move(reply);
  expired_ = false;
  in_doubt_ = false;
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - LinkClock::now()).count();
  if (left <= 0) return make_error(ErrorCode::deadline_exceeded, "no time left for ", peer.name);
  if (handle_ == nullptr) return make_error(ErrorCode::out_of_memory, "no memory for libcurl");
  const CURLcode code = perform(peer, request, token, left);
  if (code != CURLE_OK) return transport_error(peer, code);
  Envelope envelope;
  Json data;
  const Status read = read_envelope(reply_.text(), envelope, data);
  if (!read.ok()) {
    in_doubt_ = true;
    long status = 0;
    curl_.easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status);
    return make_error(ErrorCode::device_protocol, peer.name, " answers ", quote(request.path),
                      " with HTTP status ", status, " and no envelope: ", read.error().message);
  }
  if (envelope.code == "0") return data;
  expired_ = is_token_over(envelope.code);
  return make_error(expired_ ? ErrorCode::device_auth : ErrorCode::device_unavailable, peer.name,
                    " refuses ", quote(request.path), " with code ", quote(envelope.code), ": ",
                    quote(envelope.message));
}

CURLcode VendorHttp::perform(const HttpPeer& peer, const HttpRequest& request, const Secret& token,
                             long time_ms) {
  why_[0] = '\0';
  const std::string url = peer.base + request.path;
  curl_.easy_reset(handle_);
  bool complete = true;  // what libcurl does not take, it has no memory for
  const auto take = [&complete](CURLcode taken) { complete = complete && taken == CURLE_OK; };
  const auto set = [&](CURLoption option, auto value) {
    take(curl_.easy_setopt(handle_, option, value));
  };
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_TIMEOUT_MS, time_ms);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_PROXY, "");
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 2L);
  if (!peer.authority.empty()) set(CURLOPT_CAINFO, peer.authority.c_str());
  set(CURLOPT_WRITEFUNCTION, &collect);
  set(CURLOPT_WRITEDATA, &reply_);
  set(CURLOPT_ERRORBUFFER, why_.data());
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &watch);
  set(CURLOPT_XFERINFODATA, this);
  set(CURLOPT_CUSTOMREQUEST, request.method);
  if (request.once) set(CURLOPT_FRESH_CONNECT, 1L);
  curl_slist* headers = nullptr;
  const auto add_header = [&](const char* text) {
    curl_slist* const longer = curl_.slist_append(headers, text);
    complete = complete && longer != nullptr;
    if (longer != nullptr) headers = longer;
  };
  if (!token.empty()) {
    constexpr std::string_view kBegin = "Authorization: JWT ";
    std::string header;
    header.reserve(kBegin.size() + token.view().size());  // so that no copy is left behind
    header += kBegin;
    header += token.view();
    add_header(header.c_str());
    wipe(header);
  }
  curl_mime* form = nullptr;
  if (!request.form.empty()) {
    form = curl_.mime_init(handle_);
    for (const FormPart& item : request.form) {
      curl_mimepart* const part = form != nullptr ? curl_.mime_addpart(form) : nullptr;
      take(part != nullptr ? curl_.mime_name(part, item.name) : CURLE_OUT_OF_MEMORY);
      if (part == nullptr) break;
      if (!item.file_name.empty()) {
        take(curl_.mime_filename(part, item.file_name.c_str()));
        take(curl_.mime_type(part, "text/csv"));
      }
      take(curl_.mime_data(part, item.value.data(), item.value.size()));
    }
    set(CURLOPT_MIMEPOST, form);
  } else if (!request.json.empty()) {
    add_header("Content-Type: application/json");
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.json.size()));
    set(CURLOPT_POSTFIELDS, request.json.data());
  }
  set(CURLOPT_HTTPHEADER, headers);
  const CURLcode code = complete ? curl_.easy_perform(handle_) : CURLE_FAILED_INIT;
  curl_.mime_free(form);
  if (!token.empty() && headers != nullptr)
    ::explicit_bzero(headers->data, std::strlen(headers->data));
  curl_.slist_free_all(headers);
  return code;
}

Error VendorHttp::transport_error(const HttpPeer& peer, CURLcode code) {
  long sent = 1;  // bytes of the request
  curl_.easy_getinfo(handle_, CURLINFO_REQUEST_SIZE, &sent);
  in_doubt_ = code != CURLE_FAILED_INIT && sent > 0;
  const Status& failure = reply_.failure();
  if (code == CURLE_FAILED_INIT || code == CURLE_OUT_OF_MEMORY ||
      (!failure.ok() && failure.error().code == ErrorCode::out_of_memory)) {
    return make_error(ErrorCode::out_of_memory, "no memory for what ", peer.name, " is asked");
  }
  if (!failure.ok()) {
    return make_error(ErrorCode::device_protocol, peer.name, " at ", quote(peer.base), " sends ",
                      failure.error().message);
  }
  if (code == CURLE_ABORTED_BY_CALLBACK) return {ErrorCode::cancelled, "the job was cancelled"};
  const ErrorCode kind = code == CURLE_OPERATION_TIMEDOUT         ? ErrorCode::deadline_exceeded
                         : code == CURLE_PEER_FAILED_VERIFICATION ? ErrorCode::device_auth
                         : code == CURLE_SSL_CACERT_BADFILE       ? ErrorCode::device_auth
                         : code == CURLE_COULDNT_RESOLVE_HOST     ? ErrorCode::device_unknown
                         : code == CURLE_URL_MALFORMAT            ? ErrorCode::device_unknown
                                                                  : ErrorCode::device_unavailable;
  return make_error(kind, peer.name, " at ", quote(peer.base), ": ",
                    why_[0] != '\0' ? quote(why_.data()) : curl_.easy_strerror(code));
}

}  // namespace qama::hal::cim
