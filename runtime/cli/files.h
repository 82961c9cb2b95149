// Files that the program writes. hal/platform/output_file.h writes them; this says which names are
// refused before the work begins.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "hal/base/result.h"
#include "hal/platform/output_file.h"

namespace qama::cli {

using platform::write_file;

/// An option that names a file to write; an empty path is no output.
struct Output {
  const char* option;  ///< "--html"
  const std::string& path;
};

/// USAGE where an output is one of the inputs, lies in an input that is a directory, or is another
/// output, too; otherwise what write_file() would say of a file that cannot be made. An input of no
/// name is ignored.
Status check_outputs(std::initializer_list<Output> outputs, const std::vector<std::string>& inputs);

}  // namespace qama::cli
