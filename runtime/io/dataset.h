// Data sets in their official layouts, and labelled data of anybody's own, read sample by sample. A
// data set is added by a file dataset_<name>.cpp with its opener and one line in the table of
// dataset.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"
#include "runtime/io/image.h"

namespace qama::io {

enum class SampleKind : std::uint8_t { image, text, features };

/// What a data set and split are, known after open().
struct DatasetInfo {
  std::string name;   ///< "mnist"
  std::string split;  ///< as read: "test"; "dev" where sst2's "test" was asked for
  SampleKind kind = SampleKind::image;
  std::int64_t samples = 0;
  std::int32_t height = 0, width = 0, channels = 0;  ///< images only
  std::vector<std::string> classes;                  ///< one name a label
  /// Anybody's own: images come as their files, of any size, features by their names, and a sample
  /// that cannot be read is an error of its own, behind which next() goes on.
  bool own = false;
  std::vector<std::string> left_out;  ///< of a folder: paths that belong to no sample
  /// Of one's own data: changes with the samples' names (of a table of texts: the texts), labels
  /// and order, not with the place where they lie.
  std::string sha256;
};

/// One sample; its memory is used again for the next one.
struct Sample {
  std::int64_t index = 0;  ///< position in the split
  std::int32_t label = 0;  ///< 0 .. classes - 1
  Image image;             ///< image sets
  std::string text;        ///< text sets
  // Data of one's own:
  std::string name;                ///< path, or "table.csv:12"; of features all that is known
  std::vector<std::uint8_t> file;  ///< bytes of an image's file, in place of `image`
};

/// What a model wants of labelled data that is nobody's official set.
struct OwnData {
  SampleKind kind = SampleKind::image;
  std::vector<std::string> labels;     ///< the model's, by class
  std::string column;                  ///< of a table, its texts or files; "": "text" or "file"
  std::string label_column = "label";  ///< of a table
};

/// A split, read from front to back in its own order. One thread at a time.
class Dataset {
 public:
  virtual ~Dataset() = default;
  Dataset() = default;
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;

  [[nodiscard]] const DatasetInfo& info() const noexcept { return info_; }
  /// Index of the sample that next() reads.
  [[nodiscard]] std::int64_t position() const noexcept { return position_; }

  /// Reads the next sample. INDEX_OUT_OF_RANGE behind the last one; DATASET_BAD_FORMAT (a label out
  /// of range, damaged data), DATASET_TRUNCATED, IO_ERROR; of one's own data also NOT_FOUND and
  /// TEXT_BAD_ENCODING.
  Status next(Sample& out);
  /// Passes over `count` samples.
  Status skip(std::int64_t count);

 protected:
  virtual Status read(Sample& out) = 0;
  virtual Status pass_over(std::int64_t count) = 0;
  [[nodiscard]] Status check_label(std::int64_t label) const;
  DatasetInfo info_;

 private:
  std::int64_t position_ = 0;
};

/// One line of the table of data sets.
struct DatasetFormat {
  std::string_view name;
  std::string_view layout;         ///< the files it expects, for --help
  std::string_view default_split;  ///< "test", or "dev" where the test labels are not public
  /// Opens `split` below `directory`; `split` is one of "train", "test", "dev".
  Result<std::unique_ptr<Dataset>> (*open)(const DatasetFormat& format,
                                           const std::string& directory, std::string_view split);
  /// The same for a layout of one's own data, in place of open.
  Result<std::unique_ptr<Dataset>> (*open_own)(const DatasetFormat& format, const std::string& path,
                                               std::string_view split,
                                               const OwnData& own) = nullptr;
};

[[nodiscard]] std::span<const DatasetFormat> dataset_formats() noexcept;

/// Opens a data set. `name` "" is "folder" for a directory and "table" for a file. `split`:
/// "train", "test", "dev" or "" for the default. `own` is for "folder" and "table".
/// INVALID_ARGUMENT (unknown name or split), NOT_FOUND (directory or files), DATASET_EMPTY,
/// DATASET_TRUNCATED, DATASET_BAD_FORMAT (also a label that is none of the model's).
[[nodiscard]] Result<std::unique_ptr<Dataset>> open_dataset(std::string_view name,
                                                            const std::string& directory,
                                                            std::string_view split,
                                                            const OwnData& own = {});

/// The openers, one a file dataset_<layout>.cpp.
[[nodiscard]] Result<std::unique_ptr<Dataset>> open_idx_dataset(const DatasetFormat& format,
                                                                const std::string& directory,
                                                                std::string_view split);
[[nodiscard]] Result<std::unique_ptr<Dataset>> open_cifar10(const DatasetFormat& format,
                                                            const std::string& directory,
                                                            std::string_view split);
[[nodiscard]] Result<std::unique_ptr<Dataset>> open_imdb(const DatasetFormat& format,
                                                         const std::string& directory,
                                                         std::string_view split);
[[nodiscard]] Result<std::unique_ptr<Dataset>> open_sst2(const DatasetFormat& format,
                                                         const std::string& directory,
                                                         std::string_view split);

[[nodiscard]] Result<std::unique_ptr<Dataset>> open_folder(const DatasetFormat& format,
                                                           const std::string& path,
                                                           std::string_view split,
                                                           const OwnData& own);
[[nodiscard]] Result<std::unique_ptr<Dataset>> open_table(const DatasetFormat& format,
                                                          const std::string& path,
                                                          std::string_view split,
                                                          const OwnData& own);

/// The first of `names` that exists as a file below one of `folders` of `directory` ("" is the
/// directory itself), or NOT_FOUND with everything that was looked for.
[[nodiscard]] Result<std::string> find_dataset_file(const DatasetFormat& format,
                                                    const std::string& directory,
                                                    std::span<const std::string_view> folders,
                                                    std::span<const std::string> names);
/// INVALID_ARGUMENT: this data set has no such split.
[[nodiscard]] Error no_such_split(const DatasetFormat& format, std::string_view split,
                                  std::string_view splits);

}  // namespace qama::io
