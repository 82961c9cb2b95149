// SST-2 as GLUE distributes it (Socher et al. 2013): train.tsv and dev.tsv with the header
// "sentence TAB label". The labels of GLUE's test split are not public, so that everybody's figures
// are those of dev: "test" opens dev, and the split's name says so.
#include "hal/base/quote.h"
#include "runtime/io/dataset.h"
#include "runtime/io/line_reader.h"
#include "runtime/io/text.h"

namespace qama::io {
namespace {

constexpr std::string_view kFolders[] = {"", "SST-2"};
constexpr std::string_view kHeader = "sentence\tlabel";

class Sst2 final : public Dataset {
 public:
  Sst2(DatasetInfo info, LineReader lines) : lines_(std::move(lines)) { info_ = std::move(info); }

  /// Checks the header, counts the samples and goes back to the first.
  Status count() {
    QAMA_ASSIGN_OR_RETURN(const bool header, lines_.next(line_));
    if (!header) {
      return Error{ErrorCode::dataset_empty, "file " + quote(lines_.path()) + " is empty"};
    }
    if (line_ != kHeader) {
      return lines_.error("is " + quote(line_) + ", expected the header " + quote(kHeader));
    }
    while (true) {
      QAMA_ASSIGN_OR_RETURN(const bool more, lines_.next(line_));
      if (!more) break;
      ++info_.samples;
    }
    if (info_.samples == 0) {
      return Error{ErrorCode::dataset_empty, "file " + quote(lines_.path()) + " holds no samples"};
    }
    QAMA_RETURN_IF_ERROR(lines_.rewind());
    return pass_over(1);
  }

 protected:
  Status read(Sample& out) override {
    QAMA_RETURN_IF_ERROR(pass_over(1));
    const std::size_t tab = line_.rfind('\t');
    if (tab == std::string::npos)
      return lines_.error("has no tab, expected a sentence and a label");
    const std::string_view label = std::string_view(line_).substr(tab + 1);
    if (label != "0" && label != "1") {
      return lines_.error("has label " + quote(label) + ", expected 0 or 1");
    }
    out.label = label[0] - '0';
    out.text = line_.substr(0, tab);
    return check_utf8(out.text, lines_.path());
  }

  Status pass_over(std::int64_t count) override {
    for (; count > 0; --count) {
      QAMA_ASSIGN_OR_RETURN(const bool more, lines_.next(line_));
      if (!more) return lines_.error("is missing: the file has changed");
    }
    return {};
  }

 private:
  LineReader lines_;
  std::string line_;
};

}  // namespace

Result<std::unique_ptr<Dataset>> open_sst2(const DatasetFormat& format,
                                           const std::string& directory, std::string_view split) {
  if (split == "test") split = "dev";
  if (split != "train" && split != "dev") return no_such_split(format, split, "'train' or 'dev'");
  const std::string name = std::string(split) + ".tsv";
  const std::string names[] = {name, name + ".gz"};
  QAMA_ASSIGN_OR_RETURN(const std::string path,
                        find_dataset_file(format, directory, kFolders, names));
  QAMA_ASSIGN_OR_RETURN(ByteStream stream, ByteStream::open(path));
  DatasetInfo info;
  info.name = format.name;
  info.split = split;
  info.kind = SampleKind::text;
  info.classes = {"negative", "positive"};
  auto out = std::make_unique<Sst2>(std::move(info), LineReader(std::move(stream)));
  QAMA_RETURN_IF_ERROR(out->count());
  return std::unique_ptr<Dataset>(std::move(out));
}

}  // namespace qama::io
