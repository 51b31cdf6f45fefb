"""The numbers of single cases and findings of a board (docs/exports.md). Of each row a column is one list."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from leaderboard.api.schemas.base import Interval

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class Exact(BaseModel):
    """What has these fields and no other."""

    model_config = ConfigDict(extra="forbid")


class Bootstrap(Exact):
    """What the intervals of the board are made again by. `seed` is null where it would give the order of the names."""

    resamples: int
    percentiles: tuple[float, float]
    seed: str | None = Field(description="A whole number, of 64 bits.")


class OfVersion(Exact):
    """Which version of which board it is."""

    format: Literal[1]
    phase: str
    track: Literal["main", "overall"]
    version: int
    scope: str | None
    cases: int = Field(description="How many feed the board's numbers.")
    evaluation_version: str
    visible_from: datetime
    cases_have_names: bool = Field(description="Else cases stand under numbers, as do the findings of each.")
    bootstrap: Bootstrap


class OfRow(Exact):
    """A row of the board, with its numbers there."""

    listed: Literal["ranked", "organisers", "masks", "post_challenge", "unranked"]
    rank: int | None
    team: str = Field(description="Names it in addresses and in challenger.csv.")
    team_name: str
    algorithm: str
    submission: int | None
    board_dice: Share
    board_dice_ci: Interval | None
    board_hit_rate: Share
    board_hit_rate_ci: Interval | None
    board_instance_f1: Share
    board_instance_f1_ci: Interval | None
    board_distance_f1: Share | None
    board_distance_f1_ci: Interval | None


class RowOfCases(OfRow):
    """With the numbers of its cases, in the order of `labels`; counts are sums over the findings of a case."""

    status: list[Literal["scored", "missing", "invalid", "failed"] | None] = Field(
        description="What became of the case; null of all hidden cases."
    )
    dice: list[Share] = Field(description="The mean over the case's findings. Its mean over cases ranks.")
    findings: list[Count]
    hits: list[Count] = Field(description="Findings with Dice 0.1 or more.")
    tp: list[Count] = Field(description="Entities that were found.")
    fp: list[Count] = Field(description="Instances that are no entity.")
    fn: list[Count] = Field(description="Entities that were missed.")
    distance_findings: list[Count] = Field(description="Findings of which distances are measured.")
    distance_tp: list[Count]
    distance_fp: list[Count]
    distance_fn: list[Count]


class CaseNumbersOut(OfVersion):
    """The numbers of single cases of all rows of a board."""

    labels: list[str] = Field(description="What the cases are called here, in the order of all lists.")
    rows: list[RowOfCases]


class ToldFinding(Exact):
    """A finding: of public cases by its key in the dataset, of hidden ones by a number."""

    case: str
    finding: Count
    category: str | None
    size: Literal["small", "medium", "large"] | None


class RowOfFindings(OfRow):
    """With the numbers of its findings, in the order of `findings`."""

    dice: list[Share]
    hit: list[bool]
    tp: list[Count]
    fp: list[Count]
    fn: list[Count]
    distance_tp: list[Count | None]
    distance_fp: list[Count | None]
    distance_fn: list[Count | None]


class FindingNumbersOut(OfVersion):
    """The numbers of single findings of all rows of a board."""

    findings: list[ToldFinding]
    rows: list[RowOfFindings]
