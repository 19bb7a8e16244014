"""Hold products, eigenvalues and traces of a Hessian against gradients and PyHessian's own.

A ResNet-18 of width 16 is trained for 30 steps on 256 frames of 56 px, so that a few eigenvalues
stand out, then looked at in eval mode.  Times are CPU time, one thread, in turns; errors are those
of the same network against references of many more products.  Run by ``make bench``; exits with 1
when a product costs too many gradients, or PyHessian is better at anything.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from redistill.curvature import Eigenpairs, Loss, Product, eigenpairs, trace
from redistill.nets.streams import build_stream

FRAMES, SIZE, CLASSES, STEPS, BATCH = 256, 56, 12, 30, 64
KEPT, LOADED = 3.0, 5.0  # gradients that a product may cost, with its graph and over a loader
TOP, ERROR = 5, 1e-4  # eigenvalues, and their largest relative error
SEEDS = range(4)
PRODUCTS = 50  # of a trace, those of the eigenpairs that deflate it included
REFERENCE = 8, 120  # pairs, and the probes that they deflate


def clips() -> tuple[Tensor, Tensor]:
    """Return frames (256, 1, 3, 56, 56), a smooth picture of their class in noise, and labels."""
    drawn = torch.Generator().manual_seed(0)
    labels = torch.arange(FRAMES) % CLASSES
    pictures = torch.randn(CLASSES, 3, 7, 7, generator=drawn)
    pictures = F.interpolate(pictures, size=SIZE, mode="bilinear")
    noise = torch.randn(FRAMES, 1, 3, SIZE, SIZE, generator=drawn)
    return pictures[labels].unsqueeze(1) + 1.5 * noise, labels


def trained(frames: Tensor, labels: Tensor) -> nn.Module:
    """Return the network after its steps, at rest."""
    net = build_stream("iframe", depth=18, width=16, classes=CLASSES, seed=0).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for _ in range(STEPS):
        chosen = torch.randperm(FRAMES)[:BATCH]
        optimizer.zero_grad()
        F.cross_entropy(net(frames[chosen]), labels[chosen]).backward()
        optimizer.step()
    return net.eval()


def cost(net: nn.Module, batches: list[tuple[Tensor, Tensor]], *, keep: bool) -> float:
    """Return what a product costs in gradients, the median of pairs timed in turns."""
    weights = list(net.parameters())
    vector = torch.randn(sum(w.numel() for w in weights))

    def gradient() -> None:
        for frames, labels in batches:
            value = F.cross_entropy(net(frames), labels) * (len(labels) / FRAMES)
            torch.autograd.grad(value, weights)

    with Product(Loss(net=net, batches=batches), keep_graph=keep) as product:
        ratios = []
        for _ in range(8):
            ratios.append(_seconds(lambda: product(vector)) / _seconds(gradient))
    return statistics.median(ratios[1:])


def top(product: Product, truth: Tensor) -> tuple[list[Eigenpairs], list[str]]:
    """Print products and errors of the largest eigenvalues; return ours, and what is broken."""
    ours, rows = [], {"ours": [], "PyHessian": []}
    for seed in SEEDS:
        ours.append(eigenpairs(product, TOP, seed=seed))
        rows["ours"].append((ours[-1].products, _apart(ours[-1].values, truth)))
        torch.manual_seed(seed)
        before = product.count
        values = torch.tensor(product.eigenvalues(top_n=TOP)[0])
        values = values.sort(descending=True).values  # it may find them in another order
        rows["PyHessian"].append((product.count - before, _apart(values, truth)))
    for name, row in rows.items():
        errors = ", ".join(f"{error:.1e}" for _, error in row)
        print(f"    {name:9} products {[made for made, _ in row]}, largest relative error {errors}")
    products = {name: [made for made, _ in row] for name, row in rows.items()}
    errors = {name: [error for _, error in row] for name, row in rows.items()}
    broken = []
    if not max(products["ours"]) < min(products["PyHessian"]):
        broken.append("products of eigenvalues")
    if not max(errors["ours"]) <= min(ERROR, *errors["PyHessian"]):
        broken.append("error of eigenvalues")
    return ours, broken


def traces(product: Product, ours: list[Eigenpairs], truth: float) -> list[str]:
    """Print errors of the trace by both at equal products; return what is broken."""
    errors: dict[str, list[float]] = {"ours": [], "PyHessian": []}
    for seed, pairs in zip(SEEDS, ours, strict=True):
        found = trace(product, probes=PRODUCTS - pairs.products, pairs=pairs, seed=seed)
        errors["ours"].append(found.interval.mean / truth - 1)
        torch.manual_seed(seed)
        values = product.trace(maxIter=PRODUCTS, tol=0)
        errors["PyHessian"].append(statistics.mean(values) / truth - 1)
    sizes = {name: statistics.mean(e**2 for e in each) ** 0.5 for name, each in errors.items()}
    for name, each in errors.items():
        told = ", ".join(f"{error:+.2%}" for error in each)
        print(f"    {name:9} errors {told}; root mean square {sizes[name]:.2%}")
    return ["error of the trace"] if not sizes["ours"] < sizes["PyHessian"] else []


def reference(product: Product) -> tuple[Eigenpairs, float]:
    """Return tight eigenpairs and a trace of many probes."""
    count, probes = REFERENCE
    pairs = eigenpairs(product, count, tol=1e-7)
    found = trace(product, probes=probes, pairs=pairs, seed=10_000)
    print(f"    eigenvalues {[round(value, 3) for value in pairs.values.tolist()]}")
    print(f"    the {TOP} largest within {pairs.bounds[:TOP].max() / pairs.values[TOP - 1]:.1e}")
    print(f"    trace {found.interval.mean:.1f}, standard error {found.stderr:.1f}")
    return pairs, found.interval.mean


def _seconds(task: Callable[[], object]) -> float:
    start = time.process_time()
    task()
    return time.process_time() - start


def _apart(values: Tensor, truth: Tensor) -> float:
    return ((values - truth).abs() / truth).max().item()


def main() -> int:
    """Print all figures; return 1 if one is beyond its limit."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    frames, labels = clips()
    net = trained(frames, labels)
    whole = [(frames, labels)]
    loader = list(zip(frames.split(BATCH), labels.split(BATCH), strict=True))
    broken = []
    print(f"a product, in gradients over {FRAMES} frames of {SIZE} px")
    for name, batches, keep, limit in (
        ("graph kept", whole, True, KEPT),
        (f"over a loader of {BATCH}", loader, False, LOADED),
    ):
        ratio = cost(net, batches, keep=keep)
        print(f"    {name}: {ratio:.2f}, at most {limit:g}")
        broken += [f"product, {name}"] if ratio > limit else []
    with Product(Loss(net=net, batches=whole)) as product:
        print("reference")
        pairs, truth = reference(product)
        print(f"the {TOP} largest eigenvalues, {len(SEEDS)} seeds")
        ours, worse = top(product, pairs.values[:TOP])
        print(f"the trace at {PRODUCTS} products, {len(SEEDS)} seeds")
        broken += worse + traces(product, ours, truth)
    if broken:
        print(f"broken: {', '.join(broken)}")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
