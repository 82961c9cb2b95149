// The script asks two functions: which words can come (commands, or options of a command), and what
// the value of an option or an argument is.
#include "runtime/cli/manual/completion.h"
#include "runtime/cli/manual/option_table.h"

namespace qama::cli {
namespace {

// Words are split at spaces by hand: bash itself splits `cpu:avx2` and `--top=3`, and what it then
// replaces is only the part behind the last ':' or '='.
constexpr const char* kHead =
    R"bash(# Completion of qama for bash, written by `qama completion bash`.
_qama_files() {
  local pattern=$1 file
  while IFS= read -r file; do
    if [[ -d $file ]]; then
      COMPREPLY+=("$file/")
    elif [[ $file == $pattern ]]; then
      COMPREPLY+=("$file")
    fi
  done < <(compgen -f -- "$2")
  compopt -o filenames -o nospace 2>/dev/null
}

_qama() {
  COMPREPLY=()
  local line=${COMP_LINE:0:COMP_POINT} current='' previous='' command=''
  local -a words
  read -ra words <<<"$line"
  if [[ $line != *[[:space:]] ]]; then
    current=${words[-1]}
    unset 'words[-1]'
  fi
  ((${#words[@]} > 1)) && command=${words[1]} previous=${words[-1]}
  local value=$current kind=''
  if [[ -z $command ]]; then
    kind="words:$(_qama_words '')"
  elif [[ $current == --*=* ]]; then
    kind=$(_qama_kind "$command" "${current%%=*}")
    value=${current#*=}
  elif [[ $current == -* ]]; then
    kind="words:$(_qama_words "$command")"
  else
    [[ $previous == -* ]] && kind=$(_qama_kind "$command" "$previous")
    [[ -z $kind || $kind == none ]] && kind=$(_qama_kind "$command" '')
    [[ -z $kind && -z $value ]] && kind="words:$(_qama_words "$command")"
  fi
  case $kind in
    words:*) mapfile -t COMPREPLY < <(compgen -W "${kind#words:}" -- "$value") ;;
    device)
      kind=$(qama devices 2>/dev/null | cut -d' ' -f1)
      mapfile -t COMPREPLY < <(compgen -W "$kind" -- "$value")
      ;;
    model) _qama_files '*.safetensors' "$value" ;;
    file) _qama_files '*' "$value" ;;
    directory)
      mapfile -t COMPREPLY < <(compgen -d -- "$value")
      compopt -o filenames 2>/dev/null
      ;;
  esac
  # What bash replaces begins behind the last colon.
  local kept=${value%"${value##*:}"}
  [[ -z $kept || $COMP_WORDBREAKS != *:* ]] || COMPREPLY=("${COMPREPLY[@]#"$kept"}")
}

)bash";

std::string kind_text(const OptionRow& row) {
  switch (row.kind) {
    case ValueKind::none:
      return "none";
    case ValueKind::words: {
      std::string out = "words:";
      for (const std::string& word : row.words) out += (out.size() > 6 ? " " : "") + word;
      return out;
    }
    case ValueKind::file:
      return "file";
    case ValueKind::model:
      return "model";
    case ValueKind::directory:
      return "directory";
    case ValueKind::device:
      return "device";
    case ValueKind::other:
      break;
  }
  return "other";
}

std::string words_line(const std::string& command, const CommandTable& table) {
  std::string words;
  for (const OptionRow& row : table.options) {
    for (const std::string& name : row.names) words += (words.empty() ? "" : " ") + name;
  }
  return "    " + command + ") echo '" + words + "' ;;\n";
}

std::string kind_lines(const CommandTable& table) {
  std::string out;
  for (const OptionRow& row : table.options) {
    std::string pattern;
    for (const std::string& name : row.names) {
      pattern += (pattern.empty() ? "" : "|") + table.name + ":" + name;
    }
    out += "    " + pattern + ") echo '" + kind_text(row) + "' ;;\n";
  }
  if (!table.arguments.empty()) {
    out += "    " + table.name + ":) echo '" + kind_text(table.arguments.front()) + "' ;;\n";
  }
  return out;
}

}  // namespace

std::string bash_completion(const CLI::App& program) {
  const std::vector<CommandTable> commands = command_tables(program);
  std::string names;
  for (const CommandTable& command : commands) names += command.name + " ";
  std::string words = "    '') echo '" + names;
  for (const OptionRow& row : table_of(program).options) {
    for (const std::string& name : row.names) words += name + " ";
  }
  words += "' ;;\n";
  std::string kinds;
  for (const CommandTable& command : commands) {
    words += words_line(command.name, command);
    kinds += kind_lines(command);
  }
  return kHead + std::string("# What can follow a command, or the program itself.\n") +
         "_qama_words() {\n  case $1 in\n" + words + "  esac\n}\n\n" +
         "# What the value of an option is; with no option, of an argument.\n" +
         "_qama_kind() {\n  case $1:$2 in\n" + kinds + "  esac\n}\n\ncomplete -F _qama qama\n";
}

}  // namespace qama::cli
