"""Who sees what of a phase at an instant, in words: everybody, and a team. As it is, and as changes would have it.

What is shown is decided by `board.disclosure`, which is asked here; nothing of it is known twice.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from leaderboard.board.disclosure import Disclosure, Reader
from leaderboard.challenge.phases import takes_post_challenge
from leaderboard.core.text import instant
from leaderboard.models import Phase, Standing

EVERYBODY, TEAM = "everybody", "a team"
_OVER = {Standing.Scope.ALL: "over all cases", Standing.Scope.HALF: "over the public half of the cases"}


class Sight(NamedTuple):
    """Something that is seen, by whom: as it is now, and as it would be."""

    reader: str
    what: str
    before: str
    after: str

    @property
    def differs(self) -> bool:
        """Whether it would be another one."""
        return self.before != self.after


def sights(before: Phase, after: Phase, at: datetime) -> list[Sight]:
    """All that there is to see, by reader."""
    both = zip(_all(before, at), _all(after, at), strict=True)
    return [Sight(reader, what, now, then) for (reader, what, now), (_, _, then) in both]


def _all(phase: Phase, at: datetime) -> Iterator[tuple[str, str, str]]:
    public, team = Disclosure.to_public(phase, at), Disclosure(Reader.TEAM, phase, at)
    yield EVERYBODY, "The phase", _state(phase, at)
    yield EVERYBODY, "Scores on its board", _scores(public)
    yield EVERYBODY, "The full result", _full_result(public)
    yield EVERYBODY, "Ranks", _ranks(phase)
    yield EVERYBODY, "Whose runs they are", "the teams’ names" if public.names_teams else "“Team” and a number"
    yield EVERYBODY, "Single cases", _cases(public)
    yield TEAM, "Handing in", _handing_in(phase, at)
    yield TEAM, "Runs", f"{phase.runs_per_day} a day, {phase.runs_total} in all"
    yield TEAM, "Scores of its own runs", _scores(team)
    yield TEAM, "A run at work", _at_work(team)
    yield TEAM, "What its method is told", _told(phase)


def _state(phase: Phase, at: datetime) -> str:
    if phase.is_draft:
        return "nothing of it"
    if at < phase.opens_at:
        return f"to come, from {instant(phase.opens_at)}"
    return (
        f"open until {instant(phase.closes_at)}" if at < phase.closes_at else f"over since {instant(phase.closes_at)}"
    )


def _scores(seen: Disclosure) -> str:
    if seen.phase.is_draft and seen.reader is Reader.PUBLIC:
        return "nothing of it"
    if seen.is_embargoed:
        return f"none before {instant(seen.phase.embargo_until)}" if seen.phase.embargo_until else "none"
    if seen.scope is None:
        return "none before the reveal"
    return f"{_OVER[seen.scope]}, {'exact' if seen.shows_exact_scores else 'in three decimals'}"


def _full_result(seen: Disclosure) -> str:
    if seen.cases_are_public:
        return "at once: the cases are public"
    if seen.is_revealed:
        return "is out"
    out = max(filter(None, (seen.phase.revealed_at, seen.phase.embargo_until)), default=None)
    return f"from {instant(out)} on" if out and seen.phase.revealed_at else "no instant is set"


def _ranks(phase: Phase) -> str:
    if not phase.is_ranked:
        return "nobody has one"
    apart = "" if phase.masks_are_ranked or not phase.takes_masks else "; masks stand apart"
    return f"by {phase.get_counting_display().lower()}{apart}"


def _cases(seen: Disclosure) -> str:
    if seen.shows_cases:
        return "each with its masks and logs"
    if seen.shows_finding_numbers:
        return "numbers of each finding, without names"
    return "numbers of each, without names" if seen.shows_case_numbers else "none"


def _handing_in(phase: Phase, at: datetime) -> str:
    asks = ", teams that are approved" if phase.requires_approval else ""
    if phase.is_draft or at < phase.opens_at:
        return f"not yet{asks}"
    if at < phase.closes_at:
        return f"{phase.get_takes_display().lower()}{asks}"
    return "post-challenge runs" if takes_post_challenge(phase, at) else "no more"


def _at_work(seen: Disclosure) -> str:
    return "each case as it comes, and the log" if seen.shows_cases else "progress in steps of 5 %, no case"


def _told(phase: Phase) -> str:
    return "the sentence and its category" if phase.show_categories else "the sentence alone"
