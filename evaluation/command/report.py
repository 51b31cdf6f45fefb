"""The forms that results leave in: the native JSON, the CSV, and the table at the end of a run."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, TypedDict

from evaluation.categories import CATEGORIES, Kind
from evaluation.hints import Hint
from evaluation.metrics import instances, matching
from evaluation.metrics.aggregate import PERCENTILES, RESAMPLES
from evaluation.metrics.cases import VERSION
from evaluation.results import Aggregates, CaseResult, Group, SizeGroup, Summary

CSV_COLUMNS = (
    *("case", "status", "reason", "case_dice", "finding", "category", "dice", "dice_raw", "hit", "hit_05"),
    *("n_reference", "n_predicted", "tp", "fp", "fn", "distance_tp", "distance_fp", "distance_fn"),
)
FORMULA_STARTS = ("=", "+", "-", "@")

TITLES = {Kind.FOCAL.value: "focal 2a-2h", Kind.NON_FOCAL.value: "non-focal 1a-1f"} | {
    code: f"{code} {category.short_label}" for code, category in CATEGORIES.items()
}
TITLE_WIDTH = 17
ROW = "{:<17} {:>4}  {:>6}  {:>11}  {:>5}  {:>5}  {:>5}  {:>5}  {:>6}"
HEADER = [
    f"{'':30}  {'95 %':>11}  {'hit':>5}  {'---- instances ----':>19}  {'dist.':>6}",
    ROW.format("", "n", "Dice", "interval", "rate", "P", "R", "F1", "F1"),
]
LEGEND = """\
overall Dice  {dice}, the ranking number: the mean over the {total_cases} cases of the
              mean over a case's findings. Over all findings it is {dice_per_finding},
              and in the other rows it is a mean over findings.
n             findings
95 % interval of the Dice, by bootstrap over cases
hit rate      share of the findings with a Dice of 0.1 or more
instances     precision, recall, F1 of the lesions, matched at a Dice of 0.2
dist. F1      the same, matched by distance in mm; "-" without a known spacing
small, ...    by the volume of the finding: up to the median of this set, up to
              its 75th percentile, above"""


class OutputFormat(StrEnum):
    """The forms of the JSON."""

    NATIVE = "native"
    REXRANK = "rexrank"


class Params(TypedDict):
    """Everything that the numbers depend on besides the files."""

    split: str | None
    connectivity: int
    min_instance_voxels: int
    max_instances: int
    match_dice: float
    hit_dice: list[float]
    size_limits: list[float]
    bootstrap_seed: int
    bootstrap_resamples: int
    bootstrap_percentiles: list[float]


class NativeDocument(Aggregates):
    """The native JSON."""

    evaluation_version: str
    params: Params
    hints: list[Hint]
    cases: list[CaseResult]


def params(seed: int, limits: tuple[float, float], split: str | None) -> Params:
    """Everything that the numbers depend on besides the files."""
    return {
        "split": split,
        "connectivity": 18,
        "min_instance_voxels": instances.MIN_VOXELS,
        "max_instances": instances.MAX_INSTANCES,
        "match_dice": matching.MATCH_DICE,
        "hit_dice": [matching.HIT_DICE, matching.LENIENT_HIT_DICE],
        "size_limits": list(limits),
        "bootstrap_seed": seed,
        "bootstrap_resamples": RESAMPLES,
        "bootstrap_percentiles": list(PERCENTILES),
    }


def native(
    results: Sequence[CaseResult], aggregates: Aggregates, parameters: Params, hints: Sequence[Hint]
) -> NativeDocument:
    """The native JSON document."""
    return {
        "evaluation_version": VERSION,
        "params": parameters,
        **aggregates,
        "hints": list(hints),
        "cases": list(results),
    }


def csv_text(results: Sequence[CaseResult]) -> str:
    """One row per finding, in the order of the results, with what is said of its case in the first columns.

    Numbers are written in full, hits as 1 and 0, what does not exist as nothing. Text that a spreadsheet would take for
    a formula gets an apostrophe in front.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for case in results:
        about = {"case": case["name"], "status": case["status"], "reason": case["reason"], "case_dice": case["dice"]}
        for finding in case["findings"]:
            row = {**finding, **about}
            writer.writerow([_csv_cell(row[column]) for column in CSV_COLUMNS])
    return text.getvalue()


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str):
        text = "".join(character if character.isprintable() else " " for character in value).strip()
        return f"'{text}" if text.startswith(FORMULA_STARTS) else text
    return repr(value)


def table(aggregates: Aggregates) -> str:
    """The results as a text table of 80 columns with a legend."""
    summary, groups = aggregates["summary"], aggregates["groups"]
    rule = "-" * len(HEADER[-1])
    lines = [*HEADER, rule, _row("overall", summary["total_findings"], summary)]
    for names in _sections(groups):
        lines += [rule, *(_row(TITLES.get(name, name), groups[name]["n"], groups[name]) for name in names)]
    legend = LEGEND.format(
        dice=f"{summary['dice']:.4f}",
        dice_per_finding=f"{summary['dice_per_finding']:.4f}",
        total_cases=summary["total_cases"],
    )
    return "\n".join([*lines, rule, legend])


def _sections(groups: Collection[str]) -> Iterator[list[str]]:
    """The groups that there are: focal and non-focal, the categories, the sizes."""
    categories = [code for code in groups if code not in {*Kind, *SizeGroup}]
    sections: tuple[Iterable[str], ...] = ((Kind.FOCAL, Kind.NON_FOCAL), categories, SizeGroup)
    for codes in sections:
        present = [code for code in codes if code in groups]
        if present:
            yield present


def _row(title: str, n: int, numbers: Summary | Group) -> str:
    interval = numbers["confidence_intervals"]["dice"]
    spread = f"{interval[0]:.3f}-{interval[1]:.3f}" if interval else "-"
    precision_recall = (numbers["instance_precision"], numbers["instance_recall"], numbers["instance_f1"])
    shown = (numbers["hit_rate"], *precision_recall, numbers["distance_f1"])
    ratios = ("-" if value is None else f"{value:.3f}" for value in shown)
    return ROW.format(title[:TITLE_WIDTH], n, f"{numbers['dice']:.4f}", spread, *ratios)
