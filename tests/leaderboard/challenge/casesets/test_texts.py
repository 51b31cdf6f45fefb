"""Sentences made plain: what nobody sees goes, and is told with its name and place."""

import json
import unicodedata

import pytest

from leaderboard.challenge.casesets import problems
from leaderboard.challenge.casesets.texts import controls, made_plain
from tests.leaderboard.challenge.casesets.reading import CaseSet
from tests.leaderboard.challenge.casesets.test_official import FIRST, problems_of, read

SEEN = [
    ("a\u00a0nodule", "a nodule", "NO-BREAK SPACE (U+00A0) at character 2"),
    ("a\u202fnodule", "a nodule", "NARROW NO-BREAK SPACE (U+202F) at character 2"),
    ("a\u3000nodule", "a nodule", "IDEOGRAPHIC SPACE (U+3000) at character 2"),
    ("nod\u200bule", "nodule", "ZERO WIDTH SPACE (U+200B) at character 4"),
    ("nod\u200cule", "nodule", "ZERO WIDTH NON-JOINER (U+200C) at character 4"),
    ("nodule\u200d", "nodule", "ZERO WIDTH JOINER (U+200D) at character 7"),
    ("\ufeffnodule", "nodule", "ZERO WIDTH NO-BREAK SPACE (U+FEFF) at character 1"),
    ("\u202enodule", "nodule", "RIGHT-TO-LEFT OVERRIDE (U+202E) at character 1"),
    ("nodule\u200e", "nodule", "LEFT-TO-RIGHT MARK (U+200E) at character 7"),
    ("conso\u00adlidation", "consolidation", "SOFT HYPHEN (U+00AD) at character 6"),
    ("\u2066nodule\u2069", "nodule", "LEFT-TO-RIGHT ISOLATE (U+2066) at character 1"),
    ("de\ufb01ned", "defined", "LATIN SMALL LIGATURE FI (U+FB01) at character 3"),
    ("one\u2028two", "one\ntwo", "LINE SEPARATOR (U+2028) at character 4"),
    ("one\x85two", "one\ntwo", "NEXT LINE (U+0085) at character 4"),
    ("e\u0301tage", "étage", "COMBINING ACUTE ACCENT (U+0301) at character 2"),
]


@pytest.mark.parametrize(("written", "plain", "sign"), SEEN, ids=[row[2][:24] for row in SEEN])
def test_what_looks_like_nothing_becomes_what_it_looks_like(written: str, plain: str, sign: str) -> None:
    text, signs = made_plain(written)
    assert text == plain
    assert sign == str(signs[0])
    assert not controls(text)
    assert made_plain(text) == (plain, [])


@pytest.mark.parametrize(
    "text", ["A 5–7 mm nodule, ≥ 3 µm “spiculated”.", "line one\nline two\tand", "Schädel, 肺, 3 cm²"]
)
def test_what_people_write_stays_to_the_letter(text: str) -> None:
    assert made_plain(text) == (text, [])
    assert not controls(text)


def test_every_space_and_mark_without_width_that_unicode_has_is_made_plain() -> None:
    for code in range(0x80, 0x110000):
        char = chr(code)
        if unicodedata.category(char) in ("Zs", "Zl", "Zp", "Cf"):
            text, signs = made_plain(f"a{char}b")
            assert text in ("a b", "ab", "a\nb")
            assert signs[0].place == 2


@pytest.mark.parametrize(
    ("char", "name"),
    [
        ("\x00", "NULL (U+0000)"),
        ("\x1b", "ESCAPE (U+001B)"),
        ("\x07", "control character (U+0007)"),
        ("\x9b", "(U+009B)"),
    ],
)
def test_control_characters_are_named(char: str, name: str) -> None:
    [sign] = controls(f"ab{char}c")
    assert name in str(sign)
    assert sign.place == 3


def change(case_set: CaseSet, text: str) -> None:
    entries = case_set.entries
    entries[0]["findings"]["0"] = text
    case_set.dataset.write_text(json.dumps({"test": entries}))


def test_an_import_keeps_the_plain_sentence_and_tells_what_it_was(tiny: CaseSet) -> None:
    change(tiny, "A\u00a0solid\u200b nodule.")
    checked = read(tiny)
    assert checked.cases[0].findings[0].text == "A solid nodule."
    [note] = checked.notes
    assert (note.group, note.case) == (problems.TEXT_CHANGED, FIRST)
    assert "NO-BREAK SPACE (U+00A0) at character 2, ZERO WIDTH SPACE (U+200B) at character 8" in note.text
    assert not checked.warnings


def test_too_long_says_how_long_and_nothing_about_characters(tiny: CaseSet) -> None:
    change(tiny, "x" * 2345)
    assert problems_of(tiny)[FIRST] == ["finding 0 has 2,345 characters; at most 2,000 are taken"]


def test_a_sentence_of_marks_alone_has_no_text(tiny: CaseSet) -> None:
    change(tiny, "\u200b\u00a0")
    assert "finding 0 has no text" in problems_of(tiny)[FIRST]
