#include "hal/cim/vendor_messages.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <span>

#include "hal/base/hexadecimal.h"
#include "hal/base/sentence.h"
#include "hal/cim/vendor_reply.h"

namespace qama::hal::cim {
namespace {

constexpr std::size_t kMaxTokenBytes = 8192;

// What the login asks for in place of the password; it protects nothing.
std::string md5(std::string_view text) {
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_md5(), nullptr) != 1)
    return {};
  return hexadecimal(std::span(digest).first(size));
}

}  // namespace

Secret login_body(const std::string& user, const Secret& password) {
  std::string digest = md5(password.view());
  std::string body = R"({"username":)" + Json(user).dump() + R"(,"pwd":")";
  body.reserve(body.size() + digest.size() + 2);  // so that nothing moves from here on
  body += digest;
  body += "\"}";
  Secret out(body);
  wipe(body);
  wipe(digest);
  return out;
}

Secret cloud_login_body(const Secret& user_id, const Secret& sdk_code) {
  // Its memory never moves: a byte is at most six in JSON.
  std::string body;
  body.reserve(64 + 6 * (user_id.view().size() + sdk_code.view().size()));
  const auto append = [&body](std::string_view begin, const Secret& value) {
    Json plain = std::string(value.view());
    std::string text = plain.dump();
    wipe(plain.get_ref<std::string&>());
    body += begin;
    body += text;
    wipe(text);
  };
  append(R"({"user_id":)", user_id);
  append(R"(,"sdk_code":)", sdk_code);
  body += '}';
  Secret out(body);
  wipe(body);
  return out;
}

std::string task_body(const std::string& machine_id, const std::string& task_name,
                      const Json& user_id, const Json& file_id) {
  const Json task = {{"priority", 1},          {"machine_id", machine_id},
                     {"task_name", task_name}, {"user_id", user_id},
                     {"file_id", file_id},     {"csv_name", task_name + ".csv"}};
  return Json{{"data", Json::array({task})}}.dump();
}

Status read_envelope(std::string_view text, Envelope& out, Json& data) {
  QAMA_ASSIGN_OR_RETURN(Json json, parse_json(text, {.what = "the reply",
                                                     .code = ErrorCode::device_protocol,
                                                     .twice = ErrorCode::device_protocol,
                                                     .max_bytes = kMaxControlReplyBytes,
                                                     .max_depth = kMaxReplyDepth,
                                                     .max_values = 65536}));
  const Json& code = member(json, "code");
  if (code.is_null()) return Error{ErrorCode::device_protocol, "it has no code"};
  out.code = code.is_string() ? code.get<std::string>() : std::string();
  if (code.is_number_integer()) out.code = code.dump();
  const Json& message = member(json, "msg");
  out.message = message.is_string() ? message.get<std::string>() : "";
  const auto inner = json.find("data");
  data = inner == json.end() ? Json() : std::move(*inner);
  return {};
}

const Json& member(const Json& data, const char* name) {
  static const Json kNull;
  if (!data.is_object()) return kNull;
  const auto at = data.find(name);
  return at == data.end() ? kNull : *at;
}

bool is_token_over(std::string_view code) noexcept {
  return code == "20001" || code == "50008";
}

Result<Secret> take_token(Json& data, std::initializer_list<const char*> path,
                          std::string_view peer) {
  Json* at = &data;
  for (const char* name : path) {
    if (at == nullptr || !at->is_object()) break;
    const auto found = at->find(name);
    at = found == at->end() ? nullptr : &*found;
  }
  if (at != nullptr && at->is_string()) {
    auto& text = at->get_ref<std::string&>();
    const bool is_token =
        !text.empty() && text.size() <= kMaxTokenBytes &&
        std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
    Secret token(is_token ? std::string_view(text) : std::string_view());
    wipe(text);
    if (is_token) return token;
  }
  return make_error(ErrorCode::device_protocol, peer, "'s login gives no token");
}

bool is_id(const Json& id) {
  constexpr std::size_t kLongest = 256;
  return id.is_number_integer() ||
         (id.is_string() && id.get_ref<const std::string&>().size() <= kLongest);
}

Result<MachineStatus> read_machine_status(const Json& data) {
  constexpr std::array<MachineStatus, 5> kStatuses = {{{DeviceState::unreachable, "is shut down"},
                                                       {DeviceState::available, "is available"},
                                                       {DeviceState::busy, "is being debugged"},
                                                       {DeviceState::faulty, "is faulty"},
                                                       {DeviceState::calibrating, "tests itself"}}};
  const Json& status = member(data, "status");
  const std::int64_t number = status.is_number_integer() ? status.get<std::int64_t>() : -1;
  if (number < 0 || number >= std::int64_t{kStatuses.size()})
    return Error{ErrorCode::device_protocol, "the terminal does not say its machine's status"};
  MachineStatus out = kStatuses[static_cast<std::size_t>(number)];
  out.emulated = member(data, "is_emulated") == true;
  return out;
}

Result<TaskStatus> read_task_status(const Json& data) {
  const Json& status = member(data, "status");
  if (!status.is_number_integer())
    return Error{ErrorCode::device_protocol, "the terminal does not say a task's status"};
  TaskStatus out;
  out.status = status.get<std::int64_t>();
  if (const Json& id = member(data, "id"); id.is_number_integer()) out.id = id.get<std::int64_t>();
  return out;
}

}  // namespace qama::hal::cim
