"""Late fusion against numbers added by hand."""

import pytest
import torch

from redistill.errors import RedistillError
from redistill.methods.fusion import COVIAR, late_fusion

LOGITS = {
    "iframe": torch.tensor([[1.0, 2.0]]),
    "mv": torch.tensor([[5.0, 0.0]]),
    "residual": torch.tensor([[-1.0, 4.0]]),
}


def test_two_to_one_to_one():
    assert late_fusion(LOGITS).tolist() == [[6.0, 8.0]]
    assert COVIAR == {"iframe": 2.0, "mv": 1.0, "residual": 1.0}


def test_the_order_of_networks_does_not_matter():
    turned = dict(reversed(LOGITS.items()))
    assert torch.equal(late_fusion(LOGITS), late_fusion(turned))


def test_one_network_with_weight_one_is_itself():
    assert torch.equal(late_fusion({"mv": LOGITS["mv"]}, {"mv": 1.0}), LOGITS["mv"])


def test_a_missing_network_and_unlike_shapes_are_named():
    with pytest.raises(RedistillError, match=r"logits of \['iframe'\] but weights of"):
        late_fusion({"iframe": LOGITS["iframe"]})
    with pytest.raises(RedistillError, match=r"one shape \(N, K\).*\(1, 3\)"):
        late_fusion(LOGITS | {"mv": torch.zeros(1, 3)})
