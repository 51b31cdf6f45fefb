"""What a case set is, as lists: dataset.json as the challenge distributes it, and SHA256SUMS of all its files.

Both are made from the rows: the same bytes for as long as the case set is, which never changes once it was imported.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from leaderboard.models import Case, CaseSet

DATASET = "dataset.json"
SUMS = "SHA256SUMS"


def dataset_json(case_set: CaseSet) -> bytes:
    """The entries of all cases, under the case set's name as their split."""
    entries = [_entry(case) for case in case_set.cases.prefetch_related("findings")]
    return json.dumps({case_set.name: entries}, indent=1, ensure_ascii=False).encode() + b"\n"


def sha256sums(case_set: CaseSet) -> bytes:
    """A line for each file, as sha256sum reads them: `sha256sum --check SHA256SUMS` in the folder of the files."""
    return "".join(f"{digest}  {path}\n" for digest, path in _sums(case_set)).encode()


def _sums(case_set: CaseSet) -> Iterator[tuple[str, str]]:
    yield hashlib.sha256(dataset_json(case_set)).hexdigest(), DATASET
    for case in case_set.cases.only("name", "volume", "reference", "case_set"):
        yield case.reference.partition(":")[2], f"masks/{case.name}"
        yield case.volume.partition(":")[2], f"images/{case.name}"


def _entry(case: Case) -> dict[str, Any]:
    findings = list(case.findings.all())

    def by_channel(field: str) -> dict[str, Any]:
        return {str(finding.channel): getattr(finding, field) for finding in findings}

    return {
        "name": case.name,
        "findings": by_channel("text"),
        "categories": {channel: code for channel, code in by_channel("category").items() if code},
        "entity_counts": by_channel("entity_count"),
        "pixels": by_channel("voxels"),
        "shape": case.shape,
        "spacing": case.spacing_mm,
    }
