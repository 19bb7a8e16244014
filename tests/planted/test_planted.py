"""Defects planted in a copy of the library: each must turn a test red.

A suite that stays green over these would prove nothing.  The copy comes first on the path, the
tests named run against it, and at least one must fail (not merely err on import).
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

DEFECTS = {
    "residual with its sign flipped": (
        "video/gop.py",
        "np.subtract(self._rgb(pos), predicted, out=out, dtype=np.int16)",
        "np.subtract(predicted, self._rgb(pos), out=out, dtype=np.int16)",
        "tests/video/test_reader.py -k reconstruction",
    ),
    "motion not reset at a GOP": (
        "video/gop.py",
        "self._source.maps.reset()",
        "pass",
        "tests/video/test_reader.py -k starts_anew",
    ),
    "motion applied to the source block instead of the destination": (
        "video/motion.py",
        'records["dst"] >> 4, vectors',
        'records["src"] >> 4, vectors',
        "tests/video/test_reader.py -k slow_definition",
    ),
    "BatchNorm of a frozen network drifting": (
        "predict.py",
        "yield net.eval()",
        "yield net",
        "tests/train/test_train.py -k prediction_changes_no_bit",
    ),
    "a settled network that is not in eval mode": (
        "predict.py",
        "return net.eval().requires_grad_(False)",
        "return net.requires_grad_(False)",
        "tests/train/test_train.py -k frozen",
    ),
    "test clips, with their labels, used for selection": (
        "video/splits.py",
        "            val = tuple(by_id[name] for name in chosen.val)\n",
        "            val = tuple(by_id[name] for name in chosen.test)\n",
        "tests/data/test_feeds.py",
    ),
    "test labels read before the end": (
        "feeds.py",
        "    parts, dropped = {}, ()\n",
        '    split.test.open("peek")\n    parts, dropped = {}, ()\n',
        "tests/data/test_feeds.py",
    ),
    "a training transform at test": (
        "feeds.py",
        'train=side == "train"',
        "train=True",
        "tests/data/test_feeds.py",
    ),
    "a modality fed another's scaling": (
        "feed.py",
        "non_blocking=True), self.modality)",
        'non_blocking=True), "residual" if self.modality == "mv" else "mv")',
        "tests/train/test_train.py -k first_losses",
    ),
    "a loss with its sign flipped": (
        "phase.py",
        "return F.cross_entropy",
        "return -F.cross_entropy",
        "tests/train/test_train.py -k first_losses",
    ),
    "the loss as reverse KL": (
        "methods/distil.py",
        "    loss = -(target * torch.log_softmax(student / temperature, -1)).sum(-1).mean(-1)\n",
        "    said = torch.log_softmax(student / temperature, -1)\n"
        "    loss = (said.exp() * (said - target.log())).sum(-1).mean(-1)\n",
        "tests/methods/test_arms.py -k forward_kl",
    ),
    "teachers in another order": (
        "methods/arms.py",
        'Arm(name="pkd", teachers=_then("mv", "residual", OWN))',
        'Arm(name="pkd", teachers=_then("residual", "mv", OWN))',
        "tests/methods/test_arms.py -k released_chain",
    ),
    "an exit fed another exit's features": (
        "nets/exits.py",
        "for path in paths], output",
        "for path in reversed(paths)], output",
        "tests/nets/test_exits.py -k leaves_the_stages",
    ),
    "WISE fitted on test": (
        "methods/ensembles.py",
        "learn(logits[fit_on], labels[fit_on], **recipe)",
        'learn(logits["test"], labels["test"], **recipe)',
        "tests/methods/test_ensembles.py -k split_they_are_told",
    ),
    "thresholds chosen on test": (
        "exit_scores.py",
        "known = found.scores[choose_on], self.labels[choose_on]",
        'known = found.scores["test"], self.labels["test"]',
        "tests/methods/test_exit_scores.py -k move_no_threshold",
    ),
    "early exits not charged when wrong": (
        "methods/cascade.py",
        "        lines.append((threshold, hits, mean_cost(left, costs), early))",
        "        paid = right[left, clips] | (left == len(scores) - 1)\n"
        "        lines.append((threshold, hits, mean_cost(left, costs, charged=paid), early))",
        "tests/methods/test_cascade.py -k charges_and_counts",
    ),
    "ICs passed on the way not paid": (
        "exit_cost.py",
        "        logits.append(ics[number](features.unflatten(0, x.shape[:2])))\n",
        "        last = number + 1 == exit\n"
        "        logits.append(\n"
        "            ics[number](features.unflatten(0, x.shape[:2])) if last else features\n"
        "        )\n",
        "tests/train/test_exit_cost.py -k pays_the_ics",
    ),
    "released labels not swapped": (
        "methods/released_costs.py",
        '"mv": table["residual"], "residual": table["mv"]}',
        '"mv": table["mv"], "residual": table["residual"]}',
        "tests/methods/test_released_costs.py -k swapped",
    ),
    "a frozen network drifting with the replay of its copy": (
        "methods/released.py",
        "    copied = copy.deepcopy(net)\n",
        "    copied = net\n",
        "tests/methods/test_released.py -k replay_of_all",
    ),
    "distillation averaged over the classes": (
        "losses/response/kd.py",
        "(target.exp() * (target - ours)).sum(1).mean()",
        "(target.exp() * (target - ours)).mean()",
        "tests/losses/test_losses_response.py -k scipy",
    ),
    "a teacher that moves while it is heard": (
        "taught_feed.py",
        "    with evaluating(net):\n        for view",
        "    with torch.no_grad():\n        net.train()\n        for view",
        "tests/methods/test_staged.py -k frozen_network_changes",
    ),
    "trusted labels refined like the others": (
        "methods/refine.py",
        "gate = _quantile(mean, unsure, ~trusted, settings.share(round))",
        "gate = _quantile(mean, unsure, trusted | ~trusted, settings.share(round))",
        "tests/methods/test_refine.py -k trusted_ones_never_change",
    ),
    "the gate letting the least sure through": (
        "methods/refine.py",
        "score, gate = unsure - top,",
        "score, gate = top - unsure,",
        "tests/methods/test_refine.py -k definition_clip_by_clip",
    ),
    "a cascade whose student hears the teacher, not the assistant": (
        "methods/branches.py",
        "for m in range(level - 1, first - 1, -1))",
        "for m in range(0, 1))",
        "tests/methods/test_branches.py",
    ),
    "hidden labels within a student's reach": (
        "methods/substage_study.py",
        "labels=torch.as_tensor(weak.initial))",
        "labels=feeds.train[RGB].labels)",
        "tests/methods/test_substage_study.py",
    ),
    "the spectrum loss with its phase kept": (
        "losses/spectrum/component.py",
        '"amplitude": lambda x, y: (amplitude(x) - amplitude(y)).square(),',
        '"amplitude": lambda x, y: squared(x - y),',
        "tests/losses/test_spectrum_feature.py -k p5_rolled",
    ),
    "bins of a spectrum counted once each": (
        "losses/spectrum/transform.py",
        "counts = torch.full((frames // 2 + 1,), 2.0",
        "counts = torch.full((frames // 2 + 1,), 1.0",
        "tests/losses/test_spectrum_feature.py -k p4_complex",
    ),
    "a spectrum of the parameters without a gradient": (
        "methods/spectrum_loss.py",
        "return self.parameter(own, given)",
        "own = [{n: k.detach() for n, k in stage.items()} for stage in own]\n"
        "        return self.parameter(own, given)",
        "tests/methods/test_spectrum_gradients.py -k reaches_what",
    ),
    "noise levels without a clamp": (
        "nets/follower.py",
        "self.noise.clamp_(-self.clamp, self.clamp)",
        "pass",
        "tests/nets/test_follower.py -k held_inside",
    ),
    "the sham taught like the method": (
        "methods/spectrum_loss.py",
        "given = [*given[1:], given[0]] if self.shifted else given",
        "given = list(given)",
        "tests/methods/test_spectrum_loss.py -k shifted",
    ),
    "a mirrored clip taught under its old label": (
        "taught_feed.py",
        "labels = torch.where(turned[:, None], labels[:, list(self.feed.swap)], labels)",
        "pass",
        "tests/train/test_live_feed.py -k mirrored",
    ),
    "products that forget a batch's share of the clips": (
        "curvature/product.py",
        "share = len(labels) / self.loss.clips",
        "share = 1 / len(self.loss.batches)",
        "tests/nets/test_lone_exit.py -k slope_of_its_gradient",
    ),
    "residuals of eigenvalues not recomputed": (
        "curvature/eigen.py",
        "images = [product(vector) for vector in vectors.T]",
        "images = list((vectors * values).T)",
        "tests/curvature/test_curvature_eigen.py -k near_to_an_eigenvalue",
    ),
    "a trace deflated without its projection": (
        "curvature/trace.py",
        "outside = z - self.basis @ (self.basis.T @ z)",
        "outside = z",
        "tests/curvature/test_curvature_trace.py -k leaves_nothing_to_chance",
    ),
    "filters measured by their sum": (
        "curvature/scale.py",
        "rows.square().mean(1, keepdim=True)",
        "rows.square().sum(1, keepdim=True)",
        "tests/curvature/test_curvature_scale.py -k own_root_mean_square",
    ),
    "equal loss read from the wrong rung": (
        "methods/equal_loss.py",
        "self.way * (quantity(self.high) - low)",
        "(1 - self.way) * (quantity(self.high) - low)",
        "tests/methods/test_equal_loss.py -k linear_in_the_loss",
    ),
    "the Hessian of validation clips": (
        "methods/flatness_study.py",
        "spread(feeds.split.train,",
        "spread(feeds.split.val,",
        "tests/methods/test_flatness_study.py -k no_others",
    ),
    "a key that does not see the data": (
        "running/key.py",
        '"data": _data(places, memo),',
        '"data": "",',
        "tests/batch/test_run_key.py -k weights_count_by_content",
    ),
    "a run made twice by two workers": (
        "batch/worker.py",
        "    with key_lock(batch.reports, key):\n",
        "    with contextlib.nullcontext():\n",
        "tests/batch/test_batch_locks.py -k made_once",
    ),
    "a run without a record that counts as done": (
        "batch/found.py",
        'own = read_record(path.parent).get("key") or {}',
        'own = __import__("json").loads(text).get("key") or {}',
        "tests/batch/test_run_key.py -k only_while_its_record",
    ),
    "a bundle whose hashes nobody looks at": (
        "evidence/opened.py",
        'if opened.sha256(name) != opened.manifest["files"][name]["sha256"]:',
        "if not opened.sha256(name):",
        "tests/evidence/test_bundle_container.py -k written_anew",
    ),
    "folds counted as independent runs": (
        "pairing.py",
        "sqrt(1 + n * self.overlap)",
        "sqrt(1)",
        "tests/stats/test_folds_apart.py -k resampled",
    ),
    "a record behind which the runner died called killed": (
        "running/status.py",
        "(path.parent / RECORD).is_file()",
        "False",
        "tests/run/test_status.py -k behind_its_record",
    ),
}


def plant(name: str, folder: Path) -> str:
    """Copy the library into ``folder`` with a defect in it; return the module that has it."""
    file, right, wrong, _ = DEFECTS[name]
    shutil.copytree(ROOT / "lib" / "redistill", folder / "redistill")
    path = folder / "redistill" / file
    text = path.read_text()
    assert text.count(right) == 1, f"{file} no longer holds what this defect changes"
    path.write_text(text.replace(right, wrong))
    return "redistill." + file.removesuffix(".py").replace("/", ".")


@pytest.fixture(scope="module")
def nursery():
    """Return a function of a folder and arguments that runs pytest in a fork (see nursery.py)."""
    command = [sys.executable, str(Path(__file__).with_name("nursery.py"))]
    how = {"cwd": ROOT, "env": os.environ | {"OMP_NUM_THREADS": "1"}, "text": True}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **how) as process:

        def run(folder, args):
            print(json.dumps({"path": str(folder), "args": args}), file=process.stdin, flush=True)
            answer = json.loads(process.stdout.readline())
            return answer["code"], answer["output"]

        yield run
        process.stdin.close()


def arguments(where):
    """Return pytest's arguments for the tests named."""
    path, _, selected = where.partition(" -k ")
    return ["-p", "no:cacheprovider", "-n0", "-x", path, *(["-k", selected] if selected else [])]


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_turns_a_test_red(name, tmp_path, nursery):
    plant(name, tmp_path)
    code, output = nursery(tmp_path, arguments(DEFECTS[name][-1]))
    assert code == 1, f"{name}: stayed green\n{output[-2000:]}"
    assert "1 failed" in output


def test_a_library_without_defect_stays_green(tmp_path, nursery):
    """Else red would prove nothing; and it is the copy that is tested."""
    shutil.copytree(ROOT / "lib" / "redistill", tmp_path / "redistill")
    marked = tmp_path / "redistill" / "stats.py"
    marked.write_text(marked.read_text() + "\nprint('the copy', flush=True)\n")
    code, output = nursery(tmp_path, ["-s", *arguments("tests/stats/test_stats.py -k wilson")])
    assert code == 0, output[-2000:]
    assert "the copy" in output
