"""What people are told by mail without having asked for it just now; each kind can be stopped by itself.

    runs                             what became of a team's run or try-out, as its page says it
    deadlines                        a deadline is a week or a day ahead, or was moved
    phases                           a phase has opened, or its results are out
    announcing                       what organisers announce, now or at an instant; `templates` are beginnings of it
    ranks                            which ranks each team is told of, once they are out
    choices                          which kinds a person does without
    links                            the signed addresses by which a message stops its kind, or confirms an address
    recipients, writing              who gets a notice; from its words to the outbox

Notices are derived from rows by the sweeper, like everything else, and are in the outbox in the transaction that notes
that they are told: each is written once. Words about runs come from `progress`, so from `board.disclosure`.

May import `progress` and below.
"""
