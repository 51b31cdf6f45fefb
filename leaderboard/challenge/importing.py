"""From a checked case set on the disk to rows and blobs, all or nothing.

Volumes are re-written once (no original names, times or text fields), so that what teams' images read tells nothing
but the CT itself. Blobs are written before the rows: an import that is interrupted leaves at most files that nobody
names, and repeating it finds them in place.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.db import transaction

from leaderboard.challenge.casesets.nifti import NiftiError, rewrite_volume
from leaderboard.challenge.casesets.official import CaseSetProblems, CheckedCase, CheckedCaseSet, case_set_digest
from leaderboard.challenge.halves.kept import draw_half
from leaderboard.core import audit, blobs
from leaderboard.core.audit import Actor
from leaderboard.models import Case, CaseSet, Finding

Progress = Callable[[int, int], None]


class NameTaken(Exception):
    """A case set of this name holds other content."""


def import_case_set(
    name: str, checked: CheckedCaseSet, *, by: Actor, progress: Progress | None = None
) -> tuple[CaseSet, bool]:
    """Store the files and make the rows. Returns the case set and whether it is new.

    Raises CaseSetProblems for volumes that cannot be read to their end, NameTaken.
    """
    stored, problems = [], {}
    for number, case in enumerate(checked.cases, start=1):
        try:
            stored.append((case, _store_volume(case), _store_mask(case)))
        except NiftiError as error:
            problems[case.name] = [str(error)]
        if progress:
            progress(number, len(checked.cases))
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
            if existing.digest == digest:
                return existing, False
            raise NameTaken(
                f"There is a case set called {name} with other content. Case sets never change: import this one under "
                "another name, and point the phase at it."
            )
        case_set = CaseSet.objects.create(name=name, digest=digest)
        public = draw_half(case_set, checked.cases)
        for case, volume, mask in stored:
            _make_case(case_set, case, volume, mask, in_public_half=case.name in public)
        imported = {"cases": len(stored), "digest": digest, "half_commitment": case_set.half_commitment}
        audit.record(by, "import case set", case_set, after=imported)
    return case_set, True


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
