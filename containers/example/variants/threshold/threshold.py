"""A single threshold for whatever is asked: everything dense in both lungs. It does not read the finding.

The threshold is this algorithm's only weight. It comes apart from the image, as the 8 GB of a real model may.
"""

import json

import segment as template  # type: ignore[import-not-found]  # the template lies beside it in the image


def segment(chest: template.Chest, _text: str) -> template.Mask:
    """One threshold, whatever the words."""
    threshold = json.loads((template.MODEL / "threshold.json").read_text())["hounsfield_units"]
    return chest.cavity & (chest.smooth > threshold)


template.main(segment)
