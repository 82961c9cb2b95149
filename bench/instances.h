// Random QAMA layers of the classes that the solver is judged on, from seeds, so that nothing large
// is kept in the tree and that tuning and reporting never share an instance. To add a class: a line
// in kInstanceClasses.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"
#include "hal/text/problem_file.h"

namespace qama::bench {

/// How a layer's couplings come about.
enum class LayerKind : std::uint8_t {
  raw,    ///< Eq. 4 as it stands, tokens that resemble each other
  raw0,   ///< Eq. 4, independent tokens
  norm,   ///< raw, then each head's J brought to mean 0 and standard deviation 1
  norm0,  ///< raw0, then the same
};

struct InstanceClass {
  std::string_view name;
  LayerKind kind;
  std::int32_t heads, tokens, rank;
};
inline constexpr InstanceClass kInstanceClasses[] = {
    {"norm0_8x49x8", LayerKind::norm0, 8, 49, 8},
    {"norm_8x49x8", LayerKind::norm, 8, 49, 8},
    {"norm0_8x64x16", LayerKind::norm0, 8, 64, 16},
    {"norm_8x64x16", LayerKind::norm, 8, 64, 16},
    {"norm_8x49x16", LayerKind::norm, 8, 49, 16},
    {"raw0_8x49x8", LayerKind::raw0, 8, 49, 8},
    {"raw_8x49x8", LayerKind::raw, 8, 49, 8},
    {"norm0_1x512x64", LayerKind::norm0, 1, 512, 64},
    {"norm_1x2048x64", LayerKind::norm, 1, 2048, 64},
};
/// The class of that name, or nullptr.
[[nodiscard]] const InstanceClass* find_class(std::string_view name) noexcept;

/// Parameters are tuned on the first range of seeds and figures reported on the second.
inline constexpr std::uint64_t kFirstTuningSeed = 100001;
inline constexpr std::uint64_t kFirstReportSeed = 200001;

/// A layer before its couplings are multiplied out.
struct LayerInputs {
  std::int32_t heads = 0, tokens = 0, rank = 0;
  std::vector<double> queries, keys;  ///< [H][N][D]
  std::vector<double> fields;         ///< [H][N], h = V w_eps
};

/// Queries, keys and values are normal with variance 1, w_eps normal with variance 1/D and the same
/// for all heads. For raw and norm the tokens of a head share a fifth of their variance and the
/// rest follows an autoregression of 0.3 from token to token, which is what ../shared/instances
/// shows.
[[nodiscard]] LayerInputs layer_inputs(const InstanceClass& of, std::uint64_t seed);

/// The layer in factor form: F = Q chol(K^T K / 2D), rho = 0.16 N, lambda = 0.8 N sqrt(2/pi) / (H -
/// 1). Normalised kinds have one more column, which takes the mean away.
[[nodiscard]] hal::QamaLayer instance(const InstanceClass& of, std::uint64_t seed);

/// A complete graph on `size` vertices with weights +1 and -1: Inagaki et al. 2016's K2000 at 2000.
[[nodiscard]] hal::ProblemFile complete_graph(std::int32_t size, std::uint64_t seed);

/// A square grid of `side` x `side` vertices whose ends meet, weights +1 and -1, as the G-set has
/// them.
[[nodiscard]] hal::ProblemFile toroidal_graph(std::int32_t side, std::uint64_t seed);
/// `size` vertices with `degree` neighbours each on average, weights from `weights`.
[[nodiscard]] hal::ProblemFile random_graph(std::int32_t size, std::int32_t degree,
                                            std::vector<double> weights, std::uint64_t seed);

/// Reads a whole file as a problem of the format that its name and content say. IO_ERROR, or as
/// hal::parse_problem.
[[nodiscard]] Result<hal::ProblemFile> read_problem_file(const std::string& path);

}  // namespace qama::bench
