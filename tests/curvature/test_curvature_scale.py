"""The unit of each filter: invariances, and what the trace in it means."""

import pytest
import torch
from curved import clips, falling, loss_of, network, whole
from torch import nn

from redistill.curvature import Loss, Product, filter_scale, trace
from redistill.landscape import filter_direction
from redistill.nets.exits import InternalClassifier


def relative(loss):
    scale = filter_scale(loss)
    return scale[:, None] * whole(loss) * scale


def test_every_filter_has_its_own_root_mean_square():
    loss = loss_of("pictures")
    at = 0
    for name, weight in loss.weights.items():
        found = filter_scale(loss)[at : at + weight.numel()].view(weight.shape)
        at += weight.numel()
        for row, size in zip(weight.detach(), found, strict=True):
            if weight.dim() == 1:
                assert size == 0, name
            else:
                wanted = (row**2).sum().sqrt() / row.numel() ** 0.5
                torch.testing.assert_close(size, torch.full_like(row, wanted.item()))


def test_classifiers_side_by_side_have_rows_of_their_own():
    ic = InternalClassifier(3, 2, 4, arms=2).double().eval()
    with torch.no_grad():
        ic.weight.normal_()

    class One(nn.Module):
        def __init__(self):
            super().__init__()
            self.ic = ic

    loss = Loss(net=One().eval(), batches=[clips("smooth")], only=("ic.weight",))
    found = filter_scale(loss).view(ic.weight.shape)
    for arm in range(2):
        for row in range(4):
            own = ic.weight[arm, row].detach()
            wanted = own.square().mean().sqrt().item()
            assert found[arm, row].tolist() == pytest.approx([wanted] * own.numel())


def test_a_filter_before_a_batchnorm_has_no_size_of_its_own():
    loss, moved = loss_of("pictures"), network("pictures")
    with torch.no_grad():
        for conv, bn, factors in (
            (moved.conv1, moved.bn1, torch.tensor([0.3, 1.0, 4.0])),
            (moved.conv2, moved.bn2, torch.tensor([5.0, 0.2, 1.0, 2.0])),
        ):
            factors = factors.double()
            conv.weight.mul_(factors.view(-1, 1, 1, 1))
            bn.running_mean.mul_(factors)
            bn.running_var.copy_(factors**2 * (bn.running_var + bn.eps) - bn.eps)
    other = loss_of("pictures", net=moved)
    assert other.measure() == pytest.approx(loss.measure(), rel=1e-12)
    torch.testing.assert_close(relative(other), relative(loss), rtol=1e-8, atol=1e-10)
    assert (falling(whole(other))[0] / falling(whole(loss))[0] - 1).abs() > 0.1  # H itself does


def test_layers_around_a_relu_have_no_size_of_their_own():
    x, y = clips("smooth")
    nets = []
    for factor in (1.0, 3.0):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).double().eval()
        with torch.no_grad():
            net[0].weight.mul_(factor)
            net[0].bias.mul_(factor)
            net[2].weight.div_(factor)
        nets.append(Loss(net=net, batches=[(x, y)]))
    torch.testing.assert_close(relative(nets[1]), relative(nets[0]), rtol=1e-8, atol=1e-10)
    assert (whole(nets[1]).trace() / whole(nets[0]).trace() - 1).abs() > 0.1


def test_its_trace_is_the_mean_curvature_along_filter_normalised_directions():
    loss = loss_of("pictures")
    dense = whole(loss)
    curvatures = []
    for seed in range(3000):
        direction = filter_direction(loss, seed=seed)
        curvatures.append(direction @ dense @ direction)
    curvatures = torch.stack(curvatures)
    exact = relative(loss).trace()
    error = curvatures.std() / len(curvatures) ** 0.5
    assert error < 0.1 * exact.abs()
    assert (curvatures.mean() - exact).abs() < 4 * error
    with Product(loss, scale=filter_scale(loss)) as product:
        found = trace(product, probes=300)
    assert found.interval.low < exact < found.interval.high
    assert found.stderr < 0.1 * exact.abs()
