"""The fitted threshold against trying every cut."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.threshold import best_threshold


@given(
    st.lists(
        st.tuples(st.integers(-9, 9), st.booleans(), st.integers(1, 5)),
        min_size=1,
        max_size=20,
        unique_by=lambda row: row[0],
    )
)
def test_no_cut_is_better(rows: list[tuple[int, bool, int]]) -> None:
    cosine, positive, weight = (np.array(column) for column in zip(*rows, strict=True))
    cosine = cosine / 10

    def right(threshold: float) -> float:
        return float(weight[(cosine >= threshold) == positive].sum())

    threshold = best_threshold(cosine, positive, weight.astype(float))
    assert -1 <= threshold <= 1
    assert right(threshold) == max(right(cut) for cut in np.linspace(-1, 1, 41))
