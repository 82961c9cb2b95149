/* The C API of the QAMA runtime: models, sessions and answers; problems; the annealer alone. No
 * exception crosses it. To add a function: declare it here, implement it in runtime/api, call it in
 * qama.hpp (a test compares the two).
 *
 * Threads: a qama_model and a qama_problem are immutable, and threads may share them; a
 * qama_session and a qama_solver serve one thread at a time. After fork(), the child may use and
 * destroy those of one thread on "cpu:"; others fail there with UNSUPPORTED, and destroying them
 * frees nothing.
 * Errors: a function that can fail returns a code. 0 is success; other numbers have a stable name,
 * qama_status_name(), and never change. qama_last_error() gives the same thread a sentence with
 * what was expected and what was found.
 * Memory: what a function hands out belongs to the handle that it came from, unless its comment
 * says otherwise. Arguments belong to the caller and are read during the call only, unless their
 * comment says otherwise. */
#ifndef QAMA_QAMA_H
#define QAMA_QAMA_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define QAMA_API
#else
#define QAMA_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define QAMA_VERSION_MAJOR 0
#define QAMA_VERSION_MINOR 1
#define QAMA_VERSION_PATCH 0

typedef int32_t qama_status; /* 0 = ok */
typedef struct qama_model qama_model;
typedef struct qama_session qama_session;
typedef struct qama_solver qama_solver;

/* "0.1.0" */
QAMA_API const char* qama_version(void);
/* Stable name of a status, e.g. "MODEL_TRUNCATED". Static storage. */
QAMA_API const char* qama_status_name(qama_status status);
/* The sentence of this thread's last failed call; valid until its next call. Never NULL. */
QAMA_API const char* qama_last_error(void);

/* Log hook. level: 0 error, 1 warning, 2 info. Default: nothing is logged. NULL switches it off. */
typedef void (*qama_log_function)(void* user, int32_t level, const char* message);
QAMA_API void qama_set_log(qama_log_function function, void* user);

/* ---- models ---------------------------------------------------------------------------------- */

/* Opens and checks a model file. One below 64 MB is read once, and what was read is checked and
 * used: later changes of the file do not matter. A larger one is mapped until qama_model_close and
 * the end of its sessions. Replace it by a rename meanwhile, never in place: a session that is made
 * after a change is refused (IO_ERROR), one at work may compute with the new bytes, and a file cut
 * short ends the process (SIGBUS). */
QAMA_API qama_status qama_model_open(const char* path, qama_model** out);

typedef struct qama_model_options {
  uint32_t struct_size; /* sizeof(qama_model_options), for later versions */
  int32_t mapping;      /* 0: files from 64 MB on are mapped, 1: none is, 2: every one is */
  const char* trust; /* file with an Ed25519 public key in PEM: a model that this key did not sign
                        (`qama sign` makes the file PATH.sig) is refused with MODEL_NOT_TRUSTED, and
                        so is one of format version 1. NULL: any model */
} qama_model_options;

/* The same with options; NULL, or all 0 behind struct_size: as qama_model_open. */
QAMA_API qama_status qama_model_open_with(const char* path, const qama_model_options* options,
                                          qama_model** out);
/* The same from memory, which must outlive the model and its sessions. Any alignment. */
QAMA_API qama_status qama_model_from_memory(const void* data, size_t bytes, qama_model** out);
QAMA_API void qama_model_close(qama_model* model); /* NULL is fine; sessions keep what they need */

QAMA_API int32_t qama_model_classes(const qama_model* model);
QAMA_API const char* qama_model_label(const qama_model* model,
                                      int32_t class_index); /* NULL: none */
/* Image models: expected size; 0 for others. */
QAMA_API int32_t qama_model_image_height(const qama_model* model);
QAMA_API int32_t qama_model_image_width(const qama_model* model);
QAMA_API int32_t qama_model_image_channels(const qama_model* model);
/* Text models: tokens of a text at most. Models of features: tokens of a sample. Else 0. */
QAMA_API int32_t qama_model_max_tokens(const qama_model* model);
/* Models of features: numbers of a token; 0 for others. */
QAMA_API int32_t qama_model_feature_width(const qama_model* model);
/* What an image model sees of the bytes of an image file: height x width x channels bytes, as
 * qama_session_classify_u8 takes them. Training reads its images by this, too. IMAGE_*,
 * MODEL_WRONG_KIND. */
QAMA_API qama_status qama_model_fit_encoded(const qama_model* model, const void* bytes, size_t size,
                                            uint8_t* pixels);

/* ---- sessions -------------------------------------------------------------------------------- */

typedef struct qama_session_options {
  uint32_t struct_size; /* sizeof(qama_session_options), for later versions */
  int32_t max_batch;    /* samples a run at most; 0: 1 */
  int32_t threads;      /* 0: 1 */
  uint64_t seed;        /* of the annealer; 0: the default */
  const char* device;   /* device URI; NULL: "cpu:" */
  const char* fallback; /* "never", "error", "deadline", "hedge"; NULL: "error" */
  int64_t deadline_us;  /* per sample; 0: none */
  int32_t sweeps;       /* < 0: as the model file says */
  int32_t restarts;     /* <= 0: as the model file says */
  void* arena;          /* caller's memory, 64-byte aligned; NULL: the session allocates it */
  size_t arena_bytes;
  int32_t rounds;       /* after the restarts, for quality; < 0: as the model file says */
  int32_t round_sweeps; /* < 0: as the model file says */
  int32_t in_flight; /* samples that a thread works on at a time, each in its own part of the arena;
                        at most 64; 0: 1. While a device on the network solves one, the thread
                        goes on with the next. A device that holds fewer jobs gets fewer */
  int32_t sample_threads; /* that work on one sample together, of each of `threads`; 0: 1. For
                             single samples of large models. The answer does not depend on it */
  int32_t explain; /* 1: runs keep what qama_session_layer and qama_session_word tell. They take
                      memory then, one sample after the other, and long heads are solved as integers
                      as in a session on a device that takes no factors */
} qama_session_options;

/* Fills in the defaults. Later headers may add fields at the end of the struct. Programs call the
 * macro, which passes the size of the struct that they know. The function of its name fills in the
 * fields of the first version: programs that were built with the first header call it. */
QAMA_API void qama_session_options_init(qama_session_options* options);
QAMA_API void qama_session_options_init_size(qama_session_options* options, size_t struct_size);
#define qama_session_options_init(options) \
  qama_session_options_init_size((options), sizeof(qama_session_options))

/* Exact bytes of arena that a session with these options needs: with one byte less, creating it
 * fails with ARENA_TOO_SMALL. */
QAMA_API qama_status qama_session_arena_bytes(const qama_model* model,
                                              const qama_session_options* options, size_t* bytes);
QAMA_API qama_status qama_session_create(const qama_model* model,
                                         const qama_session_options* options, qama_session** out);
QAMA_API void qama_session_destroy(qama_session* session);

/* Classifies `count` images (<= max_batch). `pixels`: count x height x width x channels bytes, rows
 * from the top, channels interleaved. `logits`: count x classes floats. Allocates nothing. */
QAMA_API qama_status qama_session_classify_u8(qama_session* session, const uint8_t* pixels,
                                              int32_t count, float* logits);
/* The same from already normalised values: count x channels x height x width floats. Or features:
 * count x max_tokens x feature_width floats. A value that is not finite is PROBLEM_BAD_VALUE. */
QAMA_API qama_status qama_session_run_f32(qama_session* session, const float* input, int32_t count,
                                          float* logits);

/* Classifies `count` texts (zero-terminated UTF-8, tokenised as the model file says). Allocates
 * nothing. `logits`: count x classes. */
QAMA_API qama_status qama_session_classify_text(qama_session* session, const char* const* texts,
                                                int32_t count, float* logits);

/* Sample i of the runs that follow has the index first + i (0 after creation). With the seed, a
 * sample's index decides the solver's random numbers, so that an answer does not depend on how
 * samples were put into batches. */
QAMA_API void qama_session_set_first_sample(qama_session* session, uint64_t first);

/* Of the last run: wall time of a sample (INDEX_OUT_OF_RANGE if that run has no such sample), and
 * who solved one of its QAMA layers ("cpu:avx512"; "" where the sample failed before; NULL if there
 * is no such sample or layer). Static storage. */
QAMA_API qama_status qama_session_latency_us(const qama_session* session, int32_t sample,
                                             double* microseconds);
QAMA_API const char* qama_session_solved_by(const qama_session* session, int32_t sample,
                                            int32_t layer);

/* ---- answers --------------------------------------------------------------------------------- */

/* What the functions below read and write. `struct_size` is sizeof of the struct, set by the caller
 * (in an array: of the first element, for all). These structs only grow at their end; qama_guess
 * and qama_layer_solve never grow. */

/* An image of any size; the library brings it to the model's pixels as `qama classify` does. */
typedef struct qama_image {
  uint32_t struct_size; /* sizeof(qama_image) */
  int32_t width;
  int32_t height;
  int32_t channels;      /* 1 gray, 2 gray + alpha, 3 RGB, 4 RGB + alpha */
  size_t row_bytes;      /* from a row to the next one below; 0: width * channels */
  const uint8_t* pixels; /* rows from the top, channels interleaved */
} qama_image;

/* A class with its probability, the softmax of the logits. */
typedef struct qama_guess {
  int32_t class_index;
  const char* label; /* as qama_model_label */
  double probability;
} qama_guess;

/* Who solved a QAMA layer of a sample. */
typedef struct qama_layer_solve {
  const char* solved_by; /* "cpu:avx512" */
  const char* fallback;  /* why not the session's device: "unsupported", "error", "deadline",
                            "hedge_won", "circuit_open"; NULL: it was the session's device */
  double energy;         /* of the answer, in the layer's own units: E(s) of the paper's Eq. 3 */
} qama_layer_solve;

/* A sample's answer. What it points to belongs to the session and is valid until the session's next
 * run or its end. */
typedef struct qama_answer {
  uint32_t struct_size; /* sizeof(qama_answer) */
  int32_t class_index;  /* the likeliest class, the first of equals; -1: the sample failed, and what
                           follows is 0 */
  const char* label;    /* as qama_model_label */
  double probability;   /* 0 to 1 */
  double latency_us;    /* wall time of the sample's run, without decoding and fitting */
  const char* solved_by; /* who solved its layers: "cpu:avx512", or with the number of layers, "cim
                            1, cpu:avx512 1"; "" if there is no QAMA layer */
  const char* fallback;  /* of the first layer that has one; NULL: none */
  int32_t classes;       /* elements of logits and top */
  int32_t layers;        /* elements of solves: one a QAMA layer */
  const float* logits;   /* by class */
  const qama_guess* top; /* all classes, the likeliest first */
  const qama_layer_solve* solves;
  /* Of a text, else 0. An answer for a text whose words are all unknown, or that has none, says
   * nothing of the text. */
  int64_t words;         /* of the whole text, as the model counts them; 0: it is empty */
  int32_t unknown_words; /* of those that the model read, how many its vocabulary lacks */
  int32_t truncated;     /* 1: the text is longer than the model's max_tokens, and a part of it was
                            not read */
  /* Of a picture, else 0. */
  int32_t blank;    /* 1: it has one colour, or noise alone, and the answer says nothing of it */
  int32_t inverted; /* 1: dark and light changed places, since its background was not the model's */
} qama_answer;

/* How pictures become the model's pixels, for the functions that take pictures. */
typedef struct qama_picture_options {
  uint32_t struct_size; /* sizeof(qama_picture_options), for later versions */
  int32_t fit; /* of another size: 0 as the model file says, 1 stretch, 2 crop, 3 pad, 4 content:
                  find the thing on its background, place it as the training set does */
  int32_t
      invert; /* exchange dark and light: 0 automatic (where the model file says what lies behind
                 things; an item of an IDX file is taken as it is), 1 automatic, 2 no, 3 yes */
  int32_t strict; /* 1: a picture that is blank is the error IMAGE_BLANK */
} qama_picture_options;

/* Of the runs that follow; NULL: all 0, as after creation. */
QAMA_API qama_status qama_session_set_pictures(qama_session* session,
                                               const qama_picture_options* options);
/* What the model saw of a picture in the last qama_session_answer_images, _encoded or _file: height
 * x width x channels bytes, rows from the top, channels interleaved. It belongs to the session and
 * is valid until its next run. NULL: there is none. */
QAMA_API const uint8_t* qama_session_pixels(const qama_session* session, int32_t sample);

/* What a QAMA layer did for a sample: the figures of `qama explain`. Arrays are [heads][tokens]
 * unless it says otherwise; they belong to the session and are valid until its next run or its end.
 * Energies are in the layer's own units, computed in double from the spins that the device gave. */
typedef struct qama_layer {
  uint32_t struct_size; /* sizeof(qama_layer) */
  int32_t block;        /* of the model */
  int32_t heads;
  int32_t tokens;          /* that the sample has */
  int32_t bits;            /* spins of a token; more than one in first-version QAMA only */
  double energy;           /* of the answer: E(s) of the paper's Eq. 3 */
  double pure_energy;      /* the same without the penalty between heads */
  const uint8_t* selected; /* 0: not, to 2^bits - 1: all of it */
  const double* energies;  /* of tokens, Eq. 5 without w_eps */
  const double*
      flip_costs; /* [heads][tokens][bits] what E(s) gains by flipping that spin, Eq. 12 */
} qama_layer;

/* Layer `layer`, from 0 to the answer's `layers` - 1, of the last run's sample. UNSUPPORTED: the
 * session's options have no `explain`. INDEX_OUT_OF_RANGE: there is no such sample or layer in the
 * last run. */
QAMA_API qama_status qama_session_layer(const qama_session* session, int32_t sample, int32_t layer,
                                        qama_layer* out);
/* The word that the model read as token `token` of a text of the last run, folded as its vocabulary
 * is but for the text's own capitals. It belongs to the session, until its next run. NULL: there is
 * none, or no `explain`. */
QAMA_API const char* qama_session_word(const qama_session* session, int32_t sample, int32_t token);

/* Answers for `count` images (<= max_batch). Allocates only where an image needs another size. */
QAMA_API qama_status qama_session_answer_images(qama_session* session, const qama_image* images,
                                                int32_t count, qama_answer* answers);
/* The same for texts: zero-terminated UTF-8, anything else is TEXT_BAD_ENCODING. */
QAMA_API qama_status qama_session_answer_texts(qama_session* session, const char* const* texts,
                                               int32_t count, qama_answer* answers);
/* The same for normalised values or features, as qama_session_run_f32 takes them. */
QAMA_API qama_status qama_session_answer_f32(qama_session* session, const float* input,
                                             int32_t count, qama_answer* answers);
/* One image from the bytes of a file (PNG, JPEG, PNM, BMP, GIF, WebP); the bytes say which. */
QAMA_API qama_status qama_session_answer_encoded(qama_session* session, const void* bytes,
                                                 size_t size, qama_answer* answer);
/* One file, named as `qama classify` takes it: an image, FILE:INDEX of an IDX or .npy file (whose
 * INDEX is added to the first sample's), a text for a text model, a .npy file for a model of
 * features, "-" for standard input. */
QAMA_API qama_status qama_session_answer_file(qama_session* session, const char* path,
                                              qama_answer* answer);

/* ---- problems -------------------------------------------------------------------------------- */

/* A problem is what `qama solve` reads from a file: a max-cut, a quadratic form or a QAMA layer. It
 * is immutable; threads may share one and solve it at the same time. Indices count from 0. Numbers
 * must be finite (PROBLEM_BAD_VALUE), sizes are checked before memory is asked for
 * (PROBLEM_TOO_LARGE). The functions copy what they are given. */
typedef struct qama_problem qama_problem;

/* A file, or "-" for standard input, or its bytes, also packed by gzip. `format`: "qama", "maxcut",
 * "qubo", "ising", "qbsolv", "coo", "dimacs", "mtx", "mtx-maxcut", "csv", "csv-qubo"; NULL: the
 * file decides, and PROBLEM_BAD_FORMAT where it could be two things. PROBLEM_BAD_FORMAT names the
 * line. */
QAMA_API qama_status qama_problem_open(const char* path, const char* format, qama_problem** out);
QAMA_API qama_status qama_problem_from_text(const void* text, size_t bytes, const char* format,
                                            qama_problem** out);

/* How a problem is read, where the file does not say it itself. */
typedef struct qama_problem_options {
  uint32_t struct_size; /* sizeof(qama_problem_options), for later versions */
  int32_t maximise; /* not 0: look for the largest value of a qubo or an ising, not the smallest */
  const char* format; /* as qama_problem_open takes it */
  int32_t symmetric;  /* not 0: i j and j i are one entry of a symmetric matrix, given once or
                         twice: of a qubo x^T Q x it counts twice, of a graph or an ising once */
} qama_problem_options;

/* The same with options, as `qama solve` has them; NULL, or all 0 behind struct_size: as without.
 * INVALID_ARGUMENT: `maximise` of a layer, `symmetric` of a format that says itself what is. */
QAMA_API qama_status qama_problem_open_with(const char* path, const qama_problem_options* options,
                                            qama_problem** out);
QAMA_API qama_status qama_problem_from_text_with(const void* text, size_t bytes,
                                                 const qama_problem_options* options,
                                                 qama_problem** out);

/* Max-cut: choose a side for every vertex; maximise the weight of the edges between the sides. Edge
 * k joins first[k] and second[k]; an edge that occurs again adds to the first one. `weights`:
 * NULL: all 1. */
QAMA_API qama_status qama_problem_from_graph(int32_t vertices, int64_t edges, const int32_t* first,
                                             const int32_t* second, const double* weights,
                                             qama_problem** out);

/* A quadratic form (QUBO): minimise offset + sum_ij Q_ij x_i x_j over x in {0, 1}. Q need not be
 * symmetric: Q_ij and Q_ji add up. The diagonal is linear.
 *   terms:  Q has `weights[k]` at (rows[k], columns[k]); what occurs again is added
 *   rows:   row i has columns[k], weights[k] for k from starts[i] to starts[i + 1] - 1 (CSR)
 *   matrix: Q [variables][variables] */
QAMA_API qama_status qama_problem_from_terms(int32_t variables, int64_t terms, const int32_t* rows,
                                             const int32_t* columns, const double* weights,
                                             double offset, qama_problem** out);
QAMA_API qama_status qama_problem_from_rows(int32_t variables, const int64_t* starts,
                                            const int32_t* columns, const double* weights,
                                            double offset, qama_problem** out);
QAMA_API qama_status qama_problem_from_matrix(int32_t variables, const double* matrix,
                                              double offset, qama_problem** out);

/* A QAMA layer: minimise the paper's Eq. 3, with J_tij = sum_d sign_td F_tid F_tjd for i != j.
 *   factors [heads][tokens][rank], signs [heads][rank] (+1 or -1; NULL: all +1),
 *   fields  [heads][tokens], h of which rho is the weight; lambda >= 0
 * Variable t * tokens + i is spin i of head t. */
QAMA_API qama_status qama_problem_from_factors(int32_t heads, int32_t tokens, int32_t rank,
                                               const double* factors, const double* signs,
                                               const double* fields, double rho, double lambda,
                                               qama_problem** out);
QAMA_API void qama_problem_close(qama_problem* problem); /* NULL is fine */

/* Bytes of an answer. */
QAMA_API int64_t qama_problem_variables(const qama_problem* problem);
/* 1: the larger value is the better one (a max-cut, a file that says so); else 0. */
QAMA_API int32_t qama_problem_maximises(const qama_problem* problem);
/* What an answer (bytes 0 or 1) is worth in the problem's own terms: the weight of a cut, the value
 * of a quadratic form with its offset, the energy of a layer. INVALID_ARGUMENT for other bytes,
 * PROBLEM_BAD_VALUE for a sum beyond a double. */
QAMA_API qama_status qama_problem_value(const qama_problem* problem, const uint8_t* answer,
                                        double* value);

/* How far a search is. */
typedef struct qama_progress {
  double elapsed_ms;
  int64_t reads;         /* answers so far */
  double value;          /* of the best one; NaN before the first */
  const uint8_t* answer; /* the best one, qama_problem_variables() bytes 0 or 1, during the call;
                            NULL before the first */
} qama_progress;
/* Anything but 0 ends the search; the best answer so far counts. */
typedef int32_t (*qama_progress_callback)(void* context, const qama_progress* progress);

/* How to solve; the fields are the options of `qama solve`. */
typedef struct qama_solve_options {
  uint32_t struct_size; /* sizeof(qama_solve_options), for later versions */
  int32_t threads;      /* 1 to 1024; 0: 1 */
  uint64_t seed;        /* default 1. Without a time limit or a target the same seed gives the same
                           answer, whatever the number of threads */
  int32_t sweeps;       /* of a restart; < 0: 200 for a layer, else 1000, or with a time limit as
                           many as fit, each part of a thread twice those before */
  int32_t restarts;     /* at most; < 0: 32, or as many as fit into the time limit; 0 is refused */
  double time_limit_ms; /* no part of 16 restarts (graphs: 32) begins later, the first one
                           excepted; 0: none */
  double target;        /* stop at this value or a better one; NaN: none */
  double t_start; /* first temperature, in units of the mean row norm of the couplings; 0: what
                     suits the problem */
  double t_end;   /* last temperature; 0: what suits the problem */
  int32_t start;  /* of a layer's restarts: 0 guessed spins, 1 random ones, 2 mixed */
  int32_t rounds; /* after every part: groups of four restarts that start from the best answer
                     so far */
  int32_t round_sweeps; /* < 0: the default */
  double t_round;       /* first temperature of a round; 0: the default */
  const char* device; /* device URI; NULL: "exact:" for at most 24 variables of another problem than
                         a layer if no field of the annealer is set (sweeps, restarts, t_start,
                         t_end, start, rounds, form), else "cpu:" */
  const char* form;   /* how couplings are held: "dense", "planes", "sparse", "factors"; NULL: the
                         fastest form */
  const uint8_t* initial; /* [initial_count][qama_problem_variables()] bytes 0 or 1: answers to
                             begin with. Each is improved and counts as a read; copies of the best
                             one are heated where a time limit lets them (form "sparse") */
  int64_t initial_count;
  qama_progress_callback progress; /* called every 20 ms and once at the end, from the thread that
                                      called, while another one solves; NULL: nobody is told. Where
                                      the system has no threads: after every part of the search */
  void* progress_context;          /* handed to `progress` */
} qama_solve_options;

/* Fills in the defaults that this header knows. */
QAMA_API void qama_solve_options_init_size(qama_solve_options* options, size_t struct_size);
#define qama_solve_options_init(options) \
  qama_solve_options_init_size((options), sizeof(qama_solve_options))

/* What solving came to. `struct_size` is sizeof(qama_solution), set by the caller. Texts have
 * static storage. */
typedef struct qama_solution {
  uint32_t struct_size;
  int32_t exact_weights; /* 1: the weights were solved as given; 0: rounded to 16 bits, or floats */
  double value;          /* of the best answer, as qama_problem_value computes it */
  int32_t target_reached; /* 0 without a target */
  int32_t sweeps;         /* of a restart */
  const char* form;       /* in which it was solved */
  const char* solved_by;  /* kernel or device: "cpu:avx512" */
  double solve_us;        /* wall time */
  int64_t restarts;       /* sums over all parts, here and below */
  int64_t rounds;
  int64_t total_sweeps;
  int64_t proposals;
  int64_t flips;
  int32_t optimal; /* 1: all states were tried (`exact:`), there is no better answer */
  int32_t stopped; /* 1: `progress` ended the search */
} qama_solution;

/* Searches for the best answer and writes it to `answer`, qama_problem_variables() bytes 0 or 1.
 * The same options give the answer of `qama solve`. `options` may be NULL (the defaults),
 * `solution` too. DEVICE_BAD_ANSWER if a device claims an energy that its answer does not have. */
QAMA_API qama_status qama_problem_solve(const qama_problem* problem,
                                        const qama_solve_options* options, uint8_t* answer,
                                        qama_solution* solution);

/* The same for the `most` best different answers (1 to 2^20), as `qama solve --samples`: the search
 * is made of reads of one restart each, or of 32 that are annealed side by side (form "sparse"): 32
 * reads or `most`, unless `restarts` or the time limit says how many. "exact:" gives the best of
 * all states; a cut is given once, not with its sides swapped. `answers`: `most` x
 * qama_problem_variables() bytes 0 or 1, the best first. `values`: `most` doubles; may be NULL.
 * `counts`: for each answer, the reads that ended there; may be NULL. `found`: how many answers
 * there are, at most `most`; what is behind them stays as it was. */
QAMA_API qama_status qama_problem_solve_many(const qama_problem* problem,
                                             const qama_solve_options* options, int64_t most,
                                             uint8_t* answers, double* values, int64_t* counts,
                                             int64_t* found, qama_solution* solution);

/* How to sample. */
typedef struct qama_sample_options {
  uint32_t struct_size; /* sizeof(qama_sample_options), for later versions */
  int32_t threads;      /* 1 to 1024; 0: 1. The samples do not depend on it */
  uint64_t seed;        /* default 1. The same seed gives the same samples on one machine; exp() of
                           another C library may differ */
  double temperature;   /* T above 0, in the units of the problem's values; default 1 */
  int32_t burn_in;      /* sweeps of a chain before its first sample; half of them cool down to T;
                           default 200 */
  int32_t between;      /* sweeps from one sample of a chain to its next, 1 or more; default 10 */
} qama_sample_options;

/* Fills in the defaults that this header knows. */
QAMA_API void qama_sample_options_init_size(qama_sample_options* options, size_t struct_size);
#define qama_sample_options_init(options) \
  qama_sample_options_init_size((options), sizeof(qama_sample_options))

/* Samples answers at a temperature: each with a probability proportional to exp(-E / T), where E is
 * the value that the problem minimises, or the negative of one that it maximises. For training
 * Boltzmann machines, and to ask how likely an answer is; not for the best answer. Where trying all
 * answers of up to 20 variables is no more work than the sweeps of the options, each sample is
 * drawn by itself from the exact probabilities. Else there are 32 Markov chains with the heat-bath
 * rule; sample k is of chain k % 32. Samples of a chain resemble each other. At temperatures far
 * below the couplings a chain stays in one valley, and the shares of the valleys are then wrong.
 * `answers`: `count` x qama_problem_variables() bytes 0 or 1. `values`: `count` doubles, as
 * qama_problem_value computes them; may be NULL. `options` may be NULL (the defaults).
 * PROBLEM_TOO_LARGE: more than 2^40 bytes of answers, or a layer of more than 2^26 couplings. */
QAMA_API qama_status qama_problem_sample(const qama_problem* problem,
                                         const qama_sample_options* options, int64_t count,
                                         uint8_t* answers, double* values);

/* ---- the annealer alone ---------------------------------------------------------------------- */

typedef struct qama_solver_options {
  uint32_t struct_size; /* sizeof(qama_solver_options), for later versions */
  int32_t threads;      /* worker threads for a batch; 0: 1 */
  uint64_t seed;    /* sample k of a batch uses a seed derived from (seed, k): results do not depend
                       on the number of threads */
  int32_t sweeps;   /* 0: descent only */
  int32_t restarts; /* >= 1 */
  float t_start, t_end; /* units of the mean row norm of J; 0: defaults */
  int32_t rounds; /* after the restarts: groups of four from the best answer so far; 0: none */
  int32_t round_sweeps; /* sweeps of a round; 0: the default */
  float t_round;        /* first temperature of a round; 0: the default */
  int32_t start; /* what restarts begin with: 0 guessed spins, 1 random ones, 2 two of four each */
} qama_solver_options;

/* As qama_session_options_init. */
QAMA_API void qama_solver_options_init(qama_solver_options* options);
QAMA_API void qama_solver_options_init_size(qama_solver_options* options, size_t struct_size);
#define qama_solver_options_init(options) \
  qama_solver_options_init_size((options), sizeof(qama_solver_options))

/* A solver for problems of H heads x N tokens on device `uri` (NULL: "cpu:"). */
QAMA_API qama_status qama_solver_create(const char* uri, int32_t heads, int32_t tokens,
                                        const qama_solver_options* options, qama_solver** out);
QAMA_API void qama_solver_destroy(qama_solver* solver);

/* Solves `batch` QAMA layers given in real numbers, in parallel:
 *   J     [batch][H][N][N] floats, diagonal ignored (the paper's J after normalisation); symmetric:
 *         J_ij and J_ji differ by at most 0.05 of the head's largest, else INVALID_ARGUMENT
 *   field [batch][H][N]    floats, rho * h
 *   lambda                 penalty between two heads that select the same token, 0 or more
 *   count [batch] tokens used of each sample (1..N), or NULL: all N. Spins beyond it are 0.
 *   seed                   of this call; combined with the options' seed
 * spins  [batch][H][N] bytes 0/1;  energy [batch] doubles or NULL: E(s) of the given real problem.
 */
QAMA_API qama_status qama_solver_solve_f32(qama_solver* solver, int32_t batch, const float* J,
                                           const float* field, float lambda, const int32_t* count,
                                           uint64_t seed, uint8_t* spins, double* energy);

/* The same from low-rank couplings J_tij = sum_d sign_td F_tid F_tjd, i != j: factors
 * [batch][H][N][D], signs [H][D] (+1/-1), the rest as above. Saves the caller J. Long heads (one
 * head with D >= 64 or 96 tokens or more, several of 2048 or more) are solved on the factors as
 * sessions do it, if the device takes them: nothing of size N x N is held. */
QAMA_API qama_status qama_solver_solve_factors_f32(qama_solver* solver, int32_t batch, int32_t rank,
                                                   const float* factors, const float* signs,
                                                   const float* field, float lambda,
                                                   const int32_t* count, uint64_t seed,
                                                   uint8_t* spins, double* energy);

#ifdef __cplusplus
}
#endif
#endif /* QAMA_QAMA_H */
