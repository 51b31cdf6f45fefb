"""Runs of one team side by side: which is better, where, and by how much.

Where single cases are shown, each case is compared with itself, and a difference has an interval of its own. Elsewhere
a difference is that of the two numbers as they are shown, and nothing else is read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import evaluation
from evaluation import OVERALL, CaseResult
from leaderboard.board.board import group_lines
from leaderboard.board.disclosure import Disclosure, Interval, Scores, Viewer
from leaderboard.board.rows import GroupLine
from leaderboard.challenge.categories import GROUPS
from leaderboard.models import Finding, Phase, RunCase, Standing
from leaderboard.progress.listing import Line
from leaderboard.scores.aggregates import finding_sizes
from leaderboard.states import RunState

MOST = 5
METRICS = {"dice": "Dice", "hit_rate": "Hit rate", "instance_f1": "Instance F1", "distance_f1": "Distance F1"}

Score = tuple[float | None, Interval | None]


@dataclass(frozen=True)
class Difference:
    """By how much a number is higher than the base's, with its paired 95 % interval where there is one.

    `is_near`: where there is none, each of the two numbers lies in the interval of the other.
    """

    value: float
    ends: Interval | None = None
    is_near: bool = False

    @property
    def is_open(self) -> bool:
        """Whether these cases cannot tell the two apart."""
        return self.is_near if self.ends is None else self.ends[0] <= 0 <= self.ends[1] and self.ends != (0, 0)

    @property
    def verdict(self) -> str:
        """`better`, `worse`, or what keeps from saying so."""
        if self.is_open:
            return "can’t be told apart"
        return "better" if self.value > 0 else "worse" if self.value < 0 else "the same"


@dataclass(frozen=True)
class GroupRow:
    """A group of `n` findings: the score of each run with its interval.

    `against`: each other submission's key with its difference to the base.
    """

    code: str
    label: str
    n: int
    scores: Sequence[Score]
    against: Sequence[tuple[int, Difference | None]]


@dataclass(frozen=True)
class FindingRow:
    """A finding with the Dice of each run; `sentence` is read for those that a page shows.

    `against`: each other submission's key, its Dice, and its difference to the base.
    """

    case: str
    key: str
    category: str
    dice: Sequence[float]
    against: Sequence[tuple[int, float, Difference]]
    sentence: str = ""

    @property
    def category_label(self) -> str:
        """The category's name on pages."""
        return GROUPS.get(self.category, self.category)

    @property
    def spread(self) -> float:
        """How far the runs are apart."""
        return max(self.dice) - min(self.dice)


@dataclass(frozen=True)
class Tally:
    """How many findings a run has better than the base, worse, and the same."""

    better: int
    worse: int
    same: int


@dataclass(frozen=True)
class Comparison:
    """Runs of one phase by one of METRICS: the base first, then those that are held against it, everywhere so.

    `is_paired`: single cases were compared. `findings` are the most different first, `tallies` one for each other run.
    """

    phase: Phase
    metric: str
    lines: Sequence[Line]
    overall: Sequence[Difference | None]
    groups: Sequence[GroupRow]
    is_paired: bool
    findings: Sequence[FindingRow] = ()
    tallies: Sequence[Tally] = field(default=())

    @property
    def metric_label(self) -> str:
        """The number by which they are compared."""
        return METRICS[self.metric]

    @property
    def pairs(self) -> list[tuple[Line, Difference | None]]:
        """Each other run with its difference to the base, over all cases."""
        return list(zip(self.lines[1:], self.overall, strict=True))

    @property
    def sentences(self) -> list[tuple[str, Interval | None]]:
        """What came of each pair, in words, with the interval of its difference."""
        base, metric = f"submission {self.lines[0].submission.pk}", self.metric_label
        said: list[tuple[str, Interval | None]] = []
        for line, found in self.pairs:
            run = f"Submission {line.submission.pk}"
            if found is None:
                said.append((f"{run} has no {metric} to compare", None))
            elif found.is_open:
                said.append((f"{run} can’t be told apart from {base}", found.ends))
            elif found.value == 0:
                said.append((f"{run} has the same {metric} as {base}", found.ends))
            else:
                said.append((f"{run} is {found.verdict} than {base} by {abs(found.value):.3f}", found.ends))
        return said

    @property
    def tallied(self) -> list[tuple[Line, Tally]]:
        """Each other run with how its findings compare."""
        return list(zip(self.lines[1:], self.tallies, strict=True))

    @property
    def table(self) -> list[tuple[str, list[tuple[Line, Score]]]]:
        """Every number that compares runs, by its name, of each run with its interval."""
        return [(words, [(line, _shown(line.figures, name)) for line in self.lines]) for name, words in METRICS.items()]

    @property
    def looked_at(self) -> int:
        """How many differences of groups are shown."""
        return sum(one is not None for row in self.groups for _, one in row.against)


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


def _scored_as(line: Line) -> tuple[str, str, int] | None:
    """What has to be the same of two runs."""
    shown = line.figures
    return (shown.evaluation_version, shown.scope, shown.cases) if shown else None


def _why_not(line: Line) -> str:
    if line.figures:
        return f"scored on {line.figures.cases} cases by evaluation version {line.figures.evaluation_version}"
    return "its score is not shown yet" if line.state == RunState.SCORED else f"no score: {line.word.lower()}"


def compare(lines: Sequence[Line], metric: str, viewer: Viewer) -> Comparison:
    """Two or more runs of a Selection, as its `lines` are."""
    phase = lines[0].submission.phase
    disclosure = viewer.of(phase)
    results = _results(lines) if disclosure.shows_cases else []
    paired = _paired(results, metric, phase)
    overall = [_of_pair(one.get(OVERALL)) for one in paired]
    findings = _findings(results, [line.submission.pk for line in lines])
    return Comparison(
        phase=phase,
        metric=metric,
        lines=lines,
        overall=overall or _of_shown([line.figures for line in lines], metric),
        groups=_groups(lines, metric, disclosure, paired),
        is_paired=bool(paired),
        findings=findings,
        tallies=[_tally(findings, place) for place in range(1, len(lines))] if findings else (),
    )


# --- numbers as they are shown ----------------------------------------------------------------------------------------


def _of_shown(scores: Sequence[Scores | None], metric: str) -> list[Difference | None]:
    """Each later one's number minus the first one's."""
    base, *others = [_shown(one, metric) for one in scores]
    return [_apart(base, other) for other in others]


def _shown(scores: Scores | None, metric: str) -> Score:
    return (getattr(scores, metric), getattr(scores, f"{metric}_ci")) if scores else (None, None)


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
    differences = [_of_pair(one.get(base.code)) for one in paired] if paired else shown
    scores = [_shown(one, metric) for one in group]
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


def _of_pair(found: evaluation.Difference | None) -> Difference | None:
    return Difference(found.value, found.interval) if found and found.value is not None else None


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
