"""All runs that a board may show, not only those that count: which of its versions lists which of them.

A version can list ten thousand runs, and the next one lists the same and one more. So a run is stored once, with the
numbers of the versions from which on and until which it is listed; a version that nobody has seen is taken back whole.
The database sums up what each is made of: of a run of which nothing changed, nothing is read.

Who handed a run in is in no version: the name is read as it is now, so that it goes with the account.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import MD5, Cast, JSONArray

from leaderboard.board.contents import LAYOUT, in_tables, shown, sources
from leaderboard.board.counting import shown_standings
from leaderboard.board.disclosure import Disclosure
from leaderboard.board.rows import Listed, Row
from leaderboard.challenge.categories import ALL
from leaderboard.models import BoardRow, BoardVersion, ListedRun, Phase, Standing, Submission
from leaderboard.states import SubmissionKind

KINDS = (SubmissionKind.SCORED, SubmissionKind.POST_CHALLENGE)
ORDERS = {
    "dice": ("-dice", "accepted_at", "name", "submission_id"),
    "date": ("-accepted_at", "name", "-submission_id"),
    "team": ("name", "-accepted_at", "-submission_id"),
}
"""The orders in which they can be read; of equal ones the earlier-accepted run is the better one."""
MOST_AT_ONCE = 1000

Found = Sequence[tuple[Disclosure, Mapping[str, int]]]
"""Of each kind of submission the standings (their keys) by what their lines are made of."""


# --- made -------------------------------------------------------------------------------------------------------------


def find(disclosure: Disclosure, track: str) -> Found:
    """All runs that the board may list at this instant."""
    return [(of_kind, _find(of_kind, track)) for of_kind in map(disclosure.of_kind, KINDS)]


def _find(disclosure: Disclosure, track: str) -> dict[str, int]:
    made_of = MD5(Cast(JSONArray(*in_tables(disclosure)), TextField()))
    found = shown_standings(disclosure, track).values_list(made_of, "pk")
    way = f"{LAYOUT}.{disclosure.shows_exact_scores:d}{'' if disclosure.names_teams else '.anonymous'}"
    return {f"{way}.{made}": standing for made, standing in found}


def noted(version: BoardVersion, found: Found) -> BoardVersion:
    """The version (which is not saved) with what it has to say of these: how many they are, and in its digest which."""
    keys = sorted(key for _, runs in found for key in runs)
    version.runs_listed = len(keys)
    version.digest = sha256(" ".join([version.digest, *keys]).encode()).hexdigest()
    return version


def save(version: BoardVersion, found: Found) -> None:
    """Have a version list these, and no other ones; it is the newest."""
    listed = ListedRun.objects.filter(phase=version.phase, track=version.track, to_number=None)
    before = set(listed.values_list("key", flat=True))
    listed.filter(key__in=before.difference(*(runs for _, runs in found))).update(to_number=version.number)
    for disclosure, runs in found:
        new = [(key, standing) for key, standing in runs.items() if key not in before]
        for first in range(0, len(new), MOST_AT_ONCE):
            some = dict(new[first : first + MOST_AT_ONCE])
            ListedRun.objects.bulk_create(_lines(disclosure, version, some))


def _lines(disclosure: Disclosure, version: BoardVersion, runs: Mapping[str, int]) -> Iterator[ListedRun]:
    summaries = dict(Standing.objects.filter(pk__in=runs.values()).values_list("pk", "summary"))
    known = {source.standing: source for source in sources(disclosure, runs.values())}
    for key, standing in runs.items():
        if standing in known.keys() & summaries.keys():
            scores, source = disclosure.scores(summaries[standing]), known[standing]
            yield ListedRun(
                phase=version.phase,
                track=version.track,
                submission_id=source.submission,
                key=key,
                accepted_at=source.accepted_at,
                name=source.team_name.lower(),
                dice=scores.dice,
                shown=shown(scores, source),
                from_number=version.number,
            )


def take_back(version: BoardVersion) -> None:
    """Undo `save` of a version, and of those after it."""
    listed = ListedRun.objects.filter(phase=version.phase_id, track=version.track)
    listed.filter(from_number__gte=version.number).delete()
    listed.filter(to_number__gte=version.number).update(to_number=None)


# --- read -------------------------------------------------------------------------------------------------------------


class RunLine(NamedTuple):
    """A run as it is listed: what it shows, with its rank if it counts; what it is, in words; who handed it in.

    `submitter` is empty where that is not told.
    """

    row: Row
    what: str
    submitter: str


def listed_in(version: BoardVersion | None, sort: str) -> QuerySet[ListedRun, int]:
    """All runs of a version (the keys of their ListedRuns), in one of ORDERS; KeyError for another one.

    None before the first version, and of one that was made before all runs were kept.
    """
    if version is None or version.runs_listed is None:
        return ListedRun.objects.none().values_list("pk", flat=True)
    begun = ListedRun.objects.filter(phase=version.phase_id, track=version.track, from_number__lte=version.number)
    listed = begun.filter(Q(to_number=None) | Q(to_number__gt=version.number))
    return listed.order_by(*ORDERS[sort]).values_list("pk", flat=True)


def lines(phase: Phase, version: BoardVersion, keys: Sequence[int]) -> list[RunLine]:
    """Some of these as they are shown."""
    stored = ListedRun.objects.in_bulk(keys)
    listed = [stored[key] for key in keys if key in stored]
    submissions = [one.submission_id for one in listed]
    found = BoardRow.objects.filter(pk__in=version.rows, submission__in=submissions)
    places = {submission: version.rows.index(row) for submission, row in found.values_list("submission", "pk")}
    names = {} if version.rules.get("anonymous") else _submitters(phase, submissions)
    return [
        RunLine(row, _what(row, version, places.get(row.submission)), names.get(row.submission, ""))
        for row in (_row(one, version, places.get(one.submission_id)) for one in listed)
    ]


def _row(one: ListedRun, version: BoardVersion, place: int | None) -> Row:
    rank = version.ranks[place] if place is not None and place < len(version.ranks) else None
    row = BoardRow(submission_id=one.submission_id, accepted_at=one.accepted_at, shown=one.shown)
    return Row.of(row, Listed(0, rank, 0), ALL)


def _what(row: Row, version: BoardVersion, place: int | None) -> str:
    if row.is_post_challenge:
        return "post-challenge run"
    if row.is_of_masks and not version.rules["masks_are_ranked"]:
        return "masks, not ranked"
    if row.rank:
        return "counts"
    if place is not None:
        return "organisers, not ranked" if row.of_organisers else "counts, nobody is ranked"
    if row.date >= datetime.fromisoformat(version.rules["closes_at"]):
        return "after the deadline"
    return "not its team’s best" if version.rules["counting"] == Phase.Counting.BEST else "an earlier run"


def _submitters(phase: Phase, submissions: Sequence[int]) -> dict[int, str]:
    """The names of those who handed these in, where the phase shows them and teams were told so before."""
    if not phase.show_submitters:
        return {}
    told = Submission.objects.filter(pk__in=submissions, shows_submitter=True)
    return dict(told.exclude(submitted_by=None).values_list("pk", "submitted_by__name"))
