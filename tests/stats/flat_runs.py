"""Made-up runs with the rows on flatness that notebook 4 writes, for claims P1, P2, P6 and P7."""

import numpy as np

from redistill.claims import load_claims, verdict

SPREAD = (-1.2, -0.8, -0.5, -0.2, 0.0, 0.1, 0.3, 0.5, 0.8, 1.0)  # mean 0, sd 0.70
SHAKEN = (0.3, -0.2, 0.5, 0.1, -1.2, 1.0, -0.8, 0.8, 0.0, -0.5)  # the same, otherwise ordered
OURS = {one.id: one for one in load_claims() if one.testable_by == ("4_flatness",)}
HOLDS = (2.0, 2.5, 3.0)  # log10 of the trace: I-frame, residual, motion


def row(name, value, unit, **keys):
    return {"name": name, "value": value, "unit": unit, "n": None, "keys": keys}


def run(seed, rows, world="scene_led", profile="standard"):
    about = {"dataset": "synthetic", "world": world, "seed": seed, "data_seed": 0}
    return {"status": "completed", "run": f"r{seed}-{rows[0]['name']}", "profile": profile,
            "parameters": about, "rows": rows}  # fmt: skip


def sharpness(equal, end, noise=0.1):
    """Runs with these means of I-frame, residual and motion network; other measures disagree."""
    for seed, (a, b) in enumerate(zip(SPREAD, SHAKEN, strict=True)):
        rows = []
        for at, means in (("equal", equal), ("end", end)):
            values = np.asarray(means) + noise * np.array((a, b, a * b))
            for modality, value in zip(("iframe", "residual", "mv"), values, strict=True):
                keys = {"modality": modality, "at": at}
                rows += [
                    row("sharpness", float(value), "log10", network="same", **keys),
                    row("sharpness", -float(value), "log10", network="paper", **keys),
                    row("sharpness_top", -float(value), "log10", network="same", **keys),
                ]
        yield run(seed, rows)


def columns_as_runs(blocks):
    """Runs of arrays (runs, modalities), by where they are measured."""
    for seed in range(len(blocks["equal"])):
        rows = [
            row("sharpness", float(value), "log10", modality=modality, network="same", at=at)
            for at, values in blocks.items()
            for modality, value in zip(("iframe", "residual", "mv"), values[seed], strict=True)
        ]
        yield run(seed, rows)


def inner(pkd, ce, kd_iframe, noise=0.1):
    """Runs with these means over internal classifiers at equal loss; at the end all are alike."""
    for seed, (a, b) in enumerate(zip(SPREAD, SHAKEN, strict=True)):
        values = {"pkd": pkd + noise * a, "ce": ce + noise * b, "kd_iframe": kd_iframe}
        rows = [row("ic_sharpness", value, "log10", arm=arm, at="equal")
                for arm, value in values.items()]  # fmt: skip
        rows += [row("ic_sharpness", 2.0, "log10", arm=arm, at="end") for arm in values]
        yield run(seed, [*rows, row("ic_sharpness", 0.0, "log10", arm="pkd_iframe", at="equal")])


def one_number(name, values, unit, world="scene_led", profile="standard", **keys):
    return [run(seed, [row(name, value, unit, **keys)], world=world, profile=profile)
            for seed, value in enumerate(values)]  # fmt: skip


def taus(mean, scale=1.0, runs=10):
    values = [mean + scale * x for x in SPREAD[:runs]]
    return one_number("flatness_gap_tau", values, "tau", at="equal")


def gains(mean, scale=1.0, runs=10, **about):
    values = [mean + scale * x for x in SPREAD[:runs]]
    return one_number("flatness_order_gain", values, "points", **about)


def judge(name, runs):
    (found,) = verdict(OURS[name], list(runs))
    return found
