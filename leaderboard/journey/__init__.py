"""What a submission goes through.

    pipeline                         the journey, top to bottom
    lifecycle, locking               the only code that changes a state; the order in which rows are locked
    selectors                        rows with what a step asks about them
    handed_in                        masks that were handed in: checked, every problem told, and kept
    planning                         how a run is cut into batches
    turns, scheduling                how what is shared is dealt out between teams; who is checked, run and scored next
    forecast                         the same played ahead: when each run will start and finish
    outcomes                         what a host's report says of each case
    faults, reasons                  what becomes of our own faults; why a case or a run was lost, in words
    failure_kinds                    in which way a run failed that has no usable mask
    decisions                        what people decide about a submission

May import `submissions`, `hosts`, `scores` and below; knows neither pages nor the board.
"""
