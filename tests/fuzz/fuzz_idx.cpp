// Fuzz target: a file read as IDX images and as IDX labels, plain or gzip by its first bytes.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "runtime/io/idx_reader.h"
#include "tests/fuzz/fuzz_files.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const qama::fuzz::MemoryFile file({data, size});
  for (const std::int32_t rank : {1, 3}) {
    auto reader = qama::io::IdxReader::open(file.path(), rank);
    if (!reader.ok()) continue;
    std::vector<std::uint8_t> record(static_cast<std::size_t>(reader->record_bytes()));
    for (int i = 0; i < 8 && reader->next(record).ok(); ++i) {
    }
    if (reader->position() + 2 < reader->records()) {
      const auto status = reader->seek(reader->position() + 2);
      if (!status.ok() && status.error().message.empty()) std::abort();
    }
  }
  return 0;
}
