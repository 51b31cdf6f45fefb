"""The pages: HTTP only. Each view parses the request, makes one call into a package below, renders a template.

    public, guidelines               the challenge, the container contract
    boards                           the boards of its phases
    news, preregistration            news and their feed, questions; who wants to be told when registration opens
    people, submissions              teams and rules; a team's runs: hand in, watch, cancel
    cases                            a run case by case; its masks, logs and numbers as files
    my_runs                          all runs of a team: list, notes, as CSV, side by side
    drafts, tus                      what is being prepared; files that come in pieces
    sending                          how a draft is sent, by its page or by the API
    kinds                            whether that is a run, a try-out or a post-challenge run
    methods, downloads               how a description will look, and its PDF; what a team starts from
    accounts                         signing in, registering, addresses, passwords
    door, bodies                     what comes in is text, and whole; what goes out to somebody is nobody else's
    organisers, errors               the health page and /metrics; answers to requests that fail
    conditional                      what is asked for again and again; pages that all visitors see alike
    context, forms                   what every page shows around its content, and who asks when; what people type
    submission_form                  the form of a submission, as its phase asks for it

May import `templatetags`, `operations` and below.
"""
