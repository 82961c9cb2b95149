#include "runtime/cli/manual/man_page.h"

#include <vector>

#include "qama/qama.h"
#include "runtime/cli/manual/option_table.h"

namespace qama::cli {
namespace {

/// Text that troff prints as it stands: no escape, no request, hyphens that can be copied.
std::string plain(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool line_start = out.empty() || out.back() == '\n';
    if (line_start && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '\'') {
      out += "\\(aq";
    } else if (c == '`') {
      out += "\\(ga";
    } else if (c == '~') {
      out += "\\(ti";
    } else if (c == '^') {
      out += "\\(ha";
    } else {
      out += c;
    }
  }
  return out;
}

/// A summary that can follow "qama-classify - ": no capital, no full stop.
std::string whatis(std::string summary) {
  if (summary.ends_with('.')) summary.pop_back();
  if (summary.size() > 1 && summary[1] >= 'a' && summary[1] <= 'z' && summary[0] <= 'Z') {
    summary[0] = static_cast<char>(summary[0] - 'A' + 'a');
  }
  return summary;
}

std::string section(const char* name) {
  return std::string(".SH ") + name + "\n";
}

/// Several lines with a break after each.
std::string broken(const std::string& text) {
  std::string out;
  for (const std::string& line : lines_of(text)) {
    out += (out.empty() ? "" : ".br\n") + plain(line) + "\n";
  }
  return out;
}

std::string man_entry(const OptionRow& row) {
  std::string out = ".TP\n";
  for (std::size_t i = 0; i < row.names.size(); ++i) {
    out += (i > 0 ? ", \\fB" : "\\fB") + plain(row.names[i]) + "\\fR";
  }
  if (!row.value.empty()) out += (row.names.empty() ? "\\fI" : " \\fI") + plain(row.value) + "\\fR";
  if (row.names.empty() && row.repeated) out += "...";
  out += "\n" + broken(row.described());
  return out;
}

std::string verbatim(const std::vector<std::string>& lines) {
  std::string out = ".nf\n";
  for (const std::string& line : lines) out += plain(line) + "\n";
  return out + ".fi\n";
}

std::string man_paragraphs(const std::string& notes) {
  std::string out;
  std::vector<std::string> kept;
  const auto close = [&] {
    if (!kept.empty()) out += verbatim(kept);
    kept.clear();
  };
  for (const std::string& line : lines_of(notes)) {
    if (line.starts_with(' ')) {
      kept.push_back(line);
      continue;
    }
    close();
    out += line.empty() ? ".PP\n" : plain(line) + "\n";
  }
  close();
  return out;
}

std::string usage_line(const CommandTable& table) {
  const std::string usage = table.usage();
  const std::size_t name = table.name == "qama" ? 4 : 5 + table.name.size();
  return "\\fB" + plain(usage.substr(0, name)) + "\\fR" + plain(usage.substr(name)) + "\n";
}

std::string page_of(const CLI::App& command) {
  const bool program = command.get_parent() == nullptr;
  return (program ? "" : "qama-") + command.get_name();
}

/// The program's commands, a page each.
std::string commands_section(const std::vector<CommandTable>& commands) {
  std::string out = section("COMMANDS");
  for (const CommandTable& command : commands) {
    out += ".TP\n\\fBqama\\-" + plain(command.name) + "\\fR(1)\n" + plain(command.summary) + "\n";
  }
  return out;
}

constexpr const char* kExitStatus =
    "0 if all went well. 1 after a failure: one line on standard error gives the error's name and\n"
    "a sentence. 2 after wrong usage. 130 after Ctrl-C: what was reached is printed.\n";
constexpr const char* kFiles =
    ".TP\n\\fI/usr/share/qama/models/*.safetensors\\fR\nTrained models.\n";

}  // namespace

std::string man_page_name(const CLI::App& app) {
  return page_of(app) + ".1";
}

std::string man_page(const CLI::App& app) {
  const CommandTable table = table_of(app);
  const std::vector<CommandTable> commands = command_tables(app);
  std::string title = page_of(app);
  std::string out = section("NAME") + plain(title) + " \\- " + plain(whatis(table.summary)) + "\n";
  out += section("SYNOPSIS") + usage_line(table);
  if (!table.notes.empty()) out += section("DESCRIPTION") + man_paragraphs(table.notes);
  if (!commands.empty()) out += commands_section(commands);
  if (!table.arguments.empty()) out += section("ARGUMENTS");
  for (const OptionRow& row : table.arguments) out += man_entry(row);
  out += section("OPTIONS");
  for (const OptionRow& row : table.options) out += man_entry(row);
  out += section("EXIT STATUS") + kExitStatus;
  if (!commands.empty()) out += section("FILES") + kFiles;
  if (!table.examples.empty()) out += section("EXAMPLES") + verbatim(lines_of(table.examples));
  if (commands.empty()) out += section("SEE ALSO") + "\\fBqama\\fR(1)\n";
  // Without a date, so that the same sources give the same page.
  for (char& c : title) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return ".TH " + plain(title) + " 1 \"\" \"qama " + qama_version() + "\" \"User Commands\"\n" +
         out;
}

}  // namespace qama::cli
