"""The page's files as a client without a browser sees them."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from cmow.service.page import ASSETS, HEADERS

TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
NAMES = sorted(path.name for path in ASSETS.iterdir())


@pytest.mark.parametrize("path", ["/", *(f"/page/{name}" for name in NAMES)])
def test_every_file_has_its_type_and_the_headers(client: TestClient, path: str) -> None:
    reply = client.get(path)
    assert reply.status_code == 200
    suffix = re.sub(r".*(\.\w+)$|^/$", r"\1", path) or ".html"
    assert reply.headers["content-type"].split(";")[0] == TYPES[suffix]
    assert HEADERS.items() <= reply.headers.items()


def test_head(client: TestClient) -> None:
    reply = client.head("/")
    assert (reply.status_code, reply.content) == (200, b"")
    assert int(reply.headers["content-length"]) == (ASSETS / "index.html").stat().st_size


@pytest.mark.parametrize("path", ["/", "/page/page.js"])
def test_a_file_that_the_client_has_is_not_sent_again(client: TestClient, path: str) -> None:
    etag = client.get(path).headers["etag"]
    reply = client.get(path, headers={"if-none-match": etag})
    assert (reply.status_code, reply.content) == (304, b"")
    assert HEADERS.items() <= reply.headers.items()
    assert client.get(path, headers={"if-none-match": '"another"'}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/page",
        "/page/",
        "/page/nothing.js",
        "/page/../__init__.py",
        "/page/%2e%2e/__init__.py",
        "/page/..%2f__init__.py",
        "/page/%00",
        "/page//etc/passwd",
        "/page/" + "x" * 300,
    ],
)
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    reply = client.get(path)
    assert reply.status_code == 404
    assert reply.json()["error"]["type"] == "not_found"


@pytest.mark.parametrize("path", ["/", "/page/page.js"])
def test_files_are_only_read(client: TestClient, path: str) -> None:
    reply = client.post(path, json={})
    assert reply.status_code == 405
    assert reply.json()["error"]["type"] == "method_not_allowed"


@pytest.mark.parametrize("name", NAMES)
def test_no_file_names_another_host(name: str) -> None:
    text = (ASSETS / name).read_text(encoding="utf-8")
    assert set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"')]*", text)) <= {
        "http://www.w3.org/2000/svg"  # a name, never fetched
    }


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".js")])
def test_no_script_parses_markup(name: str) -> None:
    text = (ASSETS / name).read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text)
