"""What a submission goes through.

    submitting                       how what a team hands in becomes a submission
    pipeline                         the journey from there on, top to bottom
    lifecycle, locking               the only code that changes a state; the order in which rows are locked
    selectors                        rows with what a step asks about them
    handed_in                        masks that were handed in: checked, every problem told, kept, and their run
    leases                           what a host may do while it holds a batch
    rejected_by_hosts                images that passed the check, and that a host can't use
    looks                            what the masks of a scored run look like, on public cases
    planning                         how a run is cut into batches
    turns, scheduling                how what is shared is dealt out between teams; who is checked, run and scored next
    forecast                         the same played ahead: when each run will start and finish
    outcomes                         what a host's report says of each case
    faults, reasons                  what becomes of our own faults; why a case or a run was lost, in words
    failure_kinds                    in which way a run failed that has no usable mask
    decisions                        what people decide about a submission

May import `submissions`, `hosts`, `scores` and below; knows neither pages nor the board.
"""
