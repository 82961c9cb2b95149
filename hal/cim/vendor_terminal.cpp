#include "hal/cim/vendor_terminal.h"

#include <array>

#include "hal/base/sentence.h"

namespace qama::hal::cim {

Status Terminal::login(TimePoint deadline) {
  const Secret body = login_body(options_.user, options_.password);
  QAMA_ASSIGN_OR_RETURN(
      Json data, http_.send(options_.peer, {"POST", "/kdev/terminal/login/", body.view()}, Secret(),
                            deadline));
  wipe(http_.reply().text());
  QAMA_ASSIGN_OR_RETURN(token_, take_token(data, {"token", "access"}, options_.peer.name));
  if (const Json& id = member(data, "user_id"); is_id(id)) user_id_ = id;
  return {};
}

Result<MachineStatus> Terminal::machine_status(TimePoint deadline) {
  QAMA_ASSIGN_OR_RETURN(
      const Json data,
      ask({"GET", "/kdev/terminal/machine/?machine_id=" + options_.machine_id}, deadline));
  return read_machine_status(data);
}

Result<Json> Terminal::upload(const std::string& name, const std::string& csv, TimePoint deadline) {
  const std::array form = {FormPart{"file", csv, name}};
  QAMA_ASSIGN_OR_RETURN(const Json data,
                        ask({"POST", "/kdev/terminal/upload_file/", {}, form}, deadline));
  const Json& id = member(data, "id");
  if (!is_id(id))
    return Error{ErrorCode::device_protocol, "the terminal does not name the uploaded file"};
  return id;
}

Status Terminal::submit(const std::string& task_name, const Json& file_id, TimePoint deadline) {
  const std::string body = task_body(options_.machine_id, task_name, user_id_, file_id);
  const auto sent = ask({"POST", "/kdev/terminal/batch-task/", body, {}, true}, deadline);
  if (!sent.ok() && !http_.in_doubt()) return sent.error();
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
  if (http_.reply().samples().count == 0)
    return Error{ErrorCode::device_bad_answer, "the terminal's answer has no samples"};
  return std::move(http_.reply().samples());
}

void Terminal::remove(std::int64_t task_id, TimePoint deadline) {
  (void)ask({"DELETE", sentence("/kdev/terminal/machine-task/", task_id, "/")}, deadline).ok();
}

// The terminal refused the first try, so that a second is safe for requests that must not be made
// twice.
Result<Json> Terminal::ask(const HttpRequest& request, TimePoint deadline, ReplyReader reply) {
  auto answer = http_.send(options_.peer, request, token_, deadline, reply);
  if (answer.ok() || !http_.expired()) return answer;
  QAMA_RETURN_IF_ERROR(login(deadline));
  return http_.send(options_.peer, request, token_, deadline, std::move(reply));
}

}  // namespace qama::hal::cim
