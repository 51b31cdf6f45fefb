"""What is said of a case set: everything that is wrong with it, and what is allowed but may be a mistake.

Sentences stand in groups, each of which says what to do: a person who has to mend 300 files learns once how.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

WHOLE_SET = ""
"""The name of the case in what concerns no single one."""
FEW = 20  # sentences of a group that a text shows


@dataclass(frozen=True)
class Group:
    """Sentences of one kind: by which `key` people name it, what it is, and what to do about it."""

    key: str
    title: str
    todo: str


DATASET = Group("dataset", "The dataset file", "Mend the file that --dataset-json names, or name another one.")
SPLIT = Group("split", "The split", "Give --split the name of the list that belongs to these folders.")
ENTRY = Group("entry", "Entries of the dataset file", "Mend these entries; docs/organising.md has the form.")
TEXT = Group("text", "Sentences", "Mend these sentences in the dataset file.")
CATEGORY = Group(
    "category", "Categories", "Give each finding its code, or import with --unranked for a phase without ranks."
)
CONTENT = Group("content", "The dataset file says something else than the files", "Mend whichever is wrong.")
MISSING = Group("missing", "Files that are missing", "Put them into the folder, or take the entries out.")
STRAY = Group("stray", "Volumes that belong to no case", "Move them elsewhere, or add their entries.")
LFS = Group("git-lfs", "Git LFS pointers in place of files", "Fetch the content: run “git lfs pull” in its clone.")
WEB_PAGE = Group(
    "web-page", "Web pages saved under a file's name", "Download them again, signed in: the server sent a page."
)
UNPACKED = Group(
    "not-gzip",
    "Files that are not compressed, whatever their name",
    "Compress them: “gzip case.nii” makes case.nii.gz.",
)
OTHER_FILE = Group("other-file", "Files that are something else than their name says", "Export or download them anew.")
VOLUME = Group("ct", "CTs", "Export these CTs anew.")
VALUES = Group("values", "Values that no CT has", "Export these CTs anew, in Hounsfield units.")
MASK = Group("mask", "Reference masks", "Export these masks anew: findings first, then the CT's axes.")
MENDS = Group("mends", "What does not mend the other set", "Import it as a set of its own, without --mends.")
STORING = Group("storing", "Files that could not be stored", "Look at the disk, then run the same command again.")

IDENTITY = Group(
    "identity-affine",
    "CTs without a place: an identity affine, or none",
    "Spacing was probably lost in an export. 1 x 1 x 1 mm makes every distance wrong. Export anew, or accept it.",
)
PIXDIM_ZERO = Group(
    "pixdim-zero", "CTs that state a spacing of 0", "Readers take something else for it, each its own. Export anew."
)
DISAGREEING = Group(
    "affine-pixdim",
    "CTs whose header says two things about their place",
    "Programs read one or the other, so masks may be measured by another spacing than yours. Export anew.",
)
FAR = Group("far-from-rest", "Spacing or shape far from the other cases", "Look at these CTs: is each a chest CT?")
NOT_HU = Group("not-hu", "CTs without air", "A chest has air near -1000 HU. Are these Hounsfield units?")
MASK_PLACE = Group(
    "mask-affine", "Masks that lie elsewhere than their CT", "Look whether they are flipped or turned against the CT."
)
EMPTY = Group("empty-finding", "Findings without a single voxel", "Every prediction scores 0 on them, or 1. Is it so?")

TEXT_CHANGED = Group("text-changed", "Sentences that were made plain", "Nothing has to be done.")
SKIPPED = Group("skipped", "Files that were left aside", "Nothing has to be done.")

PROBLEMS = (
    *(DATASET, SPLIT, ENTRY, TEXT, CATEGORY, CONTENT, MISSING, STRAY, LFS, WEB_PAGE, UNPACKED, OTHER_FILE),
    *(VOLUME, VALUES, MASK, MENDS, STORING),
)
WARNINGS = (IDENTITY, PIXDIM_ZERO, DISAGREEING, FAR, NOT_HU, MASK_PLACE, EMPTY)
NOTES = (TEXT_CHANGED, SKIPPED)
GROUPS: Mapping[str, Group] = {group.key: group for group in (*PROBLEMS, *WARNINGS, *NOTES)}


@dataclass(frozen=True)
class Remark:
    """A sentence about a case, or the whole set."""

    group: Group
    case: str
    text: str

    def __str__(self) -> str:
        return f"{self.case}: {self.text}" if self.case else self.text

    def as_json(self) -> dict[str, str]:
        """For programs, and to be kept."""
        return {"group": self.group.key, "case": self.case, "text": self.text}


@dataclass
class Report:
    """All that is found. Problems stop an import, warnings wait for somebody to confirm them, notes only tell."""

    problems: list[Remark] = field(default_factory=list)
    warnings: list[Remark] = field(default_factory=list)
    notes: list[Remark] = field(default_factory=list)

    def say(self, group: Group, case: str, text: str) -> None:
        """Add a sentence, to where its group belongs."""
        found = self.warnings if group in WARNINGS else self.notes if group in NOTES else self.problems
        found.append(Remark(group, case, text))


class CaseSetProblems(Exception):
    """Everything that is wrong with a case set."""

    def __init__(self, problems: Iterable[Remark], notes: Iterable[Remark] = ()) -> None:
        self.problems, self.notes = tuple(problems), tuple(notes)
        super().__init__(str(self))

    @property
    def by_case(self) -> dict[str, list[str]]:
        """The sentences by case."""
        found: dict[str, list[str]] = {}
        for one in self.problems:
            found.setdefault(one.case, []).append(one.text)
        return found

    def __str__(self) -> str:
        count = len(self.problems)
        head = f"The case set has {count} problem{'s' if count != 1 else ''}; nothing was imported."
        return f"{head}\n{in_groups(self.problems)}"


def grouped(remarks: Iterable[Remark]) -> list[tuple[Group, list[Remark]]]:
    """The sentences of each group, in the order of the groups."""
    found: dict[str, list[Remark]] = {}
    for one in remarks:
        found.setdefault(one.group.key, []).append(one)
    return [(group, found[key]) for key, group in GROUPS.items() if key in found]


def in_groups(remarks: Iterable[Remark], *, most: int | None = None) -> str:
    """As a text: each group with what to do, then its sentences."""
    lines = []
    for group, some in grouped(remarks):
        lines += [f"{group.title} ({group.key}, {len(some)}). {group.todo}", *(f"  - {one}" for one in some[:most])]
        if most is not None and len(some) > most:
            lines.append(f"  ... and {len(some) - most} more")
    return "\n".join(lines)


def groups_as_json(remarks: Iterable[Remark]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [
        {
            "group": group.key,
            "title": group.title,
            "todo": group.todo,
            "found": [{"case": one.case, "text": one.text} for one in some],
        }
        for group, some in grouped(remarks)
    ]
