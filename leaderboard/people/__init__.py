"""Who takes part: teams and their members, their addresses, and the rules that each person accepted.

    teams, names                     create, describe, join by link, leave, remove a member; names that look alike
    invitations, captaincy           by mail, with a link; handing over with a confirmation, and a way back
    approvals                        of teams, by organisers, where a phase asks for it
    team_locks, team_mails           what every change of a team asks first, and who is told of it
    addresses                        whether an email address is confirmed, and what is refused before it is
    sign_in, throttle                who may try a password, and when; how often anything may be tried
    profile                          what a person says of themselves; countries, the check of an ORCID iD
    personal_data, ending            what is kept of a person, as it is taken along; how an account ends
    sessions                         sessions that are ended, or over
    mail_limits                      how many messages of a kind go to one address
    registration, preregistration    when people may register; who wants to be told of that by mail
    rules                            which version of the rules a person accepted

May import `core` and below.
"""
