#include "weights/tensor_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <optional>
#include <utility>

#include "hal/base/aligned.h"
#include "hal/base/checked.h"
#include "hal/base/quote.h"
#include "hal/platform/mapped_file.h"
#include "hal/platform/sha256.h"
#include "weights/strict_json.h"

namespace qama::weights {

static_assert(std::endian::native == std::endian::little,
              "tensors are little-endian and read in place");
static_assert(kTensorAlignment == kAlignment);

namespace {

constexpr std::string_view kMetadataKey = "__metadata__";
constexpr std::size_t kLengthBytes = 8;  // the header's length, before the header

struct DtypeRow {
  std::string_view name;
  Dtype dtype;
  std::size_t bytes;
};
// Indexed by Dtype.
constexpr DtypeRow kDtypes[] = {
    {"BOOL", Dtype::boolean, 1}, {"U8", Dtype::u8, 1},   {"I8", Dtype::i8, 1},
    {"U16", Dtype::u16, 2},      {"I16", Dtype::i16, 2}, {"F16", Dtype::f16, 2},
    {"BF16", Dtype::bf16, 2},    {"U32", Dtype::u32, 4}, {"I32", Dtype::i32, 4},
    {"F32", Dtype::f32, 4},      {"U64", Dtype::u64, 8}, {"I64", Dtype::i64, 8},
    {"F64", Dtype::f64, 8},
};
constexpr bool dtype_rows_in_order() {
  for (std::size_t i = 0; i < std::size(kDtypes); ++i) {
    if (static_cast<std::size_t>(kDtypes[i].dtype) != i) return false;
  }
  return true;
}
static_assert(dtype_rows_in_order());

std::string tensor_text(std::string_view name) {
  return "tensor " + quote(name);
}

Error bad(ErrorCode code, const std::string& where, const std::string& what) {
  return Error{code, where + ": " + what};
}

// First element whose exponent bits are all ones: NaN or infinity. Works on blocks without a branch
// inside, so that the compiler vectorises it.
template <typename Bits>
std::optional<std::size_t> find_not_finite(std::span<const std::byte> bytes, Bits exponent) {
  constexpr std::size_t kBlock = 1024;
  const auto load = [&](std::size_t i) {
    Bits bits;
    std::memcpy(&bits, bytes.data() + i * sizeof(Bits), sizeof(Bits));
    return bits;
  };
  const std::size_t count = bytes.size() / sizeof(Bits);
  for (std::size_t begin = 0; begin < count; begin += kBlock) {
    const std::size_t end = std::min(count, begin + kBlock);
    Bits found = 0;
    for (std::size_t i = begin; i < end; ++i) {
      found = static_cast<Bits>(found | static_cast<Bits>((load(i) & exponent) == exponent));
    }
    for (std::size_t i = begin; found != 0 && i < end; ++i) {
      if ((load(i) & exponent) == exponent) return i;
    }
  }
  return std::nullopt;
}

std::optional<std::size_t> find_not_finite(const TensorView& tensor) {
  switch (tensor.dtype) {
    case Dtype::f16:
      return find_not_finite<std::uint16_t>(tensor.bytes, 0x7C00U);
    case Dtype::bf16:
      return find_not_finite<std::uint16_t>(tensor.bytes, 0x7F80U);
    case Dtype::f32:
      return find_not_finite<std::uint32_t>(tensor.bytes, 0x7F800000U);
    case Dtype::f64:
      return find_not_finite<std::uint64_t>(tensor.bytes, 0x7FF0000000000000U);
    default:
      return std::nullopt;
  }
}

// A tensor's entry of the header, before its bytes are known to exist.
struct Entry {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

Status read_dtype(const Json& value, const std::string& where, Dtype& out) {
  if (!value.is_string()) {
    return bad(ErrorCode::model_header_bad_entry, where,
               std::string("dtype is ") + value.type_name() + ", expected a string");
  }
  const auto& name = value.get_ref<const std::string&>();
  for (const DtypeRow& row : kDtypes) {
    if (row.name == name) {
      out = row.dtype;
      return {};
    }
  }
  std::string expected;
  for (const DtypeRow& row : kDtypes)
    expected += (expected.empty() ? "" : "|") + std::string(row.name);
  return bad(ErrorCode::model_bad_dtype, where, "dtype " + quote(name) + ", expected " + expected);
}

Status read_shape(const Json& value, const std::string& where, std::vector<std::int64_t>& out) {
  if (!value.is_array()) {
    return bad(ErrorCode::model_header_bad_entry, where,
               std::string("shape is ") + value.type_name() + ", expected an array");
  }
  if (value.size() > kMaxRank) {
    return bad(
        ErrorCode::model_bad_rank, where,
        "rank " + std::to_string(value.size()) + ", expected at most " + std::to_string(kMaxRank));
  }
  for (const Json& size : value) {
    if (!size.is_number_unsigned()) {
      return bad(ErrorCode::model_header_bad_entry, where,
                 std::string("a shape with ") +
                     (size.is_number() ? size.dump() : size.type_name()) +
                     ", expected integers from 1");
    }
    const auto wide = size.get<std::uint64_t>();
    if (wide == 0 || wide > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return bad(ErrorCode::model_bad_shape, where,
                 "size " + std::to_string(wide) + ", expected 1 to 2^63 - 1");
    }
    out.push_back(static_cast<std::int64_t>(wide));
  }
  return {};
}

Status read_offsets(const Json& value, const std::string& where, Entry& out) {
  if (!value.is_array() || value.size() != 2 || !value[0].is_number_unsigned() ||
      !value[1].is_number_unsigned()) {
    return bad(ErrorCode::model_header_bad_entry, where,
               "data_offsets expected to be [begin,end], two integers from 0");
  }
  out.begin = value[0].get<std::uint64_t>();
  out.end = value[1].get<std::uint64_t>();
  return {};
}

Result<Entry> read_entry(const std::string& name, const Json& value) {
  Entry entry;
  entry.name = name;
  const std::string where = tensor_text(name);
  if (!value.is_object()) {
    return bad(ErrorCode::model_header_bad_entry, where,
               std::string(value.type_name()) + ", expected an object");
  }
  for (const char* key : {"dtype", "shape", "data_offsets"}) {
    if (!value.contains(key)) {
      return bad(ErrorCode::model_header_bad_entry, where,
                 std::string("key '") + key + "' missing");
    }
  }
  if (value.size() != 3) {
    return bad(
        ErrorCode::model_header_bad_entry, where,
        std::to_string(value.size()) + " keys, expected dtype, shape and data_offsets alone");
  }
  QAMA_RETURN_IF_ERROR(read_dtype(value["dtype"], where, entry.dtype));
  QAMA_RETURN_IF_ERROR(read_shape(value["shape"], where, entry.shape));
  QAMA_RETURN_IF_ERROR(read_offsets(value["data_offsets"], where, entry));

  std::optional<std::uint64_t> bytes = dtype_bytes(entry.dtype);
  for (const std::int64_t size : entry.shape) {
    bytes = checked_mul(*bytes, static_cast<std::uint64_t>(size));
    if (!bytes) {
      return bad(ErrorCode::model_bad_shape, where,
                 "shape " + shape_text(entry.shape) + ", expected less than 2^64 bytes");
    }
  }
  const std::string offsets =
      "offsets [" + std::to_string(entry.begin) + "," + std::to_string(entry.end) + "]";
  if (entry.end < entry.begin || entry.end - entry.begin != *bytes) {
    return bad(ErrorCode::model_bad_offsets, where,
               offsets + ", expected " + std::to_string(*bytes) + " bytes for " +
                   std::string(dtype_name(entry.dtype)) + " " + shape_text(entry.shape));
  }
  if (entry.name.starts_with(kPadPrefix) &&
      (entry.dtype != Dtype::u8 || entry.shape.size() != 1 || *bytes >= kTensorAlignment)) {
    return bad(ErrorCode::model_bad_padding, where,
               std::string(dtype_name(entry.dtype)) + " " + shape_text(entry.shape) +
                   ", expected U8 [n] with n < " + std::to_string(kTensorAlignment));
  }
  return entry;
}

Status read_metadata(const Json& value, std::vector<MetadataEntry>& out) {
  if (!value.is_object()) {
    return bad(ErrorCode::model_bad_metadata, "__metadata__",
               std::string(value.type_name()) + ", expected an object");
  }
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) {
      return bad(ErrorCode::model_bad_metadata, "__metadata__." + quote(key),
                 std::string(text.type_name()) + ", expected a string");
    }
    out.push_back({key, text.get<std::string>()});
  }
  return {};
}

bool is_sha256(std::string_view text) {
  return text.size() == kDigestDigits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string versions_text(TensorFormat format) {
  std::string text = "'" + std::string(format.version) + "'";
  if (!format.unsealed.empty()) text += " or '" + std::string(format.unsealed) + "'";
  return text;
}

}  // namespace

std::string_view dtype_name(Dtype dtype) noexcept {
  return kDtypes[static_cast<std::size_t>(dtype)].name;
}

std::size_t dtype_bytes(Dtype dtype) noexcept {
  return kDtypes[static_cast<std::size_t>(dtype)].bytes;
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ',';
    text += std::to_string(shape[i]);
  }
  return text + "]";
}

std::string seal_of(std::span<const std::byte> file, std::size_t digits) {
  std::array<std::byte, kDigestDigits> zeros;
  zeros.fill(std::byte{'0'});
  return platform::sha256_hex({file.first(digits), zeros, file.subspan(digits + kDigestDigits)});
}

namespace {

template <typename T>
Result<std::span<const T>> typed(const TensorView& tensor, Dtype expected) {
  if (tensor.dtype != expected) {
    return bad(ErrorCode::model_bad_dtype, tensor_text(tensor.name),
               "dtype " + std::string(dtype_name(tensor.dtype)) + ", expected " +
                   std::string(dtype_name(expected)));
  }
  return std::span<const T>(reinterpret_cast<const T*>(tensor.bytes.data()), tensor.elements());
}

}  // namespace

Result<std::span<const float>> TensorView::f32() const {
  return typed<float>(*this, Dtype::f32);
}
Result<std::span<const std::int32_t>> TensorView::i32() const {
  return typed<std::int32_t>(*this, Dtype::i32);
}
Result<std::span<const std::uint8_t>> TensorView::u8() const {
  return typed<std::uint8_t>(*this, Dtype::u8);
}

struct TensorFile::Impl {
  platform::MappedFile mapping;      // open(): a copy or a mapping
  AlignedBuffer<std::byte> copy;     // from_memory() of unaligned bytes
  std::span<const std::byte> bytes;  // the whole file, wherever it is
  std::vector<TensorView> tensors;   // by offset
  std::vector<std::size_t> by_name;  // indices into tensors, for find()
  std::vector<MetadataEntry> metadata;
  std::string sha256;
  bool sealed = true;

  const std::string* find_metadata(std::string_view key) const noexcept {
    for (const MetadataEntry& entry : metadata) {
      if (entry.key == key) return &entry.value;
    }
    return nullptr;
  }

  // The rules of the header's top comment, in its order.
  Status check(TensorFormat format);
  Result<Json> read_header(std::span<const std::byte>& data) const;
  Status check_identity(TensorFormat format);
  Status place(std::vector<Entry> entries, std::span<const std::byte> data);
  Status check_seal(std::size_t header_end) const;
  Status check_data(std::span<const std::byte> data) const;
};

Result<Json> TensorFile::Impl::read_header(std::span<const std::byte>& data) const {
  if (bytes.size() < kLengthBytes) {
    return Error{ErrorCode::model_truncated,
                 "file: " + std::to_string(bytes.size()) + " bytes, expected at least 8"};
  }
  constexpr std::string_view kPointer = "version https://git-lfs";
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (start.starts_with(kPointer)) {
    return Error{ErrorCode::model_truncated,
                 "the file is a pointer of Git LFS, not what it points to: run `git lfs pull`"};
  }
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > kMaxHeaderBytes) {
    return Error{ErrorCode::model_header_too_large, "header: " + std::to_string(length) +
                                                        " bytes, expected at most " +
                                                        std::to_string(kMaxHeaderBytes)};
  }
  const auto size = static_cast<std::size_t>(length);
  if (size > bytes.size() - kLengthBytes) {
    return Error{ErrorCode::model_truncated,
                 "header: " + std::to_string(bytes.size() - kLengthBytes) + " bytes, expected " +
                     std::to_string(size)};
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, size);
  if (text.empty() || text.front() != '{') {
    return Error{ErrorCode::model_header_not_json, "header: expected to begin with '{'"};
  }
  QAMA_ASSIGN_OR_RETURN(Json header,
                        parse_strict_json(text, "header", ErrorCode::model_header_not_json));
  data = bytes.subspan(kLengthBytes + size);
  return header;
}

Status TensorFile::Impl::check_identity(TensorFormat format) {
  for (const std::string_view key : {"format", "format_version", "sha256"}) {
    // A file of another kind has its own idea of what else belongs here: the format comes first.
    const std::string* value = find_metadata(key);
    if (value == nullptr) {
      return bad(ErrorCode::model_bad_metadata, "__metadata__",
                 "key '" + std::string(key) + "' missing");
    }
    if (key == "format" && *value != format.name) {
      return bad(ErrorCode::model_wrong_kind, "__metadata__.format",
                 quote(*value) + ", expected '" + std::string(format.name) + "'");
    }
    if (key == "format_version") {
      sealed = *value == format.version;
      if (!sealed && (format.unsealed.empty() || *value != format.unsealed)) {
        return bad(ErrorCode::model_unsupported_version, "__metadata__.format_version",
                   quote(*value) + ", expected " + versions_text(format));
      }
    }
    if (key == "sha256" && !is_sha256(*value)) {
      return bad(ErrorCode::model_bad_metadata, "__metadata__.sha256",
                 quote(*value) + ", expected 64 lower-case hexadecimal digits");
    }
  }
  sha256 = *find_metadata("sha256");
  return {};
}

Status TensorFile::Impl::place(std::vector<Entry> entries, std::span<const std::byte> data) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t position = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != position) {
      return bad(ErrorCode::model_bad_offsets, tensor_text(entry.name),
                 "begins at " + std::to_string(entry.begin) + ", expected " +
                     std::to_string(position) + " (tensors leave no hole and share no byte)");
    }
    position = entry.end;
  }
  if (position > data.size()) {
    return Error{ErrorCode::model_truncated, "data: " + std::to_string(data.size()) +
                                                 " bytes, expected " + std::to_string(position)};
  }
  if (position < data.size()) {
    return Error{
        ErrorCode::model_trailing_bytes,
        "data: " + std::to_string(data.size()) + " bytes, expected " + std::to_string(position)};
  }
  const std::size_t data_begin = bytes.size() - data.size();
  if (data_begin % kTensorAlignment != 0) {
    return Error{ErrorCode::model_misaligned, "data: begins at byte " + std::to_string(data_begin) +
                                                  " of the file, expected a multiple of 64"};
  }
  for (Entry& entry : entries) {
    TensorView view;
    view.name = std::move(entry.name);
    view.dtype = entry.dtype;
    view.shape = std::move(entry.shape);
    // In range: the last end is data.size(), and begins and ends rise.
    const auto begin = static_cast<std::size_t>(entry.begin);
    view.bytes = data.subspan(begin, static_cast<std::size_t>(entry.end) - begin);
    if (!view.is_padding() && begin % kTensorAlignment != 0) {
      return bad(ErrorCode::model_misaligned, tensor_text(view.name),
                 "begins at " + std::to_string(begin) + ", expected a multiple of 64");
    }
    tensors.push_back(std::move(view));
  }
  by_name.resize(tensors.size());
  for (std::size_t i = 0; i < by_name.size(); ++i) by_name[i] = i;
  std::sort(by_name.begin(), by_name.end(),
            [&](std::size_t a, std::size_t b) { return tensors[a].name < tensors[b].name; });
  return {};
}

// The first place of the digits is their own: if an earlier one had them, too, it would be covered
// by the very hash that it holds.
Status TensorFile::Impl::check_seal(std::size_t header_end) const {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), header_end);
  const std::size_t digits = text.find(sha256);
  if (digits == std::string_view::npos) {
    return bad(ErrorCode::model_bad_metadata, "__metadata__.sha256",
               "written with escapes, expected 64 plain characters");
  }
  const std::string computed = seal_of(bytes, digits);
  if (computed == sha256) return {};
  return Error{ErrorCode::model_checksum_mismatch,
               "file: SHA-256 " + computed + ", expected " + sha256};
}

Status TensorFile::Impl::check_data(std::span<const std::byte> data) const {
  if (sealed) {
    QAMA_RETURN_IF_ERROR(check_seal(bytes.size() - data.size()));
  } else if (const std::string computed = platform::sha256_hex(data); computed != sha256) {
    return Error{ErrorCode::model_checksum_mismatch,
                 "data: SHA-256 " + computed + ", expected " + sha256};
  }
  for (const TensorView& tensor : tensors) {
    if (tensor.is_padding()) {
      const auto found = std::find_if(tensor.bytes.begin(), tensor.bytes.end(),
                                      [](std::byte b) { return b != std::byte{0}; });
      if (found != tensor.bytes.end()) {
        return bad(ErrorCode::model_bad_padding, tensor_text(tensor.name),
                   "byte " + std::to_string(found - tensor.bytes.begin()) + " is " +
                       std::to_string(std::to_integer<int>(*found)) + ", expected 0");
      }
    } else if (const auto index = find_not_finite(tensor)) {
      return bad(
          ErrorCode::model_bad_value, tensor_text(tensor.name),
          "element " + std::to_string(*index) + " is NaN or infinite, expected a finite number");
    }
  }
  return {};
}

Status TensorFile::Impl::check(TensorFormat format) {
  std::span<const std::byte> data;
  QAMA_ASSIGN_OR_RETURN(const Json header, read_header(data));

  const std::size_t count = header.size() - (header.contains(kMetadataKey) ? 1 : 0);
  if (count > kMaxTensors) {
    return Error{ErrorCode::model_too_many_tensors, "header: " + std::to_string(count) +
                                                        " tensors, expected at most " +
                                                        std::to_string(kMaxTensors)};
  }
  const auto found = header.find(kMetadataKey);
  if (found == header.end()) {
    return bad(ErrorCode::model_bad_metadata, "header", "key '__metadata__' missing");
  }
  QAMA_RETURN_IF_ERROR(read_metadata(*found, metadata));
  QAMA_RETURN_IF_ERROR(check_identity(format));

  std::vector<Entry> entries;
  entries.reserve(count);
  for (const auto& [name, value] : header.items()) {
    if (name == kMetadataKey) continue;
    QAMA_ASSIGN_OR_RETURN(Entry entry, read_entry(name, value));
    entries.push_back(std::move(entry));
  }
  QAMA_RETURN_IF_ERROR(place(std::move(entries), data));
  return check_data(data);
}

TensorFile::TensorFile(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
TensorFile::~TensorFile() = default;

Error in_file(const std::string& path, Error error) {
  error.message = "file " + quote(path) + ": " + error.message;
  return error;
}

Result<std::shared_ptr<const TensorFile>> TensorFile::open(const std::string& path,
                                                           TensorFormat format,
                                                           std::size_t mapped_from) {
  auto impl = std::make_unique<Impl>();
  QAMA_ASSIGN_OR_RETURN(impl->mapping, platform::MappedFile::open(path, mapped_from));
  impl->bytes = impl->mapping.bytes();
  if (const Status status = impl->check(format); !status.ok()) {
    return in_file(path, status.error());
  }
  // Of a mapping, what was checked is what is there.
  QAMA_RETURN_IF_ERROR(impl->mapping.unchanged());
  return std::shared_ptr<const TensorFile>(new TensorFile(std::move(impl)));
}

Result<std::shared_ptr<const TensorFile>> TensorFile::from_memory(std::span<const std::byte> data,
                                                                  TensorFormat format) {
  auto impl = std::make_unique<Impl>();
  impl->bytes = data;
  if (reinterpret_cast<std::uintptr_t>(data.data()) % kTensorAlignment != 0) {
    impl->copy.resize(data.size());
    std::copy(data.begin(), data.end(), impl->copy.data());
    impl->bytes = impl->copy.span();
  }
  QAMA_RETURN_IF_ERROR(impl->check(format));
  return std::shared_ptr<const TensorFile>(new TensorFile(std::move(impl)));
}

std::span<const TensorView> TensorFile::tensors() const noexcept {
  return impl_->tensors;
}

const TensorView* TensorFile::find(std::string_view name) const noexcept {
  const auto& order = impl_->by_name;
  const auto found = std::lower_bound(order.begin(), order.end(), name,
                                      [&](std::size_t index, std::string_view wanted) {
                                        return impl_->tensors[index].name < wanted;
                                      });
  if (found == order.end() || impl_->tensors[*found].name != name) return nullptr;
  return &impl_->tensors[*found];
}

Result<const TensorView*> TensorFile::tensor(std::string_view name) const {
  const TensorView* found = find(name);
  if (found == nullptr) return bad(ErrorCode::model_missing_tensor, tensor_text(name), "missing");
  return found;
}

std::span<const MetadataEntry> TensorFile::all_metadata() const noexcept {
  return impl_->metadata;
}

const std::string* TensorFile::metadata(std::string_view key) const noexcept {
  return impl_->find_metadata(key);
}

const std::string& TensorFile::sha256() const noexcept {
  return impl_->sha256;
}
bool TensorFile::sealed() const noexcept {
  return impl_->sealed;
}
std::size_t TensorFile::file_bytes() const noexcept {
  return impl_->bytes.size();
}
Status TensorFile::unchanged() const {
  return impl_->mapping.unchanged();
}
void TensorFile::release_pages() const noexcept {
  impl_->mapping.release_pages();
}

}  // namespace qama::weights
