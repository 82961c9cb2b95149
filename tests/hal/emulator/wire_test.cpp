// The emulator's codec against the golden vectors, byte for byte, and against damaged ones.
#include "hal/emulator/wire.h"

#include "tests/hal/cim/link_vectors.h"

namespace qama::emulator {
namespace {

using test::kEpoch;
using test::kJob;
using test::kToken;
using test::vector_of;

TEST(Wire, WritesTheVectors) {
  Capabilities caps;
  caps.version = 2;
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
  EXPECT_EQ(frame(kHelloAck, 1, hello_ack(caps)), vector_of("hello_ack"));
  EXPECT_EQ(frame(kAttachAck, 2, attach_ack(kEpoch)), vector_of("attach_ack"));
  EXPECT_EQ(frame(kPong, 3, pong(0x0102030405060708U, kEpoch, 5, 1)), vector_of("pong"));
  EXPECT_EQ(frame(kProgramAck, 4, program_ack(9, 2096)), vector_of("program_ack"));
  Answer answer;
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
  answer.packed = pack_signs(std::vector<std::int8_t>{-1, 1, -1, 1, -1, -1, 1, 1});
  EXPECT_EQ(frame(kResult, 5, result(answer)), vector_of("result"));
  EXPECT_EQ(frame(kError, 5, error(kJob, kEpoch, 500, "the queue is full"), kQueueFull),
            vector_of("error"));
  EXPECT_EQ(frame(kCancelAck, 6, cancel_ack(kJob, CancelOutcome::stopped)),
            vector_of("cancel_ack"));
  EXPECT_EQ(frame(kFaultAck, 7, {}), vector_of("fault_ack"));
}

template <typename T>
T read_request(const std::string& name, Parsed<T> (*parse)(View)) {
  static std::vector<Bytes> kept;
  kept.push_back(vector_of(name));
  Head head;
  EXPECT_TRUE(parse_head(kept.back(), 8192, head)) << name;
  const auto payload = View(kept.back()).subspan(32);
  EXPECT_EQ(head.length, payload.size());
  EXPECT_EQ(head.payload_checksum, checksum(payload));
  auto parsed = parse(payload);
  EXPECT_TRUE(std::holds_alternative<T>(parsed)) << name;
  return std::get<T>(parsed);
}

TEST(Wire, ReadsTheVectors) {
  const auto hello = read_request("hello", parse_hello);
  EXPECT_EQ(hello.name, "qama");
  EXPECT_EQ(hello.client, kToken);
  const auto attach = read_request("attach", parse_attach);
  EXPECT_EQ(attach.token, kToken);
  EXPECT_EQ(attach.epoch, kEpoch);
  EXPECT_FALSE(attach.proof.has_value());
  const auto bound = read_request("attach_2", parse_attach);
  EXPECT_EQ(bound.token, session_name(kToken));
  EXPECT_EQ(bound.epoch, kEpoch);
  ASSERT_TRUE(bound.proof.has_value());
  EXPECT_EQ(*bound.proof, attach_proof(kToken, kEpoch, test::kBinding));
  EXPECT_EQ(read_request("ping", parse_ping).echo, 0x0102030405060708U);
  const auto program = read_request("program", parse_program);
  EXPECT_EQ(program.heads, 2);
  EXPECT_EQ(program.tokens, 3);
  EXPECT_EQ(read_request("cancel", parse_cancel).job, kJob);
  const auto fault = read_request("fault", parse_fault);
  EXPECT_EQ(fault.kind, 4);
  EXPECT_EQ(fault.parts_per_million, 10000U);
  const auto submit = read_request("submit", parse_submit);
  EXPECT_EQ(submit.job, kJob);
  EXPECT_EQ(submit.remaining_us, 1500U);
  EXPECT_EQ(submit.seed, 42U);
  auto problem = parse_problem(submit, program, 550);
  ASSERT_TRUE(std::holds_alternative<IsingProblem>(problem));
  const auto& ising = std::get<IsingProblem>(problem);
  EXPECT_EQ(ising.fields, (std::vector<std::int16_t>{254, -254, 3, -3, 0, 1}));
  EXPECT_EQ(ising.couplings, (std::vector<std::int8_t>{1, -2, 127, -127, 0, 5}));
  EXPECT_EQ(ising.penalty, 7);
  EXPECT_EQ(ising.tie, 127);
  EXPECT_EQ(ising.width(), 8);
}

TEST(Wire, RefusesWhatIsOutOfRange) {
  const auto program = read_request("program", parse_program);
  const auto submit = read_request("submit", parse_submit);
  const auto refused = [&](auto change, Code code) {
    auto copy = submit;
    change(copy);
    const auto problem = parse_problem(copy, program, 550);
    const auto* refusal = std::get_if<Refusal>(&problem);
    ASSERT_NE(refusal, nullptr);
    EXPECT_EQ(refusal->code, code) << refusal->text;
  };
  using S = SubmitRequest;
  refused([](S& s) { s.tokens = 0; }, kBadValue);
  refused([](S& s) { s.tokens = 4; }, kBadValue);
  refused([](S& s) { s.ancillas = 0; }, kBadValue);
  refused([](S& s) { s.ancillas = 545; }, kTooLarge);
  refused([](S& s) { s.penalty = -1; }, kBadValue);
  refused([](S& s) { s.ancillas = 1; }, kBadValue);  // with a tie
  refused([](S& s) { s.problem = s.problem.first(s.problem.size() - 1); }, kBadFrame);
  Bytes minus_128(submit.problem.begin(), submit.problem.end());
  minus_128.back() = 0x80;
  refused([&](S& s) { s.problem = minus_128; }, kBadValue);
  Bytes field(submit.problem.begin(), submit.problem.end());
  field[0] = 0xFF;
  field[1] = 0x7F;
  refused([&](S& s) { s.problem = field; }, kBadValue);
}

TEST(Wire, NoticesEveryFlippedBit) {
  test::for_every_flipped_bit([](const Bytes& bytes) {
    Head head;
    return !parse_head(bytes, 1 << 20, head) ||
           head.payload_checksum != checksum(View(bytes).subspan(kHeaderSize));
  });
}

TEST(Wire, RefusesALengthAboveTheLimit) {
  Head head;
  EXPECT_TRUE(parse_head(vector_of("submit"), 200, head));
  EXPECT_FALSE(parse_head(vector_of("submit"), 10, head));
}

}  // namespace
}  // namespace qama::emulator
