"""What a team says of its submission."""

from collections.abc import Mapping
from datetime import datetime
from typing import NotRequired, TypedDict, cast

from leaderboard.core import blobs
from leaderboard.core.refusal import Refused
from leaderboard.core.text import one_line, sanitised
from leaderboard.models import Phase, Submission

MIN_METHOD_CHARACTERS = 100
MAX_METHOD_CHARACTERS = 20_000
MAX_EXTERNAL_DATA_CHARACTERS = 10_000


class Words(TypedDict):
    """What a team says of its submission in words; the texts in Markdown where they are long."""

    entry: NotRequired[str]
    track: str
    algorithm: str
    method: str
    external_data: str
    paper_url: NotRequired[str]
    code_url: NotRequired[str]
    commitment: NotRequired[str]


class Description(Words):
    """All that a team says of its submission."""

    committed_at: NotRequired[datetime]
    pdf: NotRequired[str]
    pdf_name: NotRequired[str]
    pdf_bytes: NotRequired[int]


WORDS = tuple(Words.__annotations__)


def words_of(said: Mapping[str, object]) -> Description:
    """What is said in words, wherever it was: in a form, a draft, or an earlier submission's fields."""
    return cast(Description, {name: str(said.get(name, "")) for name in WORDS})


def check_description(described: Description) -> Description:
    """What a team says of its submission, cleaned; refuse what the board could not show or the rules do not allow."""
    algorithm = one_line(described["algorithm"])
    method = sanitised(described["method"]).strip()
    external_data = sanitised(described["external_data"]).strip()
    if not 1 <= len(algorithm) <= 40:
        raise Refused("Name your algorithm in 1 to 40 characters; the board shows this name.")
    if not any(letter.isalnum() for letter in algorithm):  # zero-width characters alone would show as nothing
        raise Refused("Your algorithm's name needs at least one letter or digit; the board shows it.")
    if not MIN_METHOD_CHARACTERS <= len(method) <= MAX_METHOD_CHARACTERS:
        raise Refused(
            f"Describe the method in {MIN_METHOD_CHARACTERS} to {MAX_METHOD_CHARACTERS} characters: "
            f"you wrote {len(method)}."
        )
    if not 1 <= len(external_data) <= MAX_EXTERNAL_DATA_CHARACTERS:
        raise Refused("Name every external data set and pre-trained model, or write “none”.")
    if described["track"] not in Submission.Track.values:
        raise Refused(f"Choose a track: {' or '.join(Submission.Track.values)}.")
    return {**described, "algorithm": algorithm, "method": method, "external_data": external_data}


def check_asked(described: Description, phase: Phase, at: datetime) -> Description:
    """What a team says at this instant, with what its phase asks for, and without what it does not ask for."""
    committed, pdf = described.get("commitment", ""), described.get("pdf", "")
    if phase.commitment == Phase.Asked.REQUIRED and not committed:
        raise Refused(f"The {phase.name} is open to teams that commit to this: {phase.commitment_text}")
    if phase.pdf == Phase.Asked.REQUIRED and not pdf:
        raise Refused(f"The {phase.name} asks for a PDF of the method.")
    if pdf and not blobs.pdfs.exists(pdf):
        raise Refused("The PDF is not here any more. Choose it again.")
    asked = described.copy()
    if committed and phase.commitment != Phase.Asked.NO:
        asked.setdefault("committed_at", at)
    else:
        asked |= {"commitment": ""}
        asked.pop("committed_at", None)
    if phase.pdf == Phase.Asked.NO:
        asked |= {"pdf": "", "pdf_name": "", "pdf_bytes": 0}
    return asked
