#include "weights/architecture.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "weights/attention/kind.h"
#include "weights/bounds.h"
#include "weights/strict_json.h"

namespace qama::weights {
namespace {

// The JSON spelling of every enumeration; both directions use these tables.
constexpr std::pair<std::string_view, ModelKind> kModelKinds[] = {
    {"simple_vit", ModelKind::simple_vit},
    {"text_transformer", ModelKind::text_transformer},
    {"feature_transformer", ModelKind::feature_transformer}};
constexpr std::pair<std::string_view, Gelu> kGelus[] = {{"erf", Gelu::erf}, {"tanh", Gelu::tanh}};
constexpr std::pair<std::string_view, Pool> kPools[] = {
    {"mean", Pool::mean}, {"max", Pool::max}, {"class", Pool::class_token}};
constexpr std::pair<std::string_view, NormPlace> kNormPlaces[] = {{"pre", NormPlace::pre},
                                                                  {"post", NormPlace::post}};
constexpr std::pair<std::string_view, HeadActivation> kHeadActivations[] = {
    {"tanh", HeadActivation::tanh}, {"relu", HeadActivation::relu}};
constexpr std::pair<std::string_view, Pieces> kPieces[] = {
    {"words", Pieces::words}, {"wordpiece", Pieces::wordpiece}, {"unigram", Pieces::unigram}};

constexpr ErrorCode kBad = ErrorCode::model_bad_architecture;

using Ordered = nlohmann::ordered_json;

/// Of a key that is there: where it is left out, there is none.
Status at_least_one(const std::string& name, std::int32_t value) {
  if (value >= 1) return {};
  return Error{kBad, "architecture." + name + ": " + std::to_string(value) +
                         ", expected 1 or more where the key is given"};
}

void read_schedule(ObjectReader& reader, hal::Schedule& out) {
  reader.read("sweeps", out.sweeps);
  reader.read("restarts", out.restarts);
  reader.read("t_start", out.t_start);
  reader.read("t_end", out.t_end);
  // Younger than the format: these three, all or none, and the start.
  if (reader.optional("start") != nullptr) reader.read("start", out.start, hal::kStartNames);
  if (reader.optional("rounds") == nullptr) return;
  reader.read("rounds", out.rounds);
  reader.read("round_sweeps", out.round_sweeps);
  reader.read("t_round", out.t_round);
}

Status read_layers(const Json& value, const std::string& where, std::vector<hal::Schedule>& out) {
  if (!value.is_array()) {
    return Error{kBad, where + ": " + std::string(value.type_name()) + ", expected an array"};
  }
  if (value.empty()) {
    return Error{kBad, where + ": 0 entries, expected one a block where the key is given"};
  }
  for (const Json& layer : value) {
    hal::Schedule& schedule = out.emplace_back();
    ObjectReader reader(layer, where + "[" + std::to_string(out.size() - 1) + "]", kBad);
    read_schedule(reader, schedule);
    QAMA_RETURN_IF_ERROR(reader.finish());
  }
  return {};
}

Ordered schedule_record(const hal::Schedule& schedule) {
  Ordered out{{"sweeps", schedule.sweeps},
              {"restarts", schedule.restarts},
              {"t_start", schedule.t_start},
              {"t_end", schedule.t_end}};
  // Not written where they say nothing, so that such a file is one that older programs read.
  const hal::Schedule defaults;
  if (schedule.start != defaults.start) out["start"] = name_of(schedule.start);
  if (schedule.rounds == defaults.rounds && schedule.round_sweeps == defaults.round_sweeps &&
      schedule.t_round == defaults.t_round) {
    return out;
  }
  out["rounds"] = schedule.rounds;
  out["round_sweeps"] = schedule.round_sweeps;
  out["t_round"] = schedule.t_round;
  return out;
}

Status read_anneal(const Json& value, const std::string& where, AttentionSpec& out) {
  ObjectReader reader(value, where, kBad);
  read_schedule(reader, out.anneal);
  reader.read("seed", out.seed);
  if (const Json* layers = reader.optional("layers")) {
    reader.merge(read_layers(*layers, where + ".layers", out.anneal_layers));
  }
  return reader.finish();
}

void read_kind(ObjectReader& reader, const std::string& where, AttentionSpec& out) {
  reader.read("kind", out.kind, kAttentionKinds);
  const AttentionRules& rules = rules_of(out.kind);
  for (const Key& key : rules.keys) key.read(key, reader, out);
  if (rules.anneals) {
    if (const Json* anneal = reader.raw("anneal")) {
      reader.merge(read_anneal(*anneal, where + ".anneal", out));
    }
  }
}

Status read_attention(const Json& value, AttentionSpec& out) {
  const std::string where = "architecture.attention";
  ObjectReader reader(value, where, kBad);
  read_kind(reader, where, out);
  return reader.finish();
}

Status read_other_attention(const Json& value, Architecture& out) {
  const std::string where = "architecture.other_attention";
  ObjectReader reader(value, where, kBad);
  if (const Json* blocks = reader.raw("blocks")) {
    const auto is_block = [](const Json& block) {
      return block.is_number_unsigned() && block.get<std::uint64_t>() < kMaxDepth;
    };
    if (!blocks->is_array() || blocks->empty() || blocks->size() > kMaxDepth ||
        !std::all_of(blocks->begin(), blocks->end(), is_block)) {
      return Error{kBad, where + ".blocks: expected an array of 1 to " + std::to_string(kMaxDepth) +
                             " numbers of blocks, the first is 0"};
    }
    for (const Json& block : *blocks) out.other_blocks.push_back(block.get<std::int32_t>());
  }
  read_kind(reader, where, out.other_attention);
  return reader.finish();
}

Status read_image(const Json& value, Architecture& out) {
  ObjectReader reader(value, "architecture.image", kBad);
  reader.read("height", out.image_height);
  reader.read("width", out.image_width);
  reader.read("channels", out.image_channels);
  return reader.finish();
}

Status read_sequence(const Json& value, Architecture& out) {
  ObjectReader reader(value, "architecture.sequence", kBad);
  reader.read("max_tokens", out.max_tokens);
  reader.read("vocabulary", out.vocabulary);
  reader.read("embedding", out.embedding);
  if (reader.optional("neighbours") != nullptr) reader.read("neighbours", out.neighbours);
  const bool scored = reader.optional("ngrams") != nullptr;
  if (scored || reader.optional("ngram_rows") != nullptr) {
    reader.read("ngrams", out.ngrams);
    reader.read("ngram_rows", out.ngram_rows);
    reader.merge(at_least_one("sequence.ngrams", out.ngrams));
  }
  if (reader.optional("norm") != nullptr) reader.read("norm", out.embedding_norm);
  if (reader.optional("projection") != nullptr) {
    reader.read("projection", out.embedding_projection);
  }
  if (reader.optional("pieces") != nullptr) reader.read("pieces", out.pieces, kPieces);
  return reader.finish();
}

Status read_features(const Json& value, Architecture& out) {
  ObjectReader reader(value, "architecture.features", kBad);
  reader.read("tokens", out.max_tokens);
  reader.read("width", out.embedding);
  return reader.finish();
}

Status read_token_pool(const Json& value, Architecture& out) {
  const auto is_size = [](const Json& size) {
    return size.is_number_unsigned() && size.get<std::uint64_t>() <= kMaxDim;
  };
  if (!value.is_array() || value.size() != 2 || !is_size(value[0]) || !is_size(value[1])) {
    return Error{kBad, "architecture.token_pool: expected [rows,columns], two integers from 1 to " +
                           std::to_string(kMaxDim)};
  }
  out.token_pool_rows = value[0].get<std::int32_t>();
  out.token_pool_cols = value[1].get<std::int32_t>();
  return {};
}

Status read_head_hidden(const Json& value, Architecture& out) {
  ObjectReader reader(value, "architecture.head_hidden", kBad);
  reader.read("width", out.head_hidden);
  reader.read("activation", out.head_activation, kHeadActivations);
  QAMA_RETURN_IF_ERROR(reader.finish());
  return at_least_one("head_hidden.width", out.head_hidden);
}

bool has_image(const Architecture& a) {
  return a.image_height != 0 || a.image_width != 0 || a.image_channels != 0 || a.patch != 0 ||
         a.token_pool_rows != 1 || a.token_pool_cols != 1 || a.patch_norm_eps ||
         a.class_tokens != 0 || !a.patch_norms;
}

bool has_words(const Architecture& a) {
  return a.vocabulary != 0 || a.neighbours != 0 || a.ngrams != 0 || a.ngram_rows != 0 ||
         a.embedding_norm || !a.embedding_projection || a.pieces != Pieces::words;
}

void check_image(const Architecture& a, Bounds& bounds) {
  bounds.range("image.height", a.image_height, 1, kMaxDim);
  bounds.range("image.width", a.image_width, 1, kMaxDim);
  bounds.range("image.channels", a.image_channels, 1, kMaxDim);
  bounds.range("patch", a.patch, 1, kMaxDim);
  bounds.divides("patch", a.patch, "image.height", a.image_height);
  bounds.divides("patch", a.patch, "image.width", a.image_width);
  bounds.range("token_pool[0]", a.token_pool_rows, 1, kMaxDim);
  bounds.range("token_pool[1]", a.token_pool_cols, 1, kMaxDim);
  bounds.range("class_tokens", a.class_tokens, 0, kMaxClassTokens);
  if (!bounds.ok()) return;
  bounds.divides("token_pool[0]", a.token_pool_rows, "the patch rows", a.grid_rows());
  bounds.divides("token_pool[1]", a.token_pool_cols, "the patch columns", a.grid_cols());
  // In 64 bits, before anything computes them in 32.
  bounds.range("image: patches", std::int64_t{a.grid_rows()} * a.grid_cols(), 1,
               kMaxTokens - a.class_tokens);
  bounds.range("image: numbers a patch", std::int64_t{a.patch} * a.patch * a.image_channels, 1,
               kMaxDim);
  if (a.class_tokens > 0 && (a.token_pool_rows > 1 || a.token_pool_cols > 1)) {
    bounds.fail("token_pool", "a window", "[1,1] with class tokens");
  }
  if (a.class_tokens == 0 && a.pool == Pool::class_token) {
    bounds.fail("pool", "class", "class_tokens beside it");
  }
  if (!a.patch_norms && a.patch_norm_eps) {
    bounds.fail("patch_norm_eps", "given", "none without patch_norms");
  }
  if (a.max_tokens != 0 || a.embedding != 0 || has_words(a)) {
    bounds.fail("sequence", "a size", "none in a simple_vit");
  }
}

void check_text(const Architecture& a, Bounds& bounds) {
  bounds.range("sequence.max_tokens", a.max_tokens, 1, kMaxTokens);
  bounds.range("sequence.vocabulary", a.vocabulary, 2, kMaxVocabulary);
  bounds.range("sequence.embedding", a.embedding, 1, kMaxDim);
  bounds.range("sequence.neighbours", a.neighbours, 0, kMaxNeighbours);
  bounds.range("sequence.ngrams", a.ngrams, 0, kMaxNgram);
  bounds.range("sequence.ngram_rows", a.ngram_rows, a.ngrams > 0 ? 1 : 0,
               a.ngrams > 0 ? kMaxVocabulary : 0);
  if (!bounds.ok()) return;
  bounds.range("sequence: numbers that the projection sees", a.projected(), 1, kMaxDim);
  if (a.pieces != Pieces::words) {
    // <pad>, <unk>, the two around a text, and one that may be in it.
    bounds.range("sequence.vocabulary", a.vocabulary, kSpecialPieces + 1, kMaxVocabulary);
    bounds.range("sequence.max_tokens", a.max_tokens, 3, kMaxTokens);
  }
  const bool plain = a.neighbours == 0 && a.ngrams == 0;
  if (a.embedding_norm && !plain) {
    bounds.fail("sequence.norm", "true", "false with neighbours or ngrams");
  }
  if (!a.embedding_projection && (!plain || a.embedding != a.dim)) {
    bounds.fail("sequence.projection", "false",
                "true unless vectors are " + std::to_string(a.dim) +
                    " wide, as the model is, and there are no neighbours or ngrams");
  }
  if (has_image(a)) bounds.fail("image", "a size", "none in a text_transformer");
}

void check_features(const Architecture& a, Bounds& bounds) {
  bounds.range("features.tokens", a.max_tokens, 1, kMaxTokens);
  bounds.range("features.width", a.embedding, 1, kMaxDim);
  bounds.range("features: numbers a sample", std::int64_t{a.max_tokens} * a.embedding, 1,
               kMaxFeatures);
  if (has_image(a)) bounds.fail("image", "a size", "none in a feature_transformer");
  if (has_words(a)) bounds.fail("sequence", "a size", "none in a feature_transformer");
}

/// `name`: the record's key.
void check_attention(const AttentionSpec& attention, const std::string& name, std::int32_t depth,
                     Bounds& bounds) {
  const AttentionRules& rules = rules_of(attention.kind);
  // What does not belong to the kind must have its default.
  AttentionSpec own;
  own.kind = attention.kind;
  for (const Key& key : rules.keys) {
    key.check(key, attention, bounds);
    key.copy(attention, own);
  }
  if (rules.anneals) {
    own.anneal = attention.anneal;
    own.anneal_layers = attention.anneal_layers;
    own.seed = attention.seed;
  }
  if (attention != own) {
    bounds.fail(name, "a parameter of another kind",
                "none with kind " + std::string(name_of(attention.kind)));
  }
  if (rules.check_record != nullptr) rules.check_record(attention, bounds);
  if (!rules.anneals) return;
  bounds.merge(hal::validate(attention.anneal, "architecture.attention.anneal", kBad));
  if (!attention.anneal_layers.empty()) {
    const auto layers = static_cast<std::int64_t>(attention.anneal_layers.size());
    bounds.range("attention.anneal.layers: entries", layers, depth, depth);
  }
  for (std::size_t i = 0; i < attention.anneal_layers.size(); ++i) {
    const std::string where = "architecture.attention.anneal.layers[" + std::to_string(i) + "]";
    bounds.merge(hal::validate(attention.anneal_layers[i], where, kBad));
  }
}

void check_other_attention(const Architecture& a, Bounds& bounds) {
  const std::string name = "other_attention";
  if (a.other_blocks.empty()) {
    if (a.other_attention != AttentionSpec{}) bounds.fail(name, "given", "blocks that have it");
    return;
  }
  if (rules_of(a.other_attention.kind).anneals) {
    bounds.fail(name + ".kind", std::string(name_of(a.other_attention.kind)),
                "one that does not anneal; one that does stands in attention");
  }
  check_attention(a.other_attention, name, a.depth, bounds);
  if (!std::is_sorted(a.other_blocks.begin(), a.other_blocks.end(), std::less_equal<>()) ||
      a.other_blocks.front() < 0 || a.other_blocks.back() >= a.depth ||
      a.other_blocks.size() == static_cast<std::size_t>(a.depth)) {
    bounds.fail(name + ".blocks", std::to_string(a.other_blocks.size()) + " numbers",
                "rising ones from 0 to " + std::to_string(a.depth - 1) + ", not all of them");
  }
  for (std::int32_t block = 0; block < a.depth && bounds.ok(); ++block) {
    const std::int32_t first = a.block_of(a.group_of(block));
    if (&a.attention_of(block) != &a.attention_of(first)) {
      bounds.fail(name + ".blocks",
                  "one of blocks " + std::to_string(first) + " and " + std::to_string(block),
                  "both or none, since they share their tensors");
    }
  }
}

}  // namespace

std::string_view name_of(ModelKind value) noexcept {
  return name_in(kModelKinds, value);
}
std::string_view name_of(Gelu value) noexcept {
  return name_in(kGelus, value);
}
std::string_view name_of(Pool value) noexcept {
  return name_in(kPools, value);
}
std::string_view name_of(NormPlace value) noexcept {
  return name_in(kNormPlaces, value);
}
std::string_view name_of(HeadActivation value) noexcept {
  return name_in(kHeadActivations, value);
}
std::string_view name_of(Pieces value) noexcept {
  return name_in(kPieces, value);
}

bool Architecture::is_qama() const noexcept {
  return rules_of(attention.kind).anneals;
}

bool Architecture::is_qama(std::int32_t block) const noexcept {
  return rules_of(attention_of(block).kind).anneals;
}

std::int32_t Architecture::projections(std::int32_t block) const noexcept {
  return rules_of(attention_of(block).kind).projections;
}

bool Architecture::one_norm(std::int32_t block) const noexcept {
  return rules_of(attention_of(block).kind).one_norm;
}

bool Architecture::projects(std::int32_t block) const noexcept {
  const AttentionSpec& own = attention_of(block);
  const auto projects = rules_of(own.kind).projects;
  return projects == nullptr || projects(own);
}

Status Architecture::validate() const {
  Bounds bounds(kBad, "architecture");
  if (is_image()) {
    check_image(*this, bounds);
  } else if (is_text()) {
    check_text(*this, bounds);
  } else {
    check_features(*this, bounds);
  }
  bounds.range("dim", dim, 1, kMaxDim);
  bounds.range("depth", depth, 1, kMaxDepth);
  bounds.range("heads", heads, 1, kMaxHeads);
  bounds.range("dim_head", dim_head, 1, kMaxDim);
  bounds.range("mlp", mlp, 1, kMaxDim);
  bounds.range("classes", classes, 1, kMaxDim);
  bounds.real_range("norm_eps", norm_eps, kSmallest * kSmallest, 1.0);
  if (patch_norm_eps) {
    bounds.real_range("patch_norm_eps", *patch_norm_eps, kSmallest * kSmallest, 1.0);
  }
  bounds.range("layer_groups", layer_groups, 0, depth);
  if (bounds.ok() && layer_groups > 0) bounds.divides("layer_groups", layer_groups, "depth", depth);
  bounds.range("head_hidden.width", head_hidden, 0, kMaxDim);
  if (head_hidden == 0 && head_activation != HeadActivation::tanh) {
    bounds.fail("head_hidden.activation", "given", "none without a hidden layer");
  }
  check_attention(attention, "attention", depth, bounds);
  check_other_attention(*this, bounds);
  for (std::int32_t block = 0; block < depth && bounds.ok(); ++block) {
    if (projects(block)) continue;
    if (out_bias) bounds.fail("out_bias", "true", "false without an output projection");
    if (inner() != dim) {
      bounds.fail("attention", "heads of " + std::to_string(inner()) + " dimensions together",
                  "those of the model, " + std::to_string(dim) + ", without an output projection");
    }
  }
  if (bounds.ok() && is_qama()) {
    bounds.range("attention: spins a head", std::int64_t{tokens()} * spin_bits(), 1, kMaxTokens);
  }
  return bounds.take();
}

Result<Architecture> Architecture::parse(std::string_view json) {
  QAMA_ASSIGN_OR_RETURN(const Json value, parse_strict_json(json, "architecture", kBad));
  Architecture a;
  ObjectReader reader(value, "architecture", kBad);
  reader.read("kind", a.kind, kModelKinds);
  if (a.is_image()) {
    if (const Json* image = reader.raw("image")) reader.merge(read_image(*image, a));
    reader.read("patch", a.patch);
    if (const Json* pool = reader.optional("token_pool")) reader.merge(read_token_pool(*pool, a));
    if (reader.optional("patch_norm_eps") != nullptr) {
      reader.read("patch_norm_eps", a.patch_norm_eps.emplace());
    }
    if (reader.optional("class_tokens") != nullptr) {
      reader.read("class_tokens", a.class_tokens);
      reader.merge(at_least_one("class_tokens", a.class_tokens));
    }
    if (reader.optional("patch_norms") != nullptr) reader.read("patch_norms", a.patch_norms);
  } else if (a.is_text()) {
    if (const Json* sequence = reader.raw("sequence")) reader.merge(read_sequence(*sequence, a));
  } else if (const Json* features = reader.raw("features")) {
    reader.merge(read_features(*features, a));
  }
  reader.read("dim", a.dim);
  reader.read("depth", a.depth);
  reader.read("heads", a.heads);
  reader.read("dim_head", a.dim_head);
  reader.read("mlp", a.mlp);
  reader.read("classes", a.classes);
  reader.read("gelu", a.gelu, kGelus);
  reader.read("norm_eps", a.norm_eps);
  reader.read("pool", a.pool, kPools);
  if (reader.optional("norm") != nullptr) reader.read("norm", a.norm, kNormPlaces);
  if (reader.optional("qkv_bias") != nullptr) reader.read("qkv_bias", a.qkv_bias);
  if (reader.optional("out_bias") != nullptr) reader.read("out_bias", a.out_bias);
  if (reader.optional("layer_groups") != nullptr) {
    reader.read("layer_groups", a.layer_groups);
    reader.merge(at_least_one("layer_groups", a.layer_groups));
  }
  if (const Json* hidden = reader.optional("head_hidden")) {
    reader.merge(read_head_hidden(*hidden, a));
  }
  if (reader.optional("half_products") != nullptr) reader.read("half_products", a.half_products);
  if (const Json* attention = reader.raw("attention")) {
    reader.merge(read_attention(*attention, a.attention));
  }
  if (const Json* other = reader.optional("other_attention")) {
    reader.merge(read_other_attention(*other, a));
  }
  QAMA_RETURN_IF_ERROR(reader.finish());
  QAMA_RETURN_IF_ERROR(a.validate());
  return a;
}

std::string Architecture::to_json() const {
  Ordered out;
  out["kind"] = name_of(kind);
  if (is_image()) {
    out["image"] =
        Ordered{{"height", image_height}, {"width", image_width}, {"channels", image_channels}};
    out["patch"] = patch;
    out["token_pool"] = {token_pool_rows, token_pool_cols};
    if (patch_norm_eps) out["patch_norm_eps"] = *patch_norm_eps;
    if (class_tokens != 0) out["class_tokens"] = class_tokens;
    if (!patch_norms) out["patch_norms"] = false;
  } else if (is_features()) {
    out["features"] = Ordered{{"tokens", max_tokens}, {"width", embedding}};
  } else {
    out["sequence"] =
        Ordered{{"max_tokens", max_tokens}, {"vocabulary", vocabulary}, {"embedding", embedding}};
    if (neighbours != 0) out["sequence"]["neighbours"] = neighbours;
    if (ngrams != 0) {
      out["sequence"]["ngrams"] = ngrams;
      out["sequence"]["ngram_rows"] = ngram_rows;
    }
    if (embedding_norm) out["sequence"]["norm"] = true;
    if (!embedding_projection) out["sequence"]["projection"] = false;
    if (pieces != Pieces::words) out["sequence"]["pieces"] = name_of(pieces);
  }
  out["dim"] = dim;
  out["depth"] = depth;
  out["heads"] = heads;
  out["dim_head"] = dim_head;
  out["mlp"] = mlp;
  out["classes"] = classes;
  out["gelu"] = name_of(gelu);
  out["norm_eps"] = norm_eps;
  out["pool"] = name_of(pool);
  // Not written where they say nothing, so that such a file is one that older programs read.
  if (norm != NormPlace::pre) out["norm"] = name_of(norm);
  if (qkv_bias) out["qkv_bias"] = true;
  if (out_bias) out["out_bias"] = true;
  if (layer_groups != 0) out["layer_groups"] = layer_groups;
  if (head_hidden != 0) {
    out["head_hidden"] = Ordered{{"width", head_hidden}, {"activation", name_of(head_activation)}};
  }
  if (half_products) out["half_products"] = true;
  Ordered spec;
  spec["kind"] = name_of(attention.kind);
  for (const Key& key : rules_of(attention.kind).keys) key.write(key, attention, spec);
  if (is_qama()) {
    Ordered anneal = schedule_record(attention.anneal);
    anneal["seed"] = attention.seed;
    for (const hal::Schedule& layer : attention.anneal_layers) {
      anneal["layers"].push_back(schedule_record(layer));
    }
    spec["anneal"] = std::move(anneal);
  }
  out["attention"] = std::move(spec);
  if (!other_blocks.empty()) {
    Ordered other{{"blocks", other_blocks}, {"kind", name_of(other_attention.kind)}};
    for (const Key& key : rules_of(other_attention.kind).keys) {
      key.write(key, other_attention, other);
    }
    out["other_attention"] = std::move(other);
  }
  return out.dump();
}

}  // namespace qama::weights
