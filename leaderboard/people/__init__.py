"""Who takes part: teams and their members, their addresses, and the rules that each person accepted.

    teams, names                     create, join, leave, remove a member, hand over; names that look alike
    addresses                        whether an email address is confirmed, and what is refused before it is
    sign_in, throttle                who may try a password, and when; how often anything may be tried
    mail_limits                      how many messages of a kind go to one address
    registration, preregistration    when people may register; who wants to be told of that by mail
    rules                            which version of the rules a person accepted

May import `core` and below.
"""
