"""manage.py demo: a small challenge with submissions by several teams, on the running stack."""

import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

from leaderboard.board import exports
from leaderboard.board.board import make_board
from leaderboard.board.disclosure import Disclosure, Reader, Viewer
from leaderboard.core import clock, events
from leaderboard.demo import demonstration
from leaderboard.models import Phase, Submission
from leaderboard.progress.stages import shown_stage
from leaderboard.progress.submission_view import SubmissionView, submission_view
from leaderboard.states import ENDED

GIVE_UP_SECONDS = 660
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
        shown = make_board(Disclosure.to_public(phase, clock.now()), Submission.Track.MAIN)
        kind = "public" if phase.cases_are_public else "hidden"
        self.stdout.write(f"\n{phase.name}: {shown.cases} {kind} cases, evaluation version {shown.evaluation_version}")
        self.stdout.write(exports.as_table(shown))

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _watch(self, submissions: list[Submission]) -> None:
        """Show the runs while they run: one line for each, rewritten in place on a terminal, appended elsewhere."""
        deadline = time.monotonic() + GIVE_UP_SECONDS
        shown: list[str] = []
        while True:
            lines, finished, at = [], True, clock.now()
            for submission in submissions:
                submission.refresh_from_db()
                view = submission_view(submission, Viewer(Reader.ORGANISER, at).of_submission(submission))
                stage = shown_stage(submission, Viewer(Reader.TEAM, at).of_submission(submission))
                finished = finished and stage in ENDED  # on hidden cases up to a minute later
                lines.append(_line(submission, view))
            self._show(lines, shown)
            shown = lines
            if finished:
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


def _line(submission: Submission, view: SubmissionView) -> str:
    progress = f"{view.done} of {view.total} cases" if view.done is not None else ""
    lost = f", {view.failed} lost" if view.failed else ""
    who = f"{submission.phase.name:<18} {submission.team.name:<8} {submission.algorithm:<20}"
    return f"  {who} {view.word:<22} {progress}{lost}"
