// Model files that must be refused, one a rule, made from a good file when they are asked for; and
// small good ones. A new rule gets a line here. Used by tests of every module that takes a model
// file.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "hal/base/error.h"
#include "weights/architecture.h"

namespace qama::test {

/// Architectures so small that a file of theirs has a few kilobytes.
[[nodiscard]] weights::Architecture tiny_softmax_vit();
[[nodiscard]] weights::Architecture tiny_qama_vit();   ///< batch normalisation, batch energies
[[nodiscard]] weights::Architecture tiny_qama_text();  ///< one head, layer norm of the energies
[[nodiscard]] weights::Architecture tiny_features();   ///< softmax
/// Complete models of them, from random_model().
[[nodiscard]] std::vector<std::byte> model_bytes(const weights::Architecture& architecture);
/// The same with their matrices in int8.
[[nodiscard]] std::vector<std::byte> int8_model_bytes(const weights::Architecture& architecture);
/// The same in version 1, where the checksum covers the data alone.
[[nodiscard]] std::vector<std::byte> unsealed_model_bytes(
    const weights::Architecture& architecture);
/// A golden file of 2 samples that fits model_bytes(architecture); its values are arbitrary.
[[nodiscard]] std::vector<std::byte> golden_bytes(const weights::Architecture& architecture);

struct NamedFile {
  std::string name;    ///< what is wrong: "duplicate-tensor"
  ErrorCode expected;  ///< ok for a good file
  std::vector<std::byte> bytes;
};
/// Every bad model file. Names are unique.
[[nodiscard]] std::vector<NamedFile> bad_model_files();
/// Good files: models (one of them in version 1, two in int8) and golden files of the architectures
/// above.
[[nodiscard]] std::vector<NamedFile> good_model_files();
[[nodiscard]] std::vector<NamedFile> good_golden_files();

}  // namespace qama::test
