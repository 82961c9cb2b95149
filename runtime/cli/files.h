// Files that the program writes. hal/platform/output_file.h writes them; this says which names are
// refused before the work begins.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "hal/base/result.h"
#include "hal/platform/output_file.h"

namespace qama::cli {

using platform::write_file;

class CommandApp;

/// Declares an option that names a file to write. The program calls check_outputs() before the
/// command runs: no command does it itself.
CLI::Option* declare_output(CLI::App& app, const char* name, std::string& path, const char* help);

/// USAGE where a file to write is one that the command line names for reading, lies in a directory
/// that it names, or is a second file to write; otherwise what write_file() would say of a file
/// that cannot be made. Files are named by the options and arguments whose value is a file, a
/// directory, a model or a device; a device's URI names those behind its colon and its equals
/// signs.
Status check_outputs(const CommandApp& command);

/// The same of one file, for a command that makes the name itself. `name` is what the error calls
/// it.
Status check_output(const std::string& name, const std::string& path,
                    const std::vector<std::string>& inputs);

/// USAGE where `path` is a file that one of `words` names, as check_outputs() reads the words of
/// the command line. For files whose names are known only while the command works.
Status check_no_input(const std::string& name, const std::string& path,
                      const std::vector<std::string>& words);

}  // namespace qama::cli
