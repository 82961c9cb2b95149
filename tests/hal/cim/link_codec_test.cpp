// The driver's codec against the golden vectors, byte for byte, and against damaged ones.
#include "hal/cim/link_codec.h"

#include "tests/hal/cim/link_vectors.h"

namespace qama::hal::cim {
namespace {

using test::Bytes;
using test::kEpoch;
using test::kJob;
using test::kToken;
using test::vector_of;

template <typename Message>
Bytes driver_frame(MessageType type, std::uint64_t request, const Message& message) {
  Bytes out(kFrameHeaderBytes + kMaxFrameBeforeHello);
  const std::size_t size = message.encode(std::span(out).subspan(kFrameHeaderBytes));
  out.resize(kFrameHeaderBytes + size);
  encode_header(type, request, std::span(out).subspan(kFrameHeaderBytes),
                std::span(out).first(kFrameHeaderBytes));
  return out;
}

TEST(DriverCodec, WritesTheVectors) {
  Hello hello;
  hello.client = kToken;
  hello.name = "qama";
  EXPECT_EQ(driver_frame(MessageType::hello, 1, hello), vector_of("hello"));
  EXPECT_EQ(driver_frame(MessageType::attach, 2, Attach{kToken, kEpoch}), vector_of("attach"));
  EXPECT_EQ(driver_frame(MessageType::attach, 2, Attach::of(2, kToken, kEpoch, test::kBinding)),
            vector_of("attach_2"));
  EXPECT_EQ(driver_frame(MessageType::ping, 3, Ping{0x0102030405060708U}), vector_of("ping"));
  EXPECT_EQ(driver_frame(MessageType::program, 4, Program{9, {2, 3}, Encoding::block_i8}),
            vector_of("program"));
  EXPECT_EQ(driver_frame(MessageType::cancel, 6, Cancel{kJob}), vector_of("cancel"));
  EXPECT_EQ(driver_frame(MessageType::fault, 7, Fault{4, 10000, 1}), vector_of("fault"));
  EXPECT_EQ(driver_frame(MessageType::goodbye, 8, Goodbye{}), vector_of("goodbye"));
  const std::vector<std::int16_t> fields{254, -254, 3, -3, 0, 1};
  const std::vector<std::int8_t> couplings{1, -2, 127, -127, 0, 5};
  QuantisedView block;
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
  EXPECT_EQ(ack.version, 2);
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

TEST(DriverCodec, NoticesEveryFlippedBit) {
  test::for_every_flipped_bit([](const Bytes& bytes) {
    const auto header = decode_header(bytes, 1 << 20);
    return !header.ok() || !payload_intact(*header, std::span(bytes).subspan(kFrameHeaderBytes));
  });
}

TEST(DriverCodec, RefusesALengthAboveTheLimit) {
  EXPECT_OK(decode_header(vector_of("submit"), 200));
  EXPECT_ERROR(device_protocol, decode_header(vector_of("submit"), 10));
}

}  // namespace
}  // namespace qama::hal::cim
