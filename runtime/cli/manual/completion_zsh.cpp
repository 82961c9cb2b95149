// One _arguments call a command.
#include "runtime/cli/manual/completion.h"
#include "runtime/cli/manual/option_table.h"

namespace qama::cli {
namespace {

/// Text for a specification between single quotes: one line, its own marks escaped.
std::string spec_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') break;
    if (c == '\'') {
      out += "'\\''";
    } else {
      if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out;
}

std::string action(const OptionRow& row) {
  switch (row.kind) {
    case ValueKind::words: {
      std::string out = "(";
      for (const std::string& word : row.words) out += (out.size() > 1 ? " " : "") + word;
      return out + ")";
    }
    case ValueKind::file:
      return "_files";
    case ValueKind::model:
      return "_files -g \"*.safetensors\"";
    case ValueKind::directory:
      return "_files -/";
    case ValueKind::device:
      return "_qama_devices";
    case ValueKind::none:
    case ValueKind::other:
      break;
  }
  return " ";
}

std::string option_specs(const OptionRow& row) {
  std::string all;
  for (const std::string& name : row.names) all += (all.empty() ? "" : " ") + name;
  std::string out;
  for (const std::string& name : row.names) {
    out += "        '";
    out += row.repeated ? "*" : "(" + all + ")";
    out += name + "[" + spec_text(row.text) + "]";
    if (!row.value.empty()) out += ":" + spec_text(row.value) + ":" + action(row);
    if (row.value.find(' ') != std::string::npos) out += ":number: ";
    out += "' \\\n";
  }
  return out;
}

}  // namespace

std::string zsh_completion(const CLI::App& program) {
  std::string names;
  std::string cases;
  for (const CommandTable& command : command_tables(program)) {
    names += "        '" + command.name + ":" + spec_text(command.summary) + "' \\\n";
    cases += "      " + command.name + ")\n        _arguments -S \\\n";
    for (const OptionRow& row : command.options) cases += option_specs(row);
    for (const OptionRow& row : command.arguments) {
      cases += std::string("        '") +
               (row.repeated   ? "*"
                : row.required ? ""
                               : "") +
               (row.repeated ? ":" : "::") + spec_text(row.value) + ":" + action(row) + "' \\\n";
    }
    cases += "        && return 0\n        ;;\n";
  }
  std::string options;
  for (const OptionRow& row : table_of(program).options) options += option_specs(row);
  return std::string(
             "#compdef qama\n# Completion of qama for zsh, written by `qama completion zsh`.\n\n") +
         "_qama_devices() {\n  local -a devices\n" +
         "  devices=(${${(f)\"$(qama devices 2>/dev/null)\"}%% *})\n" +
         "  compadd -- $devices\n}\n\n" +
         "_qama() {\n  local context state line\n  typeset -A opt_args\n  _arguments -C \\\n" +
         options + "        '1:command:->command' '*::argument:->argument' && return 0\n" +
         "  case $state in\n    command)\n      local -a commands\n      commands=( \\\n" + names +
         "      )\n      _describe command commands\n      ;;\n    argument)\n      case $words[1] "
         "in\n" +
         cases + "      esac\n      ;;\n  esac\n}\n\n" +
         "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _qama \"$@\"; else compdef _qama "
         "qama; fi\n";
}

}  // namespace qama::cli
