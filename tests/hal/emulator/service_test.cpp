// The rules of PROTOCOL.md that a good driver never runs into: versions, silence, leases, credit,
// conflicts, numbers out of range. Every refusal is one sentence.
#include <fstream>

#include "hal/cim/quantise.h"
#include "hal/device.h"
#include "tests/hal/cim/emulator_process.h"
#include "tests/hal/cim/problems.h"
#include "tests/hal/cim/raw_client.h"

namespace qama::hal::cim {
namespace {

using test::EmulatorProcess;
using test::RawClient;
using test::RawReply;

/// The emulator's arguments for a configuration.
class Service : public ::testing::Test {
 protected:
  std::vector<std::string> with(const std::string& json) {
    std::ofstream(dir_.file("config.json")) << json;
    return {"--config", dir_.file("config.json")};
  }
  test::TempDir dir_;
};

void expect_refusal(const std::optional<RawReply>& reply, LinkStatus status,
                    const std::string& words) {
  ASSERT_TRUE(reply.has_value());
  ASSERT_TRUE(reply->is(MessageType::error)) << static_cast<int>(reply->header.type);
  EXPECT_EQ(link_status_name(reply->status()), link_status_name(status));
  const std::string text = reply->text();
  EXPECT_NE(text.find(words), std::string::npos) << text;
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
}

/// A quantised layer and its SUBMIT.
struct Job {
  explicit Job(const ProblemShape& shape, std::uint64_t seed = 1)
      : layer(test::random_layer(shape.heads, shape.tokens, seed)),
        quantiser(Quantiser::create(shape, {}).value()) {
    EXPECT_OK(quantiser.run(layer.problem()));
  }
  std::vector<std::uint8_t> submit(std::uint8_t id, std::uint64_t epoch, std::uint16_t reads = 1) {
    Submit message;
    message.job[0] = id;
    message.epoch = epoch;
    message.program = 1;
    message.reads = reads;
    std::vector<std::uint8_t> out(
        submit_bytes(quantiser.view().shape, quantiser.view().ancillas, Encoding::block_i8));
    out.resize(message.encode(quantiser.view(), Encoding::block_i8, {}, out));
    return out;
  }
  ProblemBuffer layer;
  Quantiser quantiser;
};

/// Both connections of a session with a program 1.
struct Client {
  Client(int port, const ProblemShape& shape)
      : control(port), data(port), session(control.hello()) {
    const auto attached = data.attach(session);
    EXPECT_TRUE(attached && attached->is(MessageType::attach_ack));
    const auto programmed = data.program(1, shape);
    EXPECT_TRUE(programmed && programmed->is(MessageType::program_ack));
  }
  RawClient control, data;
  HelloAck session;
};

/// A device that solves the same small layer again and again.
struct SmallLayer {
  explicit SmallLayer(const std::string& uri) {
    auto opened = open_device(uri);
    EXPECT_OK(opened);
    device = std::move(opened).value();
    auto compiled = device->compile({2, 10});
    EXPECT_OK(compiled);
    solver = std::move(compiled).value();
  }
  Status solve() { return solver->solve(layer.problem(), {}, spins, result); }
  std::shared_ptr<Device> device;
  std::unique_ptr<Solver> solver;
  ProblemBuffer layer = test::random_layer(2, 10, 1);
  std::vector<std::uint64_t> spins{0, 0};
  SolveResult result;
};

TEST_F(Service, AnotherVersionIsRefused) {
  EmulatorProcess emulator;
  RawClient client(emulator.port());
  Hello hello;
  hello.lowest = 3;
  hello.highest = 4;
  client.send(MessageType::hello, 9, hello);
  const auto reply = client.next();
  expect_refusal(reply, LinkStatus::version, "versions 3 to 4, this machine speaks 1 to 2");
  EXPECT_EQ(reply->header.request, 9U);
  EXPECT_TRUE(client.closed_within(2000));
  // One that also speaks 1 or 2 is welcome, and both take the newest that both know.
  for (const auto& [lowest, highest, taken] :
       {std::array<std::uint16_t, 3>{1, 4, 2}, {2, 3, 2}, {1, 1, 1}}) {
    RawClient both(emulator.port());
    hello.lowest = lowest;
    hello.highest = highest;
    both.send(MessageType::hello, 1, hello);
    const auto welcome = both.next();
    ASSERT_TRUE(welcome.has_value());
    ASSERT_TRUE(welcome->is(MessageType::hello_ack));
    auto ack = HelloAck::decode(welcome->payload);
    ASSERT_OK(ack);
    EXPECT_EQ(ack->version, taken);
    ack->name = {};
    // Each attaches in its own way.
    RawClient data(emulator.port());
    const auto attached = data.attach(*ack);
    ASSERT_TRUE(attached.has_value());
    EXPECT_TRUE(attached->is(MessageType::attach_ack));
  }
}

// The token alone opens no data connection of version 2, nor does a proof made for another one.
TEST_F(Service, ADataConnectionProvesItsSession) {
  EmulatorProcess emulator;
  RawClient control(emulator.port());
  HelloAck session = control.hello();
  ASSERT_EQ(session.version, 2);
  const auto attach = [&](const Attach& message) {
    RawClient data(emulator.port());
    data.send(MessageType::attach, 2, message);
    return data.next();
  };
  const auto good = attach(Attach::of(2, session.token, session.epoch, {}));
  ASSERT_TRUE(good && good->is(MessageType::attach_ack));
  expect_refusal(attach({session.token, session.epoch}), LinkStatus::auth,
                 "not of this connection");
  ChannelBinding other{};
  other[31] = 1;
  expect_refusal(attach(Attach::of(2, session.token, session.epoch, other)), LinkStatus::auth,
                 "not of this connection");
  JobId guessed = session.token;
  guessed[0] ^= 1;
  expect_refusal(attach(Attach::of(2, guessed, session.epoch, {})), LinkStatus::no_session,
                 "no session has this token");
}

// The same from the other side: a machine that speaks another version only.
TEST_F(Service, TheDriverSaysSoInOneSentence) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener, 4), 0);
  socklen_t size = sizeof address;
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  std::thread peer([listener] {
    const int fd = ::accept(listener, nullptr, nullptr);
    std::uint8_t request[512];
    const ssize_t got = ::recv(fd, request, sizeof request, 0);
    EXPECT_GT(got, 32);
    // ERROR/VERSION with a text, under the request's id.
    const std::string text = "versions 1 to 1, this machine speaks 2";
    std::vector<std::uint8_t> payload(30 + text.size());
    payload[28] = static_cast<std::uint8_t>(text.size());
    std::copy(text.begin(), text.end(), payload.begin() + 30);
    std::vector<std::uint8_t> frame(kFrameHeaderBytes);
    std::uint64_t id = 0;
    for (int i = 8; i-- > 0;) id = id << 8 | request[16 + i];
    encode_header(MessageType::error, id, payload, frame);
    frame[6] = static_cast<std::uint8_t>(LinkStatus::version);
    const std::uint32_t crc = crc32c(std::span(frame).first(28));
    for (int i = 0; i < 4; ++i) frame[28 + i] = static_cast<std::uint8_t>(crc >> (8 * i));
    frame.insert(frame.end(), payload.begin(), payload.end());
    (void)!::send(fd, frame.data(), frame.size(), MSG_NOSIGNAL);
    ::close(fd);
  });
  const auto opened = open_device("cim://127.0.0.1:" + std::to_string(ntohs(address.sin_port)));
  peer.join();
  ::close(listener);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(error_name(opened.error().code), error_name(error_of(LinkStatus::version)));
  EXPECT_NE(opened.error().message.find("this machine speaks 2"), std::string::npos)
      << opened.error().message;
  EXPECT_EQ(opened.error().message.find('\n'), std::string::npos);
}

TEST_F(Service, SilenceEndsAConnection) {
  EmulatorProcess emulator(with(R"({"hello_ms": 1000})"));
  RawClient silent(emulator.port());
  RawClient half(emulator.port());
  half.send(MessageType::ping, 1,
            std::vector<std::uint8_t>{});  // not what a connection begins with
  RawClient speaking(emulator.port());
  (void)speaking.hello();
  expect_refusal(half.next(), LinkStatus::bad_frame, "neither HELLO nor ATTACH");
  EXPECT_TRUE(silent.closed_within(10000));
  EXPECT_TRUE(half.closed_within(10000));
  // A session is not bound by it.
  speaking.send(MessageType::ping, 5, Ping{77});
  const auto pong = speaking.next();
  ASSERT_TRUE(pong.has_value());
  EXPECT_TRUE(pong->is(MessageType::pong));
}

TEST_F(Service, ASessionWithoutAPulseEnds) {
  EmulatorProcess emulator(with(R"({"heartbeat_ms": 100, "lease_ms": 1500})"));
  Client client(emulator.port(), {2, 10});
  // Pings keep it.
  for (int i = 0; i < 8; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    client.control.send(MessageType::ping, 5, Ping{});
    ASSERT_TRUE(client.control.next().has_value());
  }
  // Silence ends it, the data connection notwithstanding.
  EXPECT_TRUE(client.control.closed_within(15000));
  RawClient late(emulator.port());
  expect_refusal(late.attach(client.session), LinkStatus::no_session, "no session has this token");
  expect_refusal(client.data.next(), LinkStatus::no_session, "the session is over");
  EXPECT_TRUE(client.data.closed_within(2000));
  // A driver's own heartbeat keeps its session for longer than a lease.
  auto device = open_device(emulator.uri());
  ASSERT_OK(device);
  std::this_thread::sleep_for(std::chrono::milliseconds(2000));
  auto health = device.value()->probe();
  ASSERT_OK(health);
  EXPECT_EQ(health.value().state, DeviceState::available);
}

// A session's connections end with it, whoever ends it, and its place is free at once.
TEST_F(Service, GoodbyeEndsTheConnectionsOfItsSession) {
  EmulatorProcess emulator;
  Client client(emulator.port(), {2, 10});
  Client other(emulator.port(), {2, 10});
  client.control.send(MessageType::goodbye, 7, Goodbye{});
  expect_refusal(client.data.next(), LinkStatus::no_session, "the session is over");
  EXPECT_TRUE(client.data.closed_within(2000));
  EXPECT_TRUE(client.control.closed_within(2000));
  other.control.send(MessageType::ping, 8, Ping{1});
  ASSERT_TRUE(other.control.next().has_value());
  EXPECT_FALSE(other.data.closed_within(200));
}

// A client may write on before it reads. Were its connection closed with that unread, or before it
// comes, the system would reset it, and the reason would be lost.
TEST_F(Service, WhoWritesOnReadsWhyItIsLeft) {
  EmulatorProcess emulator({"--http"});
  const std::string more(200'000, 'x');
  const auto write_on = [&](RawClient& client) {
    ASSERT_TRUE(client.hears());
    for (int i = 0; i < 3; ++i) client.write("more");
  };
  RawClient stranger(emulator.port());
  stranger.write(more);
  write_on(stranger);
  expect_refusal(stranger.next(), LinkStatus::bad_frame, "not a frame of this link");
  EXPECT_EQ(stranger.read_to_end(), "");

  Client client(emulator.port(), {2, 10});
  client.control.send(MessageType::goodbye, 9, Goodbye{});
  write_on(client.data);
  expect_refusal(client.data.next(), LinkStatus::no_session, "the session is over");
  EXPECT_EQ(client.data.read_to_end(), "");

  RawClient web(emulator.http_port());
  web.write("POST /kdev/terminal/login/ HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n" + more);
  write_on(web);
  const auto answer = web.read_to_end();
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(answer->starts_with("HTTP/1.1 413 Payload Too Large\r\n")) << *answer;
}

TEST_F(Service, AnIdleDataConnectionIsClosedAndTheDriverComesBack) {
  EmulatorProcess emulator(with(R"({"idle_ms": 300})"));
  RawClient control(emulator.port());
  const HelloAck session = control.hello();
  RawClient data(emulator.port());
  const auto attached = data.attach(session);
  ASSERT_TRUE(attached && attached->is(MessageType::attach_ack));
  EXPECT_TRUE(data.closed_within(5000));
  SmallLayer layer(emulator.uri());
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(layer.solve());
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

TEST_F(Service, ASessionHasSixtyFourDataConnections) {
  EmulatorProcess emulator;
  RawClient control(emulator.port());
  const HelloAck session = control.hello();
  std::vector<std::unique_ptr<RawClient>> data;
  for (int i = 0; i < 64; ++i) {
    data.push_back(std::make_unique<RawClient>(emulator.port()));
    const auto attached = data.back()->attach(session);
    ASSERT_TRUE(attached && attached->is(MessageType::attach_ack)) << i;
  }
  RawClient more(emulator.port());
  expect_refusal(more.attach(session), LinkStatus::queue_full, "at most 64 data connections");
}

TEST_F(Service, AJobIdBelongsToItsBody) {
  EmulatorProcess emulator;
  const ProblemShape shape{2, 10};
  Client client(emulator.port(), shape);
  Job first(shape, 1);
  Job other(shape, 2);
  client.data.send(MessageType::submit, 10, first.submit(1, client.session.epoch));
  const auto answer = client.data.next();
  ASSERT_TRUE(answer && answer->is(MessageType::result));
  // The same again: the same answer, from memory.
  client.data.send(MessageType::submit, 11, first.submit(1, client.session.epoch));
  const auto again = client.data.next();
  ASSERT_TRUE(again && again->is(MessageType::result));
  EXPECT_EQ(again->payload, answer->payload);
  EXPECT_EQ(again->header.request, 11U);
  // Another problem under the same id.
  client.data.send(MessageType::submit, 12, other.submit(1, client.session.epoch));
  expect_refusal(client.data.next(), LinkStatus::conflict, "used for another problem");
  const auto report = emulator.end();
  EXPECT_EQ(report["solved"], 1);
  EXPECT_EQ(report["from_memory"], 1);
}

TEST_F(Service, CreditIsCountedAndComesBack) {
  // 0.2 s a job, slept: however fast or busy this computer is, the third comes while the first is
  // running.
  auto options = with(R"({"credit_jobs": 2, "round_trip_ns": 25000000, "round_trips": 8})");
  options.emplace_back("--pace");
  EmulatorProcess emulator(options);
  const ProblemShape shape{4, 30};
  Client client(emulator.port(), shape);
  EXPECT_EQ(client.session.credit_jobs, 2);
  Job job(shape);
  for (std::uint8_t id = 1; id <= 3; ++id)
    client.data.send(MessageType::submit, id, job.submit(id, client.session.epoch));
  // The third is refused while the others run; then their answers come.
  const auto refused = client.data.next(60000);
  expect_refusal(refused, LinkStatus::credit, "than the session was granted");
  EXPECT_EQ(refused->header.request, 3U);
  for (int i = 0; i < 2; ++i) {
    const auto answer = client.data.next(60000);
    ASSERT_TRUE(answer.has_value());
    EXPECT_TRUE(answer->is(MessageType::result));
  }
  client.data.send(MessageType::submit, 4, job.submit(3, client.session.epoch));
  const auto accepted = client.data.next(60000);
  ASSERT_TRUE(accepted.has_value());
  EXPECT_TRUE(accepted->is(MessageType::result));
}

TEST_F(Service, NumbersOutOfRange) {
  EmulatorProcess emulator;
  const ProblemShape shape{2, 10};
  Client client(emulator.port(), shape);
  expect_refusal(client.data.program(2, {1, 551}), LinkStatus::too_large,
                 "552 spins with one ancilla, this machine has 550");
  expect_refusal(client.data.program(2, {11, 50}), LinkStatus::too_large,
                 "551 spins with one ancilla, this machine has 550");
  Job job(shape);
  const auto with_byte = [&](std::size_t at, std::uint8_t value) {
    auto payload = job.submit(static_cast<std::uint8_t>(at), client.session.epoch);
    payload[at] = value;
    client.data.send(MessageType::submit, 20, payload);
    return client.data.next();
  };
  const std::size_t couplings = 56 + 2 * 20;
  expect_refusal(with_byte(couplings, 0x80), LinkStatus::bad_value,
                 "a coupling is -128, expected -127 to 127");
  expect_refusal(with_byte(57, 0x7F), LinkStatus::bad_value, "expected at most 127 times");
  expect_refusal(with_byte(50, 0xFF), LinkStatus::bad_value, "penalty -1");
  expect_refusal(with_byte(44, 11), LinkStatus::bad_value, "11 tokens, programmed for 1 to 10");
  expect_refusal(with_byte(48, 0), LinkStatus::bad_value, "0 reads, expected 1 to 100");
  expect_refusal(with_byte(40, 9), LinkStatus::unknown_program, "no program 9");
  // None of it ended anything.
  client.data.send(MessageType::submit, 30, job.submit(99, client.session.epoch));
  const auto answer = client.data.next();
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(answer->is(MessageType::result));
}

// One user's cancel is nobody else's business.
TEST_F(Service, AUserCancelsItsOwnJobsOnly) {
  EmulatorProcess emulator;
  const auto options = "?reads=40&timeout_ms=120000";
  auto one = open_device(emulator.uri(options));
  auto two = open_device(emulator.uri(options));
  ASSERT_OK(one);
  ASSERT_OK(two);
  const ProblemShape shape{8, 49};
  auto first = one.value()->compile(shape);
  auto second = two.value()->compile(shape);
  ASSERT_OK(first);
  ASSERT_OK(second);
  const auto layer = test::random_layer(8, 49, 1);
  for (int i = 0; i < 4; ++i) {
    ASSERT_OK(first.value()->submit(i, layer.problem(), {}));
    ASSERT_OK(second.value()->submit(i, layer.problem(), {}));
  }
  std::vector<std::uint64_t> spins(8);
  SolveResult result;
  EXPECT_OK(first.value()->wait(0, spins, result));
  EXPECT_OK(second.value()->wait(0, spins, result));
  for (int i = 1; i < 4; ++i) first.value()->cancel(i);
  for (int i = 1; i < 4; ++i) EXPECT_ERROR(cancelled, first.value()->wait(i, spins, result));
  for (int i = 1; i < 4; ++i) {
    EXPECT_OK(second.value()->wait(i, spins, result));
    EXPECT_EQ(result.energy, energy_of(layer.problem(), spins));
  }
  const auto report = emulator.end();
  EXPECT_GE(report["cancelled"], 2);
}

// With --pace an answer comes when the modelled machine would have it, not when the emulator is
// done computing.
TEST_F(Service, PaceHoldsAnswersBack) {
  auto arguments = with(R"({"round_trip_ns": 1000000, "round_trips": 30})");
  arguments.push_back("--pace");
  EmulatorProcess emulator(arguments);
  SmallLayer paced(emulator.uri());
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(paced.solve());
    EXPECT_NEAR(paced.result.timing.anneal_us, 30'000, 1e-6);
    EXPECT_GE(paced.result.timing.total_us, 30'000);
    EXPECT_TRUE(paced.result.timing.modelled);
  }
  // Without it the same job is far faster than the machine that it models.
  EmulatorProcess free({"--config", dir_.file("config.json")});
  SmallLayer quick(free.uri());
  double fastest = 1e9;
  for (int i = 0; i < 20; ++i) {
    ASSERT_OK(quick.solve());
    fastest = std::min(fastest, quick.result.timing.total_us);
  }
  EXPECT_LT(fastest, 30'000);
}

}  // namespace
}  // namespace qama::hal::cim
