"""Import torchvision, also beside a torch build that its wheel cannot load its operators for.

The torchvision wheel is compiled against one build of torch.  Beside another (a CPU-only torch
with the wheel for CUDA) it cannot load its operators, and its import stops with "operator
torchvision::nms does not exist", although the networks need none of them.  Only on that error
are the two operators declared, without an implementation, and the import tried again.
"""

import importlib
import sys
from types import ModuleType

import torch

_MISSING = "operator torchvision::nms does not exist"
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[torch.library.Library] = []  # a Library undoes its declarations when collected


def import_torchvision() -> ModuleType:
    """Return torchvision; a healthy installation is imported and left alone.

    Raises:
        RuntimeError: any failure of the import other than the missing operators.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if _MISSING not in str(error):
            raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _SCHEMAS:
        library.define(schema)
    _declared.append(library)
    return importlib.import_module("torchvision")


torchvision = import_torchvision()
