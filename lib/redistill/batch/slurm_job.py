"""What Slurm runs for one job of a batch: its worker, ended truthfully when Slurm wants the room.

Slurm asks in one of three ways: by the signal that submitit asked for (time limit, preemption), by
SIGTERM (preemption with a time of grace, ``scancel``), or not at all (SIGKILL).
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from redistill.batch.job import load_batch, log_path

_INTERRUPTED = (128 + signal.SIGTERM, -signal.SIGTERM)  # by its own word, or before it could speak


class SlurmJob:
    """The function that submitit keeps for one job: where its batch is, and its number.

    No more than that is pickled, and never what a run has reached: that lies in the phase cache,
    where the next attempt finds it, so no old pickle can bring an old state back.
    """

    _worker: subprocess.Popen | None = None

    def __init__(self, folder: str, number: int) -> None:
        self.folder, self.number = folder, number

    def __call__(self) -> None:
        """Run the worker to its end, and end with its exit code."""
        code = self._end(self._start())
        if code in _INTERRUPTED and _is_running():
            # Slurm asked the worker, but has not begun to end the job: a preemption in its time
            # of grace, after which nobody might requeue it.  As if we had been asked:
            signal.raise_signal(_asking())
        sys.exit(code if code >= 0 else 128 - code)

    def checkpoint(self) -> Any:
        """Stop the worker, and return what is to be run when Slurm starts the job again.

        Submitit calls this when Slurm asks, from a signal handler in the midst of ``__call__``.
        """
        from submitit.helpers import DelayedSubmission

        if self._worker is not None:
            os.kill(self._worker.pid, signal.SIGTERM)  # not collected yet, so still its pid
            code = self._end(self._worker)
            if code not in _INTERRUPTED:  # it came to its end before; nothing is left to be done
                sys.exit(code if code >= 0 else 128 - code)
        return DelayedSubmission(SlurmJob(self.folder, self.number))

    def _start(self) -> subprocess.Popen:
        batch = load_batch(Path(self.folder))
        log = log_path(batch, batch.jobs[self.number - 1])
        module = ["-P", "-m", "redistill.batch.worker"]  # -P: no module of the folder we are in
        command = [sys.executable, *module, self.folder, str(self.number)]
        # Not while a worker is begun that we could not stop yet.
        signal.pthread_sigmask(signal.SIG_BLOCK, {_asking()})
        with log.open("ab") as out:
            self._worker = subprocess.Popen(
                [*command, "--parent", str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=_be_deaf,
            )
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {_asking()})
        return self._worker

    @staticmethod
    def _end(worker: subprocess.Popen) -> int:
        """Wait for the worker's end; return its exit code, or minus the signal that killed it.

        Popen.wait would hold a lock, which a second wait from the signal handler needs.
        """
        info = os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
        return info.si_status if info.si_code == os.CLD_EXITED else -info.si_status


def _asking() -> signal.Signals:
    """Return the signal by which submitit has itself asked."""
    return signal.Signals[f"SIG{os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')}"]


def _be_deaf() -> None:
    """Ignore that signal in the worker and all that it begins: Slurm sends it to all of a job."""
    signal.signal(_asking(), signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {_asking()})


def _is_running() -> bool:
    """Return whether Slurm counts this job as running, not as one that it is ending."""
    command = ["squeue", "--noheader", "--format=%T", f"--jobs={os.environ['SLURM_JOB_ID']}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.split() == ["RUNNING"]
