// Small files for tests: images through stb_image_write, IDX with and without gzip.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qama::test {

using Bytes = std::vector<std::uint8_t>;

/// A picture whose pixel i (counting channels) is (i * i * 37 + 11) % 256.
[[nodiscard]] Bytes sample_pixels(int width, int height, int channels);
[[nodiscard]] Bytes png_file(int width, int height, int channels, const Bytes& pixels);
[[nodiscard]] Bytes jpeg_file(int width, int height, int channels, const Bytes& pixels);
/// IDX of unsigned bytes with these sizes.
[[nodiscard]] Bytes idx_file(const std::vector<std::uint32_t>& sizes, const Bytes& data);
[[nodiscard]] Bytes gzipped(const Bytes& bytes);

void put_file(const std::string& path, const Bytes& bytes);
void put_file(const std::string& path, std::string_view text);

}  // namespace qama::test
