"""Sessions, and their ends: their rows say who was signed in from where."""

from datetime import timedelta

from allauth.usersessions.models import UserSession
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session

from leaderboard.core import clock
from leaderboard.models import User

JUST_BEGUN = timedelta(hours=1)


def end_all(user: User, but: str = "") -> None:
    """End every session of the person but one, also those of before sessions were listed by person."""
    others = Session.objects.exclude(session_key=but).iterator()
    mine = [one.session_key for one in others if one.get_decoded().get(SESSION_KEY) == str(user.pk)]
    Session.objects.filter(session_key__in=mine).delete()
    UserSession.objects.filter(user=user).exclude(session_key=but).delete()


def forget_old() -> None:
    """Remove sessions that are over, and what was written down of them."""
    now = clock.now()
    Session.objects.filter(expire_date__lt=now).delete()
    alive = Session.objects.values("session_key")
    UserSession.objects.filter(created_at__lt=now - JUST_BEGUN).exclude(session_key__in=alive).delete()
