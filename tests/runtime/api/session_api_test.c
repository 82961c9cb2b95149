/* The header is C: this file only has to compile as C99 and to call something. */
#include <qama/qama.h>

#include <string.h>

int api_works_from_c(void);

int api_works_from_c(void) {
  qama_session_options options;
  qama_model* model = NULL;
  qama_session_options_init(&options);
  if (options.struct_size != sizeof options || options.sweeps >= 0) return 0;
  if (qama_model_open("/nowhere/at/all", &model) == 0 || model != NULL) return 0;
  return strcmp(qama_status_name(0), "OK") == 0 && strlen(qama_last_error()) > 0;
}
