#include "hal/cim/quantised_view.h"

#include <algorithm>

#include "hal/base/sentence.h"

namespace qama::hal::cim {
namespace {

/// Floor division of a field over k ancillas.
struct FieldSplit {
  std::int32_t quotient, remainder;
};
FieldSplit split_field(std::int32_t field, std::int32_t ancillas) noexcept {
  const std::int32_t remainder = (field % ancillas + ancillas) % ancillas;
  return {(field - remainder) / ancillas, remainder};
}

[[nodiscard]] bool bit_at(std::span<const std::uint8_t> packed, std::size_t bit) noexcept {
  return (packed[bit / 8] >> (bit % 8) & 1U) != 0;
}

}  // namespace

void expand(const QuantisedView& problem, std::span<std::int8_t> matrix) {
  const std::size_t tokens = static_cast<std::size_t>(problem.shape.tokens);
  const std::size_t n = problem.fields.size();
  const std::size_t width = problem.spins();
  std::fill(matrix.begin(), matrix.end(), std::int8_t{0});
  const auto set = [&](std::size_t a, std::size_t b, std::int32_t value) {
    matrix[a * width + b] = matrix[b * width + a] = static_cast<std::int8_t>(value);
  };
  const std::int8_t* from = problem.couplings.data();
  for (std::size_t head = 0; head < n; head += tokens) {
    for (std::size_t i = 0; i < tokens; ++i) {
      for (std::size_t j = i + 1; j < tokens; ++j) set(head + i, head + j, *from++);
      for (std::size_t other = head + tokens; other < n; other += tokens)
        set(head + i, other + i, -problem.penalty);
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    const FieldSplit split = split_field(problem.fields[i], problem.ancillas);
    for (std::int32_t a = 0; a < problem.ancillas; ++a)
      set(i, n + a, split.quotient + (a < split.remainder ? 1 : 0));
  }
  for (std::size_t a = n; a < width; ++a) {
    for (std::size_t b = a + 1; b < width; ++b) set(a, b, problem.tie);
  }
}

Status unpack_spins(const QuantisedView& problem, std::span<const std::uint8_t> packed,
                    std::span<std::uint64_t> spins) {
  const std::size_t total = problem.spins();
  const std::size_t n = problem.fields.size();
  const std::size_t tokens = static_cast<std::size_t>(problem.shape.tokens);
  const std::size_t words = static_cast<std::size_t>(words_per_head(problem.shape.tokens));
  const std::size_t expected = (total + 7) / 8;
  if (packed.size() != expected) {
    return make_error(ErrorCode::device_bad_answer, "an answer of ", packed.size(),
                      " bytes of spins, expected ", expected);
  }
  if (spins.size() < n / tokens * words) {
    return make_error(ErrorCode::invalid_argument, "room for ", spins.size(),
                      " words of spins, expected ", n / tokens * words);
  }
  if (total % 8 != 0 && (packed[expected - 1] >> (total % 8)) != 0) {
    return make_error(ErrorCode::device_bad_answer,
                      "the answer holds spins behind the last, number ", total - 1);
  }
  for (std::size_t bit = n; bit < total; ++bit) {
    if (!bit_at(packed, bit)) {
      return make_error(ErrorCode::device_bad_answer, "ancilla ", bit - n, " of ", problem.ancillas,
                        " is -1 in the answer, expected +1");
    }
  }
  const auto byte_at = [&](std::size_t index) -> std::uint64_t {
    return index < expected ? packed[index] : 0;
  };
  for (std::size_t head = 0, at = 0; head < n; head += tokens) {
    for (std::size_t done = 0; done < tokens; done += 64) {
      const std::size_t first = head + done;
      std::uint64_t word = 0;
      for (std::size_t b = 0; b < 8; ++b) word |= byte_at(first / 8 + b) << (8 * b);
      if (first % 8 != 0)
        word = (word >> (first % 8)) | (byte_at(first / 8 + 8) << (64 - first % 8));
      if (tokens - done < 64) word &= (std::uint64_t{1} << (tokens - done)) - 1;
      spins[at++] = word;
    }
  }
  return {};
}

QuantisedEnergy::QuantisedEnergy(const ProblemShape& largest) {
  sigma_.resize(static_cast<std::size_t>(largest.heads) * (row_stride(largest.tokens) + 64));
  sums_.resize(static_cast<std::size_t>(largest.tokens));
}

std::int64_t QuantisedEnergy::operator()(const QuantisedView& problem,
                                         std::span<const std::uint64_t> spins) noexcept {
  constexpr std::size_t kStep = 16;
  const std::int32_t tokens = problem.shape.tokens;
  const std::int32_t words = words_per_head(tokens);
  const std::size_t stride = static_cast<std::size_t>(row_stride(tokens)) + 64;
  std::fill_n(sums_.data(), tokens, 0);
  const std::int8_t* row = problem.couplings.data();
  const std::int8_t* const end = row + problem.couplings.size();
  std::int64_t coupled = 0;
  std::int64_t linear = 0;
  for (std::int32_t t = 0; t < problem.shape.heads; ++t) {
    std::int16_t* sigma = sigma_.data() + static_cast<std::size_t>(t) * stride;
    const std::int16_t* fields = problem.fields.data() + static_cast<std::size_t>(t) * tokens;
    std::fill_n(sigma + tokens, stride - tokens, std::int16_t{0});
    for (std::int32_t i = 0; i < tokens; ++i) {
      const std::uint64_t word = spins[static_cast<std::size_t>(t) * words + i / 64];
      sigma[i] = ((word >> (i % 64)) & 1U) != 0 ? std::int16_t{1} : std::int16_t{-1};
      sums_[i] += sigma[i];
      linear += fields[i] * sigma[i];
    }
    for (std::int32_t i = 0; i + 1 < tokens; ++i) {
      const std::int16_t* with = sigma + i + 1;
      const std::size_t length = static_cast<std::size_t>(tokens - 1 - i);
      // Whole steps read on into the next rows, where sigma is 0; only the last rows end one by
      // one.
      std::int32_t sum = 0;
      std::size_t j = 0;
      for (; j < length && row + j + kStep <= end; j += kStep) {
        for (std::size_t lane = 0; lane < kStep; ++lane) {
          sum += static_cast<std::int16_t>(row[j + lane]) * with[j + lane];
        }
      }
      for (; j < length; ++j) sum += row[j] * with[j];
      coupled += sum * sigma[i];
      row += length;
    }
  }
  std::int64_t pairs = 0;
  for (std::int32_t i = 0; i < tokens; ++i) {
    pairs += (static_cast<std::int64_t>(sums_[i]) * sums_[i] - problem.shape.heads) / 2;
  }
  return -coupled - linear + problem.penalty * pairs;
}

}  // namespace qama::hal::cim
