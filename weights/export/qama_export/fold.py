"""What the tokenisers do to a text before they split it; FORMAT.md has the rules, the runtime
implements the same ones (runtime/engine/fold.cpp), and tests/golden/text holds both to a table.

fold(text) reads from left to right, once: a tag of HTML, a character reference or a character
becomes what stands for it, and what has become is not read again.
"""
import re

# HTML's elements. A browser breaks no word at those that run along with the text.
INLINE = (
    "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark "
    "nobr q rb rp rt rtc ruby s samp small span strike strong sub sup time tt u var "
    "wbr".split())
BLOCK = (
    "address applet area article aside audio base blink blockquote body br button canvas "
    "caption center col colgroup datalist dd details dialog dir div dl dt embed fieldset "
    "figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr "
    "html iframe img input legend li link main map marquee menu meta meter nav noscript "
    "object ol optgroup option output p param picture pre progress script section select "
    "source style summary svg table tbody td template textarea tfoot th thead title tr "
    "track ul video".split())

# The names of HTML's character references: of U+00A0 to U+00FF in order, then by their code.
LATIN = ("nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg "
         "plusmn sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 "
         "iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml "
         "Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave "
         "Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil "
         "egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde "
         "ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml").split()
NAMES = {**{name: 0xA0 + number for number, name in enumerate(LATIN)},
         "quot": 0x22, "amp": 0x26, "apos": 0x27, "lt": 0x3C, "gt": 0x3E, "OElig": 0x152,
         "oelig": 0x153, "Scaron": 0x160, "scaron": 0x161, "Yuml": 0x178, "ensp": 0x2002,
         "emsp": 0x2003, "thinsp": 0x2009, "zwnj": 0x200C, "zwj": 0x200D, "lrm": 0x200E,
         "rlm": 0x200F, "ndash": 0x2013, "mdash": 0x2014, "lsquo": 0x2018, "rsquo": 0x2019,
         "sbquo": 0x201A, "ldquo": 0x201C, "rdquo": 0x201D, "bdquo": 0x201E, "dagger": 0x2020,
         "Dagger": 0x2021, "bull": 0x2022, "hellip": 0x2026, "permil": 0x2030, "prime": 0x2032,
         "Prime": 0x2033, "lsaquo": 0x2039, "rsaquo": 0x203A, "euro": 0x20AC, "trade": 0x2122,
         "larr": 0x2190, "rarr": 0x2192, "minus": 0x2212, "hearts": 0x2665}
# What browsers read in the numbers 128 to 159, as pages written in Windows-1252 mean them.
WINDOWS = (0x20AC, 0x81, 0x201A, 0x192, 0x201E, 0x2026, 0x2020, 0x2021, 0x2C6, 0x2030, 0x160,
           0x2039, 0x152, 0x8D, 0x17D, 0x8F, 0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013,
           0x2014, 0x2DC, 0x2122, 0x161, 0x203A, 0x153, 0x9D, 0x17E, 0x178)


def _table():
    """Code point -> what stands for it, for str.translate."""
    def codes(*ranges):
        for first, last in ranges:
            yield from range(first, last + 1)

    out = {}
    # Symbols and punctuation of no alphabet are words of their own.
    for code in codes((0x2016, 0x2017), (0x2020, 0x2023), (0x2027, 0x2027), (0x2030, 0x205E),
                      (0x20A0, 0x20CF), (0x2100, 0x2101), (0x2122, 0x2122), (0x2190, 0x2BFF),
                      (0x2E00, 0x2E5D), (0x3001, 0x3003), (0x3008, 0x3020), (0x3030, 0x3030),
                      (0xE000, 0xF8FF), (0xFF5F, 0xFF65), (0xFFFC, 0xFFFD), (0x1F000, 0x1FAFF)):
        out[code] = f" {chr(code)} "
    for code in codes((0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200B), (0x2028, 0x2029),
                      (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)):
        out[code] = " "
    for code in codes((0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x180E, 0x180E),
                      (0x200C, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0xFE00, 0xFE0F),
                      (0xFEFF, 0xFEFF)):
        out[code] = ""
    for code in codes((0x2B9, 0x2B9), (0x2BC, 0x2BC), (0x2018, 0x201B), (0x2032, 0x2032),
                      (0x2035, 0x2035), (0x2039, 0x203A)):
        out[code] = "'"
    for code in codes((0xAB, 0xAB), (0xBB, 0xBB), (0x201C, 0x201F), (0x2033, 0x2033),
                      (0x2036, 0x2036), (0x301D, 0x301F)):
        out[code] = '"'
    for code in codes((0x2010, 0x2015), (0x2043, 0x2043), (0x2212, 0x2212), (0x2E3A, 0x2E3B),
                      (0xFE58, 0xFE58), (0xFE63, 0xFE63)):
        out[code] = "-"
    for code in codes((0x2024, 0x2026)):
        out[code] = "." * (code - 0x2023)
    for code in codes((0xFF01, 0xFF5E)):
        out[code] = chr(code - 0xFEE0)
    out.update(zip(range(0xFB00, 0xFB07), ("ff", "fi", "fl", "ffi", "ffl", "st", "st")))
    return out


TABLE = _table()
_BLANKS = "".join(chr(code) for code, becomes in TABLE.items() if becomes == " ")
# No `<` is inside of a tag, so that looking for its end takes no longer than the text.
_MARKUP = re.compile(rf"<(?:!|/?(?i:({'|'.join(INLINE)})|{'|'.join(BLOCK)})(?=[\s{_BLANKS}/>]))"
                     r"[^<>]*>"
                     r"|&(?:#([0-9]{1,7})|#[xX]([0-9A-Fa-f]{1,6})|([A-Za-z][A-Za-z0-9]{1,6}));",
                     re.ASCII)


def _of_markup(found):
    """What a tag or a character reference becomes."""
    inline, decimal, hexadecimal, name = found.groups()
    if found.group().startswith("<"):
        return "" if inline or found.group().startswith("<!") else " "
    if name is not None:
        code = NAMES.get(name, 0)
    else:
        code = int(decimal) if decimal else int(hexadecimal, 16)
        if 0x80 <= code < 0xA0:
            code = WINDOWS[code - 0x80]
    if code == 0 or 0xD800 <= code < 0xE000 or code > 0x10FFFF:
        return found.group()
    return TABLE.get(code, chr(code))


def fold(text):
    """The folded text of a str; bytes that are no UTF-8 (surrogate escapes) stay as they are."""
    parts = []
    at = 0
    for found in _MARKUP.finditer(text):
        parts += text[at:found.start()].translate(TABLE), _of_markup(found)
        at = found.end()
    parts.append(text[at:].translate(TABLE))
    return "".join(parts)
