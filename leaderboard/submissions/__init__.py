"""What a team hands in.

    admission                        the only module that refuses a submission
    quota                            what a team has used of its runs
    places                           how many uploads a person, a team and the server receive at once
    uploads                          receiving an archive, bounded, while its digest is computed
    resumable                        the same in pieces, over any number of connections
    drafts                           what is prepared before it counts, and the file that comes in meanwhile
    notes                            a team's own words on what it handed in
    intake                           from the archive to a checked image (containers.intake does the checking)

May import `people`, `challenge`, `core` and below.
"""
