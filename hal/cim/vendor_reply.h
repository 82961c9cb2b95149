// A reply of the vendor's terminal or cloud while it comes in. The samples of an answer, which may
// be millions of numbers, become packed spins on the way; what is left is small and goes through
// the one door for JSON. So a reply of any size and depth costs little memory, and it is given up
// at the byte where it breaks a limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"

namespace qama::hal::cim {

inline constexpr std::size_t kMaxControlReplyBytes = std::size_t{1} << 20;
inline constexpr std::size_t kMaxSamplesBytes = std::size_t{64} << 20;
inline constexpr std::size_t kMaxSamples = 65536;
inline constexpr std::size_t kMaxReplyDepth = 16;

/// The samples of an answer. Damaged ones are counted and passed over.
struct Samples {
  std::size_t count = 0;  ///< of all that came
  std::size_t good = 0;   ///< of those in `packed`
  std::size_t bytes = 0;  ///< of one in `packed`
  /// Packed bits (quantised_view.h, unpack_spins), flipped so that spin `first_ancilla` is +1.
  std::vector<std::uint8_t> packed;
  std::vector<std::uint32_t> places;  ///< of each in `packed`: its number among all, from 0
  Status damage;  ///< DEVICE_BAD_ANSWER: what is wrong with the first damaged one
  [[nodiscard]] std::span<const std::uint8_t> sample(std::size_t at) const noexcept {
    return std::span(packed).subspan(at * bytes, bytes);
  }
};

/// One reply.
class ReplyReader {
 public:
  /// For a reply without samples.
  ReplyReader() = default;
  /// For one whose data has a list of samples of `width` spins, named `list`.
  ReplyReader(std::size_t width, std::size_t first_ancilla, const char* list = "out_data");

  /// The next bytes. False once the reply has broken a limit, its samples are no JSON, or there is
  /// no memory for it.
  [[nodiscard]] bool take(std::string_view bytes) noexcept;
  /// DEVICE_PROTOCOL: the limit, or where the samples are no JSON; OUT_OF_MEMORY.
  [[nodiscard]] const Status& failure() const noexcept { return failure_; }
  /// The reply, with an empty list in place of the samples.
  [[nodiscard]] std::string& text() noexcept { return text_; }
  [[nodiscard]] Samples& samples() noexcept { return samples_; }

 private:
  bool take_all(std::string_view bytes);
  bool take(char c);
  bool take_skeleton(char c);
  bool take_sample_byte(char c);
  void begin_string();
  void take_string_byte(char c);
  bool open_container(char bracket);
  bool begin_item();
  void end_value();
  bool end_sample();
  void damage(std::string_view what);
  [[nodiscard]] std::size_t take_numbers(std::string_view bytes);
  bool fail(Error error);
  bool fail_as_no_json(std::string_view why);

  std::size_t width_ = 0, first_ancilla_ = 0;
  const char* list_ = "";
  std::size_t came_ = 0;
  std::string text_;
  Samples samples_;
  Status failure_;

  // Where the reading is.
  std::size_t depth_ = 0;    // of containers that are open, samples included
  std::uint32_t lists_ = 0;  // bit k: the container at depth k + 1 is a list
  bool in_string_ = false, escaped_ = false;
  std::string string_;       // the last text's first characters
  std::string names_[2];     // of the members at depth 1 and 2
  bool in_samples_ = false;  // in the list; a sample's numbers are at depth 4
  bool has_item_ = false;    // a sample since the last comma between two
  bool has_comma_ = false;   // there was one
  bool is_damaged_ = false;  // the sample at hand
  bool has_value_ = false;   // a number, or the comma before it, is at hand
  bool has_gap_ = false;     // blanks behind the number at hand
  std::string number_;       // its characters
  std::vector<std::int8_t> row_;
};

}  // namespace qama::hal::cim
