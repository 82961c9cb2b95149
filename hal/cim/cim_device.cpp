#include "hal/cim/cim_device.h"

#include <openssl/rand.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "hal/base/quote.h"
#include "hal/cim/address.h"
#include "hal/cim/link_codec.h"
#include "hal/cim/link_stream.h"
#include "hal/cim/quantise.h"
#include "hal/verify.h"

namespace qama::hal::cim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using TimePoint = LinkClock::time_point;

constexpr std::int32_t kMaxAttempts = 3;  // the first and two retries
constexpr std::int32_t kMaxInFlight = 64;
constexpr auto kConnectTime = milliseconds(1000);
constexpr auto kFirstBackOff = milliseconds(5);
constexpr auto kLongestBackOff = milliseconds(500);
constexpr auto kRetryWait = microseconds(300);  // before jitter
constexpr auto kCreditWait = microseconds(200);
constexpr auto kGraceWhenDown =
    milliseconds(50);  // a link that just went down is waited for this long
constexpr std::size_t kReplyRoom = 2 * (kFrameHeaderBytes + kMaxReplyBytes);

double us_between(TimePoint from, TimePoint to) {
  return std::chrono::duration<double, std::micro>(to - from).count();
}

JobId random_id() {
  JobId out{};
  if (RAND_bytes(out.data(), static_cast<int>(out.size())) != 1) {
    const auto now = LinkClock::now().time_since_epoch().count();
    std::memcpy(out.data(), &now, sizeof now);
  }
  return out;
}

struct LinkOptions {
  Endpoint endpoint;
  std::int32_t reads = 0;
  std::int32_t ancillas = 0;
  Encoding encoding = Encoding::block_i8;
  std::int32_t in_flight = 8;
  std::int32_t timeout_ms = 2000;
  std::int32_t attempt_ms = 0;
};

/// An event that wakes a poll().
class Wake {
 public:
  Wake() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~Wake() {
    if (fd_ >= 0) ::close(fd_);
  }
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;
  void ring() noexcept {
    const std::uint64_t one = 1;
    (void)!::write(fd_, &one, sizeof one);
  }
  void clear() noexcept {
    std::uint64_t count = 0;
    (void)!::read(fd_, &count, sizeof count);
  }
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

/// Bytes of replies as they come, in fixed memory, and the frames in them.
class FrameReader {
 public:
  FrameReader() : buffer_(kReplyRoom) {}
  void reset() noexcept { begin_ = end_ = 0; }
  /// Takes what the stream has now.
  Stream::Outcome fill(Stream& stream) noexcept {
    if (begin_ > 0) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    std::size_t size = 0;
    const auto outcome = stream.receive(std::span(buffer_).subspan(end_), size);
    end_ += size;
    return outcome;
  }
  enum class Next : std::uint8_t { frame, more, broken };
  /// The next whole frame; its payload stays valid until the next fill(). `intact`: its CRC is
  /// right.
  Next next(FrameHeader& header, std::span<const std::uint8_t>& payload, bool& intact) {
    const std::span<const std::uint8_t> have(buffer_.data() + begin_, end_ - begin_);
    if (have.size() < kFrameHeaderBytes) return Next::more;
    auto decoded = decode_header(have, kMaxReplyBytes);
    if (!decoded.ok()) return Next::broken;
    header = *decoded;
    if (have.size() < kFrameHeaderBytes + header.length) return Next::more;
    payload = have.subspan(kFrameHeaderBytes, header.length);
    intact = payload_intact(header, payload);
    begin_ += kFrameHeaderBytes + header.length;
    return Next::frame;
  }

 private:
  std::vector<std::uint8_t> buffer_;
  std::size_t begin_ = 0, end_ = 0;
};

/// A small frame in fixed memory.
class SmallFrame {
 public:
  template <typename Message>
  std::span<const std::uint8_t> make(MessageType type, std::uint64_t request,
                                     const Message& message) noexcept {
    const std::size_t size = message.encode(std::span(bytes_).subspan(kFrameHeaderBytes));
    encode_header(type, request, std::span(bytes_).subspan(kFrameHeaderBytes, size),
                  std::span(bytes_).first(kFrameHeaderBytes));
    return std::span(bytes_).first(kFrameHeaderBytes + size);
  }

 private:
  std::array<std::uint8_t, 256> bytes_;
};

struct Nothing {
  std::size_t encode(std::span<std::uint8_t>) const noexcept { return 0; }
};

Error error_from(const FrameHeader& header, const ErrorReply& reply) {
  return {error_of(header.status), "the machine says " +
                                       std::string(link_status_name(header.status)) + ": " +
                                       quote(reply.text)};
}

/// Sends a request and waits for its reply; other frames are skipped. For set-up, not for jobs.
Result<FrameHeader> ask(Stream& stream, FrameReader& reader, std::span<const std::uint8_t> request,
                        MessageType expected, TimePoint deadline,
                        std::span<const std::uint8_t>& payload) {
  if (stream.send_all(request, deadline) != Stream::Outcome::ok) {
    return Error{ErrorCode::device_lost, "the connection ended while asking"};
  }
  while (true) {
    FrameHeader header;
    bool intact = false;
    switch (reader.next(header, payload, intact)) {
      case FrameReader::Next::broken:
        return Error{ErrorCode::device_protocol, "the machine's reply is not a frame of this link"};
      case FrameReader::Next::frame:
        if (!intact) return Error{ErrorCode::device_protocol, "the machine's reply is damaged"};
        if (header.type == MessageType::error) {
          QAMA_ASSIGN_OR_RETURN(const ErrorReply reply, ErrorReply::decode(payload));
          return error_from(header, reply);
        }
        if (header.type == expected) return header;
        continue;
      case FrameReader::Next::more:
        break;
    }
    if (!stream.pending() && !wait_for(stream.fd(), false, -1, deadline)) {
      return Error{ErrorCode::deadline_exceeded, "no reply from the machine in time"};
    }
    if (reader.fill(stream) == Stream::Outcome::closed) {
      return Error{ErrorCode::device_lost, "the machine ended the connection while asked"};
    }
  }
}

/// What a data connection needs to attach.
struct SessionView {
  std::uint64_t generation = 0;
  JobId token{};
  std::uint64_t epoch = 0;
};

class LinkDevice final : public Device, public std::enable_shared_from_this<LinkDevice> {
 public:
  explicit LinkDevice(LinkOptions options) : options_(std::move(options)) {}

  ~LinkDevice() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    wake_.ring();
    if (thread_.joinable()) thread_.join();
    if (control_.open()) {
      SmallFrame frame;
      (void)control_.send_all(frame.make(MessageType::goodbye, 0, Nothing{}),
                              LinkClock::now() + milliseconds(10));
    }
  }

  Status start(const std::string& uri) {
    QAMA_ASSIGN_OR_RETURN(factory_, StreamFactory::create(options_.endpoint));
    client_ = random_id();
    QAMA_RETURN_IF_ERROR(say_hello(LinkClock::now() + kConnectTime));
    info_.uri = uri;
    info_.name = std::string(caps_name_);
    info_.detail = std::string(caps_.emulated ? "an emulated machine" : "a machine") +
                   " over the link, ring of " + std::to_string(caps_.round_trips) +
                   " round trips of " + std::to_string(caps_.round_trip_ns) + " ns";
    info_.max_spins = caps_.max_spins;
    info_.coupling_bits = caps_.coupling_bits;
    if ((caps_.encodings & 1U) != 0) info_.encodings.emplace_back("block_i8");
    if ((caps_.encodings & 2U) != 0) info_.encodings.emplace_back("dense_i8");
    info_.max_in_flight = std::min<std::int32_t>(options_.in_flight, caps_.credit_jobs);
    info_.is_emulated = caps_.emulated;
    info_.deterministic = false;
    if ((caps_.encodings & (1U << static_cast<unsigned>(options_.encoding))) == 0) {
      return Error{ErrorCode::unsupported,
                   "the machine does not take the encoding that was asked for"};
    }
    thread_ = std::thread([this] { keep_up(); });
    return {};
  }

  const DeviceInfo& info() const noexcept override { return info_; }
  const LinkOptions& options() const noexcept { return options_; }
  const HelloAck& capabilities() const noexcept { return caps_; }
  const StreamFactory& factory() const noexcept { return *factory_; }

  Result<DeviceHealth> probe() override {
    DeviceHealth health;
    std::unique_lock lock(mutex_);
    if (!up_) {
      health.state = DeviceState::unreachable;
      health.detail = last_error_;
      return health;
    }
    // A ping of its own, so that the round trip is of now.
    const std::uint64_t before = pongs_;
    ping_now_ = true;
    wake_.ring();
    changed_.wait_for(lock, kConnectTime, [&] { return pongs_ != before || !up_; });
    if (pongs_ == before) {
      health.state = DeviceState::unreachable;
      health.detail = "no answer to a ping";
      return health;
    }
    constexpr std::array kStates = {DeviceState::available, DeviceState::busy,
                                    DeviceState::calibrating, DeviceState::faulty};
    health.state = kStates[state_ & 3U];
    health.round_trip_us = round_trip_us_;
    health.detail = std::to_string(waiting_) + " jobs waiting";
    return health;
  }

  Status supports(const ProblemShape& shape) const override {
    QuantiseOptions quantise;
    quantise.max_spins = static_cast<std::int32_t>(caps_.max_spins);
    quantise.ancillas = options_.ancillas;
    QAMA_RETURN_IF_ERROR(validate_shape(shape));
    const std::int64_t needed = shape.spins() + std::max(options_.ancillas, 1);
    if (needed > quantise.max_spins) {
      return Error{ErrorCode::problem_too_large,
                   "a layer of " + std::to_string(shape.heads) + " x " +
                       std::to_string(shape.tokens) + " spins needs " + std::to_string(needed) +
                       " spins with its ancillas, device " + quote(info_.uri) + " has " +
                       std::to_string(quantise.max_spins)};
    }
    return {};
  }

  Result<std::unique_ptr<Solver>> compile(const ProblemShape& shape) override;

  // ---- for solvers ----
  /// The session of at least `generation`; false if the link is down, or stays so for a moment
  /// longer.
  bool session(std::uint64_t generation, TimePoint deadline, SessionView& out) {
    std::unique_lock lock(mutex_);
    const auto ready = [&] { return (up_ && generation_ >= generation) || stopping_; };
    if (!ready()) {
      const TimePoint until = std::min(deadline, down_since_ + kGraceWhenDown);
      if (!changed_.wait_until(lock, until, ready)) return false;
    }
    if (stopping_) return false;
    out = {generation_, caps_.token, caps_.epoch};
    return true;
  }
  /// The session of this generation does not serve any more: say HELLO again.
  void renew(std::uint64_t generation) {
    const std::lock_guard lock(mutex_);
    if (generation_ != generation || !up_) return;
    mark_down("the machine forgot the session");
    wake_.ring();
  }
  std::string last_error() const {
    const std::lock_guard lock(mutex_);
    return last_error_;
  }
  void send_cancel(const JobId& job) noexcept {
    const std::lock_guard lock(io_mutex_);
    if (!control_.open()) return;
    SmallFrame frame;
    (void)control_.send_all(frame.make(MessageType::cancel, ++control_request_, Cancel{job}),
                            LinkClock::now() + milliseconds(5));
  }
  Status send_fault(const Fault& fault) {
    if (!caps_.faults) {
      return Error{ErrorCode::unsupported, "the machine does not take FAULT messages"};
    }
    const std::lock_guard lock(io_mutex_);
    SmallFrame frame;
    if (!control_.open() ||
        control_.send_all(frame.make(MessageType::fault, ++control_request_, fault),
                          LinkClock::now() + milliseconds(100)) != Stream::Outcome::ok) {
      return Error{ErrorCode::device_lost, "the control connection is down"};
    }
    return {};
  }
  std::uint32_t new_program_id() noexcept { return ++last_program_; }
  bool take_credit(std::size_t bytes) noexcept {
    const std::int64_t jobs = credit_jobs_used_.fetch_add(1) + 1;
    const std::int64_t used = credit_bytes_used_.fetch_add(static_cast<std::int64_t>(bytes)) +
                              static_cast<std::int64_t>(bytes);
    if (jobs <= caps_.credit_jobs && used <= static_cast<std::int64_t>(caps_.credit_bytes))
      return true;
    give_credit(bytes);
    return false;
  }
  void give_credit(std::size_t bytes) noexcept {
    credit_jobs_used_.fetch_sub(1);
    credit_bytes_used_.fetch_sub(static_cast<std::int64_t>(bytes));
  }

 private:
  // mutex_ held.
  void mark_down(std::string why) {
    if (up_) down_since_ = LinkClock::now();
    up_ = false;
    last_error_ = std::move(why);
    changed_.notify_all();
  }

  Status say_hello(TimePoint deadline) {
    QAMA_ASSIGN_OR_RETURN(Stream stream, Stream::connect(*factory_, deadline));
    SmallFrame frame;
    Hello hello;
    hello.client = client_;
    hello.name = "qama";
    FrameReader reader;
    std::span<const std::uint8_t> payload;
    auto reply = ask(stream, reader, frame.make(MessageType::hello, ++control_request_, hello),
                     MessageType::hello_ack, deadline, payload);
    if (!reply.ok()) {
      // With TLS 1.3 a refused client certificate or key shows only now.
      if (options_.endpoint.tls && reply.error().code == ErrorCode::device_lost) {
        return Error{ErrorCode::device_auth,
                     "TLS with " + quote(options_.endpoint.host) +
                         ": the machine refused this end's certificate or key"};
      }
      return reply.error();
    }
    QAMA_ASSIGN_OR_RETURN(HelloAck caps, HelloAck::decode(payload));
    const std::scoped_lock lock(io_mutex_, mutex_);
    if (!caps_name_.empty() &&
        (caps.max_spins != caps_.max_spins || caps.encodings != caps_.encodings)) {
      return Error{ErrorCode::device_protocol,
                   "the machine came back as another one: " + std::to_string(caps.max_spins) +
                       " spins, expected " + std::to_string(caps_.max_spins)};
    }
    if (caps_name_.empty()) caps_name_ = caps.name.empty() ? "machine" : std::string(caps.name);
    caps.name = {};
    // Everything but the session stays as it was: other threads read it without a lock.
    if (generation_ == 0) {
      caps_ = caps;
    } else {
      caps_.token = caps.token;
      caps_.epoch = caps.epoch;
    }
    control_ = std::move(stream);
    reader_.reset();
    up_ = true;
    state_ = caps.state;
    ++generation_;
    heard_ = LinkClock::now();
    changed_.notify_all();
    return {};
  }

  // The control thread: heartbeat while the link is up, connecting with back-off while it is down.
  void keep_up() {
    auto back_off = std::chrono::duration_cast<microseconds>(kFirstBackOff);
    const auto heartbeat = milliseconds(std::max<std::uint32_t>(caps_.heartbeat_ms / 2, 1));
    const auto silence = milliseconds(3 * caps_.heartbeat_ms);
    TimePoint next_ping = LinkClock::now() + heartbeat;
    std::uint32_t jitter = 12345;
    while (true) {
      bool up = false;
      {
        std::unique_lock lock(mutex_);
        if (stopping_) return;
        up = up_;
        if (!up) {
          lock.unlock();
          {
            const std::lock_guard io(io_mutex_);
            control_.close();
          }
          auto said = say_hello(LinkClock::now() + kConnectTime);
          lock.lock();
          if (said.ok()) {
            back_off = std::chrono::duration_cast<microseconds>(kFirstBackOff);
            next_ping = LinkClock::now() + heartbeat;
            continue;
          }
          last_error_ = said.error().message;
          jitter = jitter * 1664525U + 1013904223U;
          const auto wait = back_off / 2 + back_off / 2 * (jitter >> 16) / 65536;
          changed_.wait_for(lock, wait, [this] { return stopping_; });
          back_off = std::min<microseconds>(2 * back_off, kLongestBackOff);
          continue;
        }
      }
      (void)wait_for(control_.fd(), false, wake_.fd(), next_ping);
      wake_.clear();
      const std::scoped_lock lock(io_mutex_, mutex_);
      if (stopping_) return;
      if (!up_) continue;
      read_control();
      const TimePoint now = LinkClock::now();
      if (up_ && now - heard_ > silence) mark_down("the machine does not answer any more");
      if (up_ && (now >= next_ping || ping_now_)) {
        ping_now_ = false;
        SmallFrame frame;
        const Ping ping{static_cast<std::uint64_t>(now.time_since_epoch().count())};
        if (control_.send_all(frame.make(MessageType::ping, ++control_request_, ping),
                              now + milliseconds(100)) != Stream::Outcome::ok) {
          mark_down("the control connection ended");
        }
        next_ping = now + heartbeat;
      }
    }
  }

  // Both mutexes held.
  void read_control() {
    while (up_) {
      const auto outcome = reader_.fill(control_);
      if (outcome == Stream::Outcome::closed)
        return mark_down("the machine ended the control connection");
      while (true) {
        FrameHeader header;
        std::span<const std::uint8_t> payload;
        bool intact = false;
        const auto next = reader_.next(header, payload, intact);
        if (next == FrameReader::Next::more) break;
        if (next == FrameReader::Next::broken)
          return mark_down("the control connection carries no frames");
        heard_ = LinkClock::now();
        if (!intact) continue;
        if (header.type == MessageType::error && header.status == LinkStatus::no_session) {
          return mark_down("the session is over");
        }
        if (header.type != MessageType::pong) continue;
        const auto pong = Pong::decode(payload);
        if (!pong.ok()) return mark_down(pong.error().message);
        if (pong->epoch != caps_.epoch) return mark_down("the machine was restarted");
        state_ = pong->state;
        waiting_ = pong->waiting;
        const TimePoint sent{LinkClock::duration(static_cast<std::int64_t>(pong->echo))};
        round_trip_us_ = us_between(sent, heard_);
        ++pongs_;
        changed_.notify_all();
      }
      if (outcome == Stream::Outcome::none) return;
    }
  }

  const LinkOptions options_;
  std::shared_ptr<StreamFactory> factory_;
  DeviceInfo info_;
  HelloAck caps_;  // fixed after start(), but token and epoch (mutex_)
  std::string caps_name_;
  JobId client_{};
  std::atomic<std::uint64_t> control_request_{0};
  std::atomic<std::uint32_t> last_program_{0};
  std::atomic<std::int64_t> credit_jobs_used_{0}, credit_bytes_used_{0};

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool up_ = false, stopping_ = false, ping_now_ = false;
  std::uint64_t generation_ = 0, pongs_ = 0;
  std::uint32_t waiting_ = 0;
  std::uint8_t state_ = 0;
  double round_trip_us_ = 0;
  TimePoint heard_{}, down_since_{};
  std::string last_error_;

  std::mutex io_mutex_;  // the control connection; taken before mutex_
  Stream control_;
  FrameReader reader_;
  Wake wake_;
  std::thread thread_;
};

class LinkSolver final : public Solver {
 public:
  LinkSolver(std::shared_ptr<LinkDevice> device, const ProblemShape& shape)
      : device_(std::move(device)),
        shape_(shape),
        program_(device_->new_program_id()),
        job_prefix_(random_id()) {}

  Status prepare() {
    const LinkOptions& options = device_->options();
    QuantiseOptions quantise;
    quantise.max_spins = static_cast<std::int32_t>(device_->capabilities().max_spins);
    quantise.ancillas = options.ancillas;
    QAMA_ASSIGN_OR_RETURN(verifier_, Verifier::create(shape_));
    packed_energy_ = PackedEnergy(shape_);
    const std::int32_t most_ancillas = std::min<std::int32_t>(
        kMaxAncillas, quantise.max_spins - static_cast<std::int32_t>(shape_.spins()));
    const std::size_t bytes = submit_bytes(shape_, most_ancillas, options.encoding);
    slots_ = std::vector<Slot>(static_cast<std::size_t>(device_->info().max_in_flight));
    for (Slot& slot : slots_) {
      QAMA_ASSIGN_OR_RETURN(slot.quantiser, Quantiser::create(shape_, quantise));
      slot.frame.resize(kFrameHeaderBytes + bytes);
      slot.packed.resize(kMaxMachineSpins / 8);
    }
    if (options.encoding == Encoding::dense_i8) {
      matrix_.resize(static_cast<std::size_t>(quantise.max_spins) *
                     static_cast<std::size_t>(quantise.max_spins));
    }
    return {};
  }

  ~LinkSolver() override {
    for (Slot& slot : slots_) {
      if (slot.state == State::sent) device_->send_cancel(slot.job);
      release(slot);
    }
  }

  std::int32_t max_in_flight() const noexcept override {
    return static_cast<std::int32_t>(slots_.size());
  }

  Status submit(std::int32_t number, const DenseView& problem,
                const SolveOptions& options) override {
    if (number < 0 || number >= max_in_flight() ||
        slots_[static_cast<std::size_t>(number)].state != State::idle) {
      return Error{ErrorCode::invalid_argument, "slot " + std::to_string(number) +
                                                    " is taken or not one of " +
                                                    std::to_string(max_in_flight())};
    }
    if (problem.shape.heads != shape_.heads) {
      return Error{ErrorCode::invalid_argument,
                   "a problem of " + std::to_string(problem.shape.heads) + " heads, expected " +
                       std::to_string(shape_.heads)};
    }
    Slot& slot = slots_[static_cast<std::size_t>(number)];
    const TimePoint start = LinkClock::now();
    QAMA_RETURN_IF_ERROR(slot.quantiser.run(problem));
    const TimePoint quantised = LinkClock::now();
    const LinkOptions& link = device_->options();
    slot.problem = problem;
    slot.job = job_prefix_;
    ++last_job_;
    std::memcpy(slot.job.data() + 8, &last_job_, sizeof last_job_);
    const std::int32_t reads = link.reads > 0 ? link.reads : options.schedule.restarts;
    Submit message;
    message.job = slot.job;
    message.seed = options.seed;
    message.program = program_;
    message.reads = static_cast<std::uint16_t>(
        std::clamp<std::int32_t>(reads, 1, device_->capabilities().max_reads));
    slot.payload_bytes = message.encode(slot.quantiser.block(), link.encoding, matrix_.span(),
                                        std::span(slot.frame).subspan(kFrameHeaderBytes));
    const TimePoint encoded = LinkClock::now();
    slot.start = start;
    const std::int64_t time_us =
        options.deadline_us > 0 ? options.deadline_us : link.timeout_ms * 1000LL;
    slot.deadline = start + microseconds(time_us);
    slot.attempt_time = link.attempt_ms > 0 ? microseconds(link.attempt_ms * 1000LL)
                                            : microseconds(time_us / kMaxAttempts);
    slot.attempts = 0;
    slot.due = start;
    slot.cancelled = false;
    slot.failure = ErrorCode::ok;
    slot.failure_text.clear();
    slot.timing = {};
    slot.timing.quantise_us = us_between(start, quantised);
    slot.timing.encode_us = us_between(quantised, encoded);
    slot.state = State::queued;
    if (stream_.open()) send_due(slot, encoded);
    return {};
  }

  bool wait_ready(std::int32_t number, std::int64_t timeout_us) override {
    if (number < 0 || number >= max_in_flight()) return true;
    Slot& slot = slots_[static_cast<std::size_t>(number)];
    const TimePoint until = LinkClock::now() + microseconds(timeout_us);
    while (slot.state == State::queued || slot.state == State::sent) {
      service(until);
      if (LinkClock::now() >= until) break;
    }
    return slot.state != State::queued && slot.state != State::sent;
  }

  Status wait(std::int32_t number, std::span<std::uint64_t> spins, SolveResult& result) override {
    if (number < 0 || number >= max_in_flight() ||
        slots_[static_cast<std::size_t>(number)].state == State::idle) {
      return Error{ErrorCode::invalid_argument,
                   "slot " + std::to_string(number) + " has no job to wait for"};
    }
    Slot& slot = slots_[static_cast<std::size_t>(number)];
    while (true) {
      while (slot.state == State::queued || slot.state == State::sent) service(slot.deadline);
      if (slot.state == State::failed) break;
      auto checked = check_answer(slot, spins, result);
      if (checked.ok()) {
        slot.state = State::idle;
        return {};
      }
      if (checked.error().code != ErrorCode::device_bad_answer) {
        slot.state = State::idle;
        return checked;
      }
      // The machine remembers the job: asked again it sends the answer that it meant to send.
      again(slot, LinkClock::now(), ErrorCode::device_bad_answer, checked.error().message);
    }
    slot.state = State::idle;
    return Error{slot.failure, std::move(slot.failure_text)};
  }

  void cancel(std::int32_t number) noexcept override {
    if (number < 0 || number >= max_in_flight()) return;
    slots_[static_cast<std::size_t>(number)].cancelled = true;
    wake_.ring();
  }

 private:
  enum class State : std::uint8_t { idle, queued, sent, answered, failed };

  struct Slot {
    State state = State::idle;
    std::atomic<bool> cancelled{false};
    Quantiser quantiser;
    DenseView problem;
    JobId job{};
    std::uint64_t request = 0;
    std::vector<std::uint8_t> frame;
    std::size_t payload_bytes = 0;
    std::size_t charged = 0;  // credit bytes held
    std::int32_t attempts = 0;
    TimePoint start, deadline, due, sent_at, answered_at;
    microseconds attempt_time{};
    std::vector<std::uint8_t> packed;
    JobResult answer;
    SolveTiming timing;
    ErrorCode failure = ErrorCode::ok;
    std::string failure_text;
    Slot() = default;
    Slot(const Slot&) : Slot() {}  // vectors are made of empty slots only
  };

  void release(Slot& slot) noexcept {
    if (slot.charged > 0) device_->give_credit(slot.charged);
    slot.charged = 0;
  }

  void fail(Slot& slot, ErrorCode code, std::string text) {
    release(slot);
    settled_ = true;
    slot.state = State::failed;
    slot.failure = code;
    slot.failure_text = std::move(text);
  }

  /// Tries the job once more, or gives it up with this error.
  void again(Slot& slot, TimePoint now, ErrorCode code, std::string text,
             microseconds wait = kRetryWait) {
    release(slot);
    if (slot.attempts >= kMaxAttempts) {
      return fail(slot, code, text + " (after " + std::to_string(slot.attempts) + " attempts)");
    }
    jitter_ = jitter_ * 1664525U + 1013904223U;
    slot.due = now + wait + wait * (jitter_ >> 16) / 65536;
    if (slot.due >= slot.deadline) return fail(slot, code, std::move(text));
    slot.failure = code;
    slot.failure_text = std::move(text);
    slot.state = State::queued;
  }

  void drop_connection(TimePoint now, const std::string& why) {
    stream_.close();
    for (Slot& slot : slots_) {
      if (slot.state == State::sent) again(slot, now, ErrorCode::device_lost, why);
    }
  }

  Status attach(TimePoint deadline) {
    SessionView session;
    if (!device_->session(generation_, deadline, session)) {
      return Error{ErrorCode::device_unavailable, "the link to " + quote(device_->info().uri) +
                                                      " is down: " + device_->last_error()};
    }
    const TimePoint until = std::min(deadline, LinkClock::now() + kConnectTime);
    QAMA_ASSIGN_OR_RETURN(Stream stream, Stream::connect(device_->factory(), until));
    reader_.reset();
    SmallFrame frame;
    std::span<const std::uint8_t> payload;
    auto attached =
        ask(stream, reader_,
            frame.make(MessageType::attach, ++last_request_, Attach{session.token, session.epoch}),
            MessageType::attach_ack, until, payload);
    if (!attached.ok()) {
      if (attached.error().code == ErrorCode::device_lost) {
        device_->renew(session.generation);
        generation_ = session.generation + 1;
      }
      return attached.error();
    }
    QAMA_ASSIGN_OR_RETURN(const AttachAck ack, AttachAck::decode(payload));
    if (ack.epoch != session.epoch)
      return Error{ErrorCode::device_lost, "the machine was restarted"};
    Program program;
    program.id = program_;
    program.shape = shape_;
    program.encoding = device_->options().encoding;
    auto programmed =
        ask(stream, reader_, frame.make(MessageType::program, ++last_request_, program),
            MessageType::program_ack, until, payload);
    if (!programmed.ok()) return programmed.error();
    QAMA_ASSIGN_OR_RETURN(const ProgramAck program_ack, ProgramAck::decode(payload));
    if (program_ack.id != program_)
      return Error{ErrorCode::device_protocol, "PROGRAM_ACK of another program"};
    stream_ = std::move(stream);
    generation_ = session.generation;
    epoch_ = session.epoch;
    return {};
  }

  static bool worth_a_retry(ErrorCode code) noexcept {
    return code == ErrorCode::device_lost || code == ErrorCode::device_busy ||
           code == ErrorCode::device_bad_answer || code == ErrorCode::deadline_exceeded;
  }

  /// Sends a queued slot whose time has come.
  void send_due(Slot& slot, TimePoint now) {
    if (!stream_.open()) {
      auto attached = attach(slot.deadline);
      now = LinkClock::now();
      if (!attached.ok()) {
        ++slot.attempts;
        if (!worth_a_retry(attached.error().code)) {
          return fail(slot, attached.error().code, attached.error().message);
        }
        return again(slot, now, attached.error().code, attached.error().message,
                     microseconds(2000));
      }
    }
    if (slot.charged == 0) {
      if (!device_->take_credit(slot.payload_bytes)) {
        slot.due = now + kCreditWait;
        return;
      }
      slot.charged = slot.payload_bytes;
    }
    // Epoch and remaining time are of now; the rest of the payload is as the first time.
    const std::span<std::uint8_t> payload =
        std::span(slot.frame).subspan(kFrameHeaderBytes, slot.payload_bytes);
    const std::uint64_t remaining = static_cast<std::uint64_t>(std::max<std::int64_t>(
        std::chrono::duration_cast<microseconds>(slot.deadline - now).count(), 1));
    for (std::size_t i = 0; i < 8; ++i) {
      payload[16 + i] = static_cast<std::uint8_t>(epoch_ >> (8 * i));
      payload[24 + i] = static_cast<std::uint8_t>(remaining >> (8 * i));
    }
    slot.request = ++last_request_;
    encode_header(MessageType::submit, slot.request, payload,
                  std::span(slot.frame).first(kFrameHeaderBytes));
    ++slot.attempts;
    const auto sent =
        stream_.send_all(std::span(slot.frame).first(kFrameHeaderBytes + slot.payload_bytes),
                         std::min(slot.deadline, now + slot.attempt_time));
    slot.state = State::sent;
    slot.sent_at = LinkClock::now();
    slot.timing.send_us += us_between(now, slot.sent_at);
    slot.due = slot.sent_at + slot.attempt_time;
    if (sent != Stream::Outcome::ok)
      drop_connection(slot.sent_at, "the data connection ended while sending");
  }

  /// Does what is due and takes what has come; waits at most until `until` for the next of either.
  void service(TimePoint until) {
    TimePoint now = LinkClock::now();
    TimePoint next = until;
    settled_ = false;
    for (Slot& slot : slots_) {
      if (slot.state != State::queued && slot.state != State::sent) continue;
      if (slot.cancelled) {
        if (slot.state == State::sent) device_->send_cancel(slot.job);
        fail(slot, ErrorCode::cancelled, "the job was cancelled");
        continue;
      }
      if (now >= slot.deadline) {
        if (slot.state == State::sent) device_->send_cancel(slot.job);
        fail(slot, slot.failure == ErrorCode::ok ? ErrorCode::deadline_exceeded : slot.failure,
             slot.failure == ErrorCode::ok ? "no answer from the machine within the job's time"
                                           : slot.failure_text);
        continue;
      }
      if (slot.state == State::sent && now >= slot.due) {
        // No word on it: the same id again, which the machine answers from memory or joins to the
        // running job.
        again(slot, now, ErrorCode::deadline_exceeded, "no answer from the machine",
              microseconds(0));
      }
      if (slot.state == State::queued && now >= slot.due) {
        send_due(slot, now);
        now = LinkClock::now();
      }
      if (slot.state == State::queued || slot.state == State::sent) {
        next = std::min({next, slot.due, slot.deadline});
      }
    }
    // Whoever waits for a job that just failed waits no longer.
    if (settled_) return;
    if (stream_.open()) {
      if (!stream_.pending()) {
        if (next <= now) next = now;
        (void)wait_for(stream_.fd(), false, wake_.fd(), next);
      }
      wake_.clear();
      take_replies();
    } else if (next > now) {
      (void)wait_for(wake_.fd(), false, -1, next);
      wake_.clear();
    }
  }

  void take_replies() {
    const auto outcome = reader_.fill(stream_);
    const TimePoint now = LinkClock::now();
    while (true) {
      FrameHeader header;
      std::span<const std::uint8_t> payload;
      bool intact = false;
      const auto next = reader_.next(header, payload, intact);
      if (next == FrameReader::Next::more) break;
      if (next == FrameReader::Next::broken) {
        return drop_connection(now, "the data connection carries no frames any more");
      }
      take_reply(header, payload, intact, now);
      if (!stream_.open()) return;
    }
    if (outcome == Stream::Outcome::closed)
      drop_connection(now, "the machine ended the data connection");
  }

  Slot* slot_of(std::uint64_t request) {
    for (Slot& slot : slots_) {
      if (slot.state == State::sent && slot.request == request) return &slot;
    }
    return nullptr;
  }

  void take_reply(const FrameHeader& header, std::span<const std::uint8_t> payload, bool intact,
                  TimePoint now) {
    // A reply nobody waits for is a duplicate, or late: it is dropped.
    Slot* slot = slot_of(header.request);
    if (slot == nullptr) return;
    if (!intact)
      return again(*slot, now, ErrorCode::device_protocol, "the answer was damaged on its way");
    if (header.type == MessageType::error) {
      const auto reply = ErrorReply::decode(payload);
      if (!reply.ok()) return again(*slot, now, reply.error().code, reply.error().message);
      return take_error(*slot, header, reply.value(), now);
    }
    if (header.type != MessageType::result) return;
    auto answer = JobResult::decode(payload);
    if (!answer.ok()) return again(*slot, now, answer.error().code, answer.error().message);
    if (answer->job != slot->job || answer->packed.size() > slot->packed.size()) {
      return again(*slot, now, ErrorCode::device_bad_answer, "the answer is that of another job");
    }
    std::copy(answer->packed.begin(), answer->packed.end(), slot->packed.begin());
    slot->answer = answer.value();
    slot->answer.packed = std::span<const std::uint8_t>(slot->packed).first(answer->packed.size());
    slot->answered_at = now;
    slot->state = State::answered;
    release(*slot);
  }

  void take_error(Slot& slot, const FrameHeader& header, const ErrorReply& reply, TimePoint now) {
    Error error = error_from(header, reply);
    const auto wait =
        std::clamp<microseconds>(microseconds(reply.wait_us), kRetryWait, milliseconds(1000));
    switch (header.status) {
      case LinkStatus::bad_crc:
      case LinkStatus::queue_full:
      case LinkStatus::calibrating:
      case LinkStatus::credit:
        return again(slot, now, error.code, std::move(error.message), wait);
      case LinkStatus::unknown_program:
        again(slot, now, error.code, std::move(error.message));
        return drop_connection(now, "the machine forgot the program");
      case LinkStatus::lost:
      case LinkStatus::no_session:
        again(slot, now, error.code, std::move(error.message));
        device_->renew(generation_);
        generation_ += 1;
        return drop_connection(now, "the machine was restarted");
      default:
        return fail(slot, error.code, std::move(error.message));
    }
  }

  Status check_answer(Slot& slot, std::span<std::uint64_t> spins, SolveResult& result) {
    const TimePoint start = LinkClock::now();
    const BlockProblem& block = slot.quantiser.block();
    const JobResult& answer = slot.answer;
    if (answer.spins != static_cast<std::uint32_t>(block.spins())) {
      return Error{ErrorCode::device_bad_answer, "an answer of " + std::to_string(answer.spins) +
                                                     " spins, expected " +
                                                     std::to_string(block.spins())};
    }
    QAMA_RETURN_IF_ERROR(unpack_spins(block, answer.packed, spins));
    const std::int64_t ties =
        static_cast<std::int64_t>(block.tie) * block.ancillas * (block.ancillas - 1) / 2;
    const std::int64_t exact = packed_energy_(block, spins) - ties;
    if (exact != answer.energy) {
      return Error{ErrorCode::device_bad_answer, "the answer's energy is " + std::to_string(exact) +
                                                     ", the machine claims " +
                                                     std::to_string(answer.energy)};
    }
    result = SolveResult{};
    QAMA_RETURN_IF_ERROR(verifier_.check_and_price(slot.problem, spins, result.energy));
    const TimePoint end = LinkClock::now();
    constexpr double kUs = 1e-3;
    result.solved_by = answer.emulated ? "cim:emulated" : "cim";
    result.restarts = answer.reads;
    result.timing = slot.timing;
    result.timing.queue_us = static_cast<double>(answer.queue_ns) * kUs;
    result.timing.program_us = static_cast<double>(answer.program_ns) * kUs;
    result.timing.anneal_us = static_cast<double>(answer.anneal_ns) * kUs;
    result.timing.readout_us = static_cast<double>(answer.readout_ns) * kUs;
    result.timing.modelled = answer.emulated;
    result.timing.verify_us = us_between(start, end);
    // What the last round trip took beyond the machine's own wall time.
    double machine_us = static_cast<double>(answer.queue_ns + answer.compute_ns) * kUs;
    if (answer.paced) {
      machine_us =
          static_cast<double>(answer.queue_ns +
                              std::max(answer.compute_ns,
                                       answer.program_ns + answer.anneal_ns + answer.readout_ns)) *
          kUs;
    } else if (!answer.emulated) {
      machine_us = static_cast<double>(answer.queue_ns + answer.program_ns + answer.anneal_ns +
                                       answer.readout_ns) *
                   kUs;
    }
    result.timing.network_us =
        std::max(us_between(slot.sent_at, slot.answered_at) - machine_us, 0.0);
    result.timing.total_us = us_between(slot.start, end);
    return {};
  }

  const std::shared_ptr<LinkDevice> device_;
  const ProblemShape shape_;
  const std::uint32_t program_;
  const JobId job_prefix_;
  Verifier verifier_;
  PackedEnergy packed_energy_;
  AlignedBuffer<std::int8_t> matrix_;  // dense_i8 only
  std::vector<Slot> slots_;
  Stream stream_;
  FrameReader reader_;
  Wake wake_;
  std::uint64_t generation_ = 0;  // of the session that is wanted at least
  std::uint64_t epoch_ = 0;
  std::uint64_t last_request_ = 0;
  std::uint64_t last_job_ = 0;
  std::uint32_t jitter_ = 1;
  bool settled_ = false;  // a job failed during this service()
};

Result<std::unique_ptr<Solver>> LinkDevice::compile(const ProblemShape& shape) {
  QAMA_RETURN_IF_ERROR(supports(shape));
  auto solver = std::make_unique<LinkSolver>(shared_from_this(), shape);
  QAMA_RETURN_IF_ERROR(solver->prepare());
  return std::unique_ptr<Solver>(std::move(solver));
}

Error bad_uri(std::string_view rest, const std::string& what) {
  return {ErrorCode::device_unknown, "device address " + quote(rest) + ": " + what};
}

Result<LinkOptions> parse_uri(std::string_view rest, bool tls) {
  LinkOptions out;
  out.endpoint.tls = tls;
  const std::size_t question = std::min(rest.find('?'), rest.size());
  std::string_view address = rest.substr(0, question);
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return bad_uri(rest, "expected HOST:PORT");
  std::string_view host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  const std::string_view port = address.substr(colon + 1);
  std::uint16_t number = 0;
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), number);
  if (parsed.ec != std::errc{} || parsed.ptr != port.data() + port.size() || number == 0) {
    return bad_uri(rest, "expected a port of 1 to 65535");
  }
  out.endpoint.host = std::string(host);
  out.endpoint.port = number;
  const std::string_view query =
      question < rest.size() ? rest.substr(question + 1) : std::string_view{};
  const auto refused = refused_option(query, [&](std::string_view key, std::string_view value) {
    if (key == "reads") return number_in(value, 1, 65535, out.reads);
    if (key == "ancillas") return number_in(value, 0, kMaxAncillas, out.ancillas);
    if (key == "in_flight") return number_in(value, 1, kMaxInFlight, out.in_flight);
    if (key == "timeout_ms") return number_in(value, 1, 3'600'000, out.timeout_ms);
    if (key == "attempt_ms") return number_in(value, 1, 3'600'000, out.attempt_ms);
    if (key == "encoding") {
      out.encoding = value == "dense" ? Encoding::dense_i8 : Encoding::block_i8;
      return value == "block" || value == "dense";
    }
    if (tls && !value.empty()) {
      std::string* file = key == "cert"  ? &out.endpoint.certificate
                          : key == "key" ? &out.endpoint.key
                          : key == "ca"  ? &out.endpoint.authority
                          : key == "psk" ? &out.endpoint.psk_file
                                         : nullptr;
      if (file != nullptr) *file = std::string(value);
      return file != nullptr;
    }
    return false;
  });
  if (refused) return bad_uri(rest, "option " + quote(*refused) + " is unknown or out of range");
  return out;
}

Result<std::shared_ptr<Device>> open_link(std::string_view rest, bool tls) {
  QAMA_ASSIGN_OR_RETURN(LinkOptions options, parse_uri(rest, tls));
  auto device = std::make_shared<LinkDevice>(std::move(options));
  QAMA_RETURN_IF_ERROR(device->start((tls ? "cims://" : "cim://") + std::string(rest)));
  return std::shared_ptr<Device>(std::move(device));
}

}  // namespace

Result<std::shared_ptr<Device>> open_cim_device(std::string_view rest) {
  return open_link(rest, false);
}
Result<std::shared_ptr<Device>> open_cims_device(std::string_view rest) {
  return open_link(rest, true);
}

Status inject_fault(Device& device, int kind, unsigned parts_per_million,
                    unsigned long long argument) {
  auto* link = dynamic_cast<LinkDevice*>(&device);
  if (link == nullptr)
    return Error{ErrorCode::invalid_argument, "faults are injected over the link only"};
  return link->send_fault({static_cast<std::uint16_t>(kind), parts_per_million, argument});
}

}  // namespace qama::hal::cim
