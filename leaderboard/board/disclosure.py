"""What a reader may see of a phase at an instant. It is decided here, once, for every page, panel, export and command.

Until a phase is revealed, scores are rounded to 3 decimals, ranks and ties follow from the rounded values, pooled
counts are left out, and so is every group of fewer than 10 findings, with as many more as would tell it. On hidden
cases, everything about a run is as it was at the beginning of the present minute, and progress is told in steps of 5 %:
exact instants and counts depend on what is in the cases, and would be a channel out of the hidden set. Organisers, and
readers of public cases, see it all.

A post-challenge run on hidden cases stays rounded, without small groups, after the reveal too: else the cases could be
asked about for ever. A try-out is shown as its own cases are, which are public, whatever its phase hides.

Numbers of single hidden cases of all teams are for everybody once organisers published them, which they can after the
reveal and while nobody may ask about these cases any more (challenge/published_cases.py); never under their names, and
never those of post-challenge runs.

Under an embargo nobody but organisers is shown any number, as where a phase publishes nothing. Teams without names are
named by numbers on boards (`aliases`) until the reveal; what a team sees of its own runs is the same.

Which cases are the public half nobody is told before the reveal, also no organiser; that it stands, everybody.

Whoever hands out numbers, states, instants or reasons takes a `Disclosure` and asks it; nobody else knows these rules.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from statistics import median
from typing import Any, Self, overload

from django.db.models import Q, QuerySet

from evaluation import Difference, Group, Summary
from leaderboard.challenge import downloads
from leaderboard.models import CaseSet, DataAcceptance, DataTerms, Phase, Standing, Submission, User
from leaderboard.states import RunState, SubmissionKind, SubmissionState

DECIMALS = 3
FEWEST_FINDINGS = 10
FEWEST_CASES = 10
SECONDS_DECIMALS = 2
COARSE_PERCENT = 5
VARIES = 2  # over so many cases or findings a number can vary
NO_WIDTH = 1e-9  # what the last bits of two sums may differ by
# Decisions of people, and what was found before anything ran: shown at once, also on hidden cases.
SHOWN_AT_ONCE = frozenset({RunState.CANCELLED, SubmissionState.REJECTED})

Interval = tuple[float, float]


class Reader(StrEnum):
    """Who reads: anybody, a member of the team that the run is of, or an organiser."""

    PUBLIC = "public"
    TEAM = "team"
    ORGANISER = "organiser"


def reader_of(person: User, submission: Submission) -> Reader | None:
    """Who this person is to a submission; None for everybody to whom there is no such submission."""
    if person.current_role:
        return Reader.ORGANISER
    if submission.team.memberships.filter(user=person).exists():
        return Reader.TEAM
    return None


@dataclass(frozen=True)
class Viewer:
    """Who reads, and at which instant: made once a request, by one reading of the database's clock (UTC)."""

    reader: Reader
    at: datetime

    def of(self, phase: Phase) -> "Disclosure":
        """What this reader may see of the phase."""
        return Disclosure(self.reader, phase, self.at)

    def of_submission(self, submission: Submission) -> "Disclosure":
        """What this reader may see of a submission, by its kind and its phase."""
        return Disclosure(self.reader, submission.phase, self.at, submission.kind, submission.cases_of)

    def of_half(self, case_set: CaseSet) -> "HalfDisclosure":
        """What this reader may see of the public half of these cases."""
        return HalfDisclosure(self.reader, case_set, self.at)

    @property
    def minute(self) -> datetime:
        """The beginning of the present minute: what happened before it may be seen by every reader."""
        return _minute(self.at)


@dataclass(frozen=True)
class Scores:
    """The scores of a summary or a group with their 95 % intervals, as they are shown; None where there is none."""

    dice: float
    dice_ci: Interval | None
    hit_rate: float
    hit_rate_ci: Interval | None
    instance_precision: float
    instance_recall: float
    instance_f1: float
    instance_f1_ci: Interval | None
    distance_precision: float | None
    distance_recall: float | None
    distance_f1: float | None
    distance_f1_ci: Interval | None


@dataclass(frozen=True)
class Disclosure:
    """What `reader` may see of `phase` at the instant `at` (UTC, by the database's clock, read once a request).

    That is of its entries, unless `kind` is another one; a try-out runs on the public cases of the phase `cases_of`.
    Of runs it is what happened before `until`, where that is told: a board does not change with each instant.
    """

    reader: Reader
    phase: Phase
    at: datetime
    kind: str = SubmissionKind.SCORED
    cases_of: Phase | None = None
    until: datetime | None = None

    @classmethod
    def to_public(cls, phase: Phase, at: datetime) -> Self:
        """What anybody may see."""
        return cls(Reader.PUBLIC, phase, at)

    @property
    def viewer(self) -> Viewer:
        """Who reads, and when."""
        return Viewer(self.reader, self.at)

    def of_kind(self, kind: str) -> "Disclosure":
        """What the same reader may see of submissions of another kind on the phase's own cases."""
        return replace(self, kind=kind)

    # --- cases and instants ------------------------------------------------------------------------------------------

    @property
    def shows_cases(self) -> bool:
        """Whether single cases, exact counts and exact instants are shown, and a run as it is at this moment."""
        return self.reader is Reader.ORGANISER or self.cases_are_public

    @property
    def cases_are_public(self) -> bool:
        """Whether everybody may see the cases."""
        return (self.cases_of or self.phase).cases_are_public

    @property
    def follows_events(self) -> bool:
        """Whether the reader is told of each event as it comes: on hidden cases their number would tell too much."""
        return self.shows_cases

    @property
    def visible_until(self) -> datetime:
        """What happened before this instant may be seen."""
        return self.until or (self.at if self.shows_cases else _minute(self.at))

    def shown_instant(self, at: datetime) -> datetime:
        """An instant in a run's life as it is shown: exact, or its minute."""
        return at if self.shows_cases else _minute(at)

    def visible(self, field: str) -> Q:
        """Restricts rows to those whose instant `field` may be seen."""
        if self.shows_cases and self.until is None:
            return Q(**{f"{field}__isnull": False})
        return Q(**{f"{field}__lt": self.visible_until})

    def is_visible(self, at: datetime | None) -> bool:
        """Whether something that happened at this instant (None: not yet) may be seen."""
        return at is not None and (self.shows_cases or at < self.visible_until)

    def percent(self, done: int, total: int) -> int:
        """Progress in per cent: exact, or in steps of 5."""
        percent = 100 * done // total
        return percent if self.shows_cases else percent // COARSE_PERCENT * COARSE_PERCENT

    def seconds_per_case(self, seconds: Sequence[float]) -> float | None:
        """How long a case took, as it is shown: the median, on hidden cases in steps of 1, 2, 5, 10, 20, ... seconds.

        None without any; on hidden cases without FEWEST_CASES, of which each would tell too much.
        """
        if not seconds or (len(seconds) < FEWEST_CASES and not self.shows_cases):
            return None
        middle = median(seconds)
        return round(middle, SECONDS_DECIMALS) if self.shows_cases else _stepped(middle)

    # --- numbers of single cases, of all teams -----------------------------------------------------------------------

    @property
    def shows_case_numbers(self) -> bool:
        """Whether everybody may have the numbers of each case: public cases, and hidden ones once published."""
        return self.cases_are_public or self._is_published(self.phase.cases_published_at)

    @property
    def shows_finding_numbers(self) -> bool:
        """Whether everybody may have the numbers of each finding, with its category and size."""
        return self.cases_are_public or self._is_published(self.phase.findings_published_at)

    def _is_published(self, since: datetime | None) -> bool:
        return since is not None and since <= self.at and self.is_revealed and not self.stays_rounded

    # --- scores ------------------------------------------------------------------------------------------------------

    @property
    def is_embargoed(self) -> bool:
        """Whether results are withheld for now, whatever the phase publishes. Of public cases nothing is."""
        until = self.phase.embargo_until
        return not self.cases_are_public and until is not None and self.at < until

    @property
    def is_revealed(self) -> bool:
        """Whether the phase's full result is out. Public cases have nothing to withhold."""
        return self.cases_are_public or (not self.is_embargoed and self._is_after_reveal)

    @property
    def _is_after_reveal(self) -> bool:
        return self.phase.revealed_at is not None and self.phase.revealed_at <= self.at

    @property
    def names_teams(self) -> bool:
        """Whether boards say whose runs they show, and in which words; on public cases, too, a phase may not say so."""
        return self.reader is Reader.ORGANISER or not self.phase.anonymous_until_reveal or self._is_after_reveal

    @property
    def scope(self) -> Standing.Scope | None:
        """Which cases feed the numbers that are shown; None when nothing is published."""
        everything = self.phase.publication == Phase.Publication.EVERYTHING
        if self.is_embargoed and self.reader is not Reader.ORGANISER:
            return None
        if self.reader is Reader.ORGANISER or self.is_revealed or everything:
            return Standing.Scope.ALL
        return Standing.Scope.HALF if self.phase.publication == Phase.Publication.HALF else None

    @property
    def half_commitment(self) -> str:
        """The commitment to the public half, wherever the phase has one: before and after the reveal, for everybody.

        "" where the cases were imported before there were commitments.
        """
        return self.phase.case_set.half_commitment if self.phase.publication == Phase.Publication.HALF else ""

    @cached_property
    def opens_half(self) -> bool:
        """Whether that commitment is opened."""
        return (
            bool(self.half_commitment) and self.is_revealed and self.viewer.of_half(self.phase.case_set).shows_opening
        )

    @cached_property
    def shows_exact_scores(self) -> bool:
        """Whether numbers are shown unrounded and groups of any size."""
        return self.reader is Reader.ORGANISER or (self.is_revealed and not self.stays_rounded)

    @property
    def stays_rounded(self) -> bool:
        """Whether scores are rounded for ever, whatever is revealed."""
        return self.kind == SubmissionKind.POST_CHALLENGE and not self.cases_are_public

    def shows_group(self, findings: int) -> bool:
        """Whether the numbers of a group of so many findings are shown."""
        return self.shows_exact_scores or findings >= FEWEST_FINDINGS

    def shown_parts(self, findings: Sequence[int]) -> list[bool]:
        """Whether each part of a whole is shown, of which so much as all of it is told: each has so many findings.

        With small parts as many more are left out, the smallest first, as it takes that what is left out is no small
        group either: what is told, taken from the whole, would tell it.
        """
        hidden = {place for place, count in enumerate(findings) if not self.shows_group(count)}
        in_order = sorted(set(range(len(findings))) - hidden, key=lambda place: (findings[place], place))
        for place in in_order if hidden else ():
            if self.shows_group(sum(findings[one] for one in hidden)):
                break
            hidden.add(place)
        return [place not in hidden for place in range(len(findings))]

    @overload
    def rounded(self, value: float) -> float: ...

    @overload
    def rounded(self, value: float | None) -> float | None: ...

    def rounded(self, value: float | None) -> float | None:
        """A score as it is shown."""
        if value is None or self.shows_exact_scores:
            return value
        return float(f"{value:.{DECIMALS}f}")  # as round() does, in half the time: a board has thousands of them

    def rounded_interval(self, ends: Sequence[float | None] | None, count: int = VARIES) -> Interval | None:
        """A 95 % interval of a number over `count` cases or findings, as it is shown; None where there is none.

        Over one of them nothing says how such a number would vary. One without width is none, too: a number that no
        resample of the cases changes (of the findings of one case, or 0 or 1 of all) would look certain, and is not.
        """
        low, high = ends if ends and len(ends) == 2 and count >= VARIES else (None, None)
        if low is None or high is None or high - low <= NO_WIDTH:
            return None
        return self.rounded(low), self.rounded(high)

    def rounded_count(self, count: int, of: int) -> int:
        """How often of so many times something came about, as it is shown: exact, or in whole per cent."""
        return count if self.shows_exact_scores else round(100 * count / of) * of // 100

    def difference(self, score: float, base: float) -> float:
        """By how much a score is above another one, of both as they are shown.

        Were it rounded only then, the differences from many others would tell the exact score.
        """
        return self.rounded(self.rounded(score) - self.rounded(base))

    def paired_interval(self, shown: float, found: Difference, differing: int) -> Interval | None:
        """The 95 % interval of a paired difference that is `shown` as this; None where there is none.

        Before a reveal it tells how far it reaches to both sides of what is shown, in steps; and it tells nothing where
        the two differ in fewer than 10 findings (`differing`): it would be about these alone.
        """
        if found.value is None or found.interval is None or not self.shows_group(differing):
            return None
        if self.shows_exact_scores:
            return found.interval
        low, high = (self.rounded(shown + self.rounded(end - found.value)) for end in found.interval)
        return low, high

    def scores(self, numbers: Summary | Group) -> Scores:
        """The scores of a summary or a group as they are shown."""
        ends: Mapping[str, Any] = numbers["confidence_intervals"]
        count = _fewest(numbers)
        return Scores(
            dice=self.rounded(numbers["dice"]),
            dice_ci=self.rounded_interval(ends["dice"], count),
            hit_rate=self.rounded(numbers["hit_rate"]),
            hit_rate_ci=self.rounded_interval(ends["hit_rate"], count),
            instance_precision=self.rounded(numbers["instance_precision"]),
            instance_recall=self.rounded(numbers["instance_recall"]),
            instance_f1=self.rounded(numbers["instance_f1"]),
            instance_f1_ci=self.rounded_interval(ends["instance_f1"], count),
            distance_precision=self.rounded(numbers["distance_precision"]),
            distance_recall=self.rounded(numbers["distance_recall"]),
            distance_f1=self.rounded(numbers["distance_f1"]),
            distance_f1_ci=self.rounded_interval(ends["distance_f1"], count),
        )


@dataclass(frozen=True)
class HalfDisclosure:
    """What `reader` may see of the public half of a case set at the instant `at`.

    How even it is, organisers may know at any time; which cases it has, under their tags, everybody from the reveal on,
    and by name, with the secret, organisers. The reveal is that of every phase that shows the half of these cases; of
    a draft, too.
    """

    reader: Reader
    case_set: CaseSet
    at: datetime

    @property
    def shows_balance(self) -> bool:
        """Whether the counts of both halves are shown."""
        return self.reader is Reader.ORGANISER

    @cached_property
    def shows_opening(self) -> bool:
        """Whether the commitment is opened: of each case, under its tag, on which side it is."""
        if not self.case_set.half_commitment:
            return False
        sets = CaseSet.objects.filter(self.case_set.family)  # what mends it has the same half
        phases = Phase.objects.filter(case_set__in=sets, publication=Phase.Publication.HALF)
        revealed = [Disclosure(self.reader, phase, self.at).is_revealed for phase in phases]
        return bool(revealed) and all(revealed)

    @property
    def shows_names(self) -> bool:
        """Whether the cases are named, and the secret is told."""
        return self.reader is Reader.ORGANISER and self.shows_opening


@dataclass(frozen=True)
class DataDisclosure:
    """What `person` (None: nobody who is signed in) may see of a case set whose files can be downloaded.

    Anybody may know that it can be, how much it is, and under which terms; its cases, sentences, masks and volumes are
    for who has accepted the present version of the terms, and for organisers.
    """

    person: User | None
    case_set: CaseSet
    terms: DataTerms | None
    acceptance: DataAcceptance | None

    @classmethod
    def of(cls, person: User | None, case_set: CaseSet) -> Self:
        """As things stand now."""
        terms = downloads.present_terms(case_set)
        return cls(person, case_set, terms, downloads.acceptance_of(person, terms) if person else None)

    @property
    def shows_files(self) -> bool:
        """Whether the cases are shown, and their files handed out."""
        return self.person is not None and self.person.is_active and (self.acceptance is not None or self.is_organiser)

    @property
    def is_organiser(self) -> bool:
        """Whether an organiser reads, who needs to accept nothing to see what others get."""
        return self.person is not None and self.person.current_role is not None


def downloadable_sets() -> QuerySet[CaseSet]:
    """The case sets of which anybody may know that they can be downloaded; of all others there is nothing to see."""
    return downloads.allowed().filter(copied_at__isnull=False).order_by("name")


def scope_for_best_run(phase: Phase) -> Standing.Scope:
    """By which cases a team's best run is chosen: with a public half by that half, before and after the reveal."""
    return Standing.Scope.HALF if phase.publication == Phase.Publication.HALF else Standing.Scope.ALL


def _fewest(numbers: Mapping[str, Any]) -> int:
    """How many cases a summary is of, or findings a group; whichever are fewer, where both are known."""
    return min((numbers[name] for name in ("total_cases", "n") if name in numbers), default=VARIES)


def _stepped(seconds: float) -> float:
    """The nearest of 1, 2, 5, 10, 20, 50, ... by ratio."""
    steps = (digit * 10.0**power for power in range(7) for digit in (1, 2, 5))
    return min(steps, key=lambda step: abs(math.log(step / max(seconds, 1.0))))


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
