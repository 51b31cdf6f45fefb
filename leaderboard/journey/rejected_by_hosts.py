"""An image that passed the check, and that a host says it can't use: is it the image, or is it the host?"""

from containers.protocol.reports import Report
from containers.protocol.verdicts import REJECTIONS
from leaderboard.core import clock
from leaderboard.hosts import gpus
from leaderboard.journey import lifecycle
from leaderboard.journey.locking import drop_batches
from leaderboard.models import Host, Run, RunCase
from leaderboard.states import RunState, SubmissionState

#: The fault of ours that it is when a host can't use an image that another one can.
FAULT_OF_ONE_HOST = {"not_unpackable": "image_unavailable", "unmet_requirement": "no_gpu_runtime"}


def runs_nowhere(run: Run, host: Host, code: str) -> bool:
    """Whether what a host says of an image holds for all."""
    if code == "unmet_requirement" and gpus.another_is_newer(host, clock.now()):
        return False
    return not _has_run_anywhere(run)


def _has_run_anywhere(run: Run) -> bool:
    """Whether a container of the run's image ever came to an end: then it is the host that cannot unpack it."""
    same_image = RunCase.objects.filter(run__submission__image=run.submission.image_id)
    return same_image.exclude(outcome="").exists()


def reject_after_all(run: Run, host: Host, answer: Report) -> None:
    """The first host that saw the image cannot use it: as if the check of the image had found it."""
    code = answer.rejected or ""
    why = gpus.unmet_need(host, answer.log) if code == "unmet_requirement" else REJECTIONS[code]
    drop_batches(run)
    lifecycle.move(run, RunState.CANCELLED, why=code, ended_at=clock.now())
    lifecycle.move(
        run.submission,
        SubmissionState.REJECTED,
        allowed_from={SubmissionState.ACCEPTED},
        why=code,
        reason_code=code,
        reason=why,
        charged=False,
    )
