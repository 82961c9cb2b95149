#include "hal/cim/link_data.h"

#include <algorithm>

namespace qama::hal::cim {

DataConnection::DataConnection(std::shared_ptr<LinkSession> session, const ProblemShape& shape,
                               Encoding encoding)
    : session_(std::move(session)) {
  program_.id = session_->new_program_id();
  program_.shape = shape;
  program_.encoding = encoding;
}

Status DataConnection::attach(TimePoint deadline) {
  QAMA_ASSIGN_OR_RETURN(const LinkSession::Ticket ticket, session_->ticket(generation_, deadline));
  const TimePoint until = std::min(deadline, LinkClock::now() + kConnectTime);
  QAMA_ASSIGN_OR_RETURN(Stream stream, Stream::connect(session_->streams(), until));
  reader_.reset();
  const Attach attach = Attach::of(ticket.version, ticket.token, ticket.epoch, stream.binding());
  const auto attached = ask<AttachAck>(stream, reader_, new_request(), attach, until);
  if (!attached.ok()) {
    generation_ = ticket.generation;
    if (attached.error().code == ErrorCode::device_lost) forget_session();
    return attached.error();
  }
  if (attached->epoch != ticket.epoch)
    return Error{ErrorCode::device_lost, "the machine was restarted"};
  QAMA_ASSIGN_OR_RETURN(const ProgramAck programmed,
                        ask<ProgramAck>(stream, reader_, new_request(), program_, until));
  if (programmed.id != program_.id)
    return Error{ErrorCode::device_protocol, "PROGRAM_ACK of another program"};
  stream_ = std::move(stream);
  generation_ = ticket.generation;
  epoch_ = ticket.epoch;
  return {};
}

void DataConnection::forget_session() {
  session_->renew(generation_);
  generation_ += 1;
}

void DataConnection::wait(const Wake& wake, TimePoint until) const noexcept {
  if (!stream_.pending()) (void)wait_for(stream_.fd(), false, wake.fd(), until);
}

}  // namespace qama::hal::cim
