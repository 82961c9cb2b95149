// The architecture record: round trips, sizes, and every bound of them.
#include "weights/architecture.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/test_support.h"
#include "tests/weights/bad_files.h"

namespace qama::weights {
namespace {

using Json = nlohmann::ordered_json;

// The examples of the format's description, with every key.
constexpr const char* kImage =
    R"({"kind":"simple_vit","image":{"height":28,"width":56,"channels":3},
  "patch":4,"token_pool":[7,2],"dim":64,"depth":2,"heads":8,"dim_head":16,"mlp":128,"classes":10,
  "gelu":"erf","norm_eps":1e-5,"pool":"mean","attention":{"kind":"qama","normalisation":"batch",
  "energy_norm":"layer","rho0":0.16,"gamma0":0.8,
  "anneal":{"sweeps":5,"restarts":2,"t_start":0.3,"t_end":0.03,"seed":18446744073709551615}}})";
constexpr const char* kText = R"({"kind":"text_transformer",
  "sequence":{"max_tokens":512,"vocabulary":20000,"embedding":100},"dim":64,"depth":1,"heads":1,
  "dim_head":64,"mlp":128,"classes":2,"gelu":"tanh","norm_eps":1e-6,"pool":"mean",
  "attention":{"kind":"softmax"}})";

constexpr const char* kFeatures = R"({"kind":"feature_transformer",
  "features":{"tokens":512,"width":768},"dim":64,"depth":1,"heads":1,"dim_head":64,"mlp":64,
  "classes":2,"gelu":"erf","norm_eps":1e-5,"pool":"mean","attention":{"kind":"softmax",
  "projection":false}})";

TEST(Architecture, ReadsEveryFieldOfAnImageModel) {
  ASSERT_OK_AND_ASSIGN(const Architecture a, Architecture::parse(kImage));
  EXPECT_EQ(a.kind, ModelKind::simple_vit);
  EXPECT_EQ(a.image_height, 28);
  EXPECT_EQ(a.image_width, 56);
  EXPECT_EQ(a.image_channels, 3);
  EXPECT_EQ(a.patch, 4);
  EXPECT_EQ(a.token_pool_rows, 7);
  EXPECT_EQ(a.token_pool_cols, 2);
  EXPECT_EQ(a.dim, 64);
  EXPECT_EQ(a.depth, 2);
  EXPECT_EQ(a.heads, 8);
  EXPECT_EQ(a.dim_head, 16);
  EXPECT_EQ(a.mlp, 128);
  EXPECT_EQ(a.classes, 10);
  EXPECT_EQ(a.gelu, Gelu::erf);
  EXPECT_EQ(a.norm_eps, 1e-5);
  EXPECT_TRUE(a.is_image());
  EXPECT_TRUE(a.is_qama());
  EXPECT_EQ(a.attention.normalisation, Normalisation::batch);
  EXPECT_EQ(a.attention.energy_norm, EnergyNorm::layer);
  EXPECT_EQ(a.attention.rho0, 0.16);
  EXPECT_EQ(a.attention.gamma0, 0.8);
  EXPECT_EQ(a.attention.anneal.sweeps, 5);
  EXPECT_EQ(a.attention.anneal.restarts, 2);
  EXPECT_EQ(a.attention.anneal.t_start, 0.3);
  EXPECT_EQ(a.attention.anneal.t_end, 0.03);
  EXPECT_EQ(a.attention.seed, std::numeric_limits<std::uint64_t>::max());
}

TEST(Architecture, DerivesSizes) {
  ASSERT_OK_AND_ASSIGN(const Architecture image, Architecture::parse(kImage));
  EXPECT_EQ(image.grid_rows(), 7);
  EXPECT_EQ(image.grid_cols(), 14);
  EXPECT_EQ(image.tokens_before_pool(), 98);
  EXPECT_EQ(image.tokens(), 7);
  EXPECT_EQ(image.patch_dim(), 48);
  EXPECT_EQ(image.inner(), 128);
  ASSERT_OK_AND_ASSIGN(const Architecture text, Architecture::parse(kText));
  EXPECT_EQ(text.max_tokens, 512);
  EXPECT_EQ(text.vocabulary, 20000);
  EXPECT_EQ(text.embedding, 100);
  EXPECT_EQ(text.tokens(), 512);
  EXPECT_EQ(text.tokens_before_pool(), 512);
  EXPECT_EQ(text.patch_dim(), 0);
  EXPECT_FALSE(text.is_qama());
  ASSERT_OK_AND_ASSIGN(const Architecture features, Architecture::parse(kFeatures));
  EXPECT_TRUE(features.is_features());
  EXPECT_FALSE(features.is_text());
  EXPECT_FALSE(features.is_image());
  EXPECT_EQ(features.tokens(), 512);
  EXPECT_EQ(features.embedding, 768);
  EXPECT_EQ(features.projected(), 768);
}

TEST(Architecture, NeighboursMayBeLeftOut) {
  ASSERT_OK_AND_ASSIGN(const Architecture alone, Architecture::parse(kText));
  EXPECT_EQ(alone.neighbours, 0);
  EXPECT_EQ(alone.projected(), 100);
  EXPECT_EQ(alone.to_json().find("neighbours"), std::string::npos);
  Json json = Json::parse(kText);
  json["sequence"]["neighbours"] = 2;
  ASSERT_OK_AND_ASSIGN(Architecture a, Architecture::parse(json.dump()));
  EXPECT_EQ(a.projected(), 500);
  ASSERT_OK_AND_ASSIGN(const Architecture again, Architecture::parse(a.to_json()));
  EXPECT_EQ(again, a);
  // 33 x 65536 numbers a token would be more than any projection may see.
  a.neighbours = 16;
  a.embedding = 65536;
  EXPECT_ERROR(model_bad_architecture, a.validate());
}

TEST(Architecture, ScoresOfNgramsMayBeLeftOut) {
  ASSERT_OK_AND_ASSIGN(const Architecture without, Architecture::parse(kText));
  EXPECT_EQ(without.ngrams, 0);
  EXPECT_EQ(without.to_json().find("ngram"), std::string::npos);
  Json json = Json::parse(kText);
  json["sequence"]["ngrams"] = 2;
  EXPECT_ERROR(model_bad_architecture, Architecture::parse(json.dump()));
  json["sequence"]["ngram_rows"] = 1 << 20;
  ASSERT_OK_AND_ASSIGN(Architecture a, Architecture::parse(json.dump()));
  EXPECT_EQ(a.projected(), 101);
  ASSERT_OK_AND_ASSIGN(const Architecture again, Architecture::parse(a.to_json()));
  EXPECT_EQ(again, a);
  a.ngrams = 0;  // rows that nothing looks up
  EXPECT_ERROR(model_bad_architecture, a.validate());
  json["sequence"]["ngrams"] = 0;
  json["sequence"]["ngram_rows"] = 0;
  EXPECT_ERROR(model_bad_architecture, Architecture::parse(json.dump()));
}

TEST(Architecture, PatchesMayHaveAnEpsilonOfTheirOwn) {
  ASSERT_OK_AND_ASSIGN(const Architecture without, Architecture::parse(kImage));
  EXPECT_FALSE(without.patch_norm_eps.has_value());
  EXPECT_EQ(without.to_json().find("patch_norm_eps"), std::string::npos);
  Json json = Json::parse(kImage);
  json["patch_norm_eps"] = 0.05;
  ASSERT_OK_AND_ASSIGN(const Architecture a, Architecture::parse(json.dump()));
  EXPECT_EQ(a.patch_norm_eps, 0.05);
  EXPECT_EQ(a.norm_eps, 1e-5);
  ASSERT_OK_AND_ASSIGN(const Architecture again, Architecture::parse(a.to_json()));
  EXPECT_EQ(again, a);
  Json text = Json::parse(kText);
  text["patch_norm_eps"] = 0.05;
  EXPECT_ERROR(model_bad_architecture, Architecture::parse(text.dump()));
}

/// Changes at pointers of a record, each alone; "": none.
struct Change {
  const char* pointer;
  Json value;
  const char* mentions;  ///< in the error; "": there is none
};

void expect_changes(const Json& good, const std::vector<Change>& changes) {
  for (const auto& [pointer, value, mentions] : changes) {
    SCOPED_TRACE(std::string(pointer) + " " + value.dump());
    Json json = good;
    json[Json::json_pointer(pointer)] = value;
    const auto result = Architecture::parse(json.dump());
    EXPECT_ERROR(model_bad_architecture, result);
    EXPECT_NE(test::describe(result).find(mentions), std::string::npos) << test::describe(result);
  }
}

TEST(Architecture, ImageEncodersAsTheyAreOutThere) {
  ASSERT_OK_AND_ASSIGN(const Architecture without, Architecture::parse(kImage));
  for (const char* key : {"class_tokens", "patch_norms", "\"norm\"", "_bias", "layer_groups",
                          "head_hidden", "half_products"}) {
    EXPECT_EQ(without.to_json().find(key), std::string::npos) << key;
  }
  Json json = Json::parse(kImage);
  json["token_pool"] = {1, 1};
  json["class_tokens"] = 2;
  json["patch_norms"] = false;
  json["pool"] = "class";
  json["norm"] = "post";
  json["qkv_bias"] = true;
  json["out_bias"] = true;
  json["layer_groups"] = 1;
  json["head_hidden"] = {{"width", 33}, {"activation", "relu"}};
  json["half_products"] = true;
  ASSERT_OK_AND_ASSIGN(const Architecture a, Architecture::parse(json.dump()));
  EXPECT_EQ(a.tokens(), 100);
  EXPECT_EQ(a.tokens_before_pool(), 100);
  EXPECT_EQ(a.pooled_width(), 128);
  EXPECT_EQ(a.norm, NormPlace::post);
  EXPECT_EQ(a.groups(), 1);
  EXPECT_EQ(a.group_of(1), 0);
  EXPECT_EQ(a.head_hidden, 33);
  EXPECT_EQ(a.head_activation, HeadActivation::relu);
  EXPECT_TRUE(a.half_products);
  EXPECT_EQ(nlohmann::json::parse(a.to_json()), nlohmann::json::parse(json.dump()));
  ASSERT_OK_AND_ASSIGN(const Architecture again, Architecture::parse(a.to_json()));
  EXPECT_EQ(again, a);
  expect_changes(json, {{"/class_tokens", 17, "class_tokens: 17, expected 0 to 16"},
                        {"/class_tokens", 0, "class_tokens: 0, expected 1 or more"},
                        {"/token_pool", {7, 2}, "token_pool: a window, expected [1,1] with class"},
                        {"/patch_norm_eps", 0.1, "patch_norm_eps: given, expected none without"},
                        {"/norm", "both", "architecture.norm"},
                        {"/qkv_bias", 1, "architecture.qkv_bias"},
                        {"/layer_groups", 3, "layer_groups: 3, expected 0 to 2"},
                        {"/layer_groups", 0, "layer_groups: 0, expected 1 or more"},
                        {"/head_hidden/width", 0, "head_hidden.width: 0, expected 1 or more"},
                        {"/head_hidden/width", 65537, "head_hidden.width: 65537"},
                        {"/head_hidden/activation", "sine", "head_hidden.activation"},
                        {"/head_hidden/more", 1, "unknown key 'more'"},
                        {"/attention", {{"kind", "softmax"}, {"projection", false}}, ""}});
  Json none = json;
  none.erase("class_tokens");
  EXPECT_ERROR(model_bad_architecture, Architecture::parse(none.dump()));  // pool of no tokens
  json["dim"] = 128;
  json["attention"] = {{"kind", "softmax"}, {"projection", false}};
  EXPECT_ERROR(model_bad_architecture, Architecture::parse(json.dump()));  // out_bias of nothing
  json["out_bias"] = false;
  ASSERT_OK(Architecture::parse(json.dump()));
  json["depth"] = 5;
  json["layer_groups"] = 2;
  EXPECT_ERROR(model_bad_architecture, Architecture::parse(json.dump()));  // does not divide 5
}

TEST(Architecture, TextEncodersAsTheyAreOutThere) {
  Json json = Json::parse(kText);
  json["sequence"]["norm"] = true;
  json["pool"] = "class";
  ASSERT_OK_AND_ASSIGN(const Architecture albert, Architecture::parse(json.dump()));
  EXPECT_EQ(albert.position_width(), 100);
  EXPECT_EQ(albert.pooled_width(), 64);
  EXPECT_EQ(nlohmann::json::parse(albert.to_json()), nlohmann::json::parse(json.dump()));
  json["sequence"]["projection"] = false;
  EXPECT_ERROR(model_bad_architecture, Architecture::parse(json.dump()));  // 100 is not 64
  json["sequence"]["embedding"] = 64;
  ASSERT_OK_AND_ASSIGN(const Architecture bert, Architecture::parse(json.dump()));
  EXPECT_FALSE(bert.embedding_projection);
  EXPECT_EQ(nlohmann::json::parse(bert.to_json()), nlohmann::json::parse(json.dump()));
  expect_changes(json, {{"/sequence/neighbours", 1, "sequence.norm: true, expected false with"},
                        {"/sequence/norm", 1, "sequence.norm"},
                        {"/class_tokens", 1, "unknown key 'class_tokens'"},
                        {"/patch_norms", false, "unknown key 'patch_norms'"}});
  Json features = Json::parse(kFeatures);
  features["features"]["norm"] = true;
  EXPECT_ERROR(model_bad_architecture, Architecture::parse(features.dump()));
}

TEST(Architecture, RhoAndLambdaAreEquation10) {
  ASSERT_OK_AND_ASSIGN(Architecture a, Architecture::parse(kImage));
  EXPECT_DOUBLE_EQ(a.rho(49), 7.84);
  // 49 sqrt(2/pi) / 7 * 0.8, worked out elsewhere.
  EXPECT_NEAR(a.lambda(49), 4.468153540496046, 1e-12);
  EXPECT_DOUBLE_EQ(a.lambda(98), 2 * a.lambda(49));
  a.heads = 1;
  EXPECT_EQ(a.lambda(49), 0.0);
}

TEST(Architecture, SurvivesARoundTrip) {
  for (const char* json : {kImage, kText, kFeatures}) {
    ASSERT_OK_AND_ASSIGN(const Architecture a, Architecture::parse(json));
    ASSERT_OK_AND_ASSIGN(const Architecture again, Architecture::parse(a.to_json()));
    EXPECT_EQ(a, again);
    EXPECT_EQ(Json::parse(a.to_json()), Json::parse(json));
  }
  for (const Architecture& a : {test::tiny_softmax_vit(), test::tiny_qama_vit(),
                                test::tiny_qama_text(), test::tiny_features()}) {
    ASSERT_OK_AND_ASSIGN(const Architecture again, Architecture::parse(a.to_json()));
    EXPECT_EQ(a, again);
  }
}

TEST(Architecture, SchedulesOfBlocksAndRounds) {
  Json json = Json::parse(kImage);
  ASSERT_OK_AND_ASSIGN(const Architecture plain, Architecture::parse(json.dump()));
  EXPECT_EQ(plain.attention.anneal.rounds, 0);
  EXPECT_EQ(&plain.anneal_of(1), &plain.attention.anneal);
  Json& anneal = json["attention"]["anneal"];
  anneal["rounds"] = 9;
  anneal["round_sweeps"] = 5;
  anneal["t_round"] = 0.75;
  anneal["start"] = "mixed";
  anneal["layers"] =
      Json::parse(R"([{"sweeps":3,"restarts":4,"t_start":1.0,"t_end":0.2,"start":"random"},
    {"sweeps":7,"restarts":8,"t_start":1.0,"t_end":0.2,"rounds":2,
     "round_sweeps":1,"t_round":0.5}])");
  ASSERT_OK_AND_ASSIGN(const Architecture a, Architecture::parse(json.dump()));
  // Without the order of keys.
  EXPECT_EQ(nlohmann::json::parse(a.to_json()), nlohmann::json::parse(json.dump()));
  EXPECT_EQ(a.attention.anneal.rounds, 9);
  EXPECT_EQ(a.anneal_of(0).sweeps, 3);
  EXPECT_EQ(a.anneal_of(0).rounds, 0);
  EXPECT_EQ(a.attention.anneal.start, hal::StartKind::mixed);
  EXPECT_EQ(a.anneal_of(0).start, hal::StartKind::random);
  EXPECT_EQ(a.anneal_of(1).start, hal::StartKind::guessed);
  EXPECT_EQ(a.anneal_of(1).rounds, 2);
  EXPECT_EQ(a.anneal_of(1).t_round, 0.5);

  const auto refused = [&](const char* pointer, const Json& value, const char* mentions) {
    Json bad = json;
    bad[Json::json_pointer(pointer)] = value;
    const auto result = Architecture::parse(bad.dump());
    EXPECT_ERROR(model_bad_architecture, result);
    EXPECT_NE(test::describe(result).find(mentions), std::string::npos) << test::describe(result);
  };
  refused("/attention/anneal/rounds", 65537, "anneal.rounds: 65537, expected 0 to 65536");
  refused("/attention/anneal/t_round", 0.01, "anneal.t_round: 0.01, expected 0.03");
  refused("/attention/anneal/start", "cold", "anneal.start");
  refused("/attention/anneal/layers", 3, "anneal.layers: number, expected an array");
  refused("/attention/anneal/layers", Json::array(), "layers: 0 entries, expected one a block");
  refused("/attention/anneal/layers", Json::array({anneal["layers"][0]}),
          "layers: entries: 1, expected 2 to 2");
  refused("/attention/anneal/layers/1/sweeps", -1, "layers[1].sweeps");
  refused("/attention/anneal/layers/0/seed", 1, "unknown key 'seed'");
  Json alone = json;
  alone["attention"]["anneal"].erase("t_round");
  EXPECT_ERROR(model_bad_architecture, Architecture::parse(alone.dump()));
}

TEST(Architecture, EveryOtherKindOfAttentionHasItsOwnKeys) {
  const std::pair<AttentionKind, const char*> kinds[] = {
      {AttentionKind::longformer, R"({"kind":"longformer","window":4,"global_tokens":2})"},
      {AttentionKind::bigbird,
       R"({"kind":"bigbird","block":8,"window_blocks":1,"global_blocks":2,"random_blocks":3})"},
      {AttentionKind::linformer, R"({"kind":"linformer","rank":32})"},
      {AttentionKind::performer, R"({"kind":"performer","features":64})"},
      {AttentionKind::reformer, R"({"kind":"reformer","hashes":2,"buckets":4,"chunk":16})"},
      {AttentionKind::qama_v1,
       R"({"kind":"qama_v1","bits":4,"quadratic":1.0,"linear":0.5,"penalty":2.0,
        "anneal":{"sweeps":5,"restarts":2,"t_start":0.3,"t_end":0.03,"seed":1}})"}};
  for (const auto& [kind, attention] : kinds) {
    SCOPED_TRACE(attention);
    Json json = Json::parse(kImage);
    json["attention"] = Json::parse(attention);
    ASSERT_OK_AND_ASSIGN(const Architecture a, Architecture::parse(json.dump()));
    EXPECT_EQ(a.attention.kind, kind);
    EXPECT_EQ(Json::parse(a.to_json()), json);
    EXPECT_EQ(a.is_qama(), kind == AttentionKind::qama_v1);
    EXPECT_EQ(a.spin_bits(), kind == AttentionKind::qama_v1 ? 4 : 0);
    // Every key is needed, has a lower bound, and is unknown to the others.
    for (const auto& [key, value] : json["attention"].items()) {
      if (key == "kind") continue;
      Json without = json;
      without["attention"].erase(key);
      EXPECT_ERROR(model_bad_architecture, Architecture::parse(without.dump()));
      Json negative = json;
      negative["attention"][key] = -1;
      EXPECT_ERROR(model_bad_architecture, Architecture::parse(negative.dump()));
      Json other = Json::parse(kText);
      other["attention"][key] = value;
      EXPECT_ERROR(model_bad_architecture, Architecture::parse(other.dump()));
    }
    Architecture mixed = a;
    mixed.attention.rho0 = 0.5;
    EXPECT_ERROR(model_bad_architecture, mixed.validate());
  }
  Json odd = Json::parse(kImage);
  odd["attention"] = Json::parse(R"({"kind":"reformer","hashes":2,"buckets":5,"chunk":16})");
  EXPECT_ERROR(model_bad_architecture, Architecture::parse(odd.dump()));
}

TEST(Architecture, SomeBlocksMayHaveAnotherKind) {
  Json json = Json::parse(kImage);
  ASSERT_OK_AND_ASSIGN(const Architecture plain, Architecture::parse(json.dump()));
  EXPECT_EQ(&plain.attention_of(1), &plain.attention);
  EXPECT_EQ(plain.to_json().find("other_attention"), std::string::npos);
  json["depth"] = 4;
  json["other_attention"] = Json::parse(R"({"blocks":[0,2],"kind":"linformer","rank":5})");
  ASSERT_OK_AND_ASSIGN(const Architecture a, Architecture::parse(json.dump()));
  EXPECT_EQ(Json::parse(a.to_json()), json);
  ASSERT_OK_AND_ASSIGN(const Architecture again, Architecture::parse(a.to_json()));
  EXPECT_EQ(a, again);
  EXPECT_TRUE(a.is_qama());
  for (const int block : {0, 2}) {
    EXPECT_EQ(a.attention_of(block).rank, 5);
    EXPECT_FALSE(a.is_qama(block));
  }
  for (const int block : {1, 3}) {
    EXPECT_EQ(a.attention_of(block).kind, AttentionKind::qama);
    EXPECT_TRUE(a.is_qama(block));
  }

  const auto refused = [&](const char* pointer, const Json& value, const char* mentions) {
    SCOPED_TRACE(std::string(pointer) + " = " + value.dump());
    Json bad = json;
    bad[Json::json_pointer(pointer)] = value;
    const auto result = Architecture::parse(bad.dump());
    EXPECT_ERROR(model_bad_architecture, result);
    EXPECT_NE(test::describe(result).find(mentions), std::string::npos) << test::describe(result);
  };
  refused("/other_attention/blocks", Json::array(), "blocks: expected an array of 1 to");
  refused("/other_attention/blocks", 0, "blocks: expected an array of 1 to");
  refused("/other_attention/blocks", Json::array({-1}), "blocks: expected an array of 1 to");
  refused("/other_attention/blocks", Json::array({4}), "rising ones from 0 to 3, not all of them");
  refused("/other_attention/blocks", Json::array({1, 1}), "rising ones");
  refused("/other_attention/blocks", Json::array({2, 1}), "rising ones");
  refused("/other_attention/blocks", Json::array({0, 1, 2, 3}), "not all of them");
  refused("/other_attention/window", 3, "unknown key 'window'");
  refused("/other_attention/rank", 0, "attention.rank: 0, expected 1");
  refused("/layer_groups", 2, "blocks 0 and 1, expected both or none, since they share");
  refused("/out_bias", 1, "out_bias");
  Json anneals = json;
  anneals["other_attention"] = json["attention"];
  anneals["other_attention"]["blocks"] = {0};
  const auto result = Architecture::parse(anneals.dump());
  EXPECT_ERROR(model_bad_architecture, result);
  EXPECT_NE(test::describe(result).find("other_attention.kind: qama, expected one that does not"),
            std::string::npos)
      << test::describe(result);
  // The rules of a projection hold for every block.
  Json without = json;
  without["other_attention"] = Json::parse(R"({"blocks":[3],"kind":"softmax","projection":false})");
  EXPECT_ERROR(model_bad_architecture, Architecture::parse(without.dump()));
  without["dim_head"] = 8;
  EXPECT_OK(Architecture::parse(without.dump()));
  without["out_bias"] = true;
  EXPECT_ERROR(model_bad_architecture, Architecture::parse(without.dump()));
}

TEST(Architecture, ThePublishedKindsHaveNoProjection) {
  Json json = Json::parse(kImage);
  json["attention"] = Json::parse(
      R"({"kind":"qama_bilinear","rho0":0.2,"gamma0":0.7,
          "anneal":{"sweeps":5,"restarts":2,"t_start":0.3,"t_end":0.03,"seed":1}})");
  const auto dim = json["heads"].get<int>() * json["dim_head"].get<int>();
  json["dim"] = dim;
  ASSERT_OK_AND_ASSIGN(const Architecture a, Architecture::parse(json.dump()));
  EXPECT_EQ(Json::parse(a.to_json()), json);
  EXPECT_TRUE(a.is_qama());
  EXPECT_FALSE(a.projects(0));
  EXPECT_FALSE(a.one_norm(0));
  for (const char* key : {"rho0", "gamma0", "anneal"}) {
    Json without = json;
    without["attention"].erase(key);
    EXPECT_ERROR(model_bad_architecture, Architecture::parse(without.dump()));
  }

  json["attention"] = Json::parse(R"({"kind":"softmax","projection":false})");
  ASSERT_OK_AND_ASSIGN(const Architecture softmax, Architecture::parse(json.dump()));
  EXPECT_EQ(Json::parse(softmax.to_json()), json);
  EXPECT_FALSE(softmax.projects(0));
  EXPECT_TRUE(softmax.one_norm(0));
  // Heads narrower than the model need a projection.
  json["dim"] = dim + 4;
  EXPECT_ERROR(model_bad_architecture, Architecture::parse(json.dump()));
  json["attention"]["projection"] = true;
  ASSERT_OK_AND_ASSIGN(const Architecture with, Architecture::parse(json.dump()));
  EXPECT_TRUE(with.projects(0));
  EXPECT_EQ(with.to_json().find("projection"), std::string::npos);
  json["attention"]["projection"] = 1;
  EXPECT_ERROR(model_bad_architecture, Architecture::parse(json.dump()));
}

TEST(Architecture, TokenPoolMayBeLeftOut) {
  Json json = Json::parse(kImage);
  json.erase("token_pool");
  ASSERT_OK_AND_ASSIGN(const Architecture a, Architecture::parse(json.dump()));
  EXPECT_EQ(a.token_pool_rows, 1);
  EXPECT_EQ(a.token_pool_cols, 1);
  EXPECT_EQ(a.tokens(), 98);
}

TEST(Architecture, EveryOtherKeyMustBeThereAndNoMore) {
  // Paths of all objects of a record.
  const auto check_object = [](const char* text, const std::string& path) {
    const Json good = Json::parse(text);
    const Json::json_pointer pointer(path);
    for (const auto& [key, value] : good.at(pointer).items()) {
      if (key == "token_pool") continue;
      Json json = good;
      json.at(pointer).erase(key);
      const auto result = Architecture::parse(json.dump());
      EXPECT_ERROR(model_bad_architecture, result);
      EXPECT_NE(test::describe(result).find("'" + key + "' missing"), std::string::npos)
          << test::describe(result);
    }
    Json json = good;
    json.at(pointer)["surplus"] = 1;
    const auto result = Architecture::parse(json.dump());
    EXPECT_ERROR(model_bad_architecture, result);
    EXPECT_NE(test::describe(result).find("unknown key 'surplus'"), std::string::npos);
  };
  check_object(kImage, "");
  check_object(kImage, "/image");
  check_object(kImage, "/attention");
  check_object(kImage, "/attention/anneal");
  check_object(kText, "");
  check_object(kText, "/sequence");
  check_object(kText, "/attention");
  check_object(kFeatures, "");
  check_object(kFeatures, "/features");
}

struct BadField {
  const char* record;
  const char* pointer;
  Json value;
  const char* mentions;  // in the sentence: the field, what it got, what was expected
};

TEST(Architecture, RefusesValuesOutOfBounds) {
  const std::vector<BadField> fields = {
      {kImage, "/kind", "bert",
       "architecture.kind: 'bert', expected simple_vit|text_transformer|feature"},
      {kImage, "/kind", 1, "architecture.kind: '1', expected a string"},
      {kImage, "/kind", "text_transformer", "'sequence' missing"},
      {kImage, "/image", 28, "architecture.image: number, expected an object"},
      {kFeatures, "/features", 28, "architecture.features: number, expected an object"},
      {kFeatures, "/features/tokens", 0, "architecture.features.tokens: 0, expected 1 to 1048576"},
      {kFeatures, "/features/width", 65537, "architecture.features.width: 65537, expected 1 to"},
      {kFeatures, "/features/tokens", 1 << 20,
       "architecture.features: numbers a sample: 805306368, expected 1 to 268435456"},
      {kFeatures, "/patch_norm_eps", 0.1, "unknown key 'patch_norm_eps'"},
      {kImage, "/image/height", 0, "architecture.image.height: 0, expected 1 to 65536"},
      {kImage, "/image/height", 65540, "architecture.image.height: 65540, expected 1 to 65536"},
      {kImage, "/image/height", 4294967324, "architecture.image.height: '4294967324', expected at"},
      {kImage, "/image/height", -28,
       "architecture.image.height: '-28', expected an integer from 0"},
      {kImage, "/image/height", 28.0, "architecture.image.height: '28.0', expected an integer"},
      {kImage, "/image/height", "28", "architecture.image.height: 'string', expected an integer"},
      {kImage, "/image/height", nullptr, "architecture.image.height: 'null', expected an integer"},
      {kImage, "/image/channels", 5000, "image: numbers a patch: 80000, expected 1 to 65536"},
      {kImage, "/patch", 0, "architecture.patch: 0, expected 1 to 65536"},
      {kImage, "/patch", 3, "architecture.patch: 3, expected a divisor of image.height 28"},
      {kImage, "/patch", 56, "architecture.patch: 56, expected a divisor of image.height 28"},
      {kImage, "/token_pool", 2, "architecture.token_pool: expected [rows,columns]"},
      {kImage, "/token_pool", {1}, "architecture.token_pool: expected [rows,columns]"},
      {kImage, "/token_pool", {1, 1, 1}, "architecture.token_pool: expected [rows,columns]"},
      {kImage, "/token_pool", {1, 1.0}, "architecture.token_pool: expected [rows,columns]"},
      {kImage, "/token_pool", {0, 1}, "architecture.token_pool[0]: 0, expected 1 to 65536"},
      {kImage, "/token_pool", {2, 1}, "token_pool[0]: 2, expected a divisor of the patch rows 7"},
      {kImage,
       "/token_pool",
       {1, 3},
       "token_pool[1]: 3, expected a divisor of the patch columns 14"},
      {kImage, "/dim", 0, "architecture.dim: 0, expected 1 to 65536"},
      {kImage, "/dim", 65537, "architecture.dim: 65537, expected 1 to 65536"},
      {kImage, "/depth", 0, "architecture.depth: 0, expected 1 to 256"},
      {kImage, "/depth", 257, "architecture.depth: 257, expected 1 to 256"},
      {kImage, "/heads", 0, "architecture.heads: 0, expected 1 to 64"},
      {kImage, "/heads", 65, "architecture.heads: 65, expected 1 to 64"},
      {kImage, "/dim_head", 0, "architecture.dim_head: 0, expected 1 to 65536"},
      {kImage, "/dim_head", 65537, "architecture.dim_head: 65537, expected 1 to 65536"},
      {kImage, "/mlp", 0, "architecture.mlp: 0, expected 1 to 65536"},
      {kImage, "/mlp", 65537, "architecture.mlp: 65537, expected 1 to 65536"},
      {kImage, "/classes", 0, "architecture.classes: 0, expected 1 to 65536"},
      {kImage, "/classes", 65537, "architecture.classes: 65537, expected 1 to 65536"},
      {kImage, "/gelu", "relu", "architecture.gelu: 'relu', expected erf|tanh"},
      {kImage, "/norm_eps", 0, "architecture.norm_eps: 0.0, expected"},
      {kImage, "/norm_eps", -1e-5, "architecture.norm_eps: -1e-05, expected"},
      {kImage, "/norm_eps", 1.5, "architecture.norm_eps: 1.5, expected"},
      {kImage, "/norm_eps", "1e-5", "architecture.norm_eps: 'string', expected a number"},
      {kImage, "/patch_norm_eps", 0, "architecture.patch_norm_eps: 0.0, expected"},
      {kImage, "/patch_norm_eps", 1.5, "architecture.patch_norm_eps: 1.5, expected"},
      {kImage, "/patch_norm_eps", nullptr, "architecture.patch_norm_eps: 'null', expected"},
      {kImage, "/pool", "cls", "architecture.pool: 'cls', expected mean"},
      {kImage, "/attention", "qama", "architecture.attention: string, expected an object"},
      {kImage, "/attention/kind", "linear", "attention.kind: 'linear', expected softmax|qama"},
      {kImage, "/attention/kind", "softmax", "architecture.attention: unknown key"},
      {kImage, "/attention/normalisation", "l2", "'l2', expected none|instance|batch"},
      {kImage, "/attention/energy_norm", "rms", "'rms', expected none|layer|batch"},
      {kImage, "/attention/rho0", -0.1, "architecture.attention.rho0: -0.1, expected 0.0 to"},
      {kImage, "/attention/rho0", 1e7, "architecture.attention.rho0: 10000000.0, expected 0.0 to"},
      {kImage, "/attention/gamma0", -0.1, "architecture.attention.gamma0: -0.1, expected 0.0 to"},
      {kImage, "/attention/anneal", 20,
       "architecture.attention.anneal: number, expected an object"},
      {kImage, "/attention/anneal/sweeps", 1000001, "sweeps: 1000001, expected 0 to 1000000"},
      {kImage, "/attention/anneal/restarts", 0, "restarts: 0, expected 1 to 65536"},
      {kImage, "/attention/anneal/restarts", 65537, "restarts: 65537, expected 1 to 65536"},
      {kImage, "/attention/anneal/t_start", 0, "t_start: 0, expected"},
      {kImage, "/attention/anneal/t_end", 0, "t_end: 0, expected"},
      {kImage, "/attention/anneal/t_end", 0.4, "t_end: 0.4, expected"},
      {kImage, "/attention/anneal/seed", -1, "seed: '-1', expected an integer from 0"},
      {kText, "/sequence", nullptr, "architecture.sequence: null, expected an object"},
      {kText, "/sequence/max_tokens", 0, "sequence.max_tokens: 0, expected 1 to 1048576"},
      {kText, "/sequence/max_tokens", 1048577,
       "sequence.max_tokens: 1048577, expected 1 to 1048576"},
      {kText, "/sequence/vocabulary", 1, "sequence.vocabulary: 1, expected 2 to 16777216"},
      {kText, "/sequence/vocabulary", 16777217, "sequence.vocabulary: 16777217, expected 2 to"},
      {kText, "/sequence/embedding", 0, "sequence.embedding: 0, expected 1 to 65536"},
      {kText, "/sequence/embedding", 65537, "sequence.embedding: 65537, expected 1 to 65536"},
      {kText, "/sequence/neighbours", 17, "sequence.neighbours: 17, expected 0 to 16"},
      {kText, "/sequence/neighbours", -1, "sequence.neighbours: '-1', expected"},
      {kText, "/sequence/ngrams", 2, "'ngram_rows' missing"},
      {kText, "/sequence/ngram_rows", 2, "'ngrams' missing"},
      {kText, "/attention/kind", "qama", "'normalisation' missing"},
  };
  for (const BadField& field : fields) {
    Json json = Json::parse(field.record);
    json[Json::json_pointer(field.pointer)] = field.value;
    const auto result = Architecture::parse(json.dump());
    EXPECT_ERROR(model_bad_architecture, result);
    EXPECT_NE(test::describe(result).find(field.mentions), std::string::npos)
        << field.pointer << ": " << test::describe(result);
  }
}

TEST(Architecture, SizesAtTheirLimitsAreAccepted) {
  Json json = Json::parse(kText);
  json["sequence"] = {{"max_tokens", 1 << 20}, {"vocabulary", 1 << 24}, {"embedding", 65536}};
  for (const char* key : {"dim", "dim_head", "mlp", "classes"}) json[key] = 65536;
  json["depth"] = 256;
  json["heads"] = 64;
  ASSERT_OK_AND_ASSIGN(const Architecture a, Architecture::parse(json.dump()));
  EXPECT_EQ(a.inner(), 1 << 22);
}

TEST(Architecture, ImageSizesAreBoundedBeforeTheyAreMultiplied) {
  // 65536 x 65536 patches: 2^32 tokens, 0 in 32 bits.
  Json json = Json::parse(kImage);
  json["image"] = {{"height", 65536}, {"width", 65536}, {"channels", 1}};
  json["patch"] = 1;
  json["token_pool"] = {1, 1};
  EXPECT_ERROR(model_bad_architecture, Architecture::parse(json.dump()));
  // One patch of 65536 x 65536: 2^32 numbers.
  json["patch"] = 65536;
  EXPECT_ERROR(model_bad_architecture, Architecture::parse(json.dump()));
}

TEST(Architecture, RefusesWhatIsNotStrictJson) {
  EXPECT_ERROR(model_bad_architecture, Architecture::parse(""));
  EXPECT_ERROR(model_bad_architecture, Architecture::parse("[]"));
  EXPECT_ERROR(model_bad_architecture, Architecture::parse("null"));
  EXPECT_ERROR(model_bad_architecture, Architecture::parse(std::string(kText) + "x"));
  EXPECT_ERROR(model_bad_architecture, Architecture::parse(std::string(1 << 20, '[')));
  EXPECT_ERROR(model_bad_architecture, Architecture::parse("{\"norm_eps\":1e400}"));
  std::string twice = kImage;
  twice.insert(twice.rfind("\"seed\""), "\"seed\":1,");
  EXPECT_ERROR(model_duplicate_key, Architecture::parse(twice));
}

TEST(Architecture, ValidateKnowsRecordsBuiltInCode) {
  Architecture a = test::tiny_qama_vit();
  EXPECT_OK(a.validate());
  a.max_tokens = 5;
  EXPECT_ERROR(model_bad_architecture, a.validate());
  a = test::tiny_qama_text();
  a.patch = 1;
  EXPECT_ERROR(model_bad_architecture, a.validate());
  a = test::tiny_softmax_vit();
  a.attention.rho0 = 1.0;
  EXPECT_ERROR(model_bad_architecture, a.validate());
  a = test::tiny_qama_vit();
  a.attention.rho0 = std::numeric_limits<double>::quiet_NaN();
  EXPECT_ERROR(model_bad_architecture, a.validate());
  a = test::tiny_qama_vit();
  a.dim = -1;
  EXPECT_ERROR(model_bad_architecture, a.validate());
}

}  // namespace
}  // namespace qama::weights
