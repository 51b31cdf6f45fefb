"""The half of a case set in the database."""

import pytest

from leaderboard.challenge.halves.commitment import commitment_to
from leaderboard.challenge.halves.kept import Half
from leaderboard.models import Case, CaseSet, HalfSecret
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def cases() -> CaseSet:
    return cast.draw_half(cast.case_set(12, findings=2))


def test_what_was_committed_to_can_be_drawn_and_opened_again(cases):
    half = Half(CaseSet.objects.get())
    assert len(half.public) == 6
    assert commitment_to(half.opening) == cases.half_commitment
    assert (half.is_as_committed, half.is_as_drawn) == (True, True)
    assert {f"{half.tags[name]} public" for name in half.public} <= set(half.opening.splitlines())


def test_it_is_balanced_by_what_the_rows_say(cases):
    lines = {line.code: (line.public, line.withheld) for line in Half(cases).balance}
    assert lines == {
        **dict.fromkeys(("all", "focal", "small", "2d"), (12, 12)),
        "voxel_q1": (6, 6),
    }


def test_two_cases_that_change_sides_are_found_out(cases):
    moved = [Case.objects.filter(in_public_half=side).order_by("name")[0] for side in (True, False)]
    for case in moved:
        Case.objects.filter(pk=case.pk).update(in_public_half=not case.in_public_half)
    half = Half(cases)
    assert len(half.public) == 6
    assert not half.is_as_committed
    assert not half.is_as_drawn


def test_another_half_that_is_committed_to_afterwards_was_not_drawn(cases):
    """Who can write to the database can change the commitment, too: but neither what was shown nor the drawing."""
    Case.objects.update(in_public_half=False)
    Case.objects.filter(name__lt="case_006").update(in_public_half=True)
    cases.half_commitment = commitment_to(Half(cases).opening)
    half = Half(cases)
    assert half.is_as_committed
    assert not half.is_as_drawn


@pytest.mark.parametrize("change", [{"secret": "00" * 32}, {}])
def test_another_secret_and_a_lost_one_are_found_out(cases, change):
    kept = HalfSecret.objects.filter(case_set=cases)
    kept.update(**change) if change else kept.delete()
    assert not Half(cases).is_as_committed


def test_a_set_of_before_keeps_its_half_without_secret_and_commitment():
    before = cast.case_set(4)
    half = Half(before)
    assert half.public == {"case_000.nii.gz", "case_002.nii.gz"}
    assert (half.secret, half.opening, half.tags) == (None, "", {})
    assert (half.is_as_committed, half.is_as_drawn) == (False, False)
