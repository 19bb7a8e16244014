"""What the tests of batches share."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tiny_runs import STARTED


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Kill the batches that a failed test left behind; their runs end with them."""
    yield
    while STARTED:
        batch = STARTED.pop()
        if batch.poll() is None:
            batch.kill()
            batch.wait()
