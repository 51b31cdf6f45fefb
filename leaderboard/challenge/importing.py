"""From a checked case set on the disk to rows and blobs, all or nothing.

Volumes are re-written once (no original names, times or text fields), so that what teams' images read tells nothing
but the CT itself. Blobs are written before the rows: an import that is killed leaves at most files that nobody names.
Repeating it finds them in place: by the digest of each file as it was delivered it knows what is checked and stored.

A set that *mends* another one has the same cases, volumes and sentences, and other references or categories: so masks
that were kept can be scored on it. Its public half is the one that was drawn then, with the same commitment.
"""

import hashlib
import tempfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from leaderboard.challenge.casesets import nifti, problems
from leaderboard.challenge.casesets.official import CheckedCase, CheckedCaseSet, case_set_digest
from leaderboard.challenge.casesets.problems import WHOLE_SET, CaseSetProblems, Remark
from leaderboard.challenge.casesets.texts import made_plain
from leaderboard.challenge.halves.kept import draw_half, half_of
from leaderboard.core import audit, blobs, clock, disk_space
from leaderboard.core.audit import Actor
from leaderboard.models import Case, CaseSet, Finding, StoredVolume

Progress = Callable[[int, int], None]
Stored = tuple[CheckedCase, blobs.Blob, blobs.Blob]
"""A case with its volume and its reference, as they are stored."""


class NameTaken(Exception):
    """A case set of this name holds other content."""


class Unconfirmed(Exception):
    """There are warnings that nobody confirmed."""

    def __init__(self, warnings: Sequence[Remark]) -> None:
        self.warnings = tuple(warnings)
        keys = ",".join(group.key for group, _ in problems.grouped(warnings))
        super().__init__(
            f"Nothing was imported: what the warnings say may be a mistake. If it is none: --accept-warnings {keys}"
        )


def unconfirmed(checked: CheckedCaseSet, accepted: Collection[str]) -> list[Remark]:
    """The warnings of groups that nobody accepted."""
    return [one for one in checked.warnings if one.group.key not in accepted]


def measure(volume: Path) -> nifti.Values:
    """Read a CT to its end, or know of a file of the same content that this was done. Raises NiftiError."""
    known = _known(_digest_of(volume))
    return nifti.Values(known.low, known.high) if known else nifti.measure(volume)


def import_case_set(
    name: str,
    checked: CheckedCaseSet,
    *,
    by: Actor,
    accepted: Collection[str] = (),
    mends: CaseSet | None = None,
    progress: Progress | None = None,
) -> tuple[CaseSet, bool]:
    """Store the files and make the rows. Returns the case set and whether it is new.

    `accepted` are the groups of warnings that a person confirmed. Raises Unconfirmed for others; CaseSetProblems for
    files that cannot be stored, and for a set that does not mend the one that it should; NameTaken.
    """
    if waiting := unconfirmed(checked, accepted):
        raise Unconfirmed(waiting)
    first = mends.first if mends else None
    check_mends(first, checked)
    stored = _store(checked, progress)
    if first and (misfits := _misfits(first, stored)):
        raise CaseSetProblems(misfits)
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
        told = {"digest": digest, "is_ranked": checked.ranked, **_revision_of(first, digest)}
        case_set = CaseSet.objects.create(name=name, **told)
        public = half_of(first) if first else draw_half(case_set, checked.cases)
        for case, volume, mask in stored:
            _make_case(case_set, case, volume, mask, in_public_half=case.name in public)
        imported = {"cases": len(stored), "digest": digest, "half_commitment": case_set.half_commitment}
        imported |= {"mends": first.name, "revision": case_set.revision} if first else {}
        warned = sorted({one.group.key for one in checked.warnings})
        imported |= {"accepted_warnings": warned} if warned else {}
        audit.record(by, "import case set", case_set, after=imported)
    return case_set, True


def check_mends(first: CaseSet | None, checked: CheckedCaseSet) -> None:
    """Raises CaseSetProblems where a set has not the cases and sentences of the one that it should mend.

    Whether it has its volumes is known once they are re-written.
    """
    if first is None:
        return
    old = {case.name: case for case in first.cases.prefetch_related("findings")}
    new = {case.name: case for case in checked.cases}
    found = [_misfit(name, f"{first.name} has no such case") for name in new.keys() - old.keys()]
    found += [_misfit(name, f"it is a case of {first.name}, and missing here") for name in old.keys() - new.keys()]
    for name in new.keys() & old.keys():
        texts = [made_plain(finding.text)[0] for finding in old[name].findings.all()]
        if [finding.text for finding in new[name].findings] != texts:
            words = f"its sentences are not those of {first.name}, which the kept masks were made for"
            found.append(_misfit(name, words))
    if found:
        raise CaseSetProblems(sorted(found, key=lambda one: one.case))


def _misfits(first: CaseSet, stored: Sequence[Stored]) -> list[Remark]:
    """Cases whose volume is another one than in the set that is mended: kept masks could not be scored on them."""
    old = dict(first.cases.values_list("name", "volume"))
    words = f"its volume is not that of {first.name}: kept masks would not fit"
    return [_misfit(case.name, words) for case, volume, _ in stored if volume.digest != old[case.name]]


def _misfit(case: str, words: str) -> Remark:
    return Remark(problems.MENDS, case, words)


def _revision_of(first: CaseSet | None, digest: str) -> dict[str, Any]:
    """What a new row says of what it mends. Raises CaseSetProblems where the same content is there already."""
    if first is None:
        return {}
    family = CaseSet.objects.select_for_update().filter(first.family)
    known = {one.digest: one for one in family}
    if digest in known:
        raise CaseSetProblems([_misfit(WHOLE_SET, f"it is {known[digest].name} again: nothing is mended")])
    revision = 1 + max(one.revision for one in known.values())
    return {"mends": first, "revision": revision, "half_commitment": first.half_commitment}


def _store(checked: CheckedCaseSet, progress: Progress | None) -> list[Stored]:
    """Both files of each case; what is there already is only made young again."""
    stored: list[Stored] = []
    found: list[Remark] = []
    for number, case in enumerate(checked.cases, start=1):
        try:
            stored.append((case, _store_volume(case.volume), _store_mask(case)))
        except nifti.NiftiError as error:
            found.append(Remark(problems.STORING, case.name, f"its CT {error}"))
        except OSError as error:
            found.append(Remark(problems.STORING, case.name, f"{error.strerror or error}. {disk_space.shortage()}"))
            break  # the disk is full, or away: it is so for the next one, too
        if progress:
            progress(number, len(checked.cases))
    if found:
        raise CaseSetProblems(found)
    return stored


def _known(source: str) -> StoredVolume | None:
    """What is known of a delivered file with this digest, if its re-written volume is still there."""
    known = StoredVolume.objects.filter(source=source).first()
    return known if known and blobs.volumes.freshen(known.volume) else None


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _store_volume(volume: Path) -> blobs.Blob:
    source = _digest_of(volume)
    if known := _known(source):
        return blobs.Blob(known.volume, known.volume_bytes)
    with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
        rewritten = Path(folder) / "volume.nii.gz"
        values = nifti.rewrite_volume(volume, rewritten)
        blob = blobs.volumes.put(rewritten)
    told = {"volume": blob.digest, "volume_bytes": blob.size, "low": values.low, "high": values.high}
    StoredVolume.objects.update_or_create(source=source, defaults={**told, "stored_at": clock.now()})
    return blob


def _store_mask(case: CheckedCase) -> blobs.Blob:
    if case.mask is None:
        raise ValueError(f"{case.name} has no reference mask: a case set needs one for each case")
    digest = _digest_of(case.mask)
    if blobs.references.freshen(digest):
        return blobs.Blob(digest, blobs.references.path(digest).stat().st_size)
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
