"""The pages of boards.

board                            the board, ranked, sorted, filtered and opened; each version of it; as CSV
compare                          some of its rows side by side
versions                         all versions, with what changed; as a feed
history                          how its first teams came to where they are
reveal                           what a reveal opens: the public half, how ranks changed
asked                            what an address asks for, and addresses of boards
urls                             their addresses, below /leaderboard/
"""
