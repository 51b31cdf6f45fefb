"""A challenge of small cases with up to nine findings, whose Dice are uneven numbers."""

import json
from pathlib import Path

import numpy as np

from tests.evaluation import builders


def challenge(root: Path, cases: int) -> list[str]:
    """Make its folders, and give the arguments that score them, but for the outputs."""
    for folder in ("gt", "pred", "ct"):
        (root / folder).mkdir()
    entries = []
    for number in range(cases):
        findings, name = 2 + number % 8, f"case_{number:04d}.nii.gz"
        case(root, name, findings, number)
        keys = [str(key) for key in range(findings)]
        categories = {key: ("1a", "2c", "2d")[int(key) % 3] for key in keys}
        entries.append({"name": name, "findings": dict.fromkeys(keys, "x"), "categories": categories})
    (root / "dataset.json").write_text(json.dumps({"val": entries}))
    folders = (f"--{name}={root / folder}" for name, folder in (("gt_dir", "gt"), ("pred_dir", "pred")))
    return [*folders, f"--ct_dir={root / 'ct'}", f"--dataset_json={root / 'dataset.json'}"]


def case(root: Path, name: str, findings: int, seed: int) -> None:
    """The masks of a case, and a volume beside them."""
    rng = np.random.default_rng(seed)
    reference = np.zeros((findings, 12, 13, 14), np.uint8)
    prediction = np.zeros_like(reference)
    for channel in range(findings):
        h, w, d = rng.integers(3, 9, 3)
        reference[channel, :h, :w, :d] = 1 + (np.arange(h) > 2)[:, None, None]
        prediction[channel, int(rng.integers(0, 3)) : h, : w - 1, int(rng.integers(0, 2)) : d] = 1
    builders.mask_file(root / "gt" / name, reference)
    builders.mask_file(root / "pred" / name, prediction)
    volume = np.zeros(reference.shape[1:], np.int16)
    builders.mask_file(root / "ct" / name, volume, pixdim=[1, 0.7, 0.8, 2.5, 0, 0, 0, 0])
