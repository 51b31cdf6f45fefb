"""From masks to numbers, by the rules of `evaluation`.

    scoring                          each mask of a batch, in a process with limits
    aggregates                       the numbers of a whole run
    arrays                           the scores of its findings as one array, written and read
    layout                           how such an array lies in bytes
    sizes                            how large its findings are
    resampled                        its numbers over resamples, and the differences of two runs
    hints                            what its masks look like, on public cases

May import `challenge`, `core` and below.
"""
