"""The leaderboard.

    disclosure                       what a reader may see of a phase at an instant: decided here alone
    counting                         which of a team's runs counts
    places, ranking                  what all of a board is ranked by; ranks and orders
    rows, board                      what a board consists of; how it is made, and its rows are read
    exports                          the board as JSON and for a terminal

May import `journey` and below.
"""
