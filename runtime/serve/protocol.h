// The Open Inference Protocol, version 2, as far as it is texts: a request for an inference becomes
// samples, logits become a reply, a model describes itself. JSON, with tensors in it or behind it
// (the binary extension); an image file or a text may be the whole body. README.md of runtime has
// the tensors. To add an output: a line in kOutputs and a case in write_output().
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"
#include "runtime/api/sample.h"
#include "runtime/engine/model.h"

namespace qama::serve {

inline constexpr std::int32_t kMaxSamples = 1024;  ///< of a request

/// A body, and what the head says of it.
struct InferBody {
  std::string_view bytes;
  std::string_view content_type;
  std::string_view header_length;          ///< Inference-Header-Content-Length; empty without it
  std::string_view sample_index, timeout;  ///< of the query; empty without them
};

struct WantedOutput {
  std::size_t which = 0;  ///< of the model's outputs
  bool binary = false;
};

/// Samples of one kind, as a session takes them.
struct InferRequest {
  enum class Kind : std::uint8_t { pixels, floats, tokens };
  std::string id;
  /// Sample i has the index first_sample + i, which with the seed decides the solver's random
  /// numbers: neither the batch nor the order of requests does.
  std::uint64_t first_sample = 0;
  std::int64_t timeout_us = 0;  ///< 0: the server's
  Kind kind = Kind::pixels;
  std::int32_t count = 0;
  std::vector<std::uint8_t> pixels;
  std::vector<float> floats;
  std::vector<std::int32_t> tokens, lengths;
  std::vector<WantedOutput> outputs;
};

/// INVALID_ARGUMENT, MODEL_WRONG_KIND, IMAGE_*, TEXT_BAD_ENCODING. Sizes are checked before
/// anything of theirs is made.
[[nodiscard]] Result<InferRequest> read_request(const runtime::Model& model,
                                                const runtime::SampleReader& reader,
                                                const InferBody& body);

/// A reply's body; `header_length` is that of its JSON if tensors lie behind it, else 0.
struct InferReply {
  std::string body;
  std::size_t header_length = 0;
};

/// `logits` are count x classes. INTERNAL for a logit that is no finite number.
[[nodiscard]] Result<InferReply> write_reply(const runtime::Model& model, std::string_view name,
                                             const InferRequest& request,
                                             std::span<const float> logits);

/// What GET /v2/models/NAME says.
[[nodiscard]] std::string model_metadata(const runtime::Model& model, std::string_view name);
/// What GET /v2 says.
[[nodiscard]] std::string server_metadata(std::string_view version);
/// {"error": "NAME: sentence"}
[[nodiscard]] std::string error_body(const Error& error);
/// The status of HTTP that tells an error.
[[nodiscard]] int http_status(ErrorCode code) noexcept;

}  // namespace qama::serve
