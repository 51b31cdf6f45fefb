"""Deadlines of phases: told a week and a day ahead, once each, and when they are moved; to everybody who is in a team.

For each phase a row says which deadline is known and what was told of it. A deadline that was moved is told of, whoever
moved it by whatever way, and its reminders begin anew; one of which less than a week is left then has no reminder of a
week. A phase that is not open yet is nobody's yet: nothing is told of it.

A message may wait for a mail server that is away. So it names the instant and not what is left until then; it is not
sent any more once that has passed, nor once the deadline was moved again.
"""

import logging
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import transaction
from django.urls import reverse

from leaderboard.core import clock, outbox
from leaderboard.core.text import instant
from leaderboard.models import NoticeKind, Phase, ToldDeadline
from leaderboard.notices.recipients import members_of_teams, recipients
from leaderboard.notices.writing import Notice, write

logger = logging.getLogger(__name__)
LOOK_SECONDS = 30.0
# The shorter one first: who is late tells what is nearest, and nothing else.
REMINDERS = (("day_at", timedelta(days=1)), ("week_at", timedelta(days=7)))
LAST_HOURS = (
    "What counts is when the last byte of a submission is here. The upload of a large image takes its time, and the "
    "last hours are the busiest."
)
BECAUSE = "you are in a team"
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
            logger.exception("looking at deadlines failed")  # and must not keep the sweeper from its work


def write_due() -> None:
    """Write what is due of each phase's deadline."""
    for phase in Phase.objects.published().only("name", "slug", "opens_at", "closes_at"):
        _look_at(phase)


@transaction.atomic
def _look_at(phase: Phase) -> None:
    at = clock.now()
    known = {"closes_at": phase.closes_at, "since": at}
    ToldDeadline.objects.get_or_create(phase=phase, defaults=known)
    told = ToldDeadline.objects.select_for_update(skip_locked=True).filter(phase=phase).first()
    if told is None:  # another process is at it
        return
    if told.closes_at != phase.closes_at:
        outbox.drop_notices_with(_button(phase), kind=NoticeKind.DEADLINES, why="the deadline was moved")
        if phase.opens_at <= at < max(told.closes_at, phase.closes_at):
            _tell(_moved(phase, told.closes_at, at))
        ToldDeadline.objects.filter(pk=told.pk).update(**known, week_at=None, day_at=None)
    elif field := _due_reminder(phase, told, at):
        _tell(_near(phase))
        ToldDeadline.objects.filter(pk=told.pk).update(**{field: at})


def _due_reminder(phase: Phase, told: ToldDeadline, at: datetime) -> str:
    """The field of the reminder that is due: of those whose instant has come, the nearest alone."""
    if at >= phase.closes_at:
        return ""
    for field, ahead in REMINDERS:
        due_at = phase.closes_at - ahead
        if due_at <= at:
            is_new = getattr(told, field) is None and due_at > max(told.since, phase.opens_at)
            return field if is_new else ""
    return ""


def _tell(notice: Notice) -> None:
    write(notice, recipients(members_of_teams(), NoticeKind.DEADLINES))


def _near(phase: Phase) -> Notice:
    closes = instant(phase.closes_at)
    paragraphs = [f"The {phase.name} takes runs until {closes}.", LAST_HOURS, _button(phase)]
    return Notice(NoticeKind.DEADLINES, f"The {phase.name} closes on {closes}", paragraphs, BECAUSE, phase.closes_at)


def _moved(phase: Phase, before: datetime, at: datetime) -> Notice:
    paragraphs = [
        f"The {phase.name} now closes on {instant(phase.closes_at)}.",
        f"Its deadline was {instant(before)} before.",
        _button(phase),
    ]
    until = phase.closes_at if phase.closes_at > at else None  # that it is over already stays true
    return Notice(NoticeKind.DEADLINES, f"The deadline of the {phase.name} was moved", paragraphs, BECAUSE, until)


def _button(phase: Phase) -> str:
    return f"See the phase: {settings.SITE_URL}{reverse('board', args=[phase.slug])}"
