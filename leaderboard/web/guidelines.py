"""The submission guidelines: the container contract, rendered from the very values that the server enforces."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from containers.protocol import contract
from leaderboard.journey import reasons
from leaderboard.models import Phase
from leaderboard.progress.stages import KINDS
from leaderboard.states import RunState, Stage, SubmissionState
from leaderboard.web.context import instant_of

CONTRACT = {
    "PLATFORM": contract.PLATFORM,
    "EXIT_SECONDS": contract.EXIT_SECONDS,
    "SCRATCH_DIR": contract.SCRATCH_DIR,
    "HOME_DIR": contract.HOME_DIR,
    "ENVIRONMENT": dict(contract.ENVIRONMENT),
    "DEFAULT_ENVIRONMENT": dict(contract.DEFAULT_ENVIRONMENT),
    "THREAD_VARIABLES": contract.THREAD_VARIABLES,
}
SAMPLE = f"""[
  {{"name": "9f2c41d07ab36e85{contract.SUFFIX}",
   "findings": {{"0": "6x5 mm semisolid nodule in the posterobasal segment of the right lower lobe",
                "1": "Linear atelectasis in the lingular segment of the left upper lobe"}},
   "shape": [512, 512, 238],
   "spacing": [0.71, 0.71, 1.5]}},
  ...
]"""
STATES: dict[Stage, str] = {
    SubmissionState.RECEIVED: "The archive has arrived whole. The check of the image comes next.",
    SubmissionState.VALIDATING: "The archive is read and verified, and the image is rebuilt. Nothing of it runs yet.",
    SubmissionState.REJECTED: "The image cannot be used. The run’s page says why; the run is given back to the team.",
    RunState.QUEUED: "The run waits for a free machine. Teams take turns; within a team the earlier one goes first.",
    RunState.CANARY: "One case runs alone, to show that the image starts, ends and writes a readable mask.",
    RunState.RUNNING: "The other cases run, batch by batch. Finished batches are scored meanwhile.",
    RunState.SCORING: "All cases have run; the last masks are being scored.",
    RunState.SCORED: "Done. The run has its numbers, and takes part in the standings as the phase says.",
    RunState.FAILED: (
        "No case has a mask that could be scored, or too many in a row failed. It has no place on the board, and is "
        "charged."
    ),
    RunState.HALTED: "Something of ours failed. What is finished is kept; the run goes on by itself, not charged.",
    RunState.CANCELLED: "The team or an organiser ended it. It is given back if no container had started.",
}


@require_safe
def guidelines(request: HttpRequest) -> HttpResponse:
    """The container contract, rendered from the values that the server enforces."""
    now = instant_of(request)
    known = list(Phase.objects.all())
    phases = [phase for phase in known if phase.closes_at > now] or known[-1:]
    context = {
        "phases": phases,
        "contract": CONTRACT,
        "paths": {
            "output": contract.OUTPUT_DIR,
            "cases": f"{contract.INPUT_DIR}/{contract.CASES_FILE}",
            "images": f"{contract.INPUT_DIR}/{contract.IMAGES_DIR}",
        },
        "sample": SAMPLE,
        "failures": reasons.FAILURES,
        "kinds": reasons.KINDS,
        "interrupted": reasons.INTERRUPTED,
        "state_lines": [(KINDS[state], str(state.label), means) for state, means in STATES.items()],
    }
    return render(request, "guidelines.html", context)
