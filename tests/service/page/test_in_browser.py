"""The page in a real browser against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from cmow.service.model.engine import Engine
from cmow.service.model.model import MODES, UNBOUNDED, Mode, Model
from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app
from tests.browser import browser, served
from tests.served import open_engine
from tests.tiny_bundle import TinyBundle

MAX_PAIRS = 6
TIMEOUT = 60_000  # milliseconds: a busy machine is slow and not wrong
REFUSED = "Failed to load resource"  # how the browser itself reports every status of 400 and more
PHONE = {"viewport": {"width": 375, "height": 812}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def engine(tiny_bundle: TinyBundle) -> Engine:
    return open_engine(tiny_bundle, "portable")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def settings(tiny_bundle: TinyBundle) -> Settings:
    return Settings(bundle=tiny_bundle.path, max_pairs=MAX_PAIRS)


@pytest.fixture(scope="module")
def url(settings: Settings, engine: Engine, chromium: Any) -> Iterator[str]:
    with served(create_app(settings, engine)) as url:
        yield url


@dataclass
class Visit:
    """A page that is open, what its console said, and which addresses it asked."""

    page: Any
    console: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    def open(self, url: str) -> Any:
        self.page.on("console", lambda message: self.console.append(message.text))
        self.page.on("pageerror", lambda error: self.console.append(str(error)))
        self.page.on("request", lambda request: self.addresses.append(request.url))
        self.page.goto(url)
        return self.page


@pytest.fixture
def visit(chromium: Any) -> Iterator[Visit]:
    context = chromium.new_context()
    context.set_default_timeout(TIMEOUT)
    visit = Visit(context.new_page())
    yield visit
    context.close()
    assert [line for line in visit.console if REFUSED not in line] == []


def texts(page: Any, selector: str) -> list[str]:
    return [text.replace("\u202f", " ") for text in page.locator(selector).all_inner_texts()]


def test_it_scores_as_the_engine_does(visit: Visit, url: str, engine: Engine) -> None:
    page = visit.open(url)
    page.get_by_label("Sentence", exact=True).fill("A man is playing guitar")
    lines = ["Somebody makes music", "", "  it rains  "]
    page.get_by_label("Compared with").fill("\n".join(lines))
    page.locator("#pairs li .text", has_text="it rains").wait_for()
    pairs = [("A man is playing guitar", "Somebody makes music"), ("A man is playing guitar", "it rains")]
    expected = engine.answer("similarity", pairs)
    shown = [
        float(text.replace("\N{MINUS SIGN}", "-")) for text in texts(page, "#pairs .measure:nth-of-type(1) .value")
    ]
    assert shown == pytest.approx(expected.tolist(), abs=0.00501)
    assert texts(page, "#pairs .text") == ["Somebody makes music", "it rains"]
    shares = [[f"{round(100 * float(share))} %" for share in row] for row in engine.answer("entailment", pairs)]
    for legend, row in zip(texts(page, "#pairs .legend"), shares, strict=True):
        assert [part.split(" ", 1)[1] for part in legend.split("\n")] == row
    assert "tokens in 2 pairs" in page.locator("#timings").inner_text()
    assert "round trip" in page.locator("#timings").inner_text()
    assert "Closest:" in page.locator("#status").inner_text()
    assert not [line for line in visit.console if REFUSED in line]


def test_the_first_example_is_scored_at_once_and_no_other_host_is_asked(visit: Visit, url: str) -> None:
    page = visit.open(url)
    page.locator("#timings td").first.wait_for()
    assert len(texts(page, "#pairs li")) > 1
    assert "tiny" in page.locator("#served").inner_text()
    assert {f"{url}similarity", f"{url}entailment", f"{url}page/page.css"} <= set(visit.addresses)
    assert [address for address in visit.addresses if not address.startswith(url)] == []
    assert visit.console == []


@pytest.mark.parametrize("question", ["same", "check"])
def test_verdicts_are_those_of_the_model(visit: Visit, url: str, engine: Engine, question: str) -> None:
    page, sentence, lines = visit.open(url), "A man is playing guitar", ["it rains", "a man is playing guitar"]
    page.get_by_label("Sentence", exact=True).fill(sentence)
    page.get_by_label("Compared with").fill("\n".join(lines))
    page.locator("#verdict-task").select_option(question)
    page.locator("#verdict-button").click()
    page.locator("#verdicts td").first.wait_for()
    model = Model(engine, UNBOUNDED)
    if question == "same":
        expected = [(match.candidate, match.reason or "the same") for match in model.same(sentence, lines)]
    else:
        expected = [(claim.claim, claim.label) for claim in model.check(sentence, lines)]
    cells = texts(page, "#verdicts td")
    assert list(zip(cells[::3], cells[1::3], strict=True)) == expected
    assert page.locator("#verdict-status").inner_text() == "2 judged."


def test_a_verdict_that_fails_says_why(visit: Visit, url: str) -> None:
    page = visit.open(url)
    page.get_by_label("Compared with").fill("\n".join(["dog"] * (MAX_PAIRS + 1)))
    page.locator("#verdict-button").click()
    alert = page.locator("#verdict-notice")
    alert.filter(has_text="too_many_pairs").wait_for()
    page.get_by_label("Compared with").fill("")
    page.locator("#verdict-button").click()
    alert.filter(has_text="Nothing to judge").wait_for()


def test_text_is_never_markup(visit: Visit, url: str) -> None:
    page = visit.open(url)
    attack = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    page.get_by_label("Compared with").fill(attack)
    page.locator("#pairs .text", has_text="onerror").wait_for()
    assert texts(page, "#pairs .text") == [attack]
    assert page.locator("#pairs img, #pairs script").count() == 0


def test_an_error_names_its_field_and_line_and_goes_away(visit: Visit, url: str) -> None:
    page = visit.open(url)
    area = page.get_by_label("Compared with")
    area.fill("A dog\n\n\u200b")
    alert = page.get_by_role("alert").filter(has_text="empty_text")
    alert.wait_for()
    assert "422 empty_text, in “Compared with”, line 3" in alert.inner_text()
    assert "expected text with at least one token" in alert.inner_text()
    assert area.get_attribute("aria-invalid") == "true"
    area.fill("A dog")
    page.locator("#pairs .text", has_text="A dog").wait_for()
    assert not page.locator("#error").is_visible()
    assert area.get_attribute("aria-invalid") is None


def test_too_many_sentences(visit: Visit, url: str) -> None:
    page = visit.open(url)
    page.get_by_label("Compared with").fill("\n".join(["dog"] * (MAX_PAIRS + 1)))
    page.locator("#error", has_text=f"expected at most {MAX_PAIRS} sentences, got {MAX_PAIRS + 1}").wait_for()


def test_a_long_list_shows_its_beginning_and_all_when_asked(chromium: Any, engine: Engine, settings: Settings) -> None:
    words = [f"dog {'music ' * (row % 5)}" for row in range(30)]
    with served(create_app(settings.model_copy(update={"max_pairs": 30}), engine)) as url:
        page = chromium.new_page()
        page.set_default_timeout(TIMEOUT)
        page.goto(url)
        page.get_by_label("Compared with").fill("\n".join(words))
        page.get_by_role("button", name="Show all 30").wait_for()
        assert len(texts(page, "#pairs li")) == 20
        page.get_by_role("button", name="Show all 30").press("Enter")
        assert len(texts(page, "#pairs li")) == 30
        assert page.evaluate("[...pairs.children].indexOf(document.activeElement)") == 20
        assert not page.get_by_role("button", name="Show all").is_visible()
        page.close()


def test_in_the_order_asked_for(visit: Visit, url: str, engine: Engine) -> None:
    page = visit.open(url)
    page.get_by_label("Sentence", exact=True).fill("A man is playing guitar")
    lines = ["it rains", "A man is playing guitar", "Somebody makes music"]
    page.get_by_label("Compared with").fill("\n".join(lines))
    page.locator("#pairs .text", has_text="it rains").wait_for()
    assert texts(page, "#pairs .text") == lines
    pairs = [("A man is playing guitar", line) for line in lines]
    for order, scores in (
        ("similarity", engine.answer("similarity", pairs)),
        ("entailment", engine.answer("entailment", pairs)[:, 0]),
    ):
        page.get_by_label("Order").select_option(f"by {order}")
        ranked = sorted(zip(scores.tolist(), lines, strict=True), reverse=True)
        assert texts(page, "#pairs .text") == [line for _, line in ranked]


def test_similarity_in_the_mode_asked_for(visit: Visit, url: str, engine: Engine) -> None:
    page = visit.open(url)
    page.get_by_label("Sentence", exact=True).fill("A man is playing guitar")
    page.get_by_label("Compared with").fill("Somebody makes music")
    page.locator("#pairs .text", has_text="Somebody").wait_for()
    pair = [("A man is playing guitar", "Somebody makes music")]
    modes: list[Mode] = ["paraphrase", "relatedness", "cosine"]
    for mode in modes:
        page.get_by_label("Similarity as").select_option(mode)
        page.locator("#pairs .name", has_text=MODES[mode]).wait_for()
        (shown,) = texts(page, "#pairs .measure:nth-of-type(1) .value")
        expected = float(engine.answer(MODES[mode], pair)[0])
        assert float(shown.replace("\N{MINUS SIGN}", "-")) == pytest.approx(expected, abs=0.00501)
        # The mark is a cosine.
        assert page.locator("#pairs .mark").count() == page.locator("#threshold:visible").count() == (mode == "cosine")
        assert f'"mode": "{mode}"' in page.locator("#curl").text_content()


def test_text_from_right_to_left_and_very_long_text(visit: Visit, url: str) -> None:
    page = visit.open(url)
    page.get_by_label("Compared with").fill("שלום עולם\n" + "dog " * 2000)
    page.locator("#pairs .text", has_text="dog dog").wait_for()
    directions = page.locator("#pairs .text").evaluate_all(
        "nodes => nodes.map(node => getComputedStyle(node).direction)"
    )
    assert directions == ["rtl", "ltr"]
    heights = page.locator("#pairs .text").evaluate_all("nodes => nodes.map(node => node.clientHeight)")
    assert heights[1] <= 3 * heights[0] + 1


def test_a_slow_answer_says_so(visit: Visit, url: str) -> None:
    page = visit.open(url)
    page.locator("#timings td").first.wait_for()
    held: list[Any] = []
    page.route("**/similarity", lambda route: held.append(route))
    page.get_by_label("Compared with").fill("A dog")
    page.locator("#results[aria-busy=true]").wait_for()
    title = page.locator("#results-title")
    said = "getComputedStyle(node, '::after')"
    while title.evaluate(f"node => {said}.visibility") != "visible":
        page.wait_for_timeout(20)
    assert "scoring" in title.evaluate(f"node => {said}.content")
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    page.locator("#results[aria-busy=false] .text", has_text="A dog").wait_for()


def test_nothing_typed_asks_for_a_sentence(visit: Visit, url: str) -> None:
    page = visit.open(url)
    page.get_by_label("Compared with").fill(" \n ")
    page.locator("#pairs .empty", has_text="Type a sentence").wait_for()


def test_a_service_that_is_gone(visit: Visit, url: str) -> None:
    page = visit.open(url)
    page.locator("#timings td").first.wait_for()
    page.context.set_offline(True)
    page.get_by_label("Compared with").fill("A dog")
    page.locator("#error", has_text="The service cannot be reached.").wait_for()


def test_only_the_last_of_many_keystrokes_is_shown(visit: Visit, url: str) -> None:
    page = visit.open(url)
    page.locator("#timings td").first.wait_for()
    asked = len(visit.addresses)
    page.get_by_label("Compared with").fill("")
    page.get_by_label("Compared with").press_sequentially("dog music", delay=5)
    page.locator("#pairs .text", has_text="dog music").wait_for()
    assert len(visit.addresses) - asked < 2 * len("dog music")
    assert texts(page, "#pairs .text") == ["dog music"]


def test_by_keyboard_alone(visit: Visit, url: str) -> None:
    page = visit.open(url)
    page.locator("#timings td").first.wait_for()
    order = []
    for _ in range(14):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
        style = page.evaluate("(({outlineStyle, outlineWidth}) => [outlineStyle, outlineWidth])"
                              "(getComputedStyle(document.activeElement))")  # fmt: skip
        assert style == ["solid", "3px"], order[-1]
    assert order[:4] == ["Skip to the results", "API reference", "premise", "hypotheses"]
    assert order[4:9] == ["Onions", "Football", "Dogs in the snow", "mode", "order"]
    assert order[9:] == ["The same from a shell", "verdict-task", "verdict-button", "compare-task", "compare-button"]
    for _ in range(4):
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")  # opens the shell command
    assert page.locator("#curl").is_visible()
    for _ in range(3):
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")  # the last example
    page.locator("#pairs .text", has_text="The dogs are sleeping indoors.").wait_for()


def test_every_control_has_a_name(visit: Visit, url: str) -> None:
    page = visit.open(url)
    page.locator("#timings td").first.wait_for()
    for control in page.locator("textarea, input, select, button, a, summary").all():
        name = control.evaluate("node => node.ariaLabel || node.labels?.[0]?.textContent || node.textContent")
        assert name.strip(), control.evaluate("node => node.outerHTML")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(chromium: Any, url: str, scheme: str) -> None:
    context = chromium.new_context(**PHONE, color_scheme=scheme)
    context.set_default_timeout(TIMEOUT)
    page = context.new_page()
    page.goto(url)
    page.get_by_label("Compared with").fill("a" * 300 + "\nA dog")
    page.locator("#pairs .text", has_text="A dog").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    red, green, blue = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (red + green + blue > 3 * 128) == (scheme == "light")
    context.close()


class NeedsKey:
    """Stands in front of a service and lets only those with the key reach its endpoints."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        public = scope["type"] != "http" or scope["path"] == "/" or scope["path"].startswith("/page/")
        if public or (b"authorization", b"Bearer right") in scope["headers"]:
            await self.app(scope, receive, send)
            return
        error = {"type": "unauthorized", "message": "expected an API key", "param": None}
        await JSONResponse({"error": error}, 401)(scope, receive, send)


def test_an_api_key_is_asked_for_when_one_is_needed(visit: Visit, settings: Settings, engine: Engine) -> None:
    with served(NeedsKey(create_app(settings, engine))) as url:
        page = visit.open(url)
        page.locator("#error", has_text="expected an API key").wait_for()
        page.get_by_label("API key").fill("wrong")
        page.get_by_label("API key").press("Enter")
        page.locator("#error", has_text="401 unauthorized").wait_for()
        page.get_by_label("API key").fill("right")
        page.get_by_role("button", name="Use").click()
        page.locator("#timings td").first.wait_for()
        assert not page.get_by_label("API key").is_visible()
        assert "tiny" in page.locator("#served").inner_text()
        page.close()


def side(name: str, milliseconds: float, scores: list[float] | None) -> dict[str, Any]:
    return {"name": name, "trained": scores is not None, "latency_ms": milliseconds,
            "pairs_per_second": 2e3 / milliseconds, "runs": 5, "scores": scores}  # fmt: skip


COMPARISON = {
    "task": "similarity",
    "pairs": 2,
    "threads": 1,
    "baseline": "distilbert",
    "sides": [
        side("tiny", 0.25, [0.5, -0.25]),
        side("DistilBERT fp32", 200, [0.75, -0.001]),
        side("DistilBERT int8", 0.125, None),
    ],
    "note": "distilbert has no trained head: its times mean something, scores would not.",
}


def compared(page: Any, answer: dict[str, Any]) -> None:
    """What the endpoint answers is given here: a real baseline takes minutes to make."""
    page.route("**/compare", lambda route: route.fulfill(json=answer))
    page.get_by_label("Compared with").fill("A dog\nA cat")
    page.get_by_role("button", name="Compare now").click()
    page.locator("#plot svg").wait_for()


def test_the_comparison_is_drawn_to_scale(visit: Visit, url: str) -> None:
    page = visit.open(url)
    compared(page, COMPARISON)
    widths = [float(bar.get_attribute("width")) for bar in page.locator("#plot rect").all()]
    assert widths == pytest.approx([2, widths[1], 2])  # 1/800 of the longest is less than the 2 pixels that can be seen
    assert widths[1] > 100
    headline = texts(page, "#plot .summary")[0]
    assert headline == (
        "250 µs for these pairs: 800 times faster than DistilBERT fp32, 2 times slower than DistilBERT int8"
    )
    assert texts(page, "#plot .hint") == [COMPARISON["note"]]
    label = page.locator("#plot svg").get_attribute("aria-label").replace("\u202f", " ")
    assert label == "Latency. tiny: 250 µs; DistilBERT fp32: 200 ms; DistilBERT int8: 125 µs"


def test_scores_stand_side_by_side_where_a_baseline_has_any(visit: Visit, url: str) -> None:
    page = visit.open(url)
    compared(page, COMPARISON)
    assert texts(page, "#plot thead tr") == ["\ttiny\tDistilBERT fp32"]
    assert [row.replace("\n", "") for row in texts(page, "#plot tbody tr")] == [
        "A dog\t0.50\t0.75",
        "A cat\t\N{MINUS SIGN}0.25\t0.00",
    ]
    page.unroute("**/compare")
    compared(page, COMPARISON | {"sides": [side("tiny", 1, [0.5, 0.5]), side("DistilBERT int8", 3, None)]})
    page.locator("#plot .summary", has_text="3 times faster").wait_for()
    assert page.locator("#plot table").count() == 0


def test_without_a_baseline_the_page_says_how_to_make_one(visit: Visit, url: str) -> None:
    page = visit.open(url)
    page.locator("#timings td").first.wait_for()
    page.get_by_role("button", name="Compare now").click()
    page.locator("#compare-notice", has_text="python -m export.baseline").wait_for()
    assert page.get_by_role("button", name="Compare now").is_visible()
