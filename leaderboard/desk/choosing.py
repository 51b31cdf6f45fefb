"""What can be chosen among rows that people make: read each time it is asked, as no list in the code can name them."""

from collections.abc import Callable, ItemsView, Iterator, Mapping

from django.db.models import Model, QuerySet


class Rows(Mapping[str, str]):
    """The rows of a question, by a field that names each, with their words; `nothing` are the words for none."""

    def __init__(self, rows: Callable[[], QuerySet[Model]], key: str, nothing: str = "") -> None:
        self._rows = rows
        self._key = key
        self._nothing = nothing

    def _read(self) -> dict[str, str]:
        found = {"": self._nothing} if self._nothing else {}
        return found | {str(getattr(row, self._key)): str(row) for row in self._rows()}

    def __getitem__(self, name: str) -> str:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def items(self) -> ItemsView[str, str]:
        """All at once, by one question."""
        return self._read().items()

    def __len__(self) -> int:
        return len(self._read())

    def __bool__(self) -> bool:
        """So that to ask whether there is a choice asks no database."""
        return True
