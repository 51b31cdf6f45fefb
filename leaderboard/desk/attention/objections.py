"""Objections of teams that nobody answered yet."""

from collections.abc import Iterator
from datetime import datetime

from django.urls import reverse

from leaderboard.desk.acts.objections import ANSWER
from leaderboard.desk.attention.items import Item, Urgency
from leaderboard.models import Objection


def unanswered(_at: datetime) -> Iterator[Item]:
    """Each, with the act that answers it."""
    rows = Objection.objects.filter(answered_at=None).select_related("decision__submission__team")
    for one in rows.defer("decision__submission__method", "decision__submission__external_data"):
        submission = one.decision.submission
        yield Item(
            Urgency.LATER,
            "idle",
            "Objection",
            f"{submission.team} objects to a decision about run {submission.pk} "
            f"({one.decision.get_kind_display().lower()}): {one.text[:300]}",
            "The team reads your answer on the run's page. Reinstate the run first if the team is right.",
            since=one.at,
            acts=[(ANSWER, one)],
            links=[("The run", reverse("desk_run", args=[submission.pk]))],
        )
