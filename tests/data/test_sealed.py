import pickle
from pathlib import Path

import numpy as np
import pytest

from redistill.errors import CatalogError
from redistill.video.sealed import SealedClips, SealedLabels
from redistill.video.splits import Clip

CLIPS = [Clip(str(i), Path("x"), i % 3, "g") for i in range(6)]


def test_reads_are_counted_with_their_reasons():
    sealed = SealedClips(CLIPS)
    assert (len(sealed), sealed.reads) == (6, 0)
    assert sealed.open("final accuracy").tolist() == [0, 1, 2, 0, 1, 2]
    assert sealed.score(np.zeros(6, int), "per modality") == pytest.approx(1 / 3)
    assert sealed.reasons == ["final accuracy", "per modality"]
    assert sealed.reads == 2


def test_nothing_shows_the_labels_by_accident():
    sealed = SealedClips(CLIPS)
    assert {clip.label for clip in sealed.clips} == {-1}
    assert "[0, 1" not in repr(sealed) + repr(vars(sealed))
    with pytest.raises(CatalogError, match="cannot be copied"):
        pickle.dumps(sealed)
    sealed.open("x")[:] = 9
    assert sealed.open("y").tolist() == [0, 1, 2, 0, 1, 2]


def test_bad_reads_are_refused_and_not_counted():
    sealed = SealedLabels([1, 2])
    with pytest.raises(CatalogError, match="reason"):
        sealed.open(" ")
    with pytest.raises(CatalogError, match="2 sealed labels"):
        sealed.score(np.zeros(3), "x")
    assert sealed.reads == 0
