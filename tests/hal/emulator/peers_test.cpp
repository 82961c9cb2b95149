// Every peer may lie: while one does, a good client is served within a second and the emulator's
// memory stays small. bench/cim/lying_peers is the longer version.
#include <chrono>
#include <fstream>

#include "hal/device.h"
#include "tests/hal/cim/emulator_process.h"
#include "tests/hal/cim/problems.h"
#include "tests/hal/emulator/attacks.h"
#include "tests/patience.h"
#include "tests/patient_watch.h"

namespace qama::test {
namespace {

constexpr std::size_t kFlood = 1500;

class LyingPeers : public ::testing::TestWithParam<std::size_t> {};

std::vector<NamedAttack>& attacks() {
  static std::vector<NamedAttack> list = all_attacks(kFlood);
  return list;
}

/// From the address to the first answer.
Status solve_once(const std::string& uri) {
  QAMA_ASSIGN_OR_RETURN(auto device, hal::open_device(uri));
  QAMA_ASSIGN_OR_RETURN(auto solver, device->compile({4, 20}));
  const auto layer = random_layer(4, 20, 1);
  std::vector<std::uint64_t> spins(4);
  hal::SolveResult result;
  return solver->solve(layer.problem(), {}, spins, result);
}

TEST_P(LyingPeers, AGoodClientIsServedMeanwhile) {
  const NamedAttack& attack = attacks()[GetParam()];
  SCOPED_TRACE(attack.name);
  TempDir dir;
  write_secret(dir.file("psk"), "edge-1:00112233445566778899aabbccddeeff\n");
  write_secret(dir.file("password"), "letmein\n");
  std::vector<std::string> arguments;
  if (attack.tls) arguments = {"--tls-psk", dir.file("psk")};
  if (attack.http) {
    arguments = {"--http", "--http-user", "alice", "--http-password-file", dir.file("password")};
  }
  EmulatorProcess emulator(arguments);
  std::string uri = emulator.uri();
  if (attack.tls) uri = emulator.uri("?psk=" + dir.file("psk"), "cims://");
  if (attack.http) {
    uri = "qboson+http://127.0.0.1:" + std::to_string(emulator.http_port()) +
          "?user=alice&password_file=" + dir.file("password");
  }
  ASSERT_OK(solve_once(uri));
  {
    const Attacker attacker({emulator.port(), emulator.http_port()}, attack.run);
    ASSERT_TRUE(attacker.ready());
    for (int i = 0; i < 4; ++i) {
      const PatientWatch watch({emulator.pid()});
      Status solved = solve_once(uri);
      // Until it has said a word, a client may be the one that gives way: on a loaded machine many
      // others connect meanwhile. It tries again, as hal/reopen.h does, within the same second.
      while (!solved.ok() && watch.seconds() < 1.0 * kPatience) solved = solve_once(uri);
      EXPECT_OK(solved);
      EXPECT_LT(watch.seconds(), 1.0 * kPatience);
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
  EXPECT_OK(solve_once(uri));
  if (kPatience == 1) {
    EXPECT_LT(peak_megabytes(emulator.pid()), 64);
  }
  emulator.end();
}

INSTANTIATE_TEST_SUITE_P(Attacks, LyingPeers,
                         ::testing::Range(std::size_t{0}, all_attacks(0).size()),
                         [](const auto& test) {
                           std::string name;
                           for (const char c : std::string(attacks()[test.param].name))
                             name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

// Memory that is not to be had costs connections, never the emulator.
TEST(EmulatorWithoutMemory, LosesAConnectionAndGoesOn) {
  if (kPatience != 1) GTEST_SKIP() << "SKIPPED: a sanitizer has a malloc of its own";
  for (const char* every : {"7", "23", "61"}) {
    SCOPED_TRACE(every);
    TempDir dir;
    ::setenv("LD_PRELOAD", QAMA_FAILING_MALLOC, 1);
    ::setenv("QAMA_FAIL_WHEN", dir.file("now").c_str(), 1);
    ::setenv("QAMA_FAIL_TRACE", dir.file("refused").c_str(), 1);
    ::setenv("QAMA_FAIL_EVERY", every, 1);
    EmulatorProcess emulator;
    ::unsetenv("LD_PRELOAD");
    const std::string uri = emulator.uri("?timeout_ms=300");
    ASSERT_OK(solve_once(uri));
    std::ofstream(dir.file("now")) << "x";
    for (int i = 0; i < 20; ++i) (void)solve_once(uri).ok();
    EXPECT_TRUE(emulator.alive());
    EXPECT_TRUE(std::filesystem::exists(dir.file("refused"))) << "no request was refused";
    std::filesystem::remove(dir.file("now"));
    EXPECT_OK(solve_once(uri));
    emulator.end();
  }
}

}  // namespace
}  // namespace qama::test
