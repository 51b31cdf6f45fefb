"""The API of version 1: what a team does by the pages, by programs with personal tokens. HTTP only, as `web`.

    exchange                   what every request passes: its token, its limit, its body, keys and tags of answers
    limits, repeats            how often; the same request again
    problems                   every refusal as problem details (RFC 9457), in the sentences of the pages
    challenge                  phases, what is left in them, boards
    submissions, cases         a team's submissions; case by case, where that is shown
    drafts                     what is being prepared
    people                     one's profile, one's team
    schemas, paging            what answers look like; long lists
    site, reference            the addresses, their description in OpenAPI, and the page that reads it

May import `web` and below. What a reader may see is asked of `board.disclosure`, as everywhere, and what is refused is
decided by `submissions.admission`: nothing is decided here.
"""
