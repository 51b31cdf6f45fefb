"""Re-scoring: all runs of a phase scored anew from their kept masks, looked at, then applied as a whole or discarded.

    plan            what has to be measured: by other metrics every mask, on mended references those that these concern
    work            masks are measured in the background, below live runs; results are kept beside its numbers
    applying        the new numbers become those of the runs
    preview         whose numbers and ranks change, by how much
    decisions       what organisers decide: to start, apply or discard; the record says so
    progress        how far it is, and what the board says of it

A phase is ranked by one evaluation version (`Phase.ranked_version`): that of the metrics, and which revision of the
references. It says so with its first scored run, and only a re-scoring that is applied changes it. A server whose
metrics are newer scores runs by the newer ones; they have their numbers, and are ranked once the others are scored by
these, too. Nothing is ever ranked across versions.

Runs are taken in as they are scored, also once it is applied: one that had begun before on what was mended since ends
with numbers by the old references, is scored anew by itself, and takes them over at a full minute, as runs end.

May import `board` and below. Nothing here changes what anybody reads, but `applying`.
"""
