// Features from .npy files: one sample or one of several, plain and gzip; a header that says
// anything else is refused with what was expected.
#include "runtime/io/npy_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "tests/runtime/io/sample_files.h"
#include "tests/test_support.h"

namespace qama::io {
namespace {

using test::Bytes;
using testing::HasSubstr;

class NpyFile : public testing::Test {
 protected:
  std::string put(const Bytes& bytes) {
    const std::string path = directory_.file("features.npy");
    test::put_file(path, bytes);
    return path;
  }
  /// Two tokens of three numbers.
  Result<std::vector<float>> read(const Bytes& bytes, std::optional<std::int64_t> index = {}) {
    return read_npy_features(put(bytes), index, 2, 3);
  }
  void refused(ErrorCode code, const std::string& mentions, const Bytes& bytes,
               std::optional<std::int64_t> index = {}) {
    SCOPED_TRACE(mentions);
    const auto result = read(bytes, index);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(error_name(result.error().code), error_name(code)) << result.error().message;
    EXPECT_THAT(result.error().message, HasSubstr("npy file '"));
    EXPECT_THAT(result.error().message, HasSubstr(mentions));
  }
  static std::vector<float> values(std::size_t count) {
    std::vector<float> out(count);
    std::iota(out.begin(), out.end(), 0.5F);
    return out;
  }
  test::TempDir directory_;
};

TEST_F(NpyFile, OneSampleOrOneOfSeveral) {
  const std::vector<float> all = values(18);
  const auto part = [&all](std::ptrdiff_t record) {
    return std::vector<float>(all.begin() + 6 * record, all.begin() + 6 * (record + 1));
  };
  for (const bool packed : {false, true}) {
    const auto file = [packed](const std::string& shape, const std::vector<float>& floats) {
      const Bytes plain = test::npy_file(shape, floats);
      return packed ? test::gzipped(plain) : plain;
    };
    ASSERT_OK_AND_ASSIGN(const auto alone, read(file("2, 3", part(0))));
    EXPECT_EQ(alone, part(0));
    ASSERT_OK_AND_ASSIGN(const auto only, read(file("1, 2, 3", part(1))));
    EXPECT_EQ(only, part(1));
    for (const std::ptrdiff_t record : {0, 1, 2}) {
      ASSERT_OK_AND_ASSIGN(const auto one, read(file("3, 2, 3", all), record));
      EXPECT_EQ(one, part(record));
    }
  }
}

TEST_F(NpyFile, HeadersThatPythonWrites) {
  Bytes data(24, 0);
  for (const char* dictionary : {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
                                 "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
                                 "{\"shape\":(2,3,),\"fortran_order\":False,\"descr\":\"<f4\"}"}) {
    EXPECT_OK(read(test::npy_file_of(dictionary, data)));
  }
  // Version 2 has four bytes of length.
  Bytes second = test::npy_file("2, 3", values(6));
  second[6] = 2;
  second.insert(second.begin() + 10, 2, 0);
  EXPECT_OK(read(second));
}

TEST_F(NpyFile, RefusesEverythingElse) {
  using enum ErrorCode;
  const Bytes good = test::npy_file("2, 3", values(6));
  refused(dataset_empty, "is empty", {});
  refused(dataset_truncated, "ends inside its header", Bytes(good.begin(), good.begin() + 8));
  refused(dataset_bad_format, "does not begin as a .npy file does", {'P', '5', '\n'});
  Bytes version = good;
  version[6] = 4;
  refused(dataset_bad_format, "its version is 4.0, expected 1.0, 2.0 or 3.0", version);
  Bytes length = good;
  length[9] = 0xFF;
  refused(dataset_bad_format, "bytes, expected at most 4096", length);
  // More or fewer bytes than the shape says.
  Bytes more = good;
  more.push_back(0);
  refused(dataset_bad_format, "bytes, expected 152 for its shape [2,3]", more);
  refused(dataset_truncated, "has 151 bytes, expected 152", Bytes(good.begin(), good.end() - 1));
  const std::string path = put(test::gzipped(more));
  EXPECT_THAT(test::describe(read_npy_features(path, {}, 2, 3)), HasSubstr("bytes follow"));

  const auto header = [&](const std::string& mentions, const std::string& dictionary) {
    refused(dataset_bad_format, mentions, test::npy_file_of(dictionary, Bytes(24, 0)));
  };
  const std::string rest = "'fortran_order': False, 'shape': (2, 3), }";
  header("its type is '<f8', expected '<f4', which x.astype", "{'descr': '<f8', " + rest);
  header("its type is '>f4'", "{'descr': '>f4', " + rest);
  header("not what was expected, a string", "{'descr': [('a', '<f4')], " + rest);
  header("not all of descr", "{" + rest);
  header("key 'descr', expected", "{'descr': '<f4', 'descr': '<f4', " + rest);
  header("key 'more', expected", "{'descr': '<f4', 'more': 1, " + rest);
  header("its end", "{'descr': '<f4', " + rest + "}");
  header("'{'", "['descr']");
  header("',' or '}'", "{'descr': '<f4' " + rest);
  header("':'", "{'descr' '<f4', " + rest);
  header("a string that ends", "{'descr: ");
  const std::string start = "{'descr': '<f4', 'fortran_order': ";
  header("it is in Fortran order, expected C order", start + "True, 'shape': (2, 3), }");
  header("True or False", start + "0, 'shape': (2, 3), }");
  header("its shape is [], expected [2,3] or [samples,2,3]", start + "False, 'shape': (), }");
  header("its shape is [6], expected", start + "False, 'shape': (6,), }");
  header("its shape is [3,2], expected", start + "False, 'shape': (3, 2), }");
  header("its shape is [1,1,2,3], expected", start + "False, 'shape': (1, 1, 2, 3), }");
  header("a size", start + "False, 'shape': (-2, 3), }");
  header("a size", start + "False, 'shape': (99999999999999999999, 2, 3), }");
  header("')'", start + "False, 'shape': (2 3), }");
  refused(dataset_bad_format, "expected less than 2^63 bytes",
          test::npy_file("9223372036854775807, 2, 3", std::vector<float>()), 7);
  header("it holds 9000 samples, expected one", start + "False, 'shape': (9000, 2, 3), }");
  refused(dataset_empty, "holds no samples", test::npy_file("0, 2, 3", std::vector<float>()));
  refused(dataset_truncated, "for its shape [9000,2,3]", test::npy_file("9000, 2, 3", values(6)),
          7);
  EXPECT_ERROR(not_found, read_npy_features(directory_.file("none"), {}, 2, 3));
}

TEST_F(NpyFile, IndicesAndNumbersAreChecked) {
  const Bytes two = test::npy_file("2, 2, 3", values(12));
  for (const std::int64_t index :
       {std::int64_t{-1}, std::int64_t{2}, std::numeric_limits<std::int64_t>::max()}) {
    refused(ErrorCode::index_out_of_range, "expected 0 to 1", two, index);
  }
  refused(ErrorCode::index_out_of_range, "expected 0 to 0", test::npy_file("2, 3", values(6)), 1);
  for (const float odd : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
    std::vector<float> with = values(12);
    with[10] = odd;
    refused(ErrorCode::problem_bad_value, "record 1: number 4 is", test::npy_file("2, 2, 3", with),
            1);
    EXPECT_OK(read(test::npy_file("2, 2, 3", with), 0));
  }
}

}  // namespace
}  // namespace qama::io
