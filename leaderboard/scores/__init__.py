"""From masks to numbers: each case through `evaluation`, and the aggregates of a whole run.

May import `challenge`, `core` and below.
"""
