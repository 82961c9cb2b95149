// The options of commands that read labelled data: which data set, where it lies, and for anybody's
// own tables, which columns.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "hal/base/result.h"
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

  /// `what` begins the sentences: "Evaluate on".
  void declare(CLI::App& app, const std::string& what);
  [[nodiscard]] Result<std::unique_ptr<io::Dataset>> open(const runtime::Model& model) const;
};

}  // namespace qama::cli
