"""manage.py demo: a small challenge with submissions by several teams, on the running stack."""

import sys
import time
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Count
from django.urls import reverse

from evaluation import CaseStatus
from leaderboard.board import exports
from leaderboard.board.disclosure import Disclosure, Reader, Viewer
from leaderboard.board.reading import read_board, unpublished_board
from leaderboard.core import clock, events
from leaderboard.demo import demonstration
from leaderboard.models import Phase, RunCase, Submission
from leaderboard.progress.case_facts import CaseCounts, counts_of
from leaderboard.progress.stages import shown_stages
from leaderboard.states import ENDED

GIVE_UP_SECONDS = 660
BOARD_SECONDS = 150
LOOK_AGAIN_SECONDS = 2.0
LOOK_AT_MOST_EVERY_SECONDS = 0.5  # looking costs time that the runs could use


class Command(BaseCommand):
    """Makes the challenge on the first call; later calls find everything in place."""

    help = "Create a small challenge, submit example algorithms for several teams, and show the ranked table."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """--check."""
        parser.add_argument(
            "--check", action="store_true", help="verify the leaderboard over HTTP; exit code 1 if wrong"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Set up, submit, wait, show, check."""
        phases = demonstration.make_challenge(self._say)
        submissions = demonstration.submit_for_teams(phases, self._say)
        self._watch(submissions)
        for phase in phases:
            _await_board(phase)
            self._show_board(phase)
        for phase in phases if options["check"] else ():
            if problem := demonstration.check_over_http(phase):
                raise CommandError(problem)
        self.stdout.write(f"\nLeaderboard: {settings.SITE_URL}/leaderboard/{phases[-1].slug}/")
        self.stdout.write(
            f"Sign in as the captain {demonstration.CAPTAIN} or the organiser {demonstration.ORGANISER}: "
            f"{demonstration.password()}"
        )
        if settings.SHOWN_MAILS_DIR:
            self.stdout.write(
                f"Or register: the message with the link is at {settings.SITE_URL}{reverse('demo_mails')}"
            )

    def _show_board(self, phase: Phase) -> None:
        shown = read_board(phase, Submission.Track.MAIN, clock.now())
        kind = "public" if phase.cases_are_public else "hidden"
        self.stdout.write(f"\n{phase.name}: {shown.cases} {kind} cases, version {shown.facts['version']}")
        self.stdout.write(exports.as_table(shown))

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _watch(self, submissions: list[Submission]) -> None:
        """Show the runs while they run: one line for each, rewritten in place on a terminal, appended elsewhere."""
        deadline = time.monotonic() + GIVE_UP_SECONDS
        shown: list[str] = []
        while True:
            looked_at, at = demonstration.as_it_is(submissions), clock.now()
            lines = _lines(looked_at, Viewer(Reader.ORGANISER, at))
            self._show(lines, shown)
            shown = lines
            stages = shown_stages(looked_at, Viewer(Reader.TEAM, at))  # on hidden cases up to a minute later
            if all(stage in ENDED for stage in stages.values()):
                return
            if time.monotonic() > deadline:
                raise CommandError(f"The runs did not end within {GIVE_UP_SECONDS} s. See the logs: ./dev status")
            time.sleep(LOOK_AT_MOST_EVERY_SECONDS)
            events.wait(LOOK_AGAIN_SECONDS - LOOK_AT_MOST_EVERY_SECONDS)

    def _show(self, lines: list[str], before: list[str]) -> None:
        if sys.stdout.isatty():
            up = f"\x1b[{len(before)}A" if before else ""
            self.stdout.write(up + "\n".join(f"\x1b[2K{line}" for line in lines))
        else:
            for line in lines:
                if line not in before:
                    self.stdout.write(line)
        self.stdout.flush()


def _await_board(phase: Phase) -> None:
    """Wait until the board that is shown says what is so: on hidden cases that is up to two minutes later."""
    deadline = time.monotonic() + BOARD_SECONDS
    while time.monotonic() < deadline:
        at, track = clock.now(), Submission.Track.MAIN
        so = unpublished_board(Disclosure.to_public(phase, at), track)
        if [row.submission for row in read_board(phase, track, at).rows] == [row.submission for row in so.rows]:
            return
        time.sleep(LOOK_AGAIN_SECONDS)
    raise CommandError(
        f"The board of the {phase.name} was not made within {BOARD_SECONDS} s. See the logs: ./dev status"
    )


def _lines(submissions: list[Submission], viewer: Viewer) -> list[str]:
    runs = [run for one in submissions if (run := one.latest_run)]
    counts = counts_of(runs, viewer)
    without_mask = RunCase.objects.filter(run__in=runs, result__isnull=False).exclude(result__status=CaseStatus.SCORED)
    lost = dict(without_mask.order_by().values_list("run").annotate(Count("pk")))
    return [_line(one, counts, lost) for one in submissions]


def _line(submission: Submission, counts: Mapping[int, CaseCounts], lost: Mapping[int, int]) -> str:
    run = submission.latest_run
    known = counts.get(run.pk) if run else None
    progress = f"{known.known} of {known.total} cases" if known else ""
    progress += f", {lost[run.pk]} lost" if run and lost.get(run.pk) else ""
    who = f"{submission.phase.name:<18} {submission.team.name:<8} {submission.algorithm:<20}"
    return f"  {who} {submission.stage.label:<22} {progress}"
