"""The surroundings in which stored notebook outputs are made and compared.

Both sides use the same: no progress lines, one instruction set (numbers differ between vector
units), an empty phase cache (so that every number is computed anew), the data cache kept.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redistill.files import cache_root

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@contextmanager
def surroundings() -> Iterator[dict[str, str]]:
    """Yield the environment for a kernel; its phase cache goes when the block ends."""
    data = cache_root() / "synthetic"
    data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="redistill-") as cache:
        (Path(cache) / "synthetic").symlink_to(data.resolve())
        yield os.environ | {
            "REDISTILL_CACHE": cache,
            "REDISTILL_PROGRESS": "0",
            "ATEN_CPU_CAPABILITY": "avx2",
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "OMP_NUM_THREADS": "1",
        }
