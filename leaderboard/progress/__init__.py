"""What a team sees of its own run, as its `board.disclosure` lets it.

    submission_view                  everything that the page of a submission shows
    listing, over_time, exports      a team's runs: as a list, as a picture of their scores, for spreadsheets
    comparison, comparing            some of them side by side; how that is made
    stages, explanations             the state as it is shown; why a run or a case was lost
    withdrawal                       whether a run was withdrawn, and who may change that now
    estimates, line                  when a run will start and finish, by what waits and which machines are here
    estimate_errors                  how far off estimates are, as it was measured
    paces, earlier, shares           how fast runs are, how fast others were, what share of the slots they had
    case_facts, details              the little that progress needs of each case; the run case by case
    containers, cases, findings      its containers with their logs, its cases, their findings, worst first: by the page
    results                          all its numbers as JSON
    organiser_view                   everything about a submission, for organisers

May import `board` and below.
"""
