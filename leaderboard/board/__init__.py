"""The leaderboard.

    disclosure                       what a reader may see of a phase at an instant: decided here alone
    counting, ranking                which of a team's runs counts; ranks and orders
    rows, board                      what a board consists of; how it is made
    exports                          the board as JSON and for a terminal

May import `journey` and below.
"""
