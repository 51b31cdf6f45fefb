"""The leaderboard: what a reader may see (`disclosure`), which run counts, ranks, the board, its exports.

May import `journey` and below.
"""
