/* Preloaded by bench/solver_league: a process's clocks show the CPU time that it has used. So a
 * time limit of any program is CPU time, on a machine that does other things, too. For one thread.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int real_clock(clockid_t clock, struct timespec* time) {
  return (int)syscall(SYS_clock_gettime, clock, time);
}

int clock_gettime(clockid_t clock, struct timespec* time) {
  if (clock == CLOCK_MONOTONIC || clock == CLOCK_REALTIME) clock = CLOCK_PROCESS_CPUTIME_ID;
  return real_clock(clock, time);
}

int gettimeofday(struct timeval* time, void* zone) {
  struct timespec used;
  (void)zone;
  if (real_clock(CLOCK_PROCESS_CPUTIME_ID, &used) != 0) return -1;
  time->tv_sec = used.tv_sec;
  time->tv_usec = used.tv_nsec / 1000;
  return 0;
}

/* A wait until a time of the clock above is one of the real clock, for as long as is left. */
int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                           const struct timespec* until) {
  static int (*real)(pthread_cond_t*, pthread_mutex_t*, clockid_t, const struct timespec*);
  struct timespec used;
  struct timespec now;
  long long left;
  if (real == NULL) *(void**)&real = dlsym(RTLD_NEXT, "pthread_cond_clockwait");
  real_clock(CLOCK_PROCESS_CPUTIME_ID, &used);
  real_clock(clock, &now);
  left = (until->tv_sec - used.tv_sec) * 1000000000LL + until->tv_nsec - used.tv_nsec;
  if (left < 1000000) left = 1000000;
  left += now.tv_sec * 1000000000LL + now.tv_nsec;
  now.tv_sec = left / 1000000000LL;
  now.tv_nsec = left % 1000000000LL;
  return real(condition, mutex, clock, &now);
}
