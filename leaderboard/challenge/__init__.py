"""What is asked of teams.

    phases                           which are open at an instant; saving a phase is a decision
    published_cases                  numbers of single hidden cases: when they are published, under which numbers
    dates, calendar                  the timeline: rows and the instants of phases; the same as iCalendar
    news                             news, questions and answers: which are public
    categories                       the groups of findings that a board can rank by
    reference_rows                   published results and baselines, from files to rows; published_tables.json has two
    casesets/                        case sets as the organisers deliver them, checked; knows no Django
    halves/                          the public half of a case set: drawn with a secret, committed to, opened later
    importing                        from checked files to rows and blobs, all or nothing

May import `core` and below.
"""
