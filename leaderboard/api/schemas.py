"""What answers and bodies look like. Instants are in UTC, sizes in bytes, scores between 0 and 1 and as they are shown.

What is null is not there, or not shown to the reader.
"""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from ninja import Schema
from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints

from leaderboard.submissions.drafts import MAX_WORD_CHARACTERS

Interval = tuple[float, float]
Word = Annotated[str, StringConstraints(max_length=MAX_WORD_CHARACTERS)]
Name = Annotated[str, StringConstraints(max_length=300)]


def _said(longest: int, *, may_be_empty: bool = False) -> StringConstraints:
    return StringConstraints(max_length=longest, pattern=None if may_be_empty else r"\S")


def _whole(value: object) -> object:
    """JSON knows one kind of number: 3.0 is 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_WHOLE = BeforeValidator(_whole)
PersonsName = Annotated[str, _said(120)]
TeamsName = Annotated[str, _said(60)]
Reason = Annotated[str, _said(500)]
Affiliation = Annotated[str, _said(200, may_be_empty=True)]


class Body(Schema):
    """What is sent: a field that there is not is refused, since it would be taken for kept.

    Values are of the very types of their description: 0.0 is no "false", and "1" no number.
    """

    model_config = ConfigDict(extra="forbid", strict=True)


class FieldError(Schema):
    """What is wrong with one field."""

    field: str
    detail: str


class ProblemDetails(Schema):
    """A refusal (RFC 9457): `detail` is the sentence that the pages show."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


# --- phases and boards ------------------------------------------------------------------------------------------------


class PhaseLimits(Schema):
    """What a run may take."""

    case_seconds: int
    startup_seconds: int
    cases_per_container: int
    cpus: float
    gpus: int
    memory_bytes: int
    max_archive_bytes: int
    max_unpacked_bytes: int
    max_masks_bytes: int


class PhaseOut(Schema):
    """A phase, with its policies."""

    slug: str
    name: str
    description: str
    opens_at: datetime
    closes_at: datetime
    is_open: bool
    takes_post_challenge_runs: bool
    cases_are_public: bool
    takes: list[str] = Field(description="What teams hand in: images, masks.")
    counting: str = Field(description="Which run counts: the last or the best.")
    publication: str
    revealed_at: datetime | None
    try_outs: bool
    try_out_required: bool
    commitment: str = Field(description="Whether it is asked for: no, optional, required.")
    commitment_text: str
    pdf: str = Field(description="Whether it is asked for: no, optional, required.")
    limits: PhaseLimits


class QuotaOut(Schema):
    """What a team has left of one kind. `refusal` says why none can be handed in now, if that is so."""

    kind: str
    today_limit: int
    today_used: int
    today_left: int
    total_limit: int | None
    total_used: int
    total_left: int | None
    renews_at: datetime | None
    refusal: str


class ScoresOut(Schema):
    """Scores with their 95 % intervals."""

    dice: float
    dice_ci: Interval | None
    hit_rate: float
    hit_rate_ci: Interval | None
    instance_precision: float
    instance_recall: float
    instance_f1: float
    instance_f1_ci: Interval | None
    distance_precision: float | None
    distance_recall: float | None
    distance_f1: float | None
    distance_f1_ci: Interval | None


class GroupOut(ScoresOut):
    """A group of `n` findings."""

    code: str
    label: str
    n: int


class BoardRowOut(ScoresOut):
    """A team's run on a board. Masks that stand apart, and post-challenge runs, have no rank."""

    listed: str = Field(description="ranked, masks, or post_challenge")
    rank: int | None
    team: str
    team_slug: str
    affiliation: str
    algorithm: str
    entry: str
    lost_cases: int
    runs: int
    submitted_on: date
    groups: list[GroupOut]


# --- submissions ------------------------------------------------------------------------------------------------------


class FiguresOut(ScoresOut):
    """The scores of a run, over `cases`, of which some were lost."""

    cases: int
    lost_cases: int
    scope: str
    evaluation_version: str


class WithdrawalOut(Schema):
    """Whether it is withdrawn, and what may be done about that now."""

    withdrawn: bool
    can_withdraw: bool
    can_bring_back: bool


class SubmissionLine(Schema):
    """A submission in its team's list. `counts_in`: the tracks in which its run counts for the team."""

    id: int
    phase: str
    kind: str
    entry: str
    track: str
    algorithm: str
    note: str
    submitted_at: datetime
    state: str
    state_words: str
    percent: int | None
    figures: FiguresOut | None
    counts_in: list[str]
    withdrawal: WithdrawalOut


class StepOut(Schema):
    """A step of the journey: done, cur (under way), todo, bad (where it stopped), never."""

    name: str
    state: str
    detail: str


class EventOut(Schema):
    """A line of the history."""

    at: datetime
    text: str
    by: str


class RangeOut(Schema):
    """In between which instants something is expected."""

    first: datetime
    last: datetime


class EstimateOut(Schema):
    """When it starts and finishes; `none` says why there is no estimate."""

    place: int | None
    start: RangeOut | None
    finish: RangeOut | None
    basis: str
    none: str


class ImageOut(Schema):
    """The image as it is run, and as it was uploaded."""

    id: str
    original_id: str
    bytes: int
    layers: int
    warnings: list[str]


class SubmissionOut(Schema):
    """Everything that the page of a submission shows to its reader."""

    id: int
    phase: str
    kind: str
    entry: str
    track: str
    algorithm: str
    method: str
    external_data: str
    paper_url: str
    code_url: str
    commitment: str
    note: str
    submitted_at: datetime
    state: str
    state_words: str
    finished: bool
    headline: str
    reason: str
    advice: str
    problems: list[str]
    now: str
    percent: int | None
    cases_done: int | None
    cases: int
    cases_failed: int | None
    steps: list[StepOut]
    estimate: EstimateOut | None
    history: list[EventOut]
    figures: FiguresOut | None
    groups: list[GroupOut]
    hints: list[str]
    warnings: list[str]
    image: ImageOut | None
    withdrawal: WithdrawalOut
    can_cancel: bool
    events_url: str = Field(description="Live progress, as server-sent events, for the same token.")
    shows_cases: bool = Field(description="Whether its findings, cases, masks, logs and results can be read.")
    entered_as: int | None = Field(description="Of a try-out: the submission that it became.")
    entry_refusal: str = Field(description="Of a try-out that has ended: why it cannot be entered now.")


class FindingOut(Schema):
    """A finding of a case with its sentence and numbers."""

    case: str
    key: str
    category: str
    sentence: str
    millilitres: float | None
    status: str
    reason: str
    dice: float
    dice_raw: float
    hit: bool
    hit_05: bool
    n_reference: int
    n_predicted: int
    tp: int
    fp: int
    fn: int
    distance_tp: int | None
    distance_fp: int | None
    distance_fn: int | None


class CaseOut(Schema):
    """A case of a run. `container` names its log, as batch-attempt; `mask` is the digest of what the run wrote."""

    name: str
    seen_as: str
    status: str
    reason: str
    seconds: float | None
    dice: float | None
    findings: int
    hits: int
    mask: str
    mask_bytes: int | None
    container: str


class ContainerOut(Schema):
    """A container of a run that has ended."""

    batch: int
    attempt: int
    is_canary: bool
    started_at: datetime
    seconds: float | None
    exit_code: int | None
    exit: str
    out_of_memory: bool
    interrupted: bool
    log_characters: int


class NoteIn(Body):
    """A team's own words on a submission; empty takes them away."""

    note: Word


class WhyIn(Body):
    """Why: asked of organisers alone."""

    why: Word = ""


class AgainIn(Body):
    """The phase for which the image is to be handed in again."""

    phase: Name


# --- drafts -----------------------------------------------------------------------------------------------------------


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


# --- data -------------------------------------------------------------------------------------------------------------


class CaseSetOut(Schema):
    """A public case set. Its files are at `images/NAME` and `masks/NAME` beside its lists, for the same token."""

    name: str
    cases: int
    bytes: int
    terms: str
    terms_version: int | None
    accepted_at: datetime | None
    sums_url: str | None
    dataset_url: str | None


class TermsIn(Body):
    """The version of the terms that was read, and is accepted."""

    version: Annotated[int, Field(ge=1, le=2**31 - 1), _WHOLE]


# --- people -----------------------------------------------------------------------------------------------------------


class TeamRef(Schema):
    """A team's name, and how addresses name it."""

    name: str
    slug: str


class ProfileOut(Schema):
    """Who the token acts for, and what it may do."""

    name: str
    email: str
    affiliation: str
    country: str
    orcid: str
    has_confirmed_address: bool
    has_accepted_rules: bool
    rules_version: str
    team: TeamRef | None
    scopes: list[str]


class ProfileIn(Body):
    """What is to change of it."""

    name: PersonsName | None = None
    affiliation: Affiliation | None = None
    country: Word | None = None
    orcid: Word | None = None


class NoticesOut(Schema):
    """Which kinds of notices a person gets by mail."""

    runs: bool
    try_outs: bool
    deadlines: bool
    announcements: bool


class NoticesIn(Body):
    """The kinds that are to change."""

    runs: bool | None = None
    try_outs: bool | None = None
    deadlines: bool | None = None
    announcements: bool | None = None


class RulesIn(Body):
    """The version of the rules that was read, and is accepted."""

    version: Name


class MemberOut(Schema):
    """A member of the team."""

    id: int
    name: str
    is_captain: bool
    joined_at: datetime


class TeamOut(Schema):
    """The team. Its captain reads the link by which people join it, too."""

    name: str
    slug: str
    affiliation: str
    members: list[MemberOut]
    join_link: str | None = Field(description="To its captain, by a token with “team”: it lets people in.")
    places_left: int
    captaincy_offered_to: int | None = Field(description="The member who is asked to be the captain.")


class TeamIn(Body):
    """How a team is called, and where it works."""

    name: TeamsName
    affiliation: Affiliation = ""


class JoinIn(Body):
    """The code of a team's link."""

    code: Name


class TokenIn(Body):
    """What the link of an invitation ends with."""

    token: Name


class InvitationIn(Body):
    """Whom to invite."""

    email: Name


class InvitationOut(Schema):
    """An invitation that nobody has answered."""

    id: int
    email: str
    sent_at: datetime
    sends: int
    expires_at: datetime


class MemberIn(Body):
    """Another member of the team, by their id."""

    member: Annotated[int, Field(ge=1, le=2**63 - 1), _WHOLE]


class RemovalIn(Body):
    """Why somebody is removed: they read it."""

    why: Reason


class ApprovalIn(Body):
    """A phase for which organisers approve teams."""

    phase: Name


class ApprovalOut(Schema):
    """What organisers say to a team about a phase: waiting, approved, refused."""

    phase: str
    state: str
    asked_at: datetime
    decided_at: datetime | None
    reason: str
