// CIFAR-10, binary version (A. Krizhevsky 2009): files of 3073-byte records, a label and then three
// planes of 32 x 32: red, green, blue.
#include <algorithm>
#include <array>

#include "hal/base/quote.h"
#include "hal/platform/file.h"
#include "runtime/io/byte_stream.h"
#include "runtime/io/dataset.h"

namespace qama::io {
namespace {

constexpr std::int32_t kSide = 32;
constexpr std::size_t kPlane = kSide * kSide;
constexpr std::size_t kRecord = 1 + 3 * kPlane;
constexpr std::string_view kFolders[] = {"", "cifar-10-batches-bin"};

class Cifar10 final : public Dataset {
 public:
  struct File {
    std::string path;
    std::int64_t samples = 0;
  };
  Cifar10(DatasetInfo info, std::vector<File> files) : files_(std::move(files)) {
    info_ = std::move(info);
  }

 protected:
  Status read(Sample& out) override {
    QAMA_RETURN_IF_ERROR(open_file_with_samples());
    std::array<std::uint8_t, kRecord> record;
    QAMA_RETURN_IF_ERROR(stream_.front().read_exactly(record, "an image"));
    --left_;
    out.label = record[0];
    QAMA_RETURN_IF_ERROR(check_label(out.label));
    out.image.height = kSide;
    out.image.width = kSide;
    out.image.channels = 3;
    out.image.pixels.resize(3 * kPlane);
    for (std::size_t p = 0; p < kPlane; ++p) {
      for (std::size_t c = 0; c < 3; ++c) out.image.pixels[3 * p + c] = record[1 + c * kPlane + p];
    }
    return {};
  }

  Status pass_over(std::int64_t count) override {
    while (count > 0) {
      QAMA_RETURN_IF_ERROR(open_file_with_samples());
      const std::int64_t here = std::min(count, left_);
      QAMA_RETURN_IF_ERROR(
          stream_.front().skip(static_cast<std::uint64_t>(here) * kRecord, "its images"));
      left_ -= here;
      count -= here;
    }
    return {};
  }

 private:
  Status open_file_with_samples() {
    while (left_ == 0) {
      QAMA_ASSIGN_OR_RETURN(ByteStream stream, ByteStream::open(files_[next_file_].path));
      stream_.clear();
      stream_.push_back(std::move(stream));
      left_ = files_[next_file_].samples;
      ++next_file_;
    }
    return {};
  }

  std::vector<File> files_;
  std::size_t next_file_ = 0;
  std::vector<ByteStream> stream_;  ///< the open file, if there is one yet
  std::int64_t left_ = 0;           ///< samples left in it
};

}  // namespace

Result<std::unique_ptr<Dataset>> open_cifar10(const DatasetFormat& format,
                                              const std::string& directory,
                                              std::string_view split) {
  std::vector<std::string> names;
  if (split == "test") {
    names = {"test_batch.bin"};
  } else if (split == "train") {
    for (const char* i : {"1", "2", "3", "4", "5"}) {
      names.push_back(std::string("data_batch_") + i + ".bin");
    }
  } else {
    return no_such_split(format, split, "'train' or 'test'");
  }
  DatasetInfo info;
  info.name = format.name;
  info.split = split;
  info.kind = SampleKind::image;
  info.height = kSide;
  info.width = kSide;
  info.channels = 3;
  info.classes = {"airplane", "automobile", "bird",  "cat",  "deer",
                  "dog",      "frog",       "horse", "ship", "truck"};
  std::vector<Cifar10::File> files;
  for (const std::string& name : names) {
    QAMA_ASSIGN_OR_RETURN(const std::string path,
                          find_dataset_file(format, directory, kFolders, {&name, 1}));
    QAMA_ASSIGN_OR_RETURN(const std::uint64_t bytes, platform::file_bytes(path));
    if (bytes == 0) return Error{ErrorCode::dataset_empty, "file " + quote(path) + " is empty"};
    if (bytes % kRecord != 0) {
      return Error{ErrorCode::dataset_truncated,
                   "file " + quote(path) + " has " + std::to_string(bytes) +
                       " bytes, expected a multiple of " + std::to_string(kRecord)};
    }
    files.push_back({path, static_cast<std::int64_t>(bytes / kRecord)});
    info.samples += files.back().samples;
  }
  return std::unique_ptr<Dataset>(std::make_unique<Cifar10>(std::move(info), std::move(files)));
}

}  // namespace qama::io
