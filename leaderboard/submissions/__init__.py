"""What a team hands in.

    admission                        the only module that refuses a submission
    quota                            what a team has used of its runs, of each kind
    tried_out                        which images have passed a try-out
    places                           how many uploads a person, a team and the server receive at once
    uploads                          an archive of a form: bounded, while its digest is computed
    resumable                        the same in pieces, over any number of connections
    pdfs                             a PDF about the method, where a phase asks for one
    drafts                           what is prepared before it counts, and the files that come in meanwhile
    receiving                        from what is handed in to a submission
    notes                            a team's own words on what it handed in
    intake                           from archives to a checked image and weights (containers.intake does the checking)

May import `people`, `challenge`, `core` and below.
"""
