#include "hal/emulator/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "hal/base/quote.h"
#include "hal/emulator/wire.h"

namespace qama::emulator {
namespace {

constexpr std::size_t kMaxUnsentBytes = 4U << 20;  // a client that does not read is let go
constexpr std::size_t kReadChunk = 64U << 10;
constexpr std::size_t kSlowChunk = 512;
constexpr auto kHousekeeping = std::chrono::milliseconds(50);
constexpr std::uint32_t kBusyWaitUs = 500;

std::uint64_t random_number() {
  std::uint64_t out = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&out), sizeof out) != 1) {
    out = static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
  }
  return out;
}

Id random_id() {
  Id out{};
  if (RAND_bytes(out.data(), static_cast<int>(out.size())) != 1) {
    const std::uint64_t time = random_number();
    std::memcpy(out.data(), &time, sizeof time);
  }
  return out;
}

// FNV-1a over what a job id belongs to: the id itself and SUBMIT from byte 32.
std::uint64_t body_hash(View submit) {
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (std::size_t i = 32; i < submit.size(); ++i) hash = (hash ^ submit[i]) * 0x100000001B3U;
  return hash;
}

struct Connection {
  std::uint64_t number = 0;
  int fd = -1;
  SSL* ssl = nullptr;
  bool shaking = false;  // TLS handshake under way
  enum class Kind : std::uint8_t { unknown, control, data } kind = Kind::unknown;
  Id session{};
  Bytes in;
  Bytes out;
  std::size_t sent = 0;
  bool ends_when_sent = false;
  bool broken = false;
  bool wants_write = false;  // what epoll watches for
  bool paused = false;
  Clock::time_point born = Clock::now();
  Clock::time_point slow_until{};
};

struct Session {
  Id client{};
  std::uint64_t user = 0;
  std::uint64_t control = 0;
  Clock::time_point heard = Clock::now();
  int jobs = 0;
  std::uint64_t bytes = 0;
  std::map<std::uint32_t, ProgramRequest> programs;
};

struct Job {
  std::uint64_t hash = 0;
  std::shared_ptr<MachineJob> work;
  bool done = false;
  bool charged = false;
  Id session{};
  std::uint64_t connection = 0;
  std::uint64_t request = 0;
  std::size_t bytes = 0;
  Bytes reply;  // RESULT's payload
};

// What is to be done to a connection later.
struct Later {
  std::uint64_t connection = 0;
  Bytes bytes;
};

bool is_loopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) != 0;
}

}  // namespace

struct Server::Impl {
  MachineConfig config;
  ServerOptions options;
  Machine& machine;
  FaultPlan faults;
  std::unique_ptr<TlsServer> tls;
  ServerCounts counts;
  int listener = -1, poller = -1, waker = -1;
  std::uint16_t port = 0;
  std::uint64_t epoch = 0;
  std::atomic<bool> stopping{false};
  std::uint64_t last_number = 2;  // 0 to 2 mark the listener, the waker and nobody
  std::uint64_t last_user = 0;
  Clock::time_point calibrated{};

  std::map<std::uint64_t, std::unique_ptr<Connection>> connections;
  std::map<Id, Session> sessions;
  std::map<Id, Job> jobs;
  std::deque<std::pair<Clock::time_point, Id>> remembered;
  std::multimap<Clock::time_point, Later> later;

  // From the machine's thread.
  std::mutex finished_mutex;
  std::vector<std::pair<std::uint64_t, Id>> finished;  // epoch, job

  Impl(const MachineConfig& c, ServerOptions o, Machine& m, FaultPlan f)
      : config(c), options(std::move(o)), machine(m), faults(std::move(f)) {}
  ~Impl() {
    machine.clear();
    for (auto& [number, connection] : connections) close_now(*connection);
    for (const int fd : {listener, poller, waker}) {
      if (fd >= 0) ::close(fd);
    }
  }

  [[nodiscard]] std::uint32_t max_frame() const {
    const auto width = static_cast<std::uint32_t>(config.max_spins);
    return 56 + 2 * width + width * (width - 1) / 2;
  }
  [[nodiscard]] std::uint8_t state() const {
    if (Clock::now() < calibrated) return 2;
    return machine.waiting() > 0 ? 1 : 0;
  }
  void note(const std::string& text) const {
    if (options.verbose) std::fprintf(stderr, "cpqc-emulator: %s\n", text.c_str());
  }

  // ---- sockets ----
  void watch(Connection& c) {
    epoll_event event{};
    event.data.u64 = c.number;
    event.events = (c.paused ? 0U : static_cast<std::uint32_t>(EPOLLIN)) |
                   (c.wants_write ? static_cast<std::uint32_t>(EPOLLOUT) : 0U);
    epoll_ctl(poller, EPOLL_CTL_MOD, c.fd, &event);
  }

  static void close_now(Connection& c) {
    if (c.ssl != nullptr) SSL_free(c.ssl);
    if (c.fd >= 0) ::close(c.fd);
    c.ssl = nullptr;
    c.fd = -1;
  }

  void accept_all() {
    while (true) {
      const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      ++counts.connections;
      if (connections.size() >= static_cast<std::size_t>(config.max_connections)) {
        ::close(fd);
        continue;
      }
      const int one = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      auto c = std::make_unique<Connection>();
      c->number = ++last_number;
      c->fd = fd;
      if (tls) {
        c->ssl = SSL_new(tls->context.get());
        if (c->ssl == nullptr || SSL_set_fd(c->ssl, fd) != 1) {
          close_now(*c);
          continue;
        }
        SSL_set_accept_state(c->ssl);
        c->shaking = true;
      }
      epoll_event event{};
      event.data.u64 = c->number;
      event.events = EPOLLIN;
      if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0) {
        close_now(*c);
        continue;
      }
      connections.emplace(c->number, std::move(c));
    }
  }

  // Bytes read; 0: nothing now. Marks the connection broken at its end.
  std::size_t receive(Connection& c, std::uint8_t* to, std::size_t size) {
    if (c.ssl == nullptr) {
      const ssize_t got = ::recv(c.fd, to, size, 0);
      if (got > 0) return static_cast<std::size_t>(got);
      if (got == 0 || (errno != EAGAIN && errno != EINTR)) c.broken = true;
      return 0;
    }
    ERR_clear_error();
    if (c.shaking) {
      const int done = SSL_do_handshake(c.ssl);
      if (done == 1) {
        c.shaking = false;
      } else {
        const int why = SSL_get_error(c.ssl, done);
        if (why == SSL_ERROR_WANT_WRITE) c.wants_write = true;
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
          note("a TLS handshake failed");
          c.broken = true;
        }
        return 0;
      }
    }
    const int got = SSL_read(c.ssl, to, static_cast<int>(size));
    if (got > 0) return static_cast<std::size_t>(got);
    const int why = SSL_get_error(c.ssl, got);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) c.broken = true;
    return 0;
  }

  void flush(Connection& c) {
    while (!c.broken && !c.shaking && c.sent < c.out.size()) {
      const std::uint8_t* from = c.out.data() + c.sent;
      const std::size_t size = c.out.size() - c.sent;
      if (c.ssl == nullptr) {
        const ssize_t put = ::send(c.fd, from, size, MSG_NOSIGNAL);
        if (put > 0) {
          c.sent += static_cast<std::size_t>(put);
          continue;
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN) c.broken = true;
        break;
      }
      ERR_clear_error();
      const int put =
          SSL_write(c.ssl, from, static_cast<int>(std::min<std::size_t>(size, 1U << 30)));
      if (put > 0) {
        c.sent += static_cast<std::size_t>(put);
        continue;
      }
      const int why = SSL_get_error(c.ssl, put);
      if (why != SSL_ERROR_WANT_WRITE && why != SSL_ERROR_WANT_READ) c.broken = true;
      break;
    }
    if (c.sent == c.out.size()) {
      c.out.clear();
      c.sent = 0;
      if (c.ends_when_sent) c.broken = true;
    }
    if (c.out.size() - c.sent > kMaxUnsentBytes) c.broken = true;
    const bool wants = !c.out.empty() && !c.shaking;
    if (wants != c.wants_write && !c.broken) {
      c.wants_write = wants;
      watch(c);
    }
  }

  Connection* find(std::uint64_t number) {
    const auto at = connections.find(number);
    return at == connections.end() ? nullptr : at->second.get();
  }

  void send_bytes(Connection& c, View bytes) {
    if (c.broken || c.ends_when_sent) return;
    c.out.insert(c.out.end(), bytes.begin(), bytes.end());
    flush(c);
  }
  void send(Connection& c, std::uint8_t type, std::uint64_t request, View payload,
            std::uint16_t status = kOk) {
    send_bytes(c, frame(type, request, payload, status));
  }
  void refuse(Connection& c, std::uint64_t request, Code code, const std::string& text,
              const Id& job = {}, std::uint32_t wait_us = 0) {
    send(c, kError, request, error(job, epoch, wait_us, text), code);
  }
  // An error after which the connection ends.
  void dismiss(Connection& c, std::uint64_t request, Code code, const std::string& text) {
    ++counts.refused_frames;
    refuse(c, request, code, text);
    c.ends_when_sent = true;
    if (c.out.empty()) c.broken = true;
  }

  // ---- frames ----
  void on_readable(Connection& c) {
    std::uint8_t chunk[kReadChunk];
    const bool slow = Clock::now() < c.slow_until;
    // A few chunks a turn, so that one busy client does not keep the others waiting.
    for (int turn = 0; turn < 4 && !c.broken && !c.ends_when_sent; ++turn) {
      const std::size_t got = receive(c, chunk, slow ? kSlowChunk : sizeof chunk);
      if (got == 0) break;
      c.in.insert(c.in.end(), chunk, chunk + got);
      take_frames(c);
      if (slow) {
        c.paused = true;
        watch(c);
        later.emplace(Clock::now() + std::chrono::milliseconds(1), Later{c.number, {}});
        return;
      }
      if (got < sizeof chunk && c.ssl == nullptr) break;
    }
    // TLS may hold decrypted bytes that epoll does not know of.
    if (c.ssl != nullptr && !c.broken && SSL_pending(c.ssl) > 0) {
      later.emplace(Clock::now(), Later{c.number, {}});
    }
    if (c.shaking && c.wants_write) watch(c);
  }

  void take_frames(Connection& c) {
    std::size_t at = 0;
    while (!c.broken && !c.ends_when_sent && c.in.size() - at >= kHeaderSize) {
      Head head;
      const std::uint32_t limit =
          c.kind == Connection::Kind::data ? max_frame() : kUnknownPeerLimit;
      const View bytes = View(c.in).subspan(at);
      if (!parse_head(bytes.first(kHeaderSize), limit, head)) {
        dismiss(c, 0, kBadFrame, "not a frame of this link, or one above its limit");
        break;
      }
      if (bytes.size() < kHeaderSize + head.length) {
        c.in.reserve(at + kHeaderSize + head.length);
        break;
      }
      const View payload = bytes.subspan(kHeaderSize, head.length);
      at += kHeaderSize + head.length;
      if (checksum(payload) != head.payload_checksum) {
        ++counts.refused_frames;
        refuse(c, head.request, kBadCrc, "the payload is damaged: its CRC does not match");
        continue;
      }
      handle(c, head, payload);
    }
    if (at > 0) c.in.erase(c.in.begin(), c.in.begin() + static_cast<std::ptrdiff_t>(at));
  }

  template <typename T>
  T* good(Connection& c, const Head& head, Parsed<T>& parsed) {
    if (auto* out = std::get_if<T>(&parsed)) return out;
    const Refusal& refusal = std::get<Refusal>(parsed);
    ++counts.refused_frames;
    refuse(c, head.request, refusal.code, refusal.text);
    return nullptr;
  }

  void handle(Connection& c, const Head& head, View payload) {
    if (c.kind == Connection::Kind::unknown) {
      if (head.type == kHello) return on_hello(c, head, payload);
      if (head.type == kAttach) return on_attach(c, head, payload);
      return dismiss(c, head.request, kBadFrame, "the first frame is neither HELLO nor ATTACH");
    }
    const auto found = sessions.find(c.session);
    if (found == sessions.end()) {
      return dismiss(c, head.request, kNoSession, "the session is over");
    }
    Session& session = found->second;
    if (c.kind == Connection::Kind::control) {
      session.heard = Clock::now();
      switch (head.type) {
        case kPing: {
          auto parsed = parse_ping(payload);
          if (const auto* ping = good(c, head, parsed)) {
            send(c, kPong, head.request, pong(ping->echo, epoch, machine.waiting(), state()));
          }
          return;
        }
        case kCancel:
          return on_cancel(c, head, payload);
        case kFault:
          return on_fault(c, head, payload);
        case kGoodbye:
          end_session(found->first);
          c.broken = true;
          return;
        default:
          return dismiss(c, head.request, kBadFrame,
                         "this frame does not belong on a control connection");
      }
    }
    if (head.type == kProgram) return on_program(c, head, payload, session);
    if (head.type == kSubmit) return on_submit(c, head, payload, session);
    dismiss(c, head.request, kBadFrame, "this frame does not belong on a data connection");
  }

  void on_hello(Connection& c, const Head& head, View payload) {
    auto parsed = parse_hello(payload);
    const auto* hello = std::get_if<HelloRequest>(&parsed);
    if (hello == nullptr) {
      return dismiss(c, head.request, std::get<Refusal>(parsed).code,
                     std::get<Refusal>(parsed).text);
    }
    if (sessions.size() >= static_cast<std::size_t>(config.max_sessions)) {
      return dismiss(c, head.request, kQueueFull, "no more sessions");
    }
    const Id token = random_id();
    Session session;
    session.client = hello->client;
    session.user = ++last_user;
    session.control = c.number;
    sessions.emplace(token, std::move(session));
    c.kind = Connection::Kind::control;
    c.session = token;
    Capabilities caps;
    caps.flags = static_cast<std::uint16_t>(1U | (options.allow_faults ? 2U : 0U));
    caps.max_frame = max_frame();
    caps.epoch = epoch;
    caps.token = token;
    caps.max_spins = static_cast<std::uint32_t>(config.max_spins);
    caps.max_reads = static_cast<std::uint16_t>(config.max_reads);
    caps.credit_jobs = static_cast<std::uint16_t>(config.credit_jobs);
    caps.max_programs = 64;
    caps.credit_bytes = config.credit_bytes;
    caps.heartbeat_ms = static_cast<std::uint32_t>(config.heartbeat_ms);
    caps.lease_ms = static_cast<std::uint32_t>(config.lease_ms);
    caps.round_trip_ns = static_cast<std::uint32_t>(config.round_trip_ns);
    caps.round_trips = static_cast<std::uint32_t>(config.dynamics.round_trips);
    caps.remember_ms = static_cast<std::uint32_t>(config.remember_ms);
    caps.state = state();
    caps.name = config.name;
    send(c, kHelloAck, head.request, hello_ack(caps));
  }

  void on_attach(Connection& c, const Head& head, View payload) {
    auto parsed = parse_attach(payload);
    const auto* attach = std::get_if<AttachRequest>(&parsed);
    if (attach == nullptr) {
      return dismiss(c, head.request, std::get<Refusal>(parsed).code,
                     std::get<Refusal>(parsed).text);
    }
    if (attach->epoch != epoch) return dismiss(c, head.request, kLost, "the machine was restarted");
    if (sessions.find(attach->token) == sessions.end()) {
      return dismiss(c, head.request, kNoSession, "no session has this token");
    }
    c.kind = Connection::Kind::data;
    c.session = attach->token;
    send(c, kAttachAck, head.request, attach_ack(epoch));
  }

  void on_program(Connection& c, const Head& head, View payload, Session& session) {
    auto parsed = parse_program(payload);
    const auto* program = good(c, head, parsed);
    if (program == nullptr) return;
    const std::uint64_t spins = static_cast<std::uint64_t>(program->heads) * program->tokens + 1;
    if (spins > static_cast<std::uint64_t>(config.max_spins)) {
      return refuse(c, head.request, kTooLarge,
                    "PROGRAM: " + std::to_string(spins) +
                        " spins with one ancilla, this machine has " +
                        std::to_string(config.max_spins));
    }
    if (session.programs.size() >= 64 &&
        session.programs.find(program->id) == session.programs.end()) {
      return refuse(c, head.request, kTooLarge, "PROGRAM: a session holds at most 64");
    }
    session.programs[program->id] = *program;
    send(c, kProgramAck, head.request,
         program_ack(program->id, machine.program_ns(payload.size())));
  }

  void refuse_job(Connection& c, const Head& head, const SubmitRequest& submit, Code code,
                  const std::string& text, std::uint32_t wait_us = 0) {
    ++counts.refused_jobs;
    refuse(c, head.request, code, text, submit.job, wait_us);
  }

  void on_submit(Connection& c, const Head& head, View payload, Session& session) {
    auto parsed = parse_submit(payload);
    const auto* submit = good(c, head, parsed);
    if (submit == nullptr) return;
    ++counts.jobs;
    if (faults.strikes(FaultKind::restart)) return restart();
    if (faults.strikes(FaultKind::stall)) {
      note("fault: stall");
      std::this_thread::sleep_for(std::chrono::microseconds(argument_of(FaultKind::stall, 20'000)));
    }
    if (faults.strikes(FaultKind::slow_reader)) {
      c.slow_until =
          Clock::now() + std::chrono::microseconds(argument_of(FaultKind::slow_reader, 20'000));
    }
    if (faults.strikes(FaultKind::calibrating)) {
      calibrated =
          Clock::now() + std::chrono::microseconds(argument_of(FaultKind::calibrating, 5'000));
    }
    if (submit->epoch != epoch) {
      return refuse_job(c, head, *submit, kLost, "the machine was restarted: its jobs are lost");
    }
    const std::uint64_t hash = body_hash(payload);
    const auto known = jobs.find(submit->job);
    if (known != jobs.end()) {
      Job& job = known->second;
      if (job.hash != hash) {
        return refuse_job(c, head, *submit, kConflict, "this job id was used for another problem");
      }
      job.connection = c.number;
      job.request = head.request;
      if (job.done) {
        ++counts.from_memory;
        return reply_result(job);
      }
      ++counts.joined;
      return;
    }
    const Clock::time_point now = Clock::now();
    if (now < calibrated) {
      const auto wait =
          std::chrono::duration_cast<std::chrono::microseconds>(calibrated - now).count();
      return refuse_job(c, head, *submit, kCalibrating, "the machine calibrates itself",
                        static_cast<std::uint32_t>(std::min<std::int64_t>(wait, 1'000'000)));
    }
    if (faults.strikes(FaultKind::queue_full)) {
      return refuse_job(c, head, *submit, kQueueFull, "the queue is full", kBusyWaitUs);
    }
    if (submit->reads < 1 || submit->reads > config.max_reads) {
      return refuse_job(c, head, *submit, kBadValue,
                        "SUBMIT: " + std::to_string(submit->reads) + " reads, expected 1 to " +
                            std::to_string(config.max_reads));
    }
    const auto program = session.programs.find(submit->program);
    if (program == session.programs.end()) {
      return refuse_job(c, head, *submit, kUnknownProgram,
                        "no program " + std::to_string(submit->program) + " in this session");
    }
    if (session.jobs >= config.credit_jobs ||
        session.bytes + payload.size() > config.credit_bytes) {
      return refuse_job(c, head, *submit, kCredit,
                        "more jobs or bytes unanswered than the session was granted");
    }
    auto problem = parse_problem(*submit, program->second, config.max_spins);
    if (const auto* refusal = std::get_if<Refusal>(&problem)) {
      return refuse_job(c, head, *submit, refusal->code, refusal->text);
    }
    auto work = std::make_shared<MachineJob>();
    work->user = session.user;
    work->problem = std::move(std::get<IsingProblem>(problem));
    work->bytes = payload.size();
    work->reads = submit->reads;
    work->seed = submit->seed;
    if (submit->remaining_us > 0) {
      work->deadline = now + std::chrono::microseconds(
                                 std::min<std::uint64_t>(submit->remaining_us, 3'600'000'000U));
    }
    work->done = [this, id = submit->job, born = epoch] {
      {
        const std::lock_guard lock(finished_mutex);
        finished.emplace_back(born, id);
      }
      wake();
    };
    Job job;
    job.hash = hash;
    job.work = work;
    job.session = c.session;
    job.connection = c.number;
    job.request = head.request;
    job.bytes = payload.size();
    job.charged = true;
    if (!machine.submit(work)) {
      return refuse_job(c, head, *submit, kQueueFull, "the queue is full", kBusyWaitUs);
    }
    session.jobs += 1;
    session.bytes += payload.size();
    jobs.emplace(submit->job, std::move(job));
  }

  void uncharge(Job& job) {
    if (!job.charged) return;
    job.charged = false;
    const auto session = sessions.find(job.session);
    if (session == sessions.end()) return;
    session->second.jobs -= 1;
    session->second.bytes -= job.bytes;
  }

  void on_finished() {
    std::uint64_t ticks = 0;
    (void)!::read(waker, &ticks, sizeof ticks);
    std::vector<std::pair<std::uint64_t, Id>> done;
    {
      const std::lock_guard lock(finished_mutex);
      done.swap(finished);
    }
    for (const auto& [born, id] : done) {
      if (born != epoch) continue;
      const auto at = jobs.find(id);
      if (at == jobs.end() || at->second.done) continue;
      Job& job = at->second;
      uncharge(job);
      const MachineJob& work = *job.work;
      if (work.end != MachineJob::End::solved) {
        const bool late = work.end == MachineJob::End::late;
        ++(late ? counts.late : counts.cancelled);
        if (Connection* c = find(job.connection)) {
          refuse(*c, job.request, late ? kDeadline : kCancelled,
                 late ? "the time was over before the machine was free" : "the job was cancelled",
                 id);
        }
        jobs.erase(at);
        continue;
      }
      ++counts.solved;
      Answer answer;
      answer.job = id;
      answer.epoch = epoch;
      answer.energy = work.energy;
      answer.queue_ns = work.queue_ns;
      answer.compute_ns = work.compute_ns;
      answer.program_ns = work.program_ns;
      answer.anneal_ns = work.anneal_ns;
      answer.readout_ns = work.readout_ns;
      answer.spins = static_cast<std::uint32_t>(work.answers[0].size());
      answer.reads = static_cast<std::uint16_t>(work.reads_done);
      answer.paced = work.paced;
      answer.packed = pack_signs(work.answers[0]);
      job.reply = result(answer);
      job.done = true;
      job.work.reset();
      remembered.emplace_back(Clock::now(), id);
      reply_result(job);
    }
  }

  std::uint64_t argument_of(FaultKind kind, std::uint64_t otherwise) {
    const std::uint64_t argument = faults[kind].argument;
    return argument == 0 ? otherwise : argument;
  }

  // The reply as it is remembered, and what the faults make of it on this occasion.
  void reply_result(Job& job) {
    Connection* c = find(job.connection);
    if (c == nullptr) return;
    Bytes payload = job.reply;
    if (faults.strikes(FaultKind::flip_before_crc)) {
      const std::size_t spin = faults.number((payload.size() - 80) * 8 / 2);
      payload[80 + spin / 8] =
          static_cast<std::uint8_t>(payload[80 + spin / 8] ^ (1U << (spin % 8)));
    }
    if (faults.strikes(FaultKind::wrong_size)) {
      std::uint32_t spins = 0;
      std::memcpy(&spins, payload.data() + 72,
                  sizeof spins);  // the emulator runs on little-endian hosts
      spins -= 1;
      std::memcpy(payload.data() + 72, &spins, sizeof spins);
      payload.resize(80 + (spins + 7) / 8);
      if (spins % 8 != 0)
        payload.back() = static_cast<std::uint8_t>(payload.back() & ((1U << (spins % 8)) - 1));
    }
    Bytes bytes = frame(kResult, job.request, payload);
    if (faults.strikes(FaultKind::flip_in_transit)) {
      const bool in_header = argument_of(FaultKind::flip_in_transit, 0) == 1;
      const std::size_t first = in_header ? 0 : kHeaderSize;
      const std::size_t last = in_header ? kHeaderSize : bytes.size();
      const std::size_t at = first + faults.number(last - first);
      bytes[at] = static_cast<std::uint8_t>(bytes[at] ^ (1U << faults.number(8)));
    }
    if (faults.strikes(FaultKind::drop)) return;
    if (faults.strikes(FaultKind::truncate)) {
      bytes.resize(bytes.size() / 2);
      send_bytes(*c, bytes);
      c->ends_when_sent = true;
      if (c->out.empty()) c->broken = true;
      return;
    }
    const bool twice = faults.strikes(FaultKind::duplicate);
    if (faults.strikes(FaultKind::delay)) {
      later.emplace(Clock::now() + std::chrono::microseconds(argument_of(FaultKind::delay, 10'000)),
                    Later{c->number, bytes});
    } else {
      send_bytes(*c, bytes);
    }
    if (twice) send_bytes(*c, bytes);
  }

  void on_cancel(Connection& c, const Head& head, View payload) {
    auto parsed = parse_cancel(payload);
    const auto* cancel = good(c, head, parsed);
    if (cancel == nullptr) return;
    std::uint8_t outcome = 0;
    const auto at = jobs.find(cancel->job);
    if (at != jobs.end()) {
      Job& job = at->second;
      if (job.done) {
        outcome = 3;
      } else if (machine.cancel(job.work)) {
        outcome = 1;
        ++counts.cancelled;
        uncharge(job);
        if (Connection* data = find(job.connection)) {
          refuse(*data, job.request, kCancelled, "the job was cancelled", cancel->job);
        }
        jobs.erase(at);
      } else {
        outcome = 2;
      }
    }
    send(c, kCancelAck, head.request, cancel_ack(cancel->job, outcome));
  }

  void on_fault(Connection& c, const Head& head, View payload) {
    auto parsed = parse_fault(payload);
    const auto* fault = good(c, head, parsed);
    if (fault == nullptr) return;
    if (!options.allow_faults)
      return refuse(c, head.request, kAuth, "FAULT: this emulator was not started for it");
    if (fault->kind >= kFaultKinds || fault->parts_per_million > 1'000'000) {
      return refuse(c, head.request, kBadValue,
                    "FAULT: kind " + std::to_string(fault->kind) + " at " +
                        std::to_string(fault->parts_per_million) + " ppm");
    }
    FaultSetting& setting = faults[static_cast<FaultKind>(fault->kind)];
    setting.parts_per_million = fault->parts_per_million;
    setting.argument = fault->argument;
    send(c, kFaultAck, head.request, {});
  }

  void end_session(const Id& token) {
    for (auto at = jobs.begin(); at != jobs.end();) {
      if (!at->second.done && at->second.session == token && machine.cancel(at->second.work)) {
        at = jobs.erase(at);
      } else {
        ++at;
      }
    }
    sessions.erase(token);
  }

  void restart() {
    note("fault: restart");
    ++counts.restarts;
    machine.clear();
    jobs.clear();
    remembered.clear();
    sessions.clear();
    later.clear();
    for (auto& [number, c] : connections) c->broken = true;
    epoch = random_number();
  }

  void wake() const noexcept {
    const std::uint64_t one = 1;
    (void)!::write(waker, &one, sizeof one);
  }

  void housekeeping() {
    const Clock::time_point now = Clock::now();
    for (auto& [number, c] : connections) {
      if (c->kind == Connection::Kind::unknown &&
          now - c->born > std::chrono::milliseconds(config.hello_ms)) {
        c->broken = true;
      }
    }
    for (auto at = sessions.begin(); at != sessions.end();) {
      const auto next = std::next(at);
      if (now - at->second.heard > std::chrono::milliseconds(config.lease_ms)) {
        note("a session's lease is over");
        if (Connection* c = find(at->second.control)) c->broken = true;
        const Id token = at->first;
        end_session(token);
      }
      at = next;
    }
    while (!remembered.empty() &&
           (remembered.size() > kRememberedJobs ||
            now - remembered.front().first > std::chrono::milliseconds(config.remember_ms))) {
      jobs.erase(remembered.front().second);
      remembered.pop_front();
    }
  }

  void run_due() {
    while (!later.empty() && later.begin()->first <= Clock::now()) {
      const Later item = std::move(later.begin()->second);
      later.erase(later.begin());
      Connection* c = find(item.connection);
      if (c == nullptr || c->broken) continue;
      if (!item.bytes.empty()) {
        send_bytes(*c, item.bytes);
        continue;
      }
      if (c->paused) {
        c->paused = false;
        watch(*c);
      }
      on_readable(*c);
    }
  }

  void sweep() {
    for (auto at = connections.begin(); at != connections.end();) {
      if (at->second->broken) {
        close_now(*at->second);
        at = connections.erase(at);
      } else {
        ++at;
      }
    }
  }

  void run() {
    Clock::time_point cleaned = Clock::now();
    epoll_event events[64];
    while (!stopping) {
      auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(kHousekeeping);
      if (!later.empty()) {
        const auto due =
            std::chrono::ceil<std::chrono::milliseconds>(later.begin()->first - Clock::now());
        wait = std::clamp(due, std::chrono::milliseconds(0), wait);
      }
      const int count = epoll_wait(poller, events, 64, static_cast<int>(wait.count()));
      for (int i = 0; i < count; ++i) {
        if (events[i].data.u64 == 0) {
          accept_all();
        } else if (events[i].data.u64 == 1) {
          on_finished();
        } else if (Connection* c = find(events[i].data.u64)) {
          if (c->broken) continue;
          if ((events[i].events & EPOLLOUT) != 0) {
            if (c->shaking) {
              c->wants_write = false;
              on_readable(*c);
            }
            flush(*c);
          }
          if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !c->broken)
            on_readable(*c);
        }
      }
      run_due();
      if (Clock::now() - cleaned > kHousekeeping) {
        housekeeping();
        cleaned = Clock::now();
      }
      sweep();
    }
  }
};

Result<std::unique_ptr<Server>> Server::create(const MachineConfig& config,
                                               const ServerOptions& options, Machine& machine,
                                               FaultPlan faults) {
  sockaddr_storage address{};
  socklen_t length = 0;
  auto& v4 = reinterpret_cast<sockaddr_in&>(address);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
  if (inet_pton(AF_INET, options.address.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(options.port);
    length = sizeof v4;
  } else if (inet_pton(AF_INET6, options.address.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(options.port);
    length = sizeof v6;
  } else {
    return Error{ErrorCode::invalid_argument,
                 "address " + quote(options.address) + ": expected an IP address"};
  }
  auto impl = std::make_unique<Impl>(config, options, machine, std::move(faults));
  if (options.tls.any()) {
    QAMA_ASSIGN_OR_RETURN(impl->tls, make_tls_server(options.tls));
  } else if (!is_loopback(address)) {
    return Error{ErrorCode::device_auth,
                 "address " + quote(options.address) +
                     " is not loopback: plain TCP is refused there, expected TLS"};
  }
  impl->epoch = random_number();
  impl->listener = ::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  impl->poller = epoll_create1(EPOLL_CLOEXEC);
  impl->waker = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  const int one = 1;
  if (impl->listener >= 0) setsockopt(impl->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (impl->listener < 0 || impl->poller < 0 || impl->waker < 0 ||
      ::bind(impl->listener, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      ::listen(impl->listener, 128) != 0) {
    return Error{ErrorCode::io_error, "port " + std::to_string(options.port) + " of " +
                                          quote(options.address) +
                                          " cannot be opened: " + std::strerror(errno)};
  }
  sockaddr_storage bound{};
  socklen_t bound_length = sizeof bound;
  ::getsockname(impl->listener, reinterpret_cast<sockaddr*>(&bound), &bound_length);
  impl->port = ntohs(bound.ss_family == AF_INET ? reinterpret_cast<sockaddr_in&>(bound).sin_port
                                                : reinterpret_cast<sockaddr_in6&>(bound).sin6_port);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = 0;
  epoll_ctl(impl->poller, EPOLL_CTL_ADD, impl->listener, &event);
  event.data.u64 = 1;
  epoll_ctl(impl->poller, EPOLL_CTL_ADD, impl->waker, &event);
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;
std::uint16_t Server::port() const noexcept {
  return impl_->port;
}
std::uint64_t Server::epoch() const noexcept {
  return impl_->epoch;
}
void Server::run() {
  impl_->run();
}
void Server::stop() noexcept {
  impl_->stopping = true;
  impl_->wake();
}
const ServerCounts& Server::counts() const noexcept {
  return impl_->counts;
}
FaultPlan& Server::faults() noexcept {
  return impl_->faults;
}

}  // namespace qama::emulator
