"""TEAM-Net's training: aligned modalities, its loss, its arms on a network that stays as it is."""

import dataclasses

import numpy as np
import pytest
import torch

from redistill.cost import macs
from redistill.errors import RedistillError
from redistill.exit_cost import ptflops
from redistill.feature_feed import FeatureFeed
from redistill.feed import Feed
from redistill.joint_feed import JointFeed, join, joint_cross_entropy
from redistill.methods.distil import Distil, soft_cross_entropy
from redistill.methods.team import (
    TEAM_ARMS,
    squeezed_once,
    team_costs,
    team_exit_logits,
    train_team_exits,
)
from redistill.modality import CHANNELS, MODALITIES
from redistill.nets.team import TeamICs, TeamNet, build_team, build_team_ics, total
from redistill.phase import Phase
from redistill.predict import accuracy, predict
from redistill.train import Trained, run_phase

PHASE = Phase(name="team", steps=40, batch=11, lr=1e-2, weight_decay=1e-2, seed=0)
CLIPS, CLASSES = 21, 3


def drawn_feeds(seed: int = 0) -> dict[str, Feed]:
    """Noise with a class-dependent brightness in each modality, two views."""
    labels = torch.arange(CLIPS) % CLASSES
    feeds = {}
    for m, modality in enumerate(MODALITIES):
        shape = (2, CLIPS, 2, CHANNELS[modality], 16, 16)
        noise = np.random.default_rng([seed, m]).integers(0, 60, shape)
        views = torch.as_tensor(noise) + 60 * labels.view(1, -1, 1, 1, 1, 1)
        feeds[modality] = Feed(
            views=views.to(torch.uint8),
            modality=modality,
            labels=labels,
            clips=tuple(f"clip{i:02d}" for i in range(CLIPS)),
            manifest=f"drawn {modality} {seed}",
        )
    return feeds


def network(seed: int = 0) -> TeamNet:
    return build_team(depth_iframe=10, depth=10, width=4, classes=CLASSES, seed=seed)


def weights(net) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def joint() -> JointFeed:
    return join(drawn_feeds())


@pytest.fixture(scope="module", autouse=True)
def shared_cache(tmp_path_factory):
    """One cache for this file, so that the network is trained once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDISTILL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def trained(shared_cache, joint) -> Trained:
    return run_phase(PHASE, network(), joint, val=joint, objective=joint_cross_entropy)


def test_batches_hold_the_same_clips_and_views_in_all_modalities():
    """Every picture is filled with the number of its clip, its view and its modality."""
    feeds = drawn_feeds()
    for m, modality in enumerate(MODALITIES):
        feed = feeds[modality]
        number = torch.arange(CLIPS).view(1, -1, 1, 1, 1, 1) * 6
        mark = number + 3 * torch.arange(2).view(-1, 1, 1, 1, 1, 1) + m
        views = mark.expand(feed.views.shape).to(torch.uint8)
        feeds[modality] = dataclasses.replace(feed, views=views)
    joint = join(feeds)
    for epoch in (0, 1):
        seen = []
        for batch in joint.epoch(epoch, batch=8, seed=5):
            numbers = torch.tensor([int(name[4:]) for name in batch.clips])
            assert torch.equal(batch.labels, numbers % CLASSES)
            for m, part in enumerate(batch.parts):
                assert part.modality == MODALITIES[m]
                assert (part.inputs.flatten(1) == (numbers * 6 + 3 * epoch + m)[:, None]).all()
            seen += batch.clips
        assert sorted(seen) == list(joint.clips)
        assert seen != sorted(seen)
    assert joint.steps(8) == 3
    assert len(joint) == CLIPS


def test_a_joint_batch_is_scaled_as_each_modality_is(joint):
    batch = next(joint.inorder(batch=4))
    for m, x in enumerate(batch.ready("cpu")):
        single = next(joint.parts[m].inorder(batch=4)).ready("cpu")
        assert torch.equal(x, single)


def test_feeds_of_unlike_clips_are_refused():
    feeds = drawn_feeds()
    with pytest.raises(RedistillError, match=r"\['iframe', 'mv'\].*each of iframe, mv, residual"):
        join({m: feeds[m] for m in ("iframe", "mv")})
    turned = dataclasses.replace(feeds["mv"], clips=feeds["mv"].clips[::-1])
    fewer = dataclasses.replace(feeds["mv"], views=feeds["mv"].views[:1])
    named = dataclasses.replace(feeds["mv"], labels=feeds["mv"].labels.flip(0))
    for other in (turned, fewer, named):
        with pytest.raises(RedistillError, match="unlike clips"):
            join(feeds | {"mv": other})


def test_another_feed_is_another_manifest(joint):
    other = join(drawn_feeds() | {"mv": drawn_feeds(1)["mv"]})
    assert other.manifest != joint.manifest


def test_the_loss_is_that_of_the_summed_logits(joint):
    logits = torch.randn(3, 4, CLASSES)
    batch = next(joint.inorder(batch=4))
    score = logits.numpy().sum(0)
    by_hand = np.mean(
        [np.log(np.exp(row).sum()) - row[y] for row, y in zip(score, batch.labels, strict=True)]
    )
    assert joint_cross_entropy(logits, batch, 0.5).item() == pytest.approx(by_hand, rel=1e-5)


def test_joint_training_learns_and_is_found_again(trained, joint):
    logits = predict(trained.net, joint)
    assert logits.shape == (3, CLIPS, CLASSES)
    assert accuracy(total(logits), joint.labels) > 0.9
    assert trained.journal[-1]["val"] == accuracy(logits, joint.labels)  # a stream each
    again = run_phase(PHASE, network(), joint, val=joint, objective=joint_cross_entropy)
    assert again.found
    assert same(weights(trained.net), weights(again.net))


def test_vectors_and_teachers_are_those_of_a_forward_pass_of_each_view(joint):
    net = network().train()
    before = weights(net)
    feed = squeezed_once(net, joint, device="cpu")
    assert same(before, weights(net))
    assert net.training
    net.eval()
    for view in (0, 1):
        batch = next(joint.inorder(batch=CLIPS, view=view))
        squeezed, logits = net.exits(batch.ready("cpu"))
        for found, wanted in zip(feed.features, squeezed, strict=True):
            torch.testing.assert_close(found[view], wanted)
        for m, modality in enumerate(MODALITIES):
            torch.testing.assert_close(feed.teachers[modality][view], logits[m])
        torch.testing.assert_close(feed.teachers["own"][view], logits.sum(0))


@pytest.mark.parametrize(
    ("name", "epochs"),
    [
        ("pkd", {"mv": 3, "residual": 3, "iframe": 34}),
        ("pkd_thirds", {"mv": 10, "residual": 10, "iframe": 10}),
        ("anticurriculum", {"iframe": 15, "residual": 10, "mv": 5}),
        ("kd_iframe", {"iframe": 30}),
        ("ce", {None: 30}),
    ],
)
def test_teachers_follow_the_released_epochs(name, epochs):
    """Spec 4.2, lower table."""
    wanted = [teacher for teacher, count in epochs.items() for _ in range(count)]
    assert [TEAM_ARMS[name].teacher(e / len(wanted)) for e in range(len(wanted))] == wanted


def test_each_arm_is_taught_by_the_head_that_its_schedule_names(joint):
    feed = squeezed_once(network().eval(), joint, device="cpu")
    batch = next(feed.inorder(batch=8))
    z = torch.randn(1, 3, 8, CLASSES)
    for done, teacher in ((0.0, "mv"), (0.1, "residual"), (0.2, "iframe"), (0.99, "iframe")):
        target = torch.softmax(feed.teachers[teacher][0, :8], -1).double().numpy()
        logp = torch.log_softmax(z[0].double(), -1).numpy()
        by_hand = -(target * logp).sum((1, 2)).sum() / 8
        loss = Distil((TEAM_ARMS["pkd"],))(z, batch, done)
        assert loss.item() == pytest.approx(by_hand, rel=1e-5)


@pytest.fixture(scope="module")
def feed(trained, joint) -> FeatureFeed:
    return squeezed_once(trained.net, joint, device="cpu")


def test_classifiers_learn_and_leave_the_network_as_it_is(trained, joint, feed):
    before, arms = weights(trained.net), tuple(TEAM_ARMS.values())
    phase = dataclasses.replace(PHASE, name="team-ics", steps=60, lr=0.1)
    ics = train_team_exits(phase, feed, arms, seed=0, val=feed).net
    assert same(before, weights(trained.net))
    logits = team_exit_logits(ics, feed, arms, device="cpu")
    fresh = build_team_ics([x.shape[-1] for x in feed.features], classes=CLASSES, seed=0)
    start = predict(fresh, feed)[0]
    final = total(predict(trained.net, joint))
    assert min(accuracy(logits["ce"], joint.labels)) > 0.9
    for arm in arms:
        z = logits[arm.name]
        assert z.shape == (4, CLIPS, CLASSES)
        torch.testing.assert_close(z[3], final)
        if arm.teachers:  # the I-frame head teaches each of them, and none longer
            wanted = feed.teachers["iframe"][0]
            nearer = soft_cross_entropy(z[:3], wanted) < soft_cross_entropy(start, wanted) - 0.1
            assert nearer.all(), arm.name


def test_an_arm_trains_as_it_would_alone(feed):
    arms = tuple(TEAM_ARMS.values())
    together = team_exit_logits(
        train_team_exits(PHASE, feed, arms, seed=0).net, feed, arms, device="cpu"
    )
    for arm in arms[1:3]:
        alone = team_exit_logits(
            train_team_exits(PHASE, feed, [arm], seed=0).net, feed, [arm], device="cpu"
        )
        torch.testing.assert_close(alone[arm.name], together[arm.name], rtol=1e-4, atol=1e-5)


def test_costs_at_the_published_size_are_those_of_the_spec():
    """Spec 5.6, last lines: 10^9 MACs a video of 8 segments; ours without BatchNorm and ReLU."""
    with torch.device("meta"):
        net = TeamNet(depth_iframe=50, depth=18, width=64, classes=101)
        ics = TeamICs(net.lengths(8), classes=101)
    theirs = team_costs(net, ics, segments=8, size=224, counter=ptflops)
    assert [round(each / 1e9, 2) for each in theirs] == [2.60, 15.48, 30.38, 61.81]
    ours = team_costs(net, ics, segments=8, size=224)
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    assert ratios == pytest.approx([0.969, 0.986, 0.990, 0.994], abs=1e-3)


def test_costs_of_parts_add_up():
    """A linear layer costs its weights, segments cost alike, and each exit costs more."""
    net = network().eval()
    found = {}
    for segments in (1, 2):
        ics = TeamICs(net.lengths(segments), classes=CLASSES)
        found[segments] = team_costs(net, ics, segments=segments, size=32)
        assert list(found[segments]) == sorted(set(found[segments]))
        video = [torch.zeros(1, segments, CHANNELS[m], 32, 32) for m in MODALITIES]
        bare = macs(lambda video=video: net(video))
        assert found[segments][3] == bare + sum(head.weight.numel() for head in ics.heads)
    assert [2 * cost for cost in found[1]] == list(found[2])
    wider = TeamICs(net.lengths(2), classes=CLASSES + 10)
    added = np.cumsum([10 * length for length in net.lengths(2)]).tolist()
    paid = np.subtract(team_costs(net, wider, segments=2, size=32), found[2]).tolist()
    assert paid == [*added, added[-1]]  # an IC that is passed is paid
