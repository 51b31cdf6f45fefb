"""Runs as organisers list them: on a page, as a table for spreadsheets, on the command line."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Prefetch, QuerySet

from leaderboard.core.text import csv_cell
from leaderboard.models import Attempt, Run, Standing, Submission
from leaderboard.progress.stages import Staged
from leaderboard.states import Stage

COLUMNS = (
    *("run", "algorithm", "team", "submitted_by", "phase", "kind", "entry", "track", "state", "code", "hosts", "dice"),
    *("charged", "disqualified", "withdrawn", "submitted_at"),
)
AT_ONCE = 500


@dataclass(frozen=True)
class Line(Staged):
    """A submission with the state that matters now: of its run, once it has one."""

    submission: Submission
    state: Stage
    code: str
    dice: float | None
    hosts: list[str]

    @property
    def is_of_masks(self) -> bool:
        """Whether masks were handed in, and no image."""
        return self.submission.is_of_masks

    def as_dict(self) -> dict[str, Any]:
        """For programs: what stands on the page."""
        one = self.submission
        return {
            "run": one.pk,
            "algorithm": one.algorithm,
            "team": one.team.name,
            "submitted_by": one.submitted_by.name if one.submitted_by else "",
            "phase": one.phase.slug,
            "kind": one.kind,
            "entry": one.entry,
            "track": one.track,
            "state": str(self.state),
            "code": self.code,
            "hosts": " ".join(self.hosts),
            "dice": self.dice,
            "charged": one.charged,
            "disqualified": one.disqualified_at is not None,
            "withdrawn": one.withdrawn_at is not None,
            "submitted_at": f"{one.accepted_at:%Y-%m-%dT%H:%M:%SZ}",
        }


def with_what_is_listed(rows: QuerySet[Submission]) -> QuerySet[Submission]:
    """The rows with what a line shows: the same few questions however many."""
    unread = ("method", "external_data", "commitment", "reason", "disqualified_reason")
    return rows.defer(*unread).prefetch_related("team", "phase", "submitted_by", runs_listed())


def runs_listed() -> "Prefetch[str, QuerySet[Run], str]":
    """The runs of a submission with what its line shows."""
    standings = Prefetch("standings", Standing.objects.filter(scope=Standing.Scope.ALL).defer("summary", "groups"))
    return Prefetch("runs", Run.objects.defer("hints", "reason").prefetch_related(standings))


def lines_of(submissions: Iterable[Submission]) -> list[Line]:
    """A line for each."""
    rows = list(submissions)
    hosts: dict[int, list[str]] = {}
    attempts = Attempt.objects.filter(batch__run__submission__in=[one.pk for one in rows]).order_by("host__name")
    for pk, name in attempts.values_list("batch__run__submission", "host__name").distinct():
        hosts.setdefault(pk, []).append(name)
    return [_line(one, hosts.get(one.pk, [])) for one in rows]


def _line(one: Submission, hosts: list[str]) -> Line:
    run = one.latest_run
    dice = next((standing.dice for standing in run.standings.all()), None) if run else None
    code = run.failure_kind or run.reason_code if run else one.reason_code
    return Line(one, one.stage, code, dice, hosts)


def as_csv(rows: QuerySet[Submission]) -> Iterator[str]:
    """All that fit, in parts: a row for each run, numbers unrounded, instants UTC."""
    yield _written([dict(zip(COLUMNS, COLUMNS, strict=True))])
    keys = list(rows.values_list("pk", flat=True))
    for start in range(0, len(keys), AT_ONCE):
        some = with_what_is_listed(Submission.objects.filter(pk__in=keys[start : start + AT_ONCE]))
        yield _written(line.as_dict() for line in lines_of(some.order_by("-pk")))


def _written(rows: Iterable[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\r\n")
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return csv_cell(value) if isinstance(value, str) else value
