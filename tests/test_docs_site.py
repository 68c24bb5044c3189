"""The site as a reader gets it: built without network, no dead link, and driven in a real browser."""

from __future__ import annotations

import functools
import http.server
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parent.parent
DESKTOP = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a build that asked the network for anything would fail."""
    folder = tmp_path_factory.mktemp("site")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, **nowhere, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Page(HTMLParser):
    """What a page links to, loads, and offers as anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value is not None}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.loads.append(given["href"])
        elif tag in ("img", "script", "source", "iframe") and "src" in given:
            self.loads.append(given["src"])


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(site):
    pages = {file: Page(file.read_text(encoding="utf-8")) for file in site.rglob("*.html") if file.name != "404.html"}
    assert len(pages) > 30
    broken = []
    for file, page in pages.items():
        for link in {*page.links, *page.loads}:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                assert link not in page.loads, f"{file.name} loads {link}"
                assert parts.scheme in ("https", "http", "mailto"), link
                continue
            target = Path(os.path.normpath(file.parent / unquote(parts.path))) if parts.path else file
            anchor = unquote(parts.fragment)
            if not target.is_file() or (
                anchor and target in pages and anchor not in {*pages[target].anchors, "__skip"}
            ):
                broken.append(f"{file.relative_to(site)}: {link}")
    assert not broken


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def browser(monkeypatch):
    """Headless Chromium that knows no name of a host and reports what it asks for and complains about."""
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        pytest.skip("chromium and chromedriver are not installed: apt-get install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking",
                     "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--window-size=1280,900"):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(programs[1]))
    yield driver
    driver.quit()


def wait_for(browser, condition):
    """Return what a condition gives once it is true; what moves into its place cannot be clicked before it is there."""
    from selenium.common.exceptions import ElementClickInterceptedException, ElementNotInteractableException
    from selenium.webdriver.support.ui import WebDriverWait

    moving = [ElementClickInterceptedException, ElementNotInteractableException]
    return WebDriverWait(browser, 20, ignored_exceptions=moving).until(condition)


def every(selector: str):
    return lambda browser: browser.find_elements("css selector", selector)


def test_every_page_opens_without_complaint_and_fits_a_desktop_and_a_phone(site, address, browser):
    pages = sorted(str(file.relative_to(site)) for file in site.rglob("*.html"))
    written = [page for page in pages if not page.startswith("reference")]
    for device, page in [*itertools.product([DESKTOP], written), *itertools.product([PHONE], pages)]:
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
        browser.get(address + page)
        width, shown = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert width <= shown, f"{page} is {width} wide on a screen of {shown}"
    assert browser.get_log("browser") == []
    said = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = [m["params"]["request"]["url"] for m in said if m["method"] == "Network.requestWillBeSent"]
    assert {url for url in requests if not url.startswith((address, "data:", "blob:", "about:", "chrome:"))} == set()
    assert len(requests) > len(pages)


def test_a_search_finds_the_page_and_leads_to_it(address, browser):
    browser.get(address + "index.html")
    (field,) = browser.find_elements("css selector", "input.md-search__input")
    field.send_keys("heat map")
    found = wait_for(browser, every(".md-search-result__item a"))
    hits = [link.get_attribute("href") for link in found]
    (hit, *_) = [link for link in hits if "clinicians/reading.html" in link]
    browser.get(hit)
    assert "heat map" in browser.find_element("tag name", "article").text.lower()


def test_the_menu_works_on_a_phone(address, browser):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    browser.get(address + "index.html")
    browser.find_element("css selector", "header label[for=__drawer]").click()
    section = "//nav[contains(@class, 'md-nav--primary')]//a[contains(., 'For clinicians')]/following-sibling::label"
    wait_for(browser, lambda b: b.find_element("xpath", section).click() is None)
    reading = "nav.md-nav--primary a[href$='clinicians/reading.html']"
    wait_for(browser, lambda b: b.find_element("css selector", reading).click() is None)
    assert browser.find_element("tag name", "h1").text.startswith("How to read a report")
