// Fuzz target: a text that is folded, and the same bytes as a table and as lines.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/engine/fold.h"
#include "runtime/io/line_reader.h"
#include "runtime/io/table_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  qama::runtime::FoldedText folded({reinterpret_cast<const char*>(data), size});
  std::size_t bytes = 0;
  for (auto piece = folded.next(); !piece.empty(); piece = folded.next()) bytes += piece.size();
  if (bytes > 2 * size) std::abort();  // a symbol gets two spaces, everything else shrinks

  const int file = memfd_create("fuzz", 0);
  if (file < 0) std::abort();
  if (write(file, data, size) != static_cast<ssize_t>(size)) std::abort();
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (auto table = qama::io::TableReader::open(path); table.ok()) {
    std::vector<std::string> row;
    for (auto more = table->next(row); more.ok() && *more; more = table->next(row)) {
      if (row.size() != table->columns().size()) std::abort();
    }
    if (!table->rewind().ok()) std::abort();
  }
  if (auto stream = qama::io::ByteStream::open(path); stream.ok()) {
    qama::io::LineReader lines(std::move(*stream));
    std::string line;
    for (auto more = lines.next(line); more.ok() && *more; more = lines.next(line)) {
      if (line.find('\n') != std::string::npos) std::abort();
    }
  }
  close(file);
  return 0;
}
