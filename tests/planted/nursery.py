"""Runs pytest in forks of a process that has imported what takes seconds, but nothing of ours.

Reads a line of JSON for each run, {"path": folder that comes first on the path, "args": [...]},
and answers with one, {"code": exit code, "output": text}.
"""

import json
import os
import sys
import tempfile

import hypothesis  # noqa: F401
import nbval.plugin  # noqa: F401
import numpy  # noqa: F401
import pandas  # noqa: F401
import pytest
import scipy.stats  # noqa: F401
import seaborn  # noqa: F401
import torch  # noqa: F401


def main() -> None:
    """Answer until the input ends."""
    assert "redistill" not in sys.modules, "a fork would test the library without its defect"
    for line in sys.stdin:
        asked = json.loads(line)
        with tempfile.TemporaryFile("w+") as output:
            if (child := os.fork()) == 0:
                run(asked, output.fileno())
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            output.seek(0)
            print(json.dumps({"code": code, "output": output.read()}), flush=True)


def run(asked: dict, output: int) -> None:
    """Run pytest in this fork, and end it."""
    code = 99  # pytest itself knows 0 to 5
    try:
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        sys.path.insert(0, asked["path"])
        os.environ["PYTHONPATH"] = asked["path"]  # of what the tests start
        code = int(pytest.main(asked["args"]))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
