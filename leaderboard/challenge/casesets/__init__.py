"""Case sets as files, checked as the organisers deliver them.

In reading order: `official` (a whole set, with every problem in it), `entries` (its dataset file), `nifti` (headers
written, volumes rewritten without names and texts; reading is the evaluation's). May import `evaluation`; nothing of
the server, and no Django.
"""
