"""Which rows of a board somebody wants to see: a filter hides rows and changes none, ranks are of the whole board."""

from typing import NamedTuple

from django.db.models import Q
from django.db.models.fields.json import KT

from leaderboard.models import BoardRow, BoardVersion, Submission

OPEN = "open"
SOURCES = {OPEN: "Code linked or promised"}
ENTRIES = {Submission.Entry.IMAGE.value: "Images", Submission.Entry.MASKS.value: "Masks"}


class Filters(NamedTuple):
    """What rows have to be, of SOURCES and ENTRIES; empty: anything.

    A run is open source where its team links its code, or has committed itself to publish it.
    """

    source: str = ""
    entry: str = ""

    def kept(self, version: BoardVersion | None) -> set[int] | None:
        """The rows of a version (their keys) that are; None: all of them."""
        if version is None or not any(self):
            return None
        rows = BoardRow.objects.filter(pk__in=version.rows)
        if self.entry:
            rows = rows.filter(shown__entry=self.entry)
        if self.source:
            told = rows.alias(code=KT("shown__code_url"), commitment=KT("shown__commitment"))
            rows = told.filter(~Q(code="") | ~Q(commitment=""))
        return set(rows.values_list("pk", flat=True))
