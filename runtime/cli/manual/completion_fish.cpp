// One `complete` line an option.
#include "runtime/cli/manual/completion.h"
#include "runtime/cli/manual/option_table.h"

namespace qama::cli {
namespace {

/// The first line of `text` between single quotes.
std::string in_quotes(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\n') break;
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string values(const OptionRow& row) {
  switch (row.kind) {
    case ValueKind::none:
      return "";
    case ValueKind::words: {
      std::string words;
      for (const std::string& word : row.words) words += (words.empty() ? "" : " ") + word;
      return " -x -a " + in_quotes(words);
    }
    case ValueKind::file:
      return " -r -F";
    case ValueKind::model:
      return " -x -a '(__fish_complete_suffix .safetensors)'";
    case ValueKind::directory:
      return " -x -a '(__fish_complete_directories)'";
    case ValueKind::device:
      return " -x -a '(__qama_devices)'";
    case ValueKind::other:
      break;
  }
  return " -x";
}

std::string line(const std::string& condition, const OptionRow& row) {
  std::string out = "complete -c qama -n " + condition;
  for (const std::string& name : row.names) {
    out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  return out + values(row) + " -d " + in_quotes(row.text) + "\n";
}

}  // namespace

std::string fish_completion(const CLI::App& program) {
  const std::string none = "__fish_use_subcommand";
  std::string out =
      "# Completion of qama for fish, written by `qama completion fish`.\n"
      "function __qama_devices\n  qama devices 2>/dev/null | string replace -r ' .*' ''\nend\n"
      "complete -c qama -f\n";
  for (const OptionRow& row : table_of(program).options) out += line(none, row);
  for (const CommandTable& command : command_tables(program)) {
    const std::string inside = "'__fish_seen_subcommand_from " + command.name + "'";
    out += "complete -c qama -n " + none + " -a " + command.name + " -d " +
           in_quotes(command.summary) + "\n";
    for (const OptionRow& row : command.options) out += line(inside, row);
    if (!command.arguments.empty()) {
      out += "complete -c qama -n " + inside + values(command.arguments.front()) + "\n";
    }
  }
  return out;
}

}  // namespace qama::cli
