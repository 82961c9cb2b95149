#include "hal/emulator/service.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <thread>
#include <tuple>

#include "hal/base/sentence.h"

namespace qama::emulator {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::uint32_t kBusyWaitUs = 500;
constexpr std::size_t kMaxPrograms = 64;         // a session
constexpr std::size_t kMaxDataConnections = 64;  // a session
// Bytes of the jobs of all sessions: beyond the first number only sessions with little under way
// may add to them.
constexpr std::size_t kManyJobBytes = 12U << 20;
constexpr std::size_t kMostJobBytes = 24U << 20;
constexpr std::size_t kModestBytes = 1U << 20;

template <typename T>
T random_bytes() {
  T out{};
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&out), sizeof out) != 1) {
    const auto time = Clock::now().time_since_epoch().count();
    std::memcpy(&out, &time, sizeof time);
  }
  return out;
}

template <typename... Parts>
Refusal refusal(Code code, const Parts&... parts) {
  return {code, sentence(parts...)};
}

}  // namespace

Service::Service(const MachineConfig& config, const ServiceOptions& options, FaultPlan faults,
                 Machine& machine, Network& network)
    : config_(config),
      options_(options),
      faults_(std::move(faults)),
      machine_(machine),
      network_(network),
      epoch_(random_bytes<std::uint64_t>()) {
  const auto most = static_cast<std::size_t>(config_.queue_limit) + 1;
  finished_.reserve(most);
  finishing_.reserve(most);
}

Service::~Service() {
  machine_.clear();
}

void Service::note(const char* text) const {
  if (options_.verbose) std::fprintf(stderr, "cpqc-emulator: %s\n", text);
}

std::size_t Service::max_frame() const {
  const auto width = static_cast<std::size_t>(config_.max_spins);
  return kSubmitFixedSize + 2 * width + width * (width - 1) / 2;
}

std::uint8_t Service::state() const {
  if (Clock::now() < calibrated_) return 2;
  return machine_.waiting() > 0 ? 1 : 0;
}

// ---- frames ----

void Service::send(Connection& c, Type type, std::uint64_t request, View payload, Code status) {
  network_.send(c, frame(type, request, payload, status));
}

void Service::refuse(Connection& c, std::uint64_t request, const Refusal& why, const Id& job) {
  send(c, kError, request, error(job, epoch_, why.wait_us, why.text), why.code);
}

void Service::dismiss(Connection& c, std::uint64_t request, const Refusal& why) {
  ++counts_.refused_frames;
  refuse(c, request, why);
  network_.end(c);
}

void Service::on_bytes(Connection& from) {
  std::size_t at = 0;
  while (from.usable() && from.in.size() - at >= kHeaderSize) {
    Head head;
    const View bytes = View(from.in).subspan(at);
    if (!parse_head(bytes.first(kHeaderSize),
                    from.frame_limit > 0 ? from.frame_limit : kUnknownPeerLimit, head)) {
      on_rubbish(from);
      break;
    }
    if (bytes.size() < kHeaderSize + head.length) break;
    const View payload = bytes.subspan(kHeaderSize, head.length);
    at += kHeaderSize + head.length;
    if (checksum(payload) == head.payload_checksum) {
      on_frame(from, head, payload);
    } else {
      on_damaged(from, head);
    }
  }
  from.in.erase(from.in.begin(), from.in.begin() + static_cast<std::ptrdiff_t>(at));
}

void Service::on_rubbish(Connection& from) {
  dismiss(from, 0, {kBadFrame, "not a frame of this link, or one above its limit"});
}

void Service::on_damaged(Connection& from, const Head& head) {
  ++counts_.refused_frames;
  refuse(from, head.request, {kBadCrc, "the payload is damaged: its CRC does not match"});
}

void Service::on_frame(Connection& from, const Head& head, View payload) {
  if (from.kind == Connection::Kind::unknown) return on_first(from, head, payload);
  const auto session = sessions_.find(from.session);
  if (session == sessions_.end())
    return dismiss(from, head.request, {kNoSession, "the session is over"});
  if (from.kind == Connection::Kind::control) {
    on_control(from, head, payload, session->second);
  } else {
    on_data(from, head, payload, session->second);
  }
}

template <typename T, typename Take>
void Service::with(Connection& c, const Head& head, const Parsed<T>& parsed, const Take& take) {
  if (const auto* request = std::get_if<T>(&parsed)) return take(*request);
  const Refusal& why = std::get<Refusal>(parsed);
  if (c.kind == Connection::Kind::unknown) return dismiss(c, head.request, why);
  ++counts_.refused_frames;
  refuse(c, head.request, why);
}

void Service::on_first(Connection& c, const Head& head, View payload) {
  switch (head.type) {
    case kHello:
      return with(c, head, parse_hello(payload), [&](const auto& r) { on_hello(c, head, r); });
    case kAttach:
      return with(c, head, parse_attach(payload), [&](const auto& r) { on_attach(c, head, r); });
    default:
      dismiss(c, head.request, {kBadFrame, "the first frame is neither HELLO nor ATTACH"});
  }
}

void Service::on_control(Connection& c, const Head& head, View payload, Session& session) {
  session.heard = Clock::now();
  switch (head.type) {
    case kPing:
      return with(c, head, parse_ping(payload), [&](const PingRequest& ping) {
        send(c, kPong, head.request, pong(ping.echo, epoch_, machine_.waiting(), state()));
      });
    case kCancel:
      return with(c, head, parse_cancel(payload), [&](const auto& r) { on_cancel(c, head, r); });
    case kFault:
      return with(c, head, parse_fault(payload), [&](const auto& r) { on_fault(c, head, r); });
    case kGoodbye:
      c.broken = true;
      return end_session(Id(c.session));
    default:
      dismiss(c, head.request, {kBadFrame, "this frame does not belong on a control connection"});
  }
}

void Service::on_data(Connection& c, const Head& head, View payload, Session& session) {
  switch (head.type) {
    case kProgram:
      return with(c, head, parse_program(payload),
                  [&](const auto& r) { on_program(c, head, r, session); });
    case kSubmit:
      return with(c, head, parse_submit(payload),
                  [&](const auto& r) { on_submit(c, head, r, payload, session); });
    default:
      dismiss(c, head.request, {kBadFrame, "this frame does not belong on a data connection"});
  }
}

// ---- sessions ----

void Service::on_hello(Connection& c, const Head& head, const HelloRequest& hello) {
  if (!room_for_session(c.peer))
    return dismiss(c, head.request, {kQueueFull, "no more sessions for this client's address"});
  c.session = random_bytes<Id>();
  Session& session = sessions_[c.session];
  session.user = ++last_user_;
  session.control = c.number;
  session.peer = c.peer;
  session.version = std::min<int>(hello.highest, 2);
  session.name = session_name(c.session);
  c.kind = Connection::Kind::control;
  send(c, kHelloAck, head.request, hello_ack(capabilities(c.session, session.version)));
}

/// Whether one more session of `peer` may be. One address has at most half of them. Beyond a limit
/// a session without data connections and jobs gives way: one whose control connection is gone, or
/// the one that is silent for longest, of the address that has the most.
bool Service::room_for_session(const PeerAddress& peer) {
  std::map<PeerAddress, std::size_t> shares;
  for (const auto& [token, session] : sessions_) ++shares[session.peer];
  const auto most = static_cast<std::size_t>(config_.max_sessions);
  const bool all = sessions_.size() >= most;
  const bool share = shares[peer] >= std::max<std::size_t>(most / 2, 1);
  if (!all && !share) return true;
  const auto weight = [&](const Session& session) {
    return std::tuple(shares[session.peer], session.control == 0, Clock::now() - session.heard);
  };
  auto victim = sessions_.end();
  for (auto at = sessions_.begin(); at != sessions_.end(); ++at) {
    const Session& session = at->second;
    if (!session.idle() || (share && session.peer != peer)) continue;
    if (victim == sessions_.end() || weight(session) > weight(victim->second)) victim = at;
  }
  if (victim == sessions_.end()) return false;
  note("a session gives way to a newer one");
  end_session(Id(victim->first));
  return true;
}

Capabilities Service::capabilities(const Id& token, int version) const {
  Capabilities out;
  out.version = version;
  out.faults = options_.allow_faults;
  out.max_frame = max_frame();
  out.epoch = epoch_;
  out.token = token;
  out.max_spins = config_.max_spins;
  out.max_reads = config_.max_reads;
  out.credit_jobs = config_.credit_jobs;
  out.max_programs = kMaxPrograms;
  out.credit_bytes = config_.credit_bytes;
  out.heartbeat_ms = config_.heartbeat_ms;
  out.lease_ms = config_.lease_ms;
  out.round_trip_ns = config_.round_trip_ns;
  out.round_trips = config_.dynamics.round_trips;
  out.remember_ms = config_.remember_ms;
  out.state = state();
  out.name = config_.name;
  return out;
}

void Service::on_attach(Connection& c, const Head& head, const AttachRequest& attach) {
  if (attach.epoch != epoch_) return dismiss(c, head.request, {kLost, "the machine was restarted"});
  auto session = sessions_.find(attach.token);
  if (attach.proof) {
    session = std::find_if(sessions_.begin(), sessions_.end(), [&](const auto& entry) {
      return entry.second.version == 2 && entry.second.name == attach.token;
    });
  }
  if (session == sessions_.end())
    return dismiss(c, head.request, {kNoSession, "no session has this token"});
  // Who speaks version 2 proves that it has the token, and on this very connection.
  if (session->second.version == 2) {
    const Proof expected =
        attach_proof(session->first, attach.epoch, c.binding("EXPORTER-qcim-attach"));
    if (!attach.proof ||
        CRYPTO_memcmp(attach.proof->data(), expected.data(), expected.size()) != 0) {
      return dismiss(c, head.request, {kAuth, "ATTACH: the proof is not of this connection"});
    }
  }
  if (session->second.attached >= kMaxDataConnections) {
    return dismiss(c, head.request,
                   refusal(kQueueFull, "ATTACH: a session has at most ", kMaxDataConnections,
                           " data connections"));
  }
  ++session->second.attached;
  c.kind = Connection::Kind::data;
  c.session = session->first;
  c.frame_limit = max_frame();
  send(c, kAttachAck, head.request, attach_ack(epoch_));
}

void Service::on_program(Connection& c, const Head& head, const ProgramRequest& program,
                         Session& session) {
  const std::size_t spins = std::size_t{program.heads} * program.tokens + 1;
  if (spins > static_cast<std::size_t>(config_.max_spins)) {
    return refuse(c, head.request,
                  refusal(kTooLarge, "PROGRAM: ", spins,
                          " spins with one ancilla, this machine has ", config_.max_spins));
  }
  if (session.programs.size() >= kMaxPrograms && !session.programs.contains(program.id)) {
    return refuse(c, head.request,
                  refusal(kTooLarge, "PROGRAM: a session holds at most ", kMaxPrograms));
  }
  session.programs[program.id] = program;
  send(c, kProgramAck, head.request, program_ack(program.id, machine_.program_ns(head.length)));
}

/// With its waiting jobs and its connections. A data connection is told, in case that its client
/// did not end the session itself.
void Service::end_session(const Id& token) {
  jobs_.forget_if([&](const Job& job) {
    if (job.answered() || job.session != token || !machine_.cancel(job.work)) return false;
    if (job.charged) job_bytes_ -= job.bytes;
    return true;
  });
  sessions_.erase(token);
  network_.for_each([&](Connection& c) {
    if (c.kind == Connection::Kind::unknown || c.session != token || !c.usable()) return;
    refuse(c, 0, {kNoSession, "the session is over"});
    network_.end(c);
  });
}

void Service::on_tick() {
  for (auto at = sessions_.begin(); at != sessions_.end();) {
    const auto next = std::next(at);
    if (Clock::now() - at->second.heard > milliseconds(config_.lease_ms)) {
      note("a session's lease is over");
      end_session(Id(at->first));
    }
    at = next;
  }
  jobs_.expire(milliseconds(config_.remember_ms));
}

bool Service::may_close(const Connection& idle) const {
  return !jobs_.any_of(
      [&](const Job& job) { return !job.answered() && job.connection == idle.number; });
}

void Service::on_closed(const Connection& gone) noexcept {
  const auto session = sessions_.find(gone.session);
  if (gone.kind == Connection::Kind::unknown || session == sessions_.end()) return;
  if (gone.kind == Connection::Kind::control) {
    session->second.control = 0;
  } else {
    --session->second.attached;
  }
}

// ---- jobs ----

void Service::on_submit(Connection& c, const Head& head, const SubmitRequest& submit, View payload,
                        Session& session) {
  ++counts_.jobs;
  if (faults_.strikes(FaultKind::restart)) return restart();
  strike(c);
  const auto refuse_job = [&](const Refusal& why) {
    ++counts_.refused_jobs;
    refuse(c, head.request, why, submit.job);
  };
  if (submit.epoch != epoch_)
    return refuse_job({kLost, "the machine was restarted: its jobs are lost"});
  const std::uint64_t hash = body_hash(payload);
  if (Job* known = jobs_.find(submit.job)) {
    if (known->hash != hash)
      return refuse_job({kConflict, "this job id was used for another problem"});
    known->connection = c.number;
    known->request = head.request;
    ++(known->answered() ? counts_.from_memory : counts_.joined);
    if (known->answered()) reply_result(*known);
    return;
  }
  if (const auto why = refusal_of(submit, payload.size(), session)) return refuse_job(*why);
  auto problem = parse_problem(submit, session.programs[submit.program], config_.max_spins);
  if (const auto* why = std::get_if<Refusal>(&problem)) return refuse_job(*why);
  Job job;
  job.hash = hash;
  job.work =
      machine_job(submit, std::move(std::get<IsingProblem>(problem)), payload.size(), session.user);
  job.session = c.session;
  job.bytes = payload.size();
  job.connection = c.number;
  job.request = head.request;
  // Known before it runs: what fails on the way leaves neither an unknown job nor a lost credit.
  Job& added = jobs_.add(submit.job, std::move(job));
  try {
    if (!machine_.submit(added.work)) {
      jobs_.forget(submit.job);
      return refuse_job({kQueueFull, "the queue is full", kBusyWaitUs});
    }
  } catch (...) {
    jobs_.forget(submit.job);
    throw;
  }
  added.charged = true;
  session.jobs += 1;
  session.bytes += added.bytes;
  job_bytes_ += added.bytes;
}

/// Why a new job cannot be taken now, apart from its problem.
std::optional<Refusal> Service::refusal_of(const SubmitRequest& submit, std::size_t bytes,
                                           const Session& session) {
  const Clock::time_point now = Clock::now();
  if (now < calibrated_) {
    const auto wait = std::chrono::duration_cast<microseconds>(calibrated_ - now).count();
    return Refusal{kCalibrating, "the machine calibrates itself",
                   static_cast<std::uint32_t>(std::min<std::int64_t>(wait, 1'000'000))};
  }
  if (faults_.strikes(FaultKind::queue_full))
    return Refusal{kQueueFull, "the queue is full", kBusyWaitUs};
  if (submit.reads < 1 || submit.reads > config_.max_reads) {
    return refusal(kBadValue, "SUBMIT: ", submit.reads, " reads, expected 1 to ",
                   config_.max_reads);
  }
  if (!session.programs.contains(submit.program))
    return refusal(kUnknownProgram, "no program ", submit.program, " in this session");
  if (session.jobs >= static_cast<std::size_t>(config_.credit_jobs) ||
      session.bytes + bytes > config_.credit_bytes) {
    return Refusal{kCredit, "more jobs or bytes unanswered than the session was granted"};
  }
  const std::size_t all = job_bytes_ + bytes;
  if (all > kMostJobBytes || (all > kManyJobBytes && session.bytes + bytes > kModestBytes))
    return Refusal{kQueueFull, "the queue is full", kBusyWaitUs};
  return std::nullopt;
}

std::shared_ptr<MachineJob> Service::machine_job(const SubmitRequest& submit, IsingProblem problem,
                                                 std::size_t bytes, std::uint64_t user) {
  auto out = std::make_shared<MachineJob>();
  out->user = user;
  out->problem = std::move(problem);
  out->bytes = bytes;
  out->reads = submit.reads;
  out->seed = submit.seed;
  if (submit.remaining_us > 0) {
    const auto left = std::min<std::uint64_t>(submit.remaining_us, 3'600'000'000U);
    out->deadline = Clock::now() + microseconds(left);
  }
  out->done = [this, id = submit.job, born = epoch_] {
    {
      const std::lock_guard lock(finished_mutex_);
      finished_.emplace_back(born, id);
    }
    network_.wake();
  };
  return out;
}

void Service::on_wake() {
  {
    const std::lock_guard lock(finished_mutex_);
    finishing_.swap(finished_);
  }
  for (const auto& [born, id] : finishing_) {
    Job* job = born == epoch_ ? jobs_.find(id) : nullptr;
    if (job == nullptr || job->answered()) continue;
    try {
      finish(id, *job);
    } catch (...) {
      // Out of memory: the answer is lost. Its client asks again, and the job is a new one.
      note("out of memory for an answer");
      if (Connection* c = network_.find(job->connection)) c->broken = true;
      if (!job->answered()) jobs_.forget(id);
    }
  }
  finishing_.clear();
}

/// The machine is done with a job.
void Service::finish(const Id& id, Job& job) {
  uncharge(job);
  const MachineJob& work = *job.work;
  if (work.end != MachineJob::End::solved) {
    const bool late = work.end == MachineJob::End::late;
    const bool failed = work.end == MachineJob::End::failed;
    if (!failed) ++(late ? counts_.late : counts_.cancelled);
    if (Connection* c = network_.find(job.connection)) {
      refuse(*c, job.request,
             late     ? Refusal{kDeadline, "the time was over before the machine was free"}
             : failed ? Refusal{kQueueFull, "no memory for this job now", kBusyWaitUs}
                      : Refusal{kCancelled, "the job was cancelled"},
             id);
    }
    return jobs_.forget(id);
  }
  ++counts_.solved;
  Answer answer;
  answer.job = id;
  answer.epoch = epoch_;
  answer.energy = work.energy;
  answer.queue_ns = work.queue_ns;
  answer.compute_ns = work.compute_ns;
  answer.program_ns = work.program_ns;
  answer.anneal_ns = work.anneal_ns;
  answer.readout_ns = work.readout_ns;
  answer.spins = work.answers[0].size();
  answer.reads = work.reads_done;
  answer.paced = work.paced;
  answer.packed = pack_signs(work.answers[0]);
  jobs_.answer(id, result(answer));
  reply_result(job);
}

void Service::uncharge(Job& job) {
  if (!job.charged) return;
  job.charged = false;
  job_bytes_ -= job.bytes;
  const auto session = sessions_.find(job.session);
  if (session == sessions_.end()) return;
  session->second.jobs -= 1;
  session->second.bytes -= job.bytes;
}

void Service::on_cancel(Connection& c, const Head& head, const CancelRequest& cancel) {
  Job* job = jobs_.find(cancel.job);
  CancelOutcome outcome = CancelOutcome::unknown;
  if (job != nullptr && job->answered()) {
    outcome = CancelOutcome::answered;
  } else if (job != nullptr && machine_.cancel(job->work)) {
    outcome = CancelOutcome::dequeued;
    ++counts_.cancelled;
    uncharge(*job);
    if (Connection* data = network_.find(job->connection))
      refuse(*data, job->request, {kCancelled, "the job was cancelled"}, cancel.job);
    jobs_.forget(cancel.job);
  } else if (job != nullptr) {
    outcome = CancelOutcome::stopped;
  }
  send(c, kCancelAck, head.request, cancel_ack(cancel.job, outcome));
}

// ---- faults ----

void Service::on_fault(Connection& c, const Head& head, const FaultRequest& fault) {
  if (!options_.allow_faults)
    return refuse(c, head.request, {kAuth, "FAULT: this emulator was not started for it"});
  if (fault.kind >= kLinkFaultKinds || fault.parts_per_million > 1'000'000) {
    return refuse(
        c, head.request,
        refusal(kBadValue, "FAULT: kind ", fault.kind, " at ", fault.parts_per_million, " ppm"));
  }
  FaultSetting& setting = faults_[static_cast<FaultKind>(fault.kind)];
  setting.parts_per_million = fault.parts_per_million;
  setting.argument = fault.argument;
  send(c, kFaultAck, head.request, {});
}

/// Faults that a SUBMIT may bring on.
void Service::strike(Connection& c) {
  if (faults_.strikes(FaultKind::stall)) {
    note("fault: stall");
    std::this_thread::sleep_for(faults_.time_of(FaultKind::stall, milliseconds(20)));
  }
  if (faults_.strikes(FaultKind::slow_reader))
    c.slow_until = Clock::now() + faults_.time_of(FaultKind::slow_reader, milliseconds(20));
  if (faults_.strikes(FaultKind::calibrating))
    calibrated_ = Clock::now() + faults_.time_of(FaultKind::calibrating, milliseconds(5));
}

/// Sends the reply as it is remembered, or what the faults make of it this time.
void Service::reply_result(const Job& job) {
  Connection* c = network_.find(job.connection);
  if (c == nullptr) return;
  Bytes payload = job.reply;
  faults_.damage_result(payload);
  Bytes bytes = frame(kResult, job.request, payload);
  faults_.damage_frame(bytes, kHeaderSize);
  if (faults_.strikes(FaultKind::drop)) return;
  if (faults_.strikes(FaultKind::truncate)) {
    network_.send(*c, View(bytes).first(bytes.size() / 2));
    return network_.end(*c);
  }
  const bool twice = faults_.strikes(FaultKind::duplicate);
  if (faults_.strikes(FaultKind::delay)) {
    const auto delay = faults_.time_of(FaultKind::delay, milliseconds(10));
    network_.send_later(*c, bytes, Clock::now() + delay);
  } else {
    network_.send(*c, bytes);
  }
  if (twice) network_.send(*c, bytes);
}

void Service::restart() {
  note("fault: restart");
  ++counts_.restarts;
  machine_.clear();
  jobs_.clear();
  sessions_.clear();
  job_bytes_ = 0;
  network_.drop_all();
  epoch_ = random_bytes<std::uint64_t>();
}

}  // namespace qama::emulator
