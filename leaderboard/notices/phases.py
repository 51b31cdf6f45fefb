"""Phases that open, and results that are out: told once, by themselves, to whom they concern; whoever moved them.

An opening goes to everybody who is in a team, as deadlines do; the results of a phase to those whose team handed in
to it, to each team with its ranks, once the board of the reveal stands. What happened before the server knew of the
phase, or more than a day ago, is nobody's news.
"""

import logging
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import transaction
from django.urls import reverse

from leaderboard.board.disclosure import Disclosure
from leaderboard.board.versions import latest
from leaderboard.core import clock
from leaderboard.core.text import instant
from leaderboard.models import NoticeKind, Phase, Submission, ToldDeadline
from leaderboard.notices import ranks
from leaderboard.notices.recipients import members_of_entrants, members_of_teams, recipients
from leaderboard.notices.writing import Notice, write

logger = logging.getLogger(__name__)
LOOK_SECONDS = 30.0
NEWS_FOR = timedelta(days=1)
BOARD_WAITED_FOR = timedelta(minutes=10)
_next_look = 0.0


def look() -> None:
    """Write what is due, unless this process looked a moment ago."""
    global _next_look
    if time.monotonic() >= _next_look:
        _next_look = time.monotonic() + LOOK_SECONDS
        try:
            write_due()
        except DatabaseError:
            raise
        except Exception:
            logger.exception("looking at phases failed")  # and must not keep the sweeper from its work


def write_due() -> None:
    """Write what is due of each phase."""
    at = clock.now()
    for phase in Phase.objects.published().select_related("case_set"):
        if _is_news(phase.opens_at, at) or _is_news(out_at(phase), at):
            _look_at(phase, at)


def out_at(phase: Phase) -> datetime | None:
    """From when the full result is out: the reveal, or the end of an embargo after it."""
    if phase.revealed_at is None:
        return None
    return max(phase.revealed_at, phase.embargo_until or phase.revealed_at)


def _is_news(then: datetime | None, at: datetime) -> bool:
    return then is not None and then <= at < then + NEWS_FOR


@transaction.atomic
def _look_at(phase: Phase, at: datetime) -> None:
    told = ToldDeadline.objects.select_for_update(skip_locked=True).filter(phase=phase).first()
    if told is None:  # another process is at it, or deadlines were not looked at yet
        return
    out = out_at(phase)
    if told.opened_at is None and _is_news(phase.opens_at, at) and told.since < phase.opens_at and at < phase.closes_at:
        write(_opened(phase), recipients(members_of_teams(), NoticeKind.PHASES))
        ToldDeadline.objects.filter(pk=told.pk).update(opened_at=at)
    if out and told.revealed_at is None and _is_news(out, at) and told.since < out and _stands(phase, out, at):
        for paragraphs, some in ranks.by_team(phase, recipients(members_of_entrants(phase), NoticeKind.PHASES)):
            write(_revealed(phase, *paragraphs), some)
        ToldDeadline.objects.filter(pk=told.pk).update(revealed_at=at)


def _stands(phase: Phase, out: datetime, at: datetime) -> bool:
    """Whether the board says what was revealed; a while later it is not waited for any more."""
    if not Disclosure.to_public(phase, at).is_revealed:
        return False
    version = latest(phase, Submission.Track.MAIN, at)
    return at >= out + BOARD_WAITED_FOR or (version is not None and version.visible_from >= out)


def _opened(phase: Phase) -> Notice:
    paragraphs = [f"The {phase.name} takes runs until {instant(phase.closes_at)}.", _button(phase)]
    subject = f"The {phase.name} is open"
    return Notice(NoticeKind.PHASES, subject, paragraphs, "you are in a team", phase.closes_at)


def _revealed(phase: Phase, *ranked: str) -> Notice:
    paragraphs = [f"The full result of the {phase.name} is on its board now.", *ranked, _button(phase)]
    because = f"your team handed in to the {phase.name}"
    return Notice(NoticeKind.PHASES, f"The results of the {phase.name} are out", paragraphs, because)


def _button(phase: Phase) -> str:
    return f"See the phase: {settings.SITE_URL}{reverse('board', args=[phase.slug])}"
