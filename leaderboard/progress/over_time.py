"""A team's scores in one phase and track over time, as a picture shows them: only what its list shows, too."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from leaderboard.models import Phase, Submission
from leaderboard.progress.listing import Line, Runs
from leaderboard.states import ENDED

_MARGIN = 0.04  # of the time that is shown, before the first run and after the last instant
_AHEAD = 0.25  # the future takes up to such a part of the past's room: a deadline far away is not drawn
_SHORTEST = timedelta(hours=1)


@dataclass(frozen=True)
class Step:
    """From `since` on the run with this Dice counted."""

    since: datetime
    dice: float


@dataclass(frozen=True)
class Picture:
    """The runs of a phase that compete in a track, from `begins` to `ends`; `deadline` where it falls in between.

    `scored` are those whose score is shown, the earliest first; `steps` what counted, run by run.
    """

    phase: Phase
    track: str
    scored: Sequence[Line]
    steps: Sequence[Step]
    failed: Sequence[datetime]
    at_work: Sequence[datetime]
    begins: datetime
    ends: datetime
    now: datetime | None
    deadline: datetime | None

    @property
    def title(self) -> str:
        """What is drawn."""
        return f"Dice of the runs in the {self.phase.name} over time, {self.track_label} track"

    @property
    def track_label(self) -> str:
        """The track as people read it."""
        return str(Submission.Track(self.track).label)

    def counts(self, line: Line) -> bool:
        """Whether the run is the one that counts in this track."""
        return self.track in line.counts_in


def pictures_of(runs: Runs, lines: Sequence[Line], phase: Phase) -> list[Picture]:
    """A picture for each track in which lines of this phase (some of the team's) compete and have a score to show.

    Main runs compete in both tracks: a picture of Overall is drawn only where it shows more than that of Main.
    """
    of_phase = [line for line in lines if line.submission.phase == phase and _competes(line)]
    of_phase.sort(key=lambda line: line.submission.pk)
    pictures = []
    for track in Submission.Track:
        main_only = [line for line in of_phase if line.submission.track == Submission.Track.MAIN]
        competing = main_only if track == Submission.Track.MAIN else of_phase
        scored = [line for line in competing if line.figures]
        if scored and (track == Submission.Track.MAIN or len(main_only) < len(of_phase)):
            pictures.append(_picture(runs, phase, track, scored, competing))
    return pictures


def _competes(line: Line) -> bool:
    one = line.submission
    return one.is_scored and (one.phase.masks_are_ranked or not one.is_of_masks)


def _picture(runs: Runs, phase: Phase, track: str, scored: Sequence[Line], competing: Sequence[Line]) -> Picture:
    now = runs.viewer.at
    instants = [line.submission.accepted_at for line in competing]
    first, last = min(instants), max(max(instants), min(now, phase.closes_at))
    is_open = now < phase.closes_at
    ends = min(phase.closes_at, last + _AHEAD * (last - first)) if is_open else max(last, phase.closes_at)
    margin = max(ends - first, _SHORTEST) * _MARGIN
    begins, ends = first - margin, ends + margin
    ended = [line for line in competing if line.state in ENDED and line.figures is None]
    return Picture(
        phase=phase,
        track=track,
        scored=scored,
        steps=_steps(runs, phase, track),
        failed=[line.submission.accepted_at for line in ended if line.kind == "bad"],
        at_work=[line.submission.accepted_at for line in competing if line.state not in ENDED],
        begins=begins,
        ends=ends,
        now=now if is_open else None,
        deadline=phase.closes_at if phase.closes_at <= ends else None,
    )


def _steps(runs: Runs, phase: Phase, track: str) -> list[Step]:
    """What counted; of runs with one score as it is shown only the first, which of them is better is not told."""
    lines = {line.run: line for line in runs.lines}
    counted = [lines[run] for run in runs.counted.get((phase.pk, track), ()) if run in lines]
    steps = [Step(line.submission.accepted_at, line.figures.dice) for line in counted if line.figures]
    return [step for before, step in zip([None, *steps], steps, strict=False) if not before or before.dice != step.dice]
