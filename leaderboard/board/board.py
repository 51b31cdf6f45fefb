"""The ranked board of a phase and track, as a reader may see it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import chain

from django.db.models import Count, F, OuterRef, Subquery
from django.db.models.functions import Coalesce

import evaluation
from evaluation import Group, Summary
from leaderboard.board.counting import counting_standings, post_challenge_standings, unranked_masks
from leaderboard.board.disclosure import Disclosure
from leaderboard.board.places import NUMBERS, Found, Place, find, findings_of_groups, places
from leaderboard.board.ranking import SORT_KEYS, ranks, sort_key
from leaderboard.board.rows import Board, Figures, GroupLine, Listing, Row
from leaderboard.challenge.categories import ALL, GROUPS
from leaderboard.models import Standing, Submission
from leaderboard.states import SubmissionKind

# What a row of a board shows. A row that is opened shows more of its submission.
_OF_SUBMISSION = ("team", "phase", "kind", "entry", "track", "algorithm", "accepted_at", "paper_url", "code_url")
_OF_A_ROW = (
    *("run", "lost_cases", "run__submission"),
    *(f"run__submission__{name}" for name in (*_OF_SUBMISSION, "commitment", "committed_at")),
    *(f"run__submission__team__{name}" for name in ("name", "slug", "affiliation")),
)

# How many runs of the same kind a team has had in the phase.
_RUNS = (
    Submission.objects.filter(
        **{name: OuterRef(f"run__submission__{name}") for name in ("phase", "kind", "team")},
        charged=True,
        withdrawn_at=None,
    )
    .order_by()
    .values("team")
    .values(count=Count("pk"))
)


def make_board(
    disclosure: Disclosure, track: str, *, group: str = ALL, sort: str = "rank", only_ranked: bool = False
) -> Board:
    """The board as its reader may see it; `only_ranked`, without the runs that stand apart.

    `group` ranks by one group of findings, `sort` is one of SORT_KEYS. Raises KeyError for an unknown group or key.
    """
    if group not in GROUPS or sort not in SORT_KEYS:
        raise KeyError(group if group not in GROUPS else sort)
    to_others = disclosure.of_kind(SubmissionKind.POST_CHALLENGE)
    lists = (
        counting_standings(disclosure, track),
        [] if only_ranked else unranked_masks(disclosure, track),
        [] if only_ranked else post_challenge_standings(to_others, track),
    )
    known = find(chain(*lists), group, sort if sort in NUMBERS else "dice")
    ranked, masks, after = ([known[one] for one in standings if one in known] for standings in lists)
    order = sort_key(sort)
    rows = sorted(_with_ranks(places(disclosure, ranked, group)), key=order)
    apart = sorted(places(disclosure, masks, group), key=order)
    later = sorted(places(to_others, after, group), key=order)
    return Board(
        disclosure=disclosure,
        track=track,
        group=group,
        rows=_listing(rows, group),
        masks=_listing(apart, group),
        after=_listing(later, group),
        everything=_listing([*rows, *apart, *later], group),
        reach=max((one.reach for one in (*rows, *later)), default=0.0),
        cases=next((one.cases for one in (*ranked, *masks, *after)), 0),
        cases_total=disclosure.phase.case_set.cases.count(),
        evaluation_version=evaluation.VERSION,
        updated_at=_last_end(disclosure, known.values()),
        sample=next((one.standing for one in ranked), None),
    )


def _last_end(disclosure: Disclosure, found: Iterable[Found]) -> datetime | None:
    """When the last of their runs ended, as it is shown."""
    last = max((one.ended_at for one in found if one.ended_at is not None), default=None)
    return disclosure.shown_instant(datetime.fromtimestamp(last, UTC)) if last is not None else None


def _with_ranks(ranked: Sequence[Place]) -> list[Place]:
    return [one._replace(rank=rank) for one, rank in zip(ranked, ranks([one.dice for one in ranked]), strict=True)]


def _listing(some: Sequence[Place], group: str) -> Sequence[Row]:
    return Listing(some, partial(_read_rows, group=group)) if some else []


def _read_rows(some: Sequence[Place], group: str) -> list[Row]:
    """The rows of these places; one that was deleted meanwhile is left out."""
    found = (
        Standing.objects.filter(pk__in=[one.standing for one in some])
        .select_related("run__submission__team")
        .only(*_OF_A_ROW)
        .annotate(numbers=F("summary" if group == ALL else f"groups__{group}"), runs=Coalesce(Subquery(_RUNS), 0))
    )
    known = {one.pk: one for one in found}
    pairs = [(place, known[place.standing]) for place in some if place.standing in known]
    return [_row(place, one, one.numbers, one.runs) for place, one in pairs]


def _row(place: Place, standing: Standing, numbers: Summary | Group, runs: int) -> Row:
    submission = standing.run.submission
    submission.phase = place.disclosure.phase
    return Row(
        **vars(place.disclosure.scores(numbers)),
        rank=place.rank,
        team=submission.team,
        submission=submission,
        run=standing.run,
        algorithm=submission.algorithm,
        affiliation=submission.team.affiliation,
        lost_cases=standing.lost_cases,
        runs=runs,
        date=submission.accepted_at,
        standing=standing,
        disclosure=place.disclosure,
    )


def shown_groups(board: Board) -> list[tuple[str, str]]:
    """The groups, each with its label, by which a board can be read: those that are shown of all that have them.

    One standing tells how large they are: all that are ranked beside it are of the same cases.
    """
    sizes = findings_of_groups(board.sample) if board.sample is not None else {}
    shown = {code for code, findings in sizes.items() if board.disclosure.shows_group(findings)}
    return [(code, label) for code, label in GROUPS.items() if code == ALL or code in shown]


def _is_shown(disclosure: Disclosure, standing: Standing, code: str) -> bool:
    """Whether the standing has such a group, and its numbers are shown."""
    return code in standing.groups and disclosure.shows_group(standing.groups[code]["n"])


def lines_of(rows: Iterable[Row]) -> dict[int, list[GroupLine]]:
    """The groups of findings of a board's rows, by the key of the run: one question for some rows, none for none."""
    known = {row.run.pk: row for row in rows}
    standings = Standing.objects.filter(pk__in=[row.standing.pk for row in known.values()]).defer("summary")
    return {one.run_id: group_lines(one, known[one.run_id].disclosure) for one in standings.iterator()}


def group_lines(standing: Standing, disclosure: Disclosure) -> list[GroupLine]:
    """The groups of findings of a run, by one of its standings, those that are shown."""
    return [_group_line(disclosure, standing, code) for code in GROUPS if _is_shown(disclosure, standing, code)]


def _group_line(disclosure: Disclosure, standing: Standing, code: str) -> GroupLine:
    numbers = standing.groups[code]
    return GroupLine(**vars(disclosure.scores(numbers)), code=code, label=GROUPS[code], n=numbers["n"])


def figures(standings: Iterable[Standing], disclosure: Disclosure) -> Figures | None:
    """The numbers of a run, of whose standings one may be shown; None while none is."""
    standing = next((one for one in standings if one.scope == disclosure.scope), None)
    if standing is None:
        return None
    return Figures(
        **vars(disclosure.scores(standing.summary)),
        cases=standing.cases,
        lost_cases=standing.lost_cases,
        scope=standing.scope,
        evaluation_version=standing.evaluation_version,
    )
