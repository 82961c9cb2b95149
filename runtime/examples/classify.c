/* Classifies an image. Run it at the top of the source tree; with the package installed, build it
 * by `cc classify.c $(pkg-config --cflags --libs qama)`. */
#include <qama/qama.h>
#include <stdio.h>

int main(void) {
  qama_model* model = NULL;
  qama_session* session = NULL;
  qama_answer answer = {.struct_size = sizeof answer};
  if (qama_model_open("weights/models/fashion-mnist-qama.safetensors", &model) ||
      qama_session_create(model, NULL, &session) ||
      qama_session_answer_file(session, "runtime/examples/images/shoe.png", &answer))
    return puts(qama_last_error()), 1;
  printf("%s, %.1f %%, %.0f us\n", answer.label, 100 * answer.probability, answer.latency_us);
  qama_session_destroy(session);
  qama_model_close(model);
}
