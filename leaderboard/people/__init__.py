"""Who takes part: teams and their members, and the rules that each person accepted.

May import `core` and below.
"""
