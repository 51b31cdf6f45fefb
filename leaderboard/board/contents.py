"""What a board shows of a run: its numbers as they may be seen, and its submission's words.

A row is made once of the same things, and then shared by all versions of the board: `basis` names what it was made of.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Count

from leaderboard.board.aliases import aliases_of
from leaderboard.board.disclosure import Disclosure, Scores
from leaderboard.board.numbers import group_lines
from leaderboard.board.spread import sizes_ml, spread_of
from leaderboard.board.timing import Seconds, seconds_of
from leaderboard.challenge.categories import ALL
from leaderboard.models import BoardRow, Standing, Submission
from leaderboard.scores.arrays import Cases, of_scored
from leaderboard.scores.layout import Floats

LAYOUT = 3
"""Of what is kept in a row; another one makes all rows anew."""
_OF_SUBMISSION = (
    *("id", "team_id", "team__name", "team__slug", "team__affiliation", "team__is_of_organisers"),
    *("algorithm", "entry", "kind", "accepted_at"),
    *("paper_url", "code_url", "commitment", "committed_at", "method", "external_data"),
)
_COLUMNS = (
    *("id", "evaluation_version", "dice", "lost_cases"),
    *(f"run__submission__{name}" for name in _OF_SUBMISSION),
    *("cases", "run__ended_at"),
)
# Of these a row shows what its source says.
_WORDS = (
    *("algorithm", "affiliation", "of_organisers", "entry", "kind", "lost_cases", "paper_url", "code_url"),
    "commitment",
)
# What could tell whose a run is, where boards do not name teams.
_UNTOLD: dict[str, Any] = dict.fromkeys(
    ("affiliation", "algorithm", "paper_url", "code_url", "commitment", "method", "external_data"), ""
)
_NAMING = {*_UNTOLD, "committed_at", "team__name", "team__slug", "team__affiliation"}
_OF_VERSIONS = ("cases", "ended_at", "runs")
_OPENED = {"method", "external_data"}


class Source(NamedTuple):
    """What a row is made of, but for the scores; and what the version has to say of it.

    `cases` is what its numbers are over, `runs` how many runs of its kind its team has had in the phase.
    """

    standing: int
    evaluation_version: str
    dice: float
    lost_cases: int
    submission: int
    team: int
    team_name: str
    slug: str
    affiliation: str
    of_organisers: bool
    algorithm: str
    entry: str
    kind: str
    accepted_at: datetime
    paper_url: str
    code_url: str
    commitment: str
    committed_at: datetime | None
    method: str
    external_data: str
    cases: int
    ended_at: datetime
    runs: int
    is_anonymous: bool = False

    def without_names(self, alias: int) -> "Source":
        """The same, with nothing in it that could tell whose it is; of its instant the day is left (UTC)."""
        day = self.accepted_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        told: dict[str, Any] = {**_UNTOLD, "team_name": f"Team {alias}", "slug": f"team-{alias}"}
        return self._replace(**told, accepted_at=day, committed_at=None, is_anonymous=True)

    def basis(self, disclosure: Disclosure) -> str:
        """Names the row that is made of it: the same of the same."""
        told = self._asdict()
        for name in (*_OF_VERSIONS, "is_anonymous"):
            del told[name]
        parts = [LAYOUT, disclosure.shows_exact_scores, told]
        return sha256(json.dumps(parts, cls=DjangoJSONEncoder).encode()).hexdigest()


def in_tables(disclosure: Disclosure) -> list[str]:
    """The columns of a standing that rows of tables are made of, or that change with these; an opened row says more."""
    untold = _OPENED if disclosure.names_teams else _OPENED | _NAMING
    of_submission = (f"run__submission__{name}" for name in _OF_SUBMISSION if name not in untold)
    return ["id", "evaluation_version", "dice", "lost_cases", *of_submission]


def sources(disclosure: Disclosure, standings: Iterable[int]) -> list[Source]:
    """What the rows of these standings (their keys) are made of, in no particular order."""
    keys = list(standings)
    if not keys:
        return []
    submissions = Submission.objects.filter(phase=disclosure.phase, kind=disclosure.kind, withdrawn_at=None)
    counted = submissions.filter(charged=True).order_by().values_list("team").annotate(Count("pk"))
    runs = dict(counted)
    found = Standing.objects.filter(pk__in=keys).values_list(*_COLUMNS)
    told = [Source._make((*columns, runs.get(columns[5], 0), False)) for columns in found]
    if disclosure.names_teams:
        return told
    aliases = aliases_of(disclosure.phase, [one.team for one in told])
    return [one.without_names(aliases[one.team]) for one in told]


def rows(disclosure: Disclosure, made_of: Mapping[str, Source]) -> list[BoardRow]:
    """Rows (which are not saved) with their numbers as the reader may see them; `made_of` by `basis`."""
    standings = Standing.objects.in_bulk([source.standing for source in made_of.values()])
    spreads = _spreads(disclosure, standings.values())
    seconds = seconds_of([one.run_id for one in standings.values()], disclosure.scope or "")
    return [
        _row(disclosure, basis, source, standings[source.standing], spreads.get(source.standing), seconds)
        for basis, source in made_of.items()
        if source.standing in standings
    ]


def _row(
    disclosure: Disclosure,
    basis: str,
    source: Source,
    standing: Standing,
    spread: dict[str, Any] | None,
    seconds: Seconds,
) -> BoardRow:
    scores, lines = disclosure.scores(standing.summary), group_lines(standing, disclosure)
    return BoardRow(
        basis=basis,
        submission_id=source.submission,
        accepted_at=source.accepted_at,
        name=source.team_name.lower(),
        numbers={ALL: _numbers(scores), **{line.code: _numbers(line) for line in lines}},
        shown={
            **shown(scores, source),
            "run": standing.run_id,
            "seconds_per_case": disclosure.seconds_per_case(seconds.get(standing.run_id, [])),
        },
        opened={
            "groups": [vars(line) for line in lines],
            "method": source.method,
            "external_data": source.external_data,
            "spread": spread,
        },
    )


def _spreads(disclosure: Disclosure, standings: Iterable[Standing]) -> dict[int, dict[str, Any]]:
    """How the findings of runs are spread, by their standings (their keys); of results that are kept."""
    standing_of = {one.run_id: one for one in standings}
    found: dict[int, dict[str, Any]] = {}
    sizes: dict[Cases, Floats] = {}  # of the same findings they are the same
    for run, scores in of_scored(list(standing_of)).items():
        if scores.cases not in sizes:
            sizes[scores.cases] = sizes_ml(disclosure.phase.case_set, scores)
        standing = standing_of[run]
        found[standing.pk] = spread_of(scores, sizes[scores.cases], standing.scope, disclosure)
    return found


def shown(scores: Scores, source: Source) -> dict[str, Any]:
    """What a row of a table says of a run, as JSON can hold it."""
    return {
        **vars(scores),
        "team": (source.team, source.team_name, source.slug),
        **{name: getattr(source, name) for name in _WORDS},
        "committed_at": source.committed_at.isoformat() if source.committed_at else None,
        **({"is_anonymous": True} if source.is_anonymous else {}),
    }


def _numbers(scores: Scores) -> list[float | None]:
    """In the order of ranking.NUMBERS."""
    reach = max(scores.dice, scores.dice_ci[1] if scores.dice_ci else 0.0)
    return [scores.dice, reach, scores.hit_rate, scores.instance_f1, scores.distance_f1]
