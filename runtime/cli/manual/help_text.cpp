#include "runtime/cli/manual/help_text.h"

#include <algorithm>
#include <sstream>

#include "runtime/cli/manual/option_table.h"

namespace qama::cli {
namespace {

constexpr std::size_t kHelpWidth = 96;
constexpr std::size_t kTextColumn = 26;

/// `text` filled to kHelpWidth from column `indent` on; the first line is indented by the caller.
std::string filled(const std::string& text, std::size_t indent) {
  std::string out;
  for (const std::string& line : lines_of(text)) {
    if (!out.empty()) out += "\n" + std::string(indent, ' ');
    std::size_t column = indent;
    std::istringstream words(line);
    for (std::string word; words >> word;) {
      const bool first = column == indent;
      if (!first && column + 1 + word.size() > kHelpWidth) {
        out += "\n" + std::string(indent, ' ') + word;
        column = indent + word.size();
      } else {
        out += (first ? "" : " ") + word;
        column += word.size() + (first ? 0 : 1);
      }
    }
  }
  return out;
}

/// A name and what it is, in two columns.
std::string entry(const std::string& name, const std::string& text) {
  std::string out = "  " + name;
  if (out.size() + 2 > kTextColumn) {
    out += "\n" + std::string(kTextColumn, ' ');
  } else {
    out.resize(kTextColumn, ' ');
  }
  return out + filled(text, kTextColumn) + "\n";
}

std::string entry(const OptionRow& row) {
  std::string name;
  for (const std::string& one : row.names) name += (name.empty() ? "" : ", ") + one;
  if (!row.value.empty()) name += (name.empty() ? "" : " ") + row.value;
  if (row.names.empty() && row.repeated) name += "...";
  return entry(name, row.described());
}

/// Paragraphs are filled; lines that begin with a space stay as they are.
std::string paragraphs(const std::string& notes) {
  std::string out;
  std::string open;
  const auto close = [&] {
    if (!open.empty()) out += filled(open, 0) + "\n";
    open.clear();
  };
  for (const std::string& line : lines_of(notes)) {
    if (!line.empty() && line.front() != ' ') {
      open += (open.empty() ? "" : " ") + line;
      continue;
    }
    close();
    out += line + "\n";
  }
  close();
  return out;
}

}  // namespace

std::string HelpFormatter::make_help(const CLI::App* app, std::string /*name*/,
                                     CLI::AppFormatMode /*mode*/) const {
  return help_text(*app);
}

std::string help_text(const CLI::App& app) {
  const CommandTable table = table_of(app);
  std::string out = table.summary + "\n\nUsage: " + table.usage() + "\n";
  const std::vector<CommandTable> commands = command_tables(app);
  if (!commands.empty()) out += "\nCommands:\n";
  for (const CommandTable& command : commands) out += entry(command.name, command.summary);
  if (!table.arguments.empty()) out += "\nArguments:\n";
  for (const OptionRow& row : table.arguments) out += entry(row);
  out += "\nOptions:\n";
  for (const OptionRow& row : table.options) out += entry(row);
  if (!table.notes.empty()) out += "\n" + paragraphs(table.notes);
  if (!table.examples.empty()) out += "\nExamples:\n";
  for (const std::string& line : lines_of(table.examples)) out += "  " + line + "\n";
  return out;
}

}  // namespace qama::cli
