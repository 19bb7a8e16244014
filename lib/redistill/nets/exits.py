r"""Internal classifiers (ICs): early exits on the features of a frozen network.

Source: spec/progressive.md 3.1.  IC k reads what leaves stage k, detached:

$$z_k = \tfrac1S \sum_s W_k\, \mathrm{pool}_{4\times4}(\mathrm{BN}(\mathrm{conv}(h_{k,s}))) + b_k.$$

No non-linearity inside.  The classifiers of several arms read the same features, so they lie side
by side in one convolution, one BatchNorm and one batched matrix product; no number of one reaches
another, and an arm trains as it would alone.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from redistill.errors import ConfigError
from redistill.nets.averaging import averaging
from redistill.nets.resnet import Bottleneck, ResNet

STAGES = ("net.layer1", "net.layer2", "net.layer3")
POOL = 4  # side of the pooled map


class InternalClassifier(nn.Module):
    """The classifiers of several arms after one stage.

    Args:
        channels: of the features.
        inner: channels of the convolution, for each arm.
        classes: size of the output.
        kernel: side of the convolution; its padding is 1 whatever its size (as released).
        arms: how many classifiers lie side by side; all start from the same weights.
        frozen_bias: arms whose output bias stays as it started (a released defect).

    Shapes:
        ``(B, S, C, h, w)`` to clip logits ``(A, B, K)``.
    """

    def __init__(
        self,
        channels: int,
        inner: int,
        classes: int,
        *,
        kernel: int = 3,
        arms: int = 1,
        frozen_bias: Sequence[int] = (),
    ) -> None:
        super().__init__()
        conv = nn.Conv2d(channels, inner, kernel, padding=1, bias=False)
        fc = nn.Linear(POOL**2 * inner, classes)
        self.arms = arms
        self.conv = nn.Conv2d(channels, arms * inner, kernel, padding=1, bias=False)
        self.conv.weight.data = conv.weight.data.repeat(arms, 1, 1, 1)
        self.bn = nn.BatchNorm2d(arms * inner)
        self.weight = nn.Parameter(fc.weight.data.repeat(arms, 1, 1))
        self.bias = nn.Parameter(fc.bias.data.repeat(arms))  # flat: biases do not decay
        learns = torch.ones(arms, 1, 1)
        learns[list(frozen_bias)] = 0
        self.register_buffer("learns", learns)
        self.register_buffer("start", fc.bias.data.clone())

    def forward(self, x: Tensor) -> Tensor:
        """Return clip logits ``(A, B, K)``: the mean over the S segments."""
        batch, segments = x.shape[:2]
        maps = pool(self.bn(self.conv(x.flatten(0, 1))))
        rows = maps.unflatten(1, (self.arms, -1)).flatten(2).transpose(0, 1)  # (A, B * S, -1)
        bias = torch.where(self.learns > 0, self.bias.view(self.arms, 1, -1), self.start)
        logits = torch.baddbmm(bias, rows, self.weight.transpose(1, 2))
        return logits.unflatten(1, (batch, segments)).mean(2)


class Exits(nn.Module):
    """The ICs of several arms on one network: features of its stages to ``(A, E, B, K)``."""

    def __init__(self, ics: Sequence[InternalClassifier]) -> None:
        super().__init__()
        self.ics = nn.ModuleList(ics)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Return logits ``(A, E, B, K)`` of features ``(B, S, C, h, w)``, one a stage."""
        return torch.stack([ic(x) for ic, x in zip(self.ics, features, strict=True)], dim=1)


class LoneExit(nn.Module):
    """One classifier of one arm as a network by itself.

    Args:
        ic: classifiers of several arms after one stage; what is made of them is a copy.
        arm: which of them.
        trunk: the network they sit on, to see the loss of this exit as a function of the trunk's
            weights too; None: the network begins at the features.
        stage: path of the stage it reads, where there is a trunk.

    Shapes:
        Features ``(B, S, C, h, w)``, or what the trunk takes, to clip logits ``(B, K)``.
    """

    def __init__(
        self, ic: InternalClassifier, arm: int, *, trunk: nn.Module | None = None, stage: str = ""
    ) -> None:
        super().__init__()
        inner, channels, side, _ = ic.conv.weight.shape
        inner //= ic.arms
        alone = InternalClassifier(channels, inner, len(ic.start), kernel=side)
        own = slice(arm * inner, (arm + 1) * inner)
        for name, tensor in alone.state_dict().items():
            given = ic.state_dict()[name]
            if name.startswith(("conv.", "bn.")) and given.ndim:
                given = given[own]
            elif name in ("weight", "learns"):
                given = given[arm : arm + 1]
            elif name == "bias":
                given = given.view(ic.arms, -1)[arm]
            tensor.copy_(given)
        self.ic = alone.to(ic.conv.weight)
        self.trunk, self.stage = trunk, stage
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Return clip logits ``(B, K)``."""
        if self.trunk is not None:
            (x,), _ = stage_features(self.trunk, x, (self.stage,))
        return self.ic(x)[0]


def ic_plan(net: ResNet) -> tuple[tuple[int, int, int], ...]:
    """Return (channels, inner channels, kernel) of the three ICs of a ResNet (spec 3.1)."""
    width = net.conv1.out_channels
    if isinstance(net.layer1[0], Bottleneck):
        return (4 * width, width, 3), (8 * width, 4 * width, 3), (16 * width, 16 * width, 3)
    return (width, width, 7), (2 * width, 2 * width, 3), (4 * width, 4 * width, 3)


def build_exits(
    plan: Sequence[tuple[int, int, int]],
    *,
    classes: int,
    seed: int,
    arms: int = 1,
    frozen_bias: Sequence[int] = (),
) -> Exits:
    """Return ICs whose initial weights depend on ``seed`` alone, not on the number of arms."""
    shared = {"arms": arms, "frozen_bias": frozen_bias}
    ics = []
    with torch.random.fork_rng(devices=[]):
        for number, (channels, inner, kernel) in enumerate(plan):
            torch.manual_seed(seed * len(plan) + number)
            ics.append(InternalClassifier(channels, inner, classes, kernel=kernel, **shared))
    return Exits(ics)


def stage_features(
    net: nn.Module, x: Tensor, paths: Sequence[str] = STAGES
) -> tuple[list[Tensor], Tensor]:
    """Return what leaves the modules at ``paths``, ``(B, S, C, h, w)`` each, and the output.

    Any network that folds segments into the batch serves, torchvision's among them; its modules
    are reached by path and watched by hooks.

    Raises:
        ConfigError: the network has no module at a path.
    """
    caught: dict[str, Tensor] = {}
    hooks = []
    for path in paths:
        keep = partial(_keep, caught, path)
        hooks.append(module_at(net, path).register_forward_hook(keep))
    try:
        output = net(x)
    finally:
        for hook in hooks:
            hook.remove()
    return [caught[path].unflatten(0, x.shape[:2]) for path in paths], output


def module_at(net: nn.Module, path: str) -> nn.Module:
    """Return the module of ``net`` at a dotted path.

    Raises:
        ConfigError: there is none; the message names what there is.
    """
    try:
        return net.get_submodule(path)
    except AttributeError:
        known = ", ".join(name for name, _ in net.named_children())
        name = type(net).__name__
        raise ConfigError(f"{name} has no module {path!r}; it has {known}") from None


def pool(x: Tensor) -> Tensor:
    """Average maps ``(N, C, h, w)`` to ``(N, C, 4, 4)``, as adaptive average pooling does.

    Two products with fixed matrices: deterministic on CUDA and differentiable twice, which the
    adaptive pooling of torch is not.
    """
    rows, columns = (averaging(n, POOL).to(x) for n in x.shape[-2:])
    return rows @ x @ columns.T


def _keep(
    caught: dict[str, Tensor], path: str, module: nn.Module, args: object, out: Tensor
) -> None:
    caught[path] = out
