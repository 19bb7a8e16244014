"""Tables of notebook 2 that follow from its config: presets, networks, and the open questions."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from redistill.cost import count
from redistill.methods.spectrum import SpectrumConfig
from redistill.methods.spectrum_arms import ARMS, PLAIN, PRESETS
from redistill.modality import INPUTS, RGB
from redistill.nets.video import build_video

# What the paper leaves open, the parameters that decide it, and readings that are not built.
# Source: spec/spectrum.md 8.
AMBIGUITIES = (
    ("Whose features, and taken where?", ("stages",), "before ReLU; logits of every frame"),
    ("What becomes of space?", ("space",), ""),
    ("Which transform over time?", ("transform",), "Haar wavelet"),
    ("What of two spectra is compared?", ("component", "phase"), ""),
    ("Does the constant bin count?", ("bands",), "weights between 0 and 1"),
    ("Does a bin count once, or as often as it occurs?", ("multiplicity",), ""),
    ("By what are features divided?", ("normalise",), "sum of amplitudes"),
    ("Which distance of spectra?", ("distance",), "smooth L1"),
    ("How are different widths made equal?", ("channels",), ""),
    ("Which parameters?", (), "first layer alone; 1 x 1 kernels; kernels over time"),
    ("Which transform of kernels?", ("kernel_transform",), ""),
    ("What is their distribution?", ("statistic",), "all coefficients; weights by sensitivity"),
    ("Which distance of distributions?", ("divergence",), "earth mover's distance of shares"),
    ("How do layers of different shapes meet?", ("kernel_layers",), "nearest layer; learned map"),
    ("What is the probabilistic view?", ("collab", "share_f"), "a share that changes in training"),
    ("Have labels a noise level?", ("label_noise",), ""),
    ("Are logits distilled too?", ("kd_weight", "temperature"), ""),
    ("What does the teacher know?", ("weights",), "clips of more frames than the student's"),
    ("What does the student start from?", ("student_weights",), ""),
    ("When do the losses act?", ("warmup",), "a loss of parameters that fades out"),
)
_FIXED = "kernels of 3 x 3 and more, of every stage"  # where nothing can be set (10)
_CONTROLS = {"teacher_time", "teacher_stage"}  # what they change is no reading of the paper
_BASES = {"lambda_p": "fsd", "lambda_f": "pdd"}  # by the loss that an arm leaves out


def network_table(config: SpectrumConfig, *, classes: int) -> pd.DataFrame:
    """Return teacher and student as they are in use, when maps and noise levels are thrown away.

    Returns:
        Columns role, network, width, parameters, macs (of one clip); parameters_ratio and
        macs_ratio, to the teacher's.
    """
    roles = {
        "teacher": (config.teacher_network, config.teacher_width),
        "student": (config.network, config.student_width),
    }
    lines = []
    for role, (name, width) in roles.items():
        net = build_video(name, width=width, classes=classes, frames=config.frames, seed=0)
        cost = count(net, (1, config.frames, INPUTS[RGB], config.size, config.size))
        lines.append((role, name, width, cost.parameters, cost.macs))
    table = pd.DataFrame(lines, columns=["role", "network", "width", "parameters", "macs"])
    ratios = {f"{name}_ratio": table[name] / table.loc[0, name] for name in ("parameters", "macs")}
    return table.assign(**ratios)


def presets_table(config: SpectrumConfig) -> pd.DataFrame:
    """Return all methods that can be named.

    Returns:
        Columns arm; here (whether this run trains it); changes (what it adds to labels, or sets
        otherwise than the config); question (the numbers, in ``ambiguity_table``, of the questions
        that it decides; ``control`` of what is no reading).
    """
    here = {*config.arms, *config.also}
    lines = [(arm, arm in here, _changes(config, arm), _question(arm)) for arm in ARMS]
    return pd.DataFrame(lines, columns=["arm", "here", "changes", "question"])


def _changes(config: SpectrumConfig, arm: str) -> str:
    if arm in PLAIN:
        terms = " + ".join(["labels", *(f"{weight:g} {term}" for term, weight in PLAIN[arm])])
        return f"{terms}, as much compute as with a teacher" if arm == "alone_long" else terms
    return _text(_otherwise(config, PRESETS[arm])) or "as configured"


def _otherwise(config: SpectrumConfig, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return those settings that differ from the config."""
    return {name: value for name, value in settings.items() if getattr(config, name) != value}


def _text(settings: Mapping[str, Any]) -> str:
    """Return settings as a line of text; an empty text is quoted, for it is a value too."""
    texts = {name: repr(value) if value == "" else value for name, value in settings.items()}
    return "; ".join(f"{name} = {text}" for name, text in texts.items())


def _question(arm: str) -> str:
    own = _reading(arm)
    if _CONTROLS & own.keys():
        return "control"
    decides = [str(n) for n, (_, names, _) in enumerate(AMBIGUITIES, 1) if own.keys() & {*names}]
    return ", ".join(decides)


def _reading(arm: str) -> Mapping[str, Any]:
    """Return what sets an arm apart from the plain one with the same losses."""
    given = PRESETS.get(arm, {})
    base = next((base for left_out, base in _BASES.items() if left_out in given), "collab")
    return {k: v for k, v in given.items() if PRESETS[base].get(k, ...) != v}


def ambiguity_table(config: SpectrumConfig) -> pd.DataFrame:
    """Return what the paper leaves open.

    Returns:
        Columns id (1 to 20), question, here (how this run decides), arms (that decide otherwise),
        not_built (readings that nothing here can be set to).
    """
    lines = []
    for number, (question, parameters, missing) in enumerate(AMBIGUITIES, 1):
        here = _text({name: getattr(config, name) for name in parameters}) or _FIXED
        arms = []
        for arm in PRESETS:
            own = _reading(arm)
            if not _CONTROLS & own.keys() and _otherwise(config, own).keys() & {*parameters}:
                arms.append(arm)
        other = ", ".join(arms) or ("a run of its own" if parameters else "none")
        lines.append((str(number), question, here, other, missing or "-"))
    return pd.DataFrame(lines, columns=["id", "question", "here", "arms", "not_built"])
