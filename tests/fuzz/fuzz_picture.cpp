// Fuzz target: raw pixels of any size and layout, brought to what a model sees by any rules. The
// first bytes are the rules and the picture's sizes; the rest are its pixels (repeated from a hash
// where they run out). The same picture must come out twice the same.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "runtime/io/picture.h"
#include "tests/fuzz/fuzz_bytes.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace qama::io;
  qama::fuzz::Bytes in({data, size});
  const auto below = [&in](std::uint32_t bound) {
    return static_cast<std::int32_t>(in.byte() % bound);
  };
  PictureRules rules;
  rules.height = below(34);
  rules.width = below(34);
  rules.channels = below(5);
  rules.fit = static_cast<qama::weights::Fit>(below(4));
  rules.background = static_cast<qama::weights::Background>(below(3));
  rules.margin = below(40) - 4;
  rules.centre = static_cast<qama::weights::Centre>(below(2));
  const auto invert = static_cast<Invert>(below(3));
  ImageView view;
  view.width = below(66) - 1;
  view.height = below(66) - 1;
  view.channels = below(6);
  const auto least = static_cast<std::size_t>(std::max(view.width, 0) * view.channels);
  const std::uint32_t gap = in.byte() % 8;
  view.row_bytes = gap < 2 ? gap * (least / 2) : least + gap - 2;  // 1: too few
  const std::size_t row = std::max(view.row_bytes, least);
  const std::uint32_t kind = in.byte() % 4;
  std::vector<std::uint8_t> pixels(row * static_cast<std::size_t>(std::max(view.height, 0)));
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    // One colour, a thing on it, or anything.
    const bool thing = kind == 1 && i % row > row / 3 && i / row > pixels.size() / row / 3;
    pixels[i] = static_cast<std::uint8_t>(kind < 2 ? (thing ? 220 : 3) : in.byte());
  }
  view.pixels = pixels.empty() ? nullptr : pixels.data();

  std::vector<std::uint8_t> first(
      static_cast<std::size_t>(rules.height * rules.width * rules.channels));
  const auto notes = prepare_picture(view, rules, invert, first);
  if (!notes.ok()) {
    if (notes.error().message.empty()) std::abort();
    return 0;
  }
  if (!check_image(view).ok()) std::abort();
  std::vector<std::uint8_t> second(first.size());
  const auto again = prepare_picture(view, rules, invert, second);
  if (!again.ok() || *again != *notes || first != second) std::abort();
  return 0;
}
