#include "runtime/cli/text_inputs.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "hal/base/quote.h"
#include "hal/platform/file.h"
#include "runtime/io/line_reader.h"
#include "runtime/io/table_reader.h"
#include "runtime/io/text.h"

namespace qama::cli {
namespace {

namespace fs = std::filesystem;

bool is_directory(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

std::string place(const std::string& path, std::int64_t line) {
  return path + ":" + std::to_string(line);
}

void every_file(const std::string& directory, const TakeText& take) {
  std::vector<std::string> paths;
  std::error_code error;
  fs::directory_iterator entries(directory, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    if (entries->path().extension() == ".txt") paths.push_back(entries->path().string());
  }
  if (error) {
    take(directory, Error{ErrorCode::io_error,
                          "directory " + quote(directory) + " cannot be read: " + error.message()});
  } else if (paths.empty()) {
    take(directory, Error{ErrorCode::dataset_empty,
                          "directory " + quote(directory) + " has no file NAME.txt"});
  }
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    const auto bytes = platform::read_file(path, io::kMaxTextBytes, ErrorCode::text_bad_encoding);
    if (bytes.ok()) {
      take(path, std::string(bytes->begin(), bytes->end()));
    } else {
      take(path, bytes.error());
    }
  }
}

/// The rows of a table, or the error that ends them.
Status every_row(const std::string& path, const std::string& column, const TakeText& take) {
  QAMA_ASSIGN_OR_RETURN(io::TableReader table, io::TableReader::open(path));
  if (column.empty()) {
    std::string names;
    for (const std::string& name : table.columns())
      names += (names.empty() ? "" : ", ") + quote(name);
    return Error{ErrorCode::usage, "file " + quote(path) +
                                       " is a table: name the column of its texts with --column; "
                                       "there are " +
                                       names};
  }
  QAMA_ASSIGN_OR_RETURN(const std::size_t wanted, table.column(column));
  std::vector<std::string> row;
  while (true) {
    QAMA_ASSIGN_OR_RETURN(const bool any, table.next(row));
    if (!any) return {};
    take(place(path, table.line()), std::move(row[wanted]));
  }
}

Status each_line(const std::string& path, const TakeText& take) {
  QAMA_ASSIGN_OR_RETURN(io::ByteStream stream, path == "-" ? io::ByteStream::standard_input()
                                                           : io::ByteStream::open(path));
  io::LineReader lines(std::move(stream));
  std::string line;
  while (true) {
    QAMA_ASSIGN_OR_RETURN(const bool any, lines.next(line));
    if (!any) break;
    take(place(path, lines.number()), line);
  }
  if (lines.number() > 0) return {};
  return Error{ErrorCode::dataset_empty, "file " + quote(path) + " has no line"};
}

}  // namespace

bool holds_texts(const std::string& path, const std::string& column) {
  return is_directory(path) || !column.empty() || io::is_table_name(path);
}

void every_text(const std::string& path, const std::string& column, const TakeText& take) {
  if (is_directory(path)) return every_file(path, take);
  const Status status = every_row(path, column, take);
  if (!status.ok()) take(path, status.error());
}

void every_line(const std::string& path, const TakeText& take) {
  const Status status = each_line(path, take);
  if (!status.ok()) take(path, status.error());
}

}  // namespace qama::cli
