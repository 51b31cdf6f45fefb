"""Half of the cases, drawn with a secret: even, and not to be foreseen."""

import hashlib
import random
import subprocess
import sys
from collections import Counter
from functools import cache
from itertools import combinations
from statistics import mean

import pytest

from leaderboard.challenge.halves.drawing import TOLERANCE, balance, draw, imbalance
from leaderboard.challenge.halves.strata import CaseFacts
from tests.leaderboard.challenge.halves import realistic


def secret(number: int) -> bytes:
    return hashlib.sha256(b"a secret of the tests %d" % number).digest()


def at_random(cases: list[CaseFacts], number: int) -> frozenset[str]:
    """As halves used to be drawn: whatever their cases are."""
    names = sorted(case.name for case in cases)
    random.Random(number).shuffle(names)
    return frozenset(names[: len(names) // 2])


def chi_square(cases: list[CaseFacts], half: frozenset[str]) -> float:
    """How uneven a half is, in the usual measure; not the one that the drawing goes by."""
    return sum((line.public - line.n / 2) ** 2 / (line.n / 2) for line in balance(cases, half))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 10, 31, 100, 300, 301])
def test_it_is_half_of_the_cases(count):
    cases = realistic.case_set(count)
    half = draw(cases, secret(1))
    assert len(half) == count // 2
    assert half <= {case.name for case in cases}


def test_the_secret_and_the_set_give_it_again_in_whatever_order_the_cases_come():
    cases = realistic.case_set(120)
    shuffled = random.Random(5).sample(cases, len(cases))
    assert draw(shuffled, secret(1)) == draw(cases, secret(1))


def test_a_half_that_was_drawn_once_is_drawn_again_by_later_versions():
    half = "\n".join(sorted(draw(realistic.case_set(300), secret(1))))
    assert (
        hashlib.sha256(half.encode()).hexdigest() == "3f409ec15efe045defc036aeb0e7e7ca4812881800bd3723d6c23f4150702cc8"
    )


@pytest.mark.parametrize("count", [60, 200, 300])
def test_in_every_group_both_halves_have_as_many_to_within_two(count):
    cases = realistic.case_set(count, seed=count)
    for number in range(25):
        half = draw(cases, secret(number))
        apart = {line.code: abs(line.public - line.withheld) for line in balance(cases, half)}
        assert max(apart.values()) <= 2 * TOLERANCE, apart
        assert imbalance(cases, half) == 0


def test_it_is_far_more_even_than_halves_drawn_whatever_the_cases_are():
    cases = realistic.case_set(300)
    ours = [chi_square(cases, draw(cases, secret(number))) for number in range(40)]
    plain = [chi_square(cases, at_random(cases, number)) for number in range(150)]
    assert mean(ours) < mean(plain) / 5
    assert max(ours) < min(plain)
    assert not any(imbalance(cases, at_random(cases, number)) == 0 for number in range(150))


def test_an_odd_number_of_cases_is_as_even_as_their_number_lets_it_be():
    cases = realistic.case_set(301)
    off = [imbalance(cases, draw(cases, secret(number))) for number in range(10)]
    assert max(off) < 1


@cache
def by_200_secrets() -> tuple[list[CaseFacts], list[frozenset[str]]]:
    """A hundred cases, and the halves that 200 secrets give."""
    cases = realistic.case_set(100)
    return cases, [draw(cases, secret(number)) for number in range(200)]


def test_any_two_secrets_give_different_halves():
    _, halves = by_200_secrets()
    assert len(set(halves)) == len(halves)


def test_each_case_is_public_by_half_of_the_secrets_however_rare_it_is():
    cases, halves = by_200_secrets()
    times = Counter(name for half in halves for name in half)
    # 200 throws of a coin: 100, with a standard deviation of 7.
    assert all(65 < times[case.name] < 135 for case in cases)


def test_who_knows_one_half_knows_nothing_of_another():
    """Two of 50 of 100 have 25 in common, with a standard deviation of 2.5, unless both come near one best half."""
    _, halves = by_200_secrets()
    common = [len(one & other) for one, other in combinations(halves[:100], 2)]
    assert 24.8 < mean(common) < 25.2
    assert mean((each - 25) ** 2 for each in common) < 1.3 * 2.5**2


def test_of_a_few_cases_there_are_many_halves_too():
    cases = realistic.case_set(12)
    assert len({draw(cases, secret(number)) for number in range(300)}) > 30


class TestPatients:
    def test_all_cases_of_one_are_on_one_side(self):
        cases = [
            CaseFacts(name, one.findings, one.voxel_mm3)
            for patient, one in enumerate(realistic.case_set(60))
            for name in (f"train_{patient}_a_1.nii.gz", f"train_{patient}_a_2.nii.gz", f"train_{patient}_b_1.nii.gz")
        ]
        for number in range(3):
            half = draw(cases, secret(number))
            assert len(half) == 90
            assert Counter(name.split("_")[1] for name in half).most_common()[-1][1] == 3

    def test_with_some_of_several_cases_it_still_is_half(self):
        plain = realistic.case_set(80)
        names = [f"train_{number if number > 5 else 0}_{'abcdef'[number % 6]}_{number}.nii.gz" for number in range(80)]
        cases = [CaseFacts(name, one.findings, one.voxel_mm3) for name, one in zip(names, plain, strict=True)]
        sides = set()
        for number in range(30):
            half = draw(cases, secret(number))
            assert len(half) == 40
            of_patient = {name in half for name in names[:6]}
            assert len(of_patient) == 1
            sides |= of_patient
        assert sides == {True, False}

    def test_one_who_has_more_than_half_of_the_cases_is_not_kept_together(self):
        cases = [CaseFacts(f"train_7_a_{number}.nii.gz", (("2d", 0.1),), 1.0) for number in range(5)]
        assert len(draw(cases, secret(1))) == 2


def test_who_has_the_secret_draws_it_again_without_a_server():
    modules = "leaderboard.challenge.halves.drawing, leaderboard.challenge.halves.commitment"
    code = f"import sys, {modules}; sys.exit('django' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
