// TensorFile: reads a safetensors file under this project's strict profile and gives checked views
// of its tensors. What a file means (model, golden intermediates) is decided by its users,
// model_file.h and golden_file.h; a rule that every file must keep belongs here, with an error code
// of its own, a line in tests/weights/bad_files.cpp and one in the list below.
//
// The rules, in the order in which they are checked:
//   size          at least 8 + header bytes                       MODEL_TRUNCATED
//   header size   at most 1 MiB                                   MODEL_HEADER_TOO_LARGE
//   header text   strict JSON, one object, at most 16 deep        MODEL_HEADER_NOT_JSON
//   keys          no key twice in an object, anywhere             MODEL_DUPLICATE_KEY
//   tensors       at most 4096                                    MODEL_TOO_MANY_TENSORS
//   __metadata__  strings; format, format_version, sha256 there   MODEL_BAD_METADATA
//   format        the one asked for                               MODEL_WRONG_KIND
//   version       the one asked for                               MODEL_UNSUPPORTED_VERSION
//   entries       exactly dtype, shape, data_offsets              MODEL_HEADER_BAD_ENTRY
//   dtype         in the table of Dtype                           MODEL_BAD_DTYPE
//   rank          at most 6                                       MODEL_BAD_RANK
//   shape         every size >= 1, bytes fit 64 bits              MODEL_BAD_SHAPE
//   offsets       the shape's bytes; contiguous from 0            MODEL_BAD_OFFSETS
//   data end      all of it there                                 MODEL_TRUNCATED
//                 nothing after it                                MODEL_TRAILING_BYTES
//   alignment     data section and tensors at multiples of 64     MODEL_MISALIGNED
//   padding       `__pad.N`: U8, rank 1, < 64 bytes, all zero     MODEL_BAD_PADDING
//   checksum      SHA-256 of the whole file, the seal             MODEL_CHECKSUM_MISMATCH
//   values        no NaN, no infinity in a float tensor           MODEL_BAD_VALUE
//
// The seal shows damage, not forgery: who changes a file can compute it anew (signature.h). Older
// files have a checksum of the data section alone (TensorFormat::unsealed).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"

namespace qama::weights {

inline constexpr std::size_t kMaxHeaderBytes = std::size_t{1} << 20;
inline constexpr std::size_t kMaxTensors = 4096;
inline constexpr std::size_t kMaxRank = 6;
inline constexpr std::size_t kTensorAlignment = 64;
/// Files from this size on are mapped, smaller ones are read.
inline constexpr std::size_t kMappedFrom = std::size_t{64} << 20;
/// Tensors of this name prefix fill the gaps that alignment leaves; they carry nothing.
inline constexpr std::string_view kPadPrefix = "__pad.";

enum class Dtype : std::uint8_t {
  boolean,
  u8,
  i8,
  u16,
  i16,
  f16,
  bf16,
  u32,
  i32,
  f32,
  u64,
  i64,
  f64
};
/// The safetensors spelling: "F32", "U8", "BOOL", ...
[[nodiscard]] std::string_view dtype_name(Dtype dtype) noexcept;
/// Bytes of one element.
[[nodiscard]] std::size_t dtype_bytes(Dtype dtype) noexcept;

/// "[768,192]", "[]" for a scalar.
[[nodiscard]] std::string shape_text(std::span<const std::int64_t> shape);

/// A tensor inside a TensorFile: row-major, 64-byte aligned (a `__pad.N` is not). Belongs to its
/// file.
struct TensorView {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<std::int64_t> shape;  ///< every size >= 1; empty: a scalar
  std::span<const std::byte> bytes;

  [[nodiscard]] std::size_t elements() const noexcept { return bytes.size() / dtype_bytes(dtype); }
  [[nodiscard]] bool is_padding() const noexcept { return name.starts_with(kPadPrefix); }

  /// The elements; MODEL_BAD_DTYPE if the tensor holds something else.
  [[nodiscard]] Result<std::span<const float>> f32() const;
  [[nodiscard]] Result<std::span<const std::int32_t>> i32() const;
  [[nodiscard]] Result<std::span<const std::uint8_t>> u8() const;
};

struct MetadataEntry {
  std::string key;
  std::string value;
};

/// Which kind of file is asked for: `__metadata__`.format and .format_version.
struct TensorFormat {
  std::string_view name;
  std::string_view version;        ///< what is written; such a file is sealed
  std::string_view unsealed = {};  ///< the version that is read, too: its checksum is the data's
};

/// The same error, with the file's name before its sentence.
[[nodiscard]] Error in_file(const std::string& path, Error error);

/// An open, fully checked file. Immutable: may be shared between threads. Views stay valid as long
/// as the shared_ptr (for from_memory without a copy: as long as the caller's memory, too).
class TensorFile {
 public:
  /// Reads the file once and checks what was read; nothing that happens to the file later counts.
  /// One of `mapped_from` bytes or more is mapped instead. It must not be changed in place while it
  /// is open (replace it by a rename): a mapping shows what the file holds, and a file that shrinks
  /// raises SIGBUS. NOT_FOUND, IO_ERROR, OUT_OF_MEMORY, and the rules above.
  [[nodiscard]] static Result<std::shared_ptr<const TensorFile>> open(
      const std::string& path, TensorFormat format, std::size_t mapped_from = kMappedFrom);
  /// The same for bytes in memory, e.g. in flash. They must outlive the file; they are copied only
  /// if `data` is not 64-byte aligned.
  [[nodiscard]] static Result<std::shared_ptr<const TensorFile>> from_memory(
      std::span<const std::byte> data, TensorFormat format);

  ~TensorFile();
  TensorFile(const TensorFile&) = delete;
  TensorFile& operator=(const TensorFile&) = delete;

  /// All tensors in file order, padding included.
  [[nodiscard]] std::span<const TensorView> tensors() const noexcept;
  /// The tensor of this name, or null.
  [[nodiscard]] const TensorView* find(std::string_view name) const noexcept;
  /// The tensor of this name, or MODEL_MISSING_TENSOR.
  [[nodiscard]] Result<const TensorView*> tensor(std::string_view name) const;
  /// All of `__metadata__`.
  [[nodiscard]] std::span<const MetadataEntry> all_metadata() const noexcept;
  /// A value of `__metadata__`, or null.
  [[nodiscard]] const std::string* metadata(std::string_view key) const noexcept;
  /// The file's checksum, 64 lower-case hexadecimal digits; verified. Of a sealed file it is
  /// seal_of() the file, else the SHA-256 of the data section.
  [[nodiscard]] const std::string& sha256() const noexcept;
  /// True if the checksum covers the header, too.
  [[nodiscard]] bool sealed() const noexcept;
  /// Size of the whole file.
  [[nodiscard]] std::size_t file_bytes() const noexcept;
  /// IO_ERROR if the file is mapped and has another size or time of change than when it was opened.
  [[nodiscard]] Status unchanged() const;
  /// Tells the system that the pages of a mapped file are not needed for now (weights were re-laid
  /// elsewhere). The views stay valid: a later access reads the file again.
  void release_pages() const noexcept;

 private:
  struct Impl;
  explicit TensorFile(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

inline constexpr std::size_t kDigestDigits = 64;
/// The seal of a file whose own digits begin at byte `digits`: the SHA-256 of all its bytes, with
/// the character 0 in place of those 64. Precondition: digits + 64 <= file.size().
[[nodiscard]] std::string seal_of(std::span<const std::byte> file, std::size_t digits);

}  // namespace qama::weights
