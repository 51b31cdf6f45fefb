"""Phases that are scored anew, and wait for a decision or do not go on."""

from collections.abc import Iterator
from datetime import datetime

from django.urls import reverse

from leaderboard.desk.acts.rescorings import APPLY, DISCARD
from leaderboard.desk.attention.items import Item, Urgency
from leaderboard.models import Rescoring
from leaderboard.rescoring.progress import progress_of


def undecided(_at: datetime) -> Iterator[Item]:
    """Those of which all runs are scored anew, and those that cannot go on."""
    rows = Rescoring.objects.filter(state=Rescoring.State.UNDECIDED)
    for one in rows.select_related("phase", "to_cases", "from_cases"):
        progress = progress_of(one)
        links = [("Preview", reverse("rescoring", args=[one.pk]))]
        if progress.is_ready:
            what = f"{one.phase}: {progress.scored} runs are scored anew by evaluation version {one.to_version}."
            why = "Its board stands until you apply the new numbers as a whole, or discard them."
            acts = [(APPLY, one.phase), (DISCARD, one.phase)]
            yield Item(Urgency.LATER, "idle", "To be decided", what, why, one.started_at, acts, links)
        elif not progress.goes_on:
            what = f"{one.phase}: scoring anew does not go on, as the server has other metrics now."
            why = "Discard it, and start another."
            yield Item(Urgency.LATER, "warn", "Stuck", what, why, one.started_at, [(DISCARD, one.phase)], links)
