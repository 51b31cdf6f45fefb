"""From a checked case set on the disk to rows and blobs, all or nothing.

Volumes are re-written once (no original names, times or text fields), so that what teams' images read tells nothing
but the CT itself. Blobs are written before the rows: an import that is interrupted leaves at most files that nobody
names, and repeating it finds them in place.

A set that *mends* another one has the same cases, volumes and sentences, and other references or categories: so masks
that were kept can be scored on it. Its public half is the one that was drawn then, with the same commitment.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from leaderboard.challenge.casesets.nifti import NiftiError, rewrite_volume
from leaderboard.challenge.casesets.official import (
    WHOLE_SET,
    CaseSetProblems,
    CheckedCase,
    CheckedCaseSet,
    case_set_digest,
)
from leaderboard.challenge.halves.kept import draw_half, half_of
from leaderboard.core import audit, blobs
from leaderboard.core.audit import Actor
from leaderboard.models import Case, CaseSet, Finding

Progress = Callable[[int, int], None]
Stored = tuple[CheckedCase, blobs.Blob, blobs.Blob]
"""A case with its volume and its reference, as they are stored."""


class NameTaken(Exception):
    """A case set of this name holds other content."""


def import_case_set(
    name: str,
    checked: CheckedCaseSet,
    *,
    by: Actor,
    mends: CaseSet | None = None,
    progress: Progress | None = None,
) -> tuple[CaseSet, bool]:
    """Store the files and make the rows. Returns the case set and whether it is new.

    Raises CaseSetProblems for volumes that cannot be read to their end, and for a set that does not mend the one that
    it should; NameTaken.
    """
    first = mends.first if mends else None
    stored: list[Stored] = []
    problems: dict[str, list[str]] = {}
    for number, case in enumerate(checked.cases, start=1):
        try:
            stored.append((case, _store_volume(case), _store_mask(case)))
        except NiftiError as error:
            problems[case.name] = [str(error)]
        if progress:
            progress(number, len(checked.cases))
    problems = problems or (_misfits(first, stored) if first else {})
    if problems:
        raise CaseSetProblems(problems)
    digest = case_set_digest(
        checked.cases,
        volumes={case.name: volume.digest for case, volume, _ in stored},
        masks={case.name: mask.digest for case, _, mask in stored},
    )
    with transaction.atomic():
        existing = CaseSet.objects.select_for_update().filter(name=name).first()
        if existing:
            if existing.digest == digest and first in (None, existing.mends):
                return existing, False
            raise NameTaken(
                f"There is a case set called {name} with other content, or that mends nothing. Case sets never change: "
                "import this one under another name. If it mends the cases of a phase, “rescore start” with it."
            )
        case_set = CaseSet.objects.create(name=name, digest=digest, **_revision_of(first, digest))
        public = half_of(first) if first else draw_half(case_set, checked.cases)
        for case, volume, mask in stored:
            _make_case(case_set, case, volume, mask, in_public_half=case.name in public)
        imported = {"cases": len(stored), "digest": digest, "half_commitment": case_set.half_commitment}
        imported |= {"mends": first.name, "revision": case_set.revision} if first else {}
        audit.record(by, "import case set", case_set, after=imported)
    return case_set, True


def _misfits(first: CaseSet, stored: Sequence[Stored]) -> dict[str, list[str]]:
    """Why masks of one set could not be scored on another, by case: its names, volumes and sentences are the same."""
    old = {case.name: case for case in first.cases.prefetch_related("findings")}
    new = {case.name: (case, volume) for case, volume, _ in stored}
    problems = {name: [f"{first.name} has no such case"] for name in new.keys() - old.keys()}
    problems |= {name: [f"it is a case of {first.name}, and missing here"] for name in old.keys() - new.keys()}
    for name in new.keys() & old.keys():
        case, volume = new[name]
        texts = [finding.text for finding in old[name].findings.all()]
        if volume.digest != old[name].volume:
            problems[name] = [f"its volume is not that of {first.name}: kept masks would not fit"]
        elif [finding.text for finding in case.findings] != texts:
            problems[name] = [f"its sentences are not those of {first.name}, which the kept masks were made for"]
    return problems


def _revision_of(first: CaseSet | None, digest: str) -> dict[str, Any]:
    """What a new row says of what it mends. Raises CaseSetProblems where the same content is there already."""
    if first is None:
        return {}
    family = CaseSet.objects.select_for_update().filter(first.family)
    known = {one.digest: one for one in family}
    if digest in known:
        raise CaseSetProblems({WHOLE_SET: [f"it is {known[digest].name} again: nothing is mended"]})
    revision = 1 + max(one.revision for one in known.values())
    return {"mends": first, "revision": revision, "half_commitment": first.half_commitment}


def _store_volume(case: CheckedCase) -> blobs.Blob:
    with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
        rewritten = Path(folder) / "volume.nii.gz"
        rewrite_volume(case.volume, rewritten)
        return blobs.volumes.put(rewritten)


def _store_mask(case: CheckedCase) -> blobs.Blob:
    if case.mask is None:
        raise ValueError(f"{case.name} has no reference mask: a ranked case set needs one for each case")
    return blobs.references.put(case.mask)


def _make_case(
    case_set: CaseSet, checked: CheckedCase, volume: blobs.Blob, mask: blobs.Blob, *, in_public_half: bool
) -> None:
    case = Case.objects.create(
        case_set=case_set,
        name=checked.name,
        shape=list(checked.shape),
        spacing_mm=list(checked.spacing_mm),
        volume=volume.digest,
        volume_bytes=volume.size,
        reference=mask.digest,
        in_public_half=in_public_half,
    )
    Finding.objects.bulk_create(
        Finding(
            case=case,
            channel=channel,
            text=finding.text,
            category=finding.category or "",
            entity_count=finding.entity_count or 0,
            voxels=finding.voxels or 0,
        )
        for channel, finding in enumerate(checked.findings)
    )
