// The preprocess record: round trips, the keys that may be missing, and every bound.
#include "weights/preprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/test_support.h"

namespace qama::weights {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kImagePreprocess = R"({"kind":"image","mean":[0.1,0.2,0.3],
  "std":[0.4,0.5,0.6],"scale":255,"resize":"bilinear","gray":"luma"})";
constexpr const char* kTextPreprocess =
    R"({"kind":"text","tokeniser":"words","lowercase":true,"truncate":"head"})";

Architecture image_of(std::int32_t channels) {
  Architecture out;
  out.image_height = 28;
  out.image_width = 56;
  out.image_channels = channels;
  return out;
}

TEST(Preprocess, SurvivesARoundTrip) {
  const Architecture image = image_of(3);
  ASSERT_OK_AND_ASSIGN(const Preprocess p, Preprocess::parse(kImagePreprocess, image));
  EXPECT_EQ(p.mean, (std::vector<double>{0.1, 0.2, 0.3}));
  EXPECT_EQ(p.stddev, (std::vector<double>{0.4, 0.5, 0.6}));
  EXPECT_EQ(p.scale, 255.0);
  ASSERT_OK_AND_ASSIGN(const Preprocess again, Preprocess::parse(p.to_json(), image));
  EXPECT_EQ(p, again);

  Architecture text;
  text.kind = ModelKind::text_transformer;
  ASSERT_OK_AND_ASSIGN(const Preprocess words, Preprocess::parse(kTextPreprocess, text));
  EXPECT_EQ(words.kind, ModelKind::text_transformer);
  EXPECT_EQ(Json::parse(words.to_json()), Json::parse(kTextPreprocess));
  std::string penn(kTextPreprocess);
  penn.replace(penn.find("words"), 5, "penn_words");
  ASSERT_OK_AND_ASSIGN(const Preprocess cut, Preprocess::parse(penn, text));
  EXPECT_EQ(cut.tokeniser, weights::Tokeniser::penn_words);
  EXPECT_EQ(Json::parse(cut.to_json()), Json::parse(penn));

  Architecture features;
  features.kind = ModelKind::feature_transformer;
  ASSERT_OK_AND_ASSIGN(const Preprocess as_they_are,
                       Preprocess::parse(R"({"kind":"features"})", features));
  EXPECT_EQ(as_they_are.to_json(), R"({"kind":"features"})");
  EXPECT_ERROR(model_bad_preprocess, Preprocess::parse(R"({"kind":"features"})", text));
}

TEST(Preprocess, RefusesBadRecords) {
  const Architecture image = image_of(3);
  Architecture text;
  text.kind = ModelKind::text_transformer;
  const auto refused = [](const char* record, const Architecture& architecture, const char* key,
                          const Json& value) {
    Json json = Json::parse(record);
    json[key] = value;
    SCOPED_TRACE(json.dump());
    EXPECT_ERROR(model_bad_preprocess, Preprocess::parse(json.dump(), architecture));
  };
  EXPECT_ERROR(model_bad_preprocess, Preprocess::parse(kTextPreprocess, image));
  EXPECT_ERROR(model_bad_preprocess, Preprocess::parse(kImagePreprocess, text));
  EXPECT_ERROR(model_bad_preprocess, Preprocess::parse("[]", image));
  EXPECT_ERROR(model_duplicate_key, Preprocess::parse(R"({"kind":"text","kind":"text"})", text));
  refused(kImagePreprocess, image, "kind", "audio");
  refused(kImagePreprocess, image, "mean", 0.5);
  refused(kImagePreprocess, image, "mean", {0.5, 0.5});
  refused(kImagePreprocess, image, "mean", {0.5, 0.5, "0.5"});
  refused(kImagePreprocess, image, "mean", {0.5, 0.5, 1e300});
  refused(kImagePreprocess, image, "std", {0.5, 0.5, 0.0});
  refused(kImagePreprocess, image, "std", {0.5, 0.5, -0.5});
  refused(kImagePreprocess, image, "std", {0.5, 0.5, 0.5, 0.5});
  refused(kImagePreprocess, image, "scale", 0);
  refused(kImagePreprocess, image, "scale", -255);
  refused(kImagePreprocess, image, "resize", "bicubic");
  refused(kImagePreprocess, image, "gray", "mean");
  refused(kImagePreprocess, image, "layout", "CHW");
  refused(kTextPreprocess, text, "tokeniser", "bpe");
  refused(kTextPreprocess, text, "lowercase", false);
  refused(kTextPreprocess, text, "lowercase", 1);
  refused(kTextPreprocess, text, "truncate", "tail");
  refused(kTextPreprocess, text, "mean", {0.5});
}

constexpr const char* kGrayPreprocess = R"({"kind":"image","mean":[0.1],"std":[0.4],"scale":255,
  "resize":"bilinear","gray":"luma","fit":"content","background":"dark","margin":4,
  "centre":"mass"})";

TEST(Preprocess, KeysOfPicturesAreOptional) {
  const Architecture gray = image_of(1);
  ASSERT_OK_AND_ASSIGN(const Preprocess p, Preprocess::parse(kGrayPreprocess, gray));
  EXPECT_EQ(p.fit, Fit::content);
  EXPECT_EQ(p.background, Background::dark);
  EXPECT_EQ(p.margin, 4);
  EXPECT_EQ(p.centre, Centre::mass);
  EXPECT_EQ(Json::parse(p.to_json()), Json::parse(kGrayPreprocess));

  // Without them: what programs did before there were such keys, and no key is written.
  ASSERT_OK_AND_ASSIGN(const Preprocess old, Preprocess::parse(kImagePreprocess, image_of(3)));
  EXPECT_EQ(old.fit, Fit::stretch);
  EXPECT_EQ(old.background, Background::any);
  EXPECT_EQ(Json::parse(old.to_json()), Json::parse(kImagePreprocess));

  for (const char* fit : {"stretch", "crop", "pad"}) {
    for (const char* background : {"any", "dark", "light"}) {
      Json json = Json::parse(kImagePreprocess);
      json["fit"] = fit;
      json["background"] = background;
      ASSERT_OK_AND_ASSIGN(const Preprocess same, Preprocess::parse(json.dump(), image_of(3)));
      EXPECT_EQ(name_of(same.fit), fit);
      EXPECT_EQ(name_of(same.background), background);
      ASSERT_OK_AND_ASSIGN(const Preprocess again, Preprocess::parse(same.to_json(), image_of(3)));
      EXPECT_EQ(again, same);
    }
  }
}

TEST(Preprocess, RefusesKeysOfPicturesThatDoNotFit) {
  const auto refused = [](const char* record, std::int32_t channels, const char* key,
                          const Json& value, const char* sentence) {
    Json json = Json::parse(record);
    json[key] = value;
    const auto got = Preprocess::parse(json.dump(), image_of(channels));
    EXPECT_ERROR(model_bad_preprocess, got);
    EXPECT_THAT(got.error().message, testing::HasSubstr(sentence));
  };
  refused(kGrayPreprocess, 1, "fit", "cover", "'cover', expected stretch|crop|pad|content");
  refused(kGrayPreprocess, 1, "fit", "pad", "margin and centre: given, expected none with fit pad");
  refused(kGrayPreprocess, 1, "background", "grey", "'grey', expected any|dark|light");
  refused(kGrayPreprocess, 1, "background", "any", "any, expected dark or light with fit content");
  refused(kGrayPreprocess, 1, "margin", 14, "margin: 14, expected 0 to 13");
  refused(kGrayPreprocess, 1, "margin", -1, "expected an integer from 0");
  refused(kGrayPreprocess, 1, "margin", 4.0, "expected an integer");
  refused(kGrayPreprocess, 1, "centre", "middle", "'middle', expected box|mass");
  refused(kImagePreprocess, 3, "fit", "content", "content, expected another fit");
  refused(kImagePreprocess, 3, "margin", 1, "expected none with fit stretch");
  refused(kImagePreprocess, 3, "centre", "mass", "expected none with fit stretch");
}

}  // namespace
}  // namespace qama::weights
