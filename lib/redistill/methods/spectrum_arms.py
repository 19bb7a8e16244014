"""The methods of notebook 2, as data: what each changes in the config, or what it adds to labels.

Source: spec/spectrum.md 7 and 8, spec/claims.md F1 to F9.  How a student of a spectrum is trained
is in ``redistill.methods.spectrum_study``; its loss in ``redistill.methods.spectrum_loss``.
"""

from collections.abc import Mapping
from typing import Any

_ONE = {"collab": "fixed", "lambda_p": 0.0}  # features alone
_PARAMETERS = {"collab": "fixed", "lambda_f": 0.0}  # kernels alone

# Students of labels, and of image-level distillation: (term in ``edge_loss.TERMS``, weight).
PLAIN: Mapping[str, tuple[tuple[str, float], ...]] = {
    "alone": (),
    "alone_long": (),  # as many multiply-accumulates as a student and its teacher's words take
    "kd": (("kd", 1.0),),
    "dkd": (("dkd", 1.0),),
    "fitnet": (("fitnet", 1.0),),
    "at": (("at", 1.0),),
    "sp": (("sp", 1.0),),
}

# Students of a spectrum: what differs from the config.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "mse": {**_ONE, "component": "complex"},  # exactly feature imitation (P4)
    "fsd": _ONE,
    "phase25": {**_ONE, "phase": 0.25},
    "phase50": {**_ONE, "phase": 0.5},
    "phase75": {**_ONE, "phase": 0.75},
    "ac": {**_ONE, "bands": "ac"},
    "dc": {**_ONE, "bands": "dc"},
    "high": {**_ONE, "bands": "high"},
    "ac_mse": {**_ONE, "bands": "ac", "component": "complex"},
    "fsd_reversed": {**_ONE, "teacher_time": "reversed"},  # the loss stays, but for rounding (P5)
    "mse_reversed": {**_ONE, "component": "complex", "teacher_time": "reversed"},
    "pdd": _PARAMETERS,
    "pdd_sham": {**_PARAMETERS, "teacher_stage": "next"},
    "fixed": {"collab": "fixed"},
    "collab": {},
    # readings of 2.2 and 8: features
    "power": {**_ONE, "component": "power"},
    "log": {**_ONE, "component": "log_amplitude", "reduction": "mean"},
    "amp_phase": {**_ONE, "component": "amp_phase"},
    "distribution": {**_ONE, "component": "distribution"},
    "dct": {**_ONE, "transform": "dct"},
    "volume": {**_ONE, "space": "volume"},
    "per_pixel": {**_ONE, "space": "per_pixel"},
    "attention": {**_ONE, "space": "attention"},
    "group_mean": {**_ONE, "channels": "group_mean"},
    "bare": {**_ONE, "multiplicity": False},
    "l1": {**_ONE, "distance": "l1", "reduction": "mean"},
    "unscaled": {**_ONE, "normalise": "none", "reduction": "mean"},
    "per_channel": {**_ONE, "normalise": "channel", "reduction": "mean"},
    "per_constant": {**_ONE, "normalise": "constant"},
    "all_stages": {**_ONE, "stages": "all"},
    # readings of 3.2 and 8: parameters
    "pdd_js": {**_PARAMETERS, "divergence": "js"},
    "pdd_reverse": {**_PARAMETERS, "divergence": "reverse_kl"},
    "pdd_l2": {**_PARAMETERS, "divergence": "l2"},
    "pdd_hellinger": {**_PARAMETERS, "divergence": "hellinger"},
    "pdd_radial": {**_PARAMETERS, "statistic": "radial"},
    "pdd_quantiles": {**_PARAMETERS, "statistic": "quantiles"},
    "pdd_moments": {**_PARAMETERS, "statistic": "moments"},
    "pdd_lowpass": {**_PARAMETERS, "statistic": "lowpass"},
    "pdd_dft": {**_PARAMETERS, "kernel_transform": "dft"},
    "pdd_pooled": {**_PARAMETERS, "kernel_layers": "pooled"},
    # readings of 4.2 and 8: both together
    "collab_labels": {"label_noise": True},
    "map": {"collab": "map"},
    "alternate": {"collab": "alternate"},
    "stochastic": {"collab": "stochastic"},
    "mutual": {"collab": "mutual"},
    "collab_warm": {"warmup": 0.1},
    "collab_kd": {"kd_weight": 1.0},
}

ARMS = (*PLAIN, *PRESETS)
QUICK = ("alone", "mse", "fsd", "collab")
DECIDING = (
    "alone", "alone_long", "kd", "dkd", "fitnet", "at", "sp", "mse", "fsd", "ac", "ac_mse", "dc",
    "pdd", "fixed", "collab",
)  # fmt: skip
