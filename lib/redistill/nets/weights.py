"""Weights from elsewhere: torchvision's ImageNet or Kinetics-400 weights, or a file of ours."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from redistill.errors import ConfigError
from redistill.nets.mobilenet import MobileNetV2
from redistill.nets.resnet import LAYOUTS, ResNet, torchvision
from redistill.nets.shift import ShiftedConv
from redistill.nets.slim import CONVOLUTIONS, PUBLISHED_WIDTH, VideoResNet
from redistill.nets.streams import Stream
from redistill.nets.video import VideoNet

IMAGENET = "imagenet"
KINETICS = "kinetics"
_HEADS = ("net.fc.", "net.classifier.")
_NAMED = 4  # names listed in a message


def load_weights(net: Stream | VideoNet, source: str | Path) -> tuple[str, ...]:
    """Load weights into a stream or a video network.

    Left as they were initialised: the head for another number of classes; the first convolution for
    another number of input channels (the motion network's, as in the released code, spec 2.1);
    the BatchNorm on the input, if the weights are a plain ResNet's.

    Args:
        net: a stream or a network over clips; changed in place.
        source: ``""`` for none; ``imagenet`` for torchvision's IMAGENET1K_V1 of a MobileNetV2 or
            of a ResNet of the same depth; ``kinetics`` for torchvision's KINETICS400_V1 of
            ``r3d_18`` and ``r2plus1d_18``; or a safetensors file with the names of the network, or
            of torchvision's.

    Returns:
        The names left as they were.

    Raises:
        ConfigError: no such weights, or weights of another network.
    """
    if not str(source):
        return tuple(net.state_dict())
    if str(source) == IMAGENET:
        given = _fetch(_imagenet(net.net))
    elif str(source) == KINETICS:
        given = _fetch(_kinetics(net.net))
    else:
        given = _read(Path(source))
    plain = not any(name.startswith("net.") for name in given)
    if plain:
        given = {f"net.{name}": tensor for name, tensor in given.items()}
    given = _shifted(net, given)
    wanted = net.state_dict()
    left = {name for name in wanted if _may_stay(name, given, wanted, plain=plain)}
    _check(source, {name: t for name, t in given.items() if name not in left}, wanted, left)
    net.load_state_dict({name: wanted[name] if name in left else given[name] for name in wanted})
    return tuple(name for name in wanted if name in left)


def _imagenet(net: nn.Module) -> torchvision.models.WeightsEnum:
    """Return where torchvision keeps the ImageNet weights of a network over pictures."""
    if isinstance(net, MobileNetV2) and net.width == PUBLISHED_WIDTH:
        return torchvision.models.get_model_weights("mobilenet_v2").IMAGENET1K_V1
    if not isinstance(net, ResNet):
        raise ConfigError(
            f"no ImageNet weights for {_told(net)}: they are those of a ResNet over pictures, or "
            f"of a MobileNetV2 of width {PUBLISHED_WIDTH}; choose one of these, or other weights"
        )
    layout = type(net.layer1[0]), tuple(len(getattr(net, f"layer{k}")) for k in (1, 2, 3, 4))
    depth = next(depth for depth, known in LAYOUTS.items() if known == layout)
    name, width = f"resnet{depth}", net.conv1.out_channels
    if name not in torchvision.models.list_models() or width != PUBLISHED_WIDTH:
        raise ConfigError(
            f"no ImageNet weights for a ResNet-{depth} of width {width}: they exist for depths 18, "
            f"34, 50, 101 and 152 at width {PUBLISHED_WIDTH}; choose these, or other weights"
        )
    return torchvision.models.get_model_weights(name).IMAGENET1K_V1


def _kinetics(net: nn.Module) -> torchvision.models.WeightsEnum:
    """Return where torchvision keeps the Kinetics-400 weights of a network over clips."""
    if not isinstance(net, VideoResNet) or net.width != PUBLISHED_WIDTH:
        raise ConfigError(
            f"no Kinetics weights for {_told(net)}: they exist for {' and '.join(CONVOLUTIONS)} "
            f"at width {PUBLISHED_WIDTH}; choose these, or other weights"
        )
    return torchvision.models.get_model_weights(net.name).KINETICS400_V1


def _told(net: nn.Module) -> str:
    """Return what a message calls a network."""
    if isinstance(net, VideoResNet):
        return f"{net.name} of width {net.width}"
    if isinstance(net, MobileNetV2):
        return f"a MobileNetV2 of width {net.width}"
    return f"a {type(net).__name__}"


def _fetch(weights: torchvision.models.WeightsEnum) -> Mapping[str, Tensor]:
    try:
        return weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:  # no network; a file that is not what it should be
        raise ConfigError(
            f"the weights {weights} could not be fetched ({error}). Fetch {weights.url} where "
            "there is a network, save its tensors as a safetensors file and give the path of that"
        ) from error


def _read(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise ConfigError(
            f"weights = {path}: no such file; give 'imagenet', 'kinetics' or a safetensors file"
        )
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ConfigError(f"weights = {path}: not a whole safetensors file ({error})") from error


def _shifted(net: nn.Module, given: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Rename the weights of convolutions that see their input shifted and lie one level deeper."""
    shifted = [name for name, module in net.named_modules() if isinstance(module, ShiftedConv)]
    deeper = {f"{name}.weight": f"{name}.net.weight" for name in shifted}
    return {deeper.get(name, name): tensor for name, tensor in given.items()}


def _may_stay(
    name: str, given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], *, plain: bool
) -> bool:
    """Tell whether a tensor of the network is left as it was initialised."""
    if name not in given:  # files of before torch 0.4.1 lack the counters
        return name.endswith("num_batches_tracked") or (plain and name.startswith("data_bn."))
    ours, theirs = wanted[name].shape, given[name].shape
    if name.startswith(_HEADS):
        return ours[:1] != theirs[:1] and ours[1:] == theirs[1:]
    return (
        name == "net.conv1.weight"
        and ours[:1] + ours[2:] == theirs[:1] + theirs[2:]
        and (ours != theirs)
    )


def _check(
    source: str | Path, given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], left: set[str]
) -> None:
    """Refuse weights of another network, naming what does not fit."""
    both = wanted.keys() & given.keys()
    shapes = [
        f"{name} has shape {tuple(given[name].shape)}, expected {tuple(wanted[name].shape)}"
        for name in wanted
        if name in both and given[name].shape != wanted[name].shape
    ]
    faults = {
        "missing": [name for name in wanted if name not in both and name not in left],
        "unknown": [name for name in given if name not in both],
        "of another shape": shapes,
    }
    told = [f"{len(found)} {kind}: {_some(found)}" for kind, found in faults.items() if found]
    if told:
        raise ConfigError(
            f"weights = {source} are not those of this network: {'; '.join(told)}. Give weights of "
            "the same kind, depth, width and modality"
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
