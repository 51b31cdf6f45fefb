"""What teams write about their methods, as HTML: CommonMark with tables and formulas, and nothing brought along.

The text is a stranger's. So HTML in it stays text, pictures are none, links lead to other sites alone, and what the
parser made is cleaned once more by a list of what a page may hold. What is shown is the whole of it: `leaderboard`'s
pages and its preview call the same function. Organisers' texts (news, answers) go the same way; their links may lead to
pages of this site, too, and are whole addresses in what comes out, as feeds need them.

No text may hold a page up. Each is bounded by characters and by what comes out; a formula also by its depth, since its
converter is a native one that descends by its own stack. What is beyond a bound is shown as it was written.
"""

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from html import escape
from importlib import import_module
from typing import Any

import nh3
from django.conf import settings
from markdown_it import MarkdownIt
from markdown_it.token import Token
from math_core import LatexError, LatexToMathML
from mdit_py_plugins.dollarmath import dollarmath_plugin

from leaderboard.core.text import sanitised

MAX_CHARACTERS = 30_000
MAX_HTML_CHARACTERS = 200_000
MAX_FORMULA_CHARACTERS = 2_000
MAX_FORMULA_DEPTH = 30
MAX_MATHML_CHARACTERS = 60_000
MAX_EXPANSIONS = 100  # of the converter's own short forms, as \argmax

# Cells that rows lack of their heads' are filled in by the parser, to so many: one long head would make of each short
# line a long row.
import_module("markdown_it.rules_block.table").MAX_AUTOCOMPLETED_CELLS = 4_000  # type: ignore[attr-defined]

_OWN_PAGE = re.compile(r"/(?![/\\])")
_LINK = re.compile(r"(?:https?://|mailto:)[^\s]", re.IGNORECASE)
_DEFINES = re.compile(r"\\(?:(?:new|renew|provide)[a-zA-Z]*|[a-zA-Z]*def|let|Declare[a-zA-Z]*)|(?<!\\)#")
_STYLED = re.compile(r'(<[^<>]*?) style="([^"<>]*)"')
#: How a cell of a formula is aligned and ruled is said by classes: our pages let no element bring a style of its own.
_STYLES = {"text-align: left": "l", "text-align: right": "r", "border-top": "t", "border-right": "b"}
_SHORT_LENGTH = re.compile(r"\d?(?:\.\d+)?(?:em)?")

_OF_FORMULAS = {
    "math": {"display"},
    "mfrac": {"displaystyle", "scriptlevel", "linethickness"},
    "mi": {"mathvariant"},
    "mo": {"stretchy", "form", "fence", "separator", "movablelimits", "largeop", "symmetric", "lspace", "rspace"}
    | {"minsize", "maxsize"},
    "mover": {"accent"},
    "mspace": {"width"},
    "mstyle": {"displaystyle", "scriptlevel"},
    "mtable": {"displaystyle", "scriptlevel"},
    "mtd": {"columnspan"},
    "munder": {"accentunder"},
    "munderover": {"accent", "accentunder"},
}
_OF_TEXT = {
    "a": {"href", "title"},
    "div": {"tabindex", "role", "aria-label"},
    "ol": {"start"},
    "pre": {"tabindex"},
    "th": {"scope"},
}
_WITHOUT_ATTRIBUTES = {
    *("blockquote", "br", "code", "em", "hr", "li", "p", "strong"),
    *("table", "tbody", "td", "thead", "tr", "ul"),
    *("menclose", "mmultiscripts", "mn", "mpadded", "mphantom", "mprescripts", "mroot", "mrow"),
    *("msqrt", "msub", "msubsup", "msup", "mtext", "mtr"),
}
_LENGTHS = frozenset({"width", "lspace", "rspace", "minsize", "maxsize", "linethickness"})


BELOW_TEAMS = 3  # the level of the headings below which a team's stand


@lru_cache(maxsize=64)
def as_html(text: str, *, below: int = BELOW_TEAMS, of_organisers: bool = False) -> str:
    """Markdown as HTML that a page may hold as it is; its headings stand `below` the page's own of this level."""
    source = sanitised(text)
    html = _parser(below, of_organisers).render(source) if len(source) <= MAX_CHARACTERS else ""
    if not html or len(html) > MAX_HTML_CHARACTERS:
        html = f"<pre>{escape(source)}</pre>" if source.strip() else ""
    html = html.replace("<pre>", '<pre tabindex="0">')  # what is wide scrolls by itself, by keyboard too
    # Once more at the end: what was no character before may be one now (&#x202e;).
    return sanitised(_cleaner(below, of_organisers).clean(html))


@cache
def _cleaner(below: int, of_organisers: bool) -> nh3.Cleaner:
    allowed = _OF_TEXT | _OF_FORMULAS
    return nh3.Cleaner(
        tags=allowed.keys() | _WITHOUT_ATTRIBUTES | {f"h{level}" for level in range(below + 1, 7)},
        clean_content_tags={"script", "style"},
        attributes=allowed,
        attribute_filter=_kept_attribute,
        allowed_classes={"div": {"wide"}, "td": {"n"}, "th": {"n"}, "mtd": set(_STYLES.values())},
        link_rel="noopener" if of_organisers else "nofollow noopener ugc",
        url_schemes={"http", "https", "mailto"},
        url_relative="deny",
    )


def _kept_attribute(_tag: str, name: str, value: str) -> str | None:
    """Lengths of formulas are short ones: nothing reaches over what stands beside it."""
    return value if name not in _LENGTHS or _SHORT_LENGTH.fullmatch(value) else None


@cache
def _parser(below: int, of_organisers: bool) -> MarkdownIt:
    """Formulas as Pandoc knows them: $5 is five dollars, and $x$ is x."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    parser.validateLink = _is_link_of_organisers if of_organisers else _is_link  # type: ignore[method-assign]
    parser.use(
        dollarmath_plugin,
        allow_labels=False,
        allow_space=False,
        allow_digits=False,
        allow_blank_lines=False,
        double_inline=True,
    )
    parser.core.ruler.push("fit_the_page", lambda state: _fit_the_page(state.tokens, below))
    for kind in ("math_inline", "math_inline_double", "math_block", "table_open", "table_close"):
        parser.add_render_rule(kind, _rendered)
    return parser


def _is_link(url: str) -> bool:
    return bool(_LINK.match(url))


def _is_link_of_organisers(url: str) -> bool:
    return bool(_LINK.match(url) or _OWN_PAGE.match(url))


def _fit_the_page(tokens: Sequence[Token], below: int) -> None:
    """Put headings below the page's own, make addresses of this site whole, say by a class how a cell is aligned."""
    for token in tokens:
        for inner in token.children or ():
            if _OWN_PAGE.match(target := str(inner.attrs.get("href", ""))):
                inner.attrs["href"] = settings.SITE_URL + target
        if token.type in {"th_open", "td_open"}:
            style = str(token.attrs.pop("style", ""))
            token.attrs |= {"class": "n"} if style.endswith("right") else {}
            token.attrs |= {"scope": "col"} if token.type == "th_open" else {}
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, int(token.tag[1]) + below)}"


_BEFORE_WIDE = '<div class="wide" tabindex="0" role="group" aria-label="{}">'  # what is wide scrolls by itself


def _rendered(_renderer: Any, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    token = tokens[index]
    if token.type == "table_open":
        return f"{_BEFORE_WIDE.format('Table')}<table>\n"
    if token.type == "table_close":
        return "</table></div>\n"
    formula = _formula(token.content.strip(), is_display=token.type != "math_inline", markup=token.markup)
    return f"{_BEFORE_WIDE.format('Formula')}{formula}</div>\n" if token.type == "math_block" else formula


def _formula(latex: str, *, is_display: bool, markup: str) -> str:
    """A formula as MathML; as it was written where it cannot be converted, or is beyond the bounds."""
    mathml = _mathml(latex, is_display=is_display) if _is_bounded(latex) else ""
    if mathml and len(mathml) <= MAX_MATHML_CHARACTERS:
        return _STYLED.sub(lambda found: f'{found[1]} class="{_classes(found[2])}"', mathml)
    return f"<code>{escape(f'{markup}{latex}{markup}')}</code>"


def _is_bounded(latex: str) -> bool:
    """Short, flat, and without short forms of its own, whose use could be without end."""
    depth = deepest = 0
    for letter in latex:
        depth += (letter == "{") - (letter == "}")
        deepest = max(deepest, depth)
    return len(latex) <= MAX_FORMULA_CHARACTERS and deepest <= MAX_FORMULA_DEPTH and not _DEFINES.search(latex)


def _mathml(latex: str, *, is_display: bool) -> str:
    try:
        return _converter().convert_with_local_state(latex, displaystyle=is_display)
    except LatexError:
        return ""


@cache
def _converter() -> LatexToMathML:
    return LatexToMathML(fancy_error=False, max_expansions=MAX_EXPANSIONS)


def _classes(style: str) -> str:
    return " ".join(name for said, name in _STYLES.items() if said in style)
