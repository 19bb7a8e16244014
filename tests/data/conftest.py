"""Small synthetic sets, made once per test session."""

from pathlib import Path

import pytest

from redistill.video.catalog import Catalog, open_catalog
from redistill.video.synthetic import SyntheticSpec, ensure


@pytest.fixture(scope="session")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sets")


@pytest.fixture(scope="session")
def small_spec() -> SyntheticSpec:
    return SyntheticSpec(world="motion_led", per_class=(3, 1, 2))


@pytest.fixture(scope="session")
def small_set(sets: Path, small_spec: SyntheticSpec) -> Path:
    return ensure(small_spec, root=sets)


@pytest.fixture
def small(sets: Path, small_set: Path) -> Catalog:
    return open_catalog("synthetic", sets, world="motion_led", per_class=(3, 1, 2))
