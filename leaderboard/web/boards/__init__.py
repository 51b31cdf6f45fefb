"""The pages of boards.

    board                            the board, ranked, sorted, filtered and opened; each version of it; as CSV
    certainty, categories            how sure its order is; Dice by category, by size, and finding by finding
    runs                             all runs, not only those that count
    compare                          some of its rows side by side
    versions                         all versions, with what changed; as a feed
    history                          how its first teams came to where they are
    reveal                           what a reveal opens: the public half, how ranks changed
    files, badges                    numbers of single cases and findings; the badge of a team, for pages elsewhere
    columns                          the columns that a reader chooses
    shown                            which board a page is about: the present one, or a version
    tabs                             the views of a board, from each of which tabs lead to the others
    asked                            what an address asks for, and addresses of boards
    urls                             their addresses, below /leaderboard/

Each view parses its address and reads a board that was made before.
"""
