// Both codecs against the golden vectors, byte for byte: what one end writes must be the vector,
// what the other end reads of it must be the vector's fields (link_vectors.py says which). And both
// refuse what is damaged.
#include <fstream>
#include <random>

#include "hal/cim/link_codec.h"
#include "hal/emulator/wire.h"
#include "tests/hal/cim/problems.h"

namespace qama::hal::cim {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes vector_of(const std::string& name) {
  std::ifstream stream(test::source_path("tests/hal/cim/vectors/" + name + ".hex"));
  EXPECT_TRUE(stream.good()) << name;
  Bytes out;
  std::string digits;
  for (char c = 0; stream.get(c);) {
    if (std::isxdigit(static_cast<unsigned char>(c)) == 0) continue;
    digits += c;
    if (digits.size() == 2) {
      out.push_back(static_cast<std::uint8_t>(std::stoi(digits, nullptr, 16)));
      digits.clear();
    }
  }
  return out;
}

JobId counting(std::uint8_t first) {
  JobId id;
  for (std::size_t i = 0; i < id.size(); ++i) id[i] = static_cast<std::uint8_t>(first + i);
  return id;
}
const JobId kJob = counting(0x10);
const JobId kToken = counting(0xA0);
constexpr std::uint64_t kEpoch = 0x1122334455667788U;

template <typename Message>
Bytes driver_frame(MessageType type, std::uint64_t request, const Message& message) {
  Bytes out(kFrameHeaderBytes + kMaxFrameBeforeHello);
  const std::size_t size = message.encode(std::span(out).subspan(kFrameHeaderBytes));
  out.resize(kFrameHeaderBytes + size);
  encode_header(type, request, std::span(out).subspan(kFrameHeaderBytes),
                std::span(out).first(kFrameHeaderBytes));
  return out;
}

struct Empty {
  std::size_t encode(std::span<std::uint8_t>) const { return 0; }
};

TEST(DriverCodec, WritesTheVectors) {
  Hello hello;
  hello.client = kToken;
  hello.name = "qama";
  EXPECT_EQ(driver_frame(MessageType::hello, 1, hello), vector_of("hello"));
  EXPECT_EQ(driver_frame(MessageType::attach, 2, Attach{kToken, kEpoch}), vector_of("attach"));
  EXPECT_EQ(driver_frame(MessageType::ping, 3, Ping{0x0102030405060708U}), vector_of("ping"));
  EXPECT_EQ(driver_frame(MessageType::program, 4, Program{9, {2, 3}, Encoding::block_i8}),
            vector_of("program"));
  EXPECT_EQ(driver_frame(MessageType::cancel, 6, Cancel{kJob}), vector_of("cancel"));
  EXPECT_EQ(driver_frame(MessageType::fault, 7, Fault{4, 10000, 1}), vector_of("fault"));
  EXPECT_EQ(driver_frame(MessageType::goodbye, 8, Empty{}), vector_of("goodbye"));
  const std::vector<std::int16_t> fields{254, -254, 3, -3, 0, 1};
  const std::vector<std::int8_t> couplings{1, -2, 127, -127, 0, 5};
  BlockProblem block;
  block.shape = {2, 3};
  block.ancillas = 2;
  block.penalty = 7;
  block.tie = 127;
  block.fields = fields;
  block.couplings = couplings;
  Submit submit;
  submit.job = kJob;
  submit.epoch = kEpoch;
  submit.remaining_us = 1500;
  submit.seed = 42;
  submit.program = 9;
  submit.reads = 4;
  Bytes out(4096);
  const std::size_t size =
      submit.encode(block, Encoding::block_i8, {}, std::span(out).subspan(kFrameHeaderBytes));
  EXPECT_EQ(size, submit_bytes(block.shape, block.ancillas, Encoding::block_i8));
  out.resize(kFrameHeaderBytes + size);
  encode_header(MessageType::submit, 5, std::span(out).subspan(kFrameHeaderBytes),
                std::span(out).first(kFrameHeaderBytes));
  EXPECT_EQ(out, vector_of("submit"));
}

template <typename Message>
Message read_reply(const std::string& name, MessageType type, std::uint64_t request) {
  static std::vector<Bytes> kept;  // the messages' views point into the vectors
  kept.push_back(vector_of(name));
  const Bytes& bytes = kept.back();
  auto header = decode_header(bytes, kMaxReplyBytes);
  EXPECT_OK(header);
  const auto payload = std::span<const std::uint8_t>(bytes).subspan(kFrameHeaderBytes);
  EXPECT_EQ(header.value().type, type);
  EXPECT_EQ(header.value().request, request);
  EXPECT_TRUE(payload_intact(header.value(), payload));
  auto message = Message::decode(payload);
  EXPECT_OK(message);
  return message.value();
}

TEST(DriverCodec, ReadsTheVectors) {
  const auto ack = read_reply<HelloAck>("hello_ack", MessageType::hello_ack, 1);
  EXPECT_TRUE(ack.emulated && ack.faults);
  EXPECT_EQ(ack.max_frame, 152131U);
  EXPECT_EQ(ack.epoch, kEpoch);
  EXPECT_EQ(ack.token, kToken);
  EXPECT_EQ(ack.max_spins, 550U);
  EXPECT_EQ(ack.max_reads, 100);
  EXPECT_EQ(ack.credit_jobs, 16);
  EXPECT_EQ(ack.max_programs, 64);
  EXPECT_EQ(ack.credit_bytes, 8388608U);
  EXPECT_EQ(ack.heartbeat_ms, 1000U);
  EXPECT_EQ(ack.lease_ms, 10000U);
  EXPECT_EQ(ack.round_trip_ns, 810U);
  EXPECT_EQ(ack.round_trips, 200U);
  EXPECT_EQ(ack.remember_ms, 60000U);
  EXPECT_EQ(ack.name, "emulated CPQC-550");
  EXPECT_EQ(read_reply<AttachAck>("attach_ack", MessageType::attach_ack, 2).epoch, kEpoch);
  const auto pong = read_reply<Pong>("pong", MessageType::pong, 3);
  EXPECT_EQ(pong.echo, 0x0102030405060708U);
  EXPECT_EQ(pong.waiting, 5U);
  EXPECT_EQ(pong.state, 1);
  const auto programmed = read_reply<ProgramAck>("program_ack", MessageType::program_ack, 4);
  EXPECT_EQ(programmed.id, 9U);
  EXPECT_EQ(programmed.program_ns, 2096U);
  const auto result = read_reply<JobResult>("result", MessageType::result, 5);
  EXPECT_EQ(result.job, kJob);
  EXPECT_EQ(result.energy, -1234);
  EXPECT_EQ(result.anneal_ns, 648000U);
  EXPECT_EQ(result.spins, 8U);
  EXPECT_EQ(result.reads, 4);
  EXPECT_TRUE(result.emulated);
  EXPECT_FALSE(result.paced);
  ASSERT_EQ(result.packed.size(), 1U);
  EXPECT_EQ(result.packed[0], 0xCA);
  const auto error = read_reply<ErrorReply>("error", MessageType::error, 5);
  EXPECT_EQ(error.wait_us, 500U);
  EXPECT_EQ(error.text, "the queue is full");
  EXPECT_EQ(read_reply<CancelAck>("cancel_ack", MessageType::cancel_ack, 6).outcome, 2);
}

TEST(EmulatorCodec, WritesTheVectors) {
  emulator::Capabilities caps;
  caps.faults = true;
  caps.max_frame = 152131;
  caps.epoch = kEpoch;
  caps.token = kToken;
  caps.max_spins = 550;
  caps.max_reads = 100;
  caps.credit_jobs = 16;
  caps.max_programs = 64;
  caps.credit_bytes = 8388608;
  caps.heartbeat_ms = 1000;
  caps.lease_ms = 10000;
  caps.round_trip_ns = 810;
  caps.round_trips = 200;
  caps.remember_ms = 60000;
  caps.name = "emulated CPQC-550";
  using emulator::frame;
  EXPECT_EQ(frame(emulator::kHelloAck, 1, emulator::hello_ack(caps)), vector_of("hello_ack"));
  EXPECT_EQ(frame(emulator::kAttachAck, 2, emulator::attach_ack(kEpoch)), vector_of("attach_ack"));
  EXPECT_EQ(frame(emulator::kPong, 3, emulator::pong(0x0102030405060708U, kEpoch, 5, 1)),
            vector_of("pong"));
  EXPECT_EQ(frame(emulator::kProgramAck, 4, emulator::program_ack(9, 2096)),
            vector_of("program_ack"));
  emulator::Answer answer;
  answer.job = kJob;
  answer.epoch = kEpoch;
  answer.energy = -1234;
  answer.queue_ns = 11;
  answer.compute_ns = 22;
  answer.program_ns = 2592;
  answer.anneal_ns = 648000;
  answer.readout_ns = 20000;
  answer.spins = 8;
  answer.reads = 4;
  answer.packed = emulator::pack_signs(std::vector<std::int8_t>{-1, 1, -1, 1, -1, -1, 1, 1});
  EXPECT_EQ(frame(emulator::kResult, 5, emulator::result(answer)), vector_of("result"));
  EXPECT_EQ(frame(emulator::kError, 5, emulator::error(kJob, kEpoch, 500, "the queue is full"),
                  emulator::kQueueFull),
            vector_of("error"));
  EXPECT_EQ(
      frame(emulator::kCancelAck, 6, emulator::cancel_ack(kJob, emulator::CancelOutcome::stopped)),
      vector_of("cancel_ack"));
  EXPECT_EQ(frame(emulator::kFaultAck, 7, {}), vector_of("fault_ack"));
}

template <typename T>
T read_request(const std::string& name, emulator::Parsed<T> (*parse)(emulator::View)) {
  static std::vector<Bytes> kept;
  kept.push_back(vector_of(name));
  emulator::Head head;
  EXPECT_TRUE(emulator::parse_head(kept.back(), 8192, head)) << name;
  const auto payload = emulator::View(kept.back()).subspan(32);
  EXPECT_EQ(head.length, payload.size());
  EXPECT_EQ(head.payload_checksum, emulator::checksum(payload));
  auto parsed = parse(payload);
  EXPECT_TRUE(std::holds_alternative<T>(parsed)) << name;
  return std::get<T>(parsed);
}

TEST(EmulatorCodec, ReadsTheVectors) {
  const auto hello = read_request("hello", emulator::parse_hello);
  EXPECT_EQ(hello.name, "qama");
  EXPECT_EQ(hello.client, kToken);
  const auto attach = read_request("attach", emulator::parse_attach);
  EXPECT_EQ(attach.token, kToken);
  EXPECT_EQ(attach.epoch, kEpoch);
  EXPECT_EQ(read_request("ping", emulator::parse_ping).echo, 0x0102030405060708U);
  const auto program = read_request("program", emulator::parse_program);
  EXPECT_EQ(program.heads, 2);
  EXPECT_EQ(program.tokens, 3);
  EXPECT_EQ(read_request("cancel", emulator::parse_cancel).job, kJob);
  const auto fault = read_request("fault", emulator::parse_fault);
  EXPECT_EQ(fault.kind, 4);
  EXPECT_EQ(fault.parts_per_million, 10000U);
  const auto submit = read_request("submit", emulator::parse_submit);
  EXPECT_EQ(submit.job, kJob);
  EXPECT_EQ(submit.remaining_us, 1500U);
  EXPECT_EQ(submit.seed, 42U);
  auto problem = emulator::parse_problem(submit, program, 550);
  ASSERT_TRUE(std::holds_alternative<emulator::IsingProblem>(problem));
  const auto& ising = std::get<emulator::IsingProblem>(problem);
  EXPECT_EQ(ising.fields, (std::vector<std::int16_t>{254, -254, 3, -3, 0, 1}));
  EXPECT_EQ(ising.couplings, (std::vector<std::int8_t>{1, -2, 127, -127, 0, 5}));
  EXPECT_EQ(ising.penalty, 7);
  EXPECT_EQ(ising.tie, 127);
  EXPECT_EQ(ising.width(), 8);
}

TEST(EmulatorCodec, RefusesWhatIsOutOfRange) {
  const auto program = read_request("program", emulator::parse_program);
  const auto submit = read_request("submit", emulator::parse_submit);
  const auto refused = [&](auto change, emulator::Code code) {
    auto copy = submit;
    change(copy);
    const auto problem = emulator::parse_problem(copy, program, 550);
    const auto* refusal = std::get_if<emulator::Refusal>(&problem);
    ASSERT_NE(refusal, nullptr);
    EXPECT_EQ(refusal->code, code) << refusal->text;
  };
  using S = emulator::SubmitRequest;
  refused([](S& s) { s.tokens = 0; }, emulator::kBadValue);
  refused([](S& s) { s.tokens = 4; }, emulator::kBadValue);
  refused([](S& s) { s.ancillas = 0; }, emulator::kBadValue);
  refused([](S& s) { s.ancillas = 545; }, emulator::kTooLarge);
  refused([](S& s) { s.penalty = -1; }, emulator::kBadValue);
  refused([](S& s) { s.ancillas = 1; }, emulator::kBadValue);  // with a tie
  refused([](S& s) { s.problem = s.problem.first(s.problem.size() - 1); }, emulator::kBadFrame);
  Bytes minus_128(submit.problem.begin(), submit.problem.end());
  minus_128.back() = 0x80;
  refused([&](S& s) { s.problem = minus_128; }, emulator::kBadValue);
  Bytes field(submit.problem.begin(), submit.problem.end());
  field[0] = 0xFF;
  field[1] = 0x7F;
  refused([&](S& s) { s.problem = field; }, emulator::kBadValue);
}

// Any one bit of any vector flipped: both ends notice.
TEST(BothCodecs, NoticeEveryFlippedBit) {
  for (const char* name : {"hello", "hello_ack", "submit", "result", "error", "pong", "goodbye"}) {
    const Bytes good = vector_of(name);
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
      Bytes bad = good;
      bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ (1U << (bit % 8)));
      const auto payload = std::span<const std::uint8_t>(bad).subspan(kFrameHeaderBytes);
      const auto header = decode_header(bad, 1 << 20);
      EXPECT_FALSE(header.ok() && payload_intact(header.value(), payload))
          << name << " bit " << bit;
      emulator::Head head;
      EXPECT_FALSE(emulator::parse_head(bad, 1 << 20, head) &&
                   head.payload_checksum == emulator::checksum(payload));
    }
  }
}

TEST(BothCodecs, RefuseALengthAboveTheLimit) {
  const Bytes good = vector_of("submit");
  EXPECT_ERROR(device_protocol, decode_header(good, 10));
  emulator::Head head;
  EXPECT_FALSE(emulator::parse_head(good, 10, head));
}

}  // namespace
}  // namespace qama::hal::cim
