// Where the texts of a command come from: files, directories of files, lines of a file, a column of
// a table. To add a source: here, and in every().
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hal/base/result.h"

namespace qama::cli {

/// A text with the name that answers and errors give it: "reviews.csv:12" is that of line 12.
/// What cannot be read is an error in its place.
using TakeText = std::function<void(const std::string& name, const Result<std::string>& text)>;

/// Whether `path` holds several texts: a directory, a table, or anything where a column is named.
[[nodiscard]] bool holds_texts(const std::string& path, const std::string& column);
/// The .txt files of a directory in order of their names, or the rows of a table.
void every_text(const std::string& path, const std::string& column, const TakeText& take);
/// One text a line of a file, or of standard input where it is "-". A blank line is an empty text.
void every_line(const std::string& path, const TakeText& take);

}  // namespace qama::cli
