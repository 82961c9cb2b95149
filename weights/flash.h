// The flash form of a model: what a board without files, JSON and a system reads in place. A host
// writes it from a model file that it has checked (runtime/bare/flash_form.h, `qama flash`); the
// board's ModelFile is made of it (flash_file.cpp). It goes with the program of its own revision:
// no other version is read, and what a host has checked is not checked again.
//
//   FlashHeader
//   record    the fields of flash_record(), one behind the other, as the machine has them
//   labels    one a class: u32 length, bytes
//   tensors   each: u32 length and bytes of its name, u8 dtype, u8 rank, i64 sizes, u32 offset from
//             the form's first byte, a multiple of kFlashAlignment
//   data      of the tensors: F32 or I32. Linear layers are in panels (panels.h), of F32 or I8.
//             Half precision is widened and computes in floats
//
// Numbers are little-endian. A field of the architecture is added here and there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "weights/architecture.h"
#include "weights/preprocess.h"

namespace qama::weights {

inline constexpr std::array<char, 8> kFlashMagic = {'q', 'a', 'm', 'a', 'f', 'l', 's', 'h'};
inline constexpr std::uint32_t kFlashVersion = 2;
inline constexpr std::size_t kFlashAlignment = 16;

struct FlashHeader {
  std::array<char, 8> magic = kFlashMagic;
  std::uint32_t version = kFlashVersion;
  std::uint32_t bytes = 0;     ///< of all, this header too
  std::uint64_t checksum = 0;  ///< flash_checksum() of what follows the header
  std::uint32_t tensors = 0;
  std::uint32_t index = 0;  ///< where the tensors' entries begin, from the form's first byte
};
static_assert(sizeof(FlashHeader) == 32);

/// FNV-1a: it finds damage, no forgery.
[[nodiscard]] constexpr std::uint64_t flash_checksum(std::span<const std::byte> bytes) noexcept {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const std::byte byte : bytes) {
    hash = (hash ^ static_cast<std::uint64_t>(byte)) * 0x100000001B3ULL;
  }
  return hash;
}

/// What the engine asks of a kind of attention (AttentionRules, which boards have not).
struct FlashKind {
  bool anneals = false;
  bool one_norm = true;
  bool projects = true;  ///< unless the record says no (AttentionSpec::projection)
  std::int32_t projections = 3;
};

/// All that a board knows of a model besides its tensors and labels. Text models have no flash
/// form.
struct FlashModel {
  Architecture architecture;
  Preprocess preprocess;
  FlashKind kind, other_kind;  ///< of attention and of other_attention
};

/// Calls io(number) for every field, and io.list(vector) for every list of them. Writing and
/// reading are this one function.
template <typename Io, typename Spec>
void flash_attention(Io& io, Spec& s) {
  io(s.kind), io(s.projection), io(s.normalisation), io(s.energy_norm), io(s.rho0), io(s.gamma0);
  const auto schedule = [&io](auto& one) {
    hal::for_each_field(one, [&io](std::string_view, auto& field) { io(field); });
  };
  schedule(s.anneal);
  io.list(s.anneal_layers, schedule);
  io(s.seed), io(s.window), io(s.global_tokens), io(s.block), io(s.window_blocks);
  io(s.global_blocks), io(s.random_blocks), io(s.rank), io(s.features), io(s.hashes);
  io(s.buckets), io(s.chunk), io(s.bits), io(s.quadratic), io(s.linear), io(s.penalty);
}
template <typename Io, typename Model>
void flash_record(Io& io, Model& m) {
  auto& a = m.architecture;
  io(a.kind), io(a.image_height), io(a.image_width), io(a.image_channels), io(a.patch);
  io(a.token_pool_rows), io(a.token_pool_cols), io(a.class_tokens), io(a.patch_norms);
  io(a.max_tokens), io(a.embedding), io(a.embedding_norm), io(a.embedding_projection);
  io(a.dim), io(a.depth), io(a.heads), io(a.dim_head), io(a.mlp), io(a.classes), io(a.gelu);
  io(a.norm_eps), io.optional(a.patch_norm_eps), io(a.pool), io(a.norm), io(a.qkv_bias);
  io(a.out_bias), io(a.layer_groups), io(a.head_hidden), io(a.head_activation);
  const auto number = [&io](auto& value) { io(value); };
  flash_attention(io, a.attention);
  io.list(a.other_blocks, number);
  flash_attention(io, a.other_attention);
  auto& p = m.preprocess;
  io(p.kind), io.list(p.mean, number), io.list(p.stddev, number), io(p.scale);
  for (auto* kind : {&m.kind, &m.other_kind}) {
    io(kind->anneals), io(kind->one_norm), io(kind->projects), io(kind->projections);
  }
}

}  // namespace qama::weights
