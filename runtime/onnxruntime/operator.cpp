// `qama::QamaAttention` for ONNX Runtime. An engine that loads this library calls
// RegisterCustomOps(); README.md here says what the operator takes. No exception leaves it; an
// error becomes the library's status, with our stable name before the sentence.
#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/onnxruntime/layer.h"
#include "runtime/onnxruntime/ort_api.h"

namespace qama::onnxruntime {
namespace {

constexpr const char* kDomain = "qama";
constexpr const char* kName = "QamaAttention";

/// The inputs: x, seed, index, then the layer's tensors as a model file names them.
constexpr std::size_t kX = 0, kSeed = 1, kIndex = 2, kFirstTensor = 3;
constexpr std::array<std::string_view, 18> kTensors = {
    "qkv.weight",  "qkv.bias",      "w_eps",         "coupling.scale", "coupling.shift",
    "field.scale", "field.shift",   "energy.scale",  "energy.shift",   "energy.weight",
    "energy.bias", "out.weight",    "norm_q.weight", "norm_q.bias",    "norm_k.weight",
    "norm_k.bias", "norm_v.weight", "norm_v.bias"};
constexpr std::size_t kMaxRecordBytes = std::size_t{1} << 20;  // as a model file's header

/// A status of the library as an error; frees it.
Status taken(const OrtApi& api, OrtStatus* status, const std::string& what) {
  if (status == nullptr) return {};
  api.release_status(status);
  return Error{ErrorCode::invalid_argument, what};
}

OrtStatus* given(const OrtApi& api, const Error& error) noexcept {
  std::array<char, 1024> text{};
  const std::string_view name = error_name(error.code);
  const std::size_t head = std::min(name.size(), text.size() / 2);
  std::memcpy(text.data(), name.data(), head);
  std::memcpy(text.data() + head, ": ", 2);
  const std::size_t rest = std::min(error.message.size(), text.size() - head - 3);
  std::memcpy(text.data() + head + 2, error.message.data(), rest);
  return api.create_status(
      error.code == ErrorCode::out_of_memory || error.code == ErrorCode::internal
          ? kFail
          : kInvalidArgument,
      text.data());
}

/// Runs `body`, which returns a Status, at the edge of the library.
template <typename Body>
OrtStatus* guarded(const OrtApi& api, Body&& body) noexcept {
  try {
    const Status status = body();
    return status.ok() ? nullptr : given(api, status.error());
  } catch (const std::bad_alloc&) {
    return api.create_status(kFail, "OUT_OF_MEMORY: no memory left");
  } catch (...) {
    return api.create_status(kFail, "INTERNAL: an unexpected exception");
  }
}

/// A tensor as the library holds it.
struct Tensor {
  std::vector<std::int64_t> extents;
  std::size_t count = 0;
  void* data = nullptr;
};

Result<Tensor> tensor_of(const OrtApi& api, const OrtValue* value, const std::string& name) {
  Tensor out;
  const std::string what = name + ": expected a tensor";
  OrtShape* shape = nullptr;
  QAMA_RETURN_IF_ERROR(taken(api, api.shape(value, &shape), what));
  std::size_t rank = 0;
  Status status = taken(api, api.rank(shape, &rank), what);
  if (status.ok()) {
    out.extents.resize(rank);
    status = taken(api, api.extents(shape, out.extents.data(), rank), what);
  }
  if (status.ok()) status = taken(api, api.elements(shape, &out.count), what);
  api.release_shape(shape);
  QAMA_RETURN_IF_ERROR(status);
  QAMA_RETURN_IF_ERROR(taken(api, api.data(value, &out.data), what));
  return out;
}

struct Kernel {
  const OrtApi* api = nullptr;
  std::unique_ptr<Layer> layer;
};

Result<std::string> record_of(const OrtApi& api, const OrtKernelInfo* info) {
  const std::string what = "attribute 'record': expected a model's architecture record";
  std::size_t size = 0;
  QAMA_RETURN_IF_ERROR(taken(api, api.attribute(info, "record", nullptr, &size), what));
  if (size < 1 || size > kMaxRecordBytes) return Error{ErrorCode::invalid_argument, what};
  std::string record(size, '\0');
  QAMA_RETURN_IF_ERROR(taken(api, api.attribute(info, "record", record.data(), &size), what));
  record.resize(size - 1);
  return record;
}

Result<std::unique_ptr<Kernel>> make_kernel(const OrtApi& api, const OrtKernelInfo* info) {
  QAMA_ASSIGN_OR_RETURN(const std::string record, record_of(api, info));
  std::int64_t block = -1;
  QAMA_RETURN_IF_ERROR(taken(api, api.attribute(info, "block", &block),
                             "attribute 'block': expected the number of a block"));
  if (block < 0 || block > std::numeric_limits<std::int32_t>::max()) block = -1;
  const auto weights = [&](const std::string& name) -> Result<std::span<const float>> {
    const auto found = std::find(kTensors.begin(), kTensors.end(), name);
    const std::size_t index = kFirstTensor + static_cast<std::size_t>(found - kTensors.begin());
    const std::string what = "input " + std::to_string(index) + " '" + name + "'";
    int constant = 0;
    const OrtValue* value = nullptr;
    QAMA_RETURN_IF_ERROR(taken(api, api.constant_input(info, index, &constant, &value),
                               what + ": expected an initializer"));
    if (constant == 0 || value == nullptr) {
      return Error{ErrorCode::model_missing_tensor,
                   what + " is missing or computed, expected an initializer"};
    }
    QAMA_ASSIGN_OR_RETURN(const Tensor tensor, tensor_of(api, value, what));
    return std::span<const float>(static_cast<const float*>(tensor.data), tensor.count);
  };
  auto kernel = std::make_unique<Kernel>();
  kernel->api = &api;
  QAMA_ASSIGN_OR_RETURN(kernel->layer,
                        Layer::create(record, static_cast<std::int32_t>(block), weights));
  return kernel;
}

Result<Tensor> input(const Kernel& kernel, const OrtKernelContext* context, std::size_t index,
                     const std::string& name) {
  const OrtValue* value = nullptr;
  QAMA_RETURN_IF_ERROR(
      taken(*kernel.api, kernel.api->input(context, index, &value), name + ": expected an input"));
  return tensor_of(*kernel.api, value, name);
}

/// The one number of `seed` or `index`.
Result<std::uint64_t> number(const Kernel& kernel, const OrtKernelContext* context,
                             std::size_t index, const std::string& name) {
  QAMA_ASSIGN_OR_RETURN(const Tensor tensor, input(kernel, context, index, name));
  if (tensor.count != 1) {
    return Error{ErrorCode::invalid_argument,
                 name + ": " + std::to_string(tensor.count) + " numbers, expected 1"};
  }
  return static_cast<std::uint64_t>(*static_cast<const std::int64_t*>(tensor.data));
}

Status compute(const Kernel& kernel, OrtKernelContext* context) {
  const OrtApi& api = *kernel.api;
  const Layer& layer = *kernel.layer;
  QAMA_ASSIGN_OR_RETURN(const Tensor x, input(kernel, context, kX, "x"));
  QAMA_ASSIGN_OR_RETURN(const std::uint64_t seed, number(kernel, context, kSeed, "seed"));
  QAMA_ASSIGN_OR_RETURN(const std::uint64_t index, number(kernel, context, kIndex, "index"));
  if (x.extents.size() != 3 || x.extents[2] != layer.dim()) {
    return Error{ErrorCode::invalid_argument,
                 "x has " + std::to_string(x.extents.size()) + " dimensions and rows of " +
                     std::to_string(x.extents.empty() ? 0 : x.extents.back()) +
                     ", expected [batch, tokens, " + std::to_string(layer.dim()) + "]"};
  }
  OrtValue* value = nullptr;
  QAMA_RETURN_IF_ERROR(
      taken(api, api.output(context, 0, x.extents.data(), 3, &value), "the output cannot be made"));
  QAMA_ASSIGN_OR_RETURN(const Tensor out, tensor_of(api, value, "the output"));
  const std::int64_t stride = x.extents[1] * x.extents[2];
  for (std::int64_t i = 0; i < x.extents[0]; ++i) {
    QAMA_RETURN_IF_ERROR(layer.run(static_cast<const float*>(x.data) + i * stride, x.extents[1],
                                   seed, index + static_cast<std::uint64_t>(i),
                                   static_cast<float*>(out.data) + i * stride));
  }
  return {};
}

OrtCustomOp operator_of() {
  OrtCustomOp op{};
  op.version = kApiVersion;
  op.name = [](const OrtCustomOp*) { return kName; };
  op.provider = [](const OrtCustomOp*) -> const char* { return nullptr; };  // the CPU
  op.input_type = [](const OrtCustomOp*, std::size_t index) {
    return index == kSeed || index == kIndex ? kInt64 : kFloat;
  };
  op.inputs = [](const OrtCustomOp*) { return kFirstTensor + kTensors.size(); };
  op.output_type = [](const OrtCustomOp*, std::size_t) { return kFloat; };
  op.outputs = [](const OrtCustomOp*) { return std::size_t{1}; };
  op.destroy_kernel = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
  // qkv.weight and w_eps are of every kind of layer.
  op.input_characteristic = [](const OrtCustomOp*, std::size_t index) {
    const bool needed = index <= kFirstTensor || index == kFirstTensor + 2;
    return needed ? kRequired : kOptional;
  };
  op.output_characteristic = [](const OrtCustomOp*, std::size_t) { return kRequired; };
  op.input_memory = [](const OrtCustomOp*, std::size_t) { return 0; };
  op.least_variadic_inputs = [](const OrtCustomOp*) { return 1; };
  op.variadic_inputs_alike = [](const OrtCustomOp*) { return 1; };
  op.least_variadic_outputs = [](const OrtCustomOp*) { return 1; };
  op.variadic_outputs_alike = [](const OrtCustomOp*) { return 1; };
  op.create_kernel_or_status = [](const OrtCustomOp*, const OrtApi* api, const OrtKernelInfo* info,
                                  void** out) {
    return guarded(*api, [&]() -> Status {
      QAMA_ASSIGN_OR_RETURN(auto kernel, make_kernel(*api, info));
      *out = kernel.release();
      return {};
    });
  };
  op.compute_or_status = [](void* kernel, OrtKernelContext* context) {
    const auto& own = *static_cast<const Kernel*>(kernel);
    return guarded(*own.api, [&] { return compute(own, context); });
  };
  op.first_version = [](const OrtCustomOp*) { return 1; };
  op.last_version = [](const OrtCustomOp*) { return std::numeric_limits<int>::max(); };
  return op;
}

}  // namespace
}  // namespace qama::onnxruntime

extern "C" __attribute__((visibility("default"))) qama::onnxruntime::OrtStatus* RegisterCustomOps(
    qama::onnxruntime::OrtSessionOptions* options, const qama::onnxruntime::OrtApiBase* base) {
  using namespace qama::onnxruntime;
  const OrtApi* api = base->get_api(kApiVersion);
  // Nobody can be told why: a status is made by an API.
  if (api == nullptr) return nullptr;
  static const OrtCustomOp op = operator_of();
  // Sessions use the domain as long as they are there, and nobody says when the last one is gone.
  OrtCustomOpDomain* domain = nullptr;
  if (OrtStatus* status = api->create_domain(kDomain, &domain)) return status;
  if (OrtStatus* status = api->add_operator(domain, &op)) return status;
  return api->add_domain(options, domain);
}
