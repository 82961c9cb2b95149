#include "runtime/cli/data_arguments.h"

#include <vector>

namespace qama::cli {

void DataArguments::declare(CLI::App& app, const std::string& what) {
  std::vector<std::string> names;
  std::string layouts = "Read the data set from this directory, in its official layout:";
  for (const io::DatasetFormat& format : io::dataset_formats()) {
    names.emplace_back(format.name);
    if (format.name == "folder") layouts += "\nor your own labelled data:";
    layouts += "\n" + std::string(format.name) + ": " + std::string(format.layout);
  }
  app.add_option("--dataset", dataset,
                 what +
                     " this data set. The default is your own data: folder, or table where "
                     "--data is a file.")
      ->type_name("NAME")
      ->check(CLI::IsMember(names));
  app.add_option("--data", path, layouts)->required()->type_name("DIR");
  app.add_option("--split", split,
                 what +
                     " this split; the labels of sst2's test split are not public, and its dev "
                     "split stands for it. Your own data has one if it has a directory (or "
                     "table) of that name.")
      ->type_name("NAME")
      ->check(CLI::IsMember({"train", "test", "dev"}))
      ->default_str("test");
  app.add_option("--column", column,
                 "Of your own table, take this column: of texts, or of files of images or "
                 "features, whose paths are relative to the table.")
      ->type_name("NAME")
      ->default_str("text or file");
  app.add_option("--label-column", label_column,
                 "Of your own table, take the labels from this column; they are the model's, as "
                 "`qama info` gives them.")
      ->type_name("NAME")
      ->capture_default_str();
}

Result<std::unique_ptr<io::Dataset>> DataArguments::open(const runtime::Model& model) const {
  io::OwnData own;
  const weights::Architecture& a = model.architecture();
  own.kind = a.is_text()       ? io::SampleKind::text
             : a.is_features() ? io::SampleKind::features
                               : io::SampleKind::image;
  for (std::int32_t c = 0; c < model.classes(); ++c) own.labels.emplace_back(model.label(c));
  own.column = column;
  own.label_column = label_column;
  return io::open_dataset(dataset, path, split, own);
}

}  // namespace qama::cli
