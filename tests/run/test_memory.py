import os
import subprocess
import sys

from redistill.running.memory import MemoryWatch, OomWatch, oom_files


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_group_of_version_2_is_found(tmp_path):
    write(tmp_path / "proc/self/cgroup", "0::/job/step\n")
    events = write(tmp_path / "sys/fs/cgroup/job/step/memory.events", "oom 2\noom_kill 1\n")
    write(tmp_path / "proc/vmstat", "oom_kill 7\n")
    assert oom_files(tmp_path) == (events,)


def test_the_group_of_version_1_is_found_at_the_root_of_a_container(tmp_path):
    write(tmp_path / "proc/self/cgroup", "4:memory:/docker/abc\n1:cpu:/docker/abc\n0::/\n")
    control = tmp_path / "sys/fs/cgroup/memory/memory.oom_control"
    write(control, "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n")
    assert oom_files(tmp_path) == (control,)


def test_the_whole_machine_is_the_last_resort(tmp_path):
    write(tmp_path / "proc/self/cgroup", "0::/\n")
    assert oom_files(tmp_path) == (tmp_path / "proc/vmstat",)


def test_only_a_count_that_rose_lately_counts(tmp_path):
    events = write(tmp_path / "memory.events", "oom_kill 3\n")
    watch = OomWatch([events])
    assert not watch.risen()
    write(events, "oom_kill 4\n")
    assert watch.risen()
    for _ in range(10):
        watch.sample()
    assert not watch.risen()


def test_the_peak_is_of_the_process_and_its_children():
    size = 60 << 20
    code = f"x = bytearray({size}); print(flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as child:
        child.stdout.readline()
        own = MemoryWatch()
        own.sample(child.pid)
        tree = MemoryWatch()
        tree.sample(os.getpid())
        child.communicate(b"\n")
    assert size < own.peak < 3 * size
    assert tree.peak > own.peak
    tree.sample(child.pid)  # gone: no error, and the peak stays
