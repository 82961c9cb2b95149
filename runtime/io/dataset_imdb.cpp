// Large Movie Review data set (Maas et al. 2011): aclImdb/{train,test}/{neg,pos}/ID_RATING.txt, one
// review a file; or the same as one file imdb_{train,test}.tsv of lines "label TAB rating TAB id
// TAB text".
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "hal/base/quote.h"
#include "hal/platform/file.h"
#include "runtime/io/dataset.h"
#include "runtime/io/line_reader.h"
#include "runtime/io/text.h"

namespace qama::io {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLabels[] = {"neg", "pos"};
constexpr std::size_t kMaxReviews = std::size_t{1} << 24;

DatasetInfo imdb_info(const DatasetFormat& format, std::string_view split) {
  DatasetInfo info;
  info.name = format.name;
  info.split = split;
  info.kind = SampleKind::text;
  info.classes = {"negative", "positive"};
  return info;
}

/// The folder layout. Samples alternate between the classes in order of their number, so that the
/// first n of them are balanced.
class ImdbFolders final : public Dataset {
 public:
  struct Review {
    std::int64_t id = 0;
    std::int32_t label = 0;
    std::string path;
  };
  ImdbFolders(DatasetInfo info, std::vector<Review> reviews) : reviews_(std::move(reviews)) {
    info_ = std::move(info);
    info_.samples = static_cast<std::int64_t>(reviews_.size());
  }

 protected:
  Status read(Sample& out) override {
    const Review& review = reviews_[static_cast<std::size_t>(position())];
    QAMA_ASSIGN_OR_RETURN(
        const std::vector<std::uint8_t> bytes,
        platform::read_file(review.path, kMaxTextBytes, ErrorCode::dataset_bad_format));
    out.text.assign(bytes.begin(), bytes.end());
    QAMA_RETURN_IF_ERROR(check_utf8(out.text, review.path));
    out.label = review.label;
    return {};
  }
  Status pass_over(std::int64_t) override { return {}; }

 private:
  std::vector<Review> reviews_;
};

/// The table layout. Where it holds one class after the other, two readers alternate between them,
/// as the folder layout does; else samples come in the order of the lines.
class ImdbTable final : public Dataset {
 public:
  ImdbTable(DatasetInfo info, LineReader lines, LineReader second)
      : lines_{std::move(lines), std::move(second)} {
    info_ = std::move(info);
  }

  /// Counts the lines, looks at their labels and puts the readers where they begin.
  Status count() {
    bool sorted = true;
    std::int32_t before = 0;
    while (true) {
      QAMA_ASSIGN_OR_RETURN(const bool more, lines_[0].next(line_));
      if (!more) break;
      QAMA_ASSIGN_OR_RETURN(const std::int32_t label, label_of(lines_[0]));
      sorted = sorted && label >= before;
      before = label;
      ++of_class_[label];
      ++info_.samples;
    }
    if (info_.samples == 0) {
      return Error{ErrorCode::dataset_empty, "file " + quote(lines_[0].path()) + " is empty"};
    }
    alternate_ = sorted;
    if (alternate_) QAMA_RETURN_IF_ERROR(pass_lines(lines_[1], of_class_[0]));
    return lines_[0].rewind();
  }

 protected:
  Status read(Sample& out) override {
    LineReader& lines = reader_of(position());
    QAMA_RETURN_IF_ERROR(pass_lines(lines, 1));
    QAMA_ASSIGN_OR_RETURN(out.label, label_of(lines));
    std::string_view rest = line_;
    for (int tabs = 0; tabs < 3; ++tabs) {  // label, rating, id; later tabs belong to the text
      const std::size_t tab = rest.find('\t');
      if (tab == std::string_view::npos) {
        return lines.error("has fewer than four tab-separated fields");
      }
      rest.remove_prefix(tab + 1);
    }
    out.text = rest;
    return check_utf8(out.text, lines.path());
  }

  Status pass_over(std::int64_t count) override {
    for (std::int64_t i = 0; i < count; ++i) {
      QAMA_RETURN_IF_ERROR(pass_lines(reader_of(position() + i), 1));
    }
    return {};
  }

 private:
  /// The label of line_.
  Result<std::int32_t> label_of(const LineReader& lines) const {
    const std::string label = line_.substr(0, line_.find('\t'));
    if (label == "0" || label == "1") return label[0] - '0';
    return lines.error("has label " + quote(label) + ", expected 0 or 1");
  }

  Status pass_lines(LineReader& lines, std::int64_t count) {
    for (; count > 0; --count) {
      QAMA_ASSIGN_OR_RETURN(const bool more, lines.next(line_));
      if (!more) return lines.error("is the last one: the file has changed");
    }
    return {};
  }

  LineReader& reader_of(std::int64_t index) {
    if (!alternate_) return lines_[0];
    if (index < 2 * std::min(of_class_[0], of_class_[1])) return lines_[index % 2];
    return lines_[of_class_[0] > of_class_[1] ? 0 : 1];
  }

  LineReader lines_[2];
  std::int64_t of_class_[2] = {};
  bool alternate_ = false;
  std::string line_;
};

/// The reviews of one class, in order of the number in front of their file name.
Result<std::vector<ImdbFolders::Review>> list_reviews(const fs::path& folder, std::int32_t label) {
  std::vector<ImdbFolders::Review> out;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const fs::path& path = entries->path();
    if (path.extension() != ".txt") continue;
    const std::string name = path.filename().string();
    ImdbFolders::Review review;
    const auto [end, code] = std::from_chars(name.data(), name.data() + name.size(), review.id);
    if (code != std::errc() || review.id < 0 || *end != '_') {
      return Error{ErrorCode::dataset_bad_format,
                   "file " + quote(path.string()) + ": expected a name like 127_8.txt"};
    }
    if (out.size() == kMaxReviews) {
      return Error{ErrorCode::dataset_bad_format, "directory " + quote(folder.string()) +
                                                      " holds more than " +
                                                      std::to_string(kMaxReviews) + " reviews"};
    }
    review.label = label;
    review.path = path.string();
    out.push_back(std::move(review));
  }
  if (error) {
    return Error{ErrorCode::not_found, "data set 'imdb': directory " + quote(folder.string()) +
                                           " cannot be read: " + error.message()};
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return a.id < b.id || (a.id == b.id && a.path < b.path);
  });
  return out;
}

}  // namespace

Result<std::unique_ptr<Dataset>> open_imdb(const DatasetFormat& format,
                                           const std::string& directory, std::string_view split) {
  if (split != "train" && split != "test") {
    return no_such_split(format, split, "'train' or 'test'");
  }
  for (const std::string_view folder : {"", "aclImdb"}) {
    const fs::path root = fs::path(directory) / folder / split;
    std::error_code error;
    if (!fs::is_directory(root, error)) continue;
    std::vector<ImdbFolders::Review> classes[2];
    for (std::int32_t label = 0; label < 2; ++label) {
      QAMA_ASSIGN_OR_RETURN(classes[label], list_reviews(root / kLabels[label], label));
    }
    std::vector<ImdbFolders::Review> reviews;
    for (std::size_t i = 0; i < std::max(classes[0].size(), classes[1].size()); ++i) {
      for (auto& reviews_of_class : classes) {
        if (i < reviews_of_class.size()) reviews.push_back(std::move(reviews_of_class[i]));
      }
    }
    if (reviews.empty()) {
      return Error{ErrorCode::dataset_empty,
                   "data set 'imdb': no reviews in " + quote(root.string())};
    }
    return std::unique_ptr<Dataset>(
        std::make_unique<ImdbFolders>(imdb_info(format, split), std::move(reviews)));
  }
  constexpr std::string_view kFolders[] = {""};
  const std::string table = "imdb_" + std::string(split) + ".tsv";
  const std::string names[] = {table, table + ".gz"};
  auto found = find_dataset_file(format, directory, kFolders, names);
  if (!found.ok()) {
    return Error{ErrorCode::not_found, "data set 'imdb': neither a directory 'aclImdb/" +
                                           std::string(split) + "' nor a file '" + table + "' in " +
                                           quote(directory)};
  }
  QAMA_ASSIGN_OR_RETURN(ByteStream first, ByteStream::open(*found));
  QAMA_ASSIGN_OR_RETURN(ByteStream second, ByteStream::open(*found));
  auto out = std::make_unique<ImdbTable>(imdb_info(format, split), LineReader(std::move(first)),
                                         LineReader(std::move(second)));
  QAMA_RETURN_IF_ERROR(out->count());
  return std::unique_ptr<Dataset>(std::move(out));
}

}  // namespace qama::io
