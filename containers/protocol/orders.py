"""An order: everything a GPU host is told about one container, parsed without trusting the server.

The host would rather refuse an odd order than run it: names become file names, numbers become limits of the
kernel. An order holds digests, limits and opaque names, never a path.
"""

import json
import re
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from containers.protocol.contract import SUFFIX

T = TypeVar("T")

MEBIBYTE: Final = 1 << 20
MAX_CASES: Final = 1000
MAX_ENTRY_BYTES: Final = 256 * 1024
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}" + re.escape(SUFFIX))
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


class OrderRejected(ValueError):
    """The server's order is not one that this host may run. The message says what is wrong with it."""


@dataclass(frozen=True)
class Image:
    """An algorithm image: the archive's digest and size in bytes, and the engine's id of what is in it."""

    blob: str
    size: int
    id: str


@dataclass(frozen=True)
class Weights:
    """Weights apart from the image: digest and size in bytes of the archive that they are unpacked from."""

    blob: str
    size: int


@dataclass(frozen=True)
class Limits:
    """What one container may use.

    `memory_bytes` excludes the memory-backed folders, which are added to it.
    """

    case_seconds: float
    startup_seconds: float
    memory_bytes: int
    shm_bytes: int
    tmp_bytes: int
    output_bytes: int
    cpus: float
    pids: int
    log_bytes: int


@dataclass(frozen=True)
class OrderCase:
    """One case: its opaque name, its volume's digest and size in bytes, its element of cases.json as text."""

    name: str
    blob: str
    size: int
    entry: str


@dataclass(frozen=True)
class Order:
    """One container's work: cases in order, image, limits, and the attempt (`fence`) it belongs to."""

    batch: str
    fence: int
    run: str
    lease_seconds: float
    image: Image
    limits: Limits
    gpus: int
    cases: tuple[OrderCase, ...]
    weights: Weights | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The cases' names, in the order in which they are to be processed."""
        return tuple(case.name for case in self.cases)


class Fields:
    """The fields of a JSON object, asked for by type and range; a wrong one raises OrderRejected."""

    def __init__(self, value: object, where: str, known: frozenset[str]) -> None:
        if not isinstance(value, Mapping):
            raise OrderRejected(f"{where} is not an object")
        if unknown := sorted(map(repr, set(value) - known)):
            raise OrderRejected(f"{where} has unknown fields: {', '.join(unknown)[:200]}")
        self.value: Mapping[str, Any] = value
        self.where = where

    def get(self, name: str) -> Any:
        """The field's value, whatever it is."""
        if name not in self.value:
            raise OrderRejected(f"{self.where} lacks {name}")
        return self.value[name]

    def _checked(self, name: str, valid: Callable[[Any], bool]) -> Any:
        value = self.get(name)
        if not valid(value):
            raise OrderRejected(f"{self.where}.{name} is not valid: {value!r:.100}")
        return value

    def integer(self, name: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        return int(self._checked(name, lambda v: type(v) is int and low <= v <= high))

    def number(self, name: str, low: float, high: float) -> float:
        """A number from `low` to `high`; a NaN is in no range."""
        return float(self._checked(name, lambda v: type(v) in (int, float) and low <= v <= high))

    def boolean(self, name: str) -> bool:
        """True or false."""
        return bool(self._checked(name, lambda v: type(v) is bool))

    def text(self, name: str, max_length: int) -> str:
        """A string of at most `max_length` characters."""
        return str(self._checked(name, lambda v: isinstance(v, str) and len(v) <= max_length))

    def one_of(self, name: str, allowed: Collection[T]) -> T:
        """One of the texts in `allowed`."""
        value: T = self._checked(name, lambda v: isinstance(v, str) and v in allowed)
        return value

    def digest(self, name: str) -> str:
        """A digest, "sha256:" and 64 hexadecimal digits."""
        return str(self._checked(name, lambda v: isinstance(v, str) and _DIGEST.fullmatch(v) is not None))

    def case_name(self, name: str) -> str:
        """A case's opaque name, which is safe as the name of a file."""
        return str(self._checked(name, lambda v: isinstance(v, str) and _NAME.fullmatch(v) is not None))

    def items(self, name: str, low: int, high: int) -> list[object]:
        """A list of `low` to `high` elements."""
        return list(self._checked(name, lambda v: isinstance(v, list) and low <= len(v) <= high))


def parse_batch_id(value: object) -> str:
    """The canonical form of a batch's UUID, which is safe as part of a file's name. Raises OrderRejected."""
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        raise OrderRejected(f"not a batch id: {value!r:.100}") from None


def parse_order(value: object) -> Order:
    """Check the JSON object that answers a claim. Raises OrderRejected."""
    known = frozenset({"batch", "fence", "run", "lease_seconds", "image", "limits", "gpus", "cases", "weights"})
    fields = Fields(value, "order", known)
    cases = tuple(_case(item, f"cases[{i}]") for i, item in enumerate(fields.items("cases", 1, MAX_CASES)))
    if len({case.name.lower() for case in cases}) != len(cases):
        raise OrderRejected("order.cases names a case twice")
    return Order(
        batch=parse_batch_id(fields.get("batch")),
        fence=fields.integer("fence", 0, 2**53),
        run=fields.text("run", 200),
        lease_seconds=fields.number("lease_seconds", 0.1, 86_400),
        image=_image(fields.get("image")),
        limits=_limits(fields.get("limits")),
        gpus=fields.integer("gpus", 0, 64),
        cases=cases,
        weights=_weights(fields.get("weights")) if "weights" in fields.value else None,
    )


def _weights(value: object) -> Weights:
    fields = Fields(value, "weights", frozenset({"blob", "size"}))
    return Weights(blob=fields.digest("blob"), size=fields.integer("size", 1, 2**45))


def _image(value: object) -> Image:
    fields = Fields(value, "image", frozenset({"blob", "size", "id"}))
    return Image(blob=fields.digest("blob"), size=fields.integer("size", 1, 2**45), id=fields.digest("id"))


def _limits(value: object) -> Limits:
    fields = Fields(value, "limits", frozenset(Limits.__dataclass_fields__))
    return Limits(
        case_seconds=fields.number("case_seconds", 0.1, 7 * 86_400),
        startup_seconds=fields.number("startup_seconds", 0, 86_400),
        memory_bytes=fields.integer("memory_bytes", 16 * MEBIBYTE, 2**45),
        shm_bytes=fields.integer("shm_bytes", MEBIBYTE, 2**45),
        tmp_bytes=fields.integer("tmp_bytes", MEBIBYTE, 2**45),
        output_bytes=fields.integer("output_bytes", MEBIBYTE, 2**45),
        cpus=fields.number("cpus", 0.01, 1024),
        pids=fields.integer("pids", 8, 2**22),
        log_bytes=fields.integer("log_bytes", 1024, 64 * MEBIBYTE),
    )


def _case(value: object, where: str) -> OrderCase:
    fields = Fields(value, where, frozenset({"name", "blob", "size", "entry"}))
    name = fields.case_name("name")
    entry = fields.get("entry")
    if not isinstance(entry, Mapping) or entry.get("name") != name:
        raise OrderRejected(f"{where}.entry is not an object named {name}")
    text = json.dumps(entry, ensure_ascii=False)
    if len(text.encode(errors="surrogatepass")) > MAX_ENTRY_BYTES:
        raise OrderRejected(f"{where}.entry is too large")
    return OrderCase(name=name, blob=fields.digest("blob"), size=fields.integer("size", 1, 2**40), entry=text)
