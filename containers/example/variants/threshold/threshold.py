"""A single threshold for whatever is asked: everything dense in both lungs. It does not read the finding."""

import segment as template  # type: ignore[import-not-found]  # the template lies beside it in the image


def segment(chest: template.Chest, _text: str) -> template.Mask:
    """One threshold, whatever the words."""
    return chest.cavity & (chest.smooth > -500)


template.main(segment)
