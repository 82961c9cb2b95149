#include "runtime/io/dataset.h"

#include <filesystem>
#include <system_error>

#include "hal/base/quote.h"

namespace qama::io {
namespace {

namespace fs = std::filesystem;

constexpr DatasetFormat kFormats[] = {
    {"mnist", "{train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz]", "test", open_idx_dataset},
    {"fashion-mnist", "{train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz]", "test",
     open_idx_dataset},
    {"cifar10", "cifar-10-batches-bin/{data_batch_1..5,test_batch}.bin", "test", open_cifar10},
    {"imdb", "aclImdb/{train,test}/{neg,pos}/*.txt, or imdb_{train,test}.tsv[.gz]", "test",
     open_imdb},
    {"sst2", "SST-2/{train,dev}.tsv[.gz]", "dev", open_sst2},
    {"folder", "[{train,test,dev}/]LABEL/FILE, images, .txt files or .npy files of features", "",
     nullptr, open_folder},
    {"table",
     "a .csv or .tsv file, or {train,test,dev}.{csv,tsv} below DIR, with the columns file or text, "
     "and label",
     "", nullptr, open_table},
};

}  // namespace

Status Dataset::next(Sample& out) {
  if (position_ >= info_.samples) {
    return Error{ErrorCode::index_out_of_range, "data set '" + info_.name + "', split '" +
                                                    info_.split + "' has " +
                                                    std::to_string(info_.samples) + " samples"};
  }
  out.index = position_;
  Status status = read(out);
  if (status.ok() || info_.own) ++position_;
  return status;
}

Status Dataset::skip(std::int64_t count) {
  if (count < 0 || count > info_.samples - position_) {
    return Error{ErrorCode::index_out_of_range, "cannot pass over " + std::to_string(count) +
                                                    " samples at " + std::to_string(position_) +
                                                    " of " + std::to_string(info_.samples)};
  }
  if (count == 0) return {};
  QAMA_RETURN_IF_ERROR(pass_over(count));
  position_ += count;
  return {};
}

Status Dataset::check_label(std::int64_t label) const {
  const auto classes = static_cast<std::int64_t>(info_.classes.size());
  if (label >= 0 && label < classes) return {};
  return Error{ErrorCode::dataset_bad_format,
               "data set '" + info_.name + "', sample " + std::to_string(position_) + ": label " +
                   std::to_string(label) + ", expected 0 to " + std::to_string(classes - 1)};
}

std::span<const DatasetFormat> dataset_formats() noexcept {
  return kFormats;
}

Result<std::unique_ptr<Dataset>> open_dataset(std::string_view name, const std::string& directory,
                                              std::string_view split, const OwnData& own) {
  std::error_code error;
  if (name.empty()) name = fs::is_directory(directory, error) ? "folder" : "table";
  std::string names;
  for (const DatasetFormat& format : kFormats) {
    if (format.name == name) {
      if (format.open_own != nullptr) return format.open_own(format, directory, split, own);
      if (split.empty()) split = format.default_split;
      if (!fs::is_directory(directory, error)) {
        return Error{ErrorCode::not_found, "data set '" + std::string(name) +
                                               "': " + quote(directory) + " is not a directory"};
      }
      return format.open(format, directory, split);
    }
    names += (names.empty() ? "" : ", ") + std::string(format.name);
  }
  return Error{ErrorCode::invalid_argument,
               "data set " + quote(name) + " is not known, expected one of " + names};
}

Result<std::string> find_dataset_file(const DatasetFormat& format, const std::string& directory,
                                      std::span<const std::string_view> folders,
                                      std::span<const std::string> names) {
  std::string wanted;
  for (const std::string& name : names) {
    for (const std::string_view folder : folders) {
      const fs::path path = fs::path(directory) / folder / name;
      std::error_code error;
      if (fs::exists(path, error)) return path.string();
    }
    wanted += (wanted.empty() ? "'" : " or '") + name + "'";
  }
  return Error{ErrorCode::not_found, "data set '" + std::string(format.name) + "': no file " +
                                         wanted + " in " + quote(directory)};
}

Error no_such_split(const DatasetFormat& format, std::string_view split, std::string_view splits) {
  return Error{ErrorCode::invalid_argument, "data set '" + std::string(format.name) +
                                                "' has no split " + quote(split) + ", expected " +
                                                std::string(splits)};
}

}  // namespace qama::io
