#include "runtime/bare/flash_form.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>
#include <string>
#include <type_traits>

#include "hal/base/checked.h"
#include "hal/base/sentence.h"
#include "hal/cpu/dense/recombine.h"
#include "runtime/engine/forward.h"
#include "weights/flash.h"
#include "weights/panels.h"

namespace qama::bare {
namespace {

using weights::Dtype;

static_assert(std::endian::native == std::endian::little, "the flash form is little-endian");

/// Outputs a panel, of the kernels for machines without vectors.
constexpr std::int64_t kWidth = 8;

/// What flash_record() writes to.
class Output {
 public:
  template <typename Number>
  void operator()(const Number& value) {
    static_assert(std::is_arithmetic_v<Number> || std::is_enum_v<Number>);
    append(std::as_bytes(std::span(&value, 1)));
  }
  template <typename List, typename Visit>
  void list(const List& values, const Visit& visit) {
    (*this)(static_cast<std::uint32_t>(values.size()));
    for (const auto& value : values) visit(value);
  }
  void optional(const std::optional<double>& value) {
    (*this)(value.has_value());
    (*this)(value.value_or(0.0));
  }
  void text(std::string_view value) {
    (*this)(static_cast<std::uint32_t>(value.size()));
    append(std::as_bytes(std::span(value)));
  }
  void append(std::span<const std::byte> more) {
    bytes.insert(bytes.end(), more.begin(), more.end());
  }
  void align() { bytes.resize(round_up(bytes.size(), weights::kFlashAlignment)); }

  std::vector<std::byte> bytes;
};

/// A tensor of the form.
struct Stored {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;
};

template <typename T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

std::size_t padded(std::int64_t out) {
  return static_cast<std::size_t>((out + kWidth - 1) / kWidth * kWidth);
}

/// [out] -> [panels][kWidth].
std::vector<float> padded(std::span<const float> values, std::int64_t out) {
  std::vector<float> to(padded(out));
  std::copy(values.begin(), values.end(), to.begin());
  return to;
}

/// [out][in] -> [panels][in][kWidth].
template <typename T>
std::vector<T> in_panels(std::span<const T> from, std::int64_t in, std::int64_t out) {
  std::vector<T> to(padded(out) * static_cast<std::size_t>(in));
  for (std::int64_t o = 0; o < out; ++o) {
    for (std::int64_t k = 0; k < in; ++k) {
      to[static_cast<std::size_t>((o / kWidth * in + k) * kWidth + o % kWidth)] =
          from[static_cast<std::size_t>(o * in + k)];
    }
  }
  return to;
}

/// Collects what linear layers are made of, and what the model need not have beside that.
class Panels {
 public:
  void add(const runtime::MadeLinear& made) {
    const std::string name = weights::panels_of(made.tensor);
    const auto panels = static_cast<std::int64_t>(padded(made.out)) / kWidth;
    const std::vector<std::int64_t> shape{panels, made.in, kWidth};
    const std::vector<std::int64_t> row{panels * kWidth};
    if (made.int8.values.empty()) {
      tensors.push_back(
          {name, Dtype::f32, shape, bytes_of(in_panels(made.floats, made.in, made.out))});
    } else {
      tensors.push_back(
          {name, Dtype::i8, shape, bytes_of(in_panels(made.int8.values, made.in, made.out))});
      tensors.push_back(
          {name + ".scale", Dtype::f32, row, bytes_of(padded(made.int8.scales, made.out))});
    }
    tensors.push_back({name + ".bias", Dtype::f32, row, bytes_of(padded(made.bias, made.out))});
    leave_out(made.tensor);
    // Queries, keys and fields are folded of this one.
    if (made.tensor.ends_with("qkh")) {
      leave_out(made.tensor.substr(0, made.tensor.size() - 3) + "qkv");
    }
  }

  std::vector<Stored> tensors;
  std::set<std::string, std::less<>> left_out;

 private:
  void leave_out(const std::string& tensor) {
    for (const char* part : {".weight", ".scale", ".bias"}) left_out.insert(tensor + part);
  }
};

weights::FlashKind flash_kind(const weights::Architecture& a, bool other) {
  // A block of that kind; where there is none, nobody asks.
  std::int32_t block = 0;
  while (block + 1 < a.depth && (&a.attention_of(block) == &a.other_attention) != other) ++block;
  const bool projects = a.projects(block) || !a.attention_of(block).projection;
  return {a.is_qama(block), a.one_norm(block), projects, a.projections(block)};
}

Status check(const weights::Architecture& a) {
  if (a.is_text()) {
    return Error{ErrorCode::unsupported, "a model of texts, expected one of images or features"};
  }
  for (std::int32_t block = 0; block < a.depth; ++block) {
    const hal::Schedule& schedule = a.anneal_of(block);
    if (!a.is_qama(block) || schedule.rounds == 0) continue;
    if (schedule.restarts >= hal::cpu::kPoolRestarts) {
      return make_error(ErrorCode::unsupported, "block ", block, ": ", schedule.rounds,
                        " rounds after ", schedule.restarts, " restarts, expected less than ",
                        hal::cpu::kPoolRestarts, " restarts, or no rounds");
    }
  }
  return {};
}

Result<Stored> stored(const weights::ModelFile& file, const weights::TensorView& tensor) {
  Stored out{tensor.name, tensor.dtype, tensor.shape, {}};
  std::span<const std::byte> bytes = tensor.bytes;
  // What no linear layer multiplies by is used as floats, where it lies.
  if (tensor.dtype == Dtype::i8) {
    QAMA_ASSIGN_OR_RETURN(const weights::Int8Matrix matrix,
                          weights::int8_matrix(file, tensor.name));
    std::vector<float> floats(matrix.values.size());
    weights::widen(matrix, floats);
    out.dtype = Dtype::f32;
    out.bytes = bytes_of(floats);
    return out;
  }
  if (tensor.dtype != Dtype::i32) {
    out.dtype = Dtype::f32;
    QAMA_ASSIGN_OR_RETURN(const auto values, file.f32(tensor.name));
    bytes = std::as_bytes(values);
  }
  out.bytes.assign(bytes.begin(), bytes.end());
  return out;
}

}  // namespace

Result<std::vector<std::byte>> flash_form(const runtime::Model& model) {
  const weights::Architecture& a = model.architecture();
  QAMA_RETURN_IF_ERROR(check(a));
  Panels panels;
  {
    runtime::Pipeline pipeline;
    runtime::Builder builder(model, true, 1, pipeline);
    builder.on_linear = [&panels](const runtime::MadeLinear& made) { panels.add(made); };
    QAMA_RETURN_IF_ERROR(runtime::add_forward(builder));
    if (pipeline.factors_shape.tokens > 0) {
      return Error{ErrorCode::unsupported,
                   "heads so long that they are solved on factors, expected shorter ones"};
    }
  }
  std::vector<Stored> tensors = std::move(panels.tensors);
  for (const weights::TensorView& tensor : model.file().tensors()) {
    if (tensor.dtype == Dtype::i8) panels.left_out.insert(weights::scales_of(tensor.name));
  }
  for (const weights::TensorView& tensor : model.file().tensors()) {
    if (tensor.is_padding() || panels.left_out.contains(tensor.name)) continue;
    QAMA_ASSIGN_OR_RETURN(tensors.emplace_back(), stored(model.file(), tensor));
  }

  Output out;
  out.bytes.resize(sizeof(weights::FlashHeader));
  const weights::FlashModel record{a, model.preprocess(), flash_kind(a, false),
                                   flash_kind(a, true)};
  weights::flash_record(out, record);
  for (const std::string& label : model.file().labels()) out.text(label);
  weights::FlashHeader header;
  header.index = static_cast<std::uint32_t>(out.bytes.size());
  header.tensors = static_cast<std::uint32_t>(tensors.size());
  std::size_t bytes = 0;
  std::vector<std::size_t> places;
  for (const Stored& tensor : tensors) {
    out.text(tensor.name);
    out(tensor.dtype);
    out(static_cast<std::uint8_t>(tensor.shape.size()));
    for (const std::int64_t size : tensor.shape) out(size);
    places.push_back(out.bytes.size());
    out(std::uint32_t{0});
    bytes += round_up(tensor.bytes.size(), weights::kFlashAlignment);
  }
  if (out.bytes.size() + bytes > INT32_MAX) {
    return Error{ErrorCode::size_overflow, "a flash form of more than 2 GiB"};
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    out.align();
    const auto offset = static_cast<std::uint32_t>(out.bytes.size());
    std::memcpy(out.bytes.data() + places[i], &offset, sizeof(offset));
    out.append(tensors[i].bytes);
  }
  out.align();
  header.bytes = static_cast<std::uint32_t>(out.bytes.size());
  header.checksum =
      weights::flash_checksum(std::span<const std::byte>(out.bytes).subspan(sizeof(header)));
  std::memcpy(out.bytes.data(), &header, sizeof(header));
  return out.bytes;
}

}  // namespace qama::bare
