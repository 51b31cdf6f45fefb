"""What a case set is, in numbers, and what differs from another one: by its rows: nobody here sees its files."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import NamedTuple

from evaluation import CATEGORIES
from leaderboard.models import Case, CaseSet, Finding

NO_CATEGORY = "none"


class CategoryCount(NamedTuple):
    """How many findings have a category, and in how many cases."""

    code: str
    words: str
    findings: int
    cases: int


@dataclass(frozen=True)
class _CaseRow:
    """A case as it is compared."""

    name: str
    shape: Sequence[int]
    spacing_mm: Sequence[float]
    volume: str
    reference: str
    findings: Sequence[tuple[str, str, int]]  # text, category, voxels

    @property
    def texts(self) -> list[str]:
        return [text for text, _, _ in self.findings]

    @property
    def categories(self) -> list[str]:
        return [category for _, category, _ in self.findings]


@dataclass(frozen=True)
class CaseSetFacts:
    """The cases of a set with their findings: two questions to the database."""

    case_set: CaseSet

    @cached_property
    def cases(self) -> list[_CaseRow]:
        """All of them, by name."""
        findings: dict[int, list[tuple[str, str, int]]] = defaultdict(list)
        of_set = Finding.objects.filter(case__case_set=self.case_set).order_by("case", "channel")
        for case, text, category, voxels in of_set.values_list("case", "text", "category", "voxels"):
            findings[case].append((text, category, voxels))
        return [
            _CaseRow(one.name, one.shape, one.spacing_mm, one.volume, one.reference, findings[one.pk])
            for one in Case.objects.filter(case_set=self.case_set).order_by("name")
        ]

    @property
    def findings(self) -> int:
        """How many there are."""
        return sum(len(case.findings) for case in self.cases)

    @property
    def categories(self) -> list[CategoryCount]:
        """How often each category occurs; those that none has, too."""
        found = Counter(code for case in self.cases for code in case.categories)
        cases = Counter(code for case in self.cases for code in set(case.categories))
        known = [CategoryCount(one.code, one.label, found[one.code], cases[one.code]) for one in CATEGORIES.values()]
        return [*known, CategoryCount(NO_CATEGORY, "no category", found[""], cases[""])] if found[""] else known

    @property
    def sizes_ml(self) -> list[float]:
        """The size of each finding that has a voxel."""
        return [
            voxels * prod(case.spacing_mm) / 1000 for case in self.cases for _, _, voxels in case.findings if voxels
        ]

    def along(self, axis: int) -> tuple[list[float], list[float]]:
        """Shape and spacing along an axis, case by case."""
        return [float(case.shape[axis]) for case in self.cases], [float(case.spacing_mm[axis]) for case in self.cases]


@dataclass
class Difference:
    """What a set has that another has not: names of cases, under what is different."""

    other: CaseSet
    kinds: dict[str, list[str]] = field(default_factory=dict)

    @property
    def lines(self) -> list[tuple[str, list[str]]]:
        """What differs in words, with the cases."""
        return [(words, self.kinds[words]) for words in KINDS if self.kinds.get(words)]


KINDS = (
    "cases added",
    "cases gone",
    "cases under another name",
    "another volume",
    "another reference mask",
    "another sentence",
    "another category",
)


def set_before(case_set: CaseSet) -> CaseSet | None:
    """What a set is compared with: what it mends, else the one that was imported before it."""
    if case_set.mends:
        family = CaseSet.objects.filter(case_set.family, revision__lt=case_set.revision)
        return family.order_by("-revision").first()
    return CaseSet.objects.filter(pk__lt=case_set.pk).order_by("-pk").first()


def difference(facts: CaseSetFacts, before: CaseSetFacts) -> Difference:
    """What differs, by name and by the digests of files."""
    new, old = ({case.name: case for case in one.cases} for one in (facts, before))
    found = Difference(before.case_set, {words: [] for words in KINDS})
    added, gone = sorted(new.keys() - old.keys()), sorted(old.keys() - new.keys())
    by_volume = {old[name].volume: name for name in gone}
    for name in added:
        former = by_volume.get(new[name].volume)
        if former:
            found.kinds["cases under another name"].append(f"{name} (was {former})")
            gone.remove(former)
            del by_volume[new[name].volume]
        else:
            found.kinds["cases added"].append(name)
    found.kinds["cases gone"] = gone
    for name in sorted(new.keys() & old.keys()):
        _compare(found, name, new[name], old[name])
    return found


def _compare(found: Difference, name: str, new: _CaseRow, old: _CaseRow) -> None:
    for words, one, other in (
        ("another volume", new.volume, old.volume),
        ("another reference mask", new.reference, old.reference),
        ("another sentence", new.texts, old.texts),
        ("another category", new.categories, old.categories),
    ):
        if one != other:
            found.kinds[words].append(name)
