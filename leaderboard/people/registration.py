"""When people may begin to register: from an instant that organisers set, or at any time where they set none."""

from datetime import datetime

from leaderboard.models import Registration


def opens_at() -> datetime | None:
    """The instant from which accounts are made; None: at any time."""
    return Registration.objects.values_list("opens_at", flat=True).first()


def opens_later(at: datetime) -> datetime | None:
    """The instant at which registration opens, if that is still to come."""
    instant = opens_at()
    return instant if instant is not None and instant > at else None


def is_open(at: datetime) -> bool:
    """Whether somebody can register at this instant."""
    return opens_later(at) is None
