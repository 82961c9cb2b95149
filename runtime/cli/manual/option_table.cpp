#include "runtime/cli/manual/option_table.h"

#include <algorithm>
#include <limits>
#include <sstream>

#include "runtime/cli/command.h"

namespace qama::cli {
namespace {

/// What CLI11 keeps in one string: "N:INT in [1 - 256]", "NAME:{train,test}", "X:POSITIVE".
struct TypeText {
  std::string value, check;
};
TypeText split_type(const std::string& type) {
  const std::size_t colon = type.find(':');
  if (colon == std::string::npos) return {type, ""};
  return {type.substr(0, colon), type.substr(colon + 1)};
}

std::vector<std::string> words_of(const std::string& check) {
  std::vector<std::string> out;
  if (!check.starts_with('{') || !check.ends_with('}')) return out;
  std::istringstream words(check.substr(1, check.size() - 2));
  for (std::string word; std::getline(words, word, ',');) out.push_back(word);
  return out;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

/// CLI11's name of a check in words: "INT in [1 - 256]" is "1 to 256".
std::string range_of(const std::string& check) {
  const std::size_t open = check.find("in [");
  const std::size_t middle = check.find(" - ");
  if (check == "POSITIVE") return "above 0";
  if (check == "NONNEGATIVE") return "0 or more";
  if (open == std::string::npos || middle == std::string::npos) return joined(words_of(check));
  const std::string low = check.substr(open + 4, middle - open - 4);
  const std::string high = check.substr(middle + 3, check.size() - middle - 4);
  const bool unbounded = high == std::to_string(std::numeric_limits<std::int64_t>::max());
  return unbounded ? low + " or more" : low + " to " + high;
}

ValueKind kind_of(const OptionRow& row) {
  if (row.value.empty()) return ValueKind::none;
  if (!row.words.empty()) return ValueKind::words;
  if (row.value.ends_with("MODEL")) return ValueKind::model;  // or [NAME=]MODEL
  if (row.value == "URI") return ValueKind::device;
  if (row.value.starts_with("DIR")) return ValueKind::directory;
  for (const char* file : {"FILE", "INPUT", "GOLDEN", "PROBLEM", "RECEIPT"}) {
    if (row.value == file) return ValueKind::file;
  }
  return ValueKind::other;
}

OptionRow row_of(const CLI::Option& option) {
  OptionRow out;
  const TypeText type = split_type(option.get_type_name());
  const bool is_flag = option.get_items_expected_max() == 0;
  if (!is_flag) out.value = type.value.empty() ? option.get_name(true) : type.value;
  out.text = option.get_description();
  out.words = words_of(type.check);
  out.required = option.get_required();
  out.repeated = option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll ||
                 (option.get_positional() && option.get_items_expected_max() > 1);
  out.kind = kind_of(out);
  // A data set is a directory, or a table of one's own.
  if (out.kind == ValueKind::directory && option.check_lname("data")) out.kind = ValueKind::file;
  const auto add = [&out](const std::string& fact) {
    if (!fact.empty()) out.facts += (out.facts.empty() ? "" : "; ") + fact;
  };
  add(out.required ? "required" : "");
  add(range_of(type.check));
  add(out.repeated && !option.get_positional() ? "may be repeated" : "");
  add(option.get_default_str().empty() || is_flag ? "" : "default: " + option.get_default_str());
  return out;
}

}  // namespace

std::string OptionRow::described() const {
  if (facts.empty()) return text;
  const std::size_t end = std::min(text.find('\n'), text.size());
  return text.substr(0, end) + " [" + facts + "]" + text.substr(end);
}

std::string CommandTable::usage() const {
  std::string out = name == "qama" ? "qama COMMAND" : "qama " + name;
  for (const OptionRow& row : options) {
    if (row.required) out += " " + row.names.front() + " " + row.value;
  }
  out += " [OPTION]...";
  for (const OptionRow& row : arguments) {
    out += row.required ? " " + row.value : " [" + row.value + "]";
    if (row.repeated) out += "...";
  }
  return out;
}

CommandTable table_of(const CLI::App& app) {
  CommandTable out;
  out.name = app.get_name();
  out.summary = app.get_description();
  if (const auto* command = dynamic_cast<const CommandApp*>(&app)) {
    out.notes = command->text.notes;
    out.examples = command->text.examples;
  }
  OptionRow help;
  for (const CLI::Option* option : app.get_options()) {
    OptionRow row = row_of(*option);
    if (option->get_positional()) {
      out.arguments.push_back(row);
      out.arguments.back().names.clear();
    }
    for (const std::string& name : option->get_snames()) row.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) row.names.push_back("--" + name);
    if (row.names.empty()) continue;
    if (option == app.get_help_ptr()) {
      help = row;
    } else {
      out.options.push_back(std::move(row));
    }
  }
  out.options.push_back(std::move(help));
  return out;
}

std::vector<CommandTable> command_tables(const CLI::App& program) {
  std::vector<CommandTable> out;
  for (const CLI::App* app : program.get_subcommands({})) out.push_back(table_of(*app));
  return out;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) out.push_back(line);
  return out;
}

}  // namespace qama::cli
