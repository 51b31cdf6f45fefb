"""Results of cases as algorithms of any quality get them."""

from hypothesis import strategies as st

from evaluation import CATEGORIES, CaseStatus
from tests.evaluation import builders

counts = st.integers(0, 40)
fractions = st.floats(0, 1)


@st.composite
def finding_results(draw, channel):
    """A finding; of some no distance is measured, some have no category."""
    tp, fp, fn = draw(counts), draw(counts), draw(counts)
    distance = draw(st.none() | st.tuples(counts, counts, counts))
    category = draw(st.none() | st.sampled_from(sorted(CATEGORIES)))
    more = {"dice": draw(fractions), "dice_raw": draw(fractions), "distance": distance}
    return builders.finding_result(category, tp=tp, fp=fp, fn=fn, key=str(channel), **more)


@st.composite
def case_results(draw, most_cases=8):
    """The results of some cases, in any order; the dataset may leave channels out."""
    names = draw(st.lists(st.text("abAB_0é", min_size=1, max_size=6), min_size=1, max_size=most_cases, unique=True))
    made = []
    for name in names:
        channels = sorted(draw(st.sets(st.integers(0, 9999), min_size=1, max_size=12)))
        findings = [draw(finding_results(channel)) for channel in channels]
        status = draw(st.sampled_from([one.value for one in CaseStatus]))
        made.append({**builders.case_result(name, *findings), "status": status})
    return made
