// Devices that are opened, compiled for and asked, in which every allocation may fail
// (tests/out_of_memory.h). The emulator is a process of its own and has the memory that it
// wants. OpenSSL and libcurl do not always say that it was memory.
#include <gtest/gtest.h>

#include "hal/device.h"
#include "tests/hal/cim/emulator_process.h"
#include "tests/hal/cim/problems.h"
#include "tests/out_of_memory.h"

namespace qama::hal::cim {
namespace {

using test::EmulatorProcess;

/// From the address to an answer.
Status solve_at(const std::string& uri, const DenseView& layer, std::vector<float>& out) {
  QAMA_ASSIGN_OR_RETURN(const auto device, open_device(uri));
  QAMA_ASSIGN_OR_RETURN(const auto solver, device->compile(layer.shape));
  std::vector<std::uint64_t> spins(static_cast<std::size_t>(layer.shape.heads));
  SolveResult result;
  QAMA_RETURN_IF_ERROR(solver->solve(layer, {}, spins, result));
  out[0] = result.energy == energy_of(layer, spins) ? 1.0F : 0.0F;
  return {};
}

class DeviceOutOfMemory : public ::testing::Test {
 protected:
  void walk(const char* name, const std::string& uri, bool foreign) {
    const auto layer = test::random_layer(2, 10, 1);
    test::every_request_of_parts_may_fail(
        name, 1, [&](auto& out) { return solve_at(uri, layer.problem(), out); }, 23, foreign);
  }
  test::TempDir dir_;
};

TEST_F(DeviceOutOfMemory, Link) {
  EmulatorProcess emulator;
  walk("cim://", emulator.uri(), false);
}

TEST_F(DeviceOutOfMemory, LinkWithTls) {
  test::write_secret(dir_.file("psk"), "edge-1:00112233445566778899aabbccddeeff\n");
  EmulatorProcess emulator({"--tls-psk", dir_.file("psk")});
  walk("cims://", emulator.uri("?psk=" + dir_.file("psk"), "cims://"), true);
}

TEST_F(DeviceOutOfMemory, VendorsTerminal) {
  test::write_secret(dir_.file("password"), "letmein\n");
  EmulatorProcess emulator({"--http", "--http-password-file", dir_.file("password")});
  walk("qboson+http://",
       "qboson+http://127.0.0.1:" + std::to_string(emulator.http_port()) +
           "?user=user&password_file=" + dir_.file("password"),
       true);
}

}  // namespace
}  // namespace qama::hal::cim
