#include "tests/weights/bad_files.h"
#include "hal/platform/sha256.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <utility>

#include "weights/golden_file.h"
#include "weights/model_file.h"
#include "weights/model_writer.h"

namespace qama::test {

using namespace weights;

namespace {

using Json = nlohmann::ordered_json;
using Bytes = std::vector<std::byte>;

// These files are made from constants: a failure here is a bug of the test.
template <typename T>
T must(Result<T> result) {
  if (!result.ok()) std::abort();
  return std::move(result).value();
}
void must(const Status& status) {
  if (!status.ok()) std::abort();
}

// A file taken apart: the header as JSON, and what follows.
struct Raw {
  Json header;
  Bytes data;
};

Raw take_apart(const Bytes& file) {
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  const char* text = reinterpret_cast<const char*>(file.data()) + sizeof length;
  return {Json::parse(text, text + length),
          Bytes(file.begin() + static_cast<std::ptrdiff_t>(sizeof length + length), file.end())};
}

Bytes with_length(std::uint64_t length, std::string_view text, const Bytes& data = {}) {
  Bytes out(sizeof length + text.size() + data.size());
  std::memcpy(out.data(), &length, sizeof length);
  if (!text.empty()) std::memcpy(out.data() + sizeof length, text.data(), text.size());
  std::copy(data.begin(), data.end(),
            out.begin() + static_cast<std::ptrdiff_t>(sizeof length + text.size()));
  return out;
}

// Header text as it is, padded to the alignment.
Bytes join(std::string text, const Bytes& data) {
  while ((sizeof(std::uint64_t) + text.size()) % kTensorAlignment != 0) text += ' ';
  return with_length(text.size(), text, data);
}

// With a checksum that is right, if there is one.
Bytes join(Raw raw) {
  const auto metadata = raw.header.find("__metadata__");
  if (metadata == raw.header.end() || !metadata->is_object() || !metadata->contains("sha256") ||
      !(*metadata)["sha256"].is_string() ||
      (*metadata)["sha256"].get_ref<const std::string&>().size() != kDigestDigits) {
    return join(raw.header.dump(), raw.data);
  }
  if (metadata->value("format_version", "") == kModelFormat.unsealed) {
    (*metadata)["sha256"] = platform::sha256_hex(raw.data);
    return join(raw.header.dump(), raw.data);
  }
  const std::string zeros(kDigestDigits, '0');
  (*metadata)["sha256"] = zeros;
  const std::string text = raw.header.dump();
  Bytes out = join(text, raw.data);
  const std::size_t digits = sizeof(std::uint64_t) + text.find(zeros);
  const std::string seal = seal_of(out, digits);
  std::memcpy(out.data() + digits, seal.data(), seal.size());
  return out;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  if (at == std::string::npos) std::abort();
  return text.replace(at, from.size(), to);
}

// Collects bad files that are made from one good file, each by one change.
class Changes {
 public:
  explicit Changes(Bytes good) : good_(std::move(good)) {}

  void bytes(std::string name, ErrorCode expected, Bytes bytes) {
    files_.push_back({std::move(name), expected, std::move(bytes)});
  }
  /// Changes the header or the data; the checksum is made right again.
  void raw(std::string name, ErrorCode expected, const std::function<void(Raw&)>& change) {
    Raw raw = take_apart(good_);
    change(raw);
    bytes(std::move(name), expected, join(std::move(raw)));
  }
  /// Changes the entry of a tensor.
  void entry(std::string name, ErrorCode expected, const std::function<void(Json&)>& change) {
    raw(std::move(name), expected, [&](Raw& raw) { change(raw.header["norm.weight"]); });
  }
  /// Changes `__metadata__`.
  void metadata(std::string name, ErrorCode expected, const std::function<void(Json&)>& change) {
    raw(std::move(name), expected, [&](Raw& raw) { change(raw.header["__metadata__"]); });
  }
  /// Changes a JSON document that is a metadata value.
  void document(std::string name, ErrorCode expected, const std::string& key,
                const std::function<void(Json&)>& change) {
    metadata(std::move(name), expected, [&](Json& metadata) {
      Json value = Json::parse(metadata[key].get<std::string>());
      change(value);
      metadata[key] = value.dump();
    });
  }
  /// Changes the header as text, e.g. to something that is not JSON.
  void text(std::string name, ErrorCode expected, std::string_view from, std::string_view to) {
    const Raw raw = take_apart(good_);
    bytes(std::move(name), expected, join(replaced(raw.header.dump(), from, to), raw.data));
  }
  /// Replaces a tensor by another of the same name, or leaves it out (no shape), in a well-formed
  /// file.
  void tensor(std::string name, ErrorCode expected, std::string_view tensor_name, Dtype dtype,
              std::vector<std::int64_t> shape, const Bytes& content = {}) {
    const auto file = must(TensorFile::from_memory(good_, kModelFormat));
    TensorFileWriter writer(kModelFormat);
    for (const MetadataEntry& e : file->all_metadata()) writer.set_metadata(e.key, e.value);
    bool found = false;
    const auto add = [&] {
      std::size_t size = dtype_bytes(dtype);
      for (const std::int64_t n : shape) size *= static_cast<std::size_t>(n);
      must(writer.add(std::string(tensor_name), dtype, shape,
                      content.empty() ? Bytes(size) : content));
    };
    for (const TensorView& view : file->tensors()) {
      if (view.is_padding()) continue;
      if (view.name != tensor_name) {
        must(writer.add(view.name, view.dtype, view.shape, view.bytes));
        continue;
      }
      found = true;
      if (!shape.empty()) add();
    }
    if (!found) add();
    bytes(std::move(name), expected, must(writer.serialise()));
  }
  /// Replaces the vocabulary.
  void vocabulary(std::string name, std::string_view words) {
    const auto content = std::as_bytes(std::span(words));
    tensor(std::move(name), ErrorCode::model_bad_vocabulary, "vocabulary", Dtype::u8,
           {static_cast<std::int64_t>(words.size())}, Bytes(content.begin(), content.end()));
  }

  [[nodiscard]] const Bytes& good() const { return good_; }
  [[nodiscard]] std::vector<NamedFile> take() { return std::move(files_); }

 private:
  Bytes good_;
  std::vector<NamedFile> files_;
};

void add_header_size_and_text(Changes& c) {
  using enum ErrorCode;
  const Bytes& good = c.good();
  c.bytes("empty", model_truncated, {});
  c.bytes("seven-bytes", model_truncated, Bytes(good.begin(), good.begin() + 7));
  c.bytes("length-alone", model_truncated, Bytes(good.begin(), good.begin() + 8));
  c.bytes("header-cut", model_truncated, Bytes(good.begin(), good.begin() + 100));
  c.bytes("header-length-maximal", model_header_too_large,
          with_length(std::numeric_limits<std::uint64_t>::max(), "{}"));
  c.bytes("header-length-wraps", model_header_too_large,
          with_length(std::numeric_limits<std::uint64_t>::max() - 7, "{}"));
  c.bytes("header-over-limit", model_header_too_large, with_length(kMaxHeaderBytes + 1, "{}"));
  c.bytes("header-at-limit-but-absent", model_truncated, with_length(kMaxHeaderBytes, "{}"));
  c.bytes("header-of-no-bytes", model_header_not_json, with_length(0, ""));
  c.bytes("header-array", model_header_not_json, join("[]", {}));
  c.bytes("header-space-first", model_header_not_json, join(" {}", {}));
  c.bytes("header-unterminated", model_header_not_json, join("{\"a\":", {}));
  c.bytes("header-two-values", model_header_not_json, join("{}{}", {}));
  c.bytes("header-zero-bytes", model_header_not_json, join(std::string("{}\0\0\0", 5), {}));
  c.bytes("header-infinite-number", model_header_not_json, join("{\"a\":1e999}", {}));
  c.bytes("header-nan", model_header_not_json, join("{\"a\":NaN}", {}));
  c.bytes("header-not-utf8", model_header_not_json, join("{\"a\xff\":1}", {}));
  c.bytes("header-deep", model_header_not_json, join("{\"a\":" + std::string(1000000, '['), {}));
  std::string objects = "{\"a\":";
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  c.bytes("header-deep-objects", model_header_not_json, join(objects, {}));
}

void add_keys_and_metadata(Changes& c) {
  using enum ErrorCode;
  c.text("duplicate-tensor", model_duplicate_key, "{\"__metadata__\"",
         "{\"norm.bias\":{},\"__metadata__\"");
  c.text("duplicate-metadata-key", model_duplicate_key,
         "\"format\":", "\"format\":\"x\",\"format\":");
  c.text("duplicate-metadata", model_duplicate_key, "{\"__metadata__\"",
         "{\"__metadata__\":{},\"__metadata__\"");
  c.text("duplicate-escaped-key", model_duplicate_key,
         "\"format\":", "\"form\\u0061t\":\"x\",\"format\":");
  c.text("duplicate-entry-key", model_duplicate_key,
         "{\"dtype\":", "{\"dtype\":\"F32\",\"dtype\":");
  c.metadata("duplicate-architecture-key", model_duplicate_key, [](Json& m) {
    m["architecture"] = replaced(m["architecture"], "\"dim\":", "\"dim\":1,\"dim\":");
  });
  c.raw("too-many-tensors", model_too_many_tensors, [](Raw& raw) {
    for (std::size_t i = 0; i <= kMaxTensors; ++i) raw.header["t" + std::to_string(i)] = 0;
  });
  c.raw("metadata-missing", model_bad_metadata, [](Raw& raw) { raw.header.erase("__metadata__"); });
  c.raw("metadata-array", model_bad_metadata,
        [](Raw& raw) { raw.header["__metadata__"] = Json::array(); });
  c.metadata("metadata-number", model_bad_metadata, [](Json& m) { m["producer"] = 1; });
  c.metadata("metadata-unknown-key", model_bad_metadata, [](Json& m) { m["extra"] = "1"; });
  for (const char* key :
       {"format", "format_version", "architecture", "preprocess", "labels", "sha256", "producer"}) {
    c.metadata(std::string("metadata-without-") + key, model_bad_metadata,
               [&](Json& m) { m.erase(key); });
  }
  c.metadata("format-of-another-tool", model_wrong_kind, [](Json& m) { m = {{"format", "pt"}}; });
  c.bytes("golden-instead-of-model", model_wrong_kind, golden_bytes(tiny_softmax_vit()));
  for (const char* version : {"0", "3", "2.0", ""}) {
    c.metadata(std::string("version-") + version, model_unsupported_version,
               [&](Json& m) { m["format_version"] = version; });
  }
  c.metadata("sha256-short", model_bad_metadata, [](Json& m) { m["sha256"] = "00"; });
  const Raw good = take_apart(c.good());
  const std::string digest = good.header["__metadata__"]["sha256"];
  c.bytes("sha256-upper-case", model_bad_metadata,
          join(replaced(good.header.dump(), digest, "A" + digest.substr(1)), good.data));
  // '0' is U+0030, 'a' is U+0061: the code's last digit is 0 to 9.
  const std::string escaped =
      (digest[0] < 'a' ? "\\u003" : "\\u006") + std::to_string(digest[0] % 16);
  c.bytes("sha256-with-an-escape", model_bad_metadata,
          join(replaced(good.header.dump(), digest, escaped + digest.substr(1)), good.data));
  c.metadata("producer-control-character", model_bad_metadata,
             [](Json& m) { m["producer"] = "\x1b[2J"; });
  c.metadata("training-not-json", model_bad_metadata, [](Json& m) { m["training"] = "{"; });
  c.metadata("training-array", model_bad_metadata, [](Json& m) { m["training"] = "[]"; });
  c.metadata("training-duplicate-key", model_duplicate_key,
             [](Json& m) { m["training"] = R"({"seed":1,"seed":2})"; });
}

void add_entries(Changes& c) {
  using enum ErrorCode;
  c.entry("entry-not-object", model_header_bad_entry, [](Json& e) { e = 1; });
  for (const char* key : {"dtype", "shape", "data_offsets"}) {
    c.entry(std::string("entry-without-") + key, model_header_bad_entry,
            [&](Json& e) { e.erase(key); });
  }
  c.entry("entry-extra-key", model_header_bad_entry, [](Json& e) { e["extra"] = 1; });
  c.entry("dtype-number", model_header_bad_entry, [](Json& e) { e["dtype"] = 1; });
  c.entry("dtype-unknown", model_bad_dtype, [](Json& e) { e["dtype"] = "F31"; });
  c.entry("dtype-lower-case", model_bad_dtype, [](Json& e) { e["dtype"] = "f32"; });
  c.entry("shape-number", model_header_bad_entry, [](Json& e) { e["shape"] = 4; });
  c.entry("shape-negative", model_header_bad_entry, [](Json& e) { e["shape"] = {-4}; });
  c.entry("shape-fraction", model_header_bad_entry, [](Json& e) { e["shape"] = {4.0}; });
  c.entry("shape-string", model_header_bad_entry, [](Json& e) { e["shape"] = {"4"}; });
  c.entry("shape-null", model_header_bad_entry, [](Json& e) { e["shape"] = {nullptr}; });
  c.entry("rank-7", model_bad_rank, [](Json& e) { e["shape"] = {1, 1, 1, 1, 1, 1, 4}; });
  c.entry("shape-zero", model_bad_shape, [](Json& e) { e["shape"] = {0}; });
  c.entry("shape-product-overflows", model_bad_shape, [](Json& e) {
    e["shape"] = {std::uint64_t{1} << 32U, std::uint64_t{1} << 32U};
  });
  c.entry("shape-product-wraps-to-size", model_bad_shape, [](Json& e) {
    // 2^62 * 4 elements and as many bytes a float: 0 in 64 bits; 2^62 + 1 of them: 4 floats.
    e["shape"] = {(std::uint64_t{1} << 62U) + 1, 4};
  });
  c.entry("shape-over-int64", model_bad_shape,
          [](Json& e) { e["shape"] = {std::uint64_t{1} << 63U}; });
  c.entry("offsets-one", model_header_bad_entry, [](Json& e) { e["data_offsets"] = {0}; });
  c.entry("offsets-three", model_header_bad_entry, [](Json& e) {
    e["data_offsets"] = {0, 16, 32};
  });
  c.entry("offsets-negative", model_header_bad_entry, [](Json& e) {
    e["data_offsets"] = {-16, 0};
  });
  c.entry("offsets-fraction", model_header_bad_entry, [](Json& e) {
    e["data_offsets"] = {0.5, 16.5};
  });
  c.entry("offsets-object", model_header_bad_entry,
          [](Json& e) { e["data_offsets"] = Json::object(); });
}

void add_layout(Changes& c) {
  using enum ErrorCode;
  const Bytes& good = c.good();
  c.entry("offsets-reversed", model_bad_offsets, [](Json& e) {
    e["data_offsets"] = {e["data_offsets"][1], e["data_offsets"][0]};
  });
  c.entry("offsets-of-another-size", model_bad_offsets,
          [](Json& e) { e["data_offsets"][1] = e["data_offsets"][1].get<std::uint64_t>() + 4; });
  c.entry("offsets-wrap", model_bad_offsets, [](Json& e) {
    const auto all = std::numeric_limits<std::uint64_t>::max();
    e["data_offsets"] = {all - 7, all};
  });
  c.entry("offsets-hole", model_bad_offsets, [](Json& e) {
    for (Json& offset : e["data_offsets"]) offset = offset.get<std::uint64_t>() + 64;
  });
  c.entry("offsets-overlap", model_bad_offsets, [](Json& e) {
    for (Json& offset : e["data_offsets"]) offset = offset.get<std::uint64_t>() - 64;
  });
  c.raw("offsets-share-everything", model_bad_offsets, [](Raw& raw) {
    raw.header["norm.weight"]["data_offsets"] = raw.header["norm.bias"]["data_offsets"];
  });
  c.raw("offsets-not-from-zero", model_bad_offsets, [](Raw& raw) {
    for (auto& [name, value] : raw.header.items()) {
      if (name == "__metadata__") continue;
      for (Json& offset : value["data_offsets"]) offset = offset.get<std::uint64_t>() + 64;
    }
    raw.data.insert(raw.data.begin(), 64, std::byte{0});
  });
  c.raw("data-of-a-terabyte-claimed", model_truncated, [](Raw& raw) {
    const std::uint64_t begin = raw.data.size();
    const std::uint64_t size = std::uint64_t{1} << 40U;
    raw.header["huge"] = {
        {"dtype", "U8"}, {"shape", {size}}, {"data_offsets", {begin, begin + size}}};
  });
  c.bytes("data-one-byte-short", model_truncated, Bytes(good.begin(), good.end() - 1));
  c.bytes("data-absent", model_truncated, join(take_apart(good).header.dump(), {}));
  Bytes longer = good;
  longer.push_back(std::byte{0});
  c.bytes("one-byte-more", model_trailing_bytes, longer);
  Raw raw = take_apart(good);
  std::string unaligned = raw.header.dump();
  while ((unaligned.size() + 8) % kTensorAlignment != 1) unaligned += ' ';
  c.bytes("data-unaligned", model_misaligned, with_length(unaligned.size(), unaligned, raw.data));
  // The first pad is made one byte longer, so that what follows begins one byte late.
  c.raw("tensor-unaligned", model_misaligned, [](Raw& r) {
    const auto end = r.header["__pad.0"]["data_offsets"][1].get<std::uint64_t>();
    for (auto& [name, value] : r.header.items()) {
      if (name == "__metadata__") continue;
      for (Json& offset : value["data_offsets"]) {
        const auto at = offset.get<std::uint64_t>();
        const bool is_pad_begin = name == "__pad.0" && at < end;
        if (at >= end && !is_pad_begin) offset = at + 1;
      }
    }
    r.header["__pad.0"]["shape"][0] = r.header["__pad.0"]["shape"][0].get<std::uint64_t>() + 1;
    r.data.insert(r.data.begin() + static_cast<std::ptrdiff_t>(end), std::byte{0});
  });
}

void add_padding_and_values(Changes& c) {
  using enum ErrorCode;
  const auto begin_of = [](const Raw& raw, const char* name) {
    return raw.header[name]["data_offsets"][0].get<std::size_t>();
  };
  const auto put_f32 = [](Raw& raw, std::size_t at, std::uint32_t bits) {
    std::memcpy(raw.data.data() + at, &bits, sizeof bits);
  };
  c.raw("pad-not-u8", model_bad_padding, [](Raw& raw) { raw.header["__pad.0"]["dtype"] = "I8"; });
  c.raw("pad-rank-2", model_bad_padding, [](Raw& raw) {
    raw.header["__pad.0"]["shape"] = {1, raw.header["__pad.0"]["shape"][0]};
  });
  c.raw("pad-of-64", model_bad_padding, [](Raw& raw) {
    const std::size_t begin = raw.data.size();
    raw.header["__pad.last"] = {
        {"dtype", "U8"}, {"shape", {64}}, {"data_offsets", {begin, begin + 64}}};
    raw.data.resize(begin + 64);
  });
  c.raw("pad-not-zero", model_bad_padding,
        [&](Raw& raw) { raw.data[begin_of(raw, "__pad.0")] = std::byte{1}; });
  Bytes flipped = c.good();
  flipped.back() ^= std::byte{1};
  c.bytes("data-flipped", model_checksum_mismatch, flipped);
  const Raw good = take_apart(c.good());
  const std::string text = good.header.dump();
  const std::string digest = good.header["__metadata__"]["sha256"];
  c.bytes("sha256-of-other-data", model_checksum_mismatch,
          join(replaced(text, digest, std::string(digest.size(), '0')), good.data));
  c.raw("weight-nan", model_bad_value,
        [&](Raw& raw) { put_f32(raw, begin_of(raw, "head.weight"), 0x7FC00000U); });
  c.raw("weight-signalling-nan", model_bad_value,
        [&](Raw& raw) { put_f32(raw, begin_of(raw, "position") + 4, 0xFF800001U); });
  c.raw("weight-infinite", model_bad_value,
        [&](Raw& raw) { put_f32(raw, begin_of(raw, "head.bias"), 0x7F800000U); });
  c.raw("weight-minus-infinite", model_bad_value,
        [&](Raw& raw) { put_f32(raw, begin_of(raw, "norm.bias"), 0xFF800000U); });
}

// What a checksum of the data alone does not see. The seal is that of the file before the change.
void add_breaches(Changes& c) {
  using enum ErrorCode;
  const Raw good = take_apart(c.good());
  const auto header = [&](std::string name, const std::function<void(Json&)>& change) {
    Json changed = good.header;
    change(changed);
    c.bytes(std::move(name), model_checksum_mismatch, join(changed.dump(), good.data));
  };
  const auto document = [&](std::string name, const char* key,
                            const std::function<void(Json&)>& change) {
    header(std::move(name), [&](Json& h) {
      Json value = Json::parse(h["__metadata__"][key].get<std::string>());
      change(value);
      h["__metadata__"][key] = value.dump();
    });
  };
  document("seal-rho0", "architecture", [](Json& a) { a["attention"]["rho0"] = 0.17; });
  document("seal-mean", "preprocess", [](Json& p) { p["mean"][0] = 0.25; });
  document("seal-labels-swapped", "labels", [](Json& l) { std::swap(l[0], l[1]); });
  header("seal-producer", [](Json& h) { h["__metadata__"]["producer"] = "somebody else"; });
  header("seal-version-1", [](Json& h) { h["__metadata__"]["format_version"] = "1"; });
  header("seal-tensors-swapped", [](Json& h) {
    std::swap(h["norm.weight"]["data_offsets"], h["blocks.0.mlp.norm.weight"]["data_offsets"]);
  });
  header("seal-tensor-renamed", [](Json& h) {
    h["norm.width"] = h["norm.weight"];
    h.erase("norm.weight");
  });
  header("seal-pad-renamed", [](Json& h) {
    h["__pad.x"] = h["__pad.0"];
    h.erase("__pad.0");
  });
  // Two whole files of one shape, with other numbers: header of one, data of the other, and one
  // tensor of the other.
  const Raw other = take_apart(must(must(random_model(tiny_qama_vit(), 2)).serialise()));
  c.bytes("seal-data-of-another-file", model_checksum_mismatch,
          join(good.header.dump(), other.data));
  Bytes spliced = good.data;
  const auto& offsets = good.header["head.weight"]["data_offsets"];
  std::copy(other.data.begin() + offsets[0].get<std::ptrdiff_t>(),
            other.data.begin() + offsets[1].get<std::ptrdiff_t>(),
            spliced.begin() + offsets[0].get<std::ptrdiff_t>());
  c.bytes("seal-tensor-of-another-file", model_checksum_mismatch,
          join(good.header.dump(), spliced));
  // The same header with one more space behind it.
  c.bytes("seal-header-longer", model_checksum_mismatch,
          join(good.header.dump() + std::string(kTensorAlignment, ' '), good.data));
  // Version 1 sees a change of the data.
  Bytes unsealed = unsealed_model_bytes(tiny_qama_vit());
  unsealed.back() ^= std::byte{1};
  c.bytes("unsealed-data-flipped", model_checksum_mismatch, unsealed);
}

void add_records(Changes& c) {
  using enum ErrorCode;
  c.metadata("architecture-not-json", model_bad_architecture,
             [](Json& m) { m["architecture"] = "{"; });
  c.metadata("architecture-deep", model_bad_architecture,
             [](Json& m) { m["architecture"] = std::string(100000, '['); });
  c.document("architecture-unknown-key", model_bad_architecture, "architecture",
             [](Json& a) { a["dropout"] = 0; });
  c.document("architecture-kind-unknown", model_bad_architecture, "architecture",
             [](Json& a) { a["kind"] = "resnet"; });
  c.document("architecture-patch-does-not-divide", model_bad_architecture, "architecture",
             [](Json& a) { a["patch"] = 3; });
  c.document("architecture-attention-unknown", model_bad_architecture, "architecture", [](Json& a) {
    a["attention"] = {{"kind", "linear"}};
  });
  c.document("architecture-depth-0", model_bad_architecture, "architecture",
             [](Json& a) { a["depth"] = 0; });
  c.document("architecture-huge", model_bad_architecture, "architecture",
             [](Json& a) { a["dim"] = 65537; });
  c.document("architecture-deeper-than-file", model_missing_tensor, "architecture",
             [](Json& a) { a["depth"] = 256; });
  c.document("architecture-wider-than-file", model_bad_shape, "architecture",
             [](Json& a) { a["mlp"] = 65536; });
  c.document("preprocess-of-text", model_bad_preprocess, "preprocess", [](Json& p) {
    p = {{"kind", "text"}, {"tokeniser", "words"}, {"lowercase", true}, {"truncate", "head"}};
  });
  c.document("preprocess-std-0", model_bad_preprocess, "preprocess",
             [](Json& p) { p["std"] = {0.0}; });
  c.document("preprocess-channels", model_bad_preprocess, "preprocess", [](Json& p) {
    p["mean"] = {0.1, 0.2};
  });
  c.document("labels-object", model_bad_labels, "labels", [](Json& l) { l = Json::object(); });
  c.document("labels-too-few", model_bad_labels, "labels", [](Json& l) { l.erase(0); });
  c.document("labels-number", model_bad_labels, "labels", [](Json& l) { l[0] = 0; });
  c.document("labels-empty-name", model_bad_labels, "labels", [](Json& l) { l[0] = ""; });
  c.document("labels-control-character", model_bad_labels, "labels",
             [](Json& l) { l[0] = "a\nb"; });
}

void add_tensors(Changes& c) {
  using enum ErrorCode;
  const std::int64_t mlp = tiny_qama_vit().mlp;
  const std::int64_t dim = tiny_qama_vit().dim;
  c.tensor("tensor-missing", model_missing_tensor, "blocks.0.attn.w_eps", Dtype::f32, {});
  c.tensor("tensor-unknown", model_unknown_tensor, "blocks.0.attn.extra", Dtype::f32, {1});
  c.tensor("tensor-of-a-further-block", model_unknown_tensor, "blocks.1.attn.w_eps", Dtype::f32,
           {1, 2});
  c.tensor("tensor-transposed", model_bad_shape, "blocks.0.mlp.fc1.weight", Dtype::f32, {dim, mlp});
  c.tensor("tensor-flat", model_bad_shape, "blocks.0.mlp.fc1.weight", Dtype::f32, {dim * mlp});
  c.tensor("tensor-one-short", model_bad_shape, "norm.weight", Dtype::f32, {dim - 1});
  c.tensor("tensor-one-head-too-many", model_bad_shape, "blocks.0.attn.w_eps", Dtype::f32,
           {3, tiny_qama_vit().dim_head});
  c.tensor("tensor-f64", model_bad_dtype, "norm.weight", Dtype::f64, {dim});
  c.tensor("tensor-i16", model_bad_dtype, "norm.weight", Dtype::i16, {dim});
}

void add_features(Changes& c) {
  using enum ErrorCode;
  const auto record = [&c](const char* name, ErrorCode expected, const char* key, Json value) {
    c.document(name, expected, "architecture",
               [key, value = std::move(value)](Json& a) { a["features"][key] = value; });
  };
  record("features-tokens-0", model_bad_architecture, "tokens", 0);
  record("features-tokens-too-many", model_bad_architecture, "tokens", (1 << 20) + 1);
  record("features-width-text", model_bad_architecture, "width", "3");
  record("features-width-too-large", model_bad_architecture, "width", 65537);
  record("features-unknown-key", model_bad_architecture, "height", 3);
  record("features-wider-than-file", model_bad_shape, "width", 4);
  c.document("features-too-many-numbers", model_bad_architecture, "architecture", [](Json& a) {
    a["features"] = {{"tokens", 1 << 20}, {"width", 65536}};
  });
  c.document("features-missing", model_bad_architecture, "architecture",
             [](Json& a) { a.erase("features"); });
  c.document("features-beside-sequence", model_bad_architecture, "architecture", [](Json& a) {
    a["sequence"] = {{"max_tokens", 6}, {"vocabulary", 5}, {"embedding", 3}};
  });
  c.document("features-preprocess-of-text", model_bad_preprocess, "preprocess", [](Json& p) {
    p = {{"kind", "text"}, {"tokeniser", "words"}, {"lowercase", true}, {"truncate", "head"}};
  });
  c.document("features-preprocess-scale", model_bad_preprocess, "preprocess",
             [](Json& p) { p["scale"] = 255; });
  c.tensor("features-with-position", model_unknown_tensor, "position", Dtype::f32, {6, 4});
}

void add_int8(Changes& c) {
  using enum ErrorCode;
  const std::int64_t classes = tiny_qama_vit().classes;
  const std::int64_t dim = tiny_qama_vit().dim;
  c.tensor("int8-scales-missing", model_missing_tensor, "head.scale", Dtype::f32, {});
  c.tensor("int8-scales-short", model_bad_shape, "head.scale", Dtype::f32, {classes - 1});
  c.tensor("int8-scales-matrix", model_bad_shape, "head.scale", Dtype::f32, {classes, 1});
  c.tensor("int8-scales-f16", model_bad_dtype, "head.scale", Dtype::f16, {classes});
  c.tensor("int8-scales-f64", model_bad_dtype, "head.scale", Dtype::f64, {classes});
  c.tensor("int8-scales-of-floats", model_unknown_tensor, "head.weight", Dtype::f32,
           {classes, dim});
  c.tensor("int8-transposed", model_bad_shape, "head.weight", Dtype::i8, {dim, classes});
  c.tensor("int8-unsigned", model_bad_dtype, "head.weight", Dtype::u8, {classes, dim});
  c.tensor("int8-vector", model_bad_dtype, "norm.weight", Dtype::i8, {dim});
  c.raw("int8-scale-nan", model_bad_value, [](Raw& raw) {
    const auto at = raw.header["head.scale"]["data_offsets"][0].get<std::size_t>();
    const std::uint32_t nan = 0x7FC00000U;
    std::memcpy(raw.data.data() + at, &nan, sizeof nan);
  });
}

void add_vocabulary(Changes& c) {
  c.vocabulary("vocabulary-short", "<pad>\n<unk>\na");
  c.vocabulary("vocabulary-long", "<pad>\n<unk>\na\nb\nc\nd");
  c.vocabulary("vocabulary-without-pad", "<unk>\n<pad>\na\nb\nc");
  c.vocabulary("vocabulary-without-unk", "<pad>\na\nb\nc\nd");
  c.vocabulary("vocabulary-empty-word", "<pad>\n<unk>\n\nb\nc");
  c.vocabulary("vocabulary-word-twice", "<pad>\n<unk>\na\nb\na");
  c.tensor("vocabulary-i8", ErrorCode::model_bad_dtype, "vocabulary", Dtype::i8, {16});
  c.tensor("vocabulary-rank-2", ErrorCode::model_bad_shape, "vocabulary", Dtype::u8, {4, 4});
}

}  // namespace

Architecture tiny_softmax_vit() {
  Architecture a;
  a.kind = ModelKind::simple_vit;
  a.image_height = a.image_width = 4;
  a.image_channels = 1;
  a.patch = 2;
  a.dim = 4;
  a.depth = 1;
  a.heads = 2;
  a.dim_head = 2;
  a.mlp = 6;
  a.classes = 2;
  return a;
}

Architecture tiny_qama_vit() {
  Architecture a = tiny_softmax_vit();
  a.attention.kind = AttentionKind::qama;
  a.attention.normalisation = Normalisation::batch;
  a.attention.energy_norm = EnergyNorm::batch;
  return a;
}

Architecture tiny_qama_text() {
  Architecture a;
  a.kind = ModelKind::text_transformer;
  a.max_tokens = 8;
  a.vocabulary = 5;
  a.embedding = 3;
  a.dim = 4;
  a.depth = 1;
  a.heads = 1;
  a.dim_head = 4;
  a.mlp = 6;
  a.classes = 2;
  a.gelu = Gelu::tanh;
  a.attention.kind = AttentionKind::qama;
  a.attention.normalisation = Normalisation::instance;
  a.attention.energy_norm = EnergyNorm::layer;
  return a;
}

Architecture tiny_features() {
  Architecture a;
  a.kind = ModelKind::feature_transformer;
  a.max_tokens = 6;
  a.embedding = 3;
  a.dim = 4;
  a.depth = 1;
  a.heads = 2;
  a.dim_head = 2;
  a.mlp = 6;
  a.classes = 2;
  return a;
}

Bytes model_bytes(const Architecture& architecture) {
  return must(must(random_model(architecture, 1)).serialise());
}

Bytes int8_model_bytes(const Architecture& architecture) {
  const Bytes floats = model_bytes(architecture);
  return must(must(int8_copy(*must(ModelFile::from_memory(floats)))).serialise());
}

Bytes unsealed_model_bytes(const Architecture& architecture) {
  Raw raw = take_apart(model_bytes(architecture));
  raw.header["__metadata__"]["format_version"] = std::string(kModelFormat.unsealed);
  return join(std::move(raw));
}

Bytes golden_bytes(const Architecture& a) {
  const Bytes model = model_bytes(a);
  TensorFileWriter writer(kGoldenFormat);
  writer.set_metadata("model_sha256", must(ModelFile::from_memory(model))->sha256());
  constexpr std::int64_t kBatch = 2;
  const auto f32 = [&](const std::string& name, const std::vector<std::int64_t>& shape) {
    std::int64_t count = 1;
    for (const std::int64_t n : shape) count *= n;
    must(writer.add_f32(name, shape, std::vector<float>(static_cast<std::size_t>(count), 0.5F)));
  };
  const auto i32 = [&](const std::string& name, const std::vector<std::int64_t>& shape) {
    std::int64_t count = 1;
    for (const std::int64_t n : shape) count *= n;
    must(
        writer.add_i32(name, shape, std::vector<std::int32_t>(static_cast<std::size_t>(count), 1)));
  };
  if (a.is_image()) {
    f32("input", {kBatch, a.image_channels, a.image_height, a.image_width});
  } else if (a.is_features()) {
    f32("input", {kBatch, a.max_tokens, a.embedding});
  } else {
    i32("tokens", {kBatch, a.max_tokens});
    i32("lengths", {kBatch});
  }
  i32("labels", {kBatch});
  f32("embed", {kBatch, a.tokens(), a.dim});
  for (std::int32_t i = 0; i < a.depth; ++i) {
    const std::string block = "block." + std::to_string(i) + ".";
    f32(block + "attn_norm", {kBatch, a.tokens(), a.dim});
    if (a.is_qama(i)) {
      const auto count = static_cast<std::size_t>(kBatch * a.heads * a.tokens());
      must(writer.add_u8(block + "spins", {kBatch, a.heads, a.tokens()},
                         std::vector<std::uint8_t>(count, 1)));
      f32(block + "energies", {kBatch, a.heads, a.tokens()});
    }
    f32(block + "attn_out", {kBatch, a.tokens(), a.dim});
    f32(block + "out", {kBatch, a.tokens(), a.dim});
  }
  f32("norm", {kBatch, a.tokens(), a.dim});
  f32("pooled", {kBatch, a.dim});
  f32("logits", {kBatch, a.classes});
  return must(writer.serialise());
}

std::vector<NamedFile> bad_model_files() {
  Changes image(model_bytes(tiny_qama_vit()));
  add_header_size_and_text(image);
  add_keys_and_metadata(image);
  add_entries(image);
  add_layout(image);
  add_padding_and_values(image);
  add_breaches(image);
  add_records(image);
  add_tensors(image);
  Changes text(model_bytes(tiny_qama_text()));
  add_vocabulary(text);

  Changes features(model_bytes(tiny_features()));
  add_features(features);

  Changes int8(int8_model_bytes(tiny_qama_vit()));
  add_int8(int8);

  std::vector<NamedFile> files = image.take();
  for (NamedFile& file : text.take()) files.push_back(std::move(file));
  for (NamedFile& file : features.take()) files.push_back(std::move(file));
  for (NamedFile& file : int8.take()) files.push_back(std::move(file));
  return files;
}

std::vector<NamedFile> good_model_files() {
  return {{"softmax-vit", ErrorCode::ok, model_bytes(tiny_softmax_vit())},
          {"qama-vit", ErrorCode::ok, model_bytes(tiny_qama_vit())},
          {"qama-text", ErrorCode::ok, model_bytes(tiny_qama_text())},
          {"features", ErrorCode::ok, model_bytes(tiny_features())},
          {"int8-vit", ErrorCode::ok, int8_model_bytes(tiny_qama_vit())},
          {"int8-text", ErrorCode::ok, int8_model_bytes(tiny_qama_text())},
          {"qama-vit-v1", ErrorCode::ok, unsealed_model_bytes(tiny_qama_vit())}};
}

std::vector<NamedFile> good_golden_files() {
  return {{"softmax-vit-golden", ErrorCode::ok, golden_bytes(tiny_softmax_vit())},
          {"qama-vit-golden", ErrorCode::ok, golden_bytes(tiny_qama_vit())},
          {"qama-text-golden", ErrorCode::ok, golden_bytes(tiny_qama_text())},
          {"features-golden", ErrorCode::ok, golden_bytes(tiny_features())}};
}

}  // namespace qama::test
