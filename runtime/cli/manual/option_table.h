// A command as a table: what it is for, its arguments, its options. Read from the declared
// CLI::App, so that help, manual pages and completion say the same. A new kind of value (a file of
// some kind, a list that the program can print) is an entry of ValueKind and a line in each
// completion_*.cpp.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace qama::cli {

/// What a shell offers for a value.
enum class ValueKind : std::uint8_t { none, other, words, file, model, directory, device };

struct OptionRow {
  std::vector<std::string> names;  ///< "-m", "--model"; empty for an argument
  std::string value;               ///< "MODEL", "DIR N"; empty for a flag
  std::string text;                ///< a sentence; may have several lines
  std::string facts;               ///< "1 to 256; default: 1"; may be empty
  std::vector<std::string> words;  ///< all values that are allowed, if they are few
  ValueKind kind = ValueKind::none;
  bool required = false;
  bool repeated = false;

  /// The text with the facts in brackets behind its first line.
  [[nodiscard]] std::string described() const;
};

struct CommandTable {
  std::string name;     ///< "classify"; "qama" for the program itself
  std::string summary;  ///< one sentence
  std::string
      notes;  ///< what the options do not say; lines that begin with a space stay as they are
  std::string examples;  ///< a command line a line
  std::vector<OptionRow> arguments;
  std::vector<OptionRow> options;

  /// "qama classify [OPTION]... [INPUT]..."
  [[nodiscard]] std::string usage() const;
};

/// The table of a command or of the program itself.
[[nodiscard]] CommandTable table_of(const CLI::App& app);
/// The tables of all commands, in the order of `qama --help`.
[[nodiscard]] std::vector<CommandTable> command_tables(const CLI::App& program);

/// `text` in lines, without their ends.
[[nodiscard]] std::vector<std::string> lines_of(const std::string& text);

}  // namespace qama::cli
