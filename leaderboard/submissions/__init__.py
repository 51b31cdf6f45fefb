"""What a team hands in.

    admission                        the only module that refuses a submission
    quota                            what a team has used of its runs
    places                           how many uploads a person, a team and the server receive at once
    uploads                          receiving an archive, bounded, while its digest is computed
    intake                           from the archive to a checked image (containers.intake does the checking)

May import `people`, `challenge`, `core` and below.
"""
