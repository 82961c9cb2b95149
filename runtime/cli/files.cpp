#include "runtime/cli/files.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "hal/base/quote.h"
#include "runtime/cli/command.h"
#include "weights/signature.h"

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

Error refused(const std::string& name, const std::string& path, const std::string& why) {
  return {ErrorCode::usage, name + " " + quote(path) + " " + why};
}

/// Whether a word of the command line may name files: its option takes one, a directory, a model, a
/// device, or is an argument.
bool names_files(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  return type.empty() || type == "FILE" || type == "DIR" || type == "URI" ||
         type.ends_with("MODEL");
}

/// What a word may name: a file, its signature, FILE:INDEX, NAME=FILE, or the files of a URI.
void add_files(const std::string& word, std::vector<std::string>& files) {
  files.push_back(word);
  files.push_back(weights::signature_path(word));
  files.push_back(word.substr(0, word.rfind(':')));
  for (std::size_t begin = word.find_first_of(":=&?"); begin != std::string::npos;) {
    const std::size_t end = word.find_first_of(":=&?", begin + 1);
    files.push_back(word.substr(begin + 1, end == std::string::npos ? end : end - begin - 1));
    begin = end;
  }
}

}  // namespace

CLI::Option* declare_output(CLI::App& app, const char* name, std::string& path, const char* help) {
  CLI::Option* option = app.add_option(name, path, help)->type_name("FILE");
  // For reading it is standard input. A file of that name was written, and nothing was said.
  option->check(CLI::Validator(
      [](const std::string& text) {
        return std::string(text == "-" ? "'-' is no file, expected FILE, ./- or /dev/stdout" : "");
      },
      std::string()));
  dynamic_cast<CommandApp&>(app).outputs.push_back(option);
  return option;
}

Status check_no_input(const std::string& name, const std::string& path,
                      const std::vector<std::string>& words) {
  std::vector<std::string> files;
  for (const std::string& word : words) add_files(word, files);
  for (const std::string& file : files) {
    if (!file.empty() && platform::same_file(path, file)) {
      return refused(name, path, "is an input, too; it is not overwritten");
    }
  }
  return {};
}

Status check_output(const std::string& name, const std::string& path,
                    const std::vector<std::string>& inputs) {
  for (const std::string& input : inputs) {
    if (input.empty()) continue;
    if (platform::same_file(path, input)) {
      return refused(name, path, "is an input, too; it is not overwritten");
    }
    if (lies_in(path, input)) {
      return refused(name, path,
                     "is a file of the input " + quote(input) + "; it is not overwritten");
    }
  }
  // A pipe that is opened and closed again would end for its reader.
  std::error_code error;
  if (fs::exists(path, error) && fs::is_other(path, error)) return {};
  QAMA_ASSIGN_OR_RETURN(const auto made, platform::OutputFile::create(path));
  return {};
}

Status check_outputs(const CommandApp& command) {
  const auto& outputs = command.outputs;
  std::vector<std::string> inputs;
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() == 0 || !names_files(*option) ||
        std::find(outputs.begin(), outputs.end(), option) != outputs.end()) {
      continue;
    }
    for (const std::string& word : option->results()) add_files(word, inputs);
  }
  std::vector<const CLI::Option*> before;
  for (const CLI::Option* output : outputs) {
    if (output->count() == 0) continue;
    const std::string name = output->get_name();
    const std::string& path = output->results().back();
    for (const CLI::Option* other : before) {
      if (same_name(path, other->results().back())) {
        return refused(name, path, "is the file of " + other->get_name() + ", too");
      }
    }
    QAMA_RETURN_IF_ERROR(check_output(name, path, inputs));
    before.push_back(output);
  }
  return {};
}

}  // namespace qama::cli
