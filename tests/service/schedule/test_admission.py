from __future__ import annotations

import pytest

from cmow.service.errors import OverloadedError, TooManyTokensError
from cmow.service.schedule.admission import Admission


def test_pairs_up_to_the_limit_come_in_and_no_more() -> None:
    admission = Admission(max_items=4, max_tokens=100, max_request_tokens=1000)
    with admission.admit(3), admission.admit(1):
        assert admission.full
        with pytest.raises(OverloadedError, match="at most 4 pairs waiting, got 1 beside 4"):
            admission.admit(1)
    assert (admission.items, admission.tokens, admission.full) == (0, 0, False)
    with admission.admit(4):
        pass


def test_tokens_up_to_the_limit_come_in_and_no_more() -> None:
    admission = Admission(max_items=10, max_tokens=100, max_request_tokens=1000)
    with admission.admit(1) as first, admission.admit(1) as second:
        first.charge(60)
        second.charge(40)
        assert admission.full
        with (
            admission.admit(1) as third,
            pytest.raises(OverloadedError, match="at most 100 tokens waiting, got 1 beside 100"),
        ):
            third.charge(1)
        assert "at most 100 tokens" in admission.no_room().message
    assert (admission.items, admission.tokens) == (0, 0)


def test_what_is_larger_than_the_limit_waits_for_an_empty_house() -> None:
    admission = Admission(max_items=4, max_tokens=100, max_request_tokens=1000)
    with admission.admit(50) as large:
        large.charge(500)
        with pytest.raises(OverloadedError):
            admission.admit(1)
    with admission.admit(1), pytest.raises(OverloadedError):
        admission.admit(50)


def test_a_request_of_too_many_tokens_never_comes_in() -> None:
    admission = Admission(max_items=4, max_tokens=100, max_request_tokens=70)
    with admission.admit(1) as ticket:
        ticket.charge(70)
    with (
        admission.admit(1) as ticket,
        pytest.raises(TooManyTokensError, match="at most 70 tokens in a request, got 71"),
    ):
        ticket.charge(71)
    assert (admission.items, admission.tokens) == (0, 0)


def test_a_failing_request_gives_its_place_back() -> None:
    admission = Admission(max_items=4, max_tokens=100, max_request_tokens=70)
    ticket = admission.admit(4)
    ticket.__enter__()
    ticket.charge(5)
    ticket.__exit__(RuntimeError, RuntimeError(), None)
    assert (admission.items, admission.tokens) == (0, 0)
