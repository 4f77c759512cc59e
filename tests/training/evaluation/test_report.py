"""Tables for reading, in columns."""

import numpy as np

from training.evaluation.metrics import Classified
from training.evaluation.report import class_tables, score_line

TABLES = r"""
  class           precision  recall      f1  support
  not_paraphrase     1.0000  0.5000  0.6667        2
  paraphrase         0.5000  1.0000  0.6667        1
  gold \ predicted  not_paraphrase  paraphrase
  not_paraphrase                 1           1
  paraphrase                     0           1
"""


def test_tables() -> None:
    found = Classified.of_paraphrase(np.array([0.1, 0.9, 0.8]), np.array([False, False, True]))
    assert class_tables(found) == TABLES.strip("\n")
    assert score_line({"accuracy": 2 / 3, "f1": 1.0}) == "accuracy 0.6667, f1 1.0000"
