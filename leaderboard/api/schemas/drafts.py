"""What is being prepared, and where its files go."""

from datetime import datetime
from uuid import UUID

from ninja import Schema

from leaderboard.api.schemas.base import Body, Name, Word


class WordsIn(Body):
    """What a draft says; what is left out stays as it is. The form of the phase says which of it is asked for.

    weights: `none`, `upload`, or the id of an earlier submission that has them. commitment: the phase's text, word for
    word.
    """

    kind: Word | None = None
    entry: Word | None = None
    track: Word | None = None
    algorithm: Word | None = None
    method: Word | None = None
    external_data: Word | None = None
    paper_url: Word | None = None
    code_url: Word | None = None
    commitment: Word | None = None
    weights: Word | None = None


class DraftIn(WordsIn):
    """A new draft."""

    phase: Name


class SendIn(WordsIn):
    """What is said last. `weights_seen`: the key of an upload of weights that is not to be used."""

    weights_seen: Word | None = None


class UploadOut(Schema):
    """A file that comes in pieces: go on at `address` (tus)."""

    key: UUID
    address: str
    name: str
    length: int
    received: int
    digest: str
    expires_at: datetime


class PdfOut(Schema):
    """A PDF of the method."""

    name: str
    bytes: int


class TusOut(Schema):
    """Where a file is sent by tus 1.0, and the bearer token for it, which is good for this draft alone.

    The metadata `part` says what it is: `image` (also of masks), or `weights`. Only tokens with “submit” are told it.
    """

    address: str
    key: str | None


class DraftOut(Schema):
    """A draft: `draft` while it is one, `sent` while it waits for its file, `accepted` once it is a submission."""

    id: UUID
    state: str
    submission: int | None = None
    phase: str = ""
    words: dict[str, str] = {}
    source: int | None = None
    refusal: str = ""
    saved_at: datetime | None = None
    sent_at: datetime | None = None
    pdf: PdfOut | None = None
    upload: UploadOut | None = None
    weights: UploadOut | None = None
    tus: TusOut | None = None


class PreviewIn(Body):
    """A description in Markdown."""

    method: Word = ""
    external_data: Word = ""


class PreviewOut(Schema):
    """The same as the board will show it, as HTML."""

    method: str
    external_data: str
