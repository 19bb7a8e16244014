# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   redistill:
#     config: spectrum
# ---

# %% [markdown]
# # 2 · Spectrum KD: what a student hears of its teacher
#
# **The claim** (arXiv 2009.06902): *a small network that imitates the temporal frequency spectrum of its
# teacher's features, and the frequency distribution of its parameters, the two weighted together from a
# probabilistic point of view, is better than one that imitates features as they are.*
#
# Reconstruction from the abstract; the paper's equations, networks, settings and numbers were not
# accessible. **Every formula below is a reading**, and nothing here is compared with a printed number.

# %%
from redistill.reference import headline

print(headline("F1", "F2", "F3", "F4", "F6", "F7"))

# %%
import torch

from redistill import spectrum_figures, spectrum_tables
from redistill.figures import style
from redistill.record import note_data, record, show

style()
time = torch.arange(16) / 16
waves = {"slow": torch.sin(2 * torch.pi * time), "fast": torch.sin(2 * torch.pi * 3 * time + 1)}
drawn = spectrum_tables.signal_table({name: wave.numpy() for name, wave in waves.items()})
show(spectrum_figures.signal(drawn), drawn, name="idea",
     caption="Two movements and their spectra: how fast is told apart, when it began is not.")

# %% [markdown]
# Everything that can be set, each with its help; a number in brackets is one of the twenty questions that
# the abstract leaves open (last section). `None` means "the profile's value"; a misspelt or ill-typed
# value stops the run before it starts. On the command line:
# `redistill run notebooks/2_spectrum_kd.ipynb -p component power`.

# %% tags=["parameters"]
profile = "quick"        # set of defaults
dataset = None           # which clips
data_root = None         # folder of a real data set
world = None             # label function of the synthetic clips
set_size = None          # clips per class of the synthetic set
data_seed = None         # which synthetic set
seed = None              # of weights, order and augmentation
folds = None             # folds to train on; none named: all
on_bad = None            # a file that cannot be used
distractors = None       # foreign objects in a synthetic clip, each with a motion of its own
look_at = None           # a video whose signal is drawn beside that of a clip
frames = None            # frames of a clip
size = None              # side of the networks' input, pixels
views = None             # augmented views of a training clip, held in memory
stream = None            # decode as needed, new views for ever, teacher in the loop
sampling = None          # frames: one uniform grid, or one of each segment
test_views = None        # clips x crops of a test clip, 2x3 say
background = None        # the clip's mean frame is kept, or subtracted from each
teacher_network = None   # of the teacher
network = None           # of the students
teacher_width = None     # channels of its first stage
student_width = None     # channels of its first stage
weights = None           # teacher's first weights: imagenet, or a safetensors file
student_weights = None   # students' first weights (19)
stages = None            # whose features (1)
space = None             # places: averaged, or each (2)
channels = None          # how widths are made equal (9)
normalise = None         # by what energy (7)
transform = None         # over time (3)
component = None         # what is compared (4)
phase = None             # from amplitude (0) to complex (1)
bands = None             # which bins count (5)
multiplicity = None      # bins count as in the two-sided spectrum (6)
distance = None          # of components (8)
reduction = None         # over bins and channels
teacher_time = None      # its features as they are, or reversed: a control
statistic = None         # of the kernels' coefficients (12)
divergence = None        # of shares of energy (13)
kernel_transform = None  # of kernels (11)
kernel_layers = None     # layers count alike, or kernels (14)
teacher_stage = None     # whose distribution a stage is taught; next: a sham
collab = None            # how the losses work together (15)
lambda_f = None          # weight of the features' spectrum, where fixed
lambda_p = None          # weight of the kernels' spectrum, where fixed
clamp = None             # largest logarithm of a noise level, either sign
label_noise = None       # a noise level for the labels too (16)
share_f = None           # of steps with features, stochastic
warmup = None            # share of steps in which spectra fade in (20)
kd_weight = None         # of logits' distillation beside (17)
temperature = None       # of logits' distillation
map_layers = None        # last stages whose maps fitnet and at compare
arms = None              # methods that are compared
also = None              # further methods; they change no other
teacher_steps = None     # optimiser steps of the teacher
steps = None             # optimiser steps of each student
batch = None             # clips a step
teacher_lr = None        # peak learning rate of the teacher
lr = None                # peak learning rate of the students
weight_decay = None      # of kernels and matrices
optimizer = None         # of all networks
clip = None              # largest norm of the whole gradient; 0: any
drops = None             # shares of the steps after which rates fall to a tenth; none: half a cosine
head_rate = None         # learning rate of the classifier, in others'
device = None            # where to train
threads = None           # CPU threads of torch
workers = None           # processes that decode

# %%
from redistill.config import configure
from redistill.methods.spectrum import SpectrumConfig
from redistill.session import begin

config = configure(SpectrumConfig, globals())
device = begin(config)

# %% [markdown]
# ## The clips
#
# The synthetic world is the one in which motion alone is the label: a thing moves left, right, up or down,
# or swings slowly or fast, each at the same speed. Validation clips are cut from the training clips by
# *group*; the labels of the test clips are sealed until the end.

# %%
from redistill.video.catalog import open_catalog

catalog = open_catalog(config.dataset, config.data_root, **config.catalog_options())
classes = len(catalog.classes)
note_data(dataset=catalog.name, manifest=catalog.manifest, dropped=len(catalog.dropped))
for what in ("clips", "classes", "folds", "dropped"):
    record("number", len(getattr(catalog, what)), of=what, dataset=catalog.name)

# %% [markdown]
# `frames` frames of each clip on one uniform grid with one random offset: drawn apart in segments, as is
# usual, they would smear phase and amplitude.

# %%
from redistill.feeds import open_feeds
from redistill.live import Line
from redistill.modality import RGB

line = Line()
folds = catalog.fold_numbers(config.folds)
way = {"flip": catalog.flip, "modalities": (RGB,), "manifest": catalog.manifest, "say": line.say,
       "protocol": config.test_views, "sampling": config.sampling}
feeds = open_feeds(catalog.split(folds[0], seed=config.seed), config, **way)
for split in ("train", "val", "test"):
    record("number", len(getattr(feeds, split)[RGB]), of=f"{split} clips", fold=folds[0])

# %% [markdown]
# ## A signal and its spectrum
#
# The brightness of one small patch over all frames of a clip, the patch that changes most. Its mean is
# left out: that is the constant bin, and it would dwarf the others. `look_at` puts a video of your own
# beside it.

# %%
from redistill.spectrum_signal import brightness

chosen = {clip.label: clip for clip in reversed(feeds.split.train)}
middle = min(classes // 2, classes - 2)  # of motions, the slow swing and the fast one
signals = {catalog.classes[label]: brightness(chosen[label].path) for label in (middle, middle + 1)}
if config.look_at:
    signals[config.look_at.name] = brightness(config.look_at)
seen = spectrum_tables.signal_table(signals)
show(spectrum_figures.signal(seen), seen, name="signals",
     caption="Brightness of the patch that changes most, and its amplitude spectrum.")

# %% [markdown]
# ## The networks
#
# Teacher and student are of one kind and differ in width: two-dimensional networks that see time by a
# *temporal shift*, an eighth of the channels from the next frame and an eighth from the last, so that a
# feature has a time axis. The clip's mean frame is subtracted from each frame (`background`): from
# scratch, small networks learned no motion in front of a picture in any time that a CPU has.

# %%
from redistill import spectrum_readings

networks = spectrum_readings.network_table(config, classes=classes)
for row in networks.itertuples():
    record("video_cost", row.macs, unit="MAC", network=row.role, width=row.width)
    record("parameters", row.parameters, network=row.role, width=row.width)

# %% [markdown]
# ## The spectrum loss
#
# Features $f_{t,c}$ of the last stage, averaged over space and mapped to the teacher's channels by a
# layer that is thrown away afterwards, have the spectrum
#
# $$X_{k,c} = T^{-1/2} \sum_{t} f_{t,c}\, e^{-2\pi i kt/T}, \qquad
# L_{FSD} = \frac1N \sum_{n,k,c} m_k \left( |\hat X^s_{nkc}| - |\hat X^t_{nkc}| \right)^2,$$
#
# each clip divided by its own energy, $m_k$ counting a bin as often as it stands in the two-sided
# spectrum. What each bin of $T = 8$ frames adds, before a single step, for the amplitude and for the
# complex spectrum:

# %%
from redistill.methods.frequencies import over_time
from redistill.methods.spectrum_study import STUDENT_SEED, open_school
from redistill.nets.follower import build_follower

school = open_school(config, feeds, classes=classes, device="cpu")
student = school.build(config.network, config.student_width, STUDENT_SEED)
untaught = school.build(config.teacher_network, config.teacher_width, 0)
follower = build_follower(student, untaught, keep=config.keep, seed=1)
ours, theirs = over_time(school, student), over_time(school, untaught)
first = spectrum_tables.loss_table(ours, theirs, follower.project[-1])
for row in first.itertuples():
    record("loss_by_bin", row.loss, atol=1e-4, rtol=1e-4, what=row.what, bin=row.bin)

# %%
show(spectrum_figures.loss_by_bin(first), first, name="loss_by_bin", atol=1e-4, rtol=1e-4,
     caption="The loss of an untrained student, bin by bin.")

# %% [markdown]
# ## What the loss cannot see
#
# With the complex spectrum and all bins, the loss is the squared error of the features themselves, to the
# last digit (Parseval): a "spectrum loss" of that form teaches nothing that feature imitation does not. The
# amplitude keeps neither sign nor beginning, so a clip told backwards is the same to it. Below: an
# untrained network's features against what has been made of them.

# %%
blind = spectrum_tables.blindness_table(theirs[..., 0, 0].transpose(1, 2))
for row in blind.itertuples():
    record("blindness", row.amplitude, atol=1e-4, component="amplitude", change=row.change)
    record("blindness", row.complex, atol=1e-4, component="complex", change=row.change)
show(spectrum_figures.blindness(blind), blind, name="blindness", atol=1e-4, rtol=1e-4,
     caption="Loss of a network's features against the same features, changed.")

# %% [markdown]
# The degeneracy in one number, on these features: complex loss over plain squared error.

# %%
from redistill.losses.spectrum.feature import FeatureSpectrum

control = FeatureSpectrum(component="complex", channels="identity", normalise="none")
other = theirs.roll(1, 0)
ratio = control(theirs, other) / (theirs - other).square().sum((1, 2, 3, 4)).mean()
record("degeneracy", float(ratio), rtol=1e-4, of="complex spectrum and features")

# %% [markdown]
# Whether blindness for direction costs anything is a question for the experiment: amplitudes channel by
# channel can carry direction where channels prefer one.
#
# ## The parameter loss
#
# Kernels W of 3 x 3 are small pictures. Their two-dimensional cosine transform $\hat W = D W D^\top$ has
# nine frequencies, and the share $p_{uv}$ of the energy at each, mean over the layers of a stage, is the
# reading of "frequency distribution of the parameters":
#
# $$L_{PDD} = \sum_{uv} p^t_{uv} \log \frac{p^t_{uv}}{p^s_{uv}}.$$
#
# On all coefficients instead of their shares it would be plain L2 of the weights (the transform is
# orthonormal), which needs equal networks. That degeneracy too, for two networks of other seeds:

# %%
from redistill.losses.spectrum.kernel import kernel_dct
from redistill.nets.kernels import stage_kernels

twin = school.build(config.teacher_network, config.teacher_width, 1)
pairs = [list(stage_kernels(net)[3].values())[-1].detach() for net in (untaught, twin)]
gap, hats = pairs[0] - pairs[1], kernel_dct(pairs[0]) - kernel_dct(pairs[1])
record("degeneracy", float(hats.square().sum() / gap.square().sum()), rtol=1e-4,
       of="all coefficients and weights")

# %% [markdown]
# ## Together
#
# With a learned noise level for each, $s = \log \sigma^2$,
#
# $$L = L_{CE} + \tfrac12 e^{-s_F} L_{FSD} + \tfrac12 e^{-s_P} L_{PDD} + \tfrac12 (s_F + s_P),$$
#
# each loss is weighted by how small it already is, whatever its unit; levels are held within
# $\pm 4$, for a loss that can vanish would be weighted without end.
#
# ## The methods
#
# One row a method: what differs from the recommended reading, or what is added to labels.

# %%
import pandas as pd

pd.set_option("display.max_colwidth", None, "display.width", 300)
presets = spectrum_readings.presets_table(config)
presets[presets["arm"].isin((*config.arms, *config.also))].drop(columns="here")

# %% [markdown]
# ## Checks that travel
#
# The loss on the initial weights and after one and two steps, under a teacher that has not learned. On
# another machine these agree to rounding; a wrong sign, bin, scale or stage shows here.

# %%
from redistill.methods.spectrum_arms import PRESETS
from redistill.methods.spectrum_study import first_steps

for name in [arm for arm in config.arms if arm in PRESETS]:
    for step, value in enumerate(first_steps(school, untaught, name)):
        record("first_loss", value, atol=1e-4, rtol=1e-2 if step else 1e-4, arm=name, step=step)

# %% [markdown]
# ## Training
#
# Fold by fold: the teacher on the labels, then every arm of `arms`, all from the same first weights, in the
# same order, for the same number of steps (but for `alone_long`, which has as many multiply-accumulates
# as a student and its teacher together). What was trained before, with the same settings, data and
# source, is found and not repeated; what was killed goes on from its last epoch to the same bits.

# %%
from redistill.methods.spectrum_study import study_fold

studies = []
for fold in folds:
    if fold != folds[0]:
        feeds = open_feeds(catalog.split(fold, seed=config.seed), config, **way)
    studies.append(study_fold(config, feeds, fold, classes=classes, device=device, line=line))
line.say("")

# %%
undecoded = sorted({clip for study in studies for clip in study.undecoded})
record("number", sum(study.reads for study in studies), of="reads of test labels")
record("number", len(undecoded), of="clips that failed to decode")
note_data(sealed_reads=[study.reads for study in studies], undecoded=undecoded)

# %% [markdown]
# ## All methods
#
# On the test clips, whose labels were read once a fold. The intervals are Wilson's over clips; they say
# nothing of other seeds. In `quick` students take a few dozen steps and are at chance: it shows the
# machinery, not the methods.

# %%
methods = spectrum_tables.method_table(studies)
fold_name = folds[0] if len(folds) == 1 else "pooled"
for row in methods.itertuples():
    record("accuracy", row.accuracy, unit="fraction", n=row.n, atol=0.25, arm=row.arm,
           split=row.split, fold=fold_name)

# %%
show(spectrum_figures.methods(methods, chance=1 / classes), methods, name="methods", free=True,
     caption=f"{methods['n'].iloc[-1]} test clips of {catalog.name}, {len(folds)} fold(s).")

# %% [markdown]
# In use, every student costs the same: maps of channels and noise levels are gone. In training, a student
# that is taught costs what its teacher says besides. Multiples of a student alone:

# %%
known = methods[(methods["split"] == "test") & methods["relative"].notna()]
for row in known.itertuples():
    record("training_cost", row.relative, rtol=1e-6, arm=row.arm)
    record("clip_cost", row.inference, unit="MAC", arm=row.arm)

# %% [markdown]
# ## By motion and by look
#
# The abstract's words suggest that the features' spectrum helps with motion and the parameters' with
# appearance. `oscillating` and `direction` are accuracies on clips of these motions; `motion` and `texture`,
# where the classes differ in them, count a prediction as right if that part of its class is.

# %%
parts = spectrum_tables.factor_table(studies, catalog.classes)
for row in parts.itertuples():
    record("part_accuracy", row.value, unit=row.unit, n=row.n, atol=0.4 if row.unit == "fraction" else 60,
           arm=row.arm, subset=row.subset, fold=fold_name)

# %%
if len(parts):
    show(spectrum_figures.factors(parts), parts, name="factors", free=True,
         caption="Test accuracy by kind of motion and by factor.")

# %% [markdown]
# ## What was learned of the teacher's frequencies
#
# On validation clips: the share of energy that last-stage features have at each frequency, and what is
# left of the spectrum loss in each bin (of students with a map of channels).

# %%
bins = spectrum_tables.bins_table(studies)
show(spectrum_figures.bins(bins), bins, name="bins", free=True,
     caption="Energy of the features by frequency, and what is left of the loss.")

# %% [markdown]
# The kernels' shares of energy, stage by stage, and their distance to the teacher's. Where that of an
# untrained student is below 0.001, the loss has nothing to do, and an experiment about it says nothing.

# %%
kernels = spectrum_tables.kernels_table(studies)
kernels = kernels[kernels["arm"].isin(("teacher", "untrained", "pdd", "collab"))]
show(spectrum_figures.kernels(kernels), kernels, name="kernels", free=True,
     caption="Share of the kernels' energy at each spatial frequency, by stage.")

# %%
distances = spectrum_tables.distance_table(studies)
for row in distances[distances["arm"].isin(("untrained", *config.arms))].itertuples():
    record("kernel_distance", row.distance, atol=0.05, rtol=0.5, arm=row.arm, stage=row.stage)

# %% [markdown]
# ## A lens
#
# One channel of one validation clip (of the last fold) as the spectrum loss sees it: teacher and student
# over time, their amplitudes, and what each frequency, or *bin*, adds to the loss of the clip. Tab goes from
# control to control, arrow keys change it, the space bar takes a bin out and puts it back.
#
# Take out bin 0, the constant one: how much of the loss is left, and does the student still move with its
# teacher? Then, with all bins in, move the channel of `fsd`: which are upside down? Amplitudes know no
# sign, so that costs nothing, until the loss is `complex`; does `mse` have such channels?

# %%
from redistill.explore.spectrum import spectrum_lens
from redistill.explore.spectrum_table import hear_clips

school = open_school(config, feeds, classes=classes, device=device)
heard = hear_clips(school, studies[-1].networks, catalog.classes)
if heard.pairs:
    lens = spectrum_lens(heard, config.feature_loss)
    lens.show()

# %% [markdown]
# ## The noise levels
#
# What the learned weights came to: $\tfrac12 e^{-s}$ is the weight of a loss, and the dashed lines are the
# clamp.

# %%
noise = spectrum_tables.noise_table(studies)
if len(noise):
    show(spectrum_figures.noise(noise, clamp=config.clamp), noise, name="noise", free=True,
         caption="Logarithms of the learned variances, epoch by epoch.")

# %% [markdown]
# ## What is not known
#
# Certain, from the abstract: small networks are trained by distillation from a teacher; two distillations
# in the frequency domain, one of the temporal spectrum of features (with a "spectrum loss"), one of the
# frequency distribution of parameters, said to carry appearance; collaborative learning from a
# probabilistic point of view; Kinetics, Something-Something and Jester. **Everything else is a
# reading.** Each has a parameter, and an arm that decides otherwise, to be named in `also`:

# %%
spectrum_readings.ambiguity_table(config)

# %% [markdown]
# Not known, and not guessed at: the equations, teacher and student networks, number of frames, optimiser,
# length of training, weights, the methods compared with, and every number of the paper's tables.
#
# ## What follows
#
# One run gives no verdict: verdicts take 10 independent runs (data seed x training seed), and
# `reports/index.html` draws them from all runs there are. This run's differences to a student alone, in
# points:

# %%
from redistill.tables import gains

if "alone" in set(methods["arm"]):
    for row in gains(methods, over="alone").itertuples():
        record("over_alone", row.test, unit="points", atol=40, arm=row.arm)

# %% [markdown]
# ## Three things to try
#
# 1. `also = ("fsd_reversed", "mse_reversed")`: a teacher told backwards. The spectrum loss is the same but
#    for rounding, and feature imitation learns the wrong direction. Which of them minds?
# 2. `also = ("ac", "dc", "high")`: the bins that vary in time, the constant one, the upper half. Which of
#    them teaches oscillations?
# 3. `background = "keep"`: leave the pictures as they are. Does any student of this size still see motion?
