"""The synthetic set: rendered clips with known factors, written as real bitstreams."""

from redistill.video.synthetic.factors import ceilings, draw, plan
from redistill.video.synthetic.render import motion_clock, path, render
from redistill.video.synthetic.spec import MOTIONS, PER_CLASS, WORLDS, SyntheticSpec
from redistill.video.synthetic.write import encoder_version, ensure, example, read_rows, stream_path

__all__ = [
    "MOTIONS",
    "PER_CLASS",
    "WORLDS",
    "SyntheticSpec",
    "ceilings",
    "draw",
    "encoder_version",
    "ensure",
    "example",
    "motion_clock",
    "path",
    "plan",
    "read_rows",
    "render",
    "stream_path",
]
