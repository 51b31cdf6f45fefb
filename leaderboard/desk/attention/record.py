"""A record of decisions that is not whole."""

from collections.abc import Iterator
from datetime import datetime

from django.urls import reverse

from leaderboard.desk.acts.record import ACKNOWLEDGE
from leaderboard.desk.attention.items import Item, Urgency
from leaderboard.models import RecordCheck


def broken(_at: datetime) -> Iterator[Item]:
    """The record, where its chain was found to be broken: who has the database changed what people decided."""
    for check in RecordCheck.objects.exclude(problems=[]):
        others = f" And {more} more." if (more := len(check.problems) - 1) else ""
        yield Item(
            Urgency.NOW,
            "bad",
            "Record broken",
            f"The record is not whole. {check.problems[0]}{others}",
            "Somebody who can write into the database did, or a backup was brought back over it.",
            since=check.checked_at,
            acts=[(ACKNOWLEDGE, check)],
            links=[("The record", reverse("record"))],
            looks_first=True,
        )
