# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   redistill:
#     config: start
# ---

# %% [markdown]
# # 0 · Start here
#
# **Redistill reproduces three papers on knowledge distillation for video action recognition**, and
# says of each claim what was measured, with what interval, and what that allows to conclude.
# No official code exists for the first two papers and the third's does not run, so every step that
# the papers leave open is named as a reading.
#
# **Begin with *Run All Cells* in the menu *Run*.** After half a minute the page is alive: what a network
# saves by answering early can be moved by hand, under *An instrument to play with*.

# %%
from redistill.reference import headline

print(headline("G1"))

# %% [markdown]
# | notebook | what it is | what you can move in it |
# |---|---|---|
# | `0_start_here` | this page | the sureness at which a network may answer early; a view of runs while they train |
# | `1_substage_kd` | few labels, a teacher, cascades of three kinds of knowledge; and what could explain their gain | walk along the cascade: who teaches whom, what each loss weighs, how good the pseudo-labels are |
# | `2_spectrum_kd` | what a student can learn of the frequencies of its teacher, in time and in kernels | take single frequencies out of a loss and see what is left of it |
# | `3_progressive_kd` | compressed video taken apart; a network for each part; their fusion | early exits against accuracy and cost; one clip, frame by frame, and what each exit says of it |
# | `4_flatness` | how sharp the minima of those networks are, and whether it matters | two loss landscapes side by side, and the line between two solutions |
# | `5_verdicts` | what all runs together say of every claim, how, and what would change it | any two runs: what differs, and from which step on |
#
# What is not here is not claimed.

# %% tags=["parameters"]
profile = "quick"  # set of defaults
world = None       # label function of the synthetic clips
data_seed = None   # which synthetic set

# %%
from redistill.config import configure
from redistill.figures import style
from redistill.start import StartConfig

style()
config = configure(StartConfig, globals())

# %% [markdown]
# ## Is this machine ready?
#
# One line for each check: *ok*; *warn*, it works, but not as well as it could; *fail*, mend this first, in
# the way named behind the arrow. On the command line `redistill doctor` looks further: it trains a little to
# see whether results repeat, says about how long each notebook would take here, and with
# `--data-root FOLDER --dataset NAME` looks at clips of yours: which files cannot be read, and whether a
# person, a scene or a file stands on two sides of a split.

# %%
from redistill.doctor.examine import Asked, examine
from redistill.record import record

for finding in examine(Asked(brief=True)):
    record("doctor", finding.line(), free=True, check=finding.name)

# %% [markdown]
# ## The data
#
# Out of the box the suite works on clips that it renders itself and writes as real MPEG-4 bitstreams:
# a textured shape moves over a scene, beside a distractor, under a camera that may pan. Every factor
# is known, nothing is tuned to make a method win. A **world** says which factors are the label.

# %%
import pandas as pd

from redistill.video.synthetic import WORLDS, SyntheticSpec, ceilings

spec = SyntheticSpec(world=config.world, data_seed=config.data_seed)
pd.DataFrame(
    {world: ceilings(SyntheticSpec(world=world), clips_per_class=500) for world in WORLDS}
).T.round(2)

# %% [markdown]
# The first numbers of a world are ceilings: how often one can be right who understands only a single
# frame, or only the motion. One clip of the world chosen above:

# %%
from redistill import figures
from redistill.record import show
from redistill.video.synthetic import draw, render

clips = [draw(spec, "test", label, number=0) for label in (0, 3, 7)]
factors = pd.DataFrame([clip.row() for clip in clips])
factors = factors[["clip", "label", "target_shape", "target_texture", "target_motion", "scene"]]

# %%
strips = [render(spec, clip)[:48:8] for clip in clips]
titles = [f"class {c.label}: {c.target.shape}, moving {c.target.motion}" for c in clips]
show(figures.films(strips, titles), factors, name="clips",
     caption=f"Every eighth frame of three clips of {config.world}.")

# %% [markdown]
# ## An instrument to play with
#
# A network that can answer early saves work, and sometimes errs by it. Below are the test clips of one
# kept run of notebook 3: three networks are asked one after the other, each has four **exits**, and a
# clip leaves at the first exit that is surer of its class than the **threshold**. Press *Run All Cells*
# in the menu *Run*; then drag a slider under this cell, or reach it with Tab and move it with the arrow
# keys. To the left, more clips leave early: look how cost falls and where the crosses, clips that left
# with a wrong answer, pile up. Then switch off *weigh the exits (WISE)*. The instrument opens where
# validation clips put the cost of networks without early exits; what you move, you move on test clips,
# and that is for looking: it gives no result.

# %%
from redistill.explore.exits import exit_explorer
from redistill.explore.kept_exits import reference_exits

exits = reference_exits()
if exits:
    explorer = exit_explorer(exits, atol=0.01, rtol=0.01)
    explorer.show()

# %% [markdown]
# ## How to run
#
# | to | type |
# |---|---|
# | run every notebook and build the report | `make reproduce` |
# | run one, with other settings | `redistill run notebooks/3_progressive_kd.ipynb -p seed 1` |
# | run many, on all cores, GPUs or Slurm | `redistill batch notebooks/3_progressive_kd.ipynb -g seed 0 1 2` |
# | see whether all is ready, and what runs would take | `redistill doctor` (or `make doctor`) |
# | see what can be set | `redistill params notebooks/3_progressive_kd.ipynb` |
# | use real clips | `-p dataset weizmann -p data_root FOLDER`, or `-p dataset folder` for your own |
# | re-encode clips that cannot be read as they are | `redistill prepare SOURCE TARGET` |
#
# In JupyterLab, change the cell tagged `parameters` and run all cells. Training that was done before
# with the same settings, data and source is found again, in a notebook or on the command line alike.
#
# ## While a batch trains
#
# A batch, started in a terminal or here by `launch("3_progressive_kd.ipynb", "-g", "seed", "0", "1", reports="../reports")`,
# goes on when the browser, or even this kernel, is closed. The journal below reads the folder `reports` anew every second,
# so open this page again, run the cell, and it shows where the runs truly are: at work, done, or killed. Choose a **run**
# and a **curve** with Tab and the arrow keys; untick **follow** to hold it still. (Stored here: the times of the reference runs.)

# %%
from redistill.explore.journal import journal

runs = journal("../reports")
runs.show()

# %% [markdown]
# ## How to read a verdict
#
# A run in profile `quick` shows that the machinery works; it gives **no verdict**. A verdict compares
# two arms that share data, seeds and budget, over at least ten independent runs:
#
# - **reproduced**: the whole 95 % interval of the difference is on the claimed side;
# - **not reproduced**: the interval lies wholly below the smallest difference worth having (1 point);
# - **inconclusive**: neither; the report says how many runs more it would take;
# - **not testable here**: it needs what is not public, and the report says what.
#
# What an interval means: were the whole experiment repeated many times, 95 in 100 such intervals would
# hold the true difference. For example, ten differences of two points on average:

# %%
from redistill.stats import paired_interval

paired_interval([3.1, 0.4, 2.2, 1.9, 4.0, -0.3, 2.8, 1.2, 2.5, 2.2])

# %% [markdown]
# ## Three things to try
#
# 1. Set `world = "motion_led"` above and look at the clip again: could you tell its class from one frame?
# 2. Take half of the ten differences away. How much wider is the interval, and does it still clear zero?
# 3. Open `3_progressive_kd.ipynb` and run it: about two minutes on two cores.
