#include <algorithm>
#include <array>
#include <map>
#include <new>
#include <oneapi/dnnl/dnnl.hpp>
#include <tuple>

#include "hal/base/aligned.h"
#include "ops/linear_impl.h"

#if QAMA_WRAPS_DNNL
// Three functions inside oneDNN, in whose place the linker puts ours (--wrap, ops/CMakeLists.txt).
extern "C" {
// dnnl::impl::malloc. oneDNN's objects have an operator new that gives null where there is no
// memory, which compilers take for impossible: constructors run on it. Ours throws.
void* __real__ZN4dnnl4impl6mallocEmi(std::size_t size, int alignment);
void* __wrap__ZN4dnnl4impl6mallocEmi(std::size_t size, int alignment) {
  void* memory = __real__ZN4dnnl4impl6mallocEmi(size, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
// brgemm_kernel_create of dnnl::impl::cpu::x64. It loses the kernel whose code cannot be generated.
#define QAMA_CREATE(prefix) \
  prefix##_ZN4dnnl4impl3cpu3x6420brgemm_kernel_createEPPNS2_15brgemm_kernel_tERKNS2_13brgemm_desc_tE
dnnl_status_t QAMA_CREATE(__real_)(void** kernel, const void* desc);
dnnl_status_t _ZN4dnnl4impl3cpu3x6421brgemm_kernel_destroyEPNS2_15brgemm_kernel_tE(void* kernel);
dnnl_status_t QAMA_CREATE(__wrap_)(void** kernel, const void* desc) {
  try {
    return QAMA_CREATE(__real_)(kernel, desc);
  } catch (const std::bad_alloc&) {
    _ZN4dnnl4impl3cpu3x6421brgemm_kernel_destroyEPNS2_15brgemm_kernel_tE(*kernel);
    *kernel = nullptr;
    return dnnl_out_of_memory;
  }
}
#undef QAMA_CREATE
// The copy constructor of brgemm_desc_t. It loses its attributes where the rest has no memory.
#define QAMA_MEMBER(prefix, name) prefix##_ZN4dnnl4impl3cpu3x6413brgemm_desc_t##name
void QAMA_MEMBER(__real_, C1ERKS3_)(void* self, const void* other);
void QAMA_MEMBER(, 12cleanup_attrEv)(void* self);
void QAMA_MEMBER(__wrap_, C1ERKS3_)(void* self, const void* other) {
  try {
    QAMA_MEMBER(__real_, C1ERKS3_)(self, other);
  } catch (...) {
    QAMA_MEMBER(, 12cleanup_attrEv)(self);
    throw;
  }
}
#undef QAMA_MEMBER
}
#endif

namespace qama::ops {
namespace {

using Dims = dnnl::memory::dims;
using Tag = dnnl::memory::format_tag;
constexpr auto kF32 = dnnl::memory::data_type::f32;

/// runtime_error is what oneDNN makes of an exception while it starts, and of code that got no
/// pages.
ErrorCode code_of(const dnnl::error& e) noexcept {
  return e.status == dnnl_out_of_memory || e.status == dnnl_runtime_error ? ErrorCode::out_of_memory
                                                                          : ErrorCode::unsupported;
}

Error dnnl_error(const LinearSpec& spec, const char* doing, const dnnl::error& e) {
  return {code_of(e), std::string("oneDNN: ") + doing + " a linear layer of " +
                          std::to_string(spec.in) + " -> " + std::to_string(spec.out) + ": " +
                          e.what()};
}

/// Where each index of one dimension of a blocked layout lies: element (o, i) is at places(desc,
/// 0)[o] + places(desc, 1)[i].
std::vector<std::size_t> places(const dnnl::memory::desc& desc, std::int64_t dimension) {
  const auto d = static_cast<std::size_t>(dimension);
  const Dims blocks = desc.get_inner_blks();
  const Dims block_dimensions = desc.get_inner_idxs();
  std::vector<std::size_t> out(static_cast<std::size_t>(desc.get_dims()[d]));
  for (std::size_t p = 0; p < out.size(); ++p) {
    auto left = static_cast<std::int64_t>(p);
    std::int64_t stride = 1;
    std::int64_t at = 0;
    for (std::size_t k = blocks.size(); k-- > 0; stride *= blocks[k]) {
      if (block_dimensions[k] != dimension) continue;
      at += left % blocks[k] * stride;
      left /= blocks[k];
    }
    out[p] = static_cast<std::size_t>(at + left * desc.get_strides()[d]);
  }
  return out;
}

/// Lays weights [out][in] out as `desc` wants them. A reorder primitive would do the same, after
/// generating code for a tenth of a millisecond a layer.
void lay_out(std::span<const float> weights, const dnnl::memory::desc& desc,
             AlignedBuffer<std::byte>& to) {
  std::fill_n(to.data(), to.size(), std::byte{0});
  auto* floats = reinterpret_cast<float*>(to.data());
  const std::vector<std::size_t> rows = places(desc, 0);
  const std::vector<std::size_t> columns = places(desc, 1);
  const float* from = weights.data();
  for (const std::size_t row : rows) {
    for (const std::size_t column : columns) floats[row + column] = *from++;
  }
}

/// One shape's code, shared by every layer of that shape.
struct Kernel {
  dnnl::inner_product_forward::primitive_desc desc;
  dnnl::inner_product_forward primitive;
};

}  // namespace

struct LinearFactory::Impl {
  dnnl::engine engine;
  dnnl::stream stream;
  /// rows, rows that the weights are laid out for, in, out, bias, activation
  using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, bool, Activation>;
  std::map<Key, std::shared_ptr<const Kernel>> kernels;

  std::shared_ptr<const Kernel> kernel(const LinearSpec& spec, std::int64_t rows,
                                       const dnnl::memory::desc* weights) {
    const Key key{rows, spec.rows.back(), spec.in, spec.out, spec.bias, spec.activation};
    auto& slot = kernels[key];
    if (slot == nullptr) {
      const dnnl::memory::desc x(Dims{rows, spec.in}, kF32, Tag::ab);
      const dnnl::memory::desc y(Dims{rows, spec.out}, kF32, Tag::ab);
      const dnnl::memory::desc any(Dims{spec.out, spec.in}, kF32, Tag::any);
      const dnnl::memory::desc b =
          spec.bias ? dnnl::memory::desc(Dims{spec.out}, kF32, Tag::a) : dnnl::memory::desc();
      dnnl::primitive_attr attributes;
      attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
      if (spec.activation != Activation::none) {
        dnnl::post_ops post;
        post.append_eltwise(spec.activation == Activation::gelu_erf
                                ? dnnl::algorithm::eltwise_gelu_erf
                                : dnnl::algorithm::eltwise_gelu_tanh,
                            0.0F, 0.0F);
        attributes.set_post_ops(post);
      }
      auto made = std::make_shared<Kernel>();
      made->desc = dnnl::inner_product_forward::primitive_desc(
          engine, dnnl::prop_kind::forward_inference, x, weights == nullptr ? any : *weights, b, y,
          attributes);
      made->primitive = dnnl::inner_product_forward(made->desc);
      slot = std::move(made);
    }
    return slot;
  }
};

LinearFactory::LinearFactory(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LinearFactory::~LinearFactory() = default;

Result<std::unique_ptr<LinearFactory>> LinearFactory::create() {
  try {
    auto impl = std::make_unique<Impl>();
    dnnl_set_verbose(0);  // it would print errors to standard output
    impl->engine = dnnl::engine(dnnl::engine::kind::cpu, 0);
    impl->stream = dnnl::stream(impl->engine);
    return std::unique_ptr<LinearFactory>(new LinearFactory(std::move(impl)));
  } catch (const dnnl::error& e) {
    return Error{code_of(e), std::string("oneDNN does not start: ") + e.what()};
  }
}

namespace {

struct OneDnnCall final : LinearCall::Impl {
  dnnl::stream stream;
  std::shared_ptr<const Kernel> kernel;
  std::array<dnnl::memory, 5> memories;
  std::array<dnnl_exec_arg_t, 5> arguments{};
  int count = 0;

  void add(int kind, const dnnl::memory::desc& desc, const dnnl::engine& engine, const void* data) {
    const auto slot = static_cast<std::size_t>(count++);
    memories[slot] = dnnl::memory(desc, engine, const_cast<void*>(data));
    arguments[slot] = {kind, memories[slot].get()};
  }
  bool run() const noexcept override {
    // The C function, because the C++ one copies its arguments into a vector.
    return dnnl_primitive_execute(kernel->primitive.get(), stream.get(), count, arguments.data()) ==
           dnnl_success;
  }
};

struct OneDnn final : Linear::Impl {
  using Impl::Impl;

  dnnl::engine engine;
  std::vector<std::shared_ptr<const Kernel>> kernels;  // one an entry of spec.rows
  dnnl::memory::desc weights_desc;
  AlignedBuffer<std::byte> weights;
  AlignedBuffer<float> bias;

  std::size_t weight_bytes() const noexcept override {
    return weights.size() + bias.size() * sizeof(float);
  }

  Result<LinearCall> bind(std::size_t variant, const float* x, float* y,
                          std::byte* scratch) const override {
    try {
      const auto& kernel = kernels.at(variant);
      auto call = std::make_unique<OneDnnCall>();
      call->stream = dnnl::stream(engine);
      call->kernel = kernel;
      call->add(DNNL_ARG_SRC, kernel->desc.src_desc(), engine, x);
      call->add(DNNL_ARG_WEIGHTS, weights_desc, engine, weights.data());
      if (spec.bias) call->add(DNNL_ARG_BIAS, kernel->desc.bias_desc(), engine, bias.data());
      call->add(DNNL_ARG_DST, kernel->desc.dst_desc(), engine, y);
      if (kernel->desc.scratchpad_desc().get_size() > 0) {
        call->add(DNNL_ARG_SCRATCHPAD, kernel->desc.scratchpad_desc(), engine, scratch);
      }
      return LinearCall(std::move(call));
    } catch (const dnnl::error& e) {
      return dnnl_error(spec, "binding", e);
    }
  }
};

}  // namespace

Result<std::unique_ptr<Linear>> Linear::create(LinearFactory& factory, const LinearSpec& spec,
                                               std::span<const float> weights,
                                               std::span<const float> bias) {
  QAMA_RETURN_IF_ERROR(check_linear_sizes(spec, weights.size(), bias.size()));
  try {
    LinearFactory::Impl& shared = factory.impl();
    auto impl = std::make_unique<OneDnn>(spec);
    impl->engine = shared.engine;
    const auto largest = shared.kernel(spec, spec.rows.back(), nullptr);
    impl->weights_desc = largest->desc.weights_desc();
    for (std::size_t v = 0; v + 1 < spec.rows.size(); ++v) {
      impl->kernels.push_back(shared.kernel(spec, spec.rows[v], &impl->weights_desc));
    }
    impl->kernels.push_back(largest);
    for (const auto& kernel : impl->kernels) {
      impl->scratch_bytes =
          std::max(impl->scratch_bytes, kernel->desc.scratchpad_desc().get_size());
    }
    impl->implementation = largest->desc.impl_info_str();

    impl->weights.resize(impl->weights_desc.get_size());
    if (impl->weights_desc.get_format_kind() == dnnl::memory::format_kind::blocked) {
      lay_out(weights, impl->weights_desc, impl->weights);
    } else {
      const dnnl::memory::desc plain(Dims{spec.out, spec.in}, kF32, Tag::ab);
      dnnl::memory from(plain, shared.engine, const_cast<float*>(weights.data()));
      dnnl::memory to(impl->weights_desc, shared.engine, impl->weights.data());
      dnnl::reorder(from, to).execute(shared.stream, from, to);
      shared.stream.wait();
    }
    if (spec.bias) {
      impl->bias.resize(bias.size());
      std::copy(bias.begin(), bias.end(), impl->bias.data());
    }
    return std::make_unique<Linear>(std::move(impl));
  } catch (const dnnl::error& e) {
    return dnnl_error(spec, "preparing", e);
  }
}

}  // namespace qama::ops
