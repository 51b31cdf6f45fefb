"""The leaderboard.

    disclosure                       what a reader may see of a phase at an instant: decided here alone
    counting                         which of a team's runs counts
    aliases                          numbers in place of names, where teams are not named before the reveal
    contents, ranking                what a board shows of a run; ranks and orders
    rows, numbers                    what a board consists of; the numbers of one run
    references                       results from elsewhere, which stand apart without a rank
    versions                         boards as they are published: made when something changed
    certainty, order                 how sure the order of a version is: computed with it; as it is kept
    all_runs                         all runs that may be shown, as versions list them
    reading                          boards as they are read
    filters                          which rows somebody wants to see
    spread                           findings in bins, by size and by Dice, as they may be shown
    timing                           how long runs took for a case
    case_numbers, case_exports       the numbers of single cases, where everybody may have them; as files
    history                          the first teams in the versions until now
    comparison, comparing            entries side by side; rows of a board
    exports                          the board as JSON, as CSV and for a terminal
    shake_up                         ranks on the public half, on the rest, and on all cases, after a reveal
    half                             the public half of a case set: how even it is; opened at the reveal

May import `journey` and below.
"""
