// Replies of the vendor's terminal, byte by byte and whole: samples become spins, limits hold.
#include "hal/cim/vendor_reply.h"

#include "tests/test_support.h"

namespace qama::hal::cim {
namespace {

struct Read {
  std::string text;
  Samples samples;
  Status failure;
};
/// `reply` in pieces of `piece` bytes.
Read read(const std::string& reply, std::size_t piece, std::size_t width = 3) {
  ReplyReader reader = width > 0 ? ReplyReader(width, width - 1) : ReplyReader();
  for (std::size_t at = 0; at < reply.size(); at += piece) {
    if (!reader.take(std::string_view(reply).substr(at, piece))) break;
  }
  return {reader.text(), reader.samples(), reader.failure()};
}

TEST(VendorReply, SamplesBecomeSpins) {
  const std::string reply =
      R"({"code":"0","data":{"id":7,"out_data":[[1,-1,1], [ -1 , 1.0,-1 ],[1,1,1e0]],"x":[1]}})";
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, reply.size()}) {
    const Read got = read(reply, piece);
    EXPECT_OK(got.failure);
    EXPECT_EQ(got.text, R"({"code":"0","data":{"id":7,"out_data":[],"x":[1]}})");
    EXPECT_EQ(got.samples.count, 3U);
    ASSERT_EQ(got.samples.good, 3U);
    EXPECT_OK(got.samples.damage);
    // The last spin is the ancilla: the second sample is flipped.
    EXPECT_EQ(got.samples.sample(0)[0], 0b101);
    EXPECT_EQ(got.samples.sample(1)[0], 0b101);
    EXPECT_EQ(got.samples.sample(2)[0], 0b111);
  }
}

TEST(VendorReply, DamagedSamplesArePassedOver) {
  const auto damaged = [](const std::string& sample, const std::string& why) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}}) {
      const Read got = read(R"({"data":{"out_data":[[1,1,1],)" + sample + R"(,[1,-1,1]]}})", piece);
      EXPECT_OK(got.failure);
      EXPECT_EQ(got.text, R"({"data":{"out_data":[]}})") << sample;
      EXPECT_EQ(got.samples.count, 3U) << sample;
      ASSERT_EQ(got.samples.good, 2U) << sample;
      EXPECT_EQ(got.samples.sample(1)[0], 0b101) << sample;
      ASSERT_FALSE(got.samples.damage.ok()) << sample;
      EXPECT_NE(got.samples.damage.error().message.find(why), std::string::npos)
          << got.samples.damage.error().message;
    }
  };
  damaged("[1,7,1]", "holds '7', expected 1 or -1");
  damaged("[1,1]", "of 2 spins, expected 3");
  damaged("[1,1,1,1,1]", "of more spins, expected 3");
  damaged("[]", "of 0 spins");
  damaged("[1,1,]", "holds ''");
  damaged("[1,,1]", "holds ''");
  damaged("[1,1 1,1]", "holds '1 1'");
  damaged("[1,- 1,1]", "holds '- 1'");
  damaged("[1,1\n.0,1]", "holds '1 .0'");
  for (const std::string number : {"01", "-01", "1.", "+1", ".1e1", "1.0e", "1.e0", "1e+", "0x1"})
    damaged("[1," + number + ",1]", "holds '" + number + "'");
  damaged("[1,[1],1]", "no list of numbers");
  damaged(R"([1,"],[",1])", "holds a text");
  damaged(R"([1,{"a":[1,2]},1])", "no list of numbers");
  damaged("null", "no list of numbers");
  damaged("5", "no list of numbers");
  damaged(R"({"a":1})", "no list of numbers");
  damaged(R"("[1,1,1]")", "holds a text");
  damaged("[1,0." + std::string(100, '1') + ",1]", "holds '0.1");
  // What follows the first 32 characters counts, too.
  damaged("[1,1." + std::string(30, '0') + "9e1,1]", "holds '1.0");
  damaged("[1,-1." + std::string(29, '0') + "e1,1]", "holds '-1.0");
}

TEST(VendorReply, NumbersOfUpTo32CharactersAreRead) {
  for (const std::string row : {"[1,-1,1]", "[1.0,-1.00,1e0]", "[10e-1,-0.1E+1,1]"}) {
    const Read got = read(R"({"data":{"out_data":[)" + row + "]}}", 1);
    ASSERT_EQ(got.samples.good, 1U) << row;
    EXPECT_EQ(got.samples.sample(0)[0], 0b101) << row;
  }
  const std::string longest = "-1." + std::string(29, '0');
  ASSERT_EQ(longest.size(), 32U);
  const Read got = read(R"({"data":{"out_data":[[1,)" + longest + ",1]]}}", 5);
  ASSERT_EQ(got.samples.good, 1U);
  EXPECT_EQ(got.samples.sample(0)[0], 0b101);
}

TEST(VendorReply, WhatIsNoJsonIsGivenUp) {
  const auto gives_up = [](const std::string& samples, const std::string& why) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}}) {
      const Read got = read(R"({"data":{"out_data":)" + samples + "}}", piece);
      EXPECT_ERROR(device_protocol, got.failure);
      if (got.failure.ok()) continue;
      EXPECT_EQ(got.failure.error().message, "samples that are no JSON: " + why) << samples;
    }
  };
  gives_up("[[1,-1,1}]", "a list ends with }");
  gives_up("[[1,-1,1]}", "a list ends with }");
  gives_up(R"([{"a":1],[1,1,1]])", "an object ends with ]");
  gives_up("[[1,[1},1]]", "a list ends with }");
  gives_up("[[1,1,1][1,1,1]]", "no comma between two");
  gives_up("[[1,1,1]5]", "no comma between two");
  gives_up("[5[1,1,1]]", "no comma between two");
  gives_up(R"(["a"[1,1,1]])", "no comma between two");
  gives_up(R"([[1,1,1]"a"])", "no comma between two");
  gives_up("[[1,1,1]{}]", "no comma between two");
  gives_up("[[1,1,1],]", "none behind a comma");
  gives_up("[,[1,1,1]]", "none before a comma");
  gives_up("[[1,1,1],,[1,1,1]]", "none before a comma");
  gives_up("[[1,1,1],null,,[1,1,1]]", "none before a comma");
  const Read none = read(R"({"data":{"out_data":[ ]}})", 1);
  EXPECT_OK(none.failure);
  EXPECT_EQ(none.samples.count, 0U);
}

TEST(VendorReply, OnlyOutDataOfDataIsTakenForSamples) {
  for (const std::string reply :
       {R"({"out_data":[[1,1,1]],"data":{}})", R"({"data":{"x":{"out_data":[[1,1,1]]}}})",
        R"({"data":[["out_data",[1,1,1]]]})", R"({"x":{"out_data":1},"data":[[[1,1,1]]]})",
        R"({"x":{"out_data":1},"data":[[1,1,1]]})",
        R"({"a":"\"data\":{\"out_data\":[","data":{}})"}) {
    const Read got = read(reply, 1);
    EXPECT_OK(got.failure);
    EXPECT_EQ(got.text, reply);
    EXPECT_EQ(got.samples.count, 0U);
  }
}

TEST(VendorReply, LimitsHold) {
  const auto failure = [](const std::string& reply, std::size_t width) {
    const Read got = read(reply, 16384, width);
    EXPECT_ERROR(device_protocol, got.failure);
    EXPECT_LE(got.text.size(), kMaxControlReplyBytes);
    return got.failure.ok() ? std::string() : got.failure.error().message;
  };
  const std::string deep(17, '[');
  EXPECT_OK(read(deep.substr(1), 1).failure);
  EXPECT_NE(failure(deep, 0).find("deeper than 16"), std::string::npos);
  EXPECT_NE(failure(R"({"data":{"out_data":[)" + deep, 3).find("deeper than 16"),
            std::string::npos);
  const std::string long_text = "{\"a\":\"" + std::string(kMaxControlReplyBytes, 'x');
  EXPECT_NE(failure(long_text, 0).find("more than 1048576 bytes"), std::string::npos);
  EXPECT_NE(failure(long_text, 3).find("besides its samples"), std::string::npos);
  for (const char* sample : {"[1,-1,1],", "5,", "[],"}) {
    std::string many = R"({"data":{"out_data":[)";
    for (std::size_t i = 0; i <= kMaxSamples; ++i) many += sample;
    EXPECT_NE(failure(many, 3).find("more than 65536 samples"), std::string::npos);
  }
  const std::string wide = R"({"data":{"out_data":[[1)" + std::string(kMaxSamplesBytes, ' ');
  EXPECT_NE(failure(wide, 3).find("more than 67108864 bytes"), std::string::npos);
}

}  // namespace
}  // namespace qama::hal::cim
