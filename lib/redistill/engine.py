"""The papermill engine of this suite: papermill's metadata, with the truth in it.

Papermill's own engine marks every cell of a notebook whose kernel died as completed.  This one
marks what ran as run, what did not as pending, and raises.  It imports papermill nowhere, because
papermill imports it (entry point ``papermill.engine``) while it is itself being imported.
"""

from pathlib import Path
from typing import Any


class RedistillEngine:
    """What papermill asks of an engine; ``papermill --engine redistill`` finds it by that name."""

    @classmethod
    def execute_notebook(
        cls,
        nb: Any,
        kernel_name: str,
        output_path: str | None = None,
        execution_timeout: float | None = None,
        start_timeout: float = 60,
        progress_bar: bool | dict = True,
        **options: Any,
    ) -> Any:
        """Execute ``nb`` in place, saving it after each cell, and return it.

        The kernel is the running Python, whatever ``kernel_name`` says.  Beyond papermill's own
        options: ``save`` (called with the notebook instead of writing ``output_path``), ``watch``,
        ``kernel_cwd``, ``env`` and ``budget`` (seconds for the whole notebook).

        Raises:
            RunStopped: the kernel died, time ran out, or a signal asked to stop.  An error in
                the notebook itself does not raise here: papermill raises it afterwards.
        """
        from redistill.execution import Limits, execute
        from redistill.progress import Progress
        from redistill.watch import Watch

        watch = options.get("watch") or Watch(Progress(shown=bool(progress_bar)))
        limits = Limits(cell=execution_timeout, run=options.get("budget"), start=start_timeout)
        return execute(
            nb,
            save=options.get("save") or _saver(output_path),
            watch=watch,
            limits=limits,
            cwd=options.get("kernel_cwd") or Path.cwd(),
            env=options.get("env") or {},
        )

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> str:
        """Return the kernel's name for papermill's parameter translator."""
        return name or "python3"

    @classmethod
    def nb_language(cls, nb: Any, language: str | None = None) -> str:
        """Return the language for papermill's parameter translator."""
        return language or "python"


def _saver(output_path: str | None) -> Any:
    """Return what saves a notebook to papermill's output path; local files atomically."""
    import nbformat

    from redistill.files import write_atomic

    if output_path is None:
        return lambda nb: None
    if "://" in output_path or output_path == "-":
        from papermill.iorw import write_ipynb

        return lambda nb: write_ipynb(nb, output_path)
    return lambda nb: write_atomic(Path(output_path), nbformat.writes(nb))
