// The link over TLS 1.3, with certificates of both ends and with a pre-shared key, and what is
// refused. The certificates are made by the openssl program when the test runs.
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

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
  /// A certificate for a span of time that is not now.
  bool dated(const std::string& name, const std::string& by, const std::string& from,
             const std::string& to) {
    if (!certificate(name, by)) return false;
    std::ofstream(dir_.file("index")).flush();
    std::ofstream(dir_.file("ca.cnf"))
        << "[ca]\ndefault_ca=d\n[d]\ndatabase=" << dir_.file("index") << "\nrand_serial=yes\n"
        << "new_certs_dir=" << dir_.path().string() << "\ndefault_md=sha256\npolicy=p\n"
        << "unique_subject=no\n[p]\ncommonName=supplied\n";
    return run("openssl ca -batch -notext -config " + dir_.file("ca.cnf") + " -in " +
               dir_.file(name + ".csr") + " -out " + dir_.file(name + ".pem") + " -cert " +
               dir_.file(by + ".pem") + " -keyfile " + dir_.file(by + ".key") + " -startdate " +
               from + " -enddate " + to + " -extfile " + dir_.file(name + ".ext"));
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

// Expired, not valid yet, of another name, of another authority, not a server's: each is told from
// the others, whose certificate it is as well.
TEST_F(TlsTest, ARefusedCertificateIsRefusedByItsReason) {
  if (!run("openssl version")) GTEST_SKIP() << "SKIPPED: no openssl program";
  ASSERT_TRUE(authority("ca") && authority("other") && certificate("good", "ca"));
  ASSERT_TRUE(certificate("elsewhere", "ca", "127.0.0.2") && certificate("stranger", "other"));
  ASSERT_TRUE(dated("old", "ca", "20200101000000Z", "20210101000000Z"));
  ASSERT_TRUE(dated("new", "ca", "20900101000000Z", "20910101000000Z"));
  const auto reason = [&](const std::string& server, const std::string& client_name) {
    EmulatorProcess emulator({"--tls-cert", dir_.file(server + ".pem"), "--tls-key",
                              dir_.file(server + ".key"), "--tls-ca", dir_.file("ca.pem")});
    const auto opened = open_device(emulator.uri(client(client_name, "ca"), "cims://"));
    EXPECT_ERROR(device_auth, opened);
    return opened.ok() ? std::string() : opened.error().message;
  };
  const auto expect = [&](const std::string& got, const std::string& words) {
    EXPECT_NE(got.find(words), std::string::npos) << got;
  };
  expect(reason("old", "good"), "the machine's certificate has expired");
  expect(reason("new", "good"), "the machine's certificate is not valid yet");
  expect(reason("elsewhere", "good"), "the machine's certificate is for another name than");
  expect(reason("stranger", "good"), "the machine's certificate is of an authority that");
  expect(reason("good", "old"), "this end's certificate has expired");
  expect(reason("good", "new"), "perhaps is not valid yet");
  expect(reason("good", "stranger"), "of an authority that the machine does not know");
}

TEST_F(TlsTest, KeysAreTheOwnersAloneAndOfTheirCertificate) {
  if (!run("openssl version")) GTEST_SKIP() << "SKIPPED: no openssl program";
  ASSERT_TRUE(authority("ca") && certificate("one", "ca") && certificate("two", "ca"));
  EmulatorProcess emulator({"--tls-cert", dir_.file("one.pem"), "--tls-key", dir_.file("one.key"),
                            "--tls-ca", dir_.file("ca.pem")});
  const auto open = [&](const std::string& key, const std::string& more = "") {
    return open_device(emulator.uri("?cert=" + dir_.file("one.pem") + "&key=" + dir_.file(key) +
                                        "&ca=" + dir_.file("ca.pem") + more,
                                    "cims://"));
  };
  EXPECT_OK(open("one.key"));
  const auto mixed = open("two.key");
  EXPECT_ERROR(device_auth, mixed);
  if (!mixed.ok()) {
    EXPECT_NE(mixed.error().message.find("is not the one of certificate"), std::string::npos)
        << mixed.error().message;
  }
  for (const int mode : {0644, 0640, 0602}) {
    ASSERT_EQ(::chmod(dir_.file("one.key").c_str(), static_cast<mode_t>(mode)), 0);
    EXPECT_ERROR(device_auth, open("one.key"));
    EXPECT_OK(open("one.key", "&insecure_permissions=1"));
  }
  EXPECT_ERROR(device_unknown, open("one.key", "&insecure_permissions=2"));
  EXPECT_ERROR(io_error, open("one.pem", "&insecure_permissions=1"));  // not a key
  // The emulator, too: key, pre-shared key, password, and the option that insists.
  const auto start = [&](const std::string& arguments) {
    return WEXITSTATUS(std::system((std::string("timeout 60 ") + QAMA_EMULATOR + " " + arguments +
                                    " >/dev/null 2>" + dir_.file("err"))
                                       .c_str()));
  };
  const std::string tls = "--tls-cert " + dir_.file("one.pem") + " --tls-ca " +
                          dir_.file("ca.pem") + " --tls-key " + dir_.file("one.key");
  EXPECT_EQ(start(tls), 1);
  EXPECT_TRUE(EmulatorProcess({"--tls-cert", dir_.file("one.pem"), "--tls-ca", dir_.file("ca.pem"),
                               "--tls-key", dir_.file("one.key"), "--insecure-permissions"})
                  .alive());
  write_text("psk", "edge-1:00112233445566778899aabbccddeeff\n");
  ASSERT_EQ(::chmod(dir_.file("psk").c_str(), 0644), 0);
  EXPECT_EQ(start("--tls-psk " + dir_.file("psk")), 1);
  EXPECT_EQ(start("--http --http-password-file " + dir_.file("psk")), 1);
  EXPECT_ERROR(device_auth, open_device("cims://127.0.0.1:1?psk=" + dir_.file("psk")));
  // A command line is no place for a password.
  EXPECT_EQ(start("--http --http-password letmein"), 2);
  // No password at all is no password.
  const auto says = [&] {
    std::ostringstream out;
    out << std::ifstream(dir_.file("err")).rdbuf();
    return out.str();
  };
  for (const char* text : {"\nletmein\n", "\r\n"}) {
    write_text("password", text);
    EXPECT_EQ(start("--http --http-password-file " + dir_.file("password")), 1);
    EXPECT_EQ(says(), "cpqc-emulator: error: INVALID_ARGUMENT: password file '" +
                          dir_.file("password") +
                          "': its first line is empty, expected the password\n");
  }
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

// An empty value is a variable that is not set: it meant the default password, or no TLS.
TEST(Emulator, AnEmptyValueIsWrongUsage) {
  for (const char* option :
       {"--address", "--port", "--http-port", "--http-user", "--http-password-file",
        "--http-tls-cert", "--http-tls-key", "--http-token-requests", "--http-machine-status",
        "--preset", "--config", "--seed", "--fault-percent", "--faults", "--tls-cert", "--tls-key",
        "--tls-ca", "--tls-psk"}) {
    const int status =
        std::system((std::string("timeout 10 ") + QAMA_EMULATOR + " --http " + option +
                     " '' 2>&1 >/dev/null | grep -qF -e \"" + option + ": its value is empty\"")
                        .c_str());
    EXPECT_EQ(WEXITSTATUS(status), 0) << option;
  }
}

// 010 was 8, 08 no number, and -1 the largest seed.
TEST(Emulator, NumbersAreDecimal) {
  const auto status = [](const std::string& words) {
    return WEXITSTATUS(std::system(("timeout 10 " QAMA_EMULATOR " " + words +
                                    " --fault-percent 1 --faults none >/dev/null 2>&1")
                                       .c_str()));
  };
  EXPECT_EQ(status("--seed 08"), 1);  // it is read: the next mistake is what ends the program
  for (const char* words : {"--port 0x10", "--port 1e3", "--port 65536", "--port +1", "--seed -1",
                            "--seed 0b1", "--http --http-port 0x0", "--seed 18446744073709551616"})
    EXPECT_EQ(status(words), 2) << words;
}

TEST(Emulator, WhatHasNoEffectIsRefused) {
  for (const char* words :
       {"--http-port 0", "--http-user a", "--http-password-file none", "--http-tls-cert none",
        "--http-fail-tasks", "--http --http-machine-status 5", "--http --http-token-requests -1",
        "--faults drop", "--faults nothing --fault-percent 0"}) {
    const int status = std::system(
        (std::string("timeout 10 ") + QAMA_EMULATOR + " " + words + " >/dev/null 2>&1").c_str());
    EXPECT_TRUE(WEXITSTATUS(status) == 1 || WEXITSTATUS(status) == 2) << words;
  }
}

TEST_F(TlsTest, BytesBehindAZeroByteAreNotPassedOver) {
  const std::string good = "edge-1:00112233445566778899aabbccddeeff";
  const std::string zero(1, '\0');
  for (const std::string& text : {good + zero + "\n", good + zero + "0011\n", good + zero + "junk",
                                  "edge" + zero + "-1:00112233445566778899aabbccddeeff\n"}) {
    write_text("zero.psk", text);
    EXPECT_ERROR(invalid_argument, open_device("cims://127.0.0.1:1?psk=" + dir_.file("zero.psk")));
    const std::string command = std::string("timeout 0.5 ") + QAMA_EMULATOR + " --tls-psk " +
                                dir_.file("zero.psk") + " >/dev/null 2>" + dir_.file("err");
    EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 1);
    std::ostringstream said;
    said << std::ifstream(dir_.file("err")).rdbuf();
    EXPECT_NE(said.str().find("16 to 48 bytes in hexadecimal"), std::string::npos) << said.str();
  }
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
