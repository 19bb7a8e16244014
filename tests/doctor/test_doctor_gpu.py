"""A GPU in every state of disrepair, none of which this machine has: torch is a stand-in."""

import json
import sys
from types import SimpleNamespace

import pytest
import torch

from redistill.doctor import gpu
from redistill.doctor.examine import Asked
from redistill.doctor.finding import FAIL, OK, WARN
from redistill.doctor.known import REFERENCE


@pytest.fixture
def fake(monkeypatch):
    """Puts a stand-in for torch in place: whether it is built for CUDA and sees a device."""

    def place(*, built="12.8", seen=True, devices=1, bf16=True):
        cuda = SimpleNamespace(
            is_available=lambda: seen,
            get_device_name=lambda n: "Fake GPU",
            device_count=lambda: devices,
            mem_get_info=lambda n: (3 * 2**30, 8 * 2**30),
            is_bf16_supported=lambda: bf16,
        )
        stand_in = SimpleNamespace(
            cuda=cuda, version=SimpleNamespace(cuda=built), __version__="9.9"
        )
        monkeypatch.setitem(sys.modules, "torch", stand_in)
        monkeypatch.setattr(gpu, "devices", lambda: devices)

    return place


def test_no_gpu_is_fine_and_says_what_standard_took(fake):
    fake(built=None, seen=False, devices=0)
    found = gpu.check_gpu(Asked(notebook="1_substage_kd"))
    assert found.state == OK
    records = [json.loads(path.read_text()) for path in REFERENCE.glob("1-*/record.json")]
    minutes = [one["seconds"] / 60 for one in records]
    assert f"{min(minutes):.0f} to {max(minutes):.0f} minutes with one thread" in found.found


def test_a_gpu_beside_a_torch_for_the_cpu_warns(fake):
    fake(built=None, seen=False, devices=2)
    found = gpu.check_gpu(Asked())
    assert found.state == WARN
    assert "2 NVIDIA GPU" in found.found
    assert "TORCH_INDEX" in found.todo


def test_a_gpu_that_torch_for_cuda_does_not_see_warns(fake, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    fake(seen=False)
    found = gpu.check_gpu(Asked())
    assert found.state == WARN
    assert "CUDA_VISIBLE_DEVICES is ''" in found.found


def test_a_gpu_on_which_kernels_fail_fails(fake, monkeypatch):
    def broken(_):
        raise RuntimeError("CUDA error: no kernel image is available\nmore")

    fake()
    monkeypatch.setattr(gpu, "difference", broken)
    found = gpu.check_gpu(Asked())
    assert found.state == FAIL
    assert "no kernel image is available" in found.found
    assert "-p device cpu" in found.todo


@pytest.mark.parametrize(
    ("off", "bf16", "state"),
    [(1e-6, True, OK), (1e-6, False, WARN), (0.5, True, FAIL), (float("nan"), True, FAIL)],
)
def test_a_gpu_is_judged_by_what_it_computes(fake, monkeypatch, off, bf16, state):
    fake(bf16=bf16)
    monkeypatch.setattr(gpu, "difference", lambda _: off)
    found = gpu.check_gpu(Asked())
    assert found.state == state
    assert "Fake GPU, 3.0 of 8.0 GiB free" in found.found


def test_the_step_that_is_compared_is_the_same_on_one_device():
    assert gpu.difference(torch, "cpu") == 0


def test_devices_are_counted_by_the_drivers_folder(tmp_path):
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / name).mkdir()
    assert gpu.devices(tmp_path) == 2
