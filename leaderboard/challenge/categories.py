"""The groups of findings that a board can rank by: all, by kind, by size, and the categories of the challenge."""

CATEGORIES = {
    "1a": "Bronchial wall thickening",
    "1b": "Bronchiectasis",
    "1c": "Emphysema",
    "1d": "Septal thickening",
    "1e": "Micronodules",
    "1f": "Other non-focal",
    "2a": "Linear opacity",
    "2b": "Atelectasis, consolidation",
    "2c": "Ground-glass opacity",
    "2d": "Nodules and masses",
    "2e": "Pleural effusion, thickening",
    "2f": "Honeycombing",
    "2g": "Pneumothorax",
    "2h": "Other focal",
}
NON_FOCAL, FOCAL = "1", "2"  # first character of a category's code

ALL = "all"
GROUPS = {
    ALL: "All findings",
    "focal": "Focal",
    "non_focal": "Non-focal",
    "small": "Small",
    "medium": "Medium",
    "large": "Large",
    **CATEGORIES,
}


def categories_of(kind: str) -> list[tuple[str, str]]:
    """Code and label of the categories that are typically FOCAL or NON_FOCAL."""
    return [(code, label) for code, label in CATEGORIES.items() if code.startswith(kind)]
