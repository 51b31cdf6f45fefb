"""Telling organisers, once, what is wrong: a check of the health page that fails for a while, and what waits for them.

Derived from the database by the sweeper like everything else. A trouble that ended is forgotten, so that its return is
told anew; the mail about it is in the outbox as soon as the trouble counts as told. (A sweeper that is dead tells
nothing: that is what the health page and the metrics are for.)
"""

import logging
import time
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import Error as DatabaseError
from django.db import transaction
from django.urls import reverse

from leaderboard.core import clock, locks
from leaderboard.models import Alarm, Run, Submission, TeamApproval
from leaderboard.operations import disturbances, health
from leaderboard.people import approvals
from leaderboard.people.roles import who_act
from leaderboard.states import RunState, SubmissionState

logger = logging.getLogger(__name__)
LOOK_SECONDS = 30.0
_next_look = 0.0


def look() -> None:
    """Look for what is wrong and tell organisers, unless this process did so a moment ago."""
    global _next_look
    if time.monotonic() < _next_look:
        return
    _next_look = time.monotonic() + LOOK_SECONDS
    try:
        with locks.working_on("alarms", "") as mine:
            if mine:
                tell()
    except DatabaseError:
        raise
    except Exception:
        logger.exception("looking for alarms failed")  # and must not keep the sweeper from its work


@transaction.atomic
def tell() -> None:
    """One mail about everything that organisers have not been told of."""
    at = clock.now()
    found = health.snapshot(at)
    disturbances.note(found.checks, at)
    troubles = {**_failing(found), **_waiting_for_people(at)}
    Alarm.objects.exclude(key__in=troubles).delete()
    for key in troubles:
        Alarm.objects.get_or_create(key=key, defaults={"since": at})
    due = [alarm for alarm in Alarm.objects.filter(told_at=None).order_by("since", "pk") if _is_due(alarm, at)]
    if due:
        _send([troubles[alarm.key] for alarm in due])
        Alarm.objects.filter(pk__in=[alarm.pk for alarm in due]).update(told_at=at)


def _is_due(alarm: Alarm, at: datetime) -> bool:
    """What waits for people is told at once; a check may fail for a while and recover by itself."""
    return not alarm.key.startswith("check ") or at - alarm.since >= timedelta(seconds=settings.ALARM_SECONDS)


def _failing(found: health.Snapshot) -> dict[str, str]:
    # What waits for organisers is told of one by one.
    failing = [check for check in found.checks if check.level is health.Level.FAILING and check.name != "stuck"]
    return {f"check {check.name}": f"{check.title}: {check.says}" for check in failing}


def _waiting_for_people(at: datetime) -> dict[str, str]:
    """Runs and submissions that we interrupted so often that nothing is tried any more; teams to approve."""
    runs = Run.objects.filter(state=RunState.HALTED, retry_at=None)
    submissions = Submission.objects.filter(state=SubmissionState.HALTED, retry_at=None)
    words = "was interrupted too often by our fault ({}) and waits for you: find the cause, then choose “Go on”."
    return {
        **{f"run {run.pk}": _about(run.submission_id, words.format(run.reason_code)) for run in runs},
        **{f"submission {one.pk}": _about(one.pk, words.format("the check of its image")) for one in submissions},
        **{f"approval {one.pk}": _to_approve(one) for one in approvals.waiting(at)},
    }


def _about(submission_id: int, words: str) -> str:
    path = reverse("desk_run", args=[submission_id])
    return f"Submission {submission_id} {words} {settings.SITE_URL}{path}"


def _to_approve(approval: TeamApproval) -> str:
    path = reverse("desk_team", args=[approval.team.slug])
    return f"The team “{approval.team}” asks to take part in the {approval.phase}: {settings.SITE_URL}{path}"


def _send(lines: Iterable[str]) -> None:
    for line in lines:
        logger.error("%s", line)
    body = "\n\n".join([*lines, f"Everything at a glance: {settings.SITE_URL}{reverse('health')}"])
    EmailMessage(f"{settings.EMAIL_SUBJECT_PREFIX}something needs you", body, to=_recipients()).send()


def _recipients() -> list[str]:
    named = [address for _, address in settings.ADMINS]
    return named or list(who_act().exclude(email="").values_list("email", flat=True))
