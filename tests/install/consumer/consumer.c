/* Opens the model named on the command line and classifies a black image, in memory of its own. */
#include <qama/qama.h>

#include <stdio.h>
#include <stdlib.h>

static int fail(const char* doing, qama_status status) {
  fprintf(stderr, "%s: %s: %s\n", doing, qama_status_name(status), qama_last_error());
  return 1;
}

int main(int argc, char** argv) {
  static const uint8_t pixels[28 * 28];
  float logits[10];
  qama_model* model = NULL;
  qama_session* session = NULL;
  qama_session_options options;
  qama_status status;
  size_t bytes = 0;
  int best = 0;
  int i;

  if (argc != 2) return 2;
  status = qama_model_open(argv[1], &model);
  if (status != 0) return fail("open", status);
  qama_session_options_init(&options);
  status = qama_session_arena_bytes(model, &options, &bytes);
  if (status != 0) return fail("arena", status);
  options.arena = aligned_alloc(64, bytes);
  options.arena_bytes = bytes;
  status = qama_session_create(model, &options, &session);
  if (status != 0) return fail("session", status);
  status = qama_session_classify_u8(session, pixels, 1, logits);
  if (status != 0) return fail("classify", status);
  for (i = 1; i < 10; ++i) {
    if (logits[i] > logits[best]) best = i;
  }
  printf("qama %s: class %s, logit %.6f, arena %zu bytes\n", qama_version(),
         qama_model_label(model, best), (double)logits[best], bytes);
  qama_session_destroy(session);
  qama_model_close(model);
  free(options.arena);
  return 0;
}
