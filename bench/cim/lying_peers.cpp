// What lying peers cost a good client and the emulator: one attack after the other, each from a
// process of its own, while a good client opens the device, solves a layer and leaves, again and
// again.
//
//   lying_peers [SECONDS [CONNECTIONS]]     of an attack, 3; of a flood, 10000
//
// A line an attack: how often the good client was served, its slowest time from the address to the
// answer, and the emulator's peak of memory. Exit status 1 if a client was not served, a limit
// (1 s, 64 MB) is passed, or an attack did not begin.
#include <chrono>
#include <cstdlib>
#include <thread>

#include "bench/cim/emulator.h"
#include "hal/device.h"
#include "hal/lower/problem_builder.h"
#include "tests/hal/emulator/attacks.h"

namespace {

using namespace qama;
using bench::must;
using Clock = std::chrono::steady_clock;

/// From the address to the answer, in ms; below 0 if there is none.
double serve(const std::string& uri) {
  const auto start = Clock::now();
  const hal::ProblemShape shape{2, 4};
  auto device = hal::open_device(uri);
  if (!device.ok()) return -1;
  auto solver = (*device)->compile(shape);
  if (!solver.ok()) return -1;
  static const hal::ProblemBuffer problem = [&] {
    auto out = must(hal::ProblemBuffer::create(shape));
    const std::vector<float> couplings(32, 1.0F), fields(8, 0.5F);
    must(out.build(shape, couplings.data(), shape.tokens, fields.data(), shape.tokens, 0.5F));
    return out;
  }();
  std::vector<std::uint64_t> spins(2);
  hal::SolveResult result;
  if (!(*solver)->solve(problem.problem(), {}, spins, result).ok()) return -1;
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// A file that its owner alone may read.
std::string secret_file(const std::string& text) {
  std::string name = "/tmp/lying-peers-XXXXXX";
  const int fd = ::mkstemp(name.data());
  if (fd < 0 || ::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    bench::fail("no temporary file");
  ::close(fd);
  return name;
}

}  // namespace

int main(int argc, char** argv) {
  const char* usage = "lying_peers [SECONDS [CONNECTIONS]]";
  const int seconds = bench::number_at(argc, argv, 1, 3, usage);
  const auto flood = static_cast<std::size_t>(bench::number_at(argc, argv, 2, 10000, usage));
  const std::string psk = secret_file("edge-1:00112233445566778899aabbccddeeff\n");
  const std::string password = secret_file("letmein\n");
  bool all_good = true;
  std::printf("attack\tserved\tslowest, ms\tmemory, MB\n");
  for (const test::NamedAttack& attack : test::all_attacks(flood)) {
    std::string arguments;
    if (attack.tls) arguments = "--tls-psk " + psk;
    if (attack.http) arguments = "--http --http-user alice --http-password-file " + password;
    const bench::Emulator emulator("", arguments);
    std::string uri = emulator.uri("");
    if (attack.tls) uri = "cims" + uri.substr(3) + "?psk=" + psk;
    if (attack.http) {
      uri = "qboson+http://127.0.0.1:" + std::to_string(emulator.http_port()) +
            "?user=alice&password_file=" + password;
    }
    int served = 0, asked = 0;
    double slowest = 0;
    const test::Attacker attacker({emulator.port(), emulator.http_port()}, attack.run);
    if (!attacker.ready()) bench::fail(std::string(attack.name) + ": the attacker is not ready");
    const auto end = Clock::now() + std::chrono::seconds(seconds);
    while (Clock::now() < end) {
      const double took = serve(uri);
      ++asked;
      if (took < 0) continue;
      ++served;
      slowest = std::max(slowest, took);
    }
    const double memory = test::peak_megabytes(emulator.pid());
    all_good = all_good && served > 0 && served == asked && slowest < 1000 && memory < 64;
    std::printf("%s\t%d of %d\t%.0f\t%.1f\n", attack.name, served, asked, slowest, memory);
    std::fflush(stdout);
  }
  ::unlink(psk.c_str());
  ::unlink(password.c_str());
  return all_good ? 0 : 1;
}
