// Public: the two paths, user_id and sdk_code, data.token, the form's fields task_name, name,
// is_qubo, machine_name and the file, data.task_id, task_status 0 to 3 with desc, qubo_value and
// qubo_solution_data, the envelope {code, msg, data}, codes 0, 20001 and 50008. Assumed: is_qubo
// False takes an Ising matrix, the file's field is url, a sample is a row of 1 and -1 with the last
// spin the ancilla at +1, its qubo_value is - s^T M s, ten samples a task, a name that exists is
// refused, "is_emulated" in every data object.
#include "hal/emulator/http_cloud.h"

#include <charconv>

namespace qama::emulator {
namespace {

constexpr const char* kTasks = "/api/system/business/task/";
constexpr std::chrono::microseconds kSlowPoll = std::chrono::milliseconds(300);

enum Status : int { kChecking = 0, kComputing = 1, kCompleted = 2, kFailed = 3 };

}  // namespace

HttpCloud::~HttpCloud() {
  for (auto& [id, task] : tasks_) machine_.cancel(task.job);
}

void HttpCloud::add_to(httplib::Server& router) {
  const auto guarded = [this](auto handler) {
    return [this, handler](const httplib::Request& request, httplib::Response& response) {
      if (tokens_.admits(request)) return (this->*handler)(request, response);
      answer(response, "20001", "token expired", nullptr);
    };
  };
  router.Post("/sso/access_token/",
              [this](const httplib::Request& request, httplib::Response& response) {
                login(request, response);
              });
  router.Post(kTasks, guarded(&HttpCloud::submit));
  router.Get(std::string(kTasks) + R"((\d+)/)", guarded(&HttpCloud::poll));
}

void HttpCloud::login(const httplib::Request& request, httplib::Response& response) {
  const Json body = body_of(request);
  if (member(body, "user_id") != options_.user ||
      member(body, "sdk_code") != std::string(options_.password.view()))
    return answer(response, "10001", "wrong user id or SDK code", nullptr);
  answer(response, "0", "ok", {{"token", tokens_.make()}});
}

void HttpCloud::submit(const httplib::Request& request, httplib::Response& response) {
  const std::string name = request.get_file_value("task_name").content;
  if (name.empty()) return answer(response, "40003", "expected a task_name", nullptr);
  submits_.add(name);
  if (request.get_file_value("is_qubo").content != "False" ||
      request.get_file_value("machine_name").content.empty())
    return answer(response, "40003", "expected is_qubo False and a machine_name", nullptr);
  IsingProblem problem;
  if (!parse_csv(request.get_file_value("url").content, config_.max_spins, problem)) {
    return answer(response, "40002",
                  "not a symmetric matrix of 8-bit integers of at most " +
                      std::to_string(config_.max_spins) + " spins",
                  nullptr);
  }
  std::size_t waiting = 0;
  for (auto& [id, task] : tasks_) {
    if (task.name == name) return answer(response, "40005", "a task of this name exists", nullptr);
    if (*task.done) {
      task.job->problem = IsingProblem{};  // its answers are all that is needed
    } else {
      ++waiting;
    }
  }
  // Nobody removes a task: the oldest gives way.
  if (tasks_.size() >= kMaxThings && *tasks_.begin()->second.done) tasks_.erase(tasks_.begin());
  Task task;
  task.name = name;
  task.fails = options_.fail_tasks || faults_.strikes(FaultKind::task_fails);
  task.job = std::make_shared<MachineJob>();
  // What the vendor has to send on: a number and a comma for each entry.
  task.job->bytes =
      4 * static_cast<std::size_t>(problem.width()) * static_cast<std::size_t>(problem.width());
  task.job->problem = std::move(problem);
  task.job->reads = kSamples;
  task.job->keep_all = true;
  task.job->seed = ++last_id_;
  task.job->done = [done = task.done] { *done = true; };
  if (tasks_.size() >= kMaxThings || waiting >= kMaxFiles || !machine_.submit(task.job))
    return answer(response, "40006", "the queue is full", nullptr);
  tasks_.emplace(last_id_, std::move(task));
  fate_.lost = faults_.strikes(FaultKind::submit_lost);
  answer(response, "0", "ok", {{"task_id", last_id_}});
}

void HttpCloud::poll(const httplib::Request& request, httplib::Response& response) {
  if (faults_.strikes(FaultKind::slow_poll))
    fate_.later = faults_.time_of(FaultKind::slow_poll, kSlowPoll);
  std::uint64_t id = 0;
  const std::string text = request.matches[1];
  std::from_chars(text.data(), text.data() + text.size(), id);
  const auto at = tasks_.find(id);
  if (at == tasks_.end()) return answer(response, "40007", "no such task", nullptr);
  const Task& task = at->second;
  if (!*task.done)
    return answer(response, "0", "ok",
                  {{"task_status", task.job->started ? kComputing : kChecking},
                   {"qubo_value", Json::array()},
                   {"qubo_solution_data", Json::array()}});
  if (task.fails || task.job->end != MachineJob::End::solved)
    return answer(response, "0", "ok", {{"task_status", kFailed}, {"desc", "the machine failed"}});
  complete(task, response);
}

/// The answer, or one of the ways in which it can be wrong.
void HttpCloud::complete(const Task& task, httplib::Response& response) {
  Json rows = Json::array();
  Json values = Json::array();
  for (const auto& signs : task.job->answers)
    rows.push_back(Json(std::vector<int>(signs.begin(), signs.end())));
  for (const std::int64_t energy : task.job->energies) values.push_back(2 * energy);
  const bool damaged = faults_.strikes(FaultKind::damaged_answer);
  const std::uint64_t how = damaged ? faults_.number(7) : options_.damage_answers ? 0 : 7;
  Json& row = rows[how < 7 ? faults_.number(rows.size()) : 0];
  const std::size_t spin = faults_.number(row.size());
  switch (how) {
    case 0:
      row[spin] = 7;
      break;
    case 1:  // a spin flips: only its value shows it
      for (Json& each : rows) each[spin] = -each[spin].get<int>();
      break;
    case 2:
      row.erase(spin);
      break;
    case 3:
      row.push_back(1);
      break;
    case 4:
      for (Json& value : values) value = value.get<std::int64_t>() + 8;
      break;
    case 5:
      values.erase(0);
      break;
    default:
      break;
  }
  answer(response, "0", "ok",
         {{"task_status", kCompleted},
          {"qubo_value", std::move(values)},
          {"qubo_solution_data", std::move(rows)}});
  if (how == 6) response.body.resize(response.body.size() / 2);
}

}  // namespace qama::emulator
