"""A metric changed for trial, mended case sets, and all that a server tells of a phase, to be compared."""

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from django.core.serializers import serialize

import evaluation
from leaderboard.board.reading import read_board
from leaderboard.core import blobs, clock
from leaderboard.journey import handed_in, pipeline
from leaderboard.models import (
    BoardVersion,
    CaseSet,
    Finding,
    Phase,
    RescoredRun,
    Rescoring,
    Run,
    RunCase,
    RunScores,
    Standing,
    Submission,
)
from leaderboard.rescoring import decisions, work
from leaderboard.scores import scoring
from tests.leaderboard import cast, gpu_host, masks

NONE: Mapping[str, Any] = {}
CASES = 4
BY = cast.OPERATOR
Measure = Callable[..., Iterator[evaluation.Assessment]]


@contextmanager
def deployed(version: str, dice: Callable[[float], float] = lambda dice: 1.0 - dice) -> Iterator[None]:
    """A server whose metrics are of this version: masks are measured as ever, then the Dice is another one."""
    with pytest.MonkeyPatch.context() as patch:
        real: Measure = evaluation.assess_isolated

        def measured(*arguments: Any, **options: Any) -> Iterator[evaluation.Assessment]:
            for found in real(*arguments, **options):
                yield _otherwise(found, dice)

        patch.setattr(evaluation, "VERSION", version)
        patch.setattr(evaluation, "assess_isolated", measured)
        yield


def _otherwise(found: evaluation.Assessment, dice: Callable[[float], float]) -> evaluation.Assessment:
    if found.result["status"] != evaluation.CaseStatus.SCORED:
        return found
    findings: Any = [{**one, "dice": dice(one["dice"])} for one in found.result["findings"]]
    mean = sum(one["dice"] for one in findings) / len(findings)
    return replace(found, result={**found.result, "dice": mean, "findings": findings})


def mended(
    cases: CaseSet, name: str, *, references: Mapping[str, np.ndarray] = NONE, categories: Mapping[str, str] = NONE
) -> CaseSet:
    """The same cases with these references and categories, by name, as an import with --mends makes them."""
    first = cases.first
    made = CaseSet.objects.create(
        name=name,
        digest=f"sha256:{name}",
        mends=first,
        revision=1 + max(CaseSet.objects.filter(first.family).values_list("revision", flat=True)),
        half_commitment=first.half_commitment,
    )
    for case in cases.cases.prefetch_related("findings"):
        findings = list(case.findings.all())
        case.pk, case.case_set = None, made
        if case.name in references:
            content = masks.nifti(references[case.name])
            case.reference = blobs.references.put(io.BytesIO(content)).digest
        case.save(force_insert=True)
        for one in findings:
            category = categories.get(case.name, one.category)
            Finding.objects.create(
                case=case, channel=one.channel, text=one.text, category=category, entity_count=1, voxels=one.voxels
            )
    return made


def phase_of(**fields: Any) -> Phase:
    """A phase whose references are cubes from 4 on."""
    made = cast.phase(cast.case_set(CASES), runs_per_day=9, **fields)
    masks.give_references(masks.cube(4))
    return made


def phase_of_both() -> Phase:
    """On public cases, where images and masks are ranked together."""
    return phase_of(cases_are_public=True, takes="both")


def started(phase: Phase, **fields: Any) -> Rescoring:
    """A re-scoring of which nothing is done yet."""
    return decisions.start(phase, reason="an entity was counted twice", by=BY, **fields)


def deploy_and_rescore(phase: Phase) -> Rescoring:
    """One that is to be decided."""
    rescoring = started(phase)
    work_on()
    return rescoring


def scored(phase: Phase, name: str, start: int, *, lost: int = 0, **fields: Any) -> Run:
    """A run whose masks are cubes from `start` on (the reference begins at 4), of so many cases none."""
    content, cases = masks.nifti(masks.cube(start)), list(phase.case_set.cases.values_list("name", flat=True))
    uploaded = masks.zipped({cases[0]: content}) if fields.get("entry") == "masks" else b"an archive"
    submission = cast.submit(cast.team_of(cast.person(name)), phase, upload=cast.upload(uploaded), **fields)
    Submission.objects.filter(pk=submission.pk).update(state="accepted")
    run = handed_in.score_masks(submission, dict.fromkeys(cases, blobs.outputs.put(io.BytesIO(content))), by="server")
    for row in run.cases.filter(case__name__in=cases[:lost]).prefetch_related("case__findings"):
        result = scoring.lost(row, evaluation.CaseStatus.FAILED, "it crashed")
        RunCase.objects.filter(pk=row.pk).update(outcome="failed", output="", reason_code="crashed", result=result)
    pipeline.score_batch(run.batches.get().pk)
    run.refresh_from_db()
    assert run.state == "scored"
    return run


def finish(submission: Submission, start: int, host: Any) -> Run:
    """Carry a run that goes to a host to its end."""
    pipeline.fill_slots()
    run = submission.runs.latest("number")
    gpu_host.finish_run(host, run, masks.nifti(masks.cube(start)))
    assert run.state == "scored"
    return run


def work_on() -> None:
    """What scoring workers do, until nothing is left to do."""
    while work.work_next(processes=1):
        pass
    assert not work.waiting(clock.now()).exists()


def told(phase: Phase) -> dict[str, Any]:
    """All that is told of the runs of a phase, to the bit: results, standings, arrays by their version, boards."""
    runs = Run.objects.filter(submission__phase=phase)
    arrays = RunScores.objects.filter(run__in=runs, evaluation_version__in=runs.values("evaluation_version"))
    return {
        "cases": serialize("json", RunCase.objects.filter(run__in=runs).order_by("pk")),
        "standings": serialize("json", Standing.objects.filter(run__in=runs).order_by("pk")),
        "runs": list(runs.order_by("pk").values("pk", "state", "evaluation_version", "ended_at")),
        "arrays": serialize("json", arrays.order_by("run")),
        "boards": {track: board(phase, track) for track in Submission.Track.values},
        "versions": serialize("json", BoardVersion.objects.filter(phase=phase).order_by("pk")),
    }


def board(phase: Phase, track: str = "main") -> list[tuple[str, str, int | None, float]]:
    """What the board shows of each of its lists: the team, its list, its rank, its Dice."""
    phase.refresh_from_db()
    shown = read_board(phase, track, clock.now())
    return [(row.team.name, row.listed, row.rank, round(row.dice, 4)) for row in shown.everything]


def pending() -> int:
    """Runs that are taken in and not scored anew."""
    return RescoredRun.objects.filter(scored_at=None).count()
