"""Pauses for maintenance: announced ahead, and what they mean for the clocks of teams and hosts.

While one lasts no container starts; what runs is brought to its end, and everything else goes on: uploads, submissions,
checks, scores. So that nobody loses by it,

* a deadline that lies in a pause, or less than `BEFORE_DEADLINE` after it, is moved by the pause's length when that is
  planned; never back, for teams were told.
* what a team did not use of a UTC day's runs, if a pause took `HELD_UP` of the day or more, it may use the day after.
* drafts and unfinished uploads do not grow older meanwhile.
* a host's silence ends no lease before a lease's length after the pause, and is no fault of a run before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db import transaction
from django.db.models import Exists, F, QuerySet, Subquery, Value
from django.db.models.functions import Greatest, JSONObject

from leaderboard.challenge.phases import save_phase
from leaderboard.core import audit, clock, locks
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.core.text import instant
from leaderboard.models import Maintenance, Phase

BEFORE_DEADLINE = timedelta(days=1)
HELD_UP = timedelta(hours=1)
LONGEST = timedelta(days=3)


@dataclass(frozen=True)
class Pause:
    """A pause as it is told."""

    begins_at: datetime
    ends_at: datetime
    words: str

    def is_on(self, at: datetime) -> bool:
        """Whether it lasts at this instant."""
        return self.begins_at <= at < self.ends_at


def _not_over(at: datetime) -> QuerySet[Maintenance]:
    return Maintenance.objects.filter(cancelled_at=None, ends_at__gt=at)


def told(at: datetime) -> Subquery:
    """The pause that lasts, or the next, to be read beside something else; `read_told` reads it."""
    said = JSONObject(begins_at="begins_at", ends_at="ends_at", words="words")
    return Subquery(_not_over(at).values_list(said)[:1])


def read_told(said: dict[str, str] | None) -> Pause | None:
    """What `told` found."""
    if said is None:
        return None
    begins_at, ends_at = (datetime.fromisoformat(said[name]) for name in ("begins_at", "ends_at"))
    return Pause(begins_at, ends_at, said["words"])


def next_pause(at: datetime) -> Pause | None:
    """The pause that lasts, or the next."""
    found = _not_over(at).first()
    return Pause(found.begins_at, found.ends_at, found.words) if found else None


def is_on(at: datetime) -> bool:
    """Whether a pause lasts at this instant."""
    return _not_over(at).filter(begins_at__lte=at).exists()


def spares_leases(at: datetime, lease: timedelta) -> bool:
    """Whether a host that is silent loses nothing by it: in a pause, and for a lease's length after it."""
    return Maintenance.objects.filter(cancelled_at=None, begins_at__lte=at, ends_at__gt=at - lease).exists()


def held_up(day: date) -> Exists:
    """Whether a pause took `HELD_UP` or more of this UTC day."""
    begins = datetime.combine(day, time.min, UTC)
    ends = begins + timedelta(days=1)
    return Exists(
        Maintenance.objects.filter(
            cancelled_at=None,
            begins_at__lte=ends - HELD_UP,
            ends_at__gte=Greatest(F("begins_at"), Value(begins)) + HELD_UP,
        )
    )


def _lasting(since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    rows = Maintenance.objects.filter(cancelled_at=None, begins_at__lt=until, ends_at__gt=since)
    return [(max(begins, since), min(ends, until)) for begins, ends in rows.values_list("begins_at", "ends_at")]


def paused_between(since: datetime, until: datetime) -> timedelta:
    """For how long pauses lasted between two instants; they never overlap."""
    return sum((ends - begins for begins, ends in _lasting(since, until)), timedelta())


def long_before(at: datetime, span: timedelta) -> datetime:
    """The instant since which `span` has passed, pauses left out."""
    since = at - span
    while (earlier := at - span - paused_between(since, at)) < since:
        since = earlier
    return since


def long_after(at: datetime, span: timedelta) -> datetime:
    """The instant by which `span` will have passed, the pauses that are known left out."""
    until = at + span
    while (later := at + span + paused_between(at, until)) > until:
        until = later
    return until


# --- decisions --------------------------------------------------------------------------------------------------------


@transaction.atomic
def plan(_new: Maintenance, *, begins_at: datetime, ends_at: datetime, words: str, by: Actor, why: str = "") -> None:
    """Announce a pause. Raises Refused."""
    if begins_at < clock.now():
        raise Refused("It would have begun already: choose a later beginning, or begin one now.")
    _make(begins_at, ends_at, words, "plan pause", by, why)


@transaction.atomic
def begin_now(_new: Maintenance, *, ends_at: datetime, words: str, by: Actor, why: str = "") -> None:
    """A pause that nobody was told of begins now. Raises Refused."""
    _make(clock.now(), ends_at, words, "begin pause", by, why)


@transaction.atomic
def begin_early(pause: Maintenance, *, by: Actor, why: str = "") -> None:
    """What was planned begins now, and ends when it was to end. Raises Refused."""
    pause, at = _locked(pause), clock.now()
    if not pause.is_to_come(at):
        raise Refused("It has begun, or was called off.")
    _check_alone(at, pause.ends_at, pause)
    _check_length(at, pause.ends_at)
    planned = pause.begins_at
    _save(pause, "begin pause", by, why, begins_at=at)
    _move_deadlines(pause, by, moved_since=planned)


@transaction.atomic
def end(pause: Maintenance, *, by: Actor, why: str = "") -> None:
    """The pause is over now. Raises Refused."""
    pause, at = _locked(pause), clock.now()
    if not pause.is_on(at):
        raise Refused("It does not last now.")
    _save(pause, "end pause", by, why, ends_at=at)


@transaction.atomic
def cancel(pause: Maintenance, *, by: Actor, why: str = "") -> None:
    """The pause is called off before it begins. Raises Refused."""
    pause, at = _locked(pause), clock.now()
    if not pause.is_to_come(at):
        raise Refused("It has begun, or was called off. One that has begun can be ended.")
    _save(pause, "call pause off", by, why, cancelled_at=at)


def _make(begins_at: datetime, ends_at: datetime, words: str, action: str, by: Actor, why: str) -> None:
    locks.one_at_a_time("maintenance")
    _check_length(begins_at, ends_at)
    _check_alone(begins_at, ends_at, None)
    made = Maintenance.objects.create(begins_at=begins_at, ends_at=ends_at, words=words)
    after = {"begins_at": begins_at, "ends_at": ends_at, "words": words}
    audit.record(by, action, made, before=dict.fromkeys(after), after=after, why=why)
    _move_deadlines(made, by, moved_since=ends_at)


def _move_deadlines(pause: Maintenance, by: Actor, *, moved_since: datetime) -> None:
    """Move each deadline by what the pause takes of it; for what it lasts after `moved_since` later ones were moved.

    Post-challenge runs do not begin before the deadline.
    """
    why = f"A pause for maintenance from {instant(pause.begins_at)} to {instant(pause.ends_at)}."
    for phase in _open_meanwhile(pause.begins_at, pause.ends_at):
        end = moved_since if phase.closes_at > moved_since else pause.ends_at
        phase.closes_at += end - pause.begins_at
        if phase.post_challenge_opens_at:
            phase.post_challenge_opens_at = max(phase.post_challenge_opens_at, phase.closes_at)
        save_phase(phase, by=by, why=why)


def _open_meanwhile(begins_at: datetime, ends_at: datetime) -> Sequence[Phase]:
    """The phases whose deadline a pause would take something of, locked."""
    return list(
        Phase.objects.published()
        .select_for_update(no_key=True)
        .filter(opens_at__lt=ends_at, closes_at__gt=begins_at, closes_at__lt=ends_at + BEFORE_DEADLINE)
        .order_by("pk")
        .select_for_update(no_key=True)
    )


def _check_length(begins_at: datetime, ends_at: datetime) -> None:
    if ends_at <= begins_at:
        raise Refused("It ends after it begins.")
    if ends_at - begins_at > LONGEST:
        raise Refused(f"A pause lasts {LONGEST.days} days at most.")


def _check_alone(begins_at: datetime, ends_at: datetime, but: Maintenance | None) -> None:
    others = Maintenance.objects.filter(cancelled_at=None, begins_at__lt=ends_at, ends_at__gt=begins_at)
    if other := (others.exclude(pk=but.pk) if but else others).first():
        raise Refused(f"There is one from {instant(other.begins_at)} to {instant(other.ends_at)}: end that first.")


def _locked(pause: Maintenance) -> Maintenance:
    locks.one_at_a_time("maintenance")
    return Maintenance.objects.select_for_update().get(pk=pause.pk)


def _save(pause: Maintenance, action: str, by: Actor, why: str, **fields: datetime) -> None:
    before = audit.state_of(pause, fields)
    for name, value in fields.items():
        setattr(pause, name, value)
    pause.save(update_fields=[*fields])
    audit.record(by, action, pause, before=before, after=fields, why=why)
