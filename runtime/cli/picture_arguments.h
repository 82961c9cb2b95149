// The options of commands that read pictures: how a picture becomes what the model sees.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "runtime/api/sample.h"

namespace qama::cli {

/// --fit and --invert.
struct PictureArguments {
  std::string fit;     ///< empty: as the model's file says
  std::string invert;  ///< empty: see runtime::PictureOptions

  void declare(CLI::App& app);
  [[nodiscard]] runtime::PictureOptions options() const;
};

}  // namespace qama::cli
