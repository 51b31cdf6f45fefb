"""The scores of all findings of a run as one array, which is read many times faster than the results of its cases.

An array is written as the run is aggregated, one for each evaluation version: that of an older one stays beside a newer
one, and readers get that of the runs' standings unless they name another. It says the same as the results, bit for bit.
Where there is none of the present layout (of runs that were scored before there were any, or as the layout changed,
until the sweeper has made theirs) the results are read in its place. Who replaces results by those of another
evaluation version writes the array of the older one first (`fill`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
from django.db.models import BinaryField, Exists, F, Func, IntegerField, OuterRef, Subquery, Value
from numpy.typing import NDArray

from evaluation import CaseResult, CaseStatus
from leaderboard.models import RunCase, RunScores, Standing
from leaderboard.scores import layout
from leaderboard.scores.layout import Floats, Integers, Table

Booleans = NDArray[np.bool_]
AT_ONCE = 40  # arrays that the sweeper makes in a row: a second, on disks that are busy


@dataclass(frozen=True, eq=False)
class Cases:
    """The cases of a run in the order of their names, which is that of all arrays: both (cases,)."""

    names: Sequence[str]
    in_public_half: Booleans


@dataclass(frozen=True, eq=False)
class FindingScores:
    """The scores of a run by one evaluation version, finding by finding.

    `findings` are rows of `layout.FINDING` (findings,), by case and channel; `case_of` the place of the case of each
    (findings,); `statuses` what became of each case (cases,).
    """

    run: int
    evaluation_version: str
    cases: Cases
    statuses: Sequence[CaseStatus]
    case_of: Integers
    findings: Table

    @property
    def case_dice(self) -> Floats:
        """The Dice of each case (cases,), from 0 to 1."""
        return layout.means_of_cases(self.findings["dice"], self.case_of, len(self.statuses))


# --- written ----------------------------------------------------------------------------------------------------------


def write(run: int, results: Iterable[CaseResult], version: str) -> None:
    """Write a run's (its key) array by this evaluation version, or replace it. Raises ValueError as `pack` does."""
    packed = layout.pack(results)
    row = RunScores(run_id=run, evaluation_version=version, layout=layout.LAYOUT, **packed._asdict())
    RunScores.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["run", "evaluation_version"],
        update_fields=["layout", *packed._fields],
    )


def missing() -> list[tuple[int, str]]:
    """Up to AT_ONCE aggregated runs (their keys) without an array of the present layout, each with the version."""
    arrays = RunScores.objects.filter(
        run=OuterRef("run"), evaluation_version=OuterRef("evaluation_version"), layout=layout.LAYOUT
    )
    aggregated = Standing.objects.filter(~Exists(arrays), scope=Standing.Scope.ALL)
    return list(aggregated.order_by("-run").values_list("run", "evaluation_version")[:AT_ONCE])  # the newest


def fill(run: int, version: str) -> None:
    """Write the array of a run whose standings were made by this version, from its results; nothing without any."""
    if results := _results([run], version).get((run, version)):
        write(run, results, version)


# --- read -------------------------------------------------------------------------------------------------------------


def cases_of(run: int) -> Cases:
    """The cases of a run (its key), in the order of the columns of `case_dice`; one query. LookupError without any."""
    return _cases_of([run])[run]


def case_dice(runs: Sequence[int], version: str | None = None) -> Floats:
    """The Dice of each case, from 0 to 1, in these runs (their keys): (runs, cases); one query.

    Their mean over all cases, or over those of the public half (`cases_of`), as `evaluation.resampled_means` takes it,
    is the Dice of the run's standing to the bit. Without a `version` it is that of the runs' standings. Raises
    LookupError if a run was not scored by this version, ValueError if the runs are not of the same cases, or their
    standings of different versions.
    """
    rows = _rows(runs, version, dice_alone=True)
    if not rows:
        return np.empty((0, 0))
    if len({row.digest for row in rows}) > 1:
        raise ValueError("runs of different cases have no common array")
    cases = layout.unpack_cases(rows[0].cases)
    case_of = layout.cases_of_findings(cases)
    dice = np.frombuffer(b"".join(row.findings for row in rows), layout.FINDING["dice"]).reshape(len(rows), -1)
    return np.stack([layout.means_of_cases(one, case_of, len(cases)) for one in dice])


def of_run(run: int, version: str | None = None) -> FindingScores:
    """The scores of one run (its key); two queries. Raises as `of_runs` does."""
    return of_runs([run], version)[0]


def of_runs(runs: Sequence[int], version: str | None = None) -> list[FindingScores]:
    """The scores of these runs (their keys), in this order; two queries.

    Without a `version` it is that of the runs' standings. Raises LookupError if a run was not scored by this version,
    ValueError if an array does not fit the run's cases, or the standings are of different versions.
    """
    return _of_rows(_rows(runs, version))


def of_scored(runs: Sequence[int]) -> dict[int, FindingScores]:
    """The scores of those of these runs (their keys) that were scored, each by its standings' version; two queries.

    Raises ValueError if an array does not fit the run's cases.
    """
    rows = _found(runs, None)
    return dict(zip(rows, _of_rows(list(rows.values())), strict=True))


def _of_rows(rows: Sequence["_Row"]) -> list[FindingScores]:
    one_of_each = {row.digest: row for row in rows}
    cases = _cases_of([row.run for row in one_of_each.values()])
    known = {digest: _checked(row, cases[row.run]) for digest, row in one_of_each.items()}
    return [_scores(row, known[row.digest]) for row in rows]


def _checked(row: "_Row", cases: Cases) -> Cases:
    """The cases of a row, and of all that have its digest; ValueError if they are others now."""
    case_of = layout.cases_of_findings(layout.unpack_cases(row.cases))
    channels = layout.unpack_findings(row.findings)["channel"]
    if layout.digest_of(cases.names, case_of, channels) != row.digest:
        raise ValueError(f"the array of run {row.run} does not fit its cases")
    return cases


def _scores(row: "_Row", cases: Cases) -> FindingScores:
    known = layout.unpack_cases(row.cases)
    statuses = [layout.STATUSES[status] for status in known["status"]]
    findings = layout.unpack_findings(row.findings)
    return FindingScores(row.run, row.version, cases, statuses, layout.cases_of_findings(known), findings)


def _cases_of(runs: Iterable[int]) -> dict[int, Cases]:
    rows = RunCase.objects.filter(run__in=list(runs)).order_by()
    found: dict[int, list[tuple[str, bool]]] = {}
    for run, *about in rows.values_list("run", "case__name", "case__in_public_half"):
        found.setdefault(run, []).append(cast("tuple[str, bool]", tuple(about)))
    return {run: _in_order(cases) for run, cases in found.items()}


def _in_order(cases: Iterable[tuple[str, bool]]) -> Cases:
    """Sorted by Python: a database may have other ideas of an alphabet."""
    names, in_half = zip(*sorted(cases), strict=True)
    return Cases(names, np.array(in_half, bool))


class _Row(NamedTuple):
    """What is stored of a run, or would be; of `findings` all, or the first column alone."""

    run: int
    version: str
    digest: str
    cases: bytes
    findings: bytes


_FINDINGS = Func(F("findings"), function="OCTET_LENGTH", output_field=IntegerField()) / layout.FINDING.itemsize
_DICE = Func(
    *(F("findings"), Value(1), _FINDINGS * layout.DICE_BYTES), function="SUBSTRING", output_field=BinaryField()
)


_OF_STANDING = Subquery(
    Standing.objects.filter(run=OuterRef("run"), scope=Standing.Scope.ALL).values("evaluation_version")
)


def _rows(runs: Sequence[int], version: str | None, *, dice_alone: bool = False) -> list[_Row]:
    """What is stored of these runs, in their order; of those of which nothing is, what would be."""
    found = _found(runs, version, dice_alone=dice_alone)
    for run in runs:
        if run not in found:
            raise LookupError(f"run {run} was not scored{f' by evaluation version {version}' if version else ''}")
    if len(versions := {row.version for row in found.values()}) > 1:
        raise ValueError(f"runs of different evaluation versions do not compare: {', '.join(sorted(versions))}")
    return [found[run] for run in runs]


def _found(runs: Sequence[int], version: str | None, *, dice_alone: bool = False) -> dict[int, _Row]:
    """The same of those that were scored by this version; without one, by that of their standings."""
    asked = RunScores.objects.filter(run__in=runs, evaluation_version=version or _OF_STANDING, layout=layout.LAYOUT)
    columns = ("run", "evaluation_version", "digest", "cases", _DICE if dice_alone else "findings")
    found = {row[0]: _Row(*row) for row in asked.values_list(*columns)}
    lacking = [run for run in runs if run not in found]
    if lacking:
        found |= _from_results(lacking, version, dice_alone=dice_alone)
    return found


def _from_results(runs: Sequence[int], version: str | None, *, dice_alone: bool) -> dict[int, _Row]:
    found = {}
    for (run, by), results in _results(runs, version).items():
        cases, findings, digest = layout.pack(results)
        some = len(findings) // layout.FINDING.itemsize * layout.DICE_BYTES if dice_alone else None
        found[run] = _Row(run, by, digest, cases, findings[:some])
    return found


def _results(runs: Sequence[int], version: str | None) -> Mapping[tuple[int, str], list[CaseResult]]:
    """The results of those of these runs whose standings are of this version, or any; by run and version."""
    asked = {"run__standings__evaluation_version": version} if version else {}
    rows = RunCase.objects.filter(run__in=runs, run__standings__scope=Standing.Scope.ALL, **asked).exclude(result=None)
    found: dict[tuple[int, str], list[CaseResult]] = {}
    for run, by, result in rows.order_by().values_list("run", "run__standings__evaluation_version", "result"):
        found.setdefault((run, by), []).append(cast("CaseResult", result))
    return found
