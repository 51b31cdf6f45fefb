"""The demonstration: a small challenge, real in every part, on made-up cases.

    demonstration                    the phases, teams and submissions of `./dev demo`
    mails                            the messages that its mail server took, on a page of their own
    cases, synthesis/                its case set; synthetic chest CTs with findings in words and masks

May import everything but `web` and `processes`.
"""
