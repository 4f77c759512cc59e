from __future__ import annotations

import pytest

from cmow.service import errors


def tree(kind: type[errors.CmowError]) -> list[type[errors.CmowError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in tree(child))]


def test_the_docstring_draws_the_whole_tree() -> None:
    drawn = [line.strip(" │├└─").split()[0] for line in (errors.__doc__ or "").splitlines() if "Error" in line]
    assert sorted(drawn) == sorted(kind.__name__ for kind in tree(errors.CmowError))


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.CmowError, 500),
        (errors.InferenceError, 500),
        (errors.NotReadyError, 503),
        (errors.MalformedBodyError, 400),
        (errors.BodyTooLargeError, 413),
        (errors.MediaTypeError, 415),
        (errors.InvalidInputError, 422),
        (errors.EmptyTextError, 422),
    ],
)
def test_status(kind: type[errors.CmowError], status: int) -> None:
    assert errors.status_of(kind) == status


def test_no_two_request_errors_share_a_type() -> None:
    types = [kind.type for kind in tree(errors.RequestError) if "type" in vars(kind)]
    assert len(types) == len(set(types))
    assert sorted(types) == sorted(
        name for status, names in errors.error_types().items() if status < 500 for name in names
    )
