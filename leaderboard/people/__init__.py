"""Who takes part: teams and their members, and the rules that each person accepted.

    teams                            create, join, leave, remove a member, hand over
    rules                            which version of the rules a person accepted

May import `core` and below.
"""
