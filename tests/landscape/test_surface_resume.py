"""A surface killed anywhere and started again: the same bits, and no finished row twice."""

import numpy as np
import pytest
from small_losses import small_stream, stream_loss
from torch.nn import functional as F

from redistill.errors import RedistillError
from redistill.landscape import filter_direction, line, surface

A, B = (-0.5, 0.0, 0.5, 1.0), (0.0, 0.25, 0.5)
BATCHES = 2


class Counted:
    """Cross-entropy that is killed at a call, and counts them."""

    __qualname__ = "counted"

    def __init__(self) -> None:
        self.calls, self.most = 0, 10**9

    def __call__(self, logits, labels):
        self.calls += 1
        if self.calls > self.most:
            raise KeyboardInterrupt
        return F.cross_entropy(logits, labels)


def make(kind, criterion, folder=None, **others):
    loss = stream_loss(criterion=criterion)
    if kind == "line":
        return line(loss, small_stream(1).state_dict(), a=A, folder=folder, **others)
    ways = [filter_direction(loss, seed=s) for s in (0, 1)]
    return surface(loss, ways, a=A, b=B, folder=folder, **others)


@pytest.mark.parametrize("reestimate", [False, True])
@pytest.mark.parametrize(("kind", "points"), [("surface", len(B)), ("line", 1)])
def test_a_killed_surface_goes_on_with_the_row_it_was_in(tmp_path, kind, points, reestimate):
    whole = make(kind, Counted(), reestimate=reestimate)
    row = points * BATCHES
    for killed in (row - 1, row, 2 * row + 1):
        folder, counted = tmp_path / str(killed), Counted()
        counted.most = killed
        with pytest.raises(KeyboardInterrupt):
            make(kind, counted, folder, reestimate=reestimate)
        rest = Counted()
        found = make(kind, rest, folder, reestimate=reestimate)
        assert rest.calls == (len(A) - killed // row) * row
        assert found.loss.tobytes() == whole.loss.tobytes()
        assert found.accuracy.tobytes() == whole.accuracy.tobytes()
        assert found.cosine == whole.cosine
        done = Counted()
        assert np.array_equal(make(kind, done, folder, reestimate=reestimate).loss, whole.loss)
        assert done.calls == 0


def test_no_file_is_left_half_written(tmp_path):
    make("surface", Counted(), tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(path.name for path in files) == [f"row-{i:03d}.json" for i in range(len(A))]


def test_other_steps_directions_and_switches_have_rows_of_their_own(tmp_path):
    loss = stream_loss()
    one, two = (filter_direction(loss, seed=s) for s in (0, 1))
    keep = {"folder": tmp_path}
    surfaces = [
        surface(loss, [one], a=(0.0, 1.0), **keep),
        surface(loss, [one], a=(0.0, 2.0), **keep),
        surface(loss, [two], a=(0.0, 1.0), **keep),
        surface(loss, [one], a=(0.0, 1.0), reestimate=True, **keep),
        surface(loss, [one, two], a=(0.0, 1.0), b=(1.0,), **keep),
        surface(loss, [one, two], a=(0.0, 1.0), b=(2.0,), **keep),
        line(loss, small_stream(1).state_dict(), a=(0.0, 1.0), **keep),
        line(loss, small_stream(2).state_dict(), a=(0.0, 1.0), **keep),
    ]
    assert len(list(tmp_path.iterdir())) == len(surfaces)
    assert len({float(found.loss[1, 0]) for found in surfaces}) == len(surfaces)


def test_a_broken_row_is_named(tmp_path):
    make("surface", Counted(), tmp_path)
    row = next(tmp_path.rglob("row-002.json"))
    row.write_text("{")
    with pytest.raises(RedistillError, match=r"row-002\.json"):
        make("surface", Counted(), tmp_path)
