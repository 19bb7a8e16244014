"""Which kernels have a spatial frequency, and that they are the network's own."""

import pytest
import torch

from redistill.nets.kernels import stage_kernels
from redistill.nets.video import build_video

NAMES = ("shift18", "shift50", "shift_mobilenet_v2", "r3d_18", "r2plus1d_18")
every = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def build(name, width=4, seed=0):
    return build_video(name, width=width, classes=5, frames=4, seed=seed)


def stage_of(parameter):
    """Return the number of the stage that holds a parameter, by its name; None for the rest."""
    first, number = (*parameter.removeprefix("net.").split("."), "")[:2]
    if first == "features":
        ends = {1: (2, 3), 2: (4, 6), 3: (7, 13), 4: (14, 18)}
        return next((k for k, (a, b) in ends.items() if a <= int(number) <= b), None)
    return int(first[-1]) if first.startswith("layer") else None


def expected(net, stage):
    """Return the weights of a stage whose last two sides are 3, by the name of the parameter."""
    return {
        name: p
        for name, p in net.named_parameters()
        if p.ndim >= 4 and p.shape[-2:] == (3, 3) and stage_of(name) == stage
    }


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("tsn50", [3, 4, 6, 3]),
        ("shift50", [3, 4, 6, 3]),
        ("tsn18", [4, 4, 4, 4]),
        ("shift18", [4, 4, 4, 4]),
        ("tsn_mobilenet_v2", [2, 3, 7, 4]),
        ("shift_mobilenet_v2", [2, 3, 7, 4]),
        ("r3d_18", [4, 4, 4, 4]),
        ("r2plus1d_18", [4, 4, 4, 4]),
    ],
)
@pytest.mark.parametrize("width", [4, 64])
def test_counts_are_those_of_the_specification(name, counts, width):
    with torch.device("meta"):
        kernels = stage_kernels(build(name, width))
    assert [len(stage) for stage in kernels] == counts


@every
def test_all_square_kernels_of_a_stage_and_no_others(name):
    net = build(name)
    for number, found in enumerate(stage_kernels(net), 1):
        wanted = expected(net, number)
        assert len(found) == len(wanted)
        for (path, kernels), (full, parameter) in zip(found.items(), wanted.items(), strict=True):
            assert full.endswith(f".{path}.weight")
            assert kernels.shape[-2:] == (3, 3)
            assert kernels.shape[0] == parameter.shape[0]
            assert kernels.numel() == parameter.numel()
            assert kernels is parameter or parameter.ndim == 5


@pytest.mark.parametrize("name", ["r3d_18", "r2plus1d_18"])
def test_taps_in_time_are_further_input_channels(name):
    net = build(name, 2)
    for number, found in enumerate(stage_kernels(net), 1):
        for kernels, own in zip(found.values(), expected(net, number).values(), strict=True):
            out, wide, taps = own.shape[:3]
            assert kernels.shape == (out, wide * taps, 3, 3)
            for i in range(wide):
                for t in range(taps):
                    assert torch.equal(kernels[:, i * taps + t], own[:, i, t])
            assert taps == (3 if name == "r3d_18" else 1)


@every
def test_gradients_reach_these_parameters_and_no_others(name):
    net = build(name)
    loss = sum(k.square().sum() for stage in stage_kernels(net) for k in stage.values())
    loss.backward()
    taken = {k for stage in range(1, 5) for k in expected(net, stage)}
    for full, parameter in net.named_parameters():
        if full in taken:
            torch.testing.assert_close(parameter.grad, 2 * parameter.detach())
        else:
            assert parameter.grad is None


@every
def test_a_step_shows(name):
    """What is asked for after a step is what the step has made of it."""
    net = build(name)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.25)
    before = [k.detach().clone() for stage in stage_kernels(net) for k in stage.values()]
    for _ in range(2):
        optimiser.zero_grad()
        kernels = [k for stage in stage_kernels(net) for k in stage.values()]
        sum(k.square().sum() for k in kernels).backward()
        optimiser.step()
    after = [k for stage in stage_kernels(net) for k in stage.values()]
    for now, then in zip(after, before, strict=True):
        torch.testing.assert_close(now.detach(), then / 4)


def test_the_stem_and_single_numbers_are_left_out():
    names = [path for stage in stage_kernels(build("r2plus1d_18")) for path in stage]
    assert not any("stem" in path or "downsample" in path for path in names)
    assert all(path.endswith(".0.0") for path in names)  # .0.3 is over time alone
