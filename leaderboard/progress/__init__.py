"""What a team sees of its own run.

May import `board` and below.
"""
