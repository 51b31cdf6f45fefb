"""Rows with what a step of the journey asks about them, and without what it does not."""

from typing import TypeVar

from django.db.models import Model, Q, QuerySet

from leaderboard.models import Run
from leaderboard.states import RunState

MAX_LOOKS = 3  # at the masks of a run: one that breaks down each time, or kills its worker, is given up

Row = TypeVar("Row", bound=Model)


def with_phase(rows: QuerySet[Row], submission: str) -> QuerySet[Row]:
    """The rows with the submission that this path leads to and its phase, but not what the team wrote."""
    return rows.select_related(f"{submission}__phase").defer(f"{submission}__method", f"{submission}__external_data")


def not_looked_at() -> QuerySet[Run]:
    """Scored runs on public cases whose masks nobody looked at, though somebody may."""
    own = Q(submission__cases_of=None, submission__phase__cases_are_public=True)
    public = Run.objects.filter(
        own | Q(submission__cases_of__cases_are_public=True), submission__phase__archived_at=None
    )
    return public.filter(state=RunState.SCORED, hints__isnull=True, hints_tries__lt=MAX_LOOKS)


def awaiting_a_look() -> QuerySet[Run]:
    """Those of them that will be looked at: who asks the workers goes by this, and so does what a page promises."""
    return not_looked_at().filter(hints_asked_at__isnull=False)
