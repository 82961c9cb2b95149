// Data sets in their official layouts: small ones made here in full, and the real ones where they
// are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "runtime/io/dataset.h"
#include "tests/runtime/io/sample_files.h"
#include "tests/test_support.h"

namespace qama::io {
namespace {

using test::Bytes;
using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

class DatasetTest : public testing::Test {
 protected:
  void put(const std::string& name, const Bytes& bytes) {
    fs::create_directories((directory_.path() / name).parent_path());
    test::put_file(directory_.file(name), bytes);
  }
  void put(const std::string& name, std::string_view text) {
    put(name, Bytes(text.begin(), text.end()));
  }
  Result<std::unique_ptr<Dataset>> open(std::string_view name, std::string_view split = "") {
    return open_dataset(name, directory_.path().string(), split);
  }
  /// Labels of all samples that are left.
  static std::vector<int> labels(Dataset& set) {
    std::vector<int> out;
    Sample sample;
    while (set.position() < set.info().samples) {
      const Status status = set.next(sample);
      EXPECT_OK(status);
      if (!status.ok()) break;
      out.push_back(sample.label);
    }
    return out;
  }
  test::TempDir directory_;
};

TEST_F(DatasetTest, MnistPlainOrGzip) {
  const Bytes pixels = test::sample_pixels(4, 6, 1);
  put("t10k-images-idx3-ubyte", test::idx_file({3, 2, 4}, pixels));
  put("t10k-labels-idx1-ubyte.gz", test::gzipped(test::idx_file({3}, {7, 0, 9})));
  ASSERT_OK_AND_ASSIGN(const auto set, open("mnist"));
  EXPECT_EQ(set->info().samples, 3);
  EXPECT_EQ(set->info().split, "test");
  EXPECT_EQ(set->info().classes.size(), 10U);
  Sample sample;
  ASSERT_OK(set->next(sample));
  EXPECT_EQ(sample.index, 0);
  EXPECT_EQ(sample.label, 7);
  EXPECT_EQ(sample.image.pixels, Bytes(pixels.begin(), pixels.begin() + 8));
  ASSERT_OK(set->skip(1));
  ASSERT_OK(set->next(sample));
  EXPECT_EQ(sample.index, 2);
  EXPECT_EQ(sample.label, 9);
  EXPECT_ERROR(index_out_of_range, set->next(sample));
  EXPECT_ERROR(index_out_of_range, set->skip(1));
}

TEST_F(DatasetTest, MnistBelowTorchvisionsFolder) {
  put("FashionMNIST/raw/train-images-idx3-ubyte", test::idx_file({1, 2, 2}, Bytes(4)));
  put("FashionMNIST/raw/train-labels-idx1-ubyte", test::idx_file({1}, {3}));
  ASSERT_OK_AND_ASSIGN(const auto set, open("fashion-mnist", "train"));
  EXPECT_EQ(set->info().classes[3], "Dress");
  EXPECT_THAT(labels(*set), ElementsAre(3));
}

TEST_F(DatasetTest, MnistErrors) {
  const auto missing = open("mnist");
  EXPECT_ERROR(not_found, missing);
  EXPECT_THAT(missing.error().message, HasSubstr("'t10k-images-idx3-ubyte' or "));
  put("t10k-images-idx3-ubyte", test::idx_file({2, 2, 2}, Bytes(8)));
  EXPECT_ERROR(not_found, open("mnist"));  // no labels
  put("t10k-labels-idx1-ubyte", test::idx_file({3}, {1, 2, 3}));
  EXPECT_ERROR(dataset_bad_format, open("mnist"));  // not one label an image
  put("t10k-labels-idx1-ubyte", test::idx_file({2}, {1, 10}));
  {
    ASSERT_OK_AND_ASSIGN(const auto set, open("mnist"));
    Sample sample;
    EXPECT_OK(set->next(sample));
    EXPECT_ERROR(dataset_bad_format, set->next(sample));  // label 10
  }
  put("t10k-images-idx3-ubyte", Bytes());
  EXPECT_ERROR(dataset_empty, open("mnist"));
  EXPECT_ERROR(invalid_argument, open("mnist", "dev"));
  EXPECT_ERROR(invalid_argument, open("minst"));
  EXPECT_ERROR(not_found, open_dataset("mnist", directory_.file("absent"), ""));
}

Bytes cifar_records(const std::vector<std::uint8_t>& labels) {
  Bytes out;
  for (const std::uint8_t label : labels) {
    out.push_back(label);
    for (int c = 0; c < 3; ++c)
      out.insert(out.end(), 1024, static_cast<std::uint8_t>(10 * label + c));
  }
  return out;
}

TEST_F(DatasetTest, Cifar10PlanesBecomeInterleaved) {
  put("cifar-10-batches-bin/test_batch.bin", cifar_records({4, 0}));
  ASSERT_OK_AND_ASSIGN(const auto set, open("cifar10"));
  EXPECT_EQ(set->info().channels, 3);
  Sample sample;
  ASSERT_OK(set->next(sample));
  EXPECT_EQ(sample.label, 4);
  EXPECT_EQ(sample.image.pixels.size(), 3072U);
  EXPECT_EQ(Bytes(sample.image.pixels.begin(), sample.image.pixels.begin() + 4),
            (Bytes{40, 41, 42, 40}));
}

TEST_F(DatasetTest, Cifar10TrainIsFiveFilesInOrder) {
  for (int i = 1; i <= 5; ++i) {
    const auto label = static_cast<std::uint8_t>(i);
    put("data_batch_" + std::to_string(i) + ".bin", cifar_records({label, label}));
  }
  ASSERT_OK_AND_ASSIGN(const auto set, open("cifar10", "train"));
  EXPECT_EQ(set->info().samples, 10);
  ASSERT_OK(set->skip(3));
  EXPECT_THAT(labels(*set), ElementsAre(2, 3, 3, 4, 4, 5, 5));
}

TEST_F(DatasetTest, Cifar10Errors) {
  EXPECT_ERROR(not_found, open("cifar10"));
  put("test_batch.bin", Bytes());
  EXPECT_ERROR(dataset_empty, open("cifar10"));
  put("test_batch.bin", Bytes(3072));
  EXPECT_ERROR(dataset_truncated, open("cifar10"));
  put("test_batch.bin", cifar_records({10}));
  ASSERT_OK_AND_ASSIGN(const auto set, open("cifar10"));
  Sample sample;
  EXPECT_ERROR(dataset_bad_format, set->next(sample));
}

TEST_F(DatasetTest, ImdbFoldersAlternateBetweenClasses) {
  put("aclImdb/test/neg/10_1.txt", "awful");
  put("aclImdb/test/neg/2_3.txt", "bad");
  put("aclImdb/test/neg/0_2.txt", "worse");
  put("aclImdb/test/pos/1_9.txt", "good");
  put("aclImdb/test/pos/urls.md", "not a review");
  ASSERT_OK_AND_ASSIGN(const auto set, open("imdb"));
  EXPECT_EQ(set->info().samples, 4);
  Sample sample;
  std::string texts;
  for (int i = 0; i < 4; ++i) {
    ASSERT_OK(set->next(sample));
    texts += sample.text + std::to_string(sample.label) + " ";
  }
  EXPECT_EQ(texts, "worse0 good1 bad0 awful0 ");
}

TEST_F(DatasetTest, ImdbTableAlternatesTooAndKeepsLaterTabs) {
  put("imdb_test.tsv",
      "0\t2\t7\tbad\tvery bad\r\n0\t1\t8\tworse\n0\t1\t9\tworst\n1\t9\t0\tgood\n1\t10\t1\tbest\n");
  ASSERT_OK_AND_ASSIGN(const auto set, open("imdb"));
  EXPECT_EQ(set->info().samples, 5);
  Sample sample;
  ASSERT_OK(set->next(sample));
  EXPECT_EQ(sample.text, "bad\tvery bad");
  EXPECT_THAT(labels(*set), ElementsAre(1, 0, 1, 0));
  ASSERT_OK_AND_ASSIGN(const auto again, open("imdb"));
  ASSERT_OK(again->skip(3));
  ASSERT_OK(again->next(sample));
  EXPECT_EQ(sample.text, "best");
}

TEST_F(DatasetTest, ImdbErrors) {
  EXPECT_ERROR(not_found, open("imdb"));
  EXPECT_ERROR(invalid_argument, open("imdb", "dev"));
  put("imdb_test.tsv", "");
  EXPECT_ERROR(dataset_empty, open("imdb"));
  put("imdb_test.tsv", "2\t2\t7\tbad\n");
  EXPECT_ERROR(dataset_bad_format, open("imdb"));
  Sample sample;
  put("imdb_test.tsv", "1\t2 bad\n");
  {
    ASSERT_OK_AND_ASSIGN(const auto set, open("imdb"));
    EXPECT_ERROR(dataset_bad_format, set->next(sample));
  }
  put("imdb_test.tsv", "1\t2\t3\tcaf\xE9\n");
  {
    ASSERT_OK_AND_ASSIGN(const auto set, open("imdb"));
    EXPECT_ERROR(text_bad_encoding, set->next(sample));
  }
  fs::create_directories(directory_.path() / "test/neg");
  EXPECT_ERROR(not_found, open("imdb"));  // no pos
  fs::create_directories(directory_.path() / "test/pos");
  EXPECT_ERROR(dataset_empty, open("imdb"));
  put("test/pos/review.txt", "good");
  EXPECT_ERROR(dataset_bad_format, open("imdb"));
}

TEST_F(DatasetTest, Sst2ReadsDevAlsoAsTest) {
  put("SST-2/dev.tsv", "sentence\tlabel\nit 's \"good\" \t1\nbad\t0");
  for (const char* split : {"", "dev", "test"}) {
    ASSERT_OK_AND_ASSIGN(const auto set, open("sst2", split));
    EXPECT_EQ(set->info().samples, 2);
    EXPECT_EQ(set->info().split, "dev");
    Sample sample;
    ASSERT_OK(set->next(sample));
    EXPECT_EQ(sample.text, "it 's \"good\" ");
    EXPECT_THAT(labels(*set), ElementsAre(0));
  }
}

TEST_F(DatasetTest, Sst2Errors) {
  EXPECT_ERROR(not_found, open("sst2"));
  put("dev.tsv", "");
  EXPECT_ERROR(dataset_empty, open("sst2"));
  put("dev.tsv", "sentence\tlabel\n");
  EXPECT_ERROR(dataset_empty, open("sst2"));
  put("dev.tsv", "index\tsentence\n0\tbad\n");
  EXPECT_ERROR(dataset_bad_format, open("sst2"));
  for (const char* line : {"no tab", "a\t2", "a\t", "a\t1 "}) {
    put("dev.tsv", std::string("sentence\tlabel\n") + line + "\n");
    ASSERT_OK_AND_ASSIGN(const auto set, open("sst2"));
    Sample sample;
    const Status status = set->next(sample);
    EXPECT_ERROR(dataset_bad_format, status);
    EXPECT_THAT(status.error().message, HasSubstr("line 2")) << line;
  }
}

TEST_F(DatasetTest, RealOnesHaveTheirPublishedSizes) {
  QAMA_SHARED_OR_SKIP(data, "data");
  struct Case {
    const char* name;
    std::int64_t samples;
    std::map<int, int> counts;
  };
  const Case cases[] = {
      {"mnist", 10000, {{0, 980}, {1, 1135}, {9, 1009}}},
      {"fashion-mnist", 10000, {{0, 1000}, {9, 1000}}},
      {"sst2", 872, {{0, 428}, {1, 444}}},
  };
  for (const Case& c : cases) {
    ASSERT_OK_AND_ASSIGN(const auto set, open_dataset(c.name, (data / c.name).string(), ""));
    EXPECT_EQ(set->info().samples, c.samples);
    std::map<int, int> counts;
    for (const int label : labels(*set)) ++counts[label];
    for (const auto& [label, count] : c.counts) EXPECT_EQ(counts[label], count) << c.name;
  }
}

}  // namespace
}  // namespace qama::io
