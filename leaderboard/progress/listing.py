"""A team's runs as a list. Before a deadline everybody looks here: it asks the same few questions however many runs.

A filter goes by what is shown: how many runs fit it tells no more than the lines do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from django.db.models import Prefetch, QuerySet

from leaderboard.board.counting import counting_runs
from leaderboard.board.disclosure import Viewer
from leaderboard.board.numbers import figures
from leaderboard.board.rows import Figures
from leaderboard.models import Phase, Run, Standing, Submission, Team
from leaderboard.progress.case_facts import counts_of
from leaderboard.progress.stages import Staged, progress_of, shown_stages
from leaderboard.progress.withdrawal import Withdrawal, withdrawal_of
from leaderboard.states import ENDED, RunState, Stage, SubmissionState

# What a filter for states offers: its name in an address, its words, the states.
_AT_WORK: frozenset[Stage] = frozenset({*SubmissionState, *RunState}) - ENDED
STATES: Mapping[str, tuple[str, frozenset[Stage]]] = {
    "at-work": ("At work", _AT_WORK),
    "scored": ("Scored", frozenset({RunState.SCORED})),
    "failed": ("Failed or rejected", frozenset({RunState.FAILED, SubmissionState.REJECTED})),
    "cancelled": ("Cancelled", frozenset({RunState.CANCELLED, SubmissionState.CANCELLED})),
}


@dataclass(frozen=True)
class Line(Staged):
    """A submission in its team's list; `percent` while it runs, `figures` once it is scored and published.

    `run`: the key of its latest run. `counts_in`: the tracks in which that run is the one that counts for the team.
    """

    submission: Submission
    run: int | None
    state: Stage
    percent: int | None
    figures: Figures | None
    withdrawal: Withdrawal
    counts_in: Sequence[str]

    @property
    def counts(self) -> str:
        """Where it counts, in words: `counts`, or the one track in which it does."""
        if not self.counts_in:
            return ""
        everywhere = len(self.counts_in) == len(Submission.Track)
        return "counts" if everywhere else f"counts in {Submission.Track(self.counts_in[0]).label}"

    @property
    def is_of_masks(self) -> bool:
        """Whether masks were handed in, and no image."""
        return self.submission.is_of_masks


@dataclass(frozen=True)
class Filter:
    """Which of a team's runs are asked for: of a phase (its slug), a track, some states, with all of these words."""

    phase: str = ""
    track: str = ""
    state: str = ""
    words: str = ""

    @classmethod
    def of(cls, asked: Mapping[str, str], phases: Iterable[Phase]) -> Self:
        """The filter of an address; what it does not know there, it leaves out."""
        known = {
            "phase": {phase.slug for phase in phases},
            "track": set(Submission.Track.values),
            "state": set(STATES),
        }
        chosen = {name: value for name, values in known.items() if (value := asked.get(name, "")) in values}
        return cls(**chosen, words=" ".join(asked.get("words", "").split()))

    @property
    def parameters(self) -> dict[str, str]:
        """What stands in the address."""
        return {name: value for name, value in vars(self).items() if value}

    def fits(self, line: Line) -> bool:
        """Whether the line is one of those that are asked for."""
        one = line.submission
        text = f"{one.algorithm}\n{one.note}\n{one.pk}".casefold()
        return (
            self.phase in ("", one.phase.slug)
            and self.track in ("", one.track)
            and (not self.state or line.state in STATES[self.state][1])
            and all(word in text for word in self.words.casefold().split())
        )


@dataclass(frozen=True)
class Runs:
    """All runs of a team as `viewer` may see them, with those that counted one after the other (see `counting`)."""

    viewer: Viewer
    lines: Sequence[Line]
    counted: Mapping[tuple[int, str], Sequence[int]]

    @property
    def phases(self) -> list[Phase]:
        """The phases that have any, in the order of the site."""
        phases = {line.submission.phase for line in self.lines}
        return sorted(phases, key=lambda phase: (phase.closes_at, phase.pk))


def runs_of(team: Team, viewer: Viewer) -> Runs:
    """All runs of the team: those of open phases first, the newest first within a phase."""
    submissions = sorted(_submissions_of(team), key=lambda one: (*_place(one.phase, viewer), -one.pk))
    counted = counting_runs(map(viewer.of, {one.phase for one in submissions}), team.pk)
    return Runs(viewer, _lines_of(submissions, viewer, counted), counted)


def _submissions_of(team: Team) -> QuerySet[Submission]:
    """The team's submissions with what a list of them shows."""
    unread = ("method", "external_data", "reason", "disqualified_reason")
    runs = Prefetch("runs", Run.objects.defer("hints", "reason"))
    standings = Prefetch("runs__standings", Standing.objects.defer("groups"))
    # A team may have many submissions, and phases are few: each is read once.
    return team.submissions.defer(*unread).prefetch_related("phase", "cases_of", "submitted_by", runs, standings)


def _place(phase: Phase, viewer: Viewer) -> tuple[bool, float, int]:
    """Open phases in the order of the site, then those that closed, the last one first."""
    is_closed, closes = phase.closes_at <= viewer.at, phase.closes_at.timestamp()
    return is_closed, -closes if is_closed else closes, phase.pk


def _lines_of(
    submissions: Sequence[Submission], viewer: Viewer, counted: Mapping[tuple[int, str], Sequence[int]]
) -> list[Line]:
    stages = shown_stages(submissions, viewer)
    latest = {one.pk: one.latest_run for one in submissions}
    cases = counts_of([run for pk, run in latest.items() if run and stages[pk] not in ENDED], viewer)
    tracks: dict[int, list[str]] = {}
    for (_, track), runs in counted.items():
        for run_key in runs[-1:]:
            tracks.setdefault(run_key, []).append(track)
    lines = []
    for one in submissions:
        run, stage, disclosure = latest[one.pk], stages[one.pk], viewer.of_submission(one)
        percent = progress_of(stage, cases.get(run.pk) if run else None, disclosure)[1]
        percent = None if one.is_of_masks else percent  # all of its cases are there, and soon scored
        shown = figures(run.standings.all(), disclosure) if run and stage == RunState.SCORED else None
        counts_in = tracks.get(run.pk, []) if run and stage in ENDED else []
        withdrawal = withdrawal_of(one, stage, disclosure)
        lines.append(Line(one, run.pk if run else None, stage, percent, shown, withdrawal, counts_in))
    return lines
