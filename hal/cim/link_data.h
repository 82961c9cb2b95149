// A solver's data connection (PROTOCOL.md: ATTACH, PROGRAM, then SUBMIT and RESULT). It attaches to
// the session again whenever it was lost; what that means for a job is the solver's business
// (link_solver.h). One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "hal/cim/link_frames.h"
#include "hal/cim/link_session.h"

namespace qama::hal::cim {

class DataConnection {
 public:
  DataConnection(std::shared_ptr<LinkSession> session, const ProblemShape& shape,
                 Encoding encoding);

  [[nodiscard]] bool open() const noexcept { return stream_.open(); }
  void close() noexcept { stream_.close(); }
  /// Connects, attaches and programs the shape. DEVICE_UNAVAILABLE while the session is down,
  /// DEVICE_LOST, DEADLINE_EXCEEDED, or what the machine says.
  Status attach(TimePoint deadline);
  /// The machine forgot the session: the next attach() waits for a newer one.
  void forget_session();

  [[nodiscard]] std::uint32_t program() const noexcept { return program_.id; }
  [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_; }
  [[nodiscard]] std::uint64_t new_request() noexcept { return ++last_request_; }
  /// False if the connection ended or the deadline came first.
  [[nodiscard]] bool send(std::span<const std::uint8_t> frame, TimePoint deadline) noexcept {
    return stream_.send_all(frame, deadline) == Stream::Outcome::ok;
  }

  /// Waits until bytes have come, `wake` rings, or `until`.
  void wait(const Wake& wake, TimePoint until) const noexcept;
  /// Takes what came; false if the machine ended the connection. What came before can still be read
  /// with next().
  [[nodiscard]] bool fill() noexcept { return reader_.fill(stream_) != Stream::Outcome::closed; }
  [[nodiscard]] FrameReader::Next next(Frame& out) { return reader_.next(out); }

 private:
  const std::shared_ptr<LinkSession> session_;
  Program program_;
  Stream stream_;
  FrameReader reader_;
  std::uint64_t generation_ = 0;  // the session has to be of this one or a later one
  std::uint64_t epoch_ = 0;
  std::uint64_t last_request_ = 0;
};

}  // namespace qama::hal::cim
