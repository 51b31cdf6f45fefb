"""Of a run on public cases: its findings, cases and containers."""

from datetime import datetime

from ninja import Schema


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
