#include "runtime/io/table_reader.h"

#include <algorithm>

#include "hal/base/quote.h"
#include "runtime/io/text.h"

namespace qama::io {
namespace {

constexpr std::size_t kMaxColumns = 10000;

std::string_view without_gz(std::string_view path) noexcept {
  return path.ends_with(".gz") ? path.substr(0, path.size() - 3) : path;
}

}  // namespace

bool is_table_name(std::string_view path) noexcept {
  path = without_gz(path);
  return path.ends_with(".csv") || path.ends_with(".tsv");
}

Result<TableReader> TableReader::open(const std::string& path) {
  const bool input = path == "-";
  QAMA_ASSIGN_OR_RETURN(ByteStream stream,
                        input ? ByteStream::standard_input() : ByteStream::open(path));
  TableReader out(std::move(stream), without_gz(path).ends_with(".tsv") ? '\t' : ',');
  std::vector<std::string> header;
  QAMA_ASSIGN_OR_RETURN(const bool any, out.read_row(header));
  if (!any) return Error{ErrorCode::dataset_empty, "file " + quote(path) + " is empty"};
  out.columns_ = std::move(header);
  return out;
}

std::optional<std::size_t> TableReader::find(std::string_view name) const noexcept {
  const auto found = std::find(columns_.begin(), columns_.end(), name);
  if (found == columns_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - columns_.begin());
}

Result<std::size_t> TableReader::column(std::string_view name) const {
  if (const auto count = std::count(columns_.begin(), columns_.end(), name); count > 1) {
    return Error{ErrorCode::dataset_bad_format,
                 "file " + quote(path()) + ", line 1: " + std::to_string(count) +
                     " columns have the name " + quote(name) + ", expected one"};
  }
  if (const auto found = find(name)) return *found;
  std::string names;
  for (const std::string& column : columns_) names += (names.empty() ? "" : ", ") + quote(column);
  return Error{ErrorCode::dataset_bad_format, "file " + quote(path()) +
                                                  ", line 1: no column has the name " +
                                                  quote(name) + "; there are " + names};
}

Result<bool> TableReader::next(std::vector<std::string>& row) {
  while (true) {
    QAMA_ASSIGN_OR_RETURN(const bool any, read_row(row));
    if (!any) return false;
    const bool blank = row.size() == 1 && row[0].empty();
    if (blank && columns_.size() > 1) continue;
    if (row.size() != columns_.size()) {
      return Error{ErrorCode::dataset_bad_format,
                   "file " + quote(path()) + ", line " + std::to_string(row_line_) + ": " +
                       std::to_string(row.size()) + " fields, expected " +
                       std::to_string(columns_.size()) + ", one a column"};
    }
    return true;
  }
}

Status TableReader::rewind() {
  QAMA_RETURN_IF_ERROR(stream_.rewind());
  at_ = end_ = 0;
  line_ = 1;
  std::vector<std::string> header;
  QAMA_ASSIGN_OR_RETURN(const bool any, read_row(header));
  if (!any || header != columns_)
    return Error{ErrorCode::io_error, "file " + quote(path()) + " has changed"};
  return {};
}

Result<int> TableReader::get() {
  if (at_ == end_) {
    QAMA_ASSIGN_OR_RETURN(end_, stream_.read(buffer_));
    at_ = 0;
    if (end_ == 0) return -1;
  }
  return buffer_[at_++];
}

Error TableReader::error(std::size_t column, const std::string& what) const {
  const std::string name =
      column < columns_.size() ? quote(columns_[column]) : std::to_string(column + 1);
  return Error{ErrorCode::dataset_bad_format, "file " + quote(path()) + ", line " +
                                                  std::to_string(row_line_) + ", column " + name +
                                                  ": " + what};
}

Result<bool> TableReader::read_row(std::vector<std::string>& row) {
  row.clear();
  row_line_ = line_;
  QAMA_ASSIGN_OR_RETURN(int c, get());
  if (c == -1) return false;
  std::string field;
  // A byte order mark is no part of the first name.
  for (const char mark : row_line_ == 1 ? kByteOrderMark : std::string_view()) {
    if (c != static_cast<unsigned char>(mark)) break;
    field += mark;
    QAMA_ASSIGN_OR_RETURN(c, get());
  }
  if (field == kByteOrderMark) field.clear();

  while (true) {  // a field
    if (field.empty() && c == '"') {
      while (true) {
        QAMA_ASSIGN_OR_RETURN(c, get());
        if (c == -1) return error(row.size(), "its quotes are never closed");
        if (c == '"') {
          QAMA_ASSIGN_OR_RETURN(c, get());
          if (c != '"') break;
        }
        if (c == '\n') ++line_;
        if (field.size() == kMaxTextBytes) return error(row.size(), "is too long");
        field += static_cast<char>(c);
      }
      if (c == '\r') {
        QAMA_ASSIGN_OR_RETURN(c, get());
        if (c != '\n' && c != -1) return error(row.size(), "something follows its closing quote");
      }
      if (c != separator_ && c != '\n' && c != -1) {
        return error(row.size(), "something follows its closing quote");
      }
    } else {
      while (c != separator_ && c != '\n' && c != -1) {
        if (field.size() == kMaxTextBytes) return error(row.size(), "is too long");
        field += static_cast<char>(c);
        QAMA_ASSIGN_OR_RETURN(c, get());
      }
      if (c != separator_ && field.ends_with('\r')) field.pop_back();
    }
    if (const Status status = check_utf8(field, path()); !status.ok()) {
      return error(row.size(), status.error().message);
    }
    if (row.size() == kMaxColumns) {
      return error(row.size(), "more than " + std::to_string(kMaxColumns) + " fields");
    }
    row.push_back(std::move(field));
    field.clear();
    if (c == '\n') ++line_;
    if (c != separator_) return true;
    QAMA_ASSIGN_OR_RETURN(c, get());
  }
}

}  // namespace qama::io
