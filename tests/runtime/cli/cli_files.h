// Models, goldens and data sets that the tests of the program run it on: small, made in a moment,
// untrained.
#pragma once

#include <string>
#include <vector>

#include "tests/runtime/io/sample_files.h"
#include "tests/test_support.h"
#include "weights/architecture.h"

namespace qama::test {

/// 28 x 28 gray, 49 tokens x 4 heads, 2 blocks, 10 classes.
[[nodiscard]] weights::Architecture small_vit(weights::AttentionKind kind);
/// At most 40 tokens, one head, 2 classes.
[[nodiscard]] weights::Architecture small_text(weights::AttentionKind kind);

/// 30 tokens of 6 numbers, one head, 2 classes.
[[nodiscard]] weights::Architecture small_features(weights::AttentionKind kind);

/// Writes an untrained model and gives its path.
std::string put_model(const TempDir& directory, const std::string& name,
                      const weights::Architecture& architecture);
/// Writes what the engine itself computes for `samples` pictures or features as a golden file;
/// every value of `spoilt` (a tensor's name), if given, is moved by 1.
std::string put_golden(const TempDir& directory, const std::string& name,
                       const std::string& model_path, int samples, const std::string& spoilt = "");
/// A MNIST test set of `count` pictures, and its pixels.
Bytes put_mnist(const TempDir& directory, int count);

}  // namespace qama::test
