"""Tests in a real browser: `make test-browser`; `make test` leaves them out."""

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    """Skip these where they were not asked for; what moves every instrument comes last.

    Notebooks are run once: the tests of single instruments want them as they open.
    """
    items.sort(key=lambda item: Path(item.path).name == "test_browser_notebooks.py")
    if os.environ.get("REDISTILL_BROWSER") != "1":
        skip = pytest.mark.skip(reason="in a browser: make test-browser")
        for item in items:
            if HERE in Path(item.path).parents:
                item.add_marker(skip)


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """A running JupyterLab and a browser to look at it."""
    from driver import CHROMIUM, FLAGS, Lab
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        started = Lab(tmp_path_factory.mktemp("lab"), browser)
        try:
            yield started
        finally:
            started.close()
            browser.close()
