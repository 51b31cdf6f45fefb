"""The submission guidelines: the container contract, rendered from the very values that the server enforces."""

from collections.abc import Callable, Sequence

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from containers.protocol import contract
from leaderboard.challenge import phases
from leaderboard.core import markdown
from leaderboard.core.text import instant
from leaderboard.journey import reasons
from leaderboard.models import Phase
from leaderboard.progress import estimate_errors
from leaderboard.progress.stages import KINDS
from leaderboard.states import RunState, Stage, SubmissionState
from leaderboard.submissions import admission, drafts
from leaderboard.submissions.quota import refused_per_day
from leaderboard.templatetags.show import count, gibibytes, gigabytes, number, thousands
from leaderboard.web.context import frame_of, instant_of

CONTRACT = {
    "PLATFORM": contract.PLATFORM,
    "EXIT_SECONDS": contract.EXIT_SECONDS,
    "SCRATCH_DIR": contract.SCRATCH_DIR,
    "HOME_DIR": contract.HOME_DIR,
    "THREAD_VARIABLES": contract.THREAD_VARIABLES,
}
ENVIRONMENT = [(name, value, False) for name, value in contract.ENVIRONMENT.items()] + [
    (name, value, True) for name, value in contract.DEFAULT_ENVIRONMENT.items()
]
"""Name, value, and whether an image's own value goes before."""
HAND_IN = {
    "upload_hours": settings.UPLOAD_KEEP_SECONDS // 3600,
    "drafts": drafts.MOST_OF_A_TEAM,
    "draft_days": drafts.FORGOTTEN_AFTER.days,
    "pdf_bytes": admission.MAX_PDF_BYTES,
    "method_characters": (admission.MIN_METHOD_CHARACTERS, admission.MAX_METHOD_CHARACTERS),
    "formula_characters": markdown.MAX_FORMULA_CHARACTERS,
}
MEASURED = {
    "start": estimate_errors.START,
    "finish": estimate_errors.FINISH,
    "start_hidden": estimate_errors.START_HIDDEN,
    "finish_hidden": estimate_errors.FINISH_HIDDEN,
    "came_true": (
        min(one.came_true for one in estimate_errors.ALL.values()),
        max(one.came_true for one in estimate_errors.ALL.values()),
    ),
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
    SubmissionState.REJECTED: (
        "The image, or its weights, cannot be used. The run’s page says why; the run is given back to the team."
    ),
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

LIMITS: Sequence[tuple[str, Callable[[Phase], str]]] = (
    ("Runs per team", lambda phase: f"{phase.runs_per_day} a day (UTC), {phase.runs_total} in all"),
    (
        "Uploads that come to nothing",
        lambda phase: f"{refused_per_day(phase)} a day (UTC): rejected, or cancelled before their first container",
    ),
    ("Which teams take part", lambda phase: _taking_part(phase)),
    ("What is handed in", lambda phase: phase.get_takes_display()),
    ("Try-outs", lambda phase: _try_outs(phase)),
    ("A passed try-out before a run", lambda phase: _required(phase)),
    ("After the deadline", lambda phase: _after(phase)),
    ("Which run counts", lambda phase: phase.get_counting_display()),
    ("What the public sees", lambda phase: _seen_by_public(phase)),
    ("What the team sees", lambda phase: _seen_by_team(phase)),
    ("Names on boards", lambda phase: _names(phase)),
    ("Time for a case", lambda phase: f"{phase.case_seconds} s"),
    ("More for the first case of a container", lambda phase: f"{phase.startup_seconds} s"),
    ("Cases per container", lambda phase: f"up to {phase.batch_size}"),
    ("Failing cases in a row", lambda phase: f"{phase.max_failures_in_row} end the run"),
    ("Processor", lambda phase: _processor(phase)),
    ("Memory", lambda phase: gibibytes(phase.memory_bytes)),
    ("Shared memory", lambda phase: gibibytes(phase.shm_bytes)),
    (f"Space in {contract.SCRATCH_DIR}", lambda phase: gibibytes(phase.tmp_bytes)),
    (f"Space in {contract.OUTPUT_DIR}", lambda phase: f"{gibibytes(phase.output_bytes)} for the masks of a container"),
    ("Processes and threads", lambda phase: thousands(phase.pids)),
    ("Open-source commitment", lambda phase: phase.get_commitment_display()),
    ("PDF of the method", lambda phase: phase.get_pdf_display()),
    ("Who submitted a run", lambda phase: "named on the board" if phase.show_submitters else "not shown"),
    ("Image archive, archive of weights: each", lambda phase: gigabytes(phase.max_archive_bytes)),
    ("Image, weights, unpacked: each", lambda phase: gigabytes(phase.max_unpacked_bytes)),
    ("Masks, packed and unpacked", lambda phase: gigabytes(phase.max_masks_bytes) if phase.takes_masks else "–"),
)
"""A limit in words, and what it is in a phase."""


def limits_that_differ(before: Phase, after: Phase) -> list[tuple[str, str, str]]:
    """The lines of the guidelines that would say something else: what about, and what they say now and after."""
    found = [(words, told(before), told(after)) for words, told in LIMITS]
    return [line for line in found if line[1] != line[2]]


def _taking_part(phase: Phase) -> str:
    if phase.requires_approval:
        return "those that the organisers approved: ask on your team’s page"
    return "all"


def _try_outs(phase: Phase) -> str:
    if not phases.offers_try_outs(phase) or phase.try_outs_on is None:
        return "none"
    a_day = f"{count(phase.try_outs_per_day, 'try-out')} a day (UTC)"
    return f"{a_day}, each on {count(phase.try_out_cases, 'public case')} of the {phase.try_outs_on.name}"


def _required(phase: Phase) -> str:
    since = phase.try_out_required_from
    if since is None or not phases.offers_try_outs(phase):
        return "not required"
    return f"required from {instant(since)} to {instant(phase.try_out_required_until)}, then not any more"


def _after(phase: Phase) -> str:
    opens, closes = phase.post_challenge_opens_at, phase.post_challenge_closes_at
    if opens is None or phase.archived_at:
        return "nothing is taken"
    most = f"{phase.post_challenge_per_day} a day (UTC), {phase.post_challenge_total} in all"
    until = f" to {instant(closes)}" if closes else ""
    return f"post-challenge runs from {instant(max(opens, phase.closes_at))}{until}: {most}"


def _processor(phase: Phase) -> str:
    cpus = f"{number(phase.cpus)} {'CPU' if phase.cpus == 1 else 'CPUs'}"
    return f"{cpus}, {count(phase.gpus, 'GPU') if phase.gpus else 'no GPU'}"


def _seen_by_public(phase: Phase) -> str:
    until = f"; no results before {instant(phase.embargo_until)}" if phase.embargo_until else ""
    if phase.publication != Phase.Publication.EVERYTHING or phase.cases_are_public:
        return f"{phase.get_publication_display()}{until}"
    return f"live standings on all cases; exact scores and small groups at the reveal{until}"


def _seen_by_team(phase: Phase) -> str:
    if phase.cases_are_public:
        return "every case, its score, and the log"
    until = f", no scores before {instant(phase.embargo_until)}" if phase.embargo_until else ""
    return f"progress in steps of 5 % or more, and how a failed run failed, as of the last full minute; no logs{until}"


def _names(phase: Phase) -> str:
    if phase.anonymous_until_reveal:
        return "“Team” and a number drawn at random until the reveal, then the teams’ names"
    return "the teams’ names"


@require_safe
def guidelines(request: HttpRequest) -> HttpResponse:
    """The container contract, rendered from the values that the server enforces."""
    now = instant_of(request)
    known = list(frame_of(request).phases.select_related("try_outs_on"))
    shown = [phase for phase in known if phase.closes_at > now or phases.takes_post_challenge(phase, now)] or known[-1:]
    context = {
        "phases": shown,
        "limits": [(words, [(phase.name, of(phase)) for phase in shown]) for words, of in LIMITS],
        "notice_days": phases.NOTICE.days,
        "free_hours": phases.FREE_HOURS,
        "contract": CONTRACT,
        "environment": ENVIRONMENT,
        "paths": {
            "output": contract.OUTPUT_DIR,
            "cases": f"{contract.INPUT_DIR}/{contract.CASES_FILE}",
            "images": f"{contract.INPUT_DIR}/{contract.IMAGES_DIR}",
            "model": contract.MODEL_DIR,
        },
        "sample": SAMPLE,
        "site_url": settings.SITE_URL,
        "mask_phases": [phase for phase in shown if phase.takes_masks],
        "failures": reasons.FAILURES,
        "hand_in": HAND_IN,
        "measured": MEASURED,
        "kinds": reasons.KINDS,
        "interrupted": reasons.INTERRUPTED,
        "state_lines": [(KINDS[state], str(state.label), means) for state, means in STATES.items()],
    }
    return render(request, "guidelines.html", context)
