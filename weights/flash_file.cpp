// ModelFile and TensorFile of a board: the same classes made of the flash form (flash.h), in place
// of model_file.cpp, tensor_file.cpp and architecture.cpp. Tensors are used where they lie. What
// the engine does not ask for is not there: a program that wants it does not link.
#include "weights/flash.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "hal/base/checked.h"
#include "weights/model_file.h"

namespace qama::weights {
namespace {

/// Kinds of the model that was read last. They are constants of a kind, the same in every model.
FlashKind kinds[std::size(kAttentionKinds)];
const FlashKind& kind_of(const AttentionSpec& spec) noexcept {
  return kinds[static_cast<std::size_t>(spec.kind)];
}

/// What flash_record() reads from; behind the end, zeros.
class Input {
 public:
  explicit Input(std::span<const std::byte> bytes) : rest_(bytes) {}

  [[nodiscard]] bool ended() const noexcept { return ended_; }
  [[nodiscard]] std::span<const std::byte> take(std::size_t size) noexcept {
    if (size > rest_.size()) {
      ended_ = true;
      return {};
    }
    const auto taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  template <typename Number>
  void operator()(Number& value) noexcept {
    const auto bytes = take(sizeof(Number));
    value = {};
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), sizeof(Number));
  }
  template <typename List, typename Visit>
  void list(List& values, const Visit& visit) {
    std::uint32_t count = 0;
    (*this)(count);
    if (count > rest_.size()) ended_ = true;
    values.resize(ended_ ? 0 : count);
    for (auto& value : values) visit(value);
  }
  void optional(std::optional<double>& value) noexcept {
    bool given = false;
    (*this)(given);
    (*this)(value.emplace());
    if (!given) value.reset();
  }
  std::string_view text() noexcept {
    std::uint32_t size = 0;
    (*this)(size);
    const auto bytes = take(size);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  std::span<const std::byte> rest_;
  bool ended_ = false;
};

Error damaged(const char* what) {
  return {ErrorCode::model_truncated, std::string("the flash form's ") + what + " end too early"};
}

template <typename T>
Result<std::span<const T>> elements_of(const TensorView& tensor, Dtype dtype) {
  if (tensor.dtype != dtype) {
    return Error{ErrorCode::model_bad_dtype, "tensor '" + tensor.name + "' is of another dtype"};
  }
  return std::span(reinterpret_cast<const T*>(tensor.bytes.data()), tensor.elements());
}

}  // namespace

bool Architecture::is_qama() const noexcept {
  return kind_of(attention).anneals;
}
bool Architecture::is_qama(std::int32_t block) const noexcept {
  return kind_of(attention_of(block)).anneals;
}
std::int32_t Architecture::projections(std::int32_t block) const noexcept {
  return kind_of(attention_of(block)).projections;
}
bool Architecture::one_norm(std::int32_t block) const noexcept {
  return kind_of(attention_of(block)).one_norm;
}
bool Architecture::projects(std::int32_t block) const noexcept {
  const AttentionSpec& own = attention_of(block);
  return own.projection && kind_of(own).projects;
}

std::size_t dtype_bytes(Dtype dtype) noexcept {
  return dtype == Dtype::f32 || dtype == Dtype::i32 ? 4 : 1;
}
Result<std::span<const float>> TensorView::f32() const {
  return elements_of<float>(*this, Dtype::f32);
}
Result<std::span<const std::int32_t>> TensorView::i32() const {
  return elements_of<std::int32_t>(*this, Dtype::i32);
}

struct TensorFile::Impl {
  std::vector<TensorView> tensors;
};
TensorFile::TensorFile(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
TensorFile::~TensorFile() = default;
std::span<const TensorView> TensorFile::tensors() const noexcept {
  return impl_->tensors;
}
const TensorView* TensorFile::find(std::string_view name) const noexcept {
  const auto found = std::find_if(impl_->tensors.begin(), impl_->tensors.end(),
                                  [name](const TensorView& t) { return t.name == name; });
  return found == impl_->tensors.end() ? nullptr : &*found;
}
Result<const TensorView*> TensorFile::tensor(std::string_view name) const {
  if (const TensorView* found = find(name)) return found;
  return Error{ErrorCode::model_missing_tensor, "tensor '" + std::string(name) + "' missing"};
}

Result<std::span<const float>> ModelFile::f32(std::string_view name) const {
  QAMA_ASSIGN_OR_RETURN(const TensorView* found, tensor(name));
  return found->f32();
}

Result<std::shared_ptr<const TensorFile>> TensorFile::from_memory(std::span<const std::byte> data,
                                                                  TensorFormat /*format*/) {
  FlashHeader header;
  Input start(data);
  start(header);
  if (header.magic != kFlashMagic) {
    return Error{ErrorCode::model_wrong_kind, "no flash form of a model (`qama flash` writes one)"};
  }
  if (header.version != kFlashVersion) {
    return Error{ErrorCode::model_unsupported_version,
                 "a flash form of another version: write it with the program of this revision"};
  }
  if (header.bytes < sizeof(header) || header.bytes > data.size() || header.index > header.bytes ||
      header.tensors > kMaxTensors) {
    return damaged("bytes");
  }
  data = data.first(header.bytes);
  if (flash_checksum(data.subspan(sizeof(header))) != header.checksum) {
    return Error{ErrorCode::model_checksum_mismatch, "the flash form is damaged"};
  }
  auto impl = std::make_unique<Impl>();
  impl->tensors.reserve(header.tensors);
  Input in(data.subspan(header.index));
  for (std::uint32_t i = 0; i < header.tensors; ++i) {
    TensorView& tensor = impl->tensors.emplace_back();
    tensor.name = in.text();
    in(tensor.dtype);
    std::uint8_t rank = 0;
    in(rank);
    if (rank > kMaxRank) return damaged("tensors");
    tensor.shape.resize(rank);
    std::optional<std::size_t> bytes = dtype_bytes(tensor.dtype);
    for (std::int64_t& size : tensor.shape) {
      in(size);
      if (bytes) bytes = checked_mul(*bytes, static_cast<std::size_t>(size));
    }
    std::uint32_t offset = 0;
    in(offset);
    if (in.ended() || !bytes || offset > data.size() || *bytes > data.size() - offset) {
      return damaged("tensors");
    }
    tensor.bytes = data.subspan(offset, *bytes);
  }
  return std::shared_ptr<const TensorFile>(new TensorFile(std::move(impl)));
}

Result<std::shared_ptr<const ModelFile>> ModelFile::from_memory(std::span<const std::byte> data) {
  QAMA_ASSIGN_OR_RETURN(auto file, TensorFile::from_memory(data, kModelFormat));
  Input in(data.subspan(sizeof(FlashHeader)));
  FlashModel record;
  flash_record(in, record);
  const std::shared_ptr<ModelFile> model(new ModelFile());
  for (std::int32_t i = 0; i < record.architecture.classes && !in.ended(); ++i) {
    model->labels_.emplace_back(in.text());
  }
  if (in.ended()) return damaged("records");
  kinds[static_cast<std::size_t>(record.architecture.attention.kind)] = record.kind;
  if (!record.architecture.other_blocks.empty()) {
    kinds[static_cast<std::size_t>(record.architecture.other_attention.kind)] = record.other_kind;
  }
  model->architecture_ = std::move(record.architecture);
  model->preprocess_ = std::move(record.preprocess);
  model->file_ = std::move(file);
  return std::shared_ptr<const ModelFile>(model);
}

}  // namespace qama::weights
