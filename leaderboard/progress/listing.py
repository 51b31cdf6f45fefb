"""A team's runs as a list. Before a deadline everybody looks here: it asks the same few questions however many runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Prefetch, QuerySet

from leaderboard.board.board import Figures, figures
from leaderboard.board.disclosure import Disclosure
from leaderboard.models import Standing, Submission, Team
from leaderboard.progress.case_facts import counts_of_runs
from leaderboard.progress.stages import KINDS, progress_of, shown_stages
from leaderboard.states import ENDED, Stage


@dataclass(frozen=True)
class Line:
    """A submission in its team's list; `percent` while it runs, `figures` once it is scored and published."""

    submission: Submission
    state: Stage
    percent: int | None
    figures: Figures | None

    @property
    def word(self) -> str:
        """The state as people read it."""
        return str(self.state.label)

    @property
    def kind(self) -> str:
        """The look of the state."""
        return KINDS[self.state]


def submissions_of(team: Team) -> QuerySet[Submission]:
    """The team's submissions, newest first, with what a list of them shows."""
    standings = Prefetch("runs__standings", Standing.objects.defer("groups"))
    rows = team.submissions.select_related("phase").defer("method", "external_data")
    return rows.prefetch_related(standings).order_by("-accepted_at", "-pk")


def lines_of(submissions: Sequence[Submission], disclosures: dict[int, Disclosure]) -> list[Line]:
    """The lines of these submissions (of `submissions_of`), each as `disclosures`, by phase, let it be read."""
    stages = shown_stages(submissions, disclosures)
    open_runs = {
        run.pk: disclosures[one.phase_id]
        for one in submissions
        if stages[one.pk] not in ENDED and (run := one.latest_run)
    }
    counts = counts_of_runs(open_runs)
    lines = []
    for one in submissions:
        run, stage, disclosure = one.latest_run, stages[one.pk], disclosures[one.phase_id]
        counted = counts.get(run.pk) if run else None
        percent = progress_of(stage, counted, disclosure)[1] if counted else None
        shown = figures(run.standings.all(), disclosure) if run and stage in ENDED else None
        lines.append(Line(one, stage, percent, shown))
    return lines
