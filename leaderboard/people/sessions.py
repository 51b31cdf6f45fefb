"""Sessions that ended by themselves: their rows say who was signed in from where."""

from datetime import timedelta

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session

from leaderboard.core import clock

JUST_BEGUN = timedelta(hours=1)


def forget_old() -> None:
    """Remove sessions that are over, and what was written down of them."""
    now = clock.now()
    Session.objects.filter(expire_date__lt=now).delete()
    alive = Session.objects.values("session_key")
    UserSession.objects.filter(created_at__lt=now - JUST_BEGUN).exclude(session_key__in=alive).delete()
