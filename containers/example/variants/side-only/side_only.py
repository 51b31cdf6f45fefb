"""Reads one thing in a finding, its side, and marks everything there that is denser than lung."""

import numpy as np
import segment as template  # type: ignore[import-not-found]  # the template lies beside it in the image


def segment(chest: template.Chest, text: str) -> template.Mask:
    """Whatever is dense on the side that the words name."""
    mask = np.zeros(chest.hu.shape, dtype=bool)
    for side in template.sides_of(text.lower()):
        mask |= chest.lobe(side, "") & chest.cavity & (chest.smooth > -700)
    return template.opened(mask)


template.main(segment)
