// Labelled data of anybody's own: a folder with a folder for every class, or a table of files (or
// texts) and labels. Images are handed on as their files, features by their names: the caller makes
// them fit its model.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <system_error>
#include <tuple>

#include "hal/base/quote.h"
#include "hal/platform/file.h"
#include "hal/platform/sha256.h"
#include "runtime/io/dataset.h"
#include "runtime/io/table_reader.h"
#include "runtime/io/text.h"

namespace qama::io {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFiles = std::size_t{1} << 24;
constexpr std::size_t kLabelsNamed = 20;

/// Letters and digits of a label in lower case: "T-shirt/top" may be a folder "t-shirt_top".
std::string plain(std::string_view label) {
  std::string out;
  for (const char c : label) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) {
      out += c;
    } else if (std::isalnum(byte) != 0) {
      out += static_cast<char>(std::tolower(byte));
    }
  }
  return out;
}

/// The class of a label, or an error about `where` with what was expected.
Result<std::int32_t> class_of(const OwnData& own, const std::string& label,
                              const std::string& where) {
  const auto at = [&](auto found) { return static_cast<std::int32_t>(found - own.labels.begin()); };
  const auto same = std::find(own.labels.begin(), own.labels.end(), label);
  if (same != own.labels.end()) return at(same);
  const auto like = [&](const std::string& l) {
    return !plain(l).empty() && plain(l) == plain(label);
  };
  if (std::count_if(own.labels.begin(), own.labels.end(), like) == 1) {
    return at(std::find_if(own.labels.begin(), own.labels.end(), like));
  }
  std::string expected;
  for (std::size_t i = 0; i < std::min(own.labels.size(), kLabelsNamed); ++i) {
    expected += (i > 0 ? ", " : "") + quote(own.labels[i]);
  }
  if (own.labels.size() > kLabelsNamed) expected += ", ...";
  return Error{ErrorCode::dataset_bad_format,
               where + ": label " + quote(label) + ", expected one of the model's: " + expected};
}

DatasetInfo own_info(const DatasetFormat& format, std::string_view split, const OwnData& own) {
  DatasetInfo info;
  info.name = format.name;
  info.split = split.empty() ? "all" : split;
  info.kind = own.kind;
  info.classes = own.labels;
  info.own = true;
  return info;
}

/// One more sample in the checksum of a set.
void add_to_sum(DatasetInfo& info, std::int32_t label, const std::string& name) {
  info.sha256 = platform::sha256_hex(info.sha256 + std::to_string(label) + "\t" + name);
}

/// The end of a sample's file in a folder; empty: any.
std::string_view end_of(SampleKind kind) {
  if (kind == SampleKind::image) return "";
  return kind == SampleKind::text ? ".txt" : ".npy";
}

/// Reads the file of a sample.
Status read_sample(const std::string& path, SampleKind kind, Sample& out) {
  out.name = path;
  if (kind == SampleKind::features) return {};
  if (kind == SampleKind::image) {
    QAMA_ASSIGN_OR_RETURN(
        out.file, platform::read_file(path, kMaxImageFileBytes, ErrorCode::image_too_large));
    return {};
  }
  QAMA_ASSIGN_OR_RETURN(const std::vector<std::uint8_t> bytes,
                        platform::read_file(path, kMaxTextBytes, ErrorCode::text_bad_encoding));
  out.text.assign(bytes.begin(), bytes.end());
  return check_utf8(out.text, path);
}

// ---- a folder for every class -------------------------------------------------------------------

class Folders final : public Dataset {
 public:
  struct File {
    std::size_t rank = 0;  ///< among the files of its class
    std::int32_t label = 0;
    std::string path;
  };
  Folders(DatasetInfo info, std::vector<File> files) : files_(std::move(files)) {
    info_ = std::move(info);
    info_.samples = static_cast<std::int64_t>(files_.size());
    for (const File& file : files_)
      add_to_sum(info_, file.label, fs::path(file.path).filename().string());
  }

 protected:
  Status read(Sample& out) override {
    const File& file = files_[static_cast<std::size_t>(position())];
    out.label = file.label;
    return read_sample(file.path, info_.kind, out);
  }
  Status pass_over(std::int64_t) override { return {}; }

 private:
  std::vector<File> files_;
};

/// What a directory holds, in order of the names; what begins with a dot is not looked at.
Result<std::vector<fs::directory_entry>> entries_of(const fs::path& directory) {
  std::vector<fs::directory_entry> out;
  std::error_code error;
  fs::directory_iterator entries(directory, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    if (entries->path().filename().string().starts_with('.')) continue;
    if (out.size() == kMaxFiles) {
      return Error{ErrorCode::dataset_bad_format, "directory " + quote(directory.string()) +
                                                      " holds more than " +
                                                      std::to_string(kMaxFiles) + " files"};
    }
    out.push_back(*entries);
  }
  if (error) {
    return Error{ErrorCode::io_error,
                 "directory " + quote(directory.string()) + " cannot be read: " + error.message()};
  }
  std::sort(out.begin(), out.end(),
            [](const auto& a, const auto& b) { return a.path() < b.path(); });
  return out;
}

bool holds_files(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

// ---- a table ------------------------------------------------------------------------------------

class Table final : public Dataset {
 public:
  Table(DatasetInfo info, TableReader rows, const OwnData& own)
      : own_(own), rows_(std::move(rows)) {
    info_ = std::move(info);
  }

  /// Finds the columns, checks every row and goes back to the first.
  Status count() {
    QAMA_ASSIGN_OR_RETURN(label_, rows_.column(own_.label_column));
    const bool text = info_.kind == SampleKind::text;
    std::string column = own_.column;
    if (column.empty()) {
      column = !text || (!rows_.find("text") && rows_.find("file")) ? "file" : "text";
    }
    QAMA_ASSIGN_OR_RETURN(sample_, rows_.column(column));
    files_ = !text || column == "file";
    while (true) {
      QAMA_ASSIGN_OR_RETURN(const bool any, rows_.next(row_));
      if (!any) break;
      QAMA_ASSIGN_OR_RETURN(const std::int32_t label, label_of_row());
      add_to_sum(info_, label, row_[sample_]);
      ++info_.samples;
    }
    if (info_.samples == 0) {
      return Error{ErrorCode::dataset_empty, "file " + quote(rows_.path()) + " has no rows"};
    }
    return rows_.rewind();
  }

 protected:
  Status read(Sample& out) override {
    QAMA_RETURN_IF_ERROR(pass_over(1));
    QAMA_ASSIGN_OR_RETURN(out.label, label_of_row());
    if (files_) {
      // A path is relative to the table.
      return read_sample((fs::path(rows_.path()).parent_path() / row_[sample_]).string(),
                         info_.kind, out);
    }
    out.name = rows_.path() + ":" + std::to_string(rows_.line());
    out.text = row_[sample_];
    return {};
  }

  Status pass_over(std::int64_t count) override {
    for (; count > 0; --count) {
      QAMA_ASSIGN_OR_RETURN(const bool any, rows_.next(row_));
      if (!any) return Error{ErrorCode::io_error, "file " + quote(rows_.path()) + " has changed"};
    }
    return {};
  }

 private:
  Result<std::int32_t> label_of_row() const {
    return class_of(own_, row_[label_],
                    "file " + quote(rows_.path()) + ", line " + std::to_string(rows_.line()) +
                        ", column " + quote(own_.label_column));
  }

  OwnData own_;
  TableReader rows_;
  std::size_t label_ = 0, sample_ = 0;  ///< columns
  bool files_ = false;                  ///< the sample's column names files
  std::vector<std::string> row_;
};

}  // namespace

Result<std::unique_ptr<Dataset>> open_folder(const DatasetFormat& format, const std::string& path,
                                             std::string_view split, const OwnData& own) {
  fs::path root = path;
  if (!holds_files(root)) {
    return Error{ErrorCode::not_found, "data set 'folder': " + quote(path) + " is not a directory"};
  }
  if (split.empty() && holds_files(root / "test") &&
      std::find(own.labels.begin(), own.labels.end(), "test") == own.labels.end()) {
    split = "test";
  }
  if (!split.empty()) root /= split;
  if (!holds_files(root)) {
    return Error{ErrorCode::invalid_argument,
                 "data set 'folder': " + quote(path) + " has no directory " + quote(split)};
  }
  DatasetInfo info = own_info(format, split, own);
  std::vector<Folders::File> files;
  std::vector<std::size_t> of_class(own.labels.size());
  QAMA_ASSIGN_OR_RETURN(const auto folders, entries_of(root));
  for (const fs::directory_entry& folder : folders) {
    if (!holds_files(folder.path())) {
      info.left_out.push_back(folder.path().string());
      continue;
    }
    QAMA_ASSIGN_OR_RETURN(const std::int32_t label,
                          class_of(own, folder.path().filename().string(),
                                   "directory " + quote(folder.path().string())));
    QAMA_ASSIGN_OR_RETURN(const auto entries, entries_of(folder.path()));
    for (const fs::directory_entry& entry : entries) {
      const fs::path& file = entry.path();
      if (holds_files(file) || !file.string().ends_with(end_of(own.kind))) {
        info.left_out.push_back(file.string());
      } else {
        files.push_back({of_class[static_cast<std::size_t>(label)]++, label, file.string()});
      }
    }
  }
  if (files.empty()) {
    return Error{ErrorCode::dataset_empty,
                 "data set 'folder': no file LABEL/NAME" + std::string(end_of(own.kind)) + " in " +
                     quote(root.string()) + ", where LABEL is a label of the model"};
  }
  // The classes take turns, so that the first n samples are balanced.
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) {
    return std::tie(a.rank, a.label) < std::tie(b.rank, b.label);
  });
  return std::unique_ptr<Dataset>(std::make_unique<Folders>(std::move(info), std::move(files)));
}

Result<std::unique_ptr<Dataset>> open_table(const DatasetFormat& format, const std::string& path,
                                            std::string_view split, const OwnData& own) {
  std::string file = path;
  if (holds_files(path)) {
    if (split.empty()) split = "test";
    std::vector<std::string> names;
    for (const char* end : {".csv", ".tsv", ".csv.gz", ".tsv.gz"}) {
      names.push_back(std::string(split) + end);
    }
    constexpr std::string_view kFolders[] = {""};
    QAMA_ASSIGN_OR_RETURN(file, find_dataset_file(format, path, kFolders, names));
  } else if (!split.empty()) {
    return Error{ErrorCode::invalid_argument, "data set 'table': " + quote(path) +
                                                  " is a file and has no split " + quote(split)};
  }
  QAMA_ASSIGN_OR_RETURN(TableReader rows, TableReader::open(file));
  auto out = std::make_unique<Table>(own_info(format, split, own), std::move(rows), own);
  QAMA_RETURN_IF_ERROR(out->count());
  return std::unique_ptr<Dataset>(std::move(out));
}

}  // namespace qama::io
