#include "runtime/cli/html/page.h"

#include "runtime/cli/files.h"

namespace qama::cli {
namespace {

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--ink:#1d2530;--paper:#fff;--soft:#5b6673;--grid:#d9dee5;
--axis:#8d97a4;--wall:#9aa8b8;--mark:255,160,30}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8ee;--paper:#14181d;--soft:#9aa5b2;--grid:#343c47;
--axis:#717c8a;--wall:#5d6977;--mark:214,126,20}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,"Segoe UI","DejaVu Sans",sans-serif;color:var(--ink);
background:var(--paper);max-width:1060px;margin:2rem auto;padding:0 1.5rem;overflow-wrap:anywhere}
h1{font-size:1.5rem;margin:0}
h2{font-size:1.1rem;margin:2.2rem 0 .4rem;border-bottom:1px solid var(--grid);padding-bottom:.2rem}
p{margin:.4rem 0;max-width:52rem}.sub,figcaption{color:var(--soft)}
.scroll{overflow-x:auto;margin:.6rem 0}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:13.5px;
overflow-wrap:normal}
th,td{padding:.18rem .7rem;text-align:right;border-bottom:1px solid var(--grid);white-space:nowrap}
th{font-weight:600;border-bottom:1px solid var(--axis)}
th:first-child,td:first-child{text-align:left;padding-left:0}
svg{display:block;margin:.5rem 0}
svg.scaled{width:100%;height:auto}
svg.wide{width:100%;overflow:visible}
svg text{font:12px system-ui,"DejaVu Sans",sans-serif;fill:var(--ink)}
svg .grid{stroke:var(--grid)}svg .axis{stroke:var(--axis)}
svg .face{stroke:#0003;stroke-width:.4}svg .wall{fill:var(--wall);stroke:#0003;stroke-width:.3}
svg .cut{fill:#fff;font-weight:700;font-size:18px}
.map .cell{stroke:#8886;stroke-width:.4}
.map .cell:hover,.map .now{stroke:var(--ink);stroke-width:2;paint-order:stroke}
:focus-visible{outline:2px solid #3b6fb6;outline-offset:2px}
.row{display:flex;flex-wrap:wrap;gap:1rem}
figure{margin:0;max-width:100%}
figcaption{font-size:12.5px}
output{display:block;min-height:1.5em;font-size:13.5px;color:var(--soft)}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;list-style:none;padding:0;margin:.3rem 0 1rem;
font-size:13px}
.legend i{display:inline-block;width:12px;height:12px;margin-right:.4em}
.words span{padding:.05em .15em;border-radius:.2em;color:var(--soft)}
.words .on{color:var(--ink);background:rgba(var(--mark),calc(.15 + .6*var(--part)))}
.words .unknown{text-decoration:underline dotted}
@media(max-width:600px){body{margin:1rem auto;padding:0 .8rem}
.surface text,.labelled text{font-size:20px}}
)";

/// Pointer and arrow keys on the cells of a map: the text of the cell goes into the line behind it.
constexpr const char* kScript = R"(<script>
for (const map of document.querySelectorAll("svg.map")) {
  const cells = [...map.querySelectorAll(".cell")], columns = +map.dataset.columns;
  let now = 0;
  const show = (at) => {
    const text = cells[at]?.querySelector("title").textContent;
    if (!text) return;
    cells[now].classList.remove("now");
    cells[now = at].classList.add("now");
    let line = map;
    while (line && line.tagName != "OUTPUT") line = line.nextElementSibling || line.parentElement;
    if (line) line.textContent = text;
  };
  map.addEventListener("pointerover", (e) => show(cells.indexOf(e.target)));
  map.addEventListener("focus", () => show(now));
  map.addEventListener("blur", () => cells[now].classList.remove("now"));
  map.addEventListener("keydown", (e) => {
    const by = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns}[e.key];
    if (by) show(now + by), e.preventDefault();
  });
}
</script>
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
      "content=\"width=device-width,initial-scale=1\"><title>" +
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
  html_ += "<div class=\"scroll\" tabindex=\"0\"><table><tr>";
  for (const std::string& cell : head) html_ += "<th>" + escaped(cell) + "</th>";
  html_ += "</tr>\n";
  for (const auto& row : rows) {
    html_ += "<tr>";
    for (const std::string& cell : row) html_ += "<td>" + escaped(cell) + "</td>";
    html_ += "</tr>\n";
  }
  html_ += "</table></div>\n";
}

void HtmlPage::value_line() {
  html_ += "<output></output>\n";
}
void HtmlPage::script_for_maps() {
  html_ += kScript;
}

Status HtmlPage::write(const std::string& path) {
  return write_file(path, html_ + "</body></html>\n");
}

}  // namespace qama::cli
