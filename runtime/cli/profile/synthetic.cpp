#include "runtime/cli/profile/synthetic.h"

#include <algorithm>
#include <random>

#include "hal/base/random.h"

namespace qama::cli {
namespace {

constexpr std::size_t kSamples = 16;
constexpr int kBlobs = 5;

class Random {
 public:
  /// A number below `limit`.
  double number(double limit) { return unit_interval(bits()) * limit; }
  std::uint64_t bits() { return engine_(); }

 private:
  std::mt19937_64 engine_{kSyntheticSeed};
};

/// Light of one blob, added to `light` ([height][width][channels]).
void add_blob(Random& random, const weights::Architecture& a, std::vector<double>& light) {
  const auto height = static_cast<std::size_t>(a.image_height);
  const auto width = static_cast<std::size_t>(a.image_width);
  const auto channels = static_cast<std::size_t>(a.image_channels);
  const double row = random.number(static_cast<double>(height));
  const double column = random.number(static_cast<double>(width));
  const double size = 1.0 + random.number(static_cast<double>(width) / 6);
  std::vector<double> strength(channels);
  for (double& value : strength) value = 100 + random.number(200);
  for (std::size_t y = 0; y < height; ++y) {
    for (std::size_t x = 0; x < width; ++x) {
      const double dy = (static_cast<double>(y) - row) / size;
      const double dx = (static_cast<double>(x) - column) / size;
      const double share = std::max(1 - 0.4 * (dy * dy + dx * dx), 0.0);
      for (std::size_t c = 0; c < channels; ++c) {
        light[(y * width + x) * channels + c] += share * strength[c];
      }
    }
  }
}

void fill_text(Random& random, const weights::Architecture& a, runtime::Sample& sample) {
  sample.tokens.resize(static_cast<std::size_t>(a.max_tokens));
  for (std::int32_t& id : sample.tokens) {
    id = static_cast<std::int32_t>(random.bits() % static_cast<std::uint64_t>(a.vocabulary));
  }
  sample.text.length = a.max_tokens;
}

void fill_features(Random& random, const weights::Architecture& a, runtime::Sample& sample) {
  sample.features.resize(static_cast<std::size_t>(a.max_tokens) *
                         static_cast<std::size_t>(a.embedding));
  for (float& value : sample.features) value = static_cast<float>(random.number(2) - 1);
}

void fill_picture(Random& random, const weights::Architecture& a, runtime::Sample& sample) {
  std::vector<double> light(static_cast<std::size_t>(a.image_height) *
                            static_cast<std::size_t>(a.image_width) *
                            static_cast<std::size_t>(a.image_channels));
  for (int blob = 0; blob < kBlobs; ++blob) add_blob(random, a, light);
  for (const double value : light) {
    sample.pixels.push_back(static_cast<std::uint8_t>(std::min(value, 255.0)));
  }
}

}  // namespace

std::vector<runtime::Sample> synthetic_samples(const weights::Architecture& a) {
  Random random;
  std::vector<runtime::Sample> out(kSamples);
  for (std::size_t n = 0; n < out.size(); ++n) {
    out[n].index = n;
    if (a.is_features()) {
      fill_features(random, a, out[n]);
    } else if (a.is_text()) {
      fill_text(random, a, out[n]);
    } else {
      fill_picture(random, a, out[n]);
    }
  }
  return out;
}

}  // namespace qama::cli
