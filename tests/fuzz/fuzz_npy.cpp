// Fuzz target: a .npy file of features, plain or gzip by its first bytes, read as one sample and as
// one of several. What comes out has the size that was asked for and is finite.
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "runtime/io/npy_reader.h"
#include "tests/fuzz/fuzz_files.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const qama::fuzz::MemoryFile file({data, size});
  for (const std::optional<std::int64_t> index :
       {std::optional<std::int64_t>(), std::optional<std::int64_t>(0),
        std::optional<std::int64_t>(1)}) {
    const auto features = qama::io::read_npy_features(file.path(), index, 2, 3);
    if (!features.ok()) {
      if (features.error().message.empty()) std::abort();
      continue;
    }
    if (features->size() != 6) std::abort();
    for (const float value : *features) {
      if (!std::isfinite(value)) std::abort();
    }
  }
  return 0;
}
