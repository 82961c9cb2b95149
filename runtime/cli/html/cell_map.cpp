#include <algorithm>

#include "runtime/cli/console.h"
#include "runtime/cli/html/charts.h"
#include "runtime/cli/html/page.h"
#include "runtime/cli/html/svg.h"

namespace qama::cli {

std::string cell_map(const CellMap& map) {
  const auto count = static_cast<std::int32_t>(map.fills.size());
  const std::int32_t columns = std::max(std::min(map.columns, count), 1);
  const std::int32_t rows = (count + columns - 1) / columns;
  const double left = map.row_names.empty() ? 0 : kMapLabels;
  const double row_height = map.row_height > 0 ? map.row_height : map.side;
  const double height = row_height * rows;
  const int all = static_cast<int>(height + (map.numbered ? 20 : 0) + 0.5);
  std::string out = open_svg(static_cast<int>(left + map.side * columns + 0.5), all, map.title,
                             left > 0 ? "map labelled" : "map");
  // The picture itself can be reached by the keyboard, and says how its cells lie.
  out.insert(out.find(" role="), format(" tabindex=\"0\" data-columns=\"%d\"", columns));
  out += map.behind;
  for (std::int32_t i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    out +=
        format("<rect class=\"cell\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" ",
               left + map.side * (i % columns), row_height * (i / columns), map.side, row_height) +
        map.fills[at] + "><title>" + escaped(map.texts[at]) + "</title></rect>";
  }
  for (std::size_t row = 0; row < map.row_names.size(); ++row) {
    out += words_at(left - 6, row_height * (static_cast<double>(row) + 0.5) + 4, map.row_names[row],
                    "end");
  }
  const std::int32_t every = columns > 40 ? 8 : columns > 10 ? 4 : 1;
  for (std::int32_t column = 0; map.numbered && column < columns; column += every) {
    out +=
        words_at(left + map.side * (column + 0.5), height + 15, std::to_string(column), "middle");
  }
  return out + "</svg>";
}

}  // namespace qama::cli
