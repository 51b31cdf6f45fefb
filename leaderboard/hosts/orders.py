"""What a GPU host is told: digests, limits and opaque names, never a path, a person, a team, or a reference.

What it answers is read by containers.parse_report, like any other input.
"""

from typing import Any

from django.conf import settings

from leaderboard.models import AlgorithmImage, Batch, RunCase, Submission


def order(batch: Batch) -> dict[str, Any]:
    """The order for a batch's undecided cases, in the form that containers/protocol/orders.py reads."""
    phase = batch.run.submission.phase
    # A run exists only for an accepted image.
    image = AlgorithmImage.objects.defer("config").get(submissions=batch.run.submission_id)
    cases = batch.cases.filter(outcome="").defer("result").select_related("case").prefetch_related("case__findings")
    weights = batch.run.submission.weights
    return {
        "batch": str(batch.pk),
        "fence": batch.fence,
        "run": batch.run.token,
        "lease_seconds": settings.LEASE_SECONDS,
        "image": {"blob": image.archive, "size": image.archive_bytes, "id": image.image_id},
        # Left out where there are none: a host of before refuses what it does not know, and is given no such batch.
        **({"weights": {"blob": weights.archive, "size": weights.archive_bytes}} if weights else {}),
        "limits": limits(batch.run.submission),
        "gpus": phase.gpus,
        "cases": [
            {
                "name": run_case.file_name,
                "blob": run_case.case.volume,
                "size": run_case.case.volume_bytes,
                "entry": _entry(run_case, show_categories=phase.show_categories),
            }
            for run_case in cases
        ],
    }


def limits(submission: Submission) -> dict[str, Any]:
    """What a container may use, in the units that its name says: no less than when the submission was accepted."""
    whole = ("memory_bytes", "shm_bytes", "tmp_bytes", "output_bytes", "pids", "log_bytes")
    parts = ("case_seconds", "startup_seconds", "cpus")
    return {name: submission.limit(name) for name in whole} | {name: float(submission.limit(name)) for name in parts}


def _entry(run_case: RunCase, *, show_categories: bool) -> dict[str, Any]:
    findings = list(run_case.case.findings.all())
    entry: dict[str, Any] = {
        "name": run_case.file_name,
        "findings": {str(finding.channel): finding.text for finding in findings},
        "shape": run_case.case.shape,
        "spacing": run_case.case.spacing_mm,
    }
    if show_categories:
        entry["categories"] = {str(finding.channel): finding.category for finding in findings if finding.category}
    return entry
