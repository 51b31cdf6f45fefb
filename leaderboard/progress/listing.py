"""A team's runs as a list. Before a deadline everybody looks here: it asks the same few questions however many runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Prefetch, QuerySet

from leaderboard.board.board import figures
from leaderboard.board.counting import counting_runs
from leaderboard.board.disclosure import Viewer
from leaderboard.board.rows import Figures
from leaderboard.models import Standing, Submission, Team
from leaderboard.progress.case_facts import counts_of
from leaderboard.progress.stages import Staged, progress_of, shown_stages
from leaderboard.states import ENDED, Stage


@dataclass(frozen=True)
class Line(Staged):
    """A submission in its team's list; `percent` while it runs, `figures` once it is scored and published.

    `counts`: where its run is the one that counts for the team, in words.
    """

    submission: Submission
    state: Stage
    percent: int | None
    figures: Figures | None
    counts: str


def submissions_of(team: Team) -> QuerySet[Submission]:
    """The team's submissions, newest first, with what a list of them shows."""
    standings = Prefetch("runs__standings", Standing.objects.defer("groups"))
    rows = team.submissions.select_related("phase", "cases_of").defer("method", "external_data")
    return rows.prefetch_related(standings).order_by("-pk")


def lines_of(submissions: Sequence[Submission], viewer: Viewer) -> list[Line]:
    """The lines of these submissions (of `submissions_of`), as the viewer may see them."""
    stages = shown_stages(submissions, viewer)
    latest = {one.pk: one.latest_run for one in submissions}
    counts = counts_of([run for pk, run in latest.items() if run and stages[pk] not in ENDED], viewer)
    counting = _counting(submissions, viewer)
    lines = []
    for one in submissions:
        run, stage, disclosure = latest[one.pk], stages[one.pk], viewer.of_submission(one)
        percent = progress_of(stage, counts.get(run.pk) if run else None, disclosure)[1]
        shown = figures(run.standings.all(), disclosure) if run and stage in ENDED else None
        counts_in = counting.get(run.pk, []) if run and stage in ENDED else []
        lines.append(Line(one, stage, percent, shown, _in_words(counts_in)))
    return lines


def _counting(submissions: Sequence[Submission], viewer: Viewer) -> dict[int, list[str]]:
    """The runs that count, as the board of each phase says, with their tracks; the submissions are of one team."""
    phases = {one.phase for one in submissions}
    return counting_runs(map(viewer.of, phases), submissions[0].team_id) if submissions else {}


def _in_words(tracks: Sequence[str]) -> str:
    """`counts`, or the one track in which it does."""
    if not tracks:
        return ""
    return "counts" if len(tracks) == len(Submission.Track) else f"counts in {Submission.Track(tracks[0]).label}"
