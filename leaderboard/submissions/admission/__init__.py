"""The only place that refuses a submission, its cancellation, or its withdrawal.

    entering       who may hand in what at which instant, and how often
    description    what a team says of it
    files          what a phase takes, how large, and whether there is room

Every refusal is a `Refused` whose text is the sentence that the user reads. A submission is checked twice by the same
rules: before the form is shown (so that nobody uploads 9 GB in vain), and again in the transaction that accepts it,
with the team's row locked: two uploads that end in the same instant cannot both take the last run of the day.
"""

from leaderboard.submissions.admission.description import (
    MAX_EXTERNAL_DATA_CHARACTERS,
    MAX_METHOD_CHARACTERS,
    MIN_METHOD_CHARACTERS,
    WORDS,
    Description,
    check_asked,
    check_description,
    words_of,
)
from leaderboard.submissions.admission.entering import (
    check_cancel,
    check_cancel_by_team,
    check_counts_or_is_shown,
    check_open_for,
    check_phase,
    check_takes,
    check_tried_out,
    check_withdrawal,
    entry_kind,
    may_cancel,
)
from leaderboard.submissions.admission.files import (
    MAX_PDF_BYTES,
    NO_DISK_SPACE,
    PDF_BEGINNING_BYTES,
    NoSpace,
    Part,
    TooLarge,
    check_beginning,
    check_disk_space,
    check_entry,
    check_image_fits,
    check_image_is_here,
    check_pdf,
    check_pdf_beginning,
    check_upload,
    check_weights_are_here,
    check_weights_fit,
    entries_of,
    entry_said,
    may_go_to,
    refusing_a_full_disk,
    sent_as_another,
)

__all__ = [
    "MAX_EXTERNAL_DATA_CHARACTERS",
    "MAX_METHOD_CHARACTERS",
    "MAX_PDF_BYTES",
    "MIN_METHOD_CHARACTERS",
    "NO_DISK_SPACE",
    "PDF_BEGINNING_BYTES",
    "WORDS",
    "Description",
    "NoSpace",
    "Part",
    "TooLarge",
    "check_asked",
    "check_beginning",
    "check_cancel",
    "check_cancel_by_team",
    "check_counts_or_is_shown",
    "check_description",
    "check_disk_space",
    "check_entry",
    "check_image_fits",
    "check_image_is_here",
    "check_open_for",
    "check_pdf",
    "check_pdf_beginning",
    "check_phase",
    "check_takes",
    "check_tried_out",
    "check_upload",
    "check_weights_are_here",
    "check_weights_fit",
    "check_withdrawal",
    "entries_of",
    "entry_kind",
    "entry_said",
    "may_cancel",
    "may_go_to",
    "refusing_a_full_disk",
    "sent_as_another",
    "words_of",
]
