#include "runtime/cli/files.h"

#include <filesystem>
#include <system_error>

#include "hal/base/quote.h"

namespace qama::cli {
namespace {

namespace fs = std::filesystem;

/// Whether `path` is a file that exists in `directory`, at any depth.
bool lies_in(const std::string& path, const std::string& directory) {
  std::error_code error;
  if (!fs::is_directory(directory, error) || !fs::is_regular_file(path, error)) return false;
  const fs::path inside =
      fs::canonical(path, error).lexically_relative(fs::canonical(directory, error));
  return !error && !inside.empty() && *inside.begin() != "..";
}

/// Two names of one file, which may not exist yet.
bool same_name(const std::string& path, const std::string& other) {
  std::error_code error;
  return platform::same_file(path, other) ||
         (!fs::exists(path, error) &&
          fs::weakly_canonical(path, error) == fs::weakly_canonical(other, error));
}

Error refused(const Output& output, const std::string& why) {
  return {ErrorCode::usage, std::string(output.option) + " " + quote(output.path) + " " + why};
}

}  // namespace

Status check_outputs(std::initializer_list<Output> outputs,
                     const std::vector<std::string>& inputs) {
  for (const Output* output = outputs.begin(); output != outputs.end(); ++output) {
    if (output->path.empty()) continue;
    for (const std::string& input : inputs) {
      if (input.empty()) continue;
      if (platform::same_file(output->path, input)) {
        return refused(*output, "is an input, too; it is not overwritten");
      }
      if (lies_in(output->path, input)) {
        return refused(*output,
                       "is a file of the input " + quote(input) + "; it is not overwritten");
      }
    }
    for (const Output* before = outputs.begin(); before != output; ++before) {
      if (!before->path.empty() && same_name(output->path, before->path)) {
        return refused(*output, std::string("is the file of ") + before->option + ", too");
      }
    }
    // A pipe that is opened and closed again would end for its reader.
    std::error_code error;
    if (fs::exists(output->path, error) && fs::is_other(output->path, error)) continue;
    QAMA_ASSIGN_OR_RETURN(const auto made, platform::OutputFile::create(output->path));
  }
  return {};
}

}  // namespace qama::cli
