// What the operator uses of ONNX Runtime's C API, declared here: neither building nor shipping
// needs its header or library. Functions stand in OrtApi in an order that never changes; a later
// version adds at the end. tests/runtime/onnxruntime compares this with the real library.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qama::onnxruntime {

/// The oldest version with all that is used here (ONNX Runtime 1.17).
inline constexpr std::uint32_t kApiVersion = 17;

// What the library alone looks into.
struct OrtStatus;
struct OrtValue;
struct OrtShape;  ///< its OrtTensorTypeAndShapeInfo
struct OrtKernelInfo;
struct OrtKernelContext;
struct OrtSessionOptions;
struct OrtCustomOpDomain;
struct OrtCustomOp;

enum ErrorKind : int { kFail = 1, kInvalidArgument = 2 };
enum ElementType : int { kUndefined = 0, kFloat = 1, kInt64 = 7 };
enum Characteristic : int { kRequired = 0, kOptional = 1 };

/// The library's functions, by their places.
struct OrtApi {
  using Function = void (*)();
  Function functions[250];

  template <std::size_t place, typename Signature, typename... Arguments>
  auto call(Arguments... arguments) const noexcept {
    return reinterpret_cast<Signature*>(functions[place])(arguments...);
  }

  // Strings and values stay the library's. A status that is not null is the receiver's.
  OrtStatus* create_status(ErrorKind kind, const char* message) const noexcept {
    return call<0, OrtStatus*(int, const char*)>(static_cast<int>(kind), message);
  }
  void release_status(OrtStatus* status) const noexcept { call<93, void(OrtStatus*)>(status); }
  OrtStatus* create_domain(const char* name, OrtCustomOpDomain** out) const noexcept {
    return call<26, OrtStatus*(const char*, OrtCustomOpDomain**)>(name, out);
  }
  OrtStatus* add_operator(OrtCustomOpDomain* domain, const OrtCustomOp* op) const noexcept {
    return call<27, OrtStatus*(OrtCustomOpDomain*, const OrtCustomOp*)>(domain, op);
  }
  OrtStatus* add_domain(OrtSessionOptions* options, OrtCustomOpDomain* domain) const noexcept {
    return call<28, OrtStatus*(OrtSessionOptions*, OrtCustomOpDomain*)>(options, domain);
  }
  /// Floats or 64-bit integers, as the operator's inputs and outputs are.
  OrtStatus* data(const OrtValue* value, void** out) const noexcept {
    return call<51, OrtStatus*(const OrtValue*, void**)>(value, out);
  }
  OrtStatus* rank(const OrtShape* shape, std::size_t* out) const noexcept {
    return call<61, OrtStatus*(const OrtShape*, std::size_t*)>(shape, out);
  }
  OrtStatus* extents(const OrtShape* shape, std::int64_t* out, std::size_t count) const noexcept {
    return call<62, OrtStatus*(const OrtShape*, std::int64_t*, std::size_t)>(shape, out, count);
  }
  OrtStatus* elements(const OrtShape* shape, std::size_t* out) const noexcept {
    return call<64, OrtStatus*(const OrtShape*, std::size_t*)>(shape, out);
  }
  OrtStatus* shape(const OrtValue* value, OrtShape** out) const noexcept {
    return call<65, OrtStatus*(const OrtValue*, OrtShape**)>(value, out);
  }
  void release_shape(OrtShape* shape) const noexcept { call<99, void(OrtShape*)>(shape); }
  OrtStatus* attribute(const OrtKernelInfo* info, const char* name,
                       std::int64_t* out) const noexcept {
    return call<86, OrtStatus*(const OrtKernelInfo*, const char*, std::int64_t*)>(info, name, out);
  }
  /// `size`: of `out` with its zero; without `out` it becomes what is needed.
  OrtStatus* attribute(const OrtKernelInfo* info, const char* name, char* out,
                       std::size_t* size) const noexcept {
    return call<87, OrtStatus*(const OrtKernelInfo*, const char*, char*, std::size_t*)>(info, name,
                                                                                        out, size);
  }
  OrtStatus* input(const OrtKernelContext* context, std::size_t index,
                   const OrtValue** out) const noexcept {
    return call<90, OrtStatus*(const OrtKernelContext*, std::size_t, const OrtValue**)>(context,
                                                                                        index, out);
  }
  OrtStatus* output(OrtKernelContext* context, std::size_t index, const std::int64_t* extents,
                    std::size_t count, OrtValue** out) const noexcept {
    return call<91, OrtStatus*(OrtKernelContext*, std::size_t, const std::int64_t*, std::size_t,
                               OrtValue**)>(context, index, extents, count, out);
  }
  OrtStatus* constant_input(const OrtKernelInfo* info, std::size_t index, int* is_constant,
                            const OrtValue** out) const noexcept {
    return call<249, OrtStatus*(const OrtKernelInfo*, std::size_t, int*, const OrtValue**)>(
        info, index, is_constant, out);
  }
};

struct OrtApiBase {
  const OrtApi* (*get_api)(std::uint32_t version) noexcept;
  const char* (*version)() noexcept;
};

/// An operator as the library calls it; all functions up to kApiVersion.
struct OrtCustomOp {
  std::uint32_t version;
  void* (*create_kernel)(const OrtCustomOp*, const OrtApi*, const OrtKernelInfo*);
  const char* (*name)(const OrtCustomOp*);
  const char* (*provider)(const OrtCustomOp*);
  ElementType (*input_type)(const OrtCustomOp*, std::size_t);
  std::size_t (*inputs)(const OrtCustomOp*);
  ElementType (*output_type)(const OrtCustomOp*, std::size_t);
  std::size_t (*outputs)(const OrtCustomOp*);
  void (*compute)(void*, OrtKernelContext*);
  void (*destroy_kernel)(void*);
  Characteristic (*input_characteristic)(const OrtCustomOp*, std::size_t);
  Characteristic (*output_characteristic)(const OrtCustomOp*, std::size_t);
  int (*input_memory)(const OrtCustomOp*, std::size_t);
  int (*least_variadic_inputs)(const OrtCustomOp*);
  int (*variadic_inputs_alike)(const OrtCustomOp*);
  int (*least_variadic_outputs)(const OrtCustomOp*);
  int (*variadic_outputs_alike)(const OrtCustomOp*);
  OrtStatus* (*create_kernel_or_status)(const OrtCustomOp*, const OrtApi*, const OrtKernelInfo*,
                                        void**);
  OrtStatus* (*compute_or_status)(void*, OrtKernelContext*);
  OrtStatus* (*infer_shape)(const OrtCustomOp*, void*);
  int (*first_version)(const OrtCustomOp*);
  int (*last_version)(const OrtCustomOp*);
};

}  // namespace qama::onnxruntime
