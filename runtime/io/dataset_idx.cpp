// MNIST and Fashion-MNIST: a file of images and a file of labels, both IDX, plain or gzip.
#include <optional>

#include "hal/base/quote.h"
#include "runtime/io/dataset.h"
#include "runtime/io/idx_reader.h"

namespace qama::io {
namespace {

constexpr std::string_view kFolders[] = {"", "MNIST/raw", "FashionMNIST/raw", "raw"};

const std::vector<std::string>& class_names(std::string_view dataset) {
  static const std::vector<std::string> kDigits = {"0", "1", "2", "3", "4",
                                                   "5", "6", "7", "8", "9"};
  static const std::vector<std::string> kFashion = {
      "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
      "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
  return dataset == "mnist" ? kDigits : kFashion;
}

class IdxDataset final : public Dataset {
 public:
  IdxDataset(DatasetInfo info, IdxReader images, IdxReader labels)
      : images_(std::move(images)), labels_(std::move(labels)) {
    info_ = std::move(info);
  }

 protected:
  Status read(Sample& out) override {
    out.image.height = info_.height;
    out.image.width = info_.width;
    out.image.channels = 1;
    out.image.pixels.resize(static_cast<std::size_t>(images_.record_bytes()));
    QAMA_RETURN_IF_ERROR(images_.next(out.image.pixels));
    std::uint8_t label[1];
    QAMA_RETURN_IF_ERROR(labels_.next(label));
    out.label = label[0];
    return check_label(out.label);
  }

  Status pass_over(std::int64_t count) override {
    // A reader can stand behind its last record, but cannot seek there.
    if (position() + count == info_.samples) return {};
    QAMA_RETURN_IF_ERROR(images_.seek(images_.position() + count));
    return labels_.seek(labels_.position() + count);
  }

 private:
  IdxReader images_;
  IdxReader labels_;
};

}  // namespace

Result<std::unique_ptr<Dataset>> open_idx_dataset(const DatasetFormat& format,
                                                  const std::string& directory,
                                                  std::string_view split) {
  std::string prefix;
  if (split == "test") {
    prefix = "t10k";
  } else if (split == "train") {
    prefix = "train";
  } else {
    return no_such_split(format, split, "'train' or 'test'");
  }
  const std::string images_name = prefix + "-images-idx3-ubyte";
  const std::string labels_name = prefix + "-labels-idx1-ubyte";
  const std::string image_names[] = {images_name, images_name + ".gz"};
  const std::string label_names[] = {labels_name, labels_name + ".gz"};
  QAMA_ASSIGN_OR_RETURN(const std::string images_path,
                        find_dataset_file(format, directory, kFolders, image_names));
  QAMA_ASSIGN_OR_RETURN(const std::string labels_path,
                        find_dataset_file(format, directory, kFolders, label_names));
  QAMA_ASSIGN_OR_RETURN(IdxReader images, IdxReader::open(images_path, 3));
  QAMA_ASSIGN_OR_RETURN(IdxReader labels, IdxReader::open(labels_path, 1));
  if (images.records() != labels.records()) {
    return Error{ErrorCode::dataset_bad_format,
                 "data set '" + std::string(format.name) + "': " + quote(labels_path) + " has " +
                     std::to_string(labels.records()) + " labels, expected " +
                     std::to_string(images.records()) + ", one an image"};
  }
  if (images.record_shape()[0] > kMaxImageSide || images.record_shape()[1] > kMaxImageSide) {
    return Error{ErrorCode::image_too_large, "IDX file " + quote(images_path) +
                                                 ": an image has a side of more than " +
                                                 std::to_string(kMaxImageSide)};
  }
  DatasetInfo info;
  info.name = format.name;
  info.split = split;
  info.kind = SampleKind::image;
  info.samples = images.records();
  info.height = images.record_shape()[0];
  info.width = images.record_shape()[1];
  info.channels = 1;
  info.classes = class_names(format.name);
  return std::unique_ptr<Dataset>(
      std::make_unique<IdxDataset>(std::move(info), std::move(images), std::move(labels)));
}

}  // namespace qama::io
