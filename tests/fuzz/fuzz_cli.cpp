// Fuzz target: command lines. An input's lines are the arguments; they are parsed as the program
// does, and no command is run, for a command would write the files that an input names.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "runtime/cli/program.h"
#include "tests/fuzz/fuzz_files.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static qama::cli::Program program;
  // Parsing is a right of the program alone; what it parses into is no constant.
  auto& app = const_cast<CLI::App&>(program.app());
  std::vector<std::string> words;
  std::string text = qama::fuzz::text_of({data, size});
  while (words.size() < 64) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    // What main() hands over ends at a zero byte.
    words.emplace_back(text.substr(0, end).c_str());
    if (end == text.size()) break;
    text.erase(0, end + 1);
  }
  std::vector<const char*> argv = {"qama"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  try {
    app.parse(static_cast<int>(argv.size()), argv.data());
    if (app.get_subcommands().empty()) std::abort();
  } catch (const CLI::Success&) {  // --help, --version
  } catch (const CLI::ParseError& error) {
    if (std::string(error.what()).empty()) std::abort();
  }
  return 0;
}
