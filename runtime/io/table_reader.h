// Tables with a header line: comma-separated (RFC 4180) or tab-separated values, plain or gzip. A
// field may stand in double quotes and then hold separators, line ends and, doubled, quotes; that
// holds for tabs, too, as spreadsheets write them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"
#include "runtime/io/byte_stream.h"

namespace qama::io {

/// ".csv" and ".tsv" end the name of a table, perhaps with ".gz" behind.
[[nodiscard]] bool is_table_name(std::string_view path) noexcept;

/// One thread at a time.
class TableReader {
 public:
  /// A file, or "-" for standard input, which has commas. Reads the header. NOT_FOUND, IO_ERROR,
  /// DATASET_EMPTY, DATASET_BAD_FORMAT.
  [[nodiscard]] static Result<TableReader> open(const std::string& path);

  [[nodiscard]] const std::vector<std::string>& columns() const noexcept { return columns_; }
  /// The column of this name. DATASET_BAD_FORMAT names those that there are.
  [[nodiscard]] Result<std::size_t> column(std::string_view name) const;
  [[nodiscard]] std::optional<std::size_t> find(std::string_view name) const noexcept;

  /// Reads the next row, a field a column, and says whether there was one; blank lines are none.
  /// DATASET_BAD_FORMAT with line and column: another number of fields, quotes that do not match, a
  /// field that is too long or no UTF-8.
  [[nodiscard]] Result<bool> next(std::vector<std::string>& row);
  /// Back to the first row. Not for standard input.
  Status rewind();

  /// The line where the row read last begins, from 1.
  [[nodiscard]] std::int64_t line() const noexcept { return row_line_; }
  [[nodiscard]] const std::string& path() const noexcept { return stream_.path(); }

 private:
  TableReader(ByteStream stream, char separator)
      : stream_(std::move(stream)), separator_(separator) {}
  /// The next byte, or -1 at the end.
  [[nodiscard]] Result<int> get();
  [[nodiscard]] Result<bool> read_row(std::vector<std::string>& row);
  [[nodiscard]] Error error(std::size_t column, const std::string& what) const;

  ByteStream stream_;
  char separator_;
  std::array<std::uint8_t, 1 << 14> buffer_{};
  std::size_t at_ = 0;
  std::size_t end_ = 0;
  std::int64_t line_ = 1, row_line_ = 1;
  std::vector<std::string> columns_;
};

}  // namespace qama::io
