"""A case set read from the organisers' files and checked before anything believes it.

The same code takes the made-up sets and the real data. It looks at everything and reports *all* problems at
once: a person who must fix 300 files should not learn of them one by one. Headers come first, for every file; then the
voxels of CTs and of masks, whose entities the metrics depend on, before anything is stored.
"""

# mypy: disable-error-code="no-untyped-call"
# SimpleITK carries no annotations

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import evaluation
from evaluation.masks.nifti import Header
from leaderboard.challenge.casesets import geometry, nifti, problems
from leaderboard.challenge.casesets.entries import SPACING_MM, Entry, Listing, read_entries
from leaderboard.challenge.casesets.files import Folder, disguise_of
from leaderboard.challenge.casesets.problems import WHOLE_SET, CaseSetProblems, Group, Remark, Report

Progress = Callable[[int, int], None]
Measure = Callable[[Path], nifti.Values]


@dataclass(frozen=True)
class CheckedFinding:
    """`entity_count` and `voxels` are counted in the mask; None in a set without masks."""

    text: str
    category: str | None
    entity_count: int | None = None
    voxels: int | None = None


@dataclass(frozen=True)
class CheckedCase:
    """`shape` (H, W, D) in voxels and `spacing_mm` (H, W, D) come from the CT; findings are in channel order."""

    name: str
    findings: tuple[CheckedFinding, ...]
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    volume: Path
    mask: Path | None


@dataclass(frozen=True)
class CheckedCaseSet:
    """`warnings` are about what is allowed but may be a mistake, and wait to be confirmed; `notes` only tell."""

    split: str
    cases: tuple[CheckedCase, ...]
    warnings: tuple[Remark, ...]
    notes: tuple[Remark, ...] = ()
    ranked: bool = True


def read_case_set(
    dataset_json: Path,
    *,
    split: str,
    images_dir: Path,
    masks_dir: Path | None = None,
    ranked: bool = True,
    progress: Progress | None = None,
    measure: Measure = nifti.measure,
) -> CheckedCaseSet:
    """Read and check `split` of the dataset JSON with its folders of CTs and (optionally) masks.

    A `ranked` set needs a category for every finding, since the distance metrics do. `progress(done, total)`
    counts steps, one per case for the headers, one per CT and one per mask. Raises CaseSetProblems with all that is
    wrong. `measure` reads a CT to its end, for who knows some already.
    """
    report = Report()
    listing = read_entries(report, dataset_json, split=split, ranked=ranked)
    folders = [Folder("image", images_dir), *([Folder("mask", masks_dir)] if masks_dir is not None else [])]
    if listing.is_there and not _is_another_split(report, listing, split, folders):
        for folder in folders:
            folder.look(report, wanted=listing.names, known=listing.known_names)
    cases = _check_cases(report, listing, images_dir, masks_dir, progress, measure) if listing.is_there else ()
    geometry.look_at_extents(report, [geometry.Extent(one.name, one.shape, one.spacing_mm) for one in cases])
    if report.problems:
        raise CaseSetProblems(report.problems, (*report.warnings, *report.notes))
    return CheckedCaseSet(split, cases, tuple(report.warnings), tuple(report.notes), ranked)


def _is_another_split(report: Report, listing: Listing, split: str, folders: list[Folder]) -> bool:
    """Whether the folders hold the cases of another split: one thing to say, and not one for each of its files."""
    present = folders[0].present
    if not listing.names or listing.names & present:
        return False
    others = [name for name, names in listing.splits.items() if name != split and names & present]
    if not others:
        return False
    words = f"no case of split {split!r} is in {folders[0].path}, which holds those of {', '.join(map(repr, others))}"
    report.say(problems.SPLIT, WHOLE_SET, words)
    return True


def _check_cases(
    report: Report,
    listing: Listing,
    images_dir: Path,
    masks_dir: Path | None,
    progress: Progress | None,
    measure: Measure,
) -> tuple[CheckedCase, ...]:
    steps = _Steps(progress, len(listing.entries) * (3 if masks_dir is not None else 2))
    drafts = []
    for entry in listing.entries:
        draft = _check_headers(report, entry, images_dir, masks_dir)
        if draft is not None:
            drafts.append((entry, draft))
        steps.one()
    cases = []
    for entry, draft in drafts:
        _check_values(report, draft, measure)
        steps.one()
        if draft.mask is not None:
            draft = _check_voxels(report, draft, entry)
            steps.one()
        cases.append(draft)
    return tuple(cases)


def case_set_digest(cases: Iterable[CheckedCase], volumes: Mapping[str, str], masks: Mapping[str, str]) -> str:
    """The digest ("sha256:<hex>") of a set's content.

    Content is what is asked, where, and the digests of volumes and masks by case name; the order plays no part.
    A set without masks passes an empty mapping.
    """
    facts = [
        {
            "name": case.name,
            "findings": [[finding.text, finding.category] for finding in case.findings],
            "shape": case.shape,
            "spacing_mm": case.spacing_mm,
            "volume": volumes[case.name],
            "mask": masks.get(case.name),
        }
        for case in sorted(cases, key=lambda case: case.name)
    ]
    text = json.dumps(facts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


class _Steps:
    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def one(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)


def _check_headers(report: Report, entry: Entry, images_dir: Path, masks_dir: Path | None) -> CheckedCase | None:
    """The case as its headers tell, or None where they are not even readable."""
    volume = images_dir / entry.name
    mask = masks_dir / entry.name if masks_dir is not None else None
    ct = _ct_header(report, entry.name, volume) if volume.is_file() else None
    if ct is None:
        if mask is not None and mask.is_file():
            _mask_header(report, entry.name, mask)  # all at once: what is wrong with it besides
        return None
    h, w, d = ct.shape
    if entry.shape is not None and entry.shape != ct.shape:
        report.say(problems.CONTENT, entry.name, f"the dataset says shape {entry.shape}, the CT has {ct.shape}")
    if mask is not None and not _mask_fits(report, entry, mask, ct):
        mask = None  # the CT is looked at all the same
    findings = tuple(CheckedFinding(text, category) for text, category in entry.findings)
    return CheckedCase(entry.name, findings, (h, w, d), ct.spacing_mm, volume, mask)


@dataclass(frozen=True)
class _Ct:
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    placing: nifti.Placing


def _header_of(report: Report, group: Group, what: str, name: str, path: Path) -> Header | None:
    disguise = disguise_of(path)
    if disguise:
        report.say(disguise[0], name, f"its {what} {disguise[1]}")
        return None
    try:
        return nifti.read_header(path)
    except nifti.NiftiError as error:
        report.say(group, name, f"its {what} {error}")
        return None


def _ct_header(report: Report, name: str, path: Path) -> _Ct | None:
    """Shape, spacing (H, W, D) and place of a CT, from its header alone."""
    import SimpleITK as sitk  # noqa: N813 - its usual name; not above: every process would load it as it starts

    header = _header_of(report, problems.VOLUME, "CT", name, path)
    if header is None:
        return None
    if len(header.dims) != 3:
        report.say(problems.VOLUME, name, f"its CT has {len(header.dims)} axes; a CT has 3")
        return None
    if not nifti.is_finite(header):
        report.say(problems.VOLUME, name, "its CT has an affine, spacing or scaling that is not finite")
        return None
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("NiftiImageIO")
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        report.say(problems.VOLUME, name, f"its CT cannot be read by SimpleITK: {_last_line(error)}")
        return None
    h, w, d = header.dims
    sh, sw, sd = (float(step) for step in reader.GetSpacing())
    placing = nifti.Placing.of(header)
    low, high = SPACING_MM
    if not all(low <= step <= high for step in (sh, sw, sd)):
        words = f"its CT has a spacing of {sh:g} x {sw:g} x {sd:g} mm; each must lie in {low:g} to {high:g} mm"
        report.say(problems.VOLUME, name, words)
    geometry.look_at_place(report, name, placing)
    return _Ct((h, w, d), (sh, sw, sd), placing)


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _mask_header(report: Report, name: str, path: Path) -> Header | None:
    return _header_of(report, problems.MASK, "mask", name, path)


def _mask_fits(report: Report, entry: Entry, mask: Path, ct: _Ct) -> bool:
    if not mask.is_file():
        return False
    header = _mask_header(report, entry.name, mask)
    if header is None:
        return False
    found, wanted = header.dims, (len(entry.findings), *ct.shape)
    if found != wanted:
        words = f"its mask has shape {found}; {wanted} is needed: the number of findings, then the CT's axes"
        report.say(problems.MASK, entry.name, words)
        return False
    geometry.look_at_mask(report, entry.name, ct.placing, nifti.Placing.of(header))
    return True


def _check_values(report: Report, case: CheckedCase, measure: Measure) -> None:
    """The voxels of the CT, to the last."""
    try:
        geometry.look_at_values(report, case.name, measure(case.volume))
    except nifti.NoCtValues as error:
        report.say(problems.VALUES, case.name, f"its CT {error}")
    except nifti.NiftiError as error:
        report.say(problems.VOLUME, case.name, f"its CT {error}")


def _check_voxels(report: Report, case: CheckedCase, entry: Entry) -> CheckedCase:
    """The case with its entities counted; what the dataset says about them must be what the mask holds."""
    assert case.mask is not None
    try:
        summary = evaluation.inspect_mask(case.mask)
    except evaluation.EvaluationError as error:
        report.say(problems.MASK, case.name, f"its mask is unusable: {error}")
        return case
    findings = []
    for channel, finding in enumerate(case.findings):
        entities = summary.entities[channel]
        count, voxels = len(entities), sum(entities.values())
        findings.append(replace(finding, entity_count=count, voxels=voxels))
        if not count:
            report.say(problems.EMPTY, case.name, f"finding {channel} has no voxel in its mask")
        for field, stated, held in (
            ("entity_counts", entry.entity_counts.get(channel), count),
            ("pixels", entry.pixels.get(channel), voxels),
        ):
            if stated is not None and stated != held:
                words = f"{field} of finding {channel} is {stated}; the mask holds {held}"
                report.say(problems.CONTENT, case.name, words)
    return replace(case, findings=tuple(findings))
