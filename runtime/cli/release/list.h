// What a release computed: the list that `qama verify-install` holds against a device. It is a text
// (release.txt) that the program carries; a line a fact:
//   qama release list 1
//   spins LAYER SHA-256            of self_test.h
//   model NAME SHA-256 INPUT CLASS the model's seal, and its answer to a synthetic input
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "hal/base/result.h"

namespace qama::cli {

struct ReleaseModel {
  std::string sha256;      ///< weights::ModelFile::sha256
  std::int32_t input = 0;  ///< of synthetic_samples()
  std::int32_t answer = 0;
};

struct ReleaseList {
  std::map<std::string, std::string> spins;
  std::map<std::string, ReleaseModel> models;
  [[nodiscard]] std::string text() const;
};

inline constexpr std::size_t kMaxListBytes = std::size_t{1} << 20;

/// `name` is for error sentences. REPORT_BAD_FORMAT: a line that is none of these, or one fact
/// twice.
[[nodiscard]] Result<ReleaseList> parse_release_list(std::string_view text, std::string_view name);

/// The text of release.txt.
[[nodiscard]] std::string_view own_release_list() noexcept;

}  // namespace qama::cli
