#include "command_list.h"
#include "runtime/cli/command.h"

namespace qama::cli {

// QAMA_COMMANDS is made from the list in CMakeLists.txt; each of these is in commands/<name>.cpp.
#define QAMA_DECLARE_COMMAND(name, identifier) std::unique_ptr<Command> make_##identifier();
QAMA_COMMANDS(QAMA_DECLARE_COMMAND)

std::span<const CommandEntry> commands() noexcept {
#define QAMA_COMMAND_ENTRY(name, identifier) {name, make_##identifier},
  static constexpr CommandEntry kCommands[] = {QAMA_COMMANDS(QAMA_COMMAND_ENTRY)};
  return kCommands;
}

std::vector<std::string> command_names() {
  std::vector<std::string> out;
  for (const CommandEntry& entry : commands()) out.emplace_back(entry.name);
  return out;
}

}  // namespace qama::cli
