"""How far off estimates of start and finish are, as `./dev bench estimates` measured it last.

Pages and docs/architecture.md state these numbers. After a change of the forecast: measure again, and write them here.
"""

from typing import NamedTuple


class Measured(NamedTuple):
    """Of one kind of estimate, in per cent: errors as parts of the time that was still to wait, and the ranges."""

    median: int
    nine_of_ten: int  # have no larger error
    came_true: int  # of the ranges


START, FINISH = Measured(24, 78, 93), Measured(21, 50, 90)
START_HIDDEN, FINISH_HIDDEN = Measured(37, 133, 89), Measured(25, 108, 87)
ALL = {
    "start, public cases": START,
    "finish, public cases": FINISH,
    "start, hidden cases": START_HIDDEN,
    "finish, hidden cases": FINISH_HIDDEN,
}
