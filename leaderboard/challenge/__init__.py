"""What is asked of teams: phases, the categories of findings, case sets and how they come in.

May import `core` and below.
"""
