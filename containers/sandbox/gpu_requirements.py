"""What an image needs of the GPU driver, by the variables of its CUDA base, compared with what a host has.

The container toolkit's own hook checks this before the program starts, but only where it is what hands the GPUs
over: an engine that does it by CDI checks nothing, and the program would find a driver that is too old by itself. The
language is NVIDIA's: in NVIDIA_REQUIRE_CUDA and each other NVIDIA_REQUIRE_... words between spaces are alternatives,
and what commas join must all hold, as in "cuda>=12.9 brand=tesla,driver>=535,driver<536".
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

_PREFIX: Final = "NVIDIA_REQUIRE_"
_CONDITION: Final = re.compile(r"(?P<name>[a-z]+)(?P<operator>!=|<=|>=|=|<|>)(?P<value>[\w.-]+)", re.IGNORECASE)
_VERSION: Final = re.compile(r"\d{1,6}(\.\d{1,6}){0,3}")
_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = MappingProxyType(
    {"=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
)


@dataclass(frozen=True)
class Driver:
    """A host's GPU driver: the newest CUDA version that it runs, its own version, the GPU's brand; "" is unknown."""

    cuda: str = ""
    driver: str = ""
    brand: str = ""


def unmet(environment: Mapping[str, str], driver: Driver) -> str | None:
    """The first condition of an image's variables that the driver does not meet, such as "cuda>=12.9".

    None when all are met. What cannot be judged here (a GPU's architecture, a word nobody knows) counts as met: the
    toolkit has the last word.
    """
    required = [value for name, value in sorted(environment.items()) if name.startswith(_PREFIX)]
    version = re.match(r"\d+\.\d+", environment.get("CUDA_VERSION", ""))
    if version and not environment.get("NVIDIA_REQUIRE_CUDA"):  # images of before 2018 say it by this alone
        required.append(f"cuda>={version[0]}")
    return next(filter(None, (_unmet_of(requirement, driver) for requirement in required)), None)


def _unmet_of(requirement: str, driver: Driver) -> str | None:
    failing = [_failing(alternative.split(","), driver) for alternative in requirement.split()]
    return failing[0] if failing and all(failing) else None


def _failing(conditions: Iterable[str], driver: Driver) -> str | None:
    return next((condition.casefold() for condition in conditions if not _holds(condition, driver)), None)


def _holds(condition: str, driver: Driver) -> bool:
    match = _CONDITION.fullmatch(condition)
    if match is None:
        return True
    name, compare, value = match["name"].casefold(), _OPERATORS[match["operator"]], match["value"]
    has = {"cuda": driver.cuda, "driver": driver.driver, "brand": driver.brand}.get(name, "")
    if name == "brand" and has:
        return compare(_brand(has), _brand(value))
    if _VERSION.fullmatch(has) and _VERSION.fullmatch(value):
        return compare(*_same_length(has, value))
    return True


def _brand(text: str) -> str:
    return text.replace(" ", "").casefold()


def _same_length(one: str, other: str) -> tuple[list[int], list[int]]:
    """Versions as numbers, the shorter one filled with zeros: 535 is 535.0, and 535.54.03 is not below 535.54."""
    first, second = ([int(number) for number in text.split(".")] for text in (one, other))
    length = max(len(first), len(second))
    return first + [0] * (length - len(first)), second + [0] * (length - len(second))
