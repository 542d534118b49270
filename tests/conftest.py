"""Hypothesis profiles and the browser that the HTML tests share.

`ci`, the default, draws the same examples in every run; `pytest --hypothesis-profile=dev` explores.
"""

import shutil
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright

settings.register_profile("ci", derandomize=True, deadline=None, database=None, max_examples=50)
settings.register_profile("dev", derandomize=False, deadline=None, max_examples=200)
settings.load_profile("ci")


def pytest_runtest_setup() -> None:
    """Every test draws the same random weights, whatever ran before it."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium, as the system's package manager installs it."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.fail(
            "this test needs Chromium: "
            "apt-get install --no-install-recommends chromium fonts-dejavu-core"
        )
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()
