from __future__ import annotations

import pytest

from cmow.service.errors import OverloadedError, TooManyTokensError
from cmow.service.schedule.admission import Admission


def test_pairs_up_to_the_limit_come_in_and_no_more() -> None:
    house = Admission(max_items=4, max_tokens=100, max_request_tokens=1000)
    with house.admit(3), house.admit(1):
        assert house.full
        with pytest.raises(OverloadedError, match="at most 4 pairs waiting, got 1 beside 4"):
            house.admit(1)
    assert (house.items, house.tokens, house.full) == (0, 0, False)
    with house.admit(4):
        pass


def test_tokens_up_to_the_limit_come_in_and_no_more() -> None:
    house = Admission(max_items=10, max_tokens=100, max_request_tokens=1000)
    with house.admit(1) as first, house.admit(1) as second:
        first.charge(60)
        second.charge(40)
        assert house.full
        with (
            house.admit(1) as third,
            pytest.raises(OverloadedError, match="at most 100 tokens waiting, got 1 beside 100"),
        ):
            third.charge(1)
        assert "at most 100 tokens" in house.no_room().message
    assert (house.items, house.tokens) == (0, 0)


def test_what_is_larger_than_the_limit_waits_for_an_empty_house() -> None:
    house = Admission(max_items=4, max_tokens=100, max_request_tokens=1000)
    with house.admit(50) as large:
        large.charge(500)
        with pytest.raises(OverloadedError):
            house.admit(1)
    with house.admit(1), pytest.raises(OverloadedError):
        house.admit(50)


def test_a_request_of_too_many_tokens_never_comes_in() -> None:
    house = Admission(max_items=4, max_tokens=100, max_request_tokens=70)
    with house.admit(1) as ticket:
        ticket.charge(70)
    with house.admit(1) as ticket, pytest.raises(TooManyTokensError, match="at most 70 tokens in a request, got 71"):
        ticket.charge(71)
    assert (house.items, house.tokens) == (0, 0)


def test_a_failing_request_gives_its_place_back() -> None:
    house = Admission(max_items=4, max_tokens=100, max_request_tokens=70)
    ticket = house.admit(4)
    ticket.__enter__()
    ticket.charge(5)
    ticket.__exit__(RuntimeError, RuntimeError(), None)
    assert (house.items, house.tokens) == (0, 0)
