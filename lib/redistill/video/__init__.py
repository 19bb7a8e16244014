"""Compressed video: bitstreams in, frames, accumulated motion and residuals out."""

from redistill.modality import MODALITIES
from redistill.video.encode import encode_h264, encode_mpeg4
from redistill.video.gop import Gop, load_clip, read_gops
from redistill.video.prepare import Manifest, prepare
from redistill.video.sampling import segment_positions, shared_positions
from redistill.video.source import VideoInfo, probe

__all__ = [
    "MODALITIES",
    "Gop",
    "Manifest",
    "VideoInfo",
    "encode_h264",
    "encode_mpeg4",
    "load_clip",
    "prepare",
    "probe",
    "read_gops",
    "segment_positions",
    "shared_positions",
]
