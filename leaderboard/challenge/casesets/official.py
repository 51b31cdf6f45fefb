"""A case set read from the organisers' files and checked before anything believes it.

The same code takes the made-up sets and the real data. It looks at everything and reports *all* problems at
once, by case: a person who must fix 300 files should not learn of them one by one. Headers come first, for every
file; voxels only of the masks, whose entities the metrics depend on. (Those of CTs are checked
while `nifti.rewrite_volume` copies them.)
"""

# mypy: disable-error-code="no-untyped-call"
# SimpleITK carries no annotations

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import evaluation
from leaderboard.challenge.casesets import nifti
from leaderboard.challenge.casesets.entries import SPACING_MM, Entry, EntryProblems, read_entries

WHOLE_SET = ""
"""The key in `CaseSetProblems.by_case` of what concerns no single case."""
Progress = Callable[[int, int], None]


class CaseSetProblems(Exception):
    """Everything that is wrong with a case set: `by_case` maps a case's name (or WHOLE_SET) to sentences."""

    def __init__(self, by_case: Mapping[str, list[str]]) -> None:
        self.by_case = dict(by_case)
        super().__init__(str(self))

    def __str__(self) -> str:
        count = sum(len(problems) for problems in self.by_case.values())
        lines = [f"The case set has {count} problem{'s' if count != 1 else ''}; nothing was imported."]
        for name in sorted(self.by_case):
            lines.append(f"{name or 'The set as a whole'}:")
            lines += [f"  - {problem}" for problem in self.by_case[name]]
        return "\n".join(lines)


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
    """`warnings` are sentences about what is allowed but worth a look, such as a finding without a single voxel."""

    split: str
    cases: tuple[CheckedCase, ...]
    warnings: tuple[str, ...]


def read_case_set(
    dataset_json: Path,
    *,
    split: str,
    images_dir: Path,
    masks_dir: Path | None = None,
    ranked: bool = True,
    progress: Progress | None = None,
) -> CheckedCaseSet:
    """Read and check `split` of the dataset JSON with its folders of CTs and (optionally) masks.

    A `ranked` set needs a category for every finding, since the distance metrics do. `progress(done, total)`
    counts steps, one per case for the headers and one per mask. Raises CaseSetProblems with all that is wrong.
    """
    problems: dict[str, list[str]] = defaultdict(list)
    listing = read_entries(dataset_json, split=split, ranked=ranked)
    _collect(problems, listing.problems)
    folders = {"image": images_dir} | ({"mask": masks_dir} if masks_dir is not None else {})
    for what, folder in folders.items():
        _check_folder(problems, what, folder, wanted=listing.names, known=listing.known_names)

    steps = _Steps(progress, len(listing.entries) * len(folders))
    drafts: list[CheckedCase] = []
    for entry in listing.entries:
        draft = _check_headers(problems, entry, images_dir, masks_dir)
        if draft is not None:
            drafts.append(draft)
        steps.one()
    warnings: list[str] = []
    cases: list[CheckedCase] = []
    given = {entry.name: entry for entry in listing.entries}
    for draft in drafts:
        if draft.mask is None:
            cases.append(draft)
            continue
        cases.append(_check_voxels(problems, warnings, draft, given[draft.name]))
        steps.one()
    if problems:
        raise CaseSetProblems(problems)
    return CheckedCaseSet(split, tuple(cases), tuple(warnings))


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


def _collect(problems: dict[str, list[str]], found: EntryProblems) -> None:
    for name, sentences in found.items():
        problems[name] += sentences


def _check_folder(
    problems: dict[str, list[str]], what: str, folder: Path, *, wanted: Iterable[str], known: Iterable[str]
) -> None:
    """Each wanted file is there, and no stray. Files of the JSON's other splits are no strays."""
    if not folder.is_dir():
        problems[WHOLE_SET].append(f"the {what}s folder {folder} does not exist")
        return
    present = {path.name for path in folder.iterdir()}
    for name in sorted(set(wanted)):
        if name not in present:
            problems[name].append(f"has no {what} file in {folder}")
        elif not (folder / name).is_file():
            problems[name].append(f"its {what} in {folder} is not a regular file")
    for name in sorted(present - set(known)):
        problems[WHOLE_SET].append(f"the {what}s folder holds {name!r}, which belongs to no case of the dataset")


def _check_headers(
    problems: dict[str, list[str]], entry: Entry, images_dir: Path, masks_dir: Path | None
) -> CheckedCase | None:
    """The case as its headers tell, or None where they are not even readable."""
    volume = images_dir / entry.name
    if not volume.is_file():
        return None
    found: list[str] = []
    geometry = _ct_geometry(found, volume)
    if found:
        problems[entry.name] += found
    if geometry is None:
        return None
    shape, spacing_mm = geometry
    if entry.shape is not None and entry.shape != shape:
        problems[entry.name].append(f"the dataset says shape {entry.shape}, the CT has {shape}")
    mask = masks_dir / entry.name if masks_dir is not None else None
    if mask is not None and not _mask_header_fits(problems, entry, mask, shape):
        return None
    findings = tuple(CheckedFinding(text, category) for text, category in entry.findings)
    return CheckedCase(entry.name, findings, shape, spacing_mm, volume, mask)


def _ct_geometry(problems: list[str], path: Path) -> tuple[tuple[int, int, int], tuple[float, float, float]] | None:
    """Shape and spacing (H, W, D) of a CT, from its header alone."""
    import SimpleITK as sitk  # noqa: N813 - its usual name; not above: every process would load it as it starts

    try:
        header = nifti.read_header(path)
    except nifti.NiftiError as error:
        problems.append(f"its CT {error}")
        return None
    if len(header.dims) != 3:
        problems.append(f"its CT has {len(header.dims)} axes; a CT has 3")
        return None
    if not nifti.is_finite(header):
        problems.append("its CT has an affine, spacing or scaling that is not finite")
        return None
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("NiftiImageIO")
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        problems.append(f"its CT cannot be read by SimpleITK: {_last_line(error)}")
        return None
    h, w, d = header.dims
    sh, sw, sd = (float(step) for step in reader.GetSpacing())
    low, high = SPACING_MM
    if not all(low <= step <= high for step in (sh, sw, sd)):
        problems.append(f"its CT has a spacing of {sh:g} x {sw:g} x {sd:g} mm; each must lie in {low:g} to {high:g} mm")
    return (h, w, d), (sh, sw, sd)


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _mask_header_fits(problems: dict[str, list[str]], entry: Entry, mask: Path, shape: tuple[int, int, int]) -> bool:
    if not mask.is_file():
        return False
    try:
        found = nifti.read_header(mask).dims
    except nifti.NiftiError as error:
        problems[entry.name].append(f"its mask {error}")
        return False
    wanted = (len(entry.findings), *shape)
    if found != wanted:
        problems[entry.name].append(
            f"its mask has shape {found}; {wanted} is needed: the number of findings, then the CT's axes"
        )
    return found == wanted


def _check_voxels(problems: dict[str, list[str]], warnings: list[str], case: CheckedCase, entry: Entry) -> CheckedCase:
    """The case with its entities counted; what the dataset says about them must be what the mask holds."""
    assert case.mask is not None
    try:
        summary = evaluation.inspect_mask(case.mask)
    except evaluation.EvaluationError as error:
        problems[case.name].append(f"its mask is unusable: {error}")
        return case
    findings = []
    for channel, finding in enumerate(case.findings):
        entities = summary.entities[channel]
        count, voxels = len(entities), sum(entities.values())
        findings.append(replace(finding, entity_count=count, voxels=voxels))
        if not count:
            warnings.append(f"{case.name}: finding {channel} has no voxel in its mask")
        for field, stated, held in (
            ("entity_counts", entry.entity_counts.get(channel), count),
            ("pixels", entry.pixels.get(channel), voxels),
        ):
            if stated is not None and stated != held:
                problems[case.name].append(f"{field} of finding {channel} is {stated}; the mask holds {held}")
    return replace(case, findings=tuple(findings))
