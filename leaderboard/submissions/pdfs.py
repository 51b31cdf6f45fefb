"""A PDF about the method, where a phase asks for one: received bounded, kept by its digest, never looked into.

What is in it is a stranger's. So nothing here parses it, and it only ever goes out as a file to keep.
"""

from typing import Any, BinaryIO, NamedTuple

from leaderboard.core import blobs, locks
from leaderboard.models import Draft, Phase, Submission
from leaderboard.submissions import admission
from leaderboard.submissions.uploads import shown_name


class Pdf(NamedTuple):
    """A PDF that is here: its digest, the team's name for it, its size in bytes."""

    digest: str
    name: str
    size: int

    def described(self) -> dict[str, Any]:
        """As a submission's description has it."""
        return {"pdf": self.digest, "pdf_name": self.name, "pdf_bytes": self.size}


def keep(source: BinaryIO, *, size: int, name: str, phase: Phase) -> Pdf:
    """Store what a form received. Raises Refused for what the phase does not take, or the disk has no room for."""
    admission.check_pdf(size, phase)
    source.seek(0)
    admission.check_pdf_beginning(source.read(admission.PDF_BEGINNING_BYTES))
    source.seek(0)
    with admission.refusing_a_full_disk():
        blob = blobs.pdfs.put(source)
    return Pdf(blob.digest, shown_name(name, "method.pdf"), blob.size)


def forget(digest: str) -> None:
    """Remove a PDF that nobody has any more, so that nobody fills the disk by sending one after the other.

    Whoever sends the same bytes at this very moment is told to send them again (`admission.check_asked`). Nothing is
    deleted while a backup reads the stores: then the file is left to retention.
    """
    if not digest or any(rows.filter(pdf=digest).exists() for rows in (Draft.objects, Submission.objects)):
        return
    with locks.working_on("stores", "") as mine:
        if mine:
            blobs.pdfs.remove_if_older(digest, 0)


def of(row: Draft | Submission) -> Pdf | None:
    """The PDF of a draft or a submission."""
    return Pdf(row.pdf, row.pdf_name, row.pdf_bytes) if row.pdf else None
