"""Pictures without video."""

import pytest
from drawn import drawn_feed

from redistill.feed import Feed


@pytest.fixture
def feed() -> Feed:
    return drawn_feed()
