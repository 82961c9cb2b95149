// The options of commands that read labelled data: which data set, where it lies, and for anybody's
// own tables, which columns.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "hal/base/result.h"
#include "runtime/cli/console.h"
#include "runtime/engine/model.h"
#include "runtime/io/dataset.h"

namespace qama::cli {

/// --dataset, --data, --split, --column, --label-column.
struct DataArguments {
  std::string dataset;  ///< empty: anybody's own
  std::string path;
  std::string split;
  std::string column;
  std::string label_column = "label";

  /// `what` begins the sentences: "Evaluate on". Without `required` the command runs without
  /// --data.
  void declare(CLI::App& app, const std::string& what, bool required = true);
  /// Of open_dataset(), or MODEL_WRONG_KIND where the model cannot say anything about the samples.
  /// Logs classes of other names.
  [[nodiscard]] Result<std::unique_ptr<io::Dataset>> open(const runtime::Model& model,
                                                          const std::string& model_path,
                                                          const Console& console) const;
};

}  // namespace qama::cli
