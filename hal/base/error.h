// The one list of errors. A code has a pinned number (it crosses the C ABI and is never re-used)
// and a stable name (it is printed as `qama: error: NAME: sentence` and tests match it). To add an
// error, add one line to QAMA_ERROR_CODES; never renumber.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace qama {

// clang-format off
#define QAMA_ERROR_CODES(X)                                                                        \
  X(ok, 0, "OK")                                                                                   \
  /* general */                                                                                    \
  X(invalid_argument, 1, "INVALID_ARGUMENT")                                                       \
  X(out_of_memory, 2, "OUT_OF_MEMORY")                                                             \
  X(io_error, 3, "IO_ERROR")                                                                       \
  X(not_found, 4, "NOT_FOUND")                                                                     \
  X(unsupported, 5, "UNSUPPORTED")                                                                 \
  X(internal, 6, "INTERNAL")                                                                       \
  X(arena_too_small, 7, "ARENA_TOO_SMALL")                                                         \
  X(deadline_exceeded, 8, "DEADLINE_EXCEEDED")                                                     \
  X(cancelled, 9, "CANCELLED")                                                                     \
  X(size_overflow, 10, "SIZE_OVERFLOW")                                                            \
  X(usage, 11, "USAGE")                                                                            \
  /* model file */                                                                                 \
  X(model_truncated, 100, "MODEL_TRUNCATED")                                                       \
  X(model_header_too_large, 101, "MODEL_HEADER_TOO_LARGE")                                         \
  X(model_header_not_json, 102, "MODEL_HEADER_NOT_JSON")                                           \
  X(model_header_bad_entry, 103, "MODEL_HEADER_BAD_ENTRY")                                         \
  X(model_duplicate_key, 104, "MODEL_DUPLICATE_KEY")                                               \
  X(model_too_many_tensors, 105, "MODEL_TOO_MANY_TENSORS")                                         \
  X(model_bad_dtype, 106, "MODEL_BAD_DTYPE")                                                       \
  X(model_bad_rank, 107, "MODEL_BAD_RANK")                                                         \
  X(model_bad_offsets, 108, "MODEL_BAD_OFFSETS")                                                   \
  X(model_misaligned, 109, "MODEL_MISALIGNED")                                                     \
  X(model_trailing_bytes, 110, "MODEL_TRAILING_BYTES")                                             \
  X(model_checksum_mismatch, 111, "MODEL_CHECKSUM_MISMATCH")                                       \
  X(model_bad_metadata, 112, "MODEL_BAD_METADATA")                                                 \
  X(model_unsupported_version, 113, "MODEL_UNSUPPORTED_VERSION")                                   \
  X(model_bad_architecture, 114, "MODEL_BAD_ARCHITECTURE")                                         \
  X(model_missing_tensor, 115, "MODEL_MISSING_TENSOR")                                             \
  X(model_unknown_tensor, 116, "MODEL_UNKNOWN_TENSOR")                                             \
  X(model_bad_shape, 117, "MODEL_BAD_SHAPE")                                                       \
  X(model_bad_value, 118, "MODEL_BAD_VALUE")                                                       \
  X(model_wrong_kind, 119, "MODEL_WRONG_KIND")                                                     \
  X(model_bad_padding, 120, "MODEL_BAD_PADDING")                                                   \
  X(model_bad_preprocess, 121, "MODEL_BAD_PREPROCESS")                                             \
  X(model_bad_labels, 122, "MODEL_BAD_LABELS")                                                     \
  X(model_bad_vocabulary, 123, "MODEL_BAD_VOCABULARY")                                             \
  X(golden_wrong_model, 124, "GOLDEN_WRONG_MODEL")                                                 \
  X(model_not_trusted, 125, "MODEL_NOT_TRUSTED")                                                   \
  /* inputs and data sets */                                                                       \
  X(image_bad_format, 200, "IMAGE_BAD_FORMAT")                                                     \
  X(image_too_large, 201, "IMAGE_TOO_LARGE")                                                       \
  X(dataset_bad_format, 202, "DATASET_BAD_FORMAT")                                                 \
  X(dataset_truncated, 203, "DATASET_TRUNCATED")                                                   \
  X(dataset_empty, 204, "DATASET_EMPTY")                                                           \
  X(index_out_of_range, 205, "INDEX_OUT_OF_RANGE")                                                 \
  X(text_bad_encoding, 206, "TEXT_BAD_ENCODING")                                                   \
  X(image_blank, 207, "IMAGE_BLANK")                                                               \
  X(text_empty, 208, "TEXT_EMPTY")                                                                 \
  X(report_bad_format, 209, "REPORT_BAD_FORMAT")                                                   \
  X(shard_foreign, 210, "SHARD_FOREIGN")                                                           \
  X(shard_twice, 211, "SHARD_TWICE")                                                               \
  X(shard_missing, 212, "SHARD_MISSING")                                                           \
  /* problems and devices */                                                                       \
  X(problem_bad_format, 300, "PROBLEM_BAD_FORMAT")                                                 \
  X(problem_too_large, 301, "PROBLEM_TOO_LARGE")                                                   \
  X(problem_bad_value, 302, "PROBLEM_BAD_VALUE")                                                   \
  X(device_unknown, 303, "DEVICE_UNKNOWN")                                                         \
  X(device_unavailable, 304, "DEVICE_UNAVAILABLE")                                                 \
  X(device_bad_answer, 305, "DEVICE_BAD_ANSWER")                                                   \
  X(device_busy, 306, "DEVICE_BUSY")                                                               \
  X(device_lost, 307, "DEVICE_LOST")                                                               \
  X(device_protocol, 308, "DEVICE_PROTOCOL")                                                       \
  X(device_auth, 309, "DEVICE_AUTH")                                                               \
  X(golden_mismatch, 310, "GOLDEN_MISMATCH")                                                       \
  X(device_task_failed, 311, "DEVICE_TASK_FAILED")                                                 \
  X(device_task_unknown, 312, "DEVICE_TASK_UNKNOWN")                                               \
  /* requests to a server, and measurements */                                                     \
  X(request_unauthorized, 400, "REQUEST_UNAUTHORIZED")                                             \
  X(request_bad_method, 401, "REQUEST_BAD_METHOD")                                                 \
  X(request_too_large, 402, "REQUEST_TOO_LARGE")                                                   \
  X(server_busy, 403, "SERVER_BUSY")                                                               \
  X(assertion_failed, 404, "ASSERTION_FAILED")
// clang-format on

enum class ErrorCode : std::int32_t {
#define QAMA_X(identifier, number, name) identifier = number,
  QAMA_ERROR_CODES(QAMA_X)
#undef QAMA_X
};

/// The stable name of a code, e.g. "MODEL_TRUNCATED"; "UNKNOWN" for a number that is no code.
[[nodiscard]] std::string_view error_name(ErrorCode code) noexcept;

/// An error: a code and one sentence for a person, with expected against got.
struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;
};

}  // namespace qama
