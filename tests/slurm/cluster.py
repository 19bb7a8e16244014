"""A real Slurm of one node on this machine's loopback, for as long as a block runs.

It lies in a folder of its own: configuration, key, ports, logs.  Nothing of an installed Slurm is
read or changed.  Its daemons are children of this process and die with it.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from redistill.running.kernel_main import die_with_parent

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
CORES = 2  # whatever the machine has; so that it is the same cluster everywhere
_DAEMONS = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
_FOREIGN = ("SLURM_", "SBATCH_", "SQUEUE_", "SCANCEL_", "SINFO_")

# cred_expire: what a requeued job waits before it starts again (120 s unless told; 6 is the least).
# Preemption: a job of "low" gets the signal that it asked for and GraceTime seconds to end; one of
# "harsh" is cancelled at once, and not requeued by Slurm.
_CONF = """\
ClusterName=redistill
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={node}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=6
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdSpoolDir={folder}/spool
StateSaveLocation={folder}/state
SlurmctldParameters=preempt_send_user_signal
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,sched_min_interval=0,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
JobRequeue=1
KillWait=10
ReturnToService=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
NodeName=localhost NodeAddr=127.0.0.1 CPUs={cores} RealMemory=4000 Gres=gpu:1 State=UNKNOWN
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=60
PartitionName=harsh Nodes=ALL PriorityTier=1 PreemptMode=CANCEL GraceTime=0
PartitionName=high Nodes=ALL PriorityTier=10 PreemptMode=OFF
"""


class Missing(Exception):
    """What is not here that a Slurm needs."""


def check() -> None:
    """Raise Missing, saying what to do, if no Slurm can be brought up here."""
    absent = [name for name in PROGRAMS if not shutil.which(name, path=_DAEMONS)]
    if absent:
        raise Missing(f"not installed: {', '.join(absent)}; apt install slurm-wlm munge")
    if os.geteuid() != 0:
        raise Missing("slurmd starts jobs for others, so this must run as root (in a container)")


@contextmanager
def cluster() -> Iterator[dict[str, str]]:
    """Bring up a Slurm; yield the environment in which its commands and `redistill` find it.

    Raises:
        Missing: something is not installed, or this is not root.
        RuntimeError: a daemon does not start; its log is in the message.
    """
    check()
    # Short, because sockets lie in it; others may pass through it, as munge insists.
    folder = Path(tempfile.mkdtemp("", "rd-slurm-"))
    folder.chmod(0o711)
    daemons: list[subprocess.Popen] = []
    env = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    env |= {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": _DAEMONS}
    try:
        _configure(folder)
        _start_daemons(folder, env, daemons)
        yield env
    finally:
        _end_all(folder, env, daemons)
        shutil.rmtree(folder, ignore_errors=True)


def processes_of(env: Mapping[str, str]) -> list[str]:
    """Return the processes that belong to a cluster: its daemons, steps, jobs and all they began.

    Each has the path of its configuration in its environment.
    """
    mark, found = f"SLURM_CONF={env['SLURM_CONF']}".encode(), []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in path.read_bytes().split(b"\0"):
                command = (path.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found.append(f"{path.parent.name} {command.strip()}")
    return found


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> object:
    """Return what ``condition`` returns once it is true; RuntimeError if it never is."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.1)
    raise RuntimeError(f"{what}: waited {seconds:g} s in vain")


def _configure(folder: Path) -> None:
    ports = dict(zip(("control", "node"), _free_ports(2), strict=True))
    (folder / "slurm.conf").write_text(_CONF.format(folder=folder, cores=CORES, **ports))
    (folder / "gres.conf").write_text("NodeName=localhost Name=gpu File=/dev/null\n")
    for name in ("spool", "state"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.touch(0o600)
    key.write_bytes(os.urandom(1024))


def _start_daemons(folder: Path, env: Mapping[str, str], daemons: list[subprocess.Popen]) -> None:
    """Start each daemon once the one before it answers."""
    files = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    munge = [f"--{option}={folder}/munge.{name}" for option, name in files.items()]
    _start(["munged", "-F", f"--key-file={folder}/munge.key", *munge], folder, env, daemons)
    _ready(lambda: (folder / "munge.socket").exists(), folder, daemons)
    _start(["slurmctld", "-D", "-i"], folder, env, daemons)
    _ready(lambda: "UP" in _ask(env, "scontrol", "ping"), folder, daemons)
    _start(["slurmd", "-D", "-N", "localhost"], folder, env, daemons)
    _ready(lambda: "idle" in _ask(env, "sinfo", "-h", "-o", "%T"), folder, daemons)


def _start(
    command: list[str], folder: Path, env: Mapping[str, str], daemons: list[subprocess.Popen]
) -> None:
    program = shutil.which(command[0], path=_DAEMONS)
    with (folder / f"{command[0]}.out").open("w") as out:
        daemons.append(
            subprocess.Popen(
                command,
                executable=program,
                env=env,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for us, who then take them down in order
                preexec_fn=die_with_parent,
            )
        )


def _ready(condition: Callable[[], object], folder: Path, daemons: list[subprocess.Popen]) -> None:
    def ready() -> object:
        if daemons[-1].poll() is not None:
            raise RuntimeError("it ended by itself")
        return condition()

    name = Path(daemons[-1].args[0]).name
    try:
        wait_until(ready, 30, "no answer")
    except RuntimeError as error:
        logs = (path for pattern in ("*.out", "*.log") for path in sorted(folder.glob(pattern)))
        told = "".join(f"\n--- {path.name}\n{path.read_text()[-3000:]}" for path in logs)
        raise RuntimeError(f"{name} does not start: {error}{told}") from error


def _end_all(folder: Path, env: Mapping[str, str], daemons: list[subprocess.Popen]) -> None:
    """End jobs, then daemons in turn, then whatever is left."""
    _ask(env, "scancel", "--user", "root")
    with suppress(RuntimeError):
        wait_until(lambda: not _ask(env, "squeue", "-h"), 20, "jobs do not end")
    for daemon in reversed(daemons):
        daemon.terminate()
        try:
            daemon.wait(timeout=10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
    for line in processes_of(env):
        with suppress(ProcessLookupError):
            os.kill(int(line.split()[0]), signal.SIGKILL)


def _ask(env: Mapping[str, str], *command: str) -> str:
    """Return what a command of Slurm prints; "" if it fails."""
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
