"""A report as a browser shows it: it asks for nothing, complains of nothing, and answers the pointer."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.core.reports import render
from tests.core.measured_files import int8_job
from tests.core.reports.test_layers import WEIGHTS, layer, with_layers
from tests.core.reports.test_reports import NASTY

CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a network whose name and layers' names are hostile, with every kind of chart and table."""
    data = with_layers(layer(NASTY[:199], 20, 10, WEIGHTS), layer("conv", 30, 10))
    siblings = int8_job(int8_milliseconds=1.4).result()
    result = data.result.model_copy(update={"artifacts": siblings.artifacts, "warnings": (NASTY,)})
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(data.model_copy(update={"result": result, "model_name": NASTY}), "report.html"))
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_it_asks_no_host_has_no_error_and_fits(browser: Any, report: Path, scheme: str, width: int) -> None:
    page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(report.as_uri())
    page.locator("[aria-roledescription=bar]").first.hover()
    assert asked == [report.as_uri()]
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 28)"}[scheme]


def test_the_pointer_shows_figures_and_finds_their_like(browser: Any, report: Path) -> None:
    page = browser.new_page()
    page.goto(report.as_uri())
    bar = page.locator("[aria-label^='model.onnx: 1.00 MB'][aria-roledescription=bar]")
    bar.hover()
    assert page.locator(".tip").inner_text() == "model.onnx: 1.00 MB"
    faint = page.locator("figure svg .faint").evaluate_all("marks => marks.map(mark => mark.ariaLabel)")
    assert any(label.startswith("upload: ") for label in faint)
    assert not any(label.startswith("model.onnx: ") for label in faint)
    page.mouse.move(0, 0)
    assert page.locator(".tip").is_hidden()
    assert page.locator("figure svg .faint").count() == 0


def test_tables_are_put_into_the_order_of_a_column(browser: Any, report: Path) -> None:
    page = browser.new_page()
    page.goto(report.as_uri())
    table = page.locator("table.sortable", has_text="Same answers")
    names = table.locator("tbody td:first-child")
    table.get_by_role("button", name="A call").click()
    assert names.all_inner_texts() == ["model.float32.onnx", "model.onnx (best)", "upload"]
    table.get_by_role("button", name="Size").click()
    table.get_by_role("button", name="Size").click()
    assert names.all_inner_texts()[-1] == "model.onnx (best)"


def test_nothing_of_an_upload_runs_even_where_it_gets_into_the_page(browser: Any, report: Path) -> None:
    """The policy holds by itself: an image with a handler, put there on purpose, does nothing."""
    broken = report.with_name("broken.html")
    broken.write_text(
        report.read_text().replace("<main>", "<main><img src=x onerror='document.title = 1'><script>x</script>")
    )
    page = browser.new_page()
    page.goto(broken.as_uri())
    assert page.title() != "1"


def test_it_prints(browser: Any, report: Path) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto(report.as_uri())
    assert page.pdf().startswith(b"%PDF")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
