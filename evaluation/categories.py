"""The challenge's categories of findings: one table of their codes, with names and kinds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How lesions of a category usually lie, which decides how their distance is measured: see metrics.distances."""

    FOCAL = "focal"
    NON_FOCAL = "non_focal"


_KINDS = {"1": Kind.NON_FOCAL, "2": Kind.FOCAL}


@dataclass(frozen=True)
class Category:
    """`label` is its name on pages; `short_label`, of 14 characters at most, is that in narrow tables."""

    code: str
    label: str
    short_label: str

    @property
    def kind(self) -> Kind:
        """What the first character of the code says."""
        return _KINDS[self.code[0]]


CATEGORIES = {
    category.code: category
    for category in (
        Category("1a", "Bronchial wall thickening", "bronchial wall"),
        Category("1b", "Bronchiectasis", "bronchiectasis"),
        Category("1c", "Emphysema", "emphysema"),
        Category("1d", "Septal thickening", "septal"),
        Category("1e", "Micronodules", "micronodules"),
        Category("1f", "Other non-focal", "other"),
        Category("2a", "Linear opacity", "linear"),
        Category("2b", "Atelectasis, consolidation", "consolidation"),
        Category("2c", "Ground-glass opacity", "ground-glass"),
        Category("2d", "Nodules and masses", "nodule, mass"),
        Category("2e", "Pleural effusion, thickening", "pleural"),
        Category("2f", "Honeycombing", "honeycombing"),
        Category("2g", "Pneumothorax", "pneumothorax"),
        Category("2h", "Other focal", "other"),
    )
}
"""By code, in order: 1x typically non-focal, 2x typically focal."""


def kind_of(code: str | None) -> Kind | None:
    """The kind of a category, also of a code 1x or 2x that the table lacks: a team's own data may have others.

    None for any other code, and without one.

    >>> import evaluation
    >>> str(evaluation.kind_of("2d")), str(evaluation.kind_of("1c")), evaluation.kind_of(None)
    ('focal', 'non_focal', None)
    """
    return _KINDS[code[0]] if code is not None and re.fullmatch(r"[12][a-z]", code) else None
