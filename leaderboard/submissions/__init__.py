"""What a team hands in: the upload, whether it is admitted, and the check that turns its archive into an image.

`admission` is the only module that refuses a submission. May import `people`, `challenge`, `core` and below.
"""
