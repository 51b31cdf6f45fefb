"""Teams that may be one group with two accounts, and so with twice the runs: for organisers, shown to nobody else.

What two teams have in common has a weight. One strong thing (the same upload, image or masks; a person of the same
name) is enough for a look, as are weak ones together: people of one institution work on one network, and are two teams
all the same. What more than `MOST_TEAMS` share (a university's network, a public mail provider) says nothing.

The sweeper finds pairs; who looks at one reads the evidence as it is at that moment.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import combinations
from typing import NamedTuple

from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.db import transaction

from leaderboard.core import audit, clock, locks
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.core.text import one_line
from leaderboard.models import EqualEntry, Equality, LikelyDouble, Membership, Team
from leaderboard.people.names import skeleton

LOOK_SECONDS = 300.0
LIKELY = 4
MOST_TEAMS = 4
SHORTEST_NAME = 8  # letters; shorter ones are many people's
_next_look = 0.0

_KINDS = Equality.Kind
WEIGHTS: Mapping[str, int] = {
    _KINDS.UPLOAD: 4,
    _KINDS.IMAGE: 4,
    _KINDS.MASKS: 4,
    _KINDS.LAYERS: 3,
    _KINDS.WEIGHTS: 2,
    "person": 4,
    "address": 2,
    "domain": 1,
    "institution": 1,
}
WORDS: Mapping[str, str] = {
    **{kind.value: str(kind.label) for kind in _KINDS},
    "person": "people of the same name",
    "address": "signed in from the same network address",
    "domain": "email addresses of the same domain",
    "institution": "the same institution",
}
Pair = tuple[int, int]


class Evidence(NamedTuple):
    """Something that two teams have in common: of which kind, and what it is, in words."""

    kind: str
    what: str
    weight: int

    @property
    def words(self) -> str:
        """What kind of thing it is."""
        return WORDS[self.kind]


def look(_at: datetime) -> None:
    """Look for pairs, unless this process did so a moment ago."""
    global _next_look
    if time.monotonic() >= _next_look:
        _next_look = time.monotonic() + LOOK_SECONDS
        with locks.working_on("doubles", "") as mine:
            if mine:
                find()


@transaction.atomic
def find() -> None:
    """Note the pairs that are likely now; what nobody settled and is not likely any more goes."""
    likely = {pair: weight for pair, found in _evidence().items() if (weight := _weight(found)) >= LIKELY}
    known = {(one.first_id, one.second_id): one for one in LikelyDouble.objects.select_for_update().order_by("pk")}
    at = clock.now()
    new = [
        LikelyDouble(first_id=first, second_id=second, weight=weight, found_at=at)
        for (first, second), weight in likely.items()
        if (first, second) not in known
    ]
    LikelyDouble.objects.bulk_create(new, ignore_conflicts=True)
    for pair, row in known.items():
        weight = likely.get(pair, 0)
        if not weight and row.settled_at is None:
            row.delete()
        elif weight != row.weight:
            row.weight = weight
            row.save(update_fields=["weight"])


def _weight(found: Iterable[Evidence]) -> int:
    """Each kind counts once: ten equal images are no more than one."""
    return sum({one.kind: one.weight for one in found}.values())


def evidence_of(double: LikelyDouble) -> list[Evidence]:
    """What the two teams have in common at this moment, the strongest first."""
    found = _evidence().get((double.first_id, double.second_id), [])
    return sorted(found, key=lambda one: -one.weight)


@transaction.atomic
def settle(double: LikelyDouble, *, by: Actor, why: str = "") -> None:
    """They are two. With more in common than now they are asked about again."""
    row = LikelyDouble.objects.select_for_update(of=("self",)).select_related("first", "second").get(pk=double.pk)
    if not row.is_open:
        raise Refused("Somebody settled this already.")
    before = {"weight": row.settled_weight} if row.settled_at else {}
    row.settled_at, row.settled_by, row.settled_weight = clock.now(), by.user, row.weight
    row.note = why.strip()
    row.save(update_fields=["settled_at", "settled_by", "settled_weight", "note"])
    audit.record(by, "not a double", row, before=before, after={"weight": row.weight}, why=why)


# --- what teams have in common ----------------------------------------------------------------------------------------


def _evidence() -> dict[Pair, list[Evidence]]:
    """By pair of teams; each kind of thing is one question to the database, however many teams there are."""
    shared = _Shared()
    _from_entries(shared)
    _from_people(shared)
    _from_institutions(shared)
    organisers = set(Team.objects.filter(is_of_organisers=True).values_list("pk", flat=True))
    found: dict[Pair, list[Evidence]] = defaultdict(list)
    for (kind, key), everybody in shared.teams.items():
        teams = everybody - organisers
        if 2 <= len(teams) <= MOST_TEAMS:
            for first, second in combinations(sorted(teams), 2):
                found[first, second].append(Evidence(kind, shared.words[kind, key], WEIGHTS[kind]))
    return found


class _Shared:
    """Which teams have a thing, by its kind and by what is equal; with words for it."""

    def __init__(self) -> None:
        self.teams: dict[tuple[str, str], set[int]] = defaultdict(set)
        self.words: dict[tuple[str, str], str] = {}

    def add(self, kind: str, key: str, words: str, team: int) -> None:
        """This team has it, too."""
        self.teams[kind, key].add(team)
        self.words[kind, key] = words


def _from_entries(shared: _Shared) -> None:
    entries = EqualEntry.objects.order_by().values_list("equality__kind", "equality", "submission__team").distinct()
    for kind, pk, team in entries:
        shared.add(kind, str(pk), f"equal entries, number {pk}", team)


def _from_people(shared: _Shared) -> None:
    members = Membership.objects.values_list("user", "team", "user__name")
    teams = {user: team for user, team, _ in members}
    for _, team, name in members:
        words, look = one_line(name), skeleton(name)
        if " " in words and len(look) >= SHORTEST_NAME:
            shared.add("person", look, words, team)
    for email, user in EmailAddress.objects.filter(verified=True, user__in=teams).values_list("email", "user"):
        domain = email.rpartition("@")[2].lower()
        shared.add("domain", domain, domain, teams[user])
    for address, user in UserSession.objects.filter(user__in=teams).order_by().values_list("ip", "user").distinct():
        shared.add("address", str(address), str(address), teams[user])


def _from_institutions(shared: _Shared) -> None:
    for institution, team in Team.objects.exclude(affiliation="").values_list("affiliation", "pk"):
        shared.add("institution", one_line(institution).casefold(), one_line(institution), team)
