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
  curl_.easy_setopt(handle_, CURLOPT_URL, url.c_str());
  curl_.easy_setopt(handle_, CURLOPT_NOSIGNAL, 1L);
  curl_.easy_setopt(handle_, CURLOPT_TIMEOUT_MS, time_ms);
  curl_.easy_setopt(handle_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_.easy_setopt(handle_, CURLOPT_FOLLOWLOCATION, 0L);
  curl_.easy_setopt(handle_, CURLOPT_PROXY, "");
  curl_.easy_setopt(handle_, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_.easy_setopt(handle_, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_.easy_setopt(handle_, CURLOPT_SSL_VERIFYHOST, 2L);
  if (!peer.authority.empty()) curl_.easy_setopt(handle_, CURLOPT_CAINFO, peer.authority.c_str());
  curl_.easy_setopt(handle_, CURLOPT_WRITEFUNCTION, &collect);
  curl_.easy_setopt(handle_, CURLOPT_WRITEDATA, &reply_);
  curl_.easy_setopt(handle_, CURLOPT_ERRORBUFFER, why_.data());
  curl_.easy_setopt(handle_, CURLOPT_NOPROGRESS, 0L);
  curl_.easy_setopt(handle_, CURLOPT_XFERINFOFUNCTION, &watch);
  curl_.easy_setopt(handle_, CURLOPT_XFERINFODATA, this);
  curl_.easy_setopt(handle_, CURLOPT_CUSTOMREQUEST, request.method);
  if (request.once) curl_.easy_setopt(handle_, CURLOPT_FRESH_CONNECT, 1L);
  curl_slist* headers = nullptr;
  if (!token.empty()) {
    constexpr std::string_view kBegin = "Authorization: JWT ";
    std::string header;
    header.reserve(kBegin.size() + token.view().size());  // so that no copy is left behind
    header += kBegin;
    header += token.view();
    headers = curl_.slist_append(headers, header.c_str());
    wipe(header);
  }
  curl_mime* form = nullptr;
  if (!request.form.empty()) {
    form = curl_.mime_init(handle_);
    for (const FormPart& item : request.form) {
      curl_mimepart* part = curl_.mime_addpart(form);
      curl_.mime_name(part, item.name);
      if (!item.file_name.empty()) {
        curl_.mime_filename(part, item.file_name.c_str());
        curl_.mime_type(part, "text/csv");
      }
      curl_.mime_data(part, item.value.data(), item.value.size());
    }
    curl_.easy_setopt(handle_, CURLOPT_MIMEPOST, form);
  } else if (!request.json.empty()) {
    headers = curl_.slist_append(headers, "Content-Type: application/json");
    curl_.easy_setopt(handle_, CURLOPT_POSTFIELDSIZE_LARGE,
                      static_cast<curl_off_t>(request.json.size()));
    curl_.easy_setopt(handle_, CURLOPT_POSTFIELDS, request.json.data());
  }
  curl_.easy_setopt(handle_, CURLOPT_HTTPHEADER, headers);
  const CURLcode code = curl_.easy_perform(handle_);
  curl_.mime_free(form);
  if (!token.empty() && headers != nullptr)
    ::explicit_bzero(headers->data, std::strlen(headers->data));
  curl_.slist_free_all(headers);
  return code;
}

Error VendorHttp::transport_error(const HttpPeer& peer, CURLcode code) {
  long sent = 1;  // bytes of the request
  curl_.easy_getinfo(handle_, CURLINFO_REQUEST_SIZE, &sent);
  in_doubt_ = sent > 0;
  if (!reply_.failure().ok()) {
    return make_error(ErrorCode::device_protocol, peer.name, " at ", quote(peer.base), " sends ",
                      reply_.failure().error().message);
  }
  if (code == CURLE_ABORTED_BY_CALLBACK) return {ErrorCode::cancelled, "the job was cancelled"};
  const ErrorCode kind = code == CURLE_OPERATION_TIMEDOUT         ? ErrorCode::deadline_exceeded
                         : code == CURLE_PEER_FAILED_VERIFICATION ? ErrorCode::device_auth
                         : code == CURLE_SSL_CACERT_BADFILE       ? ErrorCode::device_auth
                         : code == CURLE_COULDNT_RESOLVE_HOST     ? ErrorCode::device_unknown
                                                                  : ErrorCode::device_unavailable;
  return make_error(kind, peer.name, " at ", quote(peer.base), ": ",
                    why_[0] != '\0' ? quote(why_.data()) : curl_.easy_strerror(code));
}

}  // namespace qama::hal::cim
