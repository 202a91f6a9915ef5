"""The pages in headless Chromium, over a real port: keys, the marked place, feedback, and a reindex that runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rag_pipelines_tests.client.serving import serving
from rag_pipelines_tests.project import Project
from rag_pipelines_tests.service.browser import CHROMIUM, DRIVER, ENTER, TAB, Browser, opened
from rag_pipelines_tests.service.pages_project import pages_project
from rag_pipelines_tests.service.test_pages import DOCUMENTS, FEEDBACK

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="needs chromium and chromedriver"),
]
QUESTION = "/pages/search?q=thirty+days+of+paid+leave&k=3"
FOCUSED = """
const at = document.activeElement;
return at.tagName + " " + (at.innerText || at.labels?.[0]?.innerText || at.name || at.id || "").split("\\n")[0].trim();
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return pages_project(tmp_path_factory.mktemp("browsed") / "project")


@pytest.fixture(scope="module")
def address(project: Project) -> Iterator[str]:
    with serving(project) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with opened() as found:
        yield found


@pytest.fixture(autouse=True)
def fresh(browser: Browser) -> Iterator[None]:
    """A window of a desk, and nothing that the policy of the page refused."""
    browser.resize(1000, 800)
    browser.log()
    yield
    assert [line for line in browser.log() if "favicon" not in line] == []


def focused(browser: Browser, presses: int) -> list[str]:
    """What has the focus after each press of the tab key."""
    found = []
    for _ in range(presses):
        browser.press(TAB)
        found.append(browser.script(FOCUSED))
    return found


def test_tab_goes_through_the_page_in_its_order_and_skips_to_the_content(
    browser: Browser, address: str
) -> None:
    browser.open(f"{address}/pages/search")
    order = [one for one in focused(browser, 7) if "Write an answer" not in one]
    assert order[:6] == [
        "A Skip to the content",
        "A Search",
        "A Sources",
        "INPUT Question",
        "BUTTON Search",
        "SUMMARY Where to look",
    ]
    browser.open(f"{address}/pages/search")
    browser.press(TAB)
    assert browser.script("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press(ENTER)
    assert browser.script("return document.activeElement.id") == "main"
    browser.press(TAB)
    assert browser.script(FOCUSED) == "INPUT Question"


def test_a_question_is_asked_with_the_keyboard_alone(browser: Browser, address: str) -> None:
    browser.open(f"{address}/pages/search")
    browser.press(*(TAB,) * 4, *"paid leave", ENTER)
    browser.wait("return document.getElementById('passages')")
    assert "q=paid+leave" in browser.script("return location.search")
    assert browser.text("#passage-1") == "Leave policy"


@pytest.mark.skipif(not DOCUMENTS, reason="needs the route that shows a document")
def test_a_citation_opens_its_document_at_the_marked_place(browser: Browser, address: str) -> None:
    browser.open(address + QUESTION)
    browser.click("#passage-1 a")
    place: Any = browser.wait("""
        const mark = document.querySelector("mark#span");
        const box = mark?.getBoundingClientRect();
        return box && scrollY > 0 && {top: box.top, bottom: box.bottom, height: innerHeight, text: mark.innerText,
            colour: getComputedStyle(mark).backgroundColor, focused: document.activeElement === mark};
    """)
    assert "thirty days of paid leave a year 🌴 & <b>more</b>" in place["text"]
    assert place["top"] < place["height"]
    assert place["bottom"] > 0
    assert place["colour"] == "rgb(255, 229, 138)"
    assert place["focused"]


@pytest.mark.skipif(not FEEDBACK, reason="needs the route that keeps feedback")
def test_feedback_is_said_where_one_stands(browser: Browser, address: str) -> None:
    browser.open(address + QUESTION)
    browser.click(".passages li:first-child button[value=yes]")
    assert (
        browser.wait("return document.querySelector('.passages .said').innerText")
        == "Thank you, that is kept."
    )
    assert browser.script("return location.pathname") == "/pages/search"


def test_nothing_is_wider_than_a_small_phone_and_the_dark_is_dark(address: str) -> None:
    with opened("--blink-settings=preferredColorScheme=0", phone=(320, 640)) as phone:
        for path in (QUESTION, "/pages/sources", "/pages/documents/knowledge/nothing"):
            phone.open(address + path)
            assert phone.script("return [innerWidth, document.documentElement.scrollWidth]") == [320, 320], (
                path
            )
        assert phone.script("return getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 27)"


def test_reindex_button_starts_the_job_and_shows_what_became_of_it(
    browser: Browser, address: str, project: Project, tmp_path: Path
) -> None:
    import dagster as dg

    from rag_pipelines_tests.defs.conftest import definitions, execute

    project.write("new.md", "# Bicycles\n\nBicycles are parked in the cellar.\n")
    browser.open(f"{address}/pages/sources")
    browser.click("form[action='/pages/sources/docs/reindex'] button")
    assert browser.wait("return document.querySelector('#status strong')?.innerText") == "pending"
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        sensors = {sensor.name: sensor for sensor in definitions(project).sensors or []}
        ticked: Any = sensors["reindex_requests"](dg.build_sensor_context(instance=instance))
        (asked,) = list(ticked)
        execute(project, "reindex", instance, run_config=asked.run_config, tags=asked.tags)
    assert browser.wait(
        "const is = document.querySelector('#status strong')?.innerText; return is === 'done' && is"
    )
    browser.wait("return !document.querySelector('meta[http-equiv=refresh]')")
    browser.open(f"{address}/pages/search?q=where+are+bicycles+parked&k=1")
    assert browser.text(".passages .uri") == "new.md"
