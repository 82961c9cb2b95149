// The link over TLS 1.3, with certificates of both ends and with a pre-shared key, and what is
// refused. The certificates are made by the openssl program when the test runs.
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

#include "hal/device.h"
#include "tests/hal/cim/emulator_process.h"
#include "tests/hal/cim/problems.h"

namespace qama::hal {
namespace {

using test::EmulatorProcess;

class TlsTest : public ::testing::Test {
 protected:
  bool run(const std::string& command) {
    return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
  }
  bool authority(const std::string& name) {
    return run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=" +
        name + " -keyout " + dir_.file(name + ".key") + " -out " + dir_.file(name + ".pem"));
  }
  bool certificate(const std::string& name, const std::string& by,
                   const std::string& address = "127.0.0.1") {
    write_text(name + ".ext", "subjectAltName=IP:" + address + "\n");
    return run("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=" + name +
               " -keyout " + dir_.file(name + ".key") + " -out " + dir_.file(name + ".csr")) &&
           run("openssl x509 -req -days 2 -in " + dir_.file(name + ".csr") + " -CA " +
               dir_.file(by + ".pem") + " -CAkey " + dir_.file(by + ".key") +
               " -CAcreateserial -extfile " + dir_.file(name + ".ext") + " -out " +
               dir_.file(name + ".pem"));
  }
  void write_text(const std::string& name, const std::string& text) {
    test::write_secret(dir_.file(name), text);
  }
  std::string client(const std::string& name, const std::string& ca) {
    return "?cert=" + dir_.file(name + ".pem") + "&key=" + dir_.file(name + ".key") +
           "&ca=" + dir_.file(ca + ".pem");
  }
  void expect_solves(const std::string& uri) {
    auto device = open_device(uri);
    ASSERT_OK(device);
    auto solver = device.value()->compile({8, 49});
    ASSERT_OK(solver);
    const auto layer = test::random_layer(8, 49, 1);
    std::vector<std::uint64_t> spins(8);
    SolveResult result;
    for (int i = 0; i < 3; ++i) {
      ASSERT_OK(solver.value()->solve(layer.problem(), {}, spins, result));
      EXPECT_EQ(result.energy, energy_of(layer.problem(), spins));
    }
  }

  test::TempDir dir_;
};

TEST_F(TlsTest, CertificatesOfBothEnds) {
  if (!run("openssl version")) GTEST_SKIP() << "SKIPPED: no openssl program";
  ASSERT_TRUE(authority("ca") && authority("other"));
  ASSERT_TRUE(certificate("server", "ca") && certificate("client", "ca") &&
              certificate("stranger", "other"));
  EmulatorProcess emulator({"--tls-cert", dir_.file("server.pem"), "--tls-key",
                            dir_.file("server.key"), "--tls-ca", dir_.file("ca.pem")});
  expect_solves(emulator.uri(client("client", "ca"), "cims://"));
  // A client of another authority, a server that is not of the client's authority, no TLS at all.
  EXPECT_ERROR(device_auth, open_device(emulator.uri(client("stranger", "ca"), "cims://")));
  EXPECT_ERROR(device_auth, open_device(emulator.uri(client("client", "other"), "cims://")));
  EXPECT_FALSE(open_device(emulator.uri()).ok());
  EXPECT_ERROR(io_error, open_device(emulator.uri(client("nobody", "ca"), "cims://")));
  expect_solves(emulator.uri(client("client", "ca"), "cims://"));
}

TEST_F(TlsTest, ARefusedCertificateIsRefusedByItsReason) {
  if (!run("openssl version")) GTEST_SKIP() << "SKIPPED: no openssl program";
  ASSERT_TRUE(authority("ca") && authority("other") && certificate("client", "ca") &&
              certificate("elsewhere", "ca", "127.0.0.2"));
  EmulatorProcess emulator({"--tls-cert", dir_.file("elsewhere.pem"), "--tls-key",
                            dir_.file("elsewhere.key"), "--tls-ca", dir_.file("ca.pem")});
  const auto reason = [&](const std::string& ca) {
    const auto opened = open_device(emulator.uri(client("client", ca), "cims://"));
    EXPECT_ERROR(device_auth, opened);
    return opened.ok() ? std::string() : opened.error().message;
  };
  EXPECT_NE(reason("ca").find("IP address mismatch"), std::string::npos) << reason("ca");
  // OpenSSL names the foreign authority by one reason or the other.
  const std::string foreign = reason("other");
  EXPECT_TRUE(foreign.find("issuer") != std::string::npos ||
              foreign.find("self-signed certificate") != std::string::npos)
      << foreign;
}

TEST_F(TlsTest, PreSharedKey) {
  write_text("good.psk", "edge-1:00112233445566778899aabbccddeeff\n");
  write_text("wrong.psk", "edge-1:ffeeddccbbaa99887766554433221100\n");
  write_text("unknown.psk", "edge-2:00112233445566778899aabbccddeeff\n");
  write_text("short.psk", "edge-1:0011\n");
  EmulatorProcess emulator({"--tls-psk", dir_.file("good.psk")});
  expect_solves(emulator.uri("?psk=" + dir_.file("good.psk"), "cims://"));
  for (const char* name : {"wrong.psk", "unknown.psk"}) {
    const auto opened = open_device(emulator.uri("?psk=" + dir_.file(name), "cims://"));
    EXPECT_ERROR(device_auth, opened);
    if (!opened.ok()) {
      EXPECT_EQ(opened.error().message.find("ffeeddcc"), std::string::npos);
    }
  }
  EXPECT_ERROR(invalid_argument,
               open_device(emulator.uri("?psk=" + dir_.file("short.psk"), "cims://")));
  EXPECT_FALSE(open_device(emulator.uri()).ok());
  expect_solves(emulator.uri("?psk=" + dir_.file("good.psk"), "cims://"));
}

TEST_F(TlsTest, TheEmulatorRefusesPlainTcpOffLoopback) {
  const std::string command =
      std::string(QAMA_EMULATOR) + " --address 0.0.0.0 2>" + dir_.file("err") + " >/dev/null";
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 1);
  std::ifstream stream(dir_.file("err"));
  std::string line;
  std::getline(stream, line);
  EXPECT_NE(line.find("DEVICE_AUTH"), std::string::npos) << line;
}

}  // namespace
}  // namespace qama::hal
