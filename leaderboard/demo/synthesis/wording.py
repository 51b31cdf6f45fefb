"""A finding's sentence as a radiologist would dictate it, from the lesions that are really there and from no others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from leaderboard.demo.synthesis.anatomy import LEFT_LOBES, LLL, LUL, RIGHT_LOBES, RLL, RML, RUL
from leaderboard.demo.synthesis.placing import Entity, Finding

LOBE_NAMES = {
    RUL: "right upper lobe",
    RML: "right middle lobe",
    RLL: "right lower lobe",
    LUL: "left upper lobe",
    LLL: "left lower lobe",
}
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def sentence(finding: Finding, rng: np.random.Generator) -> str:
    """One sentence. Every side, lobe, segment, number and size in it is measured; sizes are whole millimetres."""
    entities = finding.entities
    if finding.kind.paired:
        text = _paired_sentence(finding, rng)
    elif len(entities) == 1:
        text = _single_sentence(finding, rng)
    else:
        text = _multiple_sentence(finding, rng)
    return text[0].upper() + text[1:]


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _single_sentence(finding: Finding, rng: np.random.Generator) -> str:
    (entity,) = finding.entities
    noun, where = _pick(finding.kind.one, rng), _in_segment(entity) if rng.random() < 0.7 else _in_lobes([entity])
    long, short = (round(extent) for extent in entity.size_mm)
    plain = (f"{noun} {where}", f"{noun} is observed {where}", f"{noun} {where}, in the {_height(entity)}")
    if not finding.kind.measured:
        return _pick(plain[:2], rng)
    noun = "mass lesion" if finding.kind.category == "2d" and long >= 30 else noun
    sized = (
        f"{long}x{short} mm {noun} {where}",
        f"{noun} measuring {long}x{short} mm {where}",
        f"{noun} with a long axis of {long} mm {where}",
        f"{long} mm {noun} is seen {where}",
    )
    return _pick((*sized, f"{noun} {where}"), rng)


def _multiple_sentence(finding: Finding, rng: np.random.Generator) -> str:
    entities = finding.entities
    noun, where = _pick(finding.kind.many, rng), _in_lobes(entities)
    number = NUMBERS[len(entities)] if len(entities) < len(NUMBERS) else str(len(entities))
    largest = max(entities, key=lambda entity: entity.size_mm)
    long = round(largest.size_mm[0])
    plain = (f"{number} {noun} {where}", f"{noun} {where}, {number} in number", f"{number} {noun} are observed {where}")
    if not finding.kind.measured:
        return _pick((*plain, f"{noun} {where}"), rng)
    sized = (
        f"{number} {noun} {where}, the largest measuring {long} mm",
        f"{number} {noun} {where}, the largest one {long} mm {_in_segment(largest)}",
    )
    return _pick((*sized, *plain), rng)


def _paired_sentence(finding: Finding, rng: np.random.Generator) -> str:
    noun = finding.kind.one[0]
    depth = {side_of(entity): round(entity.thickness_mm) for entity in finding.entities}
    if len(depth) == 2:
        return _pick(
            (
                f"bilateral {noun}, {depth['right']} mm thick on the right and {depth['left']} mm on the left",
                f"bilateral {noun}",
                f"{noun} in both hemithoraces, reaching {max(depth.values())} mm",
            ),
            rng,
        )
    ((side, thickness),) = depth.items()
    return _pick(
        (
            f"{side}-sided {noun} with a thickness of {thickness} mm",
            f"{noun} on the {side}, {thickness} mm at its deepest point",
            f"{side} {noun} measuring up to {thickness} mm",
        ),
        rng,
    )


def side_of(entity: Entity) -> str:
    """The side of the lung in which it lies."""
    return "right" if entity.lobe in RIGHT_LOBES else "left"


def _height(entity: Entity) -> str:
    height = entity.place[2]
    return "lower zone" if height < 1 / 3 else "middle zone" if height < 2 / 3 else "upper zone"


def _in_segment(entity: Entity) -> str:
    return f"in the {segment(entity.lobe, entity.place)} segment of the {LOBE_NAMES[entity.lobe]}"


def segment(lobe: int, place: tuple[float, float, float]) -> str:
    """The bronchopulmonary segment at `place` = (medial-lateral, front-back, base-apex) of a lung, each 0 .. 1."""
    lateral, back, height = place
    if lobe == RUL:
        return "apical" if height > 0.8 else "posterior" if back > 0.5 else "anterior"
    if lobe == RML:
        return "lateral" if lateral > 0.5 else "medial"
    if lobe == LUL:
        if height > 0.5:
            return "apicoposterior" if back > 0.5 or height > 0.8 else "anterior"
        return "superior lingular" if height > 0.35 else "inferior lingular"
    if height > 0.5:
        return "superior"
    if back > 0.72:
        return "posterobasal"
    if back < 0.5:
        return "anterobasal" if lobe == RLL else "anteromediobasal"
    return "laterobasal" if lateral > 0.5 or lobe == LLL else "mediobasal"


def _in_lobes(entities: Sequence[Entity]) -> str:
    lobes = sorted({entity.lobe for entity in entities})
    if len(lobes) == 1:
        return f"in the {LOBE_NAMES[lobes[0]]}"
    if lobes == [RUL, LUL]:
        return "in both upper lobes"
    if lobes == [RLL, LLL]:
        return "in both lower lobes"
    right, left = [lobe for lobe in lobes if lobe in RIGHT_LOBES], [lobe for lobe in lobes if lobe in LEFT_LOBES]
    if right and left:
        return "in both lungs" if len(lobes) > 2 else f"in the {LOBE_NAMES[right[0]]} and the {LOBE_NAMES[left[0]]}"
    side, names = ("right", right) if right else ("left", left)
    if len(lobes) == (3 if right else 2):
        return f"in the {side} lung"
    words = [LOBE_NAMES[lobe].split()[1] for lobe in names]
    return f"in the {side} {' and '.join(words)} lobes"
