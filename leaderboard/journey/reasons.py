"""Why a case or a run was lost, in the server's own words.

The list is closed: whatever a container printed, a team reads one of these. The guidelines page renders the same table.
"""

from typing import NamedTuple


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
    "out_of_memory": Explanation(
        "Your program was stopped, most likely because it ran out of memory",
        "The case in progress counts with Dice 0. The run goes on with the next case in a new container.",
        "Load one volume at a time, crop before you resample, and free what you no longer need.",
    ),
    "timed_out": Explanation(
        "A case took longer than the limit",
        "This case counts with Dice 0. The run goes on with the next case in a new container.",
        "Time your image on the largest volumes. A case's clock starts when the mask before it appears.",
    ),
    "startup_timed_out": Explanation(
        "The first case was not finished within the start-up allowance",
        "This case counts with Dice 0. The next case is tried in a new container.",
        "Load the model once and faster: put the weights into the image, and leave out downloads and compilation.",
    ),
    "output_full": Explanation(
        "Your program filled the space for masks",
        "The case in progress counts with Dice 0. The run goes on with the next case in a new container.",
        "Write masks as gzipped uint8, and nothing else, to /output. Use /tmp for everything temporary.",
    ),
    "not_a_regular_file": Explanation(
        "What your program wrote is not a plain file",
        "This case counts with Dice 0.",
        "Write the mask itself under the case's name: links, folders and pipes are not followed.",
    ),
    "could_not_start": Explanation(
        "Your image could not be started",
        "This case counts with Dice 0.",
        "Check the ENTRYPOINT: the file must exist, be executable by any user, and be built for linux/amd64. "
        "The WORKDIR must exist, and /input, /output and /tmp must not be files.",
    ),
    "missing": Explanation(
        "Your program ended without an error but wrote no mask for a case",
        "This case counts with Dice 0.",
        "Write one file for each entry of cases.json, under exactly its name, also when you find nothing.",
    ),
    "invalid": Explanation(
        "A mask could not be used",
        "This case counts with Dice 0.",
        "Write NIfTI with shape (F, H, W, D) and whole numbers from 0 to 255; see the mask format above.",
    ),
    "failures_in_row": Explanation(
        "Too many cases in a row failed",
        "The run ended, without a place on the leaderboard. It counts against your runs.",
        "Run the image on the public cases with the same limits until no case fails, then submit again.",
    ),
}

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
