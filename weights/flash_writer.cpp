#include <bit>
#include <cstring>
#include <string>
#include <type_traits>

#include "hal/base/checked.h"
#include "hal/base/sentence.h"
#include "weights/attention/kind.h"
#include "weights/flash.h"
#include "weights/int8.h"
#include "weights/model_file.h"

namespace qama::weights {
namespace {

static_assert(std::endian::native == std::endian::little, "the flash form is little-endian");

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
  void align() { bytes.resize(round_up(bytes.size(), kFlashAlignment)); }

  std::vector<std::byte> bytes;
};

FlashKind flash_kind(const AttentionSpec& spec) {
  const AttentionRules& rules = rules_of(spec.kind);
  return {rules.anneals, rules.one_norm, rules.projections};
}

/// From so many restarts on, rounds recombine heads (hal/cpu/dense/recombine.h).
constexpr std::int32_t kRecombiningRestarts = 8;

Status check(const ModelFile& model) {
  const Architecture& a = model.architecture();
  if (a.is_text()) {
    return Error{ErrorCode::unsupported, "a model of texts, expected one of images or features"};
  }
  for (std::int32_t block = 0; block < a.depth; ++block) {
    if (a.projects(block) != a.attention_of(block).projection) {
      return Error{ErrorCode::internal,
                   "a kind without a projection that its record does not show"};
    }
    const hal::Schedule& schedule = a.anneal_of(block);
    if (!a.is_qama(block) || schedule.rounds == 0) continue;
    if (schedule.restarts >= kRecombiningRestarts) {
      return make_error(ErrorCode::unsupported, "block ", block, ": ", schedule.rounds,
                        " rounds after ", schedule.restarts, " restarts, expected less than ",
                        kRecombiningRestarts, " restarts, or no rounds");
    }
  }
  return {};
}

}  // namespace

Result<std::vector<std::byte>> flash_form(const ModelFile& model) {
  QAMA_RETURN_IF_ERROR(check(model));
  const Architecture& a = model.architecture();
  const FlashModel record{a, model.preprocess(), flash_kind(a.attention),
                          flash_kind(a.other_attention)};
  Output out;
  out.bytes.resize(sizeof(FlashHeader));
  flash_record(out, record);
  for (const std::string& label : model.labels()) out.text(label);

  FlashHeader header;
  header.index = static_cast<std::uint32_t>(out.bytes.size());
  std::size_t bytes = 0;  // of the data, for it begins behind the index
  std::vector<std::size_t> places;
  std::vector<std::span<const std::byte>> data;
  for (const TensorView& tensor : model.tensors()) {
    if (tensor.is_padding()) continue;
    const bool floats = tensor.dtype != Dtype::i8 && tensor.dtype != Dtype::i32;
    std::span<const std::byte> stored = tensor.bytes;
    if (floats) {
      QAMA_ASSIGN_OR_RETURN(const auto values, model.f32(tensor.name));
      stored = std::as_bytes(values);
    }
    out.text(tensor.name);
    out(floats ? Dtype::f32 : tensor.dtype);
    out(static_cast<std::uint8_t>(tensor.shape.size()));
    for (const std::int64_t size : tensor.shape) out(size);
    places.push_back(out.bytes.size());
    out(std::uint32_t{0});
    data.push_back(stored);
    bytes += round_up(stored.size(), kFlashAlignment);
  }
  if (out.bytes.size() + bytes > INT32_MAX) {
    return Error{ErrorCode::size_overflow, "a flash form of more than 2 GiB"};
  }
  for (std::size_t i = 0; i < data.size(); ++i) {
    out.align();
    const auto offset = static_cast<std::uint32_t>(out.bytes.size());
    std::memcpy(out.bytes.data() + places[i], &offset, sizeof(offset));
    out.append(data[i]);
  }
  out.align();
  header.tensors = static_cast<std::uint32_t>(data.size());
  header.bytes = static_cast<std::uint32_t>(out.bytes.size());
  header.checksum = flash_checksum(std::span(out.bytes).subspan(sizeof(header)));
  std::memcpy(out.bytes.data(), &header, sizeof(header));
  return out.bytes;
}

}  // namespace qama::weights
