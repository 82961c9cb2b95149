// Classifies the images or features that a test put into memory (tests/device/board.py): a line for
// each, then what memory it took.
#include <algorithm>
#include <charconv>
#include <cstring>

#include "hal/platform/port.h"
#include "runtime/bare/memory.h"
#include "runtime/bare/network.h"

extern "C" {
/// How many samples, then their bytes.
extern const std::uint32_t samples_start[];
extern std::byte data_start[], bss_end[];
}

namespace {

void write(std::string_view word, std::uint64_t number) {
  char text[24];
  const auto end = std::to_chars(text, text + sizeof(text), number).ptr;
  qama::port::write(word);
  qama::port::write(" ");
  qama::port::write({text, static_cast<std::size_t>(end - text)});
  qama::port::write("\n");
}

qama::Status classify_all() {
  QAMA_ASSIGN_OR_RETURN(const auto network, qama::bare::Network::create(qama::port::model()));
  write("arena", network->arena_bytes());
  std::vector<float> logits(network->labels().size());
  const std::size_t before = qama::bare::allocations();
  const auto* pixels = reinterpret_cast<const std::uint8_t*>(samples_start + 1);
  const auto* floats = reinterpret_cast<const float*>(samples_start + 1);
  const bool of_pixels = network->input_pixels() > 0;
  const std::size_t size = of_pixels ? network->input_pixels() : network->input_floats();
  for (std::uint32_t i = 0; i < samples_start[0]; ++i) {
    QAMA_RETURN_IF_ERROR(of_pixels ? network->classify({pixels + i * size, size}, i, logits)
                                   : network->classify({floats + i * size, size}, i, logits));
    write("label", static_cast<std::uint64_t>(std::max_element(logits.begin(), logits.end()) -
                                              logits.begin()));
  }
  write("allocations", qama::bare::allocations() - before);
  return {};
}

}  // namespace

int main() {
  const qama::Status status = classify_all();
  if (!status.ok()) {
    qama::port::write(qama::error_name(status.error().code));
    qama::port::write(": ");
    qama::port::write(status.error().message);
    qama::port::write("\n");
    return 1;
  }
  write("static", static_cast<std::size_t>(bss_end - data_start));
  write("heap", qama::bare::heap_bytes());
  write("stack", qama::bare::stack_bytes());
  return 0;
}
