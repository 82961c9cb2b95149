#include "runtime/cli/interrupt.h"

#include <unistd.h>

#include <csignal>
#include <string_view>

namespace qama::cli {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM};

volatile std::sig_atomic_t noted_signal = 0;
std::atomic<bool> noted{false};
// RISC-V has no instruction that exchanges bytes, which this asks for; a store, as below, is one.
#ifndef __riscv
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");
#endif
struct sigaction former_actions[2];

extern "C" void note_signal(int number) {
  if (noted_signal != 0) {
    std::signal(number, SIG_DFL);
    std::raise(number);
    return;
  }
  noted_signal = number;
  noted = true;
  if (isatty(STDERR_FILENO) == 1) {
    constexpr std::string_view kText = "\nqama: stopping; Ctrl-C again ends the program at once\n";
    const ssize_t written = write(STDERR_FILENO, kText.data(), kText.size());
    static_cast<void>(written);
  }
}

}  // namespace

Interrupt::Interrupt() {
  noted_signal = 0;
  noted = false;
  for (int i = 0; i < 2; ++i) {
    struct sigaction action {};
    action.sa_handler = note_signal;
    action.sa_flags = SA_RESTART;
    sigaction(kSignals[i], nullptr, &former_actions[i]);
    if (former_actions[i].sa_handler != SIG_IGN) sigaction(kSignals[i], &action, nullptr);
  }
}

Interrupt::~Interrupt() {
  for (int i = 0; i < 2; ++i) sigaction(kSignals[i], &former_actions[i], nullptr);
}

const std::atomic<bool>* Interrupt::flag() noexcept {
  return &noted;
}

int Interrupt::signal() noexcept {
  return noted_signal;
}

}  // namespace qama::cli
