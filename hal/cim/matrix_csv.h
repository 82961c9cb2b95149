// The vendor's CSV of an 8-bit Ising matrix: a row a line, commas between numbers.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace qama::hal::cim {

/// `matrix` is of spins x spins, row major.
[[nodiscard]] inline std::string matrix_csv(std::span<const std::int8_t> matrix,
                                            std::size_t spins) {
  std::string out;
  out.reserve(matrix.size() * 4);
  for (std::size_t at = 0; at < matrix.size(); ++at) {
    char digits[8];
    const auto end = std::to_chars(digits, digits + sizeof digits, matrix[at]);
    out.append(digits, end.ptr);
    out += (at + 1) % spins == 0 ? '\n' : ',';
  }
  return out;
}

}  // namespace qama::hal::cim
