"""The page in a browser: no error, every control works, accessible, readable without a script."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fairlora

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe_package = pytest.importorskip("axe_playwright_python", reason="axe is not installed")

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_AXE = (Path(axe_package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
_VIOLATIONS = (
    "axe.run().then(found => JSON.stringify(found.violations.map("
    "one => [one.id, one.nodes.map(node => node.html.slice(0, 200))])))"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    with sync_api.sync_playwright() as play:
        if program is None and not Path(play.chromium.executable_path).exists():
            pytest.skip("no Chromium is installed")
        started = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def audited() -> fairlora.AuditResult:
    """400 rows of two attributes; group "b" is failed more often, and some names are hostile."""
    rng = np.random.default_rng(0)
    labels, group = rng.integers(0, 2, 400), rng.choice(["a", "b", "<i>c</i>"], 400)
    right = rng.random(400) < np.where(group == "b", 0.6, 0.9)
    predicted = np.where(right, labels, 1 - labels)
    probs = np.where(predicted == 1, 0.5 + rng.random(400) / 2, rng.random(400) / 2)
    other = rng.choice(["x", "'y\""], 400)
    return fairlora.audit(labels, predicted, {"one": group, "two": other}, probs, bootstrap=100)


@pytest.fixture(scope="module")
def pages(
    audited: fairlora.AuditResult, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    audited.to_html(folder / "audit.html", "An audit")
    rng = np.random.default_rng(1)
    labels, group = rng.integers(0, 2, 400), rng.choice(["a", "b"], 400)
    one, two = (np.where(rng.random(400) < right, labels, 1 - labels) for right in (0.95, 0.7))
    found = fairlora.compare(labels, one, two, {"g": group}, bootstrap=100)
    found.to_html(folder / "comparison.html")
    return {path.stem: path for path in folder.iterdir()}


Opened = Callable[..., Any]


@pytest.fixture
def opened(browser: Any, pages: dict[str, Path]) -> Iterator[Opened]:
    """Open a page by name in a fresh context; afterwards nothing may have gone wrong in it."""
    contexts: list[Any] = []
    errors: list[str] = []

    def go(name: str, width: int = 1440, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda one: one.url.startswith("file:") or errors.append(one.url))
        page.goto(pages[name].as_uri())
        return page

    yield go
    for context in contexts:
        context.close()
    assert errors == []


@pytest.mark.parametrize(
    ("name", "scheme", "width"),
    [("audit", "light", 390), ("audit", "dark", 1440), ("comparison", "light", 1440)],
)
def test_the_page_is_accessible_and_fits(
    opened: Opened, name: str, scheme: str, width: int
) -> None:
    page = opened(name, width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # By the debugger, as the page's policy lets no script in but its own.
    session = page.context.new_cdp_session(page)
    session.send("Runtime.evaluate", {"expression": _AXE})
    asked = {"expression": _VIOLATIONS, "awaitPromise": True, "returnByValue": True}
    assert json.loads(session.send("Runtime.evaluate", asked)["result"]["value"]) == []


def test_a_column_sorts_by_its_numbers(opened: Opened) -> None:
    page = opened("audit")
    table = page.locator(".part", has=page.locator("#table-by-one")).locator("table")
    heading = table.get_by_role("columnheader", name="Accuracy")
    first = table.locator("tbody tr").all_inner_texts()

    def accuracies() -> list[float]:
        cells = table.locator("tbody tr td:nth-child(3)").all_inner_texts()
        return [float(cell.split()[0]) for cell in cells]

    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert accuracies() == sorted(accuracies(), reverse=True)
    heading.get_by_role("button").press("Enter")
    assert accuracies() == sorted(accuracies())
    heading.get_by_role("button").click()
    assert table.locator("tbody tr").all_inner_texts() == first


def test_filters_leave_what_is_asked_for(opened: Opened) -> None:
    page = opened("audit")
    page.locator(".tools select").select_option("By two")
    assert page.locator("#topic-by-two").is_visible()
    assert not page.locator("#topic-by-one").is_visible()
    words = page.get_by_label("Metric, method or group")
    words.fill("Equalized odds ratio")
    rows = page.locator(".part .data tbody tr:visible").all_inner_texts()
    assert len(rows) == 1
    assert rows[0].startswith("Equalized odds ratio")
    # A metric that heads a column leaves that column, beside the names of the rows.
    words.fill("precision")
    heads = page.locator(".part", has=page.locator("#table-by-two")).locator("thead th:visible")
    assert [text.strip() for text in heads.all_inner_texts()] == ["two", "Precision"]
    page.get_by_role("button", name="Show all").click()
    assert page.locator("#topic-by-one").is_visible()


def test_rates_follow_the_threshold(opened: Opened, audited: fairlora.AuditResult) -> None:
    page = opened("audit")
    part = page.locator(".part", has=page.locator("#thresholds-rates-by-one-at-other-thresholds"))
    slider = part.get_by_role("slider")
    assert slider.input_value() == "50"
    rows = {
        row.locator("th").inner_text(): row.locator("td").all_inner_texts()
        for row in part.locator(".thresholds tbody tr").all()
    }
    for group, numbers in audited.content.by_group["one"].items():
        asked = (numbers.selection_rate, numbers.tpr, numbers.fpr, numbers.accuracy)
        rates = [f"{100 * number.value:.1f}" for number in asked if number.value is not None]
        assert rows[group] == [f"{numbers.n:,}", *rates]
    slider.fill("0")
    assert part.locator(".thresholds tbody tr td:nth-child(3)").all_inner_texts() == ["100.0"] * 3


def test_values_show_where_a_pointer_rests(opened: Opened) -> None:
    page = opened("audit")
    page.locator(".picture .tips rect").first.hover()
    tip = page.locator(".tip")
    assert tip.is_visible()
    assert "n = " in tip.inner_text()


def test_the_keyboard_skips_to_what_was_found(opened: Opened) -> None:
    page = opened("audit")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_all_is_readable_without_a_script_and_in_print(opened: Opened) -> None:
    page = opened("audit", java_script_enabled=False)
    page.emulate_media(media="print")
    for text in (
        "Whom does it fail, by how much",
        "What the data cannot tell",
        "the larger of the gaps between groups in TPR and in FPR",
        "true positive rate: share of the positive class's rows that are predicted so",
    ):
        assert page.get_by_text(text).first.is_visible(), text
    page.emulate_media(media="screen")
    page.get_by_text("The rates at nine thresholds").first.click()
    assert page.get_by_text("selected / TPR / FPR").first.is_visible()
