import json
from pathlib import Path

from leaderboard.demo import cases


def test_one_case_crashes_fragile_and_another_hangs_stuck_and_neither_is_the_first(tmp_path: Path) -> None:
    entries = json.loads(cases.generate_demo(tmp_path).read_text())["test"]
    texts = [" ".join(entry["findings"].values()).lower() for entry in entries]
    crashing = [number for number, text in enumerate(texts) if cases.CRASHES_FRAGILE in text]
    hanging = [number for number, text in enumerate(texts) if cases.HANGS_STUCK in text]
    assert len(entries) == cases.CASES
    assert len(crashing) == len(hanging) == 1
    assert 0 not in crashing + hanging
    assert crashing != hanging
