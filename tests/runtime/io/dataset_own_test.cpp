// Labelled data of anybody's own: folders and tables, labels that must be the model's, files that
// cannot be read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "runtime/io/dataset.h"
#include "tests/runtime/io/sample_files.h"
#include "tests/test_support.h"

namespace qama::io {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
namespace fs = std::filesystem;

class OwnTest : public testing::Test {
 protected:
  void put(const std::string& name, std::string_view text) {
    fs::create_directories((directory_.path() / name).parent_path());
    test::put_file(directory_.file(name), text);
  }
  Result<std::unique_ptr<Dataset>> open(const std::string& path = "", std::string_view split = "",
                                        std::string_view name = "") {
    return open_dataset(name, path.empty() ? directory_.path().string() : directory_.file(path),
                        split, own_);
  }
  /// "label:name" of all samples, or their errors.
  std::vector<std::string> read(Dataset& set) const {
    std::vector<std::string> out;
    Sample sample;
    while (set.position() < set.info().samples) {
      const Status status = set.next(sample);
      if (!status.ok()) {
        out.push_back(std::string(error_name(status.error().code)));
        continue;
      }
      const std::string name = fs::path(sample.name).filename().string();
      out.push_back(std::to_string(sample.label) + ":" + name + ":" +
                    (own_.kind == SampleKind::text
                         ? sample.text
                         : std::string(sample.file.begin(), sample.file.end())));
    }
    return out;
  }
  test::TempDir directory_;
  OwnData own_{SampleKind::text, {"T-shirt/top", "Ankle boot", "bag"}, "", "label"};
};

TEST_F(OwnTest, AFolderForEveryClass) {
  put("t-shirt_top/b.txt", "B");
  put("t-shirt_top/a.txt", "A");
  put("Ankle boot/z.txt", "Z");
  put("Ankle boot/.hidden", "no");
  put("Ankle boot/notes.md", "no");
  put("README", "no");
  ASSERT_OK_AND_ASSIGN(const auto set, open());
  EXPECT_EQ(set->info().name, "folder");
  EXPECT_EQ(set->info().split, "all");
  EXPECT_TRUE(set->info().own);
  EXPECT_THAT(set->info().left_out, ElementsAre(EndsWith("notes.md"), EndsWith("README")));
  // The classes take turns.
  EXPECT_THAT(read(*set), ElementsAre("0:a.txt:A", "1:z.txt:Z", "0:b.txt:B"));
}

TEST_F(OwnTest, ImagesComeAsTheirFiles) {
  own_.kind = SampleKind::image;
  put("bag/x.jpg", "bytes");
  ASSERT_OK_AND_ASSIGN(const auto set, open());
  EXPECT_EQ(set->info().kind, SampleKind::image);
  EXPECT_THAT(read(*set), ElementsAre("2:x.jpg:bytes"));
}

TEST_F(OwnTest, FeaturesComeByTheirNames) {
  own_.kind = SampleKind::features;
  put("bag/x.npy", "not read here");
  put("bag/y.txt", "no");
  ASSERT_OK_AND_ASSIGN(const auto set, open());
  EXPECT_EQ(set->info().kind, SampleKind::features);
  EXPECT_THAT(set->info().left_out, ElementsAre(EndsWith("y.txt")));
  EXPECT_THAT(read(*set), ElementsAre("2:x.npy:"));
  put("t.csv", "file,label\nall.npy:7,bag\n");
  ASSERT_OK_AND_ASSIGN(const auto table, open("t.csv"));
  EXPECT_THAT(read(*table), ElementsAre("2:all.npy:7:"));
}

TEST_F(OwnTest, SplitsAreFolders) {
  put("train/bag/a.txt", "A");
  put("test/bag/b.txt", "B");
  ASSERT_OK_AND_ASSIGN(const auto test, open());
  EXPECT_EQ(test->info().split, "test");
  EXPECT_THAT(read(*test), ElementsAre("2:b.txt:B"));
  ASSERT_OK_AND_ASSIGN(const auto train, open("", "train"));
  EXPECT_THAT(read(*train), ElementsAre("2:a.txt:A"));
  EXPECT_ERROR(invalid_argument, open("", "dev"));
}

TEST_F(OwnTest, LabelsAreTheModels) {
  put("bag/a.txt", "A");
  put("shoe/a.txt", "A");
  const auto set = open();
  EXPECT_ERROR(dataset_bad_format, set);
  EXPECT_THAT(set.error().message, HasSubstr("shoe': label 'shoe', expected one of the model's: "
                                             "'T-shirt/top', 'Ankle boot', 'bag'"));
  put("t.csv", "text,label\nA,bag\nB,1\n");
  const auto table = open("t.csv");
  EXPECT_ERROR(dataset_bad_format, table);
  EXPECT_THAT(table.error().message,
              HasSubstr("t.csv', line 3, column 'label': label '1', expected one of"));
}

TEST_F(OwnTest, ASampleThatCannotBeReadLeavesTheOthers) {
  put("bag/a.txt", "A");
  put("bag/b.txt", "caf\xE9");
  put("bag/c.txt", "C");
  fs::create_symlink(directory_.file("nowhere"), directory_.file("bag/d.txt"));
  ASSERT_OK_AND_ASSIGN(const auto set, open());
  EXPECT_THAT(read(*set), ElementsAre("2:a.txt:A", "TEXT_BAD_ENCODING", "2:c.txt:C", "NOT_FOUND"));
}

TEST_F(OwnTest, TablesOfTexts) {
  put("t.csv", "id,text,label\n1,\"one, two\",Bag\n\n2,\"three\nfour\",ankle boot\n3,,bag\n");
  ASSERT_OK_AND_ASSIGN(const auto set, open("t.csv"));
  EXPECT_EQ(set->info().name, "table");
  EXPECT_EQ(set->info().samples, 3);
  EXPECT_THAT(read(*set), ElementsAre("2:t.csv:2:one, two", "1:t.csv:4:three\nfour", "2:t.csv:6:"));
  own_.column = "id";
  ASSERT_OK_AND_ASSIGN(const auto ids, open("t.csv"));
  ASSERT_OK(ids->skip(2));
  EXPECT_THAT(read(*ids), ElementsAre("2:t.csv:6:3"));
  own_.label_column = "kind";
  EXPECT_ERROR(dataset_bad_format, open("t.csv"));
}

TEST_F(OwnTest, TablesOfFiles) {
  put("pictures/a.png", "A");
  put("test.tsv", "file\tlabel\npictures/a.png\tbag\npictures/b.png\tbag\n");
  own_.kind = SampleKind::image;
  ASSERT_OK_AND_ASSIGN(const auto set, open("test.tsv"));
  EXPECT_THAT(read(*set), ElementsAre("2:a.png:A", "NOT_FOUND"));
  ASSERT_OK_AND_ASSIGN(const auto below, open("", "", "table"));
  EXPECT_EQ(below->info().split, "test");
  EXPECT_EQ(below->info().samples, 2);
  EXPECT_ERROR(not_found, open("", "train", "table"));
  EXPECT_ERROR(invalid_argument, open("test.tsv", "train"));
  own_.kind = SampleKind::text;  // of a text model: texts in files
  ASSERT_OK_AND_ASSIGN(const auto texts, open("test.tsv"));
  EXPECT_THAT(read(*texts), ElementsAre("2:a.png:A", "NOT_FOUND"));
}

TEST_F(OwnTest, NothingToRead) {
  EXPECT_ERROR(dataset_empty, open());
  fs::create_directories(directory_.path() / "bag");
  EXPECT_ERROR(dataset_empty, open());
  put("t.csv", "text,label\n");
  EXPECT_ERROR(dataset_empty, open("t.csv"));
  EXPECT_ERROR(not_found, open("absent"));
  EXPECT_ERROR(not_found, open("t.csv", "", "folder"));
}

}  // namespace
}  // namespace qama::io
