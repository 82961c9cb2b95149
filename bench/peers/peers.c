/* One model through this project's C API and through ONNX Runtime's, in one process, one image a
 * run.
 *
 *   peers [--qama LIBQAMA.SO MODEL] [--ort LIBONNXRUNTIME.SO MODEL.ONNX MEAN STD] --pixels FILE
 * CHANNELS SIDE --runs N [--threads N] [--round N]
 *
 * FILE holds SIDE x SIDE x CHANNELS bytes an image; MEAN and STD have a number a channel, between
 * commas. Both libraries are opened while running, so that each run's start-up holds its own
 * library only and a process with neither says what a process costs. With both, rounds of --round
 * runs alternate (A B A B) and the logits are compared; with more threads than one there is a pause
 * between them, in which the threads of the other library fall asleep. Prints one `key value` a
 * line; times in microseconds of the steady clock. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <math.h>
#include <onnxruntime/onnxruntime_c_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "qama/qama.h"

enum { kApiVersion = 21, kMaxClasses = 1000, kMaxChannels = 16 };

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

static long threads = 1;

static void die(const char* what, const char* why) {
  fprintf(stderr, "peers: error: %s: %s\n", what, why);
  exit(1);
}

static void* open_library(const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) die(path, dlerror());
  return library;
}

static void* symbol(void* library, const char* name) {
  void* found = dlsym(library, name);
  if (found == NULL) die("symbol", name);
  return found;
}

/* ---- this project ---------------------------------------------------------------------------- */
static __typeof__(qama_last_error)* last_error;
static __typeof__(qama_session_classify_u8)* classify;
static qama_session* session;

static void qama_start(const char* path, const char* file) {
  void* library = open_library(path);
  __typeof__(qama_model_open)* model_open = symbol(library, "qama_model_open");
  __typeof__(qama_session_create)* create = symbol(library, "qama_session_create");
  __typeof__(qama_session_options_init_size)* init =
      symbol(library, "qama_session_options_init_size");
  last_error = symbol(library, "qama_last_error");
  classify = symbol(library, "qama_session_classify_u8");
  qama_model* model = NULL;
  if (model_open(file, &model) != 0) die(file, last_error());
  qama_session_options options;
  init(&options, sizeof options);
  options.sample_threads = (int32_t)threads;
  if (create(model, &options, &session) != 0) die("session", last_error());
}

static void qama_run(const unsigned char* pixels, float* logits) {
  if (classify(session, pixels, 1, logits) != 0) die("classify", last_error());
}

/* ---- ONNX Runtime ---------------------------------------------------------------------------- */
static const OrtApi* ort;
static OrtSession* ort_session;
static OrtValue* ort_image;
static OrtValue* ort_logits;
static float* image;
static float out[kMaxClasses];
static float scale[kMaxChannels], shift[kMaxChannels];
static long channels, side;
static long classes;

static void check(OrtStatus* status) {
  if (status != NULL) die("ONNX Runtime", ort->GetErrorMessage(status));
}

static void ort_start(const char* path, const char* file) {
  void* library = open_library(path);
  const OrtApiBase* (*base)(void) = (const OrtApiBase* (*)(void))symbol(library, "OrtGetApiBase");
  ort = base()->GetApi(kApiVersion);
  if (ort == NULL) die(path, "has no API of version 21");
  OrtEnv* environment = NULL;
  OrtSessionOptions* options = NULL;
  OrtMemoryInfo* memory = NULL;
  check(ort->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "peers", &environment));
  check(ort->CreateSessionOptions(&options));
  check(ort->SetIntraOpNumThreads(options, (int)threads));
  check(ort->SetInterOpNumThreads(options, 1));
  check(ort->SetSessionGraphOptimizationLevel(options, ORT_ENABLE_ALL));
  check(ort->CreateSession(environment, file, options, &ort_session));
  check(ort->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory));
  OrtTypeInfo* type = NULL;
  const OrtTensorTypeAndShapeInfo* info = NULL;
  int64_t shape[2] = {0, 0};
  check(ort->SessionGetOutputTypeInfo(ort_session, 0, &type));
  check(ort->CastTypeInfoToTensorInfo(type, &info));
  check(ort->GetDimensions(info, shape, 2));
  if (shape[1] < 1 || shape[1] > kMaxClasses) die(file, "expected an output of [1, classes]");
  classes = (long)shape[1];
  shape[0] = 1;
  const size_t floats = (size_t)(channels * side * side);
  image = malloc(floats * sizeof(float));
  const int64_t input[4] = {1, channels, side, side};
  check(ort->CreateTensorWithDataAsOrtValue(memory, image, floats * sizeof(float), input, 4,
                                            ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &ort_image));
  check(ort->CreateTensorWithDataAsOrtValue(memory, out, (size_t)classes * sizeof(float), shape, 2,
                                            ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &ort_logits));
}

/* The bytes are normalised here, as classify_u8 does inside. */
static void ort_run(const unsigned char* pixels, float* logits) {
  static const char* const inputs[] = {"image"};
  static const char* const outputs[] = {"logits"};
  for (long c = 0; c < channels; ++c) {
    float* plane = image + c * side * side;
    for (long i = 0; i < side * side; ++i) {
      plane[i] = (float)pixels[i * channels + c] * scale[c] - shift[c];
    }
  }
  check(ort->Run(ort_session, NULL, inputs, (const OrtValue* const*)&ort_image, 1, outputs, 1,
                 &ort_logits));
  memcpy(logits, out, (size_t)classes * sizeof(float));
}

/* ---- both ------------------------------------------------------------------------------------ */
static int by_value(const void* a, const void* b) {
  const double x = *(const double*)a;
  const double y = *(const double*)b;
  return x < y ? -1 : x > y;
}

static void report(const char* name, double* times, long count) {
  qsort(times, (size_t)count, sizeof *times, by_value);
  printf("%s_least_us %.2f\n%s_p50_us %.2f\n%s_p90_us %.2f\n%s_p99_us %.2f\n", name, times[0], name,
         times[count / 2], name, times[count * 9 / 10], name, times[count * 99 / 100]);
}

/* The numbers of a list, one a channel. */
static void read_list(const char* text, float* out) {
  for (long c = 0; c < channels; ++c) {
    char* end = NULL;
    out[c] = strtof(text, &end);
    if (end == text || *end != (c + 1 < channels ? ',' : '\0')) {
      die(text, "expected a number a channel, between commas");
    }
    text = end + 1;
  }
}

/* Of this program alone. getrusage() would also count the process that started it, up to the moment
 * it did. */
static long peak_rss_kib(void) {
  FILE* status = fopen("/proc/self/status", "r");
  if (status == NULL) die("/proc/self/status", "cannot be opened");
  char line[256];
  long kib = -1;
  while (fgets(line, sizeof line, status) != NULL) {
    if (sscanf(line, "VmHWM: %ld", &kib) == 1) break;
  }
  fclose(status);
  if (kib < 0) die("/proc/self/status", "has no VmHWM");
  return kib;
}

int main(int argc, char** argv) {
  const char* qama[2] = {NULL, NULL};
  const char* peer[2] = {NULL, NULL};
  const char* statistics[2] = {"", ""};
  const char* pixels_file = NULL;
  long runs = 1;
  long round = 200;
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "--qama") == 0 && i + 2 < argc) {
      qama[0] = argv[++i];
      qama[1] = argv[++i];
    } else if (strcmp(argv[i], "--ort") == 0 && i + 4 < argc) {
      peer[0] = argv[++i];
      peer[1] = argv[++i];
      statistics[0] = argv[++i];
      statistics[1] = argv[++i];
    } else if (strcmp(argv[i], "--pixels") == 0 && i + 3 < argc) {
      pixels_file = argv[++i];
      channels = strtol(argv[++i], NULL, 10);
      side = strtol(argv[++i], NULL, 10);
    } else if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc) {
      runs = strtol(argv[++i], NULL, 10);
    } else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc) {
      threads = strtol(argv[++i], NULL, 10);
    } else if (strcmp(argv[i], "--round") == 0 && i + 1 < argc) {
      round = strtol(argv[++i], NULL, 10);
    } else {
      die(argv[i],
          "usage: peers [--qama LIB MODEL] [--ort LIB ONNX MEAN STD] --pixels FILE CHANNELS SIDE "
          "--runs N [--threads N] [--round N]");
    }
  }
  if (pixels_file == NULL || side < 1 || side > 1024 || channels < 1 || channels > kMaxChannels ||
      runs < 1 || threads < 1 || round < 1)
    die("arguments", "expected --pixels FILE CHANNELS SIDE, and numbers of 1 or more");
  if (peer[0] != NULL) {
    float deviation[kMaxChannels];
    read_list(statistics[0], shift);
    read_list(statistics[1], deviation);
    for (long c = 0; c < channels; ++c) {
      scale[c] = 1.0F / (255.0F * deviation[c]);
      shift[c] /= deviation[c];
    }
  }
  FILE* file = fopen(pixels_file, "rb");
  if (file == NULL) die(pixels_file, "cannot be opened");
  const size_t size = (size_t)(channels * side * side);
  static unsigned char pixels[1 << 20];
  const size_t images = fread(pixels, 1, sizeof pixels, file) / size;
  fclose(file);
  if (images == 0) die(pixels_file, "holds not one image");
  const double begin = now_us();

  float logits[2][kMaxClasses] = {{0}, {0}};
  double* times[2] = {malloc((size_t)runs * sizeof(double)), malloc((size_t)runs * sizeof(double))};
  if (qama[0] != NULL) {
    qama_start(qama[0], qama[1]);
    qama_run(pixels, logits[0]);
    printf("qama_start_us %.0f\n", now_us() - begin);
  }
  const double between = qama[0] != NULL ? now_us() : begin;
  if (peer[0] != NULL) {
    ort_start(peer[0], peer[1]);
    ort_run(pixels, logits[1]);
    printf("ort_start_us %.0f\n", now_us() - between);
  }
  double largest = 0;
  const struct timespec pause = {0, 20000000};
  for (long done = 0; done < runs; done += round) {
    const long until = done + round < runs ? done + round : runs;
    for (int which = 0; which < 2; ++which) {
      if ((which == 0 ? qama : peer)[0] == NULL) continue;
      if (threads > 1) nanosleep(&pause, NULL);
      for (long i = done; i < until; ++i) {
        const unsigned char* one = pixels + (size_t)i % images * size;
        const double start = now_us();
        if (which == 0) {
          qama_run(one, logits[0]);
        } else {
          ort_run(one, logits[1]);
        }
        times[which][i] = now_us() - start;
      }
    }
    for (long c = 0; c < classes; ++c) {
      const double difference = fabs((double)logits[0][c] - (double)logits[1][c]);
      if (qama[0] != NULL && difference > largest) largest = difference;
    }
  }
  if (qama[0] != NULL) report("qama", times[0], runs);
  if (peer[0] != NULL) report("ort", times[1], runs);
  if (qama[0] != NULL && peer[0] != NULL) {
    printf("ratio_p50 %.3f\nlogits_differ_by %.3g\n", times[1][runs / 2] / times[0][runs / 2],
           largest);
  }
  printf("peak_rss_kib %ld\n", peak_rss_kib());
  return 0;
}
