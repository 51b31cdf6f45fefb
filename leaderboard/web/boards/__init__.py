"""The pages of boards.

board                            the board, ranked, sorted, filtered and opened; each version of it; as CSV
runs                             all runs, not only those that count; of each version
versions                         all versions, with what changed; as a feed
reveal                           what a reveal opens: the public half, how ranks changed
files                            numbers of single cases and findings of a version
badges                           the badge of a team, for pages elsewhere
asked                            what an address asks for, and addresses of boards
urls                             their addresses, below /leaderboard/
"""
