"""Reference rows as files hold them: published tables and baselines of organisers, checked, and imported as a whole.

A file is one JSON object, `{name of a table: Table}`; what a Table consists of is said by the classes here, and
`schema()` says it as JSON Schema. `published_tables.json` beside this module is such a file: ReXrank's page as it was
archived on 2026-07-22, and Table 4 of the paper about text-prompted models, with values, intervals and n as published.

An import makes a table of a phase what the file says: rows that it no longer has go. So it can be repeated; what
organisers changed in such a row by hand is what the file says again.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from django.db import transaction
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from leaderboard.challenge.categories import ALL, GROUPS
from leaderboard.challenge.phases import lock_phase
from leaderboard.core import audit
from leaderboard.core.audit import Actor
from leaderboard.core.text import one_line
from leaderboard.models import Phase, ReferenceRow

_PUBLISHED = Path(__file__).with_name("published_tables.json")
_SCORES = ("dice", "hit_rate", "hit_rate_05", "instance_f1", "distance_f1")  # that have intervals

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Interval = tuple[Share, Share]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Link = Annotated[str, Field(pattern=r"^https?://\S+$", max_length=200)]


def _known_group(code: str) -> str:
    if code not in GROUPS:
        raise ValueError(f"unknown group of findings; known are {', '.join(GROUPS)}")
    return code


Group = Annotated[str, AfterValidator(_known_group)]


def _some_words(text: str) -> str:
    words = one_line(text)
    if not words:
        raise ValueError("there are no words in it")
    return words


Words = Annotated[str, AfterValidator(_some_words)]
Sentence = Annotated[Words, Field(max_length=300)]


class _Strict(BaseModel):
    """A field that there is not is refused: it would be taken for kept. Numbers are numbers, not texts of them."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Numbers(_Strict):
    """Scores over one group of findings, 0 to 1, with 95 % intervals [low, high]; what is not known is left out."""

    n: Count | None = Field(None, description="how many findings")
    dice: Share
    dice_ci: Interval | None = None
    hit_rate: Share | None = Field(None, description="share of findings with Dice of 0.1 or more")
    hit_rate_ci: Interval | None = None
    hit_rate_05: Share | None = Field(None, description="the same at 0.05")
    hit_rate_05_ci: Interval | None = None
    instance_precision: Share | None = None
    instance_recall: Share | None = None
    instance_f1: Share | None = None
    instance_f1_ci: Interval | None = None
    distance_precision: Share | None = None
    distance_recall: Share | None = None
    distance_f1: Share | None = None
    distance_f1_ci: Interval | None = None

    @model_validator(mode="after")
    def _intervals_hold_their_values(self) -> "Numbers":
        for name in _SCORES:
            value, ends = getattr(self, name), getattr(self, f"{name}_ci")
            if ends and (value is None or not ends[0] <= value <= ends[1]):
                raise ValueError(f"{name}_ci does not hold {name}")
        return self


class Row(_Strict):
    """One algorithm. Its own `not_comparable` stands in place of its table's."""

    algorithm: Annotated[Words, Field(max_length=120)]
    institution: Annotated[Words, Field(max_length=200)] | None = None
    prompt: Literal["text", "box"] | None = None
    training: Literal["zero-shot", "fine-tuned"] | None = None
    not_comparable: Sentence | None = None
    link: Link | None = Field(None, description="paper or code")
    published_on: date | None = None
    numbers: dict[Group, Numbers] = Field(description="by group of findings; those of all findings under “all”")

    @model_validator(mode="after")
    def _has_numbers_of_all(self) -> "Row":
        if ALL not in self.numbers:
            raise ValueError(f"numbers has no “{ALL}”, by which the row is placed")
        return self


class Table(_Strict):
    """Rows of one source, over the same cases. `not_comparable` is a sentence: why the board does not rank them."""

    source: Sentence
    source_link: Link | None = None
    source_date: date | None = Field(None, description="when the source said so")
    cases: Count | None = None
    findings: Count | None = None
    not_comparable: Sentence
    rows: Annotated[list[Row], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _rows_differ(self) -> "Table":
        seen: set[tuple[str | None, ...]] = set()
        for number, row in enumerate(self.rows, start=1):
            if (key := (row.algorithm, row.prompt, row.training)) in seen:
                raise ValueError(f"row {number} ({row.algorithm}) stands there twice with this prompt and training")
            seen.add(key)
        return self


TableName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,60}$")]
Tables = dict[str, Table]
_TABLES = TypeAdapter(Annotated[dict[TableName, Table], Field(min_length=1)])
_NUMBERS = TypeAdapter(dict[Group, Numbers])


class ReferenceProblems(Exception):
    """Everything that is wrong with a file of reference rows; each sentence names the row and the field."""

    def __init__(self, sentences: Sequence[str]) -> None:
        self.sentences = list(sentences)
        super().__init__("Nothing was imported.\n" + "\n".join(f"  - {one}" for one in self.sentences))


def schema() -> dict[str, Any]:
    """What a file may be, as JSON Schema."""
    return _TABLES.json_schema()


def published() -> Tables:
    """The published tables that come with the server, by name."""
    return read_tables(_PUBLISHED.read_text(encoding="utf-8"))


def read_tables(text: str) -> Tables:
    """The tables of a file's text. Raises ReferenceProblems with all that is wrong."""
    try:
        return _TABLES.validate_json(text)
    except ValidationError as error:
        raise ReferenceProblems(list(_sentences(error, text))) from error


def check_numbers(numbers: object) -> dict[str, Any]:
    """The numbers of one row, by group, as they are stored. Raises ReferenceProblems."""
    try:
        found = _NUMBERS.validate_json(json.dumps(numbers))
    except ValidationError as error:
        raise ReferenceProblems([f"{_path(one['loc'])}: {_said(one)}" for one in error.errors()]) from error
    if ALL not in found:
        raise ReferenceProblems([f"There are no numbers of “{ALL}”, by which the row is placed."])
    return _stored(found)


def numbers_of(stored: Any) -> Numbers:
    """Numbers as a row keeps them."""
    return Numbers.model_validate(stored, strict=False)  # JSON knows no tuples


def _stored(numbers: dict[str, Numbers]) -> dict[str, Any]:
    return {code: one.model_dump(mode="json", exclude_none=True) for code, one in numbers.items()}


# --- what is wrong ----------------------------------------------------------------------------------------------------


def _sentences(error: ValidationError, text: str) -> Iterator[str]:
    for one in error.errors():
        table, *inside = one["loc"] or ("The file",)
        where = f"{table}"
        if inside[:1] == ["rows"] and len(inside) > 1:
            where += f", row {int(inside[1]) + 1}{_named(text, table, int(inside[1]))}"
            inside = inside[2:]
        yield f"{where}{', ' if inside else ''}{_path(inside)}: {_said(one)}"


def _named(text: str, table: str | int, place: int) -> str:
    """The algorithm of a row of which something is wrong, if it has one that can be read."""
    try:
        return f" ({one_line(str(json.loads(text)[table]['rows'][place]['algorithm']))[:60]})"
    except (KeyError, TypeError):
        return ""


def _path(parts: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in parts if part != "[key]")


def _said(error: Any) -> str:
    return str(error["msg"]).removeprefix("Value error, ")


# --- imported ---------------------------------------------------------------------------------------------------------


@dataclass
class Changes:
    """What an import does to a table, by the names of its rows."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)


@transaction.atomic
def import_table(phase: Phase, name: str, table: Table, *, by: Actor, why: str = "", dry_run: bool = False) -> Changes:
    """Make a table of the phase what the file says: a decision, row by row in the record. With `dry_run`, only say."""
    lock_phase(phase.pk)
    there = {_key(row): row for row in ReferenceRow.objects.filter(phase=phase, table=name)}
    changes = Changes()
    for row in (_as_row(phase, name, table, one) for one in table.rows):
        old = there.pop(_key(row), None)
        row.pk = old.pk if old else None
        differs = old is None or audit.state_of(old) != audit.state_of(row)
        (changes.unchanged if not differs else changes.changed if old else changes.added).append(row.name)
        if differs and not dry_run:
            row.save()
            audit.record_change(by, f"{'change' if old else 'add'} reference row", old, row, why=why)
    for row in there.values():
        changes.removed.append(row.name)
        if not dry_run:
            audit.record(by, "delete reference row", row, before=audit.state_of(row), why=why)
            row.delete()
    return changes


def _key(row: ReferenceRow) -> tuple[str, ...]:
    return row.algorithm, row.prompt, row.training


def _as_row(phase: Phase, name: str, table: Table, row: Row) -> ReferenceRow:
    return ReferenceRow(
        phase=phase,
        table=name,
        algorithm=row.algorithm,
        institution=row.institution or "",
        prompt=row.prompt or "",
        training=row.training or "",
        not_comparable=row.not_comparable or table.not_comparable,
        link=row.link or "",
        published_on=row.published_on,
        source=table.source,
        source_link=table.source_link or "",
        source_date=table.source_date,
        cases=table.cases,
        findings=table.findings,
        numbers=_stored(row.numbers),
    )
