#include "hal/cim/cloud_job.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"
#include "hal/platform/clock.h"

namespace qama::hal::cim {
namespace {

using std::chrono::milliseconds;

constexpr const char* kTasks = "/api/system/business/task/";
constexpr auto kFirstPoll = milliseconds(50);
constexpr auto kLongestPoll = milliseconds(5000);

enum : std::int64_t { kChecking = 0, kComputing = 1, kCompleted = 2, kFailed = 3 };

/// A task's id becomes part of a path. Empty for anything else.
std::string id_in(const Json& data) {
  constexpr std::size_t kLongest = 64;
  const Json& id = member(data, "task_id");
  if (id.is_number_unsigned()) return id.dump();
  if (!id.is_string()) return {};
  const auto& text = id.get_ref<const std::string&>();
  const bool good = text.size() <= kLongest && std::all_of(text.begin(), text.end(), [](char c) {
                      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                             (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
                    });
  return good ? text : std::string();
}

/// - s^T M s: each pair twice.
std::int64_t energy_of_signs(const CloudOrder& order, std::span<const std::int8_t> signs) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < order.width; ++i) {
    std::int32_t pull = 0;
    for (std::size_t j = 0; j < i; ++j) pull += order.matrix[i * order.width + j] * signs[j];
    sum -= 2 * std::int64_t{signs[i]} * pull;
  }
  return sum;
}

/// What is wrong with a sample, or nothing. `claim` is what the cloud says of its energy.
Status check(const CloudOrder& order, std::span<const std::int8_t> signs, const Json& claim) {
  for (std::size_t i = order.first_ancilla; i < order.width; ++i) {
    if (signs[i] < 0)
      return make_error(ErrorCode::device_bad_answer, "ancilla ", i, " of a sample is -1");
  }
  const std::int64_t energy = energy_of_signs(order, signs);
  const double said = claim.is_number() ? claim.get<double>() : NAN;
  const auto exact = static_cast<double>(energy);
  if (std::abs(said - exact) <= 0.5 || std::abs(said - exact / 2) <= 0.5) return {};
  return make_error(ErrorCode::device_bad_answer, "a sample's qubo_value is ",
                    claim.is_number() ? sentence(said) : std::string("no number"),
                    ", its spins have ", energy, " or half of it");
}

/// Leaves the good ones. DEVICE_BAD_ANSWER if there is none.
Status keep_good(const CloudOrder& order, const Json& claims, Samples& samples) {
  if (!claims.is_array() || claims.size() != samples.count) {
    return make_error(ErrorCode::device_bad_answer, "the cloud's answer has ", samples.count,
                      " samples and ", claims.is_array() ? claims.size() : 0,
                      " values, expected as many");
  }
  std::vector<std::int8_t> signs(order.width);
  std::size_t good = 0;
  for (std::size_t at = 0; at < samples.good; ++at) {
    if (LinkClock::now() >= order.deadline) {
      return make_error(ErrorCode::deadline_exceeded, "task ", quote(order.name),
                        " has more samples than there is time for");
    }
    const auto packed = samples.sample(at);
    for (std::size_t i = 0; i < order.width; ++i)
      signs[i] = (packed[i / 8] >> i % 8 & 1U) != 0 ? std::int8_t{1} : std::int8_t{-1};
    Status checked = check(order, signs, claims[samples.places[at]]);
    if (!checked.ok()) {
      if (samples.damage.ok()) samples.damage = std::move(checked);
      continue;
    }
    std::copy(packed.begin(), packed.end(),
              samples.packed.begin() + static_cast<std::ptrdiff_t>(good * samples.bytes));
    samples.places[good++] = samples.places[at];
  }
  samples.good = good;
  if (good > 0) return {};
  if (!samples.damage.ok()) return samples.damage;
  return Error{ErrorCode::device_bad_answer, "the cloud's answer has no samples"};
}

}  // namespace

Result<CloudAnswer> CloudCaller::solve(const CloudOrder& order,
                                       const std::function<bool(TimePoint)>& sleep) {
  CloudAnswer out;
  login_us_ = 0;
  const TimePoint submitting = LinkClock::now();
  QAMA_ASSIGN_OR_RETURN(const std::string id, submit(order));
  out.submit_us = platform::microseconds_since(submitting) - login_us_;
  const TimePoint waiting = LinkClock::now();
  const double login_before = login_us_;
  const std::string path = kTasks + id + "/";
  auto pause = std::chrono::duration_cast<LinkClock::duration>(kFirstPoll);
  for (int failures = 0;;) {
    const auto left = order.deadline - LinkClock::now();
    if (left < 2 * kFirstPoll) {
      return make_error(ErrorCode::deadline_exceeded, "task ", quote(order.name),
                        " is not done in time");
    }
    if (!sleep(LinkClock::now() + std::min(pause, left / 2)))
      return Error{ErrorCode::cancelled, "the job was cancelled"};
    const TimePoint asking = LinkClock::now();
    auto polled = poll(order, path, out.samples);
    if (polled.ok() && *polled) {
      out.fetch_us = platform::microseconds_since(asking);
      out.wait_us = us_between(waiting, asking) - (login_us_ - login_before);
      out.login_us = login_us_;
      return out;
    }
    if (polled.ok()) {
      failures = 0;
    } else {
      if (!may_mend(polled.error().code) || ++failures == kMostFailedPolls ||
          LinkClock::now() >= order.deadline)
        return std::move(polled).error();
    }
    pause = std::min<LinkClock::duration>(2 * pause, kLongestPoll);
  }
}

Result<std::string> CloudCaller::submit(const CloudOrder& order) {
  const std::array form = {FormPart{"task_name", order.name}, FormPart{"name", order.name},
                           FormPart{"is_qubo", "False"}, FormPart{"machine_name", options_.machine},
                           FormPart{"url", order.csv, order.name + ".csv"}};
  const auto sent = ask({"POST", kTasks, {}, form, true}, order.deadline);
  if (!sent.ok() && (!in_doubt_ || sent.error().code == ErrorCode::cancelled)) return sent.error();
  const std::string id = sent.ok() ? id_in(*sent) : std::string();
  if (!id.empty()) return id;
  return make_error(ErrorCode::device_task_unknown, "whether the cloud has task ",
                    quote(order.name), " is not known, and it is not submitted again: ",
                    sent.ok() ? std::string("its reply has no task_id") : sent.error().message);
}

Result<bool> CloudCaller::poll(const CloudOrder& order, const std::string& path, Samples& samples) {
  // A question without an answer leaves time for another.
  const TimePoint now = LinkClock::now();
  const TimePoint until =
      now + std::max<LinkClock::duration>((order.deadline - now) / 3, kFirstPoll);
  QAMA_ASSIGN_OR_RETURN(const Json data,
                        ask({"GET", path}, std::min(until, order.deadline),
                            ReplyReader(order.width, order.first_ancilla, "qubo_solution_data")));
  const Json& number = member(data, "task_status");
  const std::int64_t status = number.is_number_integer() ? number.get<std::int64_t>() : -1;
  if (status == kChecking || status == kComputing) return false;
  if (status == kFailed) {
    const Json& why = member(data, "desc");
    return make_error(ErrorCode::device_task_failed, "the machine failed at task ",
                      quote(order.name), why.is_string() ? ": " : "",
                      why.is_string() ? quote(why.get_ref<const std::string&>()) : std::string());
  }
  if (status != kCompleted) {
    return make_error(ErrorCode::device_protocol, "the cloud says status ", number.dump(),
                      " of task ", quote(order.name), ", expected 0 to 3");
  }
  samples = std::move(http_.reply().samples());
  QAMA_RETURN_IF_ERROR(keep_good(order, member(data, "qubo_value"), samples));
  return true;
}

/// Who was refused for the token's sake is not served: a second try is safe also for what must not
/// be done twice.
Result<Json> CloudCaller::ask(const HttpRequest& request, TimePoint deadline, ReplyReader reply) {
  in_doubt_ = false;
  std::uint64_t refused = 0;
  for (bool again = false;; again = true) {
    const TimePoint logging_in = LinkClock::now();
    auto token = account_.token(http_, refused, deadline);
    login_us_ += platform::microseconds_since(logging_in);
    if (!token.ok()) return std::move(token).error();
    auto answer = http_.send(options_.tasks, request, token->text, deadline, reply);
    in_doubt_ = http_.in_doubt();
    if (answer.ok() || !http_.expired() || again) return answer;
    refused = token->number;
  }
}

}  // namespace qama::hal::cim
