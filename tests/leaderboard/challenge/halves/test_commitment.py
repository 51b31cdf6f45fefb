"""The commitment to a half: it can be checked, it can't be changed, and it tells no name."""

import hashlib
import hmac
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leaderboard.challenge.halves.commitment import commitment_to, opening, tag

SECRET = bytes(range(32))
NAMES = [f"case_{number:04}.nii.gz" for number in range(40)]
HALF = frozenset(NAMES[::2])
DIGEST = "sha256:" + "a" * 64
TEXT = opening(SECRET, NAMES, HALF, DIGEST)


def test_the_opening_says_of_each_case_on_which_side_it_is():
    head, *lines = TEXT.splitlines()
    assert head == "rexgrounding public half, version 1"
    code = hmac.new(SECRET, b"set " + DIGEST.encode(), hashlib.sha256).hexdigest()
    assert lines[:2] == [f"case set {code}", "cases 40, public 20"]
    told = dict(line.split(" ") for line in lines[2:])
    assert len(told) == 40
    for name in NAMES:
        code = hmac.new(SECRET, b"case " + name.encode(), hashlib.sha256).hexdigest()
        assert told[code] == ("public" if name in HALF else "withheld")


def test_its_sha256_is_the_commitment_as_anybody_computes_it(tmp_path):
    (tmp_path / "half.txt").write_text(TEXT)
    said = subprocess.run(["sha256sum", tmp_path / "half.txt"], capture_output=True, text=True, check=True)
    assert commitment_to(TEXT) == f"sha256:{said.stdout.split()[0]}"


def test_it_tells_no_name_nor_digest_and_neither_order_nor_length_depends_on_the_half():
    assert not any(name.removesuffix(".nii.gz") in TEXT for name in NAMES)
    assert DIGEST[7:] not in TEXT
    other = opening(SECRET, reversed(NAMES), frozenset(NAMES[1::2]), DIGEST)
    assert re.findall("^[0-9a-f]{64}", TEXT, re.MULTILINE) == re.findall("^[0-9a-f]{64}", other, re.MULTILINE)
    assert opening(SECRET, reversed(NAMES), HALF, DIGEST) == TEXT


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param((SECRET, NAMES, HALF ^ {NAMES[0], NAMES[1]}, DIGEST), id="two cases change sides"),
        pytest.param((SECRET, NAMES, HALF - {NAMES[0]}, DIGEST), id="one case leaves"),
        pytest.param((SECRET, [*NAMES[:-1], "case_0040.nii.gz"], HALF, DIGEST), id="another case"),
        pytest.param((SECRET, NAMES[:-1], HALF, DIGEST), id="a case less"),
        pytest.param((bytes(32), NAMES, HALF, DIGEST), id="another secret"),
        pytest.param((SECRET, NAMES, HALF, "sha256:" + "b" * 64), id="another set"),
    ],
)
def test_whatever_is_changed_afterwards_has_another_commitment(changed):
    assert commitment_to(opening(*changed)) != commitment_to(TEXT)


def test_who_knows_everything_but_the_secret_cannot_tell_a_half_from_its_rest_by_the_commitment():
    rest = frozenset(NAMES) - HALF
    guesses = {commitment_to(opening(key, NAMES, side, DIGEST)) for key in (b"", bytes(32)) for side in (HALF, rest)}
    assert commitment_to(TEXT) not in guesses


def test_codes_of_different_secrets_have_nothing_in_common():
    assert tag(SECRET, NAMES[0]) != tag(bytes(32), NAMES[0])


class TestAsTheDocumentsCheckIt:
    @pytest.fixture
    def check(self) -> Callable[..., dict[str, str]]:
        document = Path(__file__).parents[4] / "docs" / "public-half.md"
        [code] = re.findall("```python\n(.*?)```", document.read_text(), re.DOTALL)
        found: dict[str, Any] = {}
        exec(code, found)
        return found["check"]

    def test_who_has_secret_and_names_reads_the_sides(self, check):
        sides = check(TEXT, commitment_to(TEXT), SECRET.hex(), NAMES)
        assert {name for name, side in sides.items() if side == "public"} == HALF

    @pytest.mark.parametrize("wrong", [{"text": TEXT + " "}, {"secret": "00" * 32}, {"names": NAMES[1:]}])
    def test_and_is_told_of_what_was_changed(self, check, wrong):
        right = {"text": TEXT, "commitment": commitment_to(TEXT), "secret": SECRET.hex(), "names": NAMES}
        with pytest.raises(AssertionError):
            check(**right | wrong)
