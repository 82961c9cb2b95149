#include "runtime/engine/fold.h"

#include <algorithm>
#include <cstdint>

#include "hal/base/utf8.h"

namespace qama::runtime {
namespace {

// ---- characters ---------------------------------------------------------------------------------

/// What stands for the characters from first to last.
struct Range {
  char32_t first, last;
  enum As : std::uint8_t { text, own_word, ascii } as;
  std::string_view out;  ///< of text
};

constexpr Range kRanges[] = {
    {0xA0, 0xA0, Range::text, " "},          {0xAB, 0xAB, Range::text, "\""},
    {0xAD, 0xAD, Range::text, ""},           {0xBB, 0xBB, Range::text, "\""},
    {0x2B9, 0x2B9, Range::text, "'"},        {0x2BC, 0x2BC, Range::text, "'"},
    {0x34F, 0x34F, Range::text, ""},         {0x61C, 0x61C, Range::text, ""},
    {0x1680, 0x1680, Range::text, " "},      {0x180E, 0x180E, Range::text, ""},
    {0x2000, 0x200B, Range::text, " "},      {0x200C, 0x200F, Range::text, ""},
    {0x2010, 0x2015, Range::text, "-"},      {0x2016, 0x2017, Range::own_word, ""},
    {0x2018, 0x201B, Range::text, "'"},      {0x201C, 0x201F, Range::text, "\""},
    {0x2020, 0x2023, Range::own_word, ""},   {0x2024, 0x2024, Range::text, "."},
    {0x2025, 0x2025, Range::text, ".."},     {0x2026, 0x2026, Range::text, "..."},
    {0x2027, 0x2027, Range::own_word, ""},   {0x2028, 0x2029, Range::text, " "},
    {0x202A, 0x202E, Range::text, ""},       {0x202F, 0x202F, Range::text, " "},
    {0x2030, 0x2031, Range::own_word, ""},   {0x2032, 0x2032, Range::text, "'"},
    {0x2033, 0x2033, Range::text, "\""},     {0x2034, 0x2034, Range::own_word, ""},
    {0x2035, 0x2035, Range::text, "'"},      {0x2036, 0x2036, Range::text, "\""},
    {0x2037, 0x2038, Range::own_word, ""},   {0x2039, 0x203A, Range::text, "'"},
    {0x203B, 0x2042, Range::own_word, ""},   {0x2043, 0x2043, Range::text, "-"},
    {0x2044, 0x205E, Range::own_word, ""},   {0x205F, 0x205F, Range::text, " "},
    {0x2060, 0x206F, Range::text, ""},       {0x20A0, 0x20CF, Range::own_word, ""},
    {0x2100, 0x2101, Range::own_word, ""},   {0x2122, 0x2122, Range::own_word, ""},
    {0x2190, 0x2211, Range::own_word, ""},   {0x2212, 0x2212, Range::text, "-"},
    {0x2213, 0x2BFF, Range::own_word, ""},   {0x2E00, 0x2E39, Range::own_word, ""},
    {0x2E3A, 0x2E3B, Range::text, "-"},      {0x2E3C, 0x2E5D, Range::own_word, ""},
    {0x3000, 0x3000, Range::text, " "},      {0x3001, 0x3003, Range::own_word, ""},
    {0x3008, 0x301C, Range::own_word, ""},   {0x301D, 0x301F, Range::text, "\""},
    {0x3020, 0x3020, Range::own_word, ""},   {0x3030, 0x3030, Range::own_word, ""},
    {0xE000, 0xF8FF, Range::own_word, ""},   {0xFB00, 0xFB00, Range::text, "ff"},
    {0xFB01, 0xFB01, Range::text, "fi"},     {0xFB02, 0xFB02, Range::text, "fl"},
    {0xFB03, 0xFB03, Range::text, "ffi"},    {0xFB04, 0xFB04, Range::text, "ffl"},
    {0xFB05, 0xFB06, Range::text, "st"},     {0xFE00, 0xFE0F, Range::text, ""},
    {0xFE58, 0xFE58, Range::text, "-"},      {0xFE63, 0xFE63, Range::text, "-"},
    {0xFEFF, 0xFEFF, Range::text, ""},       {0xFF01, 0xFF5E, Range::ascii, ""},
    {0xFF5F, 0xFF65, Range::own_word, ""},   {0xFFFC, 0xFFFD, Range::own_word, ""},
    {0x1F000, 0x1FAFF, Range::own_word, ""},
};

constexpr bool ordered(const Range* ranges, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    if (ranges[i].last < ranges[i].first) return false;
    if (i > 0 && ranges[i].first <= ranges[i - 1].last) return false;
  }
  return true;
}
static_assert(ordered(kRanges, std::size(kRanges)));

const Range* range_of(char32_t code) noexcept {
  const Range* found = std::lower_bound(std::begin(kRanges), std::end(kRanges), code,
                                        [](const Range& r, char32_t c) { return r.last < c; });
  return found != std::end(kRanges) && found->first <= code ? found : nullptr;
}

/// The character of `length` bytes that begins `text`, which is valid.
char32_t decoded(std::string_view text, std::size_t length) noexcept {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (length == 1) return byte(0);
  char32_t out = byte(0) & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) out = out << 6 | (byte(i) & 0x3FU);
  return out;
}

/// Writes the character and gives its bytes.
std::size_t encode(char32_t code, char* out) noexcept {
  if (code < 0x80) {
    out[0] = static_cast<char>(code);
    return 1;
  }
  const std::size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (std::size_t i = length; i-- > 1; code >>= 6) {
    out[i] = static_cast<char>(0x80U | (code & 0x3FU));
  }
  constexpr std::uint32_t kLead[] = {0, 0, 0xC0, 0xE0, 0xF0};
  out[0] = static_cast<char>(kLead[length] | code);
  return length;
}

// ---- HTML ---------------------------------------------------------------------------------------

struct Element {
  std::string_view name;
  bool runs_along;  ///< with the text: a browser breaks no word there
};

constexpr Element kElements[] = {
    {"a", true},           {"abbr", true},      {"acronym", true},   {"address", false},
    {"applet", false},     {"area", false},     {"article", false},  {"aside", false},
    {"audio", false},      {"b", true},         {"base", false},     {"bdi", true},
    {"bdo", true},         {"big", true},       {"blink", false},    {"blockquote", false},
    {"body", false},       {"br", false},       {"button", false},   {"canvas", false},
    {"caption", false},    {"center", false},   {"cite", true},      {"code", true},
    {"col", false},        {"colgroup", false}, {"data", true},      {"datalist", false},
    {"dd", false},         {"del", true},       {"details", false},  {"dfn", true},
    {"dialog", false},     {"dir", false},      {"div", false},      {"dl", false},
    {"dt", false},         {"em", true},        {"embed", false},    {"fieldset", false},
    {"figcaption", false}, {"figure", false},   {"font", true},      {"footer", false},
    {"form", false},       {"frame", false},    {"frameset", false}, {"h1", false},
    {"h2", false},         {"h3", false},       {"h4", false},       {"h5", false},
    {"h6", false},         {"head", false},     {"header", false},   {"hgroup", false},
    {"hr", false},         {"html", false},     {"i", true},         {"iframe", false},
    {"img", false},        {"input", false},    {"ins", true},       {"kbd", true},
    {"label", true},       {"legend", false},   {"li", false},       {"link", false},
    {"main", false},       {"map", false},      {"mark", true},      {"marquee", false},
    {"menu", false},       {"meta", false},     {"meter", false},    {"nav", false},
    {"nobr", true},        {"noscript", false}, {"object", false},   {"ol", false},
    {"optgroup", false},   {"option", false},   {"output", false},   {"p", false},
    {"param", false},      {"picture", false},  {"pre", false},      {"progress", false},
    {"q", true},           {"rb", true},        {"rp", true},        {"rt", true},
    {"rtc", true},         {"ruby", true},      {"s", true},         {"samp", true},
    {"script", false},     {"section", false},  {"select", false},   {"small", true},
    {"source", false},     {"span", true},      {"strike", true},    {"strong", true},
    {"style", false},      {"sub", true},       {"summary", false},  {"sup", true},
    {"svg", false},        {"table", false},    {"tbody", false},    {"td", false},
    {"template", false},   {"textarea", false}, {"tfoot", false},    {"th", false},
    {"thead", false},      {"time", true},      {"title", false},    {"tr", false},
    {"track", false},      {"tt", true},        {"u", true},         {"ul", false},
    {"var", true},         {"video", false},    {"wbr", true},
};

struct Name {
  std::string_view name;
  char32_t code;
};

constexpr Name kNames[] = {
    {"AElig", 0xC6},    {"Aacute", 0xC1},   {"Acirc", 0xC2},    {"Agrave", 0xC0},
    {"Aring", 0xC5},    {"Atilde", 0xC3},   {"Auml", 0xC4},     {"Ccedil", 0xC7},
    {"Dagger", 0x2021}, {"ETH", 0xD0},      {"Eacute", 0xC9},   {"Ecirc", 0xCA},
    {"Egrave", 0xC8},   {"Euml", 0xCB},     {"Iacute", 0xCD},   {"Icirc", 0xCE},
    {"Igrave", 0xCC},   {"Iuml", 0xCF},     {"Ntilde", 0xD1},   {"OElig", 0x152},
    {"Oacute", 0xD3},   {"Ocirc", 0xD4},    {"Ograve", 0xD2},   {"Oslash", 0xD8},
    {"Otilde", 0xD5},   {"Ouml", 0xD6},     {"Prime", 0x2033},  {"Scaron", 0x160},
    {"THORN", 0xDE},    {"Uacute", 0xDA},   {"Ucirc", 0xDB},    {"Ugrave", 0xD9},
    {"Uuml", 0xDC},     {"Yacute", 0xDD},   {"Yuml", 0x178},    {"aacute", 0xE1},
    {"acirc", 0xE2},    {"acute", 0xB4},    {"aelig", 0xE6},    {"agrave", 0xE0},
    {"amp", 0x26},      {"apos", 0x27},     {"aring", 0xE5},    {"atilde", 0xE3},
    {"auml", 0xE4},     {"bdquo", 0x201E},  {"brvbar", 0xA6},   {"bull", 0x2022},
    {"ccedil", 0xE7},   {"cedil", 0xB8},    {"cent", 0xA2},     {"copy", 0xA9},
    {"curren", 0xA4},   {"dagger", 0x2020}, {"deg", 0xB0},      {"divide", 0xF7},
    {"eacute", 0xE9},   {"ecirc", 0xEA},    {"egrave", 0xE8},   {"emsp", 0x2003},
    {"ensp", 0x2002},   {"eth", 0xF0},      {"euml", 0xEB},     {"euro", 0x20AC},
    {"frac12", 0xBD},   {"frac14", 0xBC},   {"frac34", 0xBE},   {"gt", 0x3E},
    {"hearts", 0x2665}, {"hellip", 0x2026}, {"iacute", 0xED},   {"icirc", 0xEE},
    {"iexcl", 0xA1},    {"igrave", 0xEC},   {"iquest", 0xBF},   {"iuml", 0xEF},
    {"laquo", 0xAB},    {"larr", 0x2190},   {"ldquo", 0x201C},  {"lrm", 0x200E},
    {"lsaquo", 0x2039}, {"lsquo", 0x2018},  {"lt", 0x3C},       {"macr", 0xAF},
    {"mdash", 0x2014},  {"micro", 0xB5},    {"middot", 0xB7},   {"minus", 0x2212},
    {"nbsp", 0xA0},     {"ndash", 0x2013},  {"not", 0xAC},      {"ntilde", 0xF1},
    {"oacute", 0xF3},   {"ocirc", 0xF4},    {"oelig", 0x153},   {"ograve", 0xF2},
    {"ordf", 0xAA},     {"ordm", 0xBA},     {"oslash", 0xF8},   {"otilde", 0xF5},
    {"ouml", 0xF6},     {"para", 0xB6},     {"permil", 0x2030}, {"plusmn", 0xB1},
    {"pound", 0xA3},    {"prime", 0x2032},  {"quot", 0x22},     {"raquo", 0xBB},
    {"rarr", 0x2192},   {"rdquo", 0x201D},  {"reg", 0xAE},      {"rlm", 0x200F},
    {"rsaquo", 0x203A}, {"rsquo", 0x2019},  {"sbquo", 0x201A},  {"scaron", 0x161},
    {"sect", 0xA7},     {"shy", 0xAD},      {"sup1", 0xB9},     {"sup2", 0xB2},
    {"sup3", 0xB3},     {"szlig", 0xDF},    {"thinsp", 0x2009}, {"thorn", 0xFE},
    {"times", 0xD7},    {"trade", 0x2122},  {"uacute", 0xFA},   {"ucirc", 0xFB},
    {"ugrave", 0xF9},   {"uml", 0xA8},      {"uuml", 0xFC},     {"yacute", 0xFD},
    {"yen", 0xA5},      {"yuml", 0xFF},     {"zwj", 0x200D},    {"zwnj", 0x200C},
};

/// What browsers read in the numbers 128 to 159, as pages written in Windows-1252 mean them.
constexpr char32_t kWindows[] = {
    0x20AC, 0x81,   0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021, 0x2C6,  0x2030, 0x160,
    0x2039, 0x152,  0x8D,   0x17D,  0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x2DC,  0x2122, 0x161,  0x203A, 0x153,  0x9D,   0x17E,  0x178,
};

template <typename Entry>
constexpr bool sorted(const Entry* entries, std::size_t count) {
  for (std::size_t i = 1; i < count; ++i) {
    if (entries[i].name <= entries[i - 1].name) return false;
  }
  return true;
}
static_assert(sorted(kElements, std::size(kElements)) && sorted(kNames, std::size(kNames)));
static_assert(std::size(kWindows) == 32);

template <typename Entry, std::size_t count>
const Entry* find(const Entry (&entries)[count], std::string_view name) noexcept {
  const Entry* found =
      std::lower_bound(std::begin(entries), std::end(entries), name,
                       [](const Entry& e, std::string_view n) { return e.name < n; });
  return found != std::end(entries) && found->name == name ? found : nullptr;
}

constexpr std::size_t kLongestElement = 10;
constexpr std::size_t kLongestName = 7;  // of a character reference, also in digits

bool is_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

/// Whether `text` goes on as a tag does behind its name: a blank, `/` or `>`.
bool ends_name(std::string_view text) noexcept {
  const std::size_t length = utf8_length(text);
  if (length == 0) return false;
  if (length == 1) return std::string_view(" \t\n\v\f\r/>").find(text[0]) != std::string_view::npos;
  const Range* range = range_of(decoded(text, length));
  return range != nullptr && range->as == Range::text && range->out == " ";
}

/// The number in `digits`; false: they are none.
bool number(std::string_view digits, std::uint32_t base, char32_t& out) noexcept {
  if (digits.empty()) return false;
  out = 0;
  for (const char c : digits) {
    std::uint32_t value = base;
    if (is_digit(c)) value = static_cast<std::uint32_t>(c - '0');
    if (is_letter(c)) value = static_cast<std::uint32_t>((c | 0x20) - 'a') + 10;
    if (value >= base) return false;
    out = out * base + value;
  }
  return true;
}

}  // namespace

std::string_view FoldedText::take(std::size_t bytes) noexcept {
  const std::string_view out = rest_.substr(0, bytes);
  rest_.remove_prefix(bytes);
  return out;
}

/// What stands for a character.
std::string_view FoldedText::symbol(char32_t code) noexcept {
  const Range* range = range_of(code);
  if (range != nullptr && range->as == Range::text) return range->out;
  if (range != nullptr && range->as == Range::ascii) code -= 0xFEE0;
  const bool own_word = range != nullptr && range->as == Range::own_word;
  std::size_t size = 0;
  if (own_word) made_[size++] = ' ';
  size += encode(code, made_.data() + size);
  if (own_word) made_[size++] = ' ';
  return {made_.data(), size};
}

bool FoldedText::tag(std::string_view& out) noexcept {
  std::size_t at = 1;
  if (at < rest_.size() && rest_[at] == '!') {
    out = "";
  } else {
    if (at < rest_.size() && rest_[at] == '/') ++at;
    std::array<char, kLongestElement> name;
    std::size_t size = 0;
    while (at < rest_.size() && size < name.size() &&
           (is_letter(rest_[at]) || is_digit(rest_[at]))) {
      name[size++] = is_letter(rest_[at]) ? static_cast<char>(rest_[at] | 0x20) : rest_[at];
      ++at;
    }
    if (!ends_name(rest_.substr(at))) return false;
    const Element* element = find(kElements, {name.data(), size});
    if (element == nullptr) return false;
    out = element->runs_along ? "" : " ";
  }
  at = rest_.find_first_of("<>", at);
  if (at == std::string_view::npos || rest_[at] == '<') return false;
  rest_.remove_prefix(at + 1);
  return true;
}

bool FoldedText::reference(std::string_view& out) noexcept {
  const std::size_t end = rest_.substr(0, kLongestName + 4).find(';');
  if (end == std::string_view::npos || end < 2) return false;
  const std::string_view inside = rest_.substr(1, end - 1);
  char32_t code = 0;
  if (inside[0] != '#') {
    const Name* name = find(kNames, inside);
    if (name == nullptr) return false;
    code = name->code;
  } else if (inside.size() > 1 && (inside[1] | 0x20) == 'x') {
    if (inside.size() > 8 || !number(inside.substr(2), 16, code)) return false;
  } else if (inside.size() > 8 || !number(inside.substr(1), 10, code)) {
    return false;
  }
  if (inside[0] == '#' && code >= 0x80 && code < 0xA0) code = kWindows[code - 0x80];
  if (code == 0 || (code >= 0xD800 && code < 0xE000) || code > 0x10FFFF) return false;
  rest_.remove_prefix(end + 1);
  out = symbol(code);
  return true;
}

std::string_view FoldedText::next() noexcept {
  while (!rest_.empty()) {
    const char c = rest_[0];
    std::string_view out;
    if ((c == '<' && tag(out)) || (c == '&' && reference(out))) {
      if (!out.empty()) return out;
      continue;
    }
    if (static_cast<unsigned char>(c) < 0x80) {
      // Up to what may have to be replaced.
      const auto* end = std::find_if(rest_.begin() + 1, rest_.end(), [](char d) {
        return d == '<' || d == '&' || static_cast<unsigned char>(d) >= 0x80;
      });
      return take(static_cast<std::size_t>(end - rest_.begin()));
    }
    const std::size_t length = utf8_length(rest_);
    if (length == 0) return take(1);
    const char32_t code = decoded(rest_, length);
    if (range_of(code) == nullptr) return take(length);
    rest_.remove_prefix(length);
    out = symbol(code);
    if (!out.empty()) return out;
  }
  return {};
}

}  // namespace qama::runtime
