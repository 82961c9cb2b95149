// Fuzz target for everything in weights/ that reads bytes from outside: model files, golden files
// and the JSON records. Random bytes never carry the right checksum, so a file that fails by its
// checksum alone is tried again with the checksum repaired.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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
  require(model.vocabulary().size() == static_cast<std::size_t>(a.vocabulary));
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
                                 ? sha256_hex(bytes.subspan(sizeof length + length))
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
