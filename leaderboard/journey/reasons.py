"""Why a case or a run was lost, in the server's own words.

The lists are closed: whatever a container printed, a team reads one of these. The guidelines page renders them.
"""

from typing import NamedTuple

from containers.protocol.verdicts import FAULTS as HOST_FAULTS
from leaderboard.journey.failure_kinds import AFTER_A_MASK, DIFFERENT, FailureKind


class Explanation(NamedTuple):
    """What happened, what it costs, what to do."""

    title: str
    means: str
    advice: str


FAILURES: dict[str, Explanation] = {
    "crashed": Explanation(
        "Your program ended with an error",
        "The case in progress counts with Dice 0. The run goes on with the next case in a new container.",
        "Catch what can go wrong with one case, and write an empty mask for a finding that you cannot place.",
    ),
    "killed": Explanation(
        "Your program was killed (signal 9)",
        "The case in progress counts with Dice 0. The run goes on with the next case in a new container.",
        "Most often a process is killed because memory ran out; a program may also do it to itself. Watch its memory "
        "on the largest volumes, and look for what ends processes with signal 9.",
    ),
    "out_of_memory": Explanation(
        "Your program ran out of memory",
        "The case in progress counts with Dice 0. The run goes on with the next case in a new container.",
        "Load one volume at a time, crop before you resample, and free what you no longer need. Files in /dev/shm and "
        "those of worker processes count as well.",
    ),
    "timed_out": Explanation(
        "A case took longer than the limit",
        "This case counts with Dice 0. The run goes on with the next case in a new container.",
        "Time your image on the largest volumes. A case's clock starts when the mask before it appears.",
    ),
    "startup_timed_out": Explanation(
        "The first case of a container was not finished within the start-up allowance",
        "This case counts with Dice 0. The next case is tried in a new container.",
        "Load the model once and faster, from the image or from weights apart from it, and leave out downloads and "
        "compilation.",
    ),
    "exit_timed_out": Explanation(
        "Your program did not exit after its last mask",
        "It was ended. Masks that are there count; one that was taken away again does not.",
        "Exit when the last mask is written: end threads and worker processes, and wait for nothing.",
    ),
    "output_full": Explanation(
        "Your program filled the space for masks",
        "The case in progress counts with Dice 0. The run goes on with the next case in a new container.",
        "Write masks as gzipped uint8, and nothing else, to /output. Use /tmp for everything temporary.",
    ),
    "file_too_large": Explanation(
        "A file of your program grew past the largest size that one file may have (SIGXFSZ)",
        "The case in progress counts with Dice 0. The run goes on with the next case in a new container.",
        "No file may be larger than the largest of the spaces for /output, /tmp and /dev/shm. Find what grows: a "
        "cache, a log, an array on disk, or volumes unpacked to /tmp.",
    ),
    "not_a_regular_file": Explanation(
        "What your program wrote is not a plain file",
        "This case counts with Dice 0.",
        "Write the mask itself under the case's name: links, folders and pipes are not followed.",
    ),
    "could_not_start": Explanation(
        "Your program could not be started",
        "This case counts with Dice 0.",
        "Check the ENTRYPOINT and what its script starts: the file must exist, be executable by any user, and be built "
        "for linux/amd64; a script's first line must name a program that is there, and end as Unix lines do. The "
        "WORKDIR must exist, and /input, /output and /tmp must not be files.",
    ),
    "missing": Explanation(
        "Your program ended without an error but wrote no mask for a case",
        "This case counts with Dice 0.",
        "Write one file for each entry of cases.json, under exactly its name, also when you find nothing.",
    ),
    "invalid": Explanation(
        "A mask could not be used",
        "This case counts with Dice 0.",
        "Write NIfTI with shape (F, H, W, D) and whole numbers from 0 to 255.",
    ),
}


class KindOfFailure(NamedTuple):
    """How all tried cases of a run failed, what to do, and where the guidelines say more (the id of a section)."""

    said: str
    advice: str
    section: str


KINDS: dict[FailureKind, KindOfFailure] = {
    FailureKind.NOT_STARTED: KindOfFailure(
        "Your program could not be started", FAILURES["could_not_start"].advice, "failure-could_not_start"
    ),
    FailureKind.ENDED_AT_ONCE: KindOfFailure(
        "Your program ended within a second of its start",
        "It did not come as far as a case: look at what it does first. Start the image once without a network, as "
        "another user than its own and with a read-only file system; most often something cannot be imported, read or "
        "written then.",
        "h-how",
    ),
    FailureKind.ENDED_LATER: KindOfFailure(
        "Your program ended before it had written a mask that counts",
        "Run it on one public case with the same limits, without a network and with a read-only file system, and read "
        "what it prints at its end. A run's first case must also end with exit code 0.",
        "failure-crashed",
    ),
    FailureKind.MEMORY: KindOfFailure(
        "Your program ran out of memory, or was killed (signal 9), which most often means the same",
        FAILURES["out_of_memory"].advice,
        "failure-out_of_memory",
    ),
    FailureKind.TIME: KindOfFailure(
        "Your program did not finish a case in time",
        f"{FAILURES['startup_timed_out'].advice} {FAILURES['timed_out'].advice}",
        "failure-startup_timed_out",
    ),
    FailureKind.WRONG_NAME: KindOfFailure(
        "Your program ended without an error but wrote no mask under a case's name",
        f"{FAILURES['missing'].advice} The mask itself must lie in /output, not in a folder, nor behind a link.",
        "failure-missing",
    ),
    FailureKind.WRONG_SHAPE: KindOfFailure(
        "Your masks could not be read, or do not have the shape of their cases",
        "Write gzipped NIfTI of shape (F, H, W, D), findings first, and check it with the official evaluation on "
        "public cases: it says which axis is wrong.",
        "h-out",
    ),
    FailureKind.WRONG_VALUES: KindOfFailure(
        "Your masks hold values that are not whole numbers from 0 to 255",
        "Threshold probabilities before you save them, and save uint8 without scaling.",
        "h-out",
    ),
}
DIFFERENT_ERRORS = KindOfFailure(
    "No case has a mask that could be scored; different errors",
    "Run the image on public cases with the same limits until no case fails: the public phases show each case with its "
    "reason and the log.",
    "h-fail",
)
FAILED_LATER = KindOfFailure(
    "Too many cases in a row failed",
    "Masks that were written before do not help any more. Run the image on the public cases with the same limits "
    "until no case fails, the largest and the smallest volumes first.",
    "h-fail",
)


_OF_RUNS = {**{str(kind): why for kind, why in KINDS.items()}, DIFFERENT: DIFFERENT_ERRORS, AFTER_A_MASK: FAILED_LATER}


def of_failed_run(kind: str) -> KindOfFailure:
    """Why a run failed in this way, as its team may read it also on hidden cases: no count, no time, one kind or none.

    A kind of another version is told as different errors.
    """
    return _OF_RUNS.get(kind, DIFFERENT_ERRORS)


# Why something happened, as history tells it: what is ours.
FAULTS: dict[str, str] = {
    "host_lost": "the machine went silent",
    "host_stopped": "organisers stopped the machine",
    "scoring": "the scoring broke down",
    # "The host's disk is full." within a line: "the host's disk is full"
    **{code: says[0].lower() + says[1:].rstrip(".") for code, says in HOST_FAULTS.items()},
}
# The same for images and weights that cannot be used, by the codes of the check.
REJECTIONS: dict[str, str] = {
    "ambiguous": "the archive can be read in two ways",
    "bad_config": "the image's configuration cannot be used",
    "bad_json": "a JSON file of the archive cannot be read",
    "compression": "a compression that cannot be read",
    "damaged": "the archive is damaged",
    "duplicate_key": "a JSON file names a key twice",
    "inflates_too_far": "it unpacks to far more than it should",
    "missing_part": "a part of the image is missing",
    "no_entrypoint": "it has no ENTRYPOINT",
    "no_image": "there is no image in the archive",
    "no_layers": "the image has no layers",
    "not_an_archive": "the file is not an archive of an image",
    "not_unpackable": "the engine cannot unpack it",
    "reserved_path": "it occupies a path that the contract needs",
    "several_images": "the archive holds several images",
    "sparse_file": "it holds a sparse file",
    "too_large": "it is too large",
    "too_many_entries": "it has too many files",
    "too_many_layers": "it has too many layers",
    "truncated": "the archive is cut off",
    "unknown_key": "it has an unknown key",
    "unmet_requirement": "it needs a newer GPU driver",
    "unsafe_file": "it holds a file that is not safe",
    "unsafe_member": "the archive holds something that is not safe",
    "unusable_masks": "masks that cannot be used",
    "unusable_entrypoint": "its ENTRYPOINT cannot be used",
    "weights_ambiguous": "the archive of weights names something twice",
    "weights_are_an_image": "an image was sent as the weights",
    "weights_compression": "the weights have a compression that cannot be read",
    "weights_damaged": "the archive of weights is damaged or cut off",
    "weights_empty": "the archive of weights holds no file",
    "weights_inflate_too_far": "the weights unpack to far more than they should",
    "weights_not_an_archive": "the weights are not a tar archive",
    "weights_not_unpackable": "the weights cannot be unpacked",
    "weights_path_reserved": "the image occupies the path of the weights",
    "weights_sparse_file": "the weights hold a sparse file",
    "weights_too_large": "the weights are too large",
    "weights_too_many_entries": "the weights have too many files",
    "weights_unsafe_link": "the weights hold a link that leads nowhere or out of them",
    "weights_unsafe_member": "the archive of weights holds something that is not safe",
    "wrong_digest": "a digest is wrong",
    "wrong_platform": "it is made for another platform",
}


def in_words(why: str) -> str:
    """Why something happened: a code in words, and whatever is no code as it is, but for codes of other versions."""
    known = FAULTS.get(why) or REJECTIONS.get(why)
    if known is not None:
        return known
    return why if " " in why else why.replace("_", " ")


INTERRUPTED = Explanation(
    "We had to interrupt this run",
    "This is our fault. What is finished is kept, the run goes on by itself, and nothing is charged.",
    "You need do nothing.",
)
NEEDS_ORGANISERS = Explanation(
    "We could not go on with this run",
    "This is our fault. What is finished is kept and nothing is charged. The organisers have to look at it.",
    "You need do nothing. If it lasts, write to the organisers.",
)
