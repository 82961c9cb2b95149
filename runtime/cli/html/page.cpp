#include "runtime/cli/html/page.h"

#include "runtime/cli/files.h"

namespace qama::cli {
namespace {

constexpr const char* kStyle = R"(
body{font:15px/1.5 system-ui,"Segoe UI","DejaVu Sans",sans-serif;color:#1d2530;
background:#fff;max-width:1060px;margin:2rem auto;padding:0 1.5rem}
h1{font-size:1.5rem;margin:0}
h2{font-size:1.1rem;margin:2.2rem 0 .4rem;border-bottom:1px solid #d9dee5;padding-bottom:.2rem}
p{margin:.4rem 0;max-width:52rem}.sub{color:#5b6673}
table{border-collapse:collapse;margin:.6rem 0;font-variant-numeric:tabular-nums;font-size:13.5px}
th,td{padding:.18rem .7rem;text-align:right;border-bottom:1px solid #eceff3;white-space:nowrap}
th{font-weight:600;border-bottom:1px solid #aab3bf}
th:first-child,td:first-child{text-align:left;padding-left:0}
svg{max-width:100%;height:auto;margin:.5rem 0}
svg text{font:12px system-ui,"DejaVu Sans",sans-serif;fill:#1d2530}
.row{display:flex;flex-wrap:wrap;gap:1rem}.row figure{margin:0}
figcaption{font-size:12.5px;color:#5b6673}
)";

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

HtmlPage::HtmlPage(std::string_view title, std::string_view subtitle) {
  html_ =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\"><title>" +
      escaped(title) + "</title><style>" + kStyle + "</style></head><body>\n<h1>" + escaped(title) +
      "</h1>\n<p class=\"sub\">" + escaped(subtitle) + "</p>\n";
}

void HtmlPage::heading(std::string_view text) {
  html_ += "<h2>" + escaped(text) + "</h2>\n";
}
void HtmlPage::text(std::string_view words) {
  html_ += "<p>" + escaped(words) + "</p>\n";
}
void HtmlPage::markup(std::string_view html) {
  html_ += html;
  html_ += '\n';
}

void HtmlPage::table(const std::vector<std::string>& head,
                     const std::vector<std::vector<std::string>>& rows) {
  html_ += "<table><tr>";
  for (const std::string& cell : head) html_ += "<th>" + escaped(cell) + "</th>";
  html_ += "</tr>\n";
  for (const auto& row : rows) {
    html_ += "<tr>";
    for (const std::string& cell : row) html_ += "<td>" + escaped(cell) + "</td>";
    html_ += "</tr>\n";
  }
  html_ += "</table>\n";
}

Status HtmlPage::write(const std::string& path) {
  return write_file(path, html_ + "</body></html>\n");
}

}  // namespace qama::cli
