#include "hal/cim/link_session.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"

namespace qama::hal::cim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr microseconds kFirstBackOff = milliseconds(5);
constexpr microseconds kLongestBackOff = milliseconds(500);
constexpr auto kGraceWhenDown = milliseconds(50);  // a link that just went down may come back

}  // namespace

JobId random_id() {
  JobId out{};
  if (RAND_bytes(out.data(), static_cast<int>(out.size())) != 1) {
    const auto now = LinkClock::now().time_since_epoch().count();
    std::memcpy(out.data(), &now, sizeof now);
  }
  return out;
}

void Credit::grant(std::size_t jobs, std::size_t bytes) noexcept {
  most_jobs_ = jobs;
  most_bytes_ = bytes;
}

bool Credit::take(std::size_t bytes) noexcept {
  const std::size_t jobs = jobs_.fetch_add(1) + 1;
  const std::size_t used = bytes_.fetch_add(bytes) + bytes;
  if (jobs <= most_jobs_ && used <= most_bytes_) return true;
  give_back(bytes);
  return false;
}

void Credit::give_back(std::size_t bytes) noexcept {
  jobs_.fetch_sub(1);
  bytes_.fetch_sub(bytes);
}

Result<std::shared_ptr<LinkSession>> LinkSession::open(const Endpoint& endpoint, std::string uri) {
  std::shared_ptr<LinkSession> out(new LinkSession(std::move(uri)));
  out->endpoint_ = endpoint;
  QAMA_ASSIGN_OR_RETURN(out->streams_, StreamFactory::create(endpoint));
  out->client_ = random_id();
  QAMA_RETURN_IF_ERROR(out->say_hello(LinkClock::now() + kConnectTime));
  out->credit_.grant(out->capabilities_.credit_jobs, out->capabilities_.credit_bytes);
  QAMA_RETURN_IF_ERROR(out->thread_.start([session = out.get()] { session->keep_up(); }));
  return out;
}

LinkSession::~LinkSession() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  wake_.ring();
  (void)thread_.join().ok();
  if (control_.open()) (void)send(Goodbye{}, milliseconds(10));
}

template <typename Message>
Stream::Outcome LinkSession::send(const Message& message, milliseconds patience) noexcept {
  return control_.send_all(SmallFrame(++last_request_, message).bytes(),
                           LinkClock::now() + patience);
}

DeviceHealth LinkSession::probe() {
  DeviceHealth health;
  health.state = DeviceState::unreachable;
  std::unique_lock lock(mutex_);
  if (!up_) {
    health.detail = last_error_;
    return health;
  }
  const std::uint64_t before = pongs_;
  ping_now_ = true;
  wake_.ring();
  changed_.wait_for(lock, kConnectTime, [&] { return pongs_ != before || !up_; });
  if (pongs_ == before) {
    health.detail = "no answer to a ping";
    return health;
  }
  constexpr std::array kStates = {DeviceState::available, DeviceState::busy,
                                  DeviceState::calibrating, DeviceState::faulty};
  health.state = kStates[state_ & 3U];
  health.round_trip_us = round_trip_us_;
  health.detail = sentence(waiting_, " jobs waiting");
  return health;
}

Result<LinkSession::Ticket> LinkSession::ticket(std::uint64_t generation, TimePoint deadline) {
  std::unique_lock lock(mutex_);
  const auto ready = [&] { return (up_ && generation_ >= generation) || stopping_; };
  const TimePoint until = std::min(deadline, down_since_ + kGraceWhenDown);
  if ((!ready() && !changed_.wait_until(lock, until, ready)) || stopping_) {
    return make_error(ErrorCode::device_unavailable, "the link to ", quote(uri_),
                      " is down: ", last_error_);
  }
  return Ticket{generation_, capabilities_.token, capabilities_.epoch, capabilities_.version};
}

void LinkSession::renew(std::uint64_t generation) {
  const std::lock_guard lock(mutex_);
  if (generation_ != generation || !up_) return;
  mark_down("the machine forgot the session");
  wake_.ring();
}

void LinkSession::send_cancel(const JobId& job) noexcept {
  const std::lock_guard lock(io_mutex_);
  if (control_.open()) (void)send(Cancel{job}, milliseconds(5));
}

Status LinkSession::send_fault(const Fault& fault) {
  if (!capabilities_.faults)
    return Error{ErrorCode::unsupported, "the machine does not take FAULT messages"};
  const std::lock_guard lock(io_mutex_);
  if (!control_.open() || send(fault, milliseconds(100)) != Stream::Outcome::ok)
    return Error{ErrorCode::device_lost, "the control connection is down"};
  return {};
}

Status LinkSession::say_hello(TimePoint deadline) {
  QAMA_ASSIGN_OR_RETURN(Stream stream, Stream::connect(*streams_, deadline));
  Hello hello;
  hello.client = client_;
  hello.name = "qama";
  FrameReader reader;  // HELLO_ACK's name points into it
  auto reply = ask<HelloAck>(stream, reader, ++last_request_, hello, deadline);
  if (!reply.ok()) {
    // With TLS 1.3 a refused client certificate or key shows only now.
    if (endpoint_.tls && reply.error().code == ErrorCode::device_lost) {
      const std::string_view why = stream.refused_because();
      return make_error(ErrorCode::device_auth, "TLS with ", quote(endpoint_.host), " failed: ",
                        why.empty() ? "the machine refused this end's certificate or key" : why);
    }
    return reply.error();
  }
  const std::scoped_lock lock(io_mutex_, mutex_);
  if (generation_ == 0) {
    name_ = reply->name.empty() ? "machine" : std::string(reply->name);
    capabilities_ = *reply;
    capabilities_.name = name_;
  } else if (reply->max_spins != capabilities_.max_spins ||
             reply->encodings != capabilities_.encodings) {
    return make_error(ErrorCode::device_protocol,
                      "the machine came back as another one: ", reply->max_spins,
                      " spins, expected ", capabilities_.max_spins);
  }
  // Other threads read the rest without a lock.
  capabilities_.token = reply->token;
  capabilities_.epoch = reply->epoch;
  capabilities_.version = reply->version;
  control_ = std::move(stream);
  reader_.reset();
  up_ = true;
  state_ = reply->state;
  ++generation_;
  heard_ = LinkClock::now();
  changed_.notify_all();
  return {};
}

// mutex_ held.
void LinkSession::mark_down(std::string why) {
  if (up_) down_since_ = LinkClock::now();
  up_ = false;
  last_error_ = std::move(why);
  changed_.notify_all();
}

// The thread: a heartbeat while the link is up, HELLO with back-off while it is down.
void LinkSession::keep_up() {
  back_off_ = kFirstBackOff;
  next_ping_ = LinkClock::now() + heartbeat();
  while (true) {
    std::unique_lock lock(mutex_);
    if (stopping_) return;
    const bool up = up_;
    lock.unlock();
    try {
      up ? beat() : reconnect();
    } catch (...) {
      // No memory now. The link is kept up all the same.
      std::unique_lock again(mutex_);
      changed_.wait_for(again, kFirstBackOff, [this] { return stopping_; });
    }
  }
}

void LinkSession::reconnect() {
  {
    const std::lock_guard io(io_mutex_);
    control_.close();
  }
  const auto said = say_hello(LinkClock::now() + kConnectTime);
  if (said.ok()) {
    back_off_ = kFirstBackOff;
    next_ping_ = LinkClock::now() + heartbeat();
    return;
  }
  std::unique_lock lock(mutex_);
  last_error_ = said.error().message;
  changed_.wait_for(lock, back_off_ / 2 + jitter_.below(back_off_ / 2),
                    [this] { return stopping_; });
  back_off_ = std::min(2 * back_off_, kLongestBackOff);
}

void LinkSession::beat() {
  (void)wait_for(control_.fd(), false, wake_.fd(), next_ping_);
  wake_.clear();
  const std::scoped_lock lock(io_mutex_, mutex_);
  if (stopping_ || !up_) return;
  read_control();
  const TimePoint now = LinkClock::now();
  if (up_ && now - heard_ > milliseconds(3 * capabilities_.heartbeat_ms))
    mark_down("the machine does not answer any more");
  if (!up_ || (now < next_ping_ && !ping_now_)) return;
  ping_now_ = false;
  next_ping_ = now + heartbeat();
  const Ping ping{static_cast<std::uint64_t>(now.time_since_epoch().count())};
  if (send(ping, milliseconds(100)) != Stream::Outcome::ok)
    mark_down("the control connection ended");
}

// Both mutexes held.
void LinkSession::read_control() {
  // Some at a time: a machine that never stops talking must not keep the mutexes.
  for (int fills = 0; up_ && fills < 16; ++fills) {
    const auto outcome = reader_.fill(control_);
    if (outcome == Stream::Outcome::closed)
      return mark_down("the machine ended the control connection");
    Frame frame;
    FrameReader::Next next{};
    while ((next = reader_.next(frame)) == FrameReader::Next::frame) {
      take(frame);
      if (!up_) return;
    }
    if (next == FrameReader::Next::broken)
      return mark_down("the control connection carries no frames");
    if (outcome == Stream::Outcome::none) return;
  }
}

// Both mutexes held.
void LinkSession::take(const Frame& frame) {
  heard_ = LinkClock::now();
  if (!frame.intact) return;
  if (frame.header.type == MessageType::error && frame.header.status == LinkStatus::no_session)
    return mark_down("the session is over");
  if (frame.header.type != MessageType::pong) return;
  const auto pong = Pong::decode(frame.payload);
  if (!pong.ok()) return mark_down(pong.error().message);
  if (pong->epoch != capabilities_.epoch) return mark_down("the machine was restarted");
  state_ = pong->state;
  waiting_ = pong->waiting;
  const TimePoint sent{LinkClock::duration(static_cast<std::int64_t>(pong->echo))};
  round_trip_us_ = us_between(sent, heard_);
  ++pongs_;
  changed_.notify_all();
}

}  // namespace qama::hal::cim
