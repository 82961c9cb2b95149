// What the model file asks of a kind of attention: the keys of its record with their bounds, and
// its tensors. A kind is a file beside this one and a line in kinds.inc; a key that no kind has yet
// is a field of AttentionSpec, too (spec.h). Reading, checking and writing go by this, for every
// kind. Internal to weights.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "weights/attention/spec.h"
#include "weights/bounds.h"
#include "weights/strict_json.h"
#include "weights/tensor_list.h"

namespace qama::weights {

/// A key of the record that is a field of AttentionSpec.
struct Key {
  std::string_view name;
  void (*read)(const Key&, ObjectReader&, AttentionSpec&) = nullptr;
  void (*check)(const Key&, const AttentionSpec&, Bounds&) = nullptr;
  void (*write)(const Key&, const AttentionSpec&, nlohmann::ordered_json&) = nullptr;
  void (*copy)(const AttentionSpec& from, AttentionSpec& to) = nullptr;
  std::int64_t low = 0, high = 0;  ///< of an integer
};

/// A field that is read, written and copied as it is; check says what it may be.
template <auto field>
constexpr Key field_key(std::string_view name,
                        void (*check)(const Key&, const AttentionSpec&, Bounds&),
                        std::int64_t low = 0, std::int64_t high = 0) {
  return {name,
          [](const Key& key, ObjectReader& reader, AttentionSpec& out) {
            reader.read(key.name, out.*field);
          },
          check,
          [](const Key& key, const AttentionSpec& spec, nlohmann::ordered_json& out) {
            out[std::string(key.name)] = spec.*field;
          },
          [](const AttentionSpec& from, AttentionSpec& to) { to.*field = from.*field; },
          low,
          high};
}

/// An integer from `low` to `high`.
template <auto field>
constexpr Key integer_key(std::string_view name, std::int64_t low, std::int64_t high) {
  return field_key<field>(
      name,
      [](const Key& key, const AttentionSpec& spec, Bounds& bounds) {
        bounds.range("attention." + std::string(key.name), spec.*field, key.low, key.high);
      },
      low, high);
}

/// A real number from 0 to kLargest.
template <auto field>
constexpr Key real_key(std::string_view name) {
  return field_key<field>(name, [](const Key& key, const AttentionSpec& spec, Bounds& bounds) {
    bounds.real_range("attention." + std::string(key.name), spec.*field, 0.0, kLargest);
  });
}

/// A switch that may be left out, which then has its default and is not written.
template <auto field>
constexpr Key optional_key(std::string_view name) {
  Key key = field_key<field>(name, [](const Key&, const AttentionSpec&, Bounds&) {});
  key.read = [](const Key& self, ObjectReader& reader, AttentionSpec& out) {
    if (reader.optional(self.name) != nullptr) reader.read(self.name, out.*field);
  };
  key.write = [](const Key& self, const AttentionSpec& spec, nlohmann::ordered_json& out) {
    if (spec.*field != AttentionSpec{}.*field) out[std::string(self.name)] = spec.*field;
  };
  return key;
}

/// A word: `names` has every value of the field's enumeration.
template <auto field, const auto& names>
constexpr Key word_key(std::string_view name) {
  Key key;
  key.name = name;
  key.read = [](const Key& self, ObjectReader& reader, AttentionSpec& out) {
    reader.read(self.name, out.*field, names);
  };
  key.check = [](const Key&, const AttentionSpec&, Bounds&) {};
  key.write = [](const Key& self, const AttentionSpec& spec, nlohmann::ordered_json& out) {
    out[std::string(self.name)] = name_in(names, spec.*field);
  };
  key.copy = [](const AttentionSpec& from, AttentionSpec& to) { to.*field = from.*field; };
  return key;
}

/// What a kind's tensors follow from, besides its record.
struct AttentionShape {
  std::int64_t dim = 0, heads = 0, dim_head = 0, tokens = 0;
  [[nodiscard]] std::int64_t inner() const noexcept { return heads * dim_head; }
};

struct AttentionRules {
  bool anneals = false;          ///< the record has "anneal", the layers go to a device
  std::int32_t projections = 3;  ///< that qkv.weight projects to
  bool one_norm = true;          ///< the tensors `norm`; else the kind has norms of its own
  /// Whether there is a linear map behind the heads, `out`; null: there is.
  bool (*projects)(const AttentionSpec&) = nullptr;
  std::span<const Key> keys = {};
  /// Rules that bounds do not express; null: none.
  void (*check_record)(const AttentionSpec&, Bounds&) = nullptr;
  /// Appends the tensors besides norm, qkv and out, names beginning with `prefix`; null: none.
  void (*tensors)(const AttentionSpec&, const AttentionShape&, const std::string& prefix,
                  TensorList& list) = nullptr;
  /// Checks what stands in them; null: nothing but that floats are finite.
  Status (*check_tensors)(const AttentionSpec&, const AttentionShape&, const std::string& prefix,
                          const TensorFile& file) = nullptr;
};

[[nodiscard]] const AttentionRules& rules_of(AttentionKind kind) noexcept;

#define QAMA_ATTENTION_KIND(kind) [[nodiscard]] AttentionRules kind##_attention() noexcept;
#include "weights/attention/kinds.inc"
#undef QAMA_ATTENTION_KIND

}  // namespace qama::weights
