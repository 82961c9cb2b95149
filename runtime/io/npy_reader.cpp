#include "runtime/io/npy_reader.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <utility>

#include "hal/base/checked.h"
#include "hal/base/quote.h"
#include "runtime/io/byte_stream.h"

namespace qama::io {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::string_view kFloats = "<f4";
constexpr std::size_t kMaxHeaderBytes = 4096;
constexpr std::size_t kMaxRank = 32;  // NumPy's own

Error bad(const std::string& path, const std::string& what) {
  return {ErrorCode::dataset_bad_format, "npy file " + quote(path) + ": " + what};
}

/// What a header says.
struct Header {
  std::string descr;  ///< "<f4"
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

/// Reads the one dictionary that a header is: these three keys, each once.
class HeaderText {
 public:
  HeaderText(std::string_view text, const std::string& path) : text_(text), path_(path) {}

  Result<Header> read() {
    Header out;
    bool descr = false;
    bool order = false;
    bool shape = false;
    if (!take('{')) return unexpected("'{'");
    while (!take('}')) {
      QAMA_ASSIGN_OR_RETURN(const std::string key, string());
      bool* const seen = key == "descr"           ? &descr
                         : key == "fortran_order" ? &order
                         : key == "shape"         ? &shape
                                                  : nullptr;
      if (seen == nullptr || *seen) {
        return bad(path_, "its header has key " + quote(key) +
                              ", expected descr, fortran_order and shape, each once");
      }
      *seen = true;
      if (!take(':')) return unexpected("':'");
      if (seen == &descr) {
        QAMA_ASSIGN_OR_RETURN(out.descr, string());
      } else if (seen == &order) {
        QAMA_ASSIGN_OR_RETURN(out.fortran_order, truth());
      } else {
        QAMA_ASSIGN_OR_RETURN(out.shape, sizes());
      }
      if (!take(',') && !is_next('}')) return unexpected("',' or '}'");
    }
    if (!descr || !order || !shape)
      return bad(path_, "its header has not all of descr, fortran_order and shape");
    skip_spaces();
    if (at_ != text_.size()) return unexpected("its end");
    return out;
  }

 private:
  [[nodiscard]] Error unexpected(const std::string& expected) const {
    return bad(path_, "byte " + std::to_string(at_) + " of its header is not what was expected, " +
                          expected);
  }
  void skip_spaces() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool is_next(char c) {
    skip_spaces();
    return at_ < text_.size() && text_[at_] == c;
  }
  bool take(char c) {
    if (!is_next(c)) return false;
    ++at_;
    return true;
  }
  Result<std::string> string() {
    const char mark = is_next('"') ? '"' : '\'';
    if (!take(mark)) return unexpected("a string");
    const std::size_t end = text_.find(mark, at_);
    // An escape would be part of a name that is none of ours.
    if (end == std::string_view::npos) return unexpected("a string that ends");
    std::string out(text_.substr(at_, end - at_));
    at_ = end + 1;
    return out;
  }
  Result<bool> truth() {
    skip_spaces();
    for (const auto& [word, value] : {std::pair{"True", true}, {"False", false}}) {
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += std::string_view(word).size();
      return value;
    }
    return unexpected("True or False");
  }
  Result<std::vector<std::int64_t>> sizes() {
    std::vector<std::int64_t> out;
    if (!take('(')) return unexpected("'('");
    bool comma = true;
    while (!take(')')) {
      if (!comma || out.size() == kMaxRank) return unexpected("')'");
      skip_spaces();
      std::int64_t size = 0;
      const auto [end, code] =
          std::from_chars(text_.data() + at_, text_.data() + text_.size(), size);
      if (code != std::errc() || size < 0) return unexpected("a size");
      at_ = static_cast<std::size_t>(end - text_.data());
      out.push_back(size);
      comma = take(',');
    }
    return out;
  }

  std::string_view text_;
  const std::string& path_;
  std::size_t at_ = 0;
};

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string out;
  for (const std::int64_t size : shape) out += (out.empty() ? "" : ",") + std::to_string(size);
  return "[" + out + "]";
}

/// The header of a stream, which then stands at the data; `bytes`: where that is.
Result<Header> read_header(ByteStream& stream, std::size_t& bytes) {
  std::uint8_t start[12];
  QAMA_ASSIGN_OR_RETURN(const std::size_t got, stream.read(std::span(start).first(10)));
  if (got == 0) {
    return Error{ErrorCode::dataset_empty, "npy file " + quote(stream.path()) + " is empty"};
  }
  const std::string_view magic(reinterpret_cast<const char*>(start), std::min(got, kMagic.size()));
  if (magic != kMagic.substr(0, magic.size()))
    return bad(stream.path(), "it does not begin as a .npy file does");
  if (got < 10) {
    return Error{ErrorCode::dataset_truncated,
                 "npy file " + quote(stream.path()) + " ends inside its header"};
  }
  const int version = start[6];
  if (version < 1 || version > 3 || start[7] != 0) {
    return bad(stream.path(), "its version is " + std::to_string(version) + "." +
                                  std::to_string(start[7]) + ", expected 1.0, 2.0 or 3.0");
  }
  std::size_t length = static_cast<std::size_t>(start[8]) | std::size_t{start[9]} << 8U;
  bytes = 10;
  if (version > 1) {
    QAMA_RETURN_IF_ERROR(stream.read_exactly(std::span(start).subspan(10, 2), "its header"));
    length |= std::size_t{start[10]} << 16U | std::size_t{start[11]} << 24U;
    bytes = 12;
  }
  if (length > kMaxHeaderBytes) {
    return bad(stream.path(), "its header has " + std::to_string(length) +
                                  " bytes, expected at most " + std::to_string(kMaxHeaderBytes));
  }
  std::vector<std::uint8_t> text(length);
  QAMA_RETURN_IF_ERROR(stream.read_exactly(text, "its header"));
  bytes += length;
  return HeaderText({reinterpret_cast<const char*>(text.data()), text.size()}, stream.path())
      .read();
}

/// Which record of `header` the sample is, and how many there are.
struct Place {
  std::int64_t record = 0, records = 1;
};

Result<Place> place_of(const Header& header, const std::string& path,
                       std::optional<std::int64_t> index, std::int64_t tokens, std::int64_t width) {
  const std::string expected =
      shape_text({tokens, width}) + " or [samples," + shape_text({tokens, width}).substr(1);
  if (header.descr != kFloats) {
    return bad(path, "its type is " + quote(header.descr) +
                         ", expected '<f4', which x.astype('float32') gives");
  }
  if (header.fortran_order) {
    return bad(path,
               "it is in Fortran order, expected C order, which numpy.ascontiguousarray(x) gives");
  }
  const std::vector<std::int64_t>& shape = header.shape;
  if (shape.size() < 2 || shape.size() > 3 || shape[shape.size() - 2] != tokens ||
      shape.back() != width) {
    return bad(path, "its shape is " + shape_text(shape) + ", expected " + expected);
  }
  Place out;
  if (shape.size() == 3) out.records = shape.front();
  if (out.records == 0) {
    return Error{ErrorCode::dataset_empty, "npy file " + quote(path) + " holds no samples"};
  }
  if (!index && out.records > 1) {
    return bad(path, "it holds " + std::to_string(out.records) +
                         " samples, expected one: FILE:INDEX names one of them, from 0");
  }
  out.record = index.value_or(0);
  if (out.record < 0 || out.record >= out.records) {
    return Error{ErrorCode::index_out_of_range,
                 "index " + std::to_string(out.record) + " of npy file " + quote(path) +
                     ": expected 0 to " + std::to_string(out.records - 1)};
  }
  return out;
}

}  // namespace

Result<std::vector<float>> read_npy_features(const std::string& path,
                                             std::optional<std::int64_t> index, std::int64_t tokens,
                                             std::int64_t width) {
  QAMA_ASSIGN_OR_RETURN(ByteStream stream,
                        path == "-" ? ByteStream::standard_input() : ByteStream::open(path));
  std::size_t start = 0;
  QAMA_ASSIGN_OR_RETURN(const Header header, read_header(stream, start));
  QAMA_ASSIGN_OR_RETURN(const Place place, place_of(header, path, index, tokens, width));
  const std::int64_t record = tokens * width * std::int64_t{sizeof(float)};
  const auto all = checked_mul(place.records, record);
  if (!all) {
    return bad(path,
               "its shape is " + shape_text(header.shape) + ", expected less than 2^63 bytes");
  }
  const auto expected = static_cast<std::uint64_t>(start) + static_cast<std::uint64_t>(*all);
  const bool plain = !stream.is_compressed() && path != "-";
  if (plain && stream.most_bytes() != expected) {
    return Error{stream.most_bytes() < expected ? ErrorCode::dataset_truncated
                                                : ErrorCode::dataset_bad_format,
                 "npy file " + quote(path) + " has " + std::to_string(stream.most_bytes()) +
                     " bytes, expected " + std::to_string(expected) + " for its shape " +
                     shape_text(header.shape)};
  }
  const std::string name = "record " + std::to_string(place.record);
  QAMA_RETURN_IF_ERROR(stream.skip(static_cast<std::uint64_t>(place.record * record),
                                   "the records before " + std::to_string(place.record)));
  std::vector<float> out(static_cast<std::size_t>(tokens * width));
  static_assert(std::endian::native == std::endian::little);
  QAMA_RETURN_IF_ERROR(stream.read_exactly(
      {reinterpret_cast<std::uint8_t*>(out.data()), out.size() * sizeof(float)}, name));
  if (place.record + 1 == place.records) {
    std::uint8_t extra[1];
    QAMA_ASSIGN_OR_RETURN(const std::size_t got, stream.read(extra));
    if (got != 0) return bad(path, "bytes follow its data");
  }
  const auto odd =
      std::find_if_not(out.begin(), out.end(), [](float value) { return std::isfinite(value); });
  if (odd != out.end()) {
    return Error{ErrorCode::problem_bad_value, "npy file " + quote(path) + ", " + name +
                                                   ": number " + std::to_string(odd - out.begin()) +
                                                   " is " + std::to_string(*odd) +
                                                   ", expected a finite number"};
  }
  return out;
}

}  // namespace qama::io
