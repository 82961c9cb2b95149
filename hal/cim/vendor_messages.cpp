#include "hal/cim/vendor_messages.h"

#include <openssl/evp.h>

#include <array>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"
#include "hal/base/strict_json.h"

namespace qama::hal::cim {
namespace {

// What the login asks for in place of the password; it protects nothing.
std::string md5(const std::string& text) {
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_md5(), nullptr) != 1)
    return {};
  return hexadecimal(std::span(digest).first(size));
}

}  // namespace

std::string hexadecimal(std::span<const std::uint8_t> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const std::uint8_t byte : bytes) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::string login_body(const std::string& user, const std::string& password) {
  return Json{{"username", user}, {"pwd", md5(password)}}.dump();
}

std::string task_body(const std::string& machine_id, const std::string& task_name,
                      const Json& user_id, const Json& file_id) {
  const Json task = {{"priority", 1},          {"machine_id", machine_id},
                     {"task_name", task_name}, {"user_id", user_id},
                     {"file_id", file_id},     {"csv_name", task_name + ".csv"}};
  return Json{{"data", Json::array({task})}}.dump();
}

bool read_envelope(std::string_view text, Envelope& out, Json& data) {
  // Values: more than the samples of the largest machine.
  auto parsed = parse_json(text, {.what = "the terminal's reply",
                                  .code = ErrorCode::device_protocol,
                                  .twice = ErrorCode::device_protocol,
                                  .max_bytes = std::size_t{64} << 20,
                                  .max_depth = 8,
                                  .max_values = std::size_t{4} << 20});
  if (!parsed.ok()) return false;
  const Json& json = parsed.value();
  if (!json.is_object() || !json.contains("code")) return false;
  const Json& code = json["code"];
  out.code = code.is_string() ? code.get<std::string>() : code.dump();
  const Json message = json.value("msg", Json());
  out.message = message.is_string() ? message.get<std::string>() : "";
  data = json.value("data", Json());
  return true;
}

Json member(const Json& data, const char* name) {
  return data.is_object() ? data.value(name, Json()) : Json();
}

Result<MachineStatus> read_machine_status(const Json& data) {
  constexpr std::array<MachineStatus, 5> kStatuses = {{{DeviceState::unreachable, "is shut down"},
                                                       {DeviceState::available, "is available"},
                                                       {DeviceState::busy, "is being debugged"},
                                                       {DeviceState::faulty, "is faulty"},
                                                       {DeviceState::calibrating, "tests itself"}}};
  const Json status = member(data, "status");
  const std::int64_t number = status.is_number_integer() ? status.get<std::int64_t>() : -1;
  if (number < 0 || number >= std::int64_t{kStatuses.size()})
    return Error{ErrorCode::device_protocol, "the terminal does not say its machine's status"};
  MachineStatus out = kStatuses[static_cast<std::size_t>(number)];
  out.emulated = member(data, "is_emulated") == true;
  return out;
}

Result<TaskStatus> read_task_status(const Json& data) {
  const Json status = member(data, "status");
  if (!status.is_number_integer())
    return Error{ErrorCode::device_protocol, "the terminal does not say a task's status"};
  TaskStatus out;
  out.status = status.get<std::int64_t>();
  if (const Json id = member(data, "id"); id.is_number_integer()) out.id = id.get<std::int64_t>();
  return out;
}

Status read_sample(const Json& row, std::size_t width, std::size_t first_ancilla,
                   std::vector<std::uint8_t>& packed) {
  if (!row.is_array() || row.size() != width) {
    return make_error(ErrorCode::device_bad_answer, "a sample of ", row.size(), " spins, expected ",
                      width);
  }
  packed.assign((width + 7) / 8, 0);
  const bool flip = row[first_ancilla] == -1;
  for (std::size_t i = 0; i < width; ++i) {
    if (row[i] != 1 && row[i] != -1) {
      return make_error(ErrorCode::device_bad_answer, "a sample holds ", quote(row[i].dump()),
                        ", expected 1 or -1");
    }
    if ((row[i] == 1) != flip) packed[i / 8] |= static_cast<std::uint8_t>(1U << (i % 8));
  }
  return {};
}

}  // namespace qama::hal::cim
