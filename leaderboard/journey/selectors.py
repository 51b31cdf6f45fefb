"""Rows with what a step of the journey asks about them, and without what it does not."""

from typing import TypeVar

from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)


def with_phase(rows: QuerySet[Row], submission: str) -> QuerySet[Row]:
    """The rows with the submission that this path leads to and its phase, but not what the team wrote."""
    return rows.select_related(f"{submission}__phase").defer(f"{submission}__method", f"{submission}__external_data")
