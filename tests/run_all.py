"""All tests: the test files on two workers, beside them the notebooks against their outputs."""

import subprocess
import sys
import tempfile

from quiet import NOTEBOOKS, ROOT, surroundings


def main() -> int:
    """Return 0 if everything passed."""
    pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    notebooks = [*pytest, "--nbval", "-p", "redistill.nbval_rows", "-v", *map(str, NOTEBOOKS)]
    tests = [*pytest, "-n", "2", "--dist", "loadfile", "tests", *sys.argv[1:]]
    with surroundings() as environment, tempfile.TemporaryFile("w+") as log:
        beside = subprocess.Popen(notebooks, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            first = subprocess.run(tests, cwd=ROOT, check=False).returncode
            second = beside.wait()
        finally:
            beside.kill()
        log.seek(0)
        print("\nnotebooks against their stored outputs:\n" + log.read(), flush=True)
    return first or second


if __name__ == "__main__":
    sys.exit(main())
