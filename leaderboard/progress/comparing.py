"""Runs of one team side by side: which is better, where, and by how much.

Where single cases are shown, each case is compared with itself, and a difference has an interval of its own. Elsewhere
a difference is that of the two numbers as they are shown, and nothing else is read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import evaluation
from evaluation import OVERALL, CaseResult
from leaderboard.board.disclosure import Disclosure, Interval, Scores, Viewer
from leaderboard.board.numbers import group_lines
from leaderboard.board.rows import GroupLine
from leaderboard.core.minutes import found_once
from leaderboard.models import Finding, Phase, RunCase, Standing
from leaderboard.progress.comparison import Comparison, Difference, FindingRow, GroupRow, Score, Tally, score_of
from leaderboard.progress.listing import Line
from leaderboard.scores.aggregates import finding_sizes
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


def compare(lines: Sequence[Line], metric: str, viewer: Viewer) -> Comparison:
    """Two or more runs of a Selection, as its `lines` are."""
    first = lines[0].submission
    disclosure = _strictest([viewer.of_submission(line.submission) for line in lines])
    results = _results(lines) if disclosure.shows_cases else []
    runs = tuple(line.run for line in lines)  # whose results do not change any more
    phase = first.cases_of or first.phase
    paired = found_once(viewer.at, ("paired", runs, metric, phase.pk), lambda: _paired(results, metric, phase))
    is_of_one = bool(results) and len(results[0]) < 2
    overall = [_of_pair(one.get(OVERALL), is_of_one=is_of_one) for one in paired]
    findings = _findings(results, [line.submission.pk for line in lines])
    return Comparison(
        disclosure=disclosure,
        cases_of=phase,
        metric=metric,
        lines=lines,
        overall=overall or _of_shown([line.figures for line in lines], metric),
        groups=_groups(lines, metric, disclosure, paired),
        is_paired=bool(paired),
        findings=findings,
        tallies=[_tally(findings, place) for place in range(1, len(lines))] if findings else (),
    )


def _strictest(disclosures: Sequence[Disclosure]) -> Disclosure:
    """Of a post-challenge run, if there is one: its scores stay rounded after the reveal."""
    return max(disclosures, key=lambda one: one.stays_rounded)


# --- numbers as they are shown ----------------------------------------------------------------------------------------


def _of_shown(scores: Sequence[Scores | None], metric: str) -> list[Difference | None]:
    """Each later one's number minus the first one's."""
    base, *others = [score_of(one, metric) for one in scores]
    return [_apart(base, other) for other in others]


def _apart(base: Score, other: Score) -> Difference | None:
    if base[0] is None or other[0] is None:
        return None
    value = other[0] - base[0]
    return Difference(value, is_near=value != 0 and _holds(base[1], other[0]) and _holds(other[1], base[0]))


def _holds(ends: Interval | None, value: float) -> bool:
    return ends is not None and ends[0] <= value <= ends[1]


def _groups(
    lines: Sequence[Line], metric: str, disclosure: Disclosure, paired: Sequence[Mapping[str, evaluation.Difference]]
) -> list[GroupRow]:
    standings = Standing.objects.filter(run__in=[line.run for line in lines], scope=disclosure.scope)
    known = {one.run_id: {row.code: row for row in group_lines(one, disclosure)} for one in standings.defer("summary")}
    of_runs = [known.get(line.run or 0, {}) for line in lines]
    codes = [code for code in of_runs[0] if all(code in of_run for of_run in of_runs)]
    keys = [line.submission.pk for line in lines]
    return [_group_row([of_run[code] for of_run in of_runs], keys, metric, paired) for code in codes]


def _group_row(
    group: Sequence[GroupLine],
    keys: Sequence[int],
    metric: str,
    paired: Sequence[Mapping[str, evaluation.Difference]],
) -> GroupRow:
    base = group[0]
    shown = _of_shown(group, metric)
    scores = [score_of(one, metric) for one in group]
    is_of_one = base.n < 2 or not any(ends for _, ends in scores)  # several findings of one case are like one
    differences = [_of_pair(one.get(base.code), is_of_one=is_of_one) for one in paired] if paired else shown
    return GroupRow(base.code, base.label, base.n, scores, list(zip(keys[1:], differences, strict=True)))


# --- case by case -----------------------------------------------------------------------------------------------------


def _results(lines: Sequence[Line]) -> list[list[CaseResult]]:
    """The results of each run, of the cases that all of them have."""
    rows = RunCase.objects.filter(run__in=[line.run for line in lines]).exclude(result=None)
    of_runs: dict[int, dict[str, CaseResult]] = {}
    for run, result in rows.order_by().values_list("run", "result"):
        if result is not None:
            of_runs.setdefault(run, {})[result["name"]] = result
    found = [of_runs.get(line.run or 0, {}) for line in lines]
    names = sorted(set.intersection(*(set(one) for one in found)))
    return [[one[name] for name in names] for one in found]


def _paired(results: Sequence[list[CaseResult]], metric: str, phase: Phase) -> list[dict[str, evaluation.Difference]]:
    if not results or not results[0]:
        return []
    sizes, seed = finding_sizes(phase.case_set), evaluation.seed_from(phase.case_set.digest)
    base, *others = results
    if any((case["name"], one["finding"]) not in sizes for case in base for one in case["findings"]):
        return evaluation.paired_differences(base, others, metric, seed=seed)  # the phase got other cases since
    limits = evaluation.size_limits(list(sizes.values()))
    return evaluation.paired_differences(base, others, metric, seed=seed, sizes=sizes, limits=limits)


def _of_pair(found: evaluation.Difference | None, *, is_of_one: bool) -> Difference | None:
    """A paired difference; that of one case or one finding has no interval, and cannot be told from 0."""
    if found is None or found.value is None:
        return None
    if is_of_one:
        return Difference(found.value, is_near=found.value != 0)
    return Difference(found.value, found.interval)


def _findings(results: Sequence[list[CaseResult]], keys: Sequence[int]) -> list[FindingRow]:
    """The findings that all runs have, the most different first."""
    rows = []
    for cases in zip(*results, strict=True):
        of_runs: list[dict[str, Any]] = [{one["finding"]: one for one in case["findings"]} for case in cases]
        for key, ours in of_runs[0].items():
            if all(key in of_run for of_run in of_runs):
                dice = [of_run[key]["dice"] for of_run in of_runs]
                against = [(run, one, Difference(one - dice[0])) for run, one in zip(keys[1:], dice[1:], strict=True)]
                rows.append(FindingRow(cases[0]["name"], key, ours["category"] or "", dice, against))
    return sorted(rows, key=lambda row: -row.spread)


def _tally(findings: Sequence[FindingRow], place: int) -> Tally:
    better = sum(row.dice[place] > row.dice[0] for row in findings)
    worse = sum(row.dice[place] < row.dice[0] for row in findings)
    return Tally(better, worse, len(findings) - better - worse)


def with_sentences(rows: Sequence[FindingRow], phase: Phase) -> list[FindingRow]:
    """The rows with what radiologists wrote."""
    asked = Finding.objects.filter(case__case_set=phase.case_set_id, case__name__in={row.case for row in rows})
    said = {(case, str(channel)): text for case, channel, text in asked.values_list("case__name", "channel", "text")}
    return [replace(row, sentence=said.get((row.case, row.key), "")) for row in rows]
