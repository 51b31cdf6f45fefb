"""Entries of different teams that are equal, found for organisers, and shown to nobody else.

    layers                           which layers of an image are its own
    masks                            in how many cases two runs have equal masks
    finding                          each submission, and each run, compared once with those of other teams
    looking                          what was found, and what organisers noted about it

The sweeper compares, apart from everything that teams wait for: nothing that they see depends on it, nor when. Of four
things, the strongest first, a weaker one tells nothing new where a stronger one holds between two entries, and is not
said:

* the same upload, by its digest;
* the same image, by the digest of its configuration, as uploaded or as rebuilt;
* the same layers above a common base. A base is how two images begin alike before each goes on with layers of its own:
  such a beginning counts for nothing, however many share it. What counts is a layer with files that two images have
  above different beginnings, and an image all of whose layers another one begins with;
* equal masks: the same voxels in at least a tenth of the cases in which both runs have a mask that is not empty, and in
  no fewer than two (where there are so many). How the files were saved does not matter, nor who wrote them: a
  container, or the team that handed them in.

The same weights apart from the image, by the digest of the rebuilt archive, are told beside all of these: teams may
have them from one public place, and what else two of them share matters all the more then.

A comparison asks the database for equal digests through indexes, and for no more than some of a kind; what many teams
share is one row that each of them joins. So it costs the same however many entries there are.
"""

from leaderboard.operations.equal_entries.finding import compare_run, compare_submission, runs, submissions
from leaderboard.operations.equal_entries.looking import FEW, MAX_NOTE_CHARACTERS, entries_of, equalities, look_at

__all__ = [
    "FEW",
    "MAX_NOTE_CHARACTERS",
    "compare_run",
    "compare_submission",
    "entries_of",
    "equalities",
    "look_at",
    "runs",
    "submissions",
]
