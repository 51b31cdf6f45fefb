"""What became of a team's run: told to its members, in the words of the run's page, and no earlier than by it.

A change of state that is to be told leaves a row (PendingNotice), written with it. The sweeper tells it as soon as the
page does: on hidden cases when the minute is over. What a notice says is made of the page's own view at that instant.
Several that may be told at the same instant are told in the order in which they were handed in, which tells nothing.
"""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import transaction
from django.urls import reverse

from leaderboard.board.disclosure import SHOWN_AT_ONCE, Disclosure, Reader, Viewer
from leaderboard.core import clock
from leaderboard.core.text import one_line
from leaderboard.models import NoticeKind, PendingNotice, Standing, StateChange, Submission
from leaderboard.notices.recipients import members_of, recipients
from leaderboard.notices.writing import Notice, write
from leaderboard.progress.stages import shown_stage
from leaderboard.progress.submission_view import SubmissionView, submission_view
from leaderboard.states import RunState, Stage, SubmissionState

logger = logging.getLogger(__name__)
# What we interrupted goes on by itself, most often within minutes: nobody needs a message of that.
GRACE = timedelta(minutes=15)
FORGOTTEN_AFTER = timedelta(days=2)

_WHAT_BECAME: dict[Stage, str] = {
    RunState.SCORED: "is scored",
    RunState.FAILED: "has failed",
    RunState.HALTED: "is interrupted by our fault",
    SubmissionState.REJECTED: "was rejected",
}


def write_due() -> None:
    """Write what may be told now. What fails is logged, and does not keep others waiting."""
    at = clock.now()
    told = PendingNotice.objects.select_related(
        "change__submission__phase", "change__submission__cases_of", "change__submission__team"
    )
    told = told.defer("change__submission__method", "change__submission__external_data")
    for pending in told.order_by("change__submission_id", "pk"):
        if at - pending.change.at > FORGOTTEN_AFTER:
            pending.delete()
        elif _may_be_told(pending.change, _disclosure(pending.change.submission, at)):
            _tell_alone(pending, at)


def _disclosure(submission: Submission, at: datetime) -> Disclosure:
    return Viewer(Reader.TEAM, at).of_submission(submission)


def _may_be_told(change: StateChange, disclosure: Disclosure) -> bool:
    if change.to_state == RunState.HALTED:
        return change.at + GRACE < disclosure.visible_until
    return change.to_state in SHOWN_AT_ONCE or disclosure.is_visible(change.at)


def _tell_alone(pending: PendingNotice, at: datetime) -> None:
    try:
        with transaction.atomic():
            mine = PendingNotice.objects.select_for_update(skip_locked=True).filter(pk=pending.pk).first()
            if mine is not None and _is_settled(pending.change, at):
                mine.delete()
    except DatabaseError:
        raise
    except Exception:
        logger.exception("the notice of change %s could not be written", pending.pk)


def _is_settled(change: StateChange, at: datetime) -> bool:
    """Tell it if the page says so; whether there is nothing more to tell."""
    submission = change.submission
    disclosure = _disclosure(submission, at)
    if _is_overtaken(change, disclosure):
        return True
    if shown_stage(submission, disclosure) != change.to_state:
        return False
    write(notice_of(submission, disclosure), recipients(members_of(submission.team), kind_of(submission)))
    return True


def _is_overtaken(change: StateChange, disclosure: Disclosure) -> bool:
    """Whether the reader may know that something else came after: that has its own notice, or needs none."""
    later = StateChange.objects.filter(disclosure.visible("at"), submission=change.submission, batch=None)
    return later.filter(pk__gt=change.pk).exists()


def kind_of(submission: Submission) -> NoticeKind:
    """Of which kind notices about a submission are."""
    return NoticeKind.TRY_OUTS if submission.is_try_out else NoticeKind.RUNS


def notice_of(submission: Submission, disclosure: Disclosure) -> Notice:
    """What the page of a submission says now, as a message to its team."""
    view = submission_view(submission, disclosure)
    kind = "" if submission.is_scored else f" ({submission.get_kind_display().lower()})"
    became = _WHAT_BECAME[view.state]
    if submission.is_try_out and view.state == RunState.SCORED:
        became = "has ended"
    name = f"“{one_line(submission.algorithm)}” of {one_line(submission.team.name)} in the {submission.phase.name}"
    what = f"Submission {submission.pk}{kind} {became}"
    paragraphs = [
        f"{what}: {name}.",
        f"{view.headline}. {view.reason}".strip() if view.headline else "",
        view.advice,
        _numbers(view),
        f"See all of it: {settings.SITE_URL}{reverse('submission', args=[submission.pk])}",
    ]
    because = f"you are in the team {one_line(submission.team.name)}"
    return Notice(kind_of(submission), what, paragraphs, because)


def _numbers(view: SubmissionView) -> str:
    figures = view.figures
    if figures is None:
        return ""
    over = "the public half of the cases" if figures.scope == Standing.Scope.HALF else "all its cases"
    return f"Dice {figures.dice:.3f}, hit rate {figures.hit_rate:.3f}, over {over}."
