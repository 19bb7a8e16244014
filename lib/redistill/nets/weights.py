"""Weights from elsewhere: torchvision's ImageNet weights, or a file of ours."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from redistill.errors import ConfigError
from redistill.nets.resnet import LAYOUTS, torchvision
from redistill.nets.streams import Stream

IMAGENET = "imagenet"
_PUBLISHED_WIDTH = 64
_NAMED = 4  # names listed in a message


def load_weights(net: Stream, source: str | Path) -> tuple[str, ...]:
    """Load weights into a stream.

    Left as they were initialised: ``fc`` for another number of classes; the first convolution for
    another number of input channels (the motion network's, as in the released code, spec 2.1);
    the BatchNorm on the input, if the weights are a plain ResNet's.

    Args:
        net: a stream; changed in place.
        source: ``""`` for none; ``imagenet`` for torchvision's IMAGENET1K_V1 of the same depth,
            which the papers start from; or a safetensors file with the names of the stream, or of
            torchvision's ResNet.

    Returns:
        The names left as they were.

    Raises:
        ConfigError: no such weights, or weights of another network.
    """
    if not str(source):
        return tuple(net.state_dict())
    given = _imagenet(net) if str(source) == IMAGENET else _read(Path(source))
    plain = not any(name.startswith("net.") for name in given)
    if plain:
        given = {f"net.{name}": tensor for name, tensor in given.items()}
    wanted = net.state_dict()
    left = {name for name in wanted if _may_stay(name, given, wanted, plain=plain)}
    _check(source, {name: t for name, t in given.items() if name not in left}, wanted, left)
    net.load_state_dict({name: wanted[name] if name in left else given[name] for name in wanted})
    return tuple(name for name in wanted if name in left)


def _imagenet(net: Stream) -> Mapping[str, Tensor]:
    resnet = net.net
    layout = type(resnet.layer1[0]), tuple(len(getattr(resnet, f"layer{k}")) for k in (1, 2, 3, 4))
    depth = next(depth for depth, known in LAYOUTS.items() if known == layout)
    name, width = f"resnet{depth}", resnet.conv1.out_channels
    if name not in torchvision.models.list_models() or width != _PUBLISHED_WIDTH:
        raise ConfigError(
            f"no ImageNet weights for a ResNet-{depth} of width {width}: they exist for depths 18, "
            f"34, 50, 101 and 152 at width {_PUBLISHED_WIDTH}; choose these, or other weights"
        )
    weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    try:
        return weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:  # no network; a file that is not what it should be
        raise ConfigError(
            f"the ImageNet weights of ResNet-{depth} could not be fetched ({error}). Fetch "
            f"{weights.url} where there is a network, save its tensors as a safetensors file and "
            "give the path of that"
        ) from error


def _read(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise ConfigError(f"weights = {path}: no such file; give 'imagenet' or a safetensors file")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ConfigError(f"weights = {path}: not a whole safetensors file ({error})") from error


def _may_stay(
    name: str, given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], *, plain: bool
) -> bool:
    """Tell whether a tensor of the network is left as it was initialised."""
    if name not in given:  # files of before torch 0.4.1 lack the counters
        return name.endswith("num_batches_tracked") or (plain and name.startswith("data_bn."))
    ours, theirs = wanted[name].shape, given[name].shape
    if name.startswith("net.fc."):
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
            "the same depth, width and modality"
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
