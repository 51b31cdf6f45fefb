"""The groups of findings that a board can rank by: all, by kind, by size, and the categories of the challenge."""

from evaluation import CATEGORIES, Kind, SizeGroup

ALL = "all"
GROUPS: dict[str, str] = {
    ALL: "All findings",
    Kind.FOCAL: "Focal",
    Kind.NON_FOCAL: "Non-focal",
    SizeGroup.SMALL: "Small",
    SizeGroup.MEDIUM: "Medium",
    SizeGroup.LARGE: "Large",
    **{code: category.label for code, category in CATEGORIES.items()},
}


def categories_of(kind: Kind) -> list[tuple[str, str]]:
    """Code and label of the categories of this kind."""
    return [(code, category.label) for code, category in CATEGORIES.items() if category.kind is kind]
