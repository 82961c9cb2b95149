#include "runtime/cli/data_arguments.h"

#include <vector>

#include "hal/base/quote.h"
#include "runtime/api/sample.h"

namespace qama::cli {
namespace {

Status check_kind(const runtime::Model& model, const std::string& model_path,
                  const io::DatasetInfo& info, const Console& console) {
  const weights::Architecture& a = model.architecture();
  const std::string set = "data set '" + info.name + "'";
  if (info.kind == io::SampleKind::text) {
    if (!a.is_text()) return wrong_kind(model_path, model, "the texts of " + set);
  } else if (info.own) {
    return {};  // its labels are the model's, and its images are made to fit
  } else if (!a.is_image() || a.image_height != info.height || a.image_width != info.width ||
             a.image_channels != info.channels) {
    return wrong_kind(model_path, model,
                      "the images of " + set + ", " + std::to_string(info.height) + " x " +
                          std::to_string(info.width) + " x " + std::to_string(info.channels));
  }
  if (static_cast<std::size_t>(a.classes) != info.classes.size()) {
    return Error{ErrorCode::model_wrong_kind, "model " + quote(model_path) + " has " +
                                                  std::to_string(a.classes) + " classes, " + set +
                                                  " " + std::to_string(info.classes.size())};
  }
  const auto lowered = [](std::string text) {
    for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    return text;
  };
  for (std::int32_t c = 0; c < a.classes; ++c) {
    const std::string& expected = info.classes[static_cast<std::size_t>(c)];
    if (lowered(std::string(model.label(c))) != lowered(expected)) {
      console.log("warning: class " + std::to_string(c) + " is " + quote(model.label(c)) +
                  " in the model and " + quote(expected) + " in " + set);
      break;
    }
  }
  return {};
}

}  // namespace

void DataArguments::declare(CLI::App& app, const std::string& what, bool required) {
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
  app.add_option("--data", path, layouts)->required(required)->type_name("DIR");
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

Result<std::unique_ptr<io::Dataset>> DataArguments::open(const runtime::Model& model,
                                                         const std::string& model_path,
                                                         const Console& console) const {
  io::OwnData own;
  const weights::Architecture& a = model.architecture();
  own.kind = a.is_text()       ? io::SampleKind::text
             : a.is_features() ? io::SampleKind::features
                               : io::SampleKind::image;
  for (std::int32_t c = 0; c < model.classes(); ++c) own.labels.emplace_back(model.label(c));
  own.column = column;
  own.label_column = label_column;
  QAMA_ASSIGN_OR_RETURN(auto set, io::open_dataset(dataset, path, split, own));
  QAMA_RETURN_IF_ERROR(check_kind(model, model_path, set->info(), console));
  return set;
}

}  // namespace qama::cli
