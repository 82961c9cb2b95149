// The configuration of the emulated machine: presets and their files say the same, and the name
// that reports show says whose times these are.
#include "hal/emulator/machine_config.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/test_support.h"

namespace qama::emulator {
namespace {

std::string config_file(const std::string& name) {
  return test::source_path("hal/emulator/configs/" + name).string();
}

double read_us(const MachineConfig& config) {
  return config.round_trip_ns * config.dynamics.round_trips / 1000;
}

void expect_equal(const MachineConfig& a, const MachineConfig& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.preset, b.preset);
  EXPECT_EQ(a.max_spins, b.max_spins);
  EXPECT_EQ(a.max_reads, b.max_reads);
  EXPECT_EQ(a.round_trip_ns, b.round_trip_ns);
  EXPECT_EQ(a.program_ns_per_byte, b.program_ns_per_byte);
  EXPECT_EQ(a.program_ns_fixed, b.program_ns_fixed);
  EXPECT_EQ(a.readout_ns, b.readout_ns);
  EXPECT_EQ(a.dynamics.round_trips, b.dynamics.round_trips);
  EXPECT_EQ(a.dynamics.kind, b.dynamics.kind);
  EXPECT_EQ(a.dynamics.dt, b.dynamics.dt);
  EXPECT_EQ(a.dynamics.pump_start, b.dynamics.pump_start);
  EXPECT_EQ(a.dynamics.pump_end, b.dynamics.pump_end);
  EXPECT_EQ(a.dynamics.coupling, b.dynamics.coupling);
  EXPECT_EQ(a.dynamics.amplitude, b.dynamics.amplitude);
  EXPECT_EQ(a.dynamics.rate, b.dynamics.rate);
  EXPECT_EQ(a.dynamics.noise, b.dynamics.noise);
  EXPECT_EQ(a.dynamics.homodyne_noise, b.dynamics.homodyne_noise);
  EXPECT_EQ(a.dynamics.adc_bits, b.dynamics.adc_bits);
  EXPECT_EQ(a.dynamics.adc_range, b.dynamics.adc_range);
}

TEST(MachineConfig, PresetsAreTheirFiles) {
  const auto assumed = MachineConfig::of_preset("assumed");
  ASSERT_OK(assumed);
  EXPECT_NEAR(read_us(assumed.value()), 162, 1e-9);
  const auto assumed_file = MachineConfig::load(config_file("cpqc-550.json"));
  ASSERT_OK(assumed_file);
  expect_equal(assumed.value(), assumed_file.value());
  const auto published = MachineConfig::of_preset("published");
  ASSERT_OK(published);
  EXPECT_NEAR(read_us(published.value()), 15, 1e-9);
  const auto published_file = MachineConfig::load(config_file("cpqc-550-published.json"));
  ASSERT_OK(published_file);
  expect_equal(published.value(), published_file.value());
}

TEST(MachineConfig, TheNameEndsWithThePreset) {
  EXPECT_EQ(MachineConfig().name, "emulated CPQC-550, preset assumed");
  EXPECT_EQ(MachineConfig::of_preset("published")->name, "emulated CPQC-550, preset published");
  // A file that changes a time and names no preset is nobody's.
  EXPECT_EQ(MachineConfig::parse(R"({"round_trip_ns": 1})")->name, "emulated CPQC-550, preset own");
  EXPECT_EQ(MachineConfig::parse(R"({"name": "x", "preset": "y"})")->name, "x, preset y");
}

TEST(MachineConfig, APresetsNameStandsForItsTimes) {
  const auto says = [](const std::string& text) {
    const auto config = MachineConfig::parse(text);
    EXPECT_ERROR(invalid_argument, config);
    return config.ok() ? std::string() : config.error().message;
  };
  EXPECT_EQ(
      says(R"({"preset": "published", "round_trip_ns": 9999})"),
      "machine configuration: 'round_trip_ns' is 9999.0, preset 'published' has 75.0: name no "
      "preset for times of your own");
  for (const char* time :
       {"round_trips", "readout_ns", "program_ns_per_byte", "program_ns_fixed"}) {
    EXPECT_NE(says(R"({"preset": "assumed", ")" + std::string(time) + R"(": 1})")
                  .find("'" + std::string(time) + "' is 1"),
              std::string::npos);
  }
  // Left out, a time is the assumed one.
  EXPECT_NE(says(R"({"preset": "published"})").find("is 810.0"), std::string::npos);
  EXPECT_EQ(MachineConfig::parse(R"({"preset": "assumed"})")->name, MachineConfig().name);
  // What is no time may differ.
  const auto published = MachineConfig::parse(
      R"({"preset": "published", "round_trip_ns": 75, "max_spins": 100, "queue_limit": 8})");
  ASSERT_OK(published);
  EXPECT_EQ(published->name, "emulated CPQC-550, preset published");
}

TEST(MachineConfig, ANameThatHelloAckCannotCarryIsRefused) {
  const std::string just = R"({"name": ")" + std::string(51, 'n') + R"("})";
  EXPECT_EQ(MachineConfig::parse(just)->name.size(), 63U);
  const auto long_name = MachineConfig::parse(R"({"name": ")" + std::string(52, 'n') + R"("})");
  ASSERT_FALSE(long_name.ok());
  EXPECT_NE(long_name.error().message.find("has 64 bytes, expected at most 63"), std::string::npos)
      << long_name.error().message;
}

// 550.9 spins were 550, and a file of endless zeros was read to its end.
TEST(MachineConfig, WhatIsCountedIsWhole) {
  for (const std::string key :
       {"max_spins", "max_reads", "round_trips", "adc_bits", "queue_limit", "credit_jobs",
        "max_sessions", "max_connections", "heartbeat_ms", "lease_ms", "hello_ms"}) {
    const auto config = MachineConfig::parse("{\"" + key + "\": 10.5}");
    EXPECT_EQ(test::describe(config), "INVALID_ARGUMENT: machine configuration: '" + key +
                                          "' is 10.5, expected a whole number");
  }
  EXPECT_OK(MachineConfig::parse(R"({"max_spins": 1e2, "max_reads": 10.0})"));
  EXPECT_EQ(MachineConfig::parse(R"({"readout_ns": 0.5})")->readout_ns, 0.5);
  // Fewer, and no client has its two.
  EXPECT_ERROR(invalid_argument, MachineConfig::parse(R"({"max_connections": 3})"));
  EXPECT_OK(MachineConfig::parse(R"({"max_connections": 4})"));
  EXPECT_ERROR(io_error, MachineConfig::load("/dev/zero"));
  EXPECT_ERROR(not_found, MachineConfig::load("/nowhere/config.json"));
}

TEST(MachineConfig, UnknownPresetsAreRefused) {
  const auto wrong = MachineConfig::of_preset("fast");
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().message,
            "machine configuration: preset 'fast', expected 'assumed' or 'published'");
  EXPECT_FALSE(MachineConfig::parse(R"({"preset": 7})").ok());
}

}  // namespace
}  // namespace qama::emulator
