// One HTML page that stands alone: style, SVG and a few lines of script inside, nothing fetched. It
// is light or dark as the reader's system is, and fits a narrow screen. `qama profile` and `qama
// explain` write theirs with it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"

namespace qama::cli {

/// Text with &, <, > and quotes made harmless; bytes that are no printable ASCII or UTF-8 stay.
[[nodiscard]] std::string escaped(std::string_view text);

class HtmlPage {
 public:
  HtmlPage(std::string_view title, std::string_view subtitle);
  void heading(std::string_view text);
  /// A paragraph of plain text.
  void text(std::string_view words);
  /// Markup that is already safe: an <svg>, a <figure>.
  void markup(std::string_view html);
  /// The first column is left-aligned text, the others are numbers or words, right-aligned.
  void table(const std::vector<std::string>& head,
             const std::vector<std::vector<std::string>>& rows);
  /// Where the value of the cell that is pointed at is written: of the maps since the last one.
  void value_line();
  /// Last of all: makes the cells of maps answer to the pointer and the arrow keys.
  void script_for_maps();
  /// Writes the page. IO_ERROR.
  Status write(const std::string& path);

 private:
  std::string html_;
};

}  // namespace qama::cli
