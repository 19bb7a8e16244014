"""Small networks whose whole Hessian can be written down."""

import torch
from torch import nn
from torch.func import functional_call, hessian
from torch.nn import functional as F

from redistill.curvature import Loss

CLIPS, CLASSES = 24, 3


class Early(nn.Module):
    """Two exits, of which the loss sees the first: the rest of the network is not used."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(4, 5)
        self.first = nn.Linear(5, CLASSES)
        self.rest = nn.Linear(5, 5)
        self.last = nn.Linear(5, CLASSES)

    def forward(self, x):
        features = torch.tanh(self.stem(x))
        self.last(torch.tanh(self.rest(features)))
        return self.first(features)


class Pictures(nn.Module):
    """Convolutions with BatchNorm and ReLU, as in the networks that are measured."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 3, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(3)
        self.conv2 = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(4, CLASSES)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.fc(x.mean((2, 3)))


def network(kind, dtype=torch.float64, seed=0):
    """A network at rest, away from any minimum, its BatchNorms with statistics of their own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = {
            "smooth": lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, CLASSES)),
            "early": Early,
            "pictures": Pictures,
        }[kind]()
        for module in made.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 2)
                nn.init.uniform_(module.weight, 0.5, 2)
                nn.init.normal_(module.bias, 0, 0.3)
    return made.to(dtype).eval()


def clips(kind, dtype=torch.float64, seed=1):
    drawn = torch.Generator().manual_seed(seed)
    shape = (CLIPS, 2, 5, 5) if kind == "pictures" else (CLIPS, 4)
    x = torch.randn(shape, generator=drawn, dtype=torch.float64).to(dtype)
    return x, torch.randint(0, CLASSES, (CLIPS,), generator=drawn)


def loss_of(kind, sizes=(CLIPS,), *, dtype=torch.float64, only=(), net=None):
    x, y = clips(kind, dtype)
    batches = list(zip(x.split(list(sizes)), y.split(list(sizes)), strict=True))
    return Loss(net=net or network(kind, dtype), batches=batches, only=only)


def whole(loss):
    """The Hessian (n, n) by forward over reverse mode, all clips in one batch, and nothing else."""
    x = torch.cat([inputs for inputs, _ in loss.batches])
    y = torch.cat([labels for _, labels in loss.batches])
    own = {name: w.detach() for name, w in loss.weights.items()}
    fixed = {name: t.detach() for name, t in loss.net.state_dict().items() if name not in own}

    def value(vector):
        parts, at = {}, 0
        for name, w in own.items():
            parts[name] = vector[at : at + w.numel()].view(w.shape)
            at += w.numel()
        return F.cross_entropy(functional_call(loss.net, fixed | parts, (x,)), y)

    return hessian(value)(torch.cat([w.flatten() for w in own.values()]))


def falling(matrix):
    return torch.linalg.eigvalsh(matrix).flip(0)


class Matrix:
    """A matrix that counts its products, for what no network has."""

    def __init__(self, matrix, stop=None):
        self.matrix, self.size, self.count, self.stop = matrix, len(matrix), 0, stop

    def __call__(self, vector):
        if self.count == self.stop:
            raise KeyboardInterrupt
        self.count += 1
        return self.matrix @ vector.to(self.matrix)


def symmetric(values, seed=0):
    """A symmetric matrix of these eigenvalues, and its eigenvectors as columns."""
    n = len(values)
    drawn = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    q = torch.linalg.qr(drawn).Q
    return q @ torch.diag(torch.as_tensor(values, dtype=torch.float64)) @ q.T, q
