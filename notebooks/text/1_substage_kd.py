# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   redistill:
#     config: substage
# ---

# %% [markdown]
# # 1 · Substage KD: knowledge in stages, from few labels
#
# **The claim** (arXiv 2307.05201): *a student that learns from its teacher in stages, one for each kind
# of knowledge (response, feature, relation), each down a cascade of assistants, on pseudo-labels that
# improve on the way, is better than one taught by distillation methods before it.*
#
# Reconstruction from the abstract and framework figure; the paper's equations, data sets and numbers
# were not accessible. So nothing here is compared with a printed number.

# %%
from redistill.reference import headline

print(headline("S1", "S2", "S3", "S4", "S6", "S7"))

# %%
from redistill import substage_figures, substage_tables
from redistill.figures import style
from redistill.methods.substage import SubstageConfig
from redistill.record import note_data, record, show

style()
usual = substage_tables.cascade_table(SubstageConfig())
show(substage_figures.cascade(usual), usual, name="cascade",
     caption="Who teaches whom: three branches, down to a student each, and one student of all.")

# %% [markdown]
# Everything that can be set, each with its help; A1 to A16 are the places where the paper leaves open
# what it does. `None` means "the profile's value"; a misspelt or ill-typed value stops the run before it
# starts. On the command line: `redistill run notebooks/1_substage_kd.ipynb -p weak_mode noisy`.

# %% tags=["parameters"]
profile = "quick"       # set of defaults
dataset = None          # which clips
data_root = None        # folder of a real data set
world = None            # label function of the synthetic clips
set_size = None         # clips per class of the synthetic set
data_seed = None        # which synthetic set
seed = None             # of weights, order and augmentation
folds = None            # folds to train on; none named: all
on_bad = None           # a file that cannot be used
frames = None           # frames of a clip, on a uniform grid
size = None             # side of the networks' input, pixels
views = None            # augmented views of a training clip, held in memory
weak_mode = None        # what is weak about the labels (A10)
label_frac = None       # share of trusted labels, mode few
noise_rate = None       # share of wrong labels, mode noisy (A8)
noise_kind = None       # which wrong labels, mode noisy
teacher_network = None  # of the teacher
network = None          # of assistants and students
teacher_width = None    # channels of its first stage
student_width = None    # channels of its first stage
weights = None          # teacher's first weights: kinetics, or a safetensors file
teacher_labels = None   # the teacher learns from the same labels or from all (A2)
kinds = None            # substages (A1)
n_assistants = None     # networks between teacher and student
cascade = None          # who teaches (A6, A12)
cascade_init = None     # first weights of a lower network
branch_data = None      # what each branch sees (A9)
branch_sharing = None   # assistants of the branches (A11)
ce_in_branch = None     # labels in feature and relation branches (A13)
fea_kind = None         # feature loss
fea_layers = None       # last stages whose maps are compared (A14)
rel_kind = None         # relation loss
corr_reading = None     # correlation of substages (A4)
rho_cor = None          # weight of the correlation
fd_kind = None          # distance of feature distributions (A7)
fd_gamma = None         # weight of that distance
temperature = None      # of response terms
lam = None              # weight of the response, its labels taking the rest
beta_fea = None         # weight of the feature loss
beta_rel = None         # weight of the relation loss
kd_target = None        # the response taught: mean over views, or of the view
refinement = None       # optimise pseudo-labels
refresh = None          # when labels are refined (A16)
unc_kind = None         # uncertainty of a label (A15)
gate = None             # which labels count
rho_sel = None          # share let through at first
lam_max = None          # largest step of a noisy label
w_min = None            # least weight of a label
sharpen = None          # temperature that sharpens pseudo-labels
neg_labels = None       # learn from classes ruled out (A5)
label_guard = None      # undo a round that trusted validation labels speak against
combine = None          # how students are combined (A3)
deploy_from = None      # what the deployed student learns from
weighting = None        # weights of several teachers (A7, A15)
redistill_init = None   # first weights of the deployed student
arms = None             # methods that are compared
also = None             # further methods; they change no other
sweeps = None           # series over a parameter
teacher_steps = None    # optimiser steps of the teacher
steps = None            # optimiser steps of each assistant and student
trusted_share = None    # of a batch, at least
batch = None            # clips a step
teacher_lr = None       # peak learning rate of the teacher
lr = None               # peak learning rate of assistants and students
weight_decay = None     # of kernels and matrices
device = None           # where to train
threads = None          # CPU threads of torch
workers = None          # processes that decode

# %%
from redistill.config import configure
from redistill.methods.substage_study import check_arms
from redistill.session import begin

config = configure(SubstageConfig, globals())
check_arms(config)
device = begin(config)

# %% [markdown]
# ## The clips
#
# Validation clips are cut from the training clips by *group* (a scene, a person, a sequence), and they
# count as labelled, for whatever is chosen here is chosen on them. The labels of the test clips are
# sealed until the end.

# %%
from redistill.video.catalog import open_catalog

catalog = open_catalog(config.dataset, config.data_root, **config.catalog_options())
classes = len(catalog.classes)
note_data(dataset=catalog.name, manifest=catalog.manifest, dropped=len(catalog.dropped))
for what in ("clips", "classes", "folds", "dropped"):
    record("number", len(getattr(catalog, what)), of=what, dataset=catalog.name)

# %% [markdown]
# `frames` whole frames of each clip on a uniform grid, cropped and mirrored at random for training (a
# fixed bank of `views` draws, decoded once), and in the middle for validation and test.

# %%
from redistill.feeds import open_feeds
from redistill.live import Line
from redistill.modality import RGB

line = Line()
folds = catalog.fold_numbers(config.folds)
way = {"flip": catalog.flip is True, "modalities": (RGB,), "say": line.say}
feeds = open_feeds(catalog.split(folds[0], seed=config.seed), config, **way)
for split in ("train", "val", "test"):
    record("number", len(getattr(feeds, split)[RGB]), of=f"{split} clips", fold=folds[0])

# %% [markdown]
# ## Weak labels
#
# The paper says "weakly supervised" and "label-efficient", and not what it means. `few` trusts a share of
# each class, whole groups first, and hides the other labels; in `noisy` and `sources` most labels are
# given and some of them are wrong (A10). What is hidden is sealed, and read once, after training, to say
# how good the pseudo-labels were.

# %%
from redistill.methods.substage_study import weak_labels

weak = weak_labels(config, feeds.split.train, feeds.train[RGB].clips, classes=classes)
given = weak.initial >= 0
for kind, chosen in {"trusted": weak.trusted, "given, not trusted": given & ~weak.trusted,
                     "hidden": ~given}.items():
    record("number", int(chosen.sum()), of=f"labels {kind}", weak_mode=config.weak_mode)

# %% [markdown]
# What the networks see: one view of a clip each, four of its frames.

# %%
import pandas as pd

from redistill import figures

kinds = {"trusted": weak.trusted, "not trusted": ~weak.trusted}
shown = {kind: int(chosen.argmax()) for kind, chosen in kinds.items() if chosen.any()}
names = [feeds.train[RGB].clips[place] for place in shown.values()]
bank = feeds.train[RGB].views[0, :, :: max(1, config.frames // 4)].movedim(2, -1)
strips = [bank[place, :4].numpy() for place in shown.values()]
titles = [f"{kind}: {'label ' + str(weak.initial[place]) if given[place] else 'no label'}"
          for kind, place in shown.items()]
show(figures.films(strips, titles), pd.DataFrame({"clip": names, "title": titles}), name="clips",
     caption="A clip whose label counts as known, and one whose label does not.")

# %% [markdown]
# ## The networks
#
# All are of one kind and differ in width. Between teacher and student stand `n_assistants` networks, in
# geometric steps: $w_m = w_T^{1-m/(M+1)}\, w_S^{m/(M+1)}$. Cost is counted on the networks as built:
# multiply-accumulates (MACs) of one clip.

# %%
networks = substage_tables.network_table(config, classes=classes)
for row in networks.itertuples():
    record("video_cost", row.macs, unit="MAC", network=row.role, width=row.width)
    record("parameters", row.parameters, network=row.role, width=row.width)

# %% [markdown]
# ## Substages
#
# The framework figure has one box for each *kind of knowledge*, and in each box a chain from teacher to
# student. So a substage is taken to be a kind of knowledge and not a part of the network (A1). With soft
# labels $q_i$ of weight $w_i$, an edge from an upper network $u$ to a lower one $s$ minimises
#
# $$L = c\, L_{ce} + \beta\, D(u, s) + \gamma\, L_{fd}(u, s) + \rho\, L_{cor}(u, s), \qquad
# L_{ce} = \frac{\sum_i w_i \left(-\sum_k q_{ik} \log p_{ik}\right)}{\sum_i w_i},$$
#
# with $D$ one of
#
# $$\begin{aligned}
# D_{res} &= \tfrac{T^2}{B} \textstyle\sum_i
#   \mathrm{KL}\left(\operatorname{softmax}(o_i^u / T) \,\|\, \operatorname{softmax}(o_i^s / T)\right), \\
# D_{fea} &= \tfrac1B \textstyle\sum_i
#   \left\lVert n(A F_i^s) - n(F_i^u) \right\rVert^2, \qquad n(v) = v / \lVert v \rVert, \\
# D_{rel} &= \tfrac1B \lVert \hat G^s - \hat G^u \rVert_F^2, \qquad G = Z Z^\top.
# \end{aligned}$$
#
# $L_{fd}$ compares mean and covariance of the features of the two networks, the paper's "loss based on
# feature distribution" (A7). $L_{cor} = 1 - \mathrm{CKA}(z^s, z^u)$ is its "correlation of corresponding
# substages" (A4). Upper networks are frozen, their BatchNorm too. The adapters $A$ are thrown away.

# %% [markdown]
# ## The cascade
#
# The edges of this run, in the order of training; a network learns from its row's `taught_by`.

# %%
plan = substage_tables.cascade_table(config)
if not plan.equals(usual):  # else it is drawn on top
    show(substage_figures.cascade(plan), plan, name="cascade_here", caption="The cascade of this run.")
plan.drop(columns=["branch", "level"]).fillna("")

# %% [markdown]
# ## Pseudo-labels
#
# The teacher learns from the trusted clips. Then, and again after each level of the cascade, the mean
# $\bar p_i$ of what the networks say of all views of a clip becomes its label,
#
# $$q_i \propto \bar p_i^{1/\tau}, \qquad w_i = g_i (1 - u_i) + (1 - g_i)\, w_{\min},$$
#
# with $u_i$ the disagreement of the views (Jensen-Shannon, over its maximum) and $g_i = 1$ for the surest
# share of each predicted class. A label that was given but is not trusted moves towards $\bar p_i$ instead,
# $q_i \leftarrow (1 - \lambda_i) q_i + \lambda_i \bar p_i$ with $\lambda_i = \lambda_{\max} g_i (1 - u_i)$.
# Trusted labels stay. A round after which the networks agree less with the validation labels, by more
# than one standard error, is undone.
#
# By hand, on seven clips of two classes: how probable class 0 is in two views of each. T is trusted to show
# class 1. A to D are predicted 0 and E and F 1; half of each may pass, the surest: A, D and E. B is surer
# than D in one view, but the views disagree. T keeps its label, whatever is said of it.

# %%
import torch

from redistill.methods.refine import Refinement, initial_labels, refine
from redistill.video.sealed import SealedLabels
from redistill.video.weak_labels import WeakLabels

hand = pd.DataFrame({"clip": list("ABCDEFT"), "label": [-1] * 6 + [1],
                     "one view": [0.9, 0.95, 0.6, 0.8, 0.1, 0.45, 0.99],
                     "another": [0.9, 0.45, 0.6, 0.7, 0.2, 0.35, 0.97]})
known = hand["label"].to_numpy()
few = WeakLabels(known, known >= 0, SealedLabels(known), mode="few")
seen = torch.tensor(hand[["one view", "another"]].to_numpy().T)
after = refine(initial_labels(few, 2), few, torch.stack([seen, 1 - seen], 2), Refinement(), round=1)

# %%
passing = after.selected & ~torch.tensor(few.trusted)
record("gate", " ".join(hand["clip"][passing.tolist()]), passing="half of each class")
record("number", after.q[-1, 1].item(), of="label of T, class 1")
hand.assign(passes=passing, q0=after.q[:, 0].numpy().round(3), w=after.w.numpy().round(3))

# %% [markdown]
# ## Combination
#
# The students of the three branches meet in a circle with a plus sign, and that is all the figure says.
# Here it is the mean of their logits (A3), and a fresh student of the same size learns from that mean.
# Three students cost three times as much in use as one, so `staged_ens` is compared with other ensembles
# and `staged_single` with other students, never across.
#
# ## Checks that travel
#
# The loss on the initial weights and after one and two steps, under a teacher whose words are drawn at
# random. On another machine these agree to rounding; a wrong sign, scaling, label or teacher shows here.

# %%
from dataclasses import replace

import torch

from redistill.methods.label_quality import initial_labels
from redistill.methods.school import School

hidden = replace(feeds.train[RGB], labels=torch.as_tensor(weak.initial))
school = School(config=config, train=hidden, feeds=feeds, weak=weak, classes=classes, device="cpu")
untaught = school.build(config.teacher_network, config.teacher_width, seed=0)
labels = initial_labels(weak, classes)

# %% [markdown]
# First the teacher on the labels, then a student under each branch's loss, and under all of them at once
# (`all`, what the arm `joint` sums up).

# %%
from redistill.methods.branches import ALL, branch_loss
from redistill.methods.edge_loss import EdgeLoss
from redistill.nets.edge import build_edge, widths
from redistill.phase import Phase
from redistill.taught_feed import say
from redistill.train import first_losses

keep = config.fea_layers
torch.manual_seed(0)
one_view = replace(hidden, views=hidden.views[:1])
drawn = say(untaught, one_view, device="cpu", keep=keep).apply(torch.randn_like)
taught = school.taught(labels, uppers=[drawn])
how = {"steps": 3, "batch": config.batch, "weight_decay": config.weight_decay, "seed": config.seed}
losses = {"teacher": EdgeLoss()} | {kind: branch_loss(config, kind) for kind in (*config.kinds, ALL)}

# %%
for name, loss in losses.items():
    role = "teacher" if name == "teacher" else "student"
    net = untaught if role == "teacher" else school.build(config.network, config.student_width, 1)
    edge = build_edge(net, [widths(untaught, keep)], keep=keep, uses=loss.uses, seed=1)
    rate = config.teacher_lr if role == "teacher" else config.lr
    phase = Phase(name=name, lr=rate, threads=config.threads, **how)
    for step, value in enumerate(first_losses(phase, edge, taught, objective=loss)):
        record("first_loss", value, atol=1e-4, rtol=(1e-4, 1e-4, 1e-2)[step], edge=name, step=step)

# %% [markdown]
# ## Training
#
# Fold by fold: the teacher, its pseudo-labels, then every arm of `arms`. All learn from the same weak labels
# and, but for `kd_long`, every student takes the same number of steps. `study_fold` holds it all in one
# place. What was trained before, with the same settings, data and source, is found and not repeated; what
# was killed goes on from its last epoch to the same bits.

# %%
from redistill.methods.substage_study import study_fold

about = {"classes": classes, "device": device, "line": line}
studies = []
for fold in folds:
    if fold != folds[0]:
        feeds = open_feeds(catalog.split(fold, seed=config.seed), config, **way)
        clips = feeds.split.train, feeds.train[RGB].clips
        weak = weak_labels(config, *clips, classes=classes)
    studies.append(study_fold(config, feeds, weak, fold, **about))
line.say("")

# %%
reads = [sum(counts) for counts in zip(*(study.reads for study in studies), strict=True)]
undecoded = sorted({clip for study in studies for clip in study.undecoded})
record("number", reads[0], of="reads of test labels")
record("number", reads[1], of="reads of hidden training labels")
record("number", len(undecoded), of="clips that failed to decode")
note_data(sealed_reads=reads, undecoded=undecoded)

# %% [markdown]
# ## All methods
#
# On the test clips, whose labels were read once a fold. The intervals are Wilson's over clips; they say
# nothing of other seeds. Compare like with like: squares are ensembles of three students, blue is the
# staged method; "in use" is what one clip costs, and the grey bars are what training costs, in multiples of
# one student under KD (the teacher, which all share, is in its own line alone). In `quick` students take a
# few dozen steps and are far from converged, some of them at chance: it shows the machinery, not the methods.

# %%
methods = substage_tables.method_table(studies)
fold_name = folds[0] if len(folds) == 1 else "pooled"
for row in methods.itertuples():
    record("accuracy", row.accuracy, unit="fraction", n=row.n, atol=0.25, arm=row.arm,
           split=row.split, fold=fold_name)

# %%
whole = methods[~methods["arm"].map(substage_tables.is_part)]
show(substage_figures.methods(whole, chance=1 / classes), whole, name="methods", free=True,
     caption=f"{whole['n'].iloc[-1]} test clips of {catalog.name}, {len(folds)} fold(s).")

# %% [markdown]
# What equal compute would say: the staged method trains several networks for every one of KD's. `kd_long`
# is KD with all of that compute in one student, `kd3_single` with most of it in three that are distilled
# into one. Cost in multiples of one KD student:

# %%
known = whole[(whole["split"] == "test") & whole["relative"].notna()]
for row in known.itertuples():
    record("training_cost", row.relative, rtol=1e-6, arm=row.arm)

# %% [markdown]
# ## Branch by branch
#
# If stages complement each other, pairs beat single branches, and all three beat pairs; but so would any
# three students whose errors differ (`kd3_ens`). `staged_m0` is the same without assistants.

# %%
parts = substage_tables.branch_table(methods)
if len(parts):
    show(substage_figures.branches(parts), parts, name="branches", free=True,
         caption="Test accuracy of branches alone, their combinations, and the student made of all.")

# %% [markdown]
# ## How good the pseudo-labels were
#
# Of the clips that are not trusted; validation and test clips are not among them. A hidden label counts as
# a guess among all classes. The log-likelihood says more than accuracy, for it also counts how sure a
# wrong label is.

# %%
rounds = substage_tables.rounds_table(studies)
told = {"initial": rounds[:1], "teacher": rounds[1:2], "final": rounds[-1:]}
for which, row in told.items():
    for each in row.itertuples():
        record("label_accuracy", each.accuracy, unit="fraction", n=each.clips, atol=0.2,
               labels=which, fold=fold_name)
        record("label_log_likelihood", each.log_likelihood, unit="nats", n=each.clips, atol=1.0,
               labels=which, fold=fold_name)

# %%
if len(rounds):
    show(substage_figures.label_rounds(rounds), rounds, name="labels", free=True,
         caption="Labels at first, as the teacher refines them, and after each level of the cascade.")

# %% [markdown]
# ## The board
#
# What the staged arms trained: a lane for each branch, a box for each network, its loss over the epochs.
# Choose a branch and a network and move the epoch (Tab and arrow keys reach every control): the loss
# rewrites itself, the bars say what it is made of, and the labels that the network learned from are
# marked. Look for a term that hardly counts, and for a round that made the labels no better.
#
# The journals hold the loss of each epoch but not its terms; these are measured once training is over.

# %%
from redistill.explore.substage import substage_board

if studies[-1].cascades:
    board = substage_board(config, studies[-1], feeds, weak, classes=classes, device=device)
    board.show()
else:
    print("No staged arm was trained, so there is no board.")

# %% [markdown]
# ## How many assistants
#
# A wide gap between teacher and student is said to cost accuracy, and assistants to make it good. `quick`
# has none and one; `also = ("staged_m2", "staged_m3")` adds two and three.

# %%
steps = substage_tables.assistants_table(methods, config)
if len(steps):
    show(substage_figures.assistants(steps), steps, name="assistants", free=True,
         caption="Test accuracy over the number of assistants; more of them also train longer.")

# %% [markdown]
# ## Series
#
# `sweeps` repeats parts of the study on the last fold, and opens its sealed labels each time: over the
# share of labels (`labels`), the rate of wrong ones (`noise`), the distance between the networks (`gaps`;
# without assistants the student then trains as long as the whole cascade), and five methods on four pairs
# of networks (`pairs`).

# %%
from redistill.methods import substage_sweeps

clips = feeds.split.train
series = [substage_sweeps.run_sweep(config, name, feeds, clips, **about) for name in config.sweeps]
for table in series:
    for row in substage_sweeps.rows(table):
        record(row.pop("name"), row.pop("value"), atol=25.0, **row)
    shown = table.drop(columns="sweep")
    show(substage_figures.series(table), shown, name=table["sweep"].iloc[0], free=True,
         caption="Test accuracy over the series; one run, so no interval but Wilson's.")

# %% [markdown]
# ## What is not known
#
# Certain, from the abstract: distillation for video under weak supervision; student substages are combined
# and corresponding ones correlated; a progressive cascade against the capacity gap; initial labels are
# optimised; a loss based on feature distributions. From the framework figure: three branches (response,
# feature, relation), chains through a variable number of assistants, a sum. **Everything else is a
# reading.** Each has a parameter, and most have arms that decide otherwise, to be named in `also`:

# %%
pd.set_option("display.max_colwidth", None, "display.width", 300)
substage_tables.ambiguity_table(config)

# %% [markdown]
# Not known, and not guessed at: data sets, networks, share of labels, optimiser, weights of the losses,
# length of training, the methods compared with, and every number of the paper's tables.
#
# ## What follows
#
# One run gives no verdict: verdicts take 10 independent runs (data seed x training seed), and
# `reports/index.html` draws them from all runs there are. A teacher less than 5 points above the students
# leaves nothing to distil. This run's differences to plain KD, in points:

# %%
from redistill.tables import gains

if "kd" in set(methods["arm"]):
    for row in gains(whole, over="kd").itertuples():
        record("over_kd", row.test, unit="points", atol=30, arm=row.arm)

# %% [markdown]
# ## Three things to try
#
# 1. `also = ("staged_mismatch", "staged_nocor")`: substages paired wrongly on purpose, and not at all. Does
#    it matter which ones correspond?
# 2. `weak_mode = "noisy"`, `noise_rate = 0.4`: all clips have a label and two in five are wrong. Do the
#    rounds of refinement find them?
# 3. `also = ("standardised", "dkd")`, `steps = 300`: two later losses on the same answers. The first has the
#    teacher's logits matched in order and relative distance, not in size (Sun et al. 2024); it is the worked
#    example of "Adding to it" in the README. Does either gain on `kd`?
