"""Findings in bins, by size and by Dice: what may be shown of them, and what nobody can work out."""

from datetime import UTC, datetime

import numpy as np
import pytest

from leaderboard.board import spread
from leaderboard.board.disclosure import Disclosure
from leaderboard.board.spread import SIZE_EDGES_ML, SizeBin, dice_counts, in_scope, size_bins, sizes_ml, within
from leaderboard.models import Case, Finding, Phase, Standing
from leaderboard.scores import arrays
from tests.leaderboard import cast
from tests.leaderboard.scores.runs import scored

AT = datetime(2026, 9, 1, tzinfo=UTC)
HIDDEN, PUBLIC = (Disclosure.to_public(Phase(cases_are_public=public), AT) for public in (False, True))
EVERY_SIZE = np.repeat([0.05, 0.2, 0.5, 2.0, 5.0, 20.0, 50.0, 200.0], [10, 10, 9, 3, 12, 4, 4, 1])


# --- by size ----------------------------------------------------------------------------------------------------------


def test_hidden_bins_of_sizes_are_put_together_until_each_has_ten_findings():
    found = size_bins(EVERY_SIZE, HIDDEN)
    assert found.bins == [SizeBin(0.0, 0.1, 10), SizeBin(0.1, 0.3, 10), SizeBin(0.3, 3.0, 12), SizeBin(3.0, None, 21)]
    assert np.bincount(found.place_of).tolist() == [10, 10, 12, 21]


def test_public_bins_of_sizes_are_all_shown_but_for_empty_ones():
    sizes = np.array([0.2, 0.25, 5.0])
    assert size_bins(EVERY_SIZE, PUBLIC).bins == [
        SizeBin(low, high, n)
        for low, high, n in zip(SIZE_EDGES_ML, [*SIZE_EDGES_ML[1:], None], [10, 10, 9, 3, 12, 4, 4, 1], strict=True)
    ]
    assert size_bins(sizes, PUBLIC).bins == [SizeBin(0.0, 0.3, 2), SizeBin(0.3, None, 1)]


def test_a_size_on_an_edge_is_in_the_bin_that_begins_there():
    assert size_bins(np.array([0.0, 0.1, 100.0]), PUBLIC).place_of.tolist() == [0, 1, 2]


@pytest.mark.parametrize(("count", "disclosure"), [(9, HIDDEN), (0, HIDDEN), (0, PUBLIC)])
def test_no_bin_of_sizes_is_shown_of_too_few_findings_in_all(count, disclosure):
    found = size_bins(np.full(count, 1.0), disclosure)
    assert (found.bins, found.means(np.full(count, 0.5), disclosure)) == ([], [])


def test_the_means_of_bins_are_rounded_on_hidden_cases():
    sizes, dice = np.repeat([0.05, 2.0], 12), np.repeat([0.12345, 0.54321], 12)
    assert size_bins(sizes, HIDDEN).means(dice, HIDDEN) == [0.123, 0.543]
    assert size_bins(sizes, PUBLIC).means(dice, PUBLIC) == pytest.approx([0.12345, 0.54321], abs=1e-12)


def test_a_finding_of_unknown_size_has_no_bin():
    with pytest.raises(ValueError, match="not known"):
        size_bins(np.array([1.0, np.nan]), PUBLIC)


# --- by Dice ----------------------------------------------------------------------------------------------------------


def test_a_public_histogram_counts_every_finding_once():
    found = dice_counts(np.array([0.0, 1e-9, 0.0005, 0.05, 0.1, 0.95, 1.0]), PUBLIC)
    assert (found.n, found.zeros, list(found.counts)) == (7, 2, [2, 1, 0, 0, 0, 0, 0, 0, 0, 2])


def test_hidden_bins_of_fewer_than_ten_findings_are_not_told_empty_or_not():
    dice = np.repeat([0.0, 0.05, 0.15, 0.25, 0.35], [30, 20, 12, 9, 1])
    found = dice_counts(dice, HIDDEN)
    assert (found.zeros, list(found.counts)) == (30, [20, 12, *[None] * 8])


@pytest.mark.parametrize("place", range(10))
def test_the_dice_of_a_single_mask_can_not_be_read_off_a_histogram(place):
    probed = np.append(np.zeros(99), place / 10 + 0.05)
    assert dice_counts(probed, HIDDEN) == dice_counts(np.append(np.zeros(99), 0.55), HIDDEN)


def test_what_is_left_out_of_a_histogram_is_never_a_small_group_beside_the_hit_rate():
    """Which tells how many hits there are: of these, and of the others, nothing small is left by what is told."""
    random = np.random.default_rng(0)
    for _ in range(300):
        dice = random.beta(random.uniform(0.1, 3), random.uniform(0.2, 3), int(random.integers(0, 200)))
        dice[random.random(len(dice)) < random.uniform(0, 0.6)] = 0.0
        found, hits = dice_counts(dice, HIDDEN), int((dice >= 0.1).sum())
        for told, of in (((found.zeros, found.counts[0]), len(dice) - hits), (found.counts[1:], hits)):
            known = [count for count in told if count is not None]
            assert all(count >= 10 for count in known)
            assert of - sum(known) >= 10 or len(known) in (0, len(told)), (told, of)


# --- of a run ---------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_scope_and_sizes_are_those_of_each_finding():
    alice, cases = cast.person("Alice"), cast.case_set(4, findings=2)  # every other case is in the half
    run = scored(cast.team_of(alice), cast.phase(cases, cases_are_public=True))
    Case.objects.filter(name="case_002.nii.gz").update(spacing_mm=[0.5, 2.0, 3.0])
    Finding.objects.filter(case__name="case_002.nii.gz", channel=1).update(voxels=1000)
    scores = arrays.of_run(run.pk)
    assert in_scope(scores, Standing.Scope.ALL).tolist() == [True] * 8
    assert in_scope(scores, Standing.Scope.HALF).tolist() == [True, True, False, False, True, True, False, False]
    small = 0.064
    assert sizes_ml(cases, scores).tolist() == pytest.approx([small, small, small, small, small * 3, 3.0, small, small])
    Finding.objects.filter(case__name="case_003.nii.gz", channel=1).delete()
    assert np.isnan(sizes_ml(cases, scores)).tolist() == [False] * 7 + [True]


@pytest.mark.django_db
def test_the_scores_within_a_scope_are_those_of_its_cases_and_no_others():
    alice, cases = cast.person("Alice"), cast.case_set(5, findings=2)
    phase = cast.phase(cases, cases_are_public=True)
    scores = arrays.of_run(scored(cast.team_of(alice), phase, [place / 10 for place in range(10)]).pk)
    half = within(scores, Standing.Scope.HALF)
    assert list(half.cases.names) == [f"case_{number:03}.nii.gz" for number in (0, 2, 4)]
    assert half.findings["dice"].tolist() == [0.0, 0.1, 0.4, 0.5, 0.8, 0.9]
    assert half.case_of.tolist() == [0, 0, 1, 1, 2, 2]
    assert half.case_dice.tolist() == pytest.approx([0.05, 0.45, 0.85])
    assert len(half.statuses) == 3
    assert within(scores, Standing.Scope.ALL) is scores


def test_the_last_bin_of_dice_ends_at_one():
    assert spread.DICE_EDGES[0] == 0
    assert spread.DICE_EDGES[-1] == 1
