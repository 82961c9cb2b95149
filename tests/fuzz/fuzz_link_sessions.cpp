// Fuzz target: whole sessions with the emulator, several frames on several connections, against an
// emulator of its own for every input. The first byte says whether FAULT is allowed. Then frames: a
// byte of flags (below), the type, the payload's length, the payload. Every reply must be one that
// the driver can read, and afterwards the emulator must still serve a good client.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <thread>
#include <vector>

#include "hal/cim/link_codec.h"
#include "hal/emulator/service.h"
#include "tests/fuzz/fuzz_socket.h"

namespace {

using namespace qama::emulator;
namespace cim = qama::hal::cim;

constexpr std::size_t kConnections = 3, kMostFrames = 24;
constexpr int kPatienceMs = 4;  // a fault may have eaten the reply

// What a frame's flags say, beside the connection in its lowest two bits.
enum Flag : unsigned {
  damaged = 4,    // the payload's CRC is wrong
  raw = 8,        // the payload alone, without a header
  own_ids = 16,   // ATTACH and SUBMIT say the payload's token and epoch, not the right ones
  no_wait = 32,   // the next frame goes out before the reply is there
  hangs_up = 64,  // the connection ends behind it
};

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "fuzz_link_sessions: %s\n", what);
  std::abort();
}

class Client {
 public:
  void close() {
    socket_.close();
    in_.clear();
  }
  bool send(int port, View bytes) {
    if (!socket_.open() && !socket_.connect(port)) return false;
    return socket_.send(bytes.data(), bytes.size());
  }
  struct Reply {
    std::optional<cim::FrameHeader> header;  ///< none: not a frame
    Bytes payload;
  };
  /// The next frame; nothing if the other end closes or says nothing for so long.
  std::optional<Reply> next(int patience_ms) {
    while (true) {
      if (in_.size() >= cim::kFrameHeaderBytes) {
        const auto header =
            cim::decode_header(View(in_).first(cim::kFrameHeaderBytes), cim::kMaxReplyBytes);
        if (!header.ok()) return Reply{};
        const std::size_t whole = cim::kFrameHeaderBytes + header->length;
        if (in_.size() >= whole) {
          Reply out{*header, Bytes(in_.begin() + cim::kFrameHeaderBytes,
                                   in_.begin() + static_cast<std::ptrdiff_t>(whole))};
          in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(whole));
          return out;
        }
      }
      if (!socket_.receive(in_, patience_ms)) return std::nullopt;
    }
  }

 private:
  qama::fuzz::Socket socket_;
  Bytes in_;
};

/// The driver reads what it may be sent.
void check_reply(const Client::Reply& reply) {
  require(reply.header.has_value(), "a reply is no frame");
  const Bytes& payload = reply.payload;
  switch (reply.header->type) {
    case cim::MessageType::hello_ack:
      require(cim::HelloAck::decode(payload).ok(), "HELLO_ACK");
      break;
    case cim::MessageType::attach_ack:
      require(cim::AttachAck::decode(payload).ok(), "ATTACH_ACK");
      break;
    case cim::MessageType::pong:
      require(cim::Pong::decode(payload).ok(), "PONG");
      break;
    case cim::MessageType::program_ack:
      require(cim::ProgramAck::decode(payload).ok(), "PROGRAM_ACK");
      break;
    case cim::MessageType::cancel_ack:
      require(cim::CancelAck::decode(payload).ok(), "CANCEL_ACK");
      break;
    case cim::MessageType::result:
      require(cim::JobResult::decode(payload).ok(), "RESULT");
      break;
    case cim::MessageType::error:
      require(cim::ErrorReply::decode(payload).ok(), "ERROR");
      break;
    case cim::MessageType::fault_ack:
      require(payload.empty(), "FAULT_ACK");
      break;
    default:
      require(false, "a reply has the type of a request");
  }
}

/// What HELLO_ACK said last.
struct Session {
  std::array<std::uint8_t, 16> token{};
  std::array<std::uint8_t, 8> epoch{};
};

void put(Bytes& payload, std::size_t at, View bytes) {
  if (payload.size() >= at + bytes.size())
    std::copy(bytes.begin(), bytes.end(), payload.begin() + static_cast<std::ptrdiff_t>(at));
}

void talk(int port, View input, bool faults) {
  std::array<Client, kConnections> clients;
  Session session;
  for (std::size_t frames = 0; frames < kMostFrames && input.size() >= 3; ++frames) {
    const unsigned flags = input[0];
    const auto type = static_cast<Type>(input[1]);
    const std::size_t length = std::min<std::size_t>(input[2], input.size() - 3);
    Bytes payload(input.begin() + 3, input.begin() + 3 + static_cast<std::ptrdiff_t>(length));
    input = input.subspan(3 + length);
    if ((flags & own_ids) == 0) {
      if (type == kAttach) put(payload, 0, session.token);
      if (type == kAttach || type == kSubmit) put(payload, 16, session.epoch);
    }
    // A stall of a minute is what FAULT is for, but not what this looks for.
    if (type == kFault && payload.size() == 16) std::fill(payload.begin() + 9, payload.end(), 0);
    Client& client = clients[(flags & 3U) % kConnections];
    Bytes bytes = (flags & raw) != 0 ? payload : frame(type, frames, payload);
    if ((flags & damaged) != 0 && !payload.empty()) bytes.back() ^= 1U;
    if (!client.send(port, bytes)) client.close();
    const bool answered = type != kGoodbye && (flags & (raw | no_wait)) == 0;
    while (const auto reply = client.next(answered ? kPatienceMs : 0)) {
      if (!faults) check_reply(*reply);
      if (!reply->header) break;
      if (reply->header->type == cim::MessageType::hello_ack && reply->payload.size() >= 32) {
        std::copy_n(reply->payload.begin() + 16, 16, session.token.begin());
        std::copy_n(reply->payload.begin() + 8, 8, session.epoch.begin());
      }
      if (answered && reply->header->request == frames) break;
    }
    if ((flags & hangs_up) != 0) client.close();
  }
}

/// Whether the emulator greets a client that does nothing wrong.
bool is_welcome(int port) {
  Client good;
  Bytes hello(25);
  hello[0] = hello[2] = 1;  // versions
  hello[6] = 1;             // takes frames of 64 kB
  if (!good.send(port, frame(kHello, 1, hello))) return false;
  const auto reply = good.next(20000);
  return reply && reply->header && reply->header->type == cim::MessageType::hello_ack;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  static const MachineConfig config = [] {
    MachineConfig c;
    c.max_spins = 40;
    c.max_reads = 4;
    c.dynamics.round_trips = 4;
    c.queue_limit = 4;
    c.credit_jobs = 3;
    return c;
  }();
  ServiceOptions options;
  options.allow_faults = (data[0] & 1U) != 0;
  const auto machine = Machine::create(config, false);
  require(machine.ok(), "no thread");
  const auto network = Network::create({});
  require(network.ok(), "no port");
  Service service(config, options, FaultPlan(1), **machine, **network);
  std::thread thread([&] { (*network)->run(service); });
  talk((*network)->port(), View(data, size).subspan(1), options.allow_faults);
  // A restart, which only FAULT asks for, ends the good client's connection, too, where the machine
  // comes to a SUBMIT late. Like a driver, it comes back: no more often than there are frames.
  std::size_t tries = options.allow_faults ? 1 + kMostFrames : 1;
  while (tries > 0 && !is_welcome((*network)->port())) --tries;
  require(tries > 0, "a good client is not welcome");
  (*network)->stop();
  thread.join();
  return 0;
}
