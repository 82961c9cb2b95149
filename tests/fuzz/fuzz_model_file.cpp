// Fuzz target for everything in weights/ that reads bytes from outside: model files, golden files
// and the JSON records. Random bytes never carry the right checksum, so a file that fails by its
// checksum alone is tried again with the checksum repaired. Nor do they keep the header's length,
// or its JSON in order: the mutator below changes a value of the header, or the data, and keeps the
// rest.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/random.h"
#include "hal/platform/sha256.h"
#include "weights/architecture.h"
#include "weights/golden_file.h"
#include "weights/model_file.h"
#include "weights/tensor_file.h"

namespace {

using namespace qama::weights;

void require(bool condition) {
  if (!condition) std::abort();
}

// Touches every byte that an accepted file offers.
std::uint64_t touch(std::span<const TensorView> tensors) {
  std::uint64_t sum = 0;
  for (const TensorView& tensor : tensors) {
    std::size_t elements = 1;
    for (const std::int64_t size : tensor.shape) elements *= static_cast<std::size_t>(size);
    require(elements == tensor.elements());
    for (const std::byte b : tensor.bytes) sum += std::to_integer<std::uint64_t>(b);
  }
  return sum;
}

void check_model(const ModelFile& model) {
  touch(model.tensors());
  const Architecture& a = model.architecture();
  require(a.validate().ok());
  require(model.labels().size() == static_cast<std::size_t>(a.classes));
  require(model.preprocess().validate(a).ok());
  require(model.vocabulary().words().size() == static_cast<std::size_t>(a.vocabulary));
  for (const TensorSpec& spec : expected_tensors(a)) require(model.tensor(spec.name).ok());
  const auto again = Architecture::parse(a.to_json());
  require(again.ok() && *again == a);
}

template <typename File>
auto open_repaired(std::span<const std::byte> bytes, std::vector<std::byte>& copy) {
  auto result = File::from_memory(bytes);
  if (result.ok() || result.error().code != qama::ErrorCode::model_checksum_mismatch) return result;
  copy.assign(bytes.begin(), bytes.end());
  // The sentence ends with the stored digest. Its first place is its own.
  const std::string& message = result.error().message;
  if (message.size() < kDigestDigits) return result;
  const std::string_view stored = std::string_view(message).substr(message.size() - kDigestDigits);
  const auto* text = reinterpret_cast<const char*>(copy.data());
  const std::size_t at = std::string_view(text, copy.size()).find(stored);
  if (at == std::string_view::npos) return result;  // version 1, written with escapes
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  const std::string digest = message.starts_with("data")
                                 ? qama::platform::sha256_hex(bytes.subspan(sizeof length + length))
                                 : seal_of(bytes, at);
  std::memcpy(copy.data() + at, digest.data(), digest.size());
  return File::from_memory(copy);
}

void check_records(std::string_view text) {
  const auto architecture = Architecture::parse(text);
  if (architecture.ok()) {
    const auto again = Architecture::parse(architecture->to_json());
    require(again.ok() && *again == *architecture);
  }
  Architecture image;
  image.image_channels = 1;
  const auto preprocess = Preprocess::parse(text, image);
  if (preprocess.ok()) {
    const auto again = Preprocess::parse(preprocess->to_json(), image);
    require(again.ok() && *again == *preprocess);
  }
}

}  // namespace

// ---- the mutator ----

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t room);

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLength = 8;  // of the header's length
constexpr std::size_t kMostRecord = 4096;

class Mutator {
 public:
  explicit Mutator(unsigned int seed) : dice_(seed) {}

  std::string mutate_text(std::string text) {
    const std::size_t size = text.size();
    text.resize(size + 32);
    text.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(text.data()), size, text.size()));
    return text;
  }

  /// Changes one value somewhere below `json`.
  void mutate(Json& json) {
    if (json.is_structured() && !json.empty() && below(16) != 0) {
      if (below(12) == 0) return mutate_members(json);
      return mutate(*std::next(json.begin(), static_cast<std::ptrdiff_t>(below(json.size()))));
    }
    if (json.is_string()) return mutate_string(json);
    json = value_like(json);
  }
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(dice_.next() % bound); }

 private:
  /// The records are JSON in a string.
  void mutate_string(Json& json) {
    const std::string text = json.get<std::string>();
    if (!text.empty() && (text[0] == '{' || text[0] == '[')) {
      Json record = Json::parse(text, nullptr, false);
      if (record.is_structured()) {
        mutate(record);
        json = record.dump(-1, ' ', false, Json::error_handler_t::replace);
        return;
      }
    }
    constexpr const char* kWords[] = {"F32",  "I32",     "U8", "F16", "BF16",
                                      "qama", "softmax", "1",  "2",   ""};
    json = below(2) == 0 ? std::string(kWords[below(std::size(kWords))]) : mutate_text(text);
  }

  /// Takes a member out, gives it another's name, or another's value.
  void mutate_members(Json& json) {
    const std::size_t one = below(json.size()), other = below(json.size());
    const auto at = [&json](std::size_t i) {
      return std::next(json.begin(), static_cast<std::ptrdiff_t>(i));
    };
    if (below(3) == 0) {
      json.erase(at(one));
    } else if (json.is_object() && below(2) == 0) {
      json[mutate_text(at(one).key())] = Json(*at(other));
    } else {
      std::swap(*at(one), *at(other));
    }
  }

  Json value_like(const Json& json) {
    constexpr std::int64_t kNumbers[] = {0,
                                         -1,
                                         1,
                                         2,
                                         63,
                                         64,
                                         65,
                                         255,
                                         65536,
                                         2147483647,
                                         1LL << 32,
                                         1LL << 53,
                                         9223372036854775807LL};
    if (below(8) == 0) return nullptr;
    if (json.is_boolean()) return !json.get<bool>();
    if (json.is_number_float()) {
      constexpr double kReals[] = {0.0, -1.0, 1e-300, 1e300, 0.5, 3.0, 1e9};
      return kReals[below(std::size(kReals))];
    }
    if (json.is_number_integer() && below(2) == 0) {
      const auto near = static_cast<std::uint64_t>(json.get<std::int64_t>()) + below(5) - 2;
      return static_cast<std::int64_t>(near);
    }
    return kNumbers[below(std::size(kNumbers))];
  }

  qama::SplitMix64 dice_;
};

/// The file with another header; its data moves along.
std::vector<std::uint8_t> with_header(std::string header, std::span<const std::uint8_t> data) {
  // As the writer does, so that the data begins at a multiple of 64.
  while ((kLength + header.size()) % kTensorAlignment != 0) header += ' ';
  std::vector<std::uint8_t> out(kLength);
  const std::uint64_t length = header.size();
  std::memcpy(out.data(), &length, kLength);
  out.insert(out.end(), header.begin(), header.end());
  out.insert(out.end(), data.begin(), data.end());
  return out;
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t room, unsigned int seed) {
  Mutator mutator(seed);
  std::uint64_t length = 0;
  if (size >= kLength) std::memcpy(&length, data, kLength);
  const bool is_file = size >= kLength && length <= size - kLength && length > 0;
  const bool is_record = size > 0 && data[0] == '{' && size <= kMostRecord;
  if ((!is_file && !is_record) || mutator.below(8) == 0) return LLVMFuzzerMutate(data, size, room);
  const std::string text(reinterpret_cast<const char*>(data) + (is_file ? kLength : 0),
                         is_file ? static_cast<std::size_t>(length) : size);
  const std::span<const std::uint8_t> rest(data + (is_file ? kLength + length : size), data + size);
  std::string changed;
  Json json = Json::parse(text, nullptr, false);
  if (json.is_object() && mutator.below(8) != 0) {
    mutator.mutate(json);
    changed = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  } else {
    changed = mutator.mutate_text(text);
  }
  std::vector<std::uint8_t> out(changed.begin(), changed.end());
  if (is_file) {
    std::vector<std::uint8_t> numbers(rest.begin(), rest.end());
    if (!numbers.empty() && mutator.below(4) == 0) {
      numbers.resize(LLVMFuzzerMutate(numbers.data(), rest.size(), rest.size()));
      changed = text;
    }
    out = with_header(changed, numbers);
  }
  const std::size_t bytes = std::min(out.size(), room);
  std::copy_n(out.begin(), bytes, data);
  return bytes;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  if (size > 0 && data[0] == '{') {
    check_records({reinterpret_cast<const char*>(data), size});
    return 0;
  }
  std::vector<std::byte> copy;
  const auto model = open_repaired<ModelFile>(bytes, copy);
  if (model.ok()) check_model(**model);
  std::vector<std::byte> golden_copy;
  const auto golden = open_repaired<GoldenFile>(bytes, golden_copy);
  if (golden.ok()) {
    touch((*golden)->tensors());
    Architecture a;
    a.image_height = a.image_width = a.patch = a.image_channels = 1;
    a.dim = a.depth = a.heads = a.dim_head = a.mlp = a.classes = 1;
    (void)(*golden)->matches(a, (*golden)->model_sha256());
  }
  return 0;
}
