"""Runs of one team side by side: which is better, where, and by how much.

Where single cases are shown, each case is compared with itself, and a difference has an interval of its own. Elsewhere
a difference is that of the two numbers as they are shown, and nothing else is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

import evaluation
from leaderboard.board.comparison import Difference, Entry, group_rows, overall
from leaderboard.board.disclosure import Disclosure, Viewer
from leaderboard.board.numbers import group_lines
from leaderboard.board.rows import GroupLine
from leaderboard.core.text import sanitised
from leaderboard.models import Finding, Phase, Standing
from leaderboard.progress.comparison import FindingRow, OwnComparison, Tally
from leaderboard.progress.listing import Line
from leaderboard.scores import arrays
from leaderboard.scores.arrays import FindingScores
from leaderboard.scores.resampled import Pair, are_alike, groups_of, numbers_of, pairs_of
from leaderboard.scores.sizes import sizes_of
from leaderboard.states import RunState


@dataclass(frozen=True)
class Selection:
    """Runs that can stand side by side, the base first, then as they were submitted; the others, each with why not."""

    lines: Sequence[Line]
    left_out: Sequence[tuple[Line, str]]


def select(lines: Sequence[Line], base: int | None = None) -> Selection:
    """The runs to be compared. Without a `base` (a submission's key) it is the one that counts, else the earliest."""
    ordered = sorted(lines, key=lambda line: line.submission.pk)
    with_score = [line for line in ordered if line.figures]
    first = max(with_score, key=lambda line: (line.submission.pk == base, bool(line.counts_in)), default=None)
    alike = [line for line in with_score if first and _scored_as(line) == _scored_as(first)]
    chosen = sorted(alike, key=lambda line: line is not first)
    return Selection(chosen, [(line, _why_not(line)) for line in ordered if line not in chosen])


def _scored_as(line: Line) -> tuple[int | None, str, str, int] | None:
    """What has to be the same of two runs."""
    shown = line.figures
    return (line.submission.cases_of_id, shown.evaluation_version, shown.scope, shown.cases) if shown else None


def _why_not(line: Line) -> str:
    if line.figures and line.submission.cases_of:
        return f"a try-out, scored on {line.figures.cases} cases of the {line.submission.cases_of.name}"
    if line.figures:
        return f"scored on {line.figures.cases} cases by evaluation version {line.figures.evaluation_version}"
    return "its score is not shown yet" if line.state == RunState.SCORED else f"no score: {line.word.lower()}"


def compare(lines: Sequence[Line], metric: str, viewer: Viewer) -> OwnComparison:
    """Two or more runs of a Selection, as its `lines` are."""
    first = lines[0].submission
    phase = first.cases_of or first.phase
    disclosure = _strictest([viewer.of_submission(line.submission) for line in lines])
    entries = [_entry(line) for line in lines]
    scores = _scores(lines) if disclosure.shows_cases else []
    paired = _paired(scores, metric, phase) if scores else []
    findings = _findings(scores, entries) if scores else []
    return OwnComparison(
        disclosure=disclosure,
        scope=lines[0].figures.scope if lines[0].figures else "",
        cases_of=phase,
        metric=metric,
        entries=entries,
        overall=overall(entries, metric, disclosure, paired),
        groups=group_rows(entries, _groups(lines, disclosure), metric, disclosure, paired),
        is_paired=bool(paired),
        findings=findings,
        tallies=[_tally(findings, place) for place in range(1, len(lines))] if findings else (),
    )


def _strictest(disclosures: Sequence[Disclosure]) -> Disclosure:
    """Of a post-challenge run, if there is one: its scores stay rounded after the reveal."""
    return max(disclosures, key=lambda one: one.stays_rounded)


def _entry(line: Line) -> Entry:
    one, shown = line.submission, line.figures
    of_what = {
        "masks": one.is_of_masks,
        one.get_kind_display().lower(): not one.is_scored,
        "withdrawn": one.withdrawn_at is not None,
        "disqualified": one.disqualified_at is not None,
    }
    return Entry(
        key=str(one.pk),
        name=f"submission {one.pk}",
        short=str(one.pk),
        title=sanitised(one.algorithm),
        tags=[words for words, holds in of_what.items() if holds],
        scores=shown,
        cases=shown.cases if shown else 0,
        lost_cases=shown.lost_cases if shown else 0,
        source=line,
    )


def _groups(lines: Sequence[Line], disclosure: Disclosure) -> list[list[GroupLine]]:
    standings = Standing.objects.filter(run__in=[line.run for line in lines], scope=disclosure.scope)
    known = {one.run_id: group_lines(one, disclosure) for one in standings.defer("summary")}
    return [known.get(line.run or 0, []) for line in lines]


# --- case by case -----------------------------------------------------------------------------------------------------


def _scores(lines: Sequence[Line]) -> list[FindingScores]:
    """The scores of the findings of each run; none if they are of other findings."""
    version = lines[0].figures.evaluation_version if lines[0].figures else ""
    try:
        found = arrays.of_runs([line.run or 0 for line in lines], version)
    except (LookupError, ValueError):  # it has no result of any case, or the phase got other cases since
        return []
    return found if are_alike(found) else []


def _paired(scores: Sequence[FindingScores], metric: str, phase: Phase) -> list[dict[str, Pair]]:
    groups, seed = (
        groups_of(scores[0], sizes_of(phase.case_set, scores[0])),
        evaluation.seed_from(phase.case_set.digest),
    )
    return pairs_of(scores, [numbers_of(one, metric, groups, seed=seed) for one in scores], groups)


def _findings(scores: Sequence[FindingScores], entries: Sequence[Entry]) -> list[FindingRow]:
    """The findings of the runs, the most different first."""
    first, dice = scores[0], np.stack([one.findings["dice"] for one in scores])
    order = np.argsort(dice.min(axis=0) - dice.max(axis=0), kind="stable").tolist()
    cases, channels, categories = (
        [first.cases.names[case] for case in first.case_of.tolist()],
        first.findings["channel"].tolist(),
        [code.decode() for code in first.findings["category"].tolist()],
    )
    return [
        _finding(entries, cases[place], str(channels[place]), categories[place], dice[:, place].tolist())
        for place in order
    ]


def _finding(entries: Sequence[Entry], case: str, key: str, category: str, dice: Sequence[float]) -> FindingRow:
    base, *others = dice
    against = [(entry, one, Difference(one - base)) for entry, one in zip(entries[1:], others, strict=True)]
    return FindingRow(case, key, category, dice, against)


def _tally(findings: Sequence[FindingRow], place: int) -> Tally:
    better = sum(row.dice[place] > row.dice[0] for row in findings)
    worse = sum(row.dice[place] < row.dice[0] for row in findings)
    return Tally(better, worse, len(findings) - better - worse)


def with_sentences(rows: Sequence[FindingRow], phase: Phase) -> list[FindingRow]:
    """The rows with what radiologists wrote."""
    asked = Finding.objects.filter(case__case_set=phase.case_set_id, case__name__in={row.case for row in rows})
    said = {(case, str(channel)): text for case, channel, text in asked.values_list("case__name", "channel", "text")}
    return [replace(row, sentence=said.get((row.case, row.key), "")) for row in rows]
