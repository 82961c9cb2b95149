#include "hal/emulator/http_support.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "hal/base/hexadecimal.h"

namespace qama::emulator {
namespace {

constexpr std::size_t kMaxNames = 65536;  // of tasks that are counted

}  // namespace

Json body_of(const httplib::Request& request) {
  auto body = parse_json(request.body, {.what = "body",
                                        .code = ErrorCode::invalid_argument,
                                        .twice = ErrorCode::invalid_argument,
                                        .max_bytes = kMaxJsonBytes,
                                        .max_depth = 8,
                                        .max_values = 1024});
  return body.ok() ? std::move(body).value() : Json();
}

const Json& member(const Json& object, const char* name) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto at = object.find(name);
  return at == object.end() ? kNull : *at;
}

std::string envelope(const std::string& code, const std::string& text, Json data) {
  if (data.is_object()) data["is_emulated"] = true;
  return Json{{"code", code}, {"msg", text}, {"data", std::move(data)}}.dump();
}

void answer(httplib::Response& response, const std::string& code, const std::string& text,
            Json data) {
  response.set_content(envelope(code, text, std::move(data)), "application/json");
}

std::string md5(std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_Digest(text.data(), text.size(), digest, &size, EVP_md5(), nullptr) != 1) return {};
  return hexadecimal({digest, size});
}

bool parse_csv(const std::string& text, int max_spins, IsingProblem& out) {
  std::vector<std::vector<std::int8_t>> rows(1);
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    int value = 0;
    const auto parsed = std::from_chars(at, end, value);
    if (parsed.ec != std::errc{} || value < -kMaxCoupling || value > kMaxCoupling) return false;
    rows.back().push_back(static_cast<std::int8_t>(value));
    if (rows.back().size() > static_cast<std::size_t>(max_spins)) return false;
    at = parsed.ptr;
    if (at < end && *at == '\r') ++at;
    if (at < end && *at == ',') {
      ++at;
    } else if (at < end && *at == '\n') {
      ++at;
      if (at < end) rows.emplace_back();
      if (rows.size() > static_cast<std::size_t>(max_spins)) return false;
    } else if (at < end) {
      return false;
    }
  }
  const std::size_t width = rows.size();
  if (width < 2) return false;
  for (std::size_t i = 0; i < width; ++i) {
    if (rows[i].size() != width || rows[i][i] != 0) return false;
  }
  out = IsingProblem{};
  out.heads = 1;
  out.tokens = static_cast<int>(width);
  out.first_ancilla = out.tokens - 1;
  for (std::size_t i = 0; i < width; ++i) {
    for (std::size_t j = i + 1; j < width; ++j) {
      if (rows[i][j] != rows[j][i]) return false;
      out.couplings.push_back(rows[i][j]);
    }
  }
  return true;
}

std::string HttpTokens::make() {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return {};
  std::string token = hexadecimal(bytes);
  if (tokens_.size() >= kMaxThings) tokens_.clear();
  tokens_[token] = 0;
  ++made_;
  return token;
}

bool HttpTokens::admits(const httplib::Request& request) {
  const std::string header = request.get_header_value("Authorization");
  const auto token = header.starts_with("JWT ") ? tokens_.find(header.substr(4)) : tokens_.end();
  if (token == tokens_.end()) return false;
  const bool used_up = requests_ > 0 && ++token->second > requests_;
  if (!used_up && !faults_.strikes(FaultKind::token_expires)) return true;
  tokens_.erase(token);
  return false;
}

void SubmitCounts::add(const std::string& name) {
  ++all;
  if (names.size() >= kMaxNames) names.clear();
  most = std::max(most, ++names[name]);
}

}  // namespace qama::emulator
