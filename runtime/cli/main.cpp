// main(): the process around the program (program.h).
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>

#include "hal/platform/before_main.h"
#include "runtime/cli/program.h"

namespace qama::cli {
namespace {

constexpr int kFailed = 1;

/// A standard descriptor that the caller closed would be given to the first file that is opened,
/// and results would be written into it. It is filled with something that refuses instead.
void occupy_standard_descriptors() {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (fcntl(descriptor, F_GETFD) == -1) {
      // The lowest free number, hence this one. What is only readable refuses to be written, and
      // back.
      const int got = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY);
      if (got != descriptor) std::_Exit(kFailed);
    }
  }
}

/// What the environment lets libraries print would stand in the middle of the results.
void silence_libraries() {
  for (const char* name : {"ONEDNN_VERBOSE", "DNNL_VERBOSE", "MKLDNN_VERBOSE", "ONEDNN_JIT_DUMP",
                           "DNNL_JIT_DUMP", "MKLDNN_JIT_DUMP"}) {
    unsetenv(name);
  }
}

}  // namespace
}  // namespace qama::cli

int main(int argc, char** argv) {
  qama::platform::main_begins();
  qama::cli::occupy_standard_descriptors();
  qama::cli::silence_libraries();
  // A reader that went away is an error of a write, after which the command still ends in order;
  // a limit on the size of files is one, too.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    return qama::cli::Program().run(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("qama: error: OUT_OF_MEMORY: not enough memory\n", stderr);
  } catch (const std::exception& exception) {
    std::fprintf(stderr, "qama: error: INTERNAL: %s\n", exception.what());
  }
  return 1;
}
