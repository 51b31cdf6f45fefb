"""The kinds of lesions by category of the challenge: their names, numbers, sizes and places."""

from __future__ import annotations

from dataclasses import dataclass

from leaderboard.demo.synthesis import shapes

Range = tuple[float, float]


@dataclass(frozen=True)
class Kind:
    """A kind of lesions.

    `one` and `many`: nouns of one and of several entities. `count`: typical number of entities and the
    largest. `size_mm`: what the shape calls its size. `level`: 0 central .. 1 at the costal pleura. `height` 0
    base .. 1 apex, `depth` 0 front .. 1 back. `paired`: at most one entity per lung. `measured`: whether reports
    give such a lesion's size.
    """

    category: str
    one: tuple[str, ...]
    many: tuple[str, ...]
    shape: shapes.Shape
    size_mm: Range
    count: tuple[float, int]
    level: Range = (0.0, 0.93)
    height: Range = (0.0, 1.0)
    depth: Range = (0.0, 1.0)
    paired: bool = False
    measured: bool = True


KINDS = (
    Kind(
        "1a",
        ("bronchial wall thickening", "peribronchial thickening"),
        ("bronchial wall thickenings", "areas of peribronchial thickening"),
        shapes.thick_wall,
        (10, 17),
        (5.5, 10),
        level=(0.25, 0.7),
        measured=False,
    ),
    Kind(
        "1b",
        ("bronchiectasis", "a bronchiectatic bronchus"),
        ("bronchiectatic bronchi", "foci of tubular bronchiectasis"),
        shapes.wide_bronchus,
        (9, 16),
        (6.0, 10),
        level=(0.25, 0.75),
        measured=False,
    ),
    Kind(
        "1c",
        ("emphysematous area", "area of paraseptal emphysema"),
        ("emphysematous areas", "areas of centrilobular emphysema"),
        shapes.emphysema,
        (7, 15),
        (7.5, 15),
        height=(0.3, 1.0),
        measured=False,
    ),
    Kind(
        "1d",
        ("area of interlobular septal thickening",),
        ("areas of interlobular septal thickening", "areas of smooth septal thickening"),
        shapes.septa,
        (15, 26),
        (4.8, 9),
        level=(0.5, 0.95),
        measured=False,
    ),
    Kind(
        "1e",
        ("cluster of centrilobular micronodules", "cluster of millimetric micronodules"),
        ("clusters of centrilobular micronodules", "clusters of millimetric micronodules"),
        shapes.micronodules,
        (9, 15),
        (6.0, 10),
        measured=False,
    ),
    Kind(
        "1f",
        ("area of mosaic attenuation",),
        ("areas of mosaic attenuation", "patchy areas of mosaic attenuation"),
        shapes.mosaic,
        (15, 26),
        (6.0, 10),
        measured=False,
    ),
    Kind(
        "2a",
        ("linear atelectasis", "subsegmental atelectasis", "linear fibrotic band"),
        ("linear atelectases", "subsegmental atelectatic bands", "linear fibrotic bands"),
        shapes.band,
        (15, 27),
        (3.7, 9),
        height=(0.0, 0.8),
    ),
    Kind(
        "2b",
        ("consolidation", "area of consolidation"),
        ("consolidations", "areas of consolidation"),
        shapes.consolidation,
        (10, 26),
        (3.5, 8),
        level=(0.5, 0.95),
        depth=(0.35, 1.0),
    ),
    Kind(
        "2c",
        ("ground-glass opacity", "ground-glass density area"),
        ("ground-glass opacities", "patchy ground-glass density areas"),
        shapes.ground_glass,
        (10, 24),
        (5.4, 12),
    ),
    Kind(
        "2d",
        ("solid nodule", "pulmonary nodule", "nodule"),
        ("solid nodules", "pulmonary nodules", "nodules"),
        shapes.solid_nodule,
        (3, 11),
        (6.2, 16),
    ),
    Kind(
        "2d",
        ("semisolid nodule", "part-solid nodule"),
        ("semisolid nodules", "part-solid nodules"),
        shapes.semisolid_nodule,
        (5, 10),
        (4.0, 8),
    ),
    Kind(
        "2d",
        ("calcified nodule", "calcific nodule"),
        ("calcified nodules", "calcific nodules"),
        shapes.calcified_nodule,
        (3, 6),
        (4.0, 8),
    ),
    Kind(
        "2e",
        ("pleural effusion",),
        ("pleural effusion",),
        shapes.effusion,
        (14, 34),
        (1.5, 2),
        paired=True,
    ),
    Kind(
        "2e",
        ("pleural thickening", "area of pleural thickening"),
        ("areas of pleural thickening", "pleural thickenings"),
        shapes.pleural_thickening,
        (18, 32),
        (3.0, 6),
        level=(0.93, 1.0),
        height=(0.1, 0.8),
        measured=False,
    ),
    Kind(
        "2f",
        ("area of subpleural honeycombing", "honeycombing area"),
        ("areas of subpleural honeycombing", "honeycombing areas"),
        shapes.honeycomb,
        (20, 34),
        (4.5, 6),
        level=(0.88, 1.0),
        height=(0.1, 0.55),
        depth=(0.5, 1.0),
        measured=False,
    ),
    Kind("2g", ("pneumothorax",), ("pneumothorax",), shapes.pneumothorax, (9, 20), (1.0, 1), paired=True),
    Kind(
        "2h",
        ("thin-walled air cyst", "thin-walled bulla"),
        ("thin-walled air cysts", "thin-walled bullae"),
        shapes.cyst,
        (9, 20),
        (2.8, 6),
    ),
)

# How common each category is among findings: 79 % focal, as in the released data.
SHARES = {
    "1a": 0.045,
    "1b": 0.035,
    "1c": 0.055,
    "1d": 0.030,
    "1e": 0.025,
    "1f": 0.020,
    "2a": 0.190,
    "2b": 0.120,
    "2c": 0.140,
    "2d": 0.190,
    "2e": 0.085,
    "2f": 0.020,
    "2g": 0.015,
    "2h": 0.030,
}


def kinds_of(category: str) -> tuple[Kind, ...]:
    """The kinds of a category."""
    return tuple(kind for kind in KINDS if kind.category == category)
