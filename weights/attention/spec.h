// The attention record of a model file as a value: the kind, and the keys of all kinds as fields.
// What a kind does with them is in its file beside this one (kind.h).
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "hal/schedule.h"

namespace qama::weights {

/// The first version of the paper (Jensen-Shannon couplings, soft selection) is qama_v1. What the
/// authors' published code of the second version computes is qama_bilinear.
enum class AttentionKind : std::uint8_t {
#define QAMA_ATTENTION_KIND(kind) kind,
#include "weights/attention/kinds.inc"
#undef QAMA_ATTENTION_KIND
};
/// What the couplings J and fields h are brought to before rho and lambda apply: nothing,
/// standardised per sample and head, or batch norm folded into the stored scale and shift.
enum class Normalisation : std::uint8_t { none, instance, batch };
/// What happens to the token energies before the output projection.
enum class EnergyNorm : std::uint8_t { none, layer, batch };

/// The JSON spelling, both ways.
inline constexpr std::pair<std::string_view, AttentionKind> kAttentionKinds[] = {
#define QAMA_ATTENTION_KIND(kind) {#kind, AttentionKind::kind},
#include "weights/attention/kinds.inc"
#undef QAMA_ATTENTION_KIND
};
inline constexpr std::pair<std::string_view, Normalisation> kNormalisations[] = {
    {"none", Normalisation::none},
    {"instance", Normalisation::instance},
    {"batch", Normalisation::batch}};
inline constexpr std::pair<std::string_view, EnergyNorm> kEnergyNorms[] = {
    {"none", EnergyNorm::none}, {"layer", EnergyNorm::layer}, {"batch", EnergyNorm::batch}};
[[nodiscard]] std::string_view name_of(AttentionKind value) noexcept;
[[nodiscard]] std::string_view name_of(Normalisation value) noexcept;
[[nodiscard]] std::string_view name_of(EnergyNorm value) noexcept;

/// The attention of a block. Fields of other kinds than `kind` keep their defaults.
struct AttentionSpec {
  AttentionKind kind = AttentionKind::softmax;

  // softmax
  bool projection = true;  ///< a linear map behind the heads

  // qama
  Normalisation normalisation = Normalisation::none;
  EnergyNorm energy_norm = EnergyNorm::none;
  double rho0 = 0.16;    ///< Eq. 10; qama_bilinear, too
  double gamma0 = 0.8;   ///< Eq. 10; qama_bilinear, too
  hal::Schedule anneal;  ///< of every kind that anneals
  /// One schedule a block, or empty: every block's is `anneal`.
  std::vector<hal::Schedule> anneal_layers;
  std::uint64_t seed = 1;  ///< of the solver, likewise

  // longformer
  std::int32_t window = 0;         ///< tokens seen on either side
  std::int32_t global_tokens = 0;  ///< the first ones: see everything, are seen by everything
  // bigbird, in blocks of `block` tokens
  std::int32_t block = 0;
  std::int32_t window_blocks = 0;  ///< seen on either side
  std::int32_t global_blocks = 0;  ///< the first ones
  std::int32_t random_blocks = 0;  ///< seen besides; which ones is a tensor
  // linformer
  std::int32_t rank = 0;  ///< rows that keys and values are projected to
  // performer
  std::int32_t features = 0;  ///< random features of the softmax kernel
  // reformer
  std::int32_t hashes = 0;   ///< rounds
  std::int32_t buckets = 0;  ///< even
  std::int32_t chunk = 0;    ///< tokens
  // qama_v1
  std::int32_t bits = 0;   ///< of a selection x / (2^bits - 1)
  double quadratic = 0.0;  ///< coefficient of the coupling term
  double linear = 0.0;     ///< coefficient of the field term
  double penalty = 0.0;    ///< of equal bits in two heads, divided by the number of pairs of heads
  bool operator==(const AttentionSpec&) const = default;
};

}  // namespace qama::weights
