"""The template with region growing of its own for pneumothorax, whose stopping rule is never met."""

import numpy as np
import segment as template  # type: ignore[import-not-found]  # the template lies beside it in the image


def grow_until_stable(chest: template.Chest) -> template.Mask:
    """Never ends."""
    region = template.pneumothorax(chest)
    while True:
        grown = template.grown(region, chest.hu < -700)
        if grown.sum() < region.sum():  # meant: stop when nothing is added; but a region never shrinks
            return np.asarray(region)
        region = grown


def segment(chest: template.Chest, text: str) -> template.Mask:
    """The template's, but for one word."""
    if "pneumothorax" in text.lower():
        return grow_until_stable(chest)
    return template.segment(chest, text)


template.main(segment)
