// Fuzz target: every data set reader, official layouts and labelled data of anybody's own. The
// first two bytes choose layout, split and kind; the rest are the layout's files. Samples that come
// out must keep the promises of dataset.h.
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "runtime/io/dataset.h"
#include "runtime/io/text.h"
#include "tests/fuzz/fuzz_files.h"

namespace {

using namespace qama::io;
using Content = std::span<const std::uint8_t>;

constexpr std::size_t kMostFiles = 4;

struct Layout {
  const char* dataset;
  const char* split;
  std::vector<std::string> files;
  std::size_t record = 1;  ///< a file is filled up to a multiple of it
};

const std::vector<Layout>& layouts() {
  static const std::vector<Layout> out = {
      {"mnist", "test", {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}},
      {"fashion-mnist", "train", {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"}},
      {"cifar10", "test", {"test_batch.bin"}, 3073},
      {"cifar10", "train", {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin"}},
      {"imdb", "test", {"imdb_test.tsv"}},
      {"imdb", "train", {"aclImdb/train/neg/0_1.txt", "aclImdb/train/pos/0_10.txt"}},
      {"sst2", "dev", {"SST-2/dev.tsv"}},
      {"folder", "", {"A/0.png", "B/1.txt", "B/2.pgm", "C/3.gz"}},
      {"folder", "test", {"test/A/0.txt", "test/B/1.txt"}},
      {"table", "", {"table.csv", "a.png"}},
      {"table", "dev", {"dev.tsv", "a.png"}},
  };
  return out;
}

void check(const Dataset& dataset, const Sample& sample) {
  const DatasetInfo& info = dataset.info();
  if (sample.label < 0 || static_cast<std::size_t>(sample.label) >= info.classes.size()) abort();
  if (info.kind == SampleKind::text) {
    if (sample.text.size() > kMaxTextBytes) abort();
    if (info.own && !check_utf8(sample.text, "fuzz").ok()) abort();
    return;
  }
  if (info.own) return;
  const auto pixels =
      static_cast<std::size_t>(sample.image.width) * sample.image.height * sample.image.channels;
  if (sample.image.pixels.size() != pixels || pixels == 0) abort();
}

void read(const std::string& name, const std::string& path, const std::string& split,
          const OwnData& own) {
  auto dataset = open_dataset(name, path, split, own);
  if (!dataset.ok()) {
    if (dataset.error().message.empty()) abort();
    return;
  }
  Sample sample;
  for (int i = 0; i < 12; ++i) {
    const auto status = i == 6 ? (*dataset)->skip(2) : (*dataset)->next(sample);
    if (!status.ok() && status.error().message.empty()) abort();
    if (!status.ok() && status.error().code == qama::ErrorCode::index_out_of_range) return;
    if (!status.ok() && !(*dataset)->info().own) return;
    if (status.ok() && i != 6) check(**dataset, sample);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  static const std::vector<qama::fuzz::Folder> folders(layouts().size());
  const std::size_t which = data[0] % layouts().size();
  const Layout& layout = layouts()[which];
  const auto parts = qama::fuzz::parts_of({data + 2, size - 2}, kMostFiles);
  for (std::size_t i = 0; i < layout.files.size(); ++i) {
    if (i >= parts.size()) {
      folders[which].remove(layout.files[i]);
      continue;
    }
    std::vector<std::uint8_t> content(parts[i].begin(), parts[i].end());
    const std::size_t behind = content.size() % layout.record;
    if (behind != 0) content.resize(content.size() + layout.record - behind);
    folders[which].write(layout.files[i], content);
  }
  OwnData own;
  own.kind = (data[1] & 16U) != 0  ? SampleKind::features
             : (data[1] & 1U) != 0 ? SampleKind::text
                                   : SampleKind::image;
  own.labels = {"A", "B", "C"};
  if ((data[1] & 2U) != 0) own.column = "text";
  const bool whole = (data[1] & 4U) != 0;  // the table itself, not the folder
  const bool official = std::string_view(layout.dataset) != "table";
  read(layout.dataset,
       official || !whole ? folders[which].path() : folders[which].path() + "/" + layout.files[0],
       (data[1] & 8U) != 0 ? "" : layout.split, own);
  return 0;
}
