r"""Products of the Hessian of a loss with vectors, on PyHessian's class.

$$Hv = \sum_b \frac{N_b}{N}\, \nabla_w \bigl(\nabla_w L_b \cdot v\bigr), \qquad
  (DHD)v = d \odot H (d \odot v)$$

PyHessian 0.1 draws from the global generator, clears gradients, assumes single precision and
crashes on a weight that the loss does not use (spec/anchors.md F8).  Its ``eigenvalues``, ``trace``
and ``density`` run here on another product: its class is subclassed, nothing of it is copied.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

import numpy as np
import psutil
import pyhessian
import torch
from torch import Tensor

from redistill.curvature.loss import Loss, borrowed, check_still, flat, shaped
from redistill.errors import ConfigError, RunError

SAME = 100  # units of rounding by which two evaluations of one loss may differ
ROOM = 0.5  # of the free memory that kept graphs may take


class Product(pyhessian.hessian):
    """H v, or D H D v, of a loss: ``with Product(loss) as product: product(vector)``.

    Inside the ``with`` the weights are borrowed; afterwards weights, buffers, gradients, switches
    and random state are as they were, bit for bit, and no graph is left.

    Keeping the graph of the gradient saves a forward and a backward pass a product.  By default it
    is kept for one batch, whose graph a product without it would need as well; of several batches,
    each needs its own, so they are kept only if all together fit into half of the memory that is
    free.  How much that is, is counted on the first batch: the bytes that autograd stores for it,
    times the clips there are.  Otherwise each batch's graph is built and dropped in turn.

    Args:
        loss: over one or more batches, the mean over clips.
        scale: d (n,), to measure every weight in a unit of its own; none: H itself.
        keep_graph: see above; none decides.

    Attributes:
        size: n.
        count: products made so far.

    Raises:
        ConfigError: a scale that does not fit; on entering, a loss that two evaluations do not
            agree on.
    """

    def __init__(
        self, loss: Loss, *, scale: Tensor | None = None, keep_graph: bool | None = None
    ) -> None:
        self.loss = loss
        self.size = loss.size
        self.count = 0
        self.scale = None if scale is None else _fitting(scale, loss.size).detach()
        self._keep = keep_graph
        self._graphs: list[tuple[float, list[Tensor]]] = []
        self._open: ExitStack | None = None

    def __enter__(self) -> Self:
        """Borrow the weights."""
        with ExitStack() as stack:
            device = next(iter(self.loss.weights.values())).device
            stack.enter_context(_random_kept(device))
            self._weights = list(stack.enter_context(borrowed(self.loss)).values())
            check_still(self.loss.net)
            check_same(self.loss)
            # PyHessian reads which weights vary here, so not before they are borrowed.
            super().__init__(
                self.loss.net,
                self.loss.criterion,
                dataloader=self.loss.batches,
                cuda=device.type == "cuda",
            )
            self.device, self.gradsH = device, []
            self._open = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give everything back."""
        stack, self._open = self._open, None
        self._graphs.clear()
        self._weights = self.params = []
        if stack:
            stack.__exit__(kind, error, traceback)

    def __call__(self, vector: Tensor) -> Tensor:
        """Return H v, or D H D v, (n,), in the precision and on the device of the weights.

        Raises:
            ConfigError: a vector of another size.
            RunError: outside the ``with``, or a product that is not finite.
        """
        if self._open is None:
            raise RunError("no weights are borrowed; write `with Product(loss) as product:`")
        like = self._weights[0]
        vector = _fitting(vector, self.size).detach().to(like)
        scale = None if self.scale is None else self.scale.to(like)
        parts = shaped(vector if scale is None else vector * scale, self._weights)
        total = torch.zeros_like(vector)
        with torch.enable_grad():
            for share, gradient in self._gradients():
                total.add_(self._times(gradient, parts), alpha=share)
        self.count += 1
        if not total.isfinite().all():
            raise RunError(
                f"product {self.count} with the Hessian is not finite; the loss over "
                f"{self.loss.clips} clips has no curvature at these weights in {like.dtype}"
            )
        return total if scale is None else total * scale

    def dataloader_hv_product(self, v: Sequence[Tensor]) -> tuple[float, list[Tensor]]:
        """Return v.Hv and Hv, weight by weight: what PyHessian's methods call."""
        flat_v = flat(v)
        product = self(flat_v)
        return float(product.double() @ flat_v.double()), shaped(product, self._weights)

    def _gradients(self) -> Iterator[tuple[float, list[Tensor]]]:
        """Yield the share of the clips and the gradient, with its graph, of each batch."""
        batches = self.loss.batches
        if self._keep is None:
            self._keep = len(batches) == 1 or self._fits()
        if self._keep and not self._graphs:
            self._graphs = [self._gradient(*batch) for batch in batches]
        yield from self._graphs or (self._gradient(*batch) for batch in batches)

    def _gradient(self, inputs: Tensor, labels: Tensor) -> tuple[float, list[Tensor]]:
        share = len(labels) / self.loss.clips
        value = self.loss.criterion(self.loss.net(inputs), labels)
        if not value.requires_grad:  # none of the weights that vary is used
            return share, [torch.zeros_like(weight) for weight in self._weights]
        gradient = torch.autograd.grad(
            value, self._weights, create_graph=True, materialize_grads=True
        )
        return share, list(gradient)

    def _times(self, gradient: Sequence[Tensor], parts: Sequence[Tensor]) -> Tensor:
        """Return the product of one batch, (n,)."""
        pairs = [(g, v) for g, v in zip(gradient, parts, strict=True) if g.requires_grad]
        if not pairs:  # nothing is curved: the loss is linear in what varies, or without it
            return torch.zeros(self.size).to(parts[0])
        outputs, directions = zip(*pairs, strict=True)
        return flat(
            torch.autograd.grad(
                outputs,
                self._weights,
                directions,
                retain_graph=bool(self._keep),
                materialize_grads=True,
            )
        )

    def _fits(self) -> bool:
        """Whether the graphs of all batches fit, by what autograd stores for the first."""
        inputs, labels = self.loss.batches[0]
        given = (inputs, labels, *self.loss.net.state_dict().values())
        own = {tensor.untyped_storage().data_ptr() for tensor in given}
        stored: dict[int, int] = {}

        def count(tensor: Tensor) -> Tensor:
            memory = tensor.untyped_storage()
            if memory.data_ptr() not in own:  # there anyway, whatever graph refers to it
                stored[memory.data_ptr()] = memory.nbytes()
            return tensor.detach()  # itself, it would hold the graph that holds it

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            self._gradient(inputs, labels)
        needed = sum(stored.values()) * self.loss.clips / len(labels)
        return needed <= ROOM * free_memory(self.device)


def check_same(loss: Loss) -> None:
    """Refuse a loss that is drawn anew each time, by two evaluations of its first batch.

    Raises:
        ConfigError: names both values.
    """
    inputs, labels = loss.batches[0]
    with torch.no_grad():
        values = [loss.criterion(loss.net(inputs), labels) for _ in range(2)]
    room = SAME * torch.finfo(values[0].dtype).eps
    if (values[0] - values[1]).abs() > room * values[0].abs():
        raise ConfigError(
            f"two evaluations of one loss are {values[0]:.9g} and {values[1]:.9g}: something in "
            "the network or the criterion is drawn (functional dropout?), so the loss has no one "
            "curvature; switch it off"
        )


def free_memory(device: torch.device) -> int:
    """Return the bytes that are free where ``device`` keeps its tensors."""
    if device.type != "cuda":
        return psutil.virtual_memory().available
    pooled = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + pooled


def drawn(seed: int, number: int, size: int) -> Tensor:
    """Return signs (size,), +1 or -1, that depend on ``seed`` and ``number`` alone."""
    generator = torch.Generator().manual_seed(seed_of(seed, number))
    return torch.randint(0, 2, (size,), generator=generator) * 2 - 1


def seed_of(seed: int, number: int) -> int:
    """Return one seed for the ``number``-th draw of an experiment of ``seed``."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint32)[0])


@contextmanager
def _random_kept(device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def _fitting(vector: Tensor, size: int) -> Tensor:
    if vector.shape != (size,):
        raise ConfigError(
            f"a vector of shape {tuple(vector.shape)}; {size} numbers vary, so give ({size},)"
        )
    return vector
