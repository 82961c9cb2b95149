// A static program that does nothing: what a process needs before it does anything, and an
// emulator's own memory. With arguments it runs them as a program and says on stderr what memory
// that had resident at most: a process's peak counts what started it, and this is smaller than the
// Python that would.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc == 1) return std::puts("nothing") < 0 ? 1 : 0;
  const pid_t child = fork();
  if (child == 0) {
    execv(argv[1], argv + 1);
    _exit(127);
  }
  int status = 0;
  rusage usage{};
  if (child < 0 || wait4(child, &status, 0, &usage) != child || !WIFEXITED(status)) return 1;
  std::fprintf(stderr, "peak_rss_kib %ld\n", usage.ru_maxrss);
  return WEXITSTATUS(status);
}
