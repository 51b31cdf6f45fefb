"""The GPU hosts as the server sees them: their tokens, their slots, and the orders that they get.

May import `challenge`, `core` and below.
"""
