# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   redistill:
#     config: verdicts
# ---

# %% [markdown]
# # 5 · Verdicts: what the runs say of every claim
#
# **This notebook decides**, from recorded runs alone, *which of the three papers' checkable claims hold*:
# one difference for each independent run, an interval, a rule written down before, and a correction for
# asking many questions. It trains nothing. Failures come first.

# %%
from redistill.ledger_tables import read_ledger

reference = read_ledger()
print(reference.headline())

# %% [markdown]
# By default these are the reference runs that come with the suite; `runs` names another folder of runs.
# On the command line: `redistill run notebooks/5_verdicts.ipynb -p paper spectrum -p claim F1`.

# %% tags=["parameters"]
profile = "quick"  # set of defaults; this notebook trains nothing
runs = None        # folder of run folders; none: the reference runs of the suite
paper = None       # whose claims to show
claim = None       # claim to look at closely

# %%
from redistill import ledger_figures, ledger_sources, ledger_tables
from redistill.config import configure
from redistill.figures import style
from redistill.listing import Listing
from redistill.record import record, show
from redistill.verdicts import VerdictsConfig

style()
config = configure(VerdictsConfig, globals())
whole = ledger_tables.read_ledger(config.runs)
found = whole.of(config.paper)

# %%
trees = ledger_tables.forest(found)
if len(trees):  # a folder of quick runs alone gives no interval
    show(ledger_figures.forest(trees), trees, name="forest", rtol=1e-6,
         caption="Every judged claim: mean of test minus control with its 95 % interval; below it a dot "
                 "for each run. Of several comparisons that must all hold, the weakest.")

# %% [markdown]
# The correction for many questions runs over all claims of a paper, whatever is shown here. A claim that was
# tested on several data sets counts once, and is inconclusive where they disagree.

# %%
tally = ledger_tables.tally(found)
record("claims", len(found.claims))
record("runs", len(found.records))
for state in ledger_tables.ORDER[:-1]:
    record(state.replace(" ", "_"), int(tally[state].sum()))
Listing(tally)

# %% [markdown]
# ## The verdicts, paper by paper
#
# Printed values stand beside ours for comparison only: data and networks differ, so what is tested is
# the direction, not the size. First the baseline that the third paper starts from.

# %%
ledger_tables.verdicts(found.of("ground"))

# %% [markdown]
# **Substage KD** (arXiv 2307.05201):

# %%
ledger_tables.verdicts(found.of("substage"))

# %% [markdown]
# **Spectrum KD** (arXiv 2009.06902):

# %%
ledger_tables.verdicts(found.of("spectrum"))

# %% [markdown]
# **Progressive KD**, WISE and flat minima (arXiv 2407.02713):

# %%
ledger_tables.verdicts(found.of("progressive"))

# %% [markdown]
# The same as typed rows, which a later run of this notebook is compared with: verdicts to the letter.

# %%
for claim, one in found.verdicts():
    where = {"claim": claim.id, "data": f"{one.dataset} {one.world}".strip(), "profile": one.profile}
    record("verdict", one.state, n=len(one.pairs), **where)
    if one.interval is not None:
        record("difference", one.interval.mean, unit=claim.unit, rtol=1e-6, n=len(one.pairs), **where)

# %% [markdown]
# ## How a verdict is reached
#
# Two arms of one run share clips, labels, seeds and training; run $i$ gives one number
# $d_i = a_i^{\text{test}} - a_i^{\text{control}}$, folds averaged first. Over $n \ge 10$ independent runs
# (data seed x training seed), with mean $\bar d$ and standard deviation $s$,
#
# $$\bar d \pm t_{0.975,\,n-1} \frac{s}{\sqrt n}$$
#
# holds the true difference in 95 of 100 repetitions. **Reproduced**: all of it on the side claimed.
# **Not reproduced**: all of it below the smallest effect worth having, 1 point unless said.
# **Inconclusive**: neither.
#
# By hand, for *PKD improves internal classifiers over cross-entropy* (P3): first the rows as the runs
# wrote them, one accuracy for each arm and run.

# %%
ics = ledger_tables.rows(reference, "accuracy", modality="all", exit="mean", split="test")
arms = ics.pivot_table(index=["data_seed", "seed"], columns="arm", values="value")
d = 100 * (arms["pkd"] - arms["ce"])
d.round(2).to_frame("PKD minus CE, points")

# %% [markdown]
# Then the formula above, and the two-sided $p$ of $\bar d = 0$. The ledger must say the same.

# %%
from math import sqrt

from scipy.stats import t

n, half = len(d), t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / sqrt(len(d))
p = 2 * t.sf(abs(d.mean()) / (d.std(ddof=1) / sqrt(n)), n - 1)
claim, ledgers = reference.one("P3")
record("mean", d.mean(), unit="points", rtol=1e-6, claim="P3", n=n)
record("low", d.mean() - half, unit="points", rtol=1e-6, claim="P3")
record("p", p, rtol=1e-6, claim="P3")
record("as_the_ledger", bool(abs(d.mean() - half - ledgers.interval.low) < 1e-9), claim="P3")

# %% [markdown]
# **Holm.** Whoever asks fourteen questions gets a wrong yes to one of them in half of all cases, if each may
# err in 5 of 100. So within a paper the smallest of $m$ values $p_{(1)} \le p_{(2)} \le \dots$ is
# multiplied by $m$, the next by $m - 1$, and so on, never below the one before:
#
# $$p^{\text{Holm}}_{(k)} = \max_{j \le k} \, (m - j + 1)\, p_{(j)}.$$

# %%
tests = ledger_tables.p_values(reference.of("progressive"))
factors = len(tests) - tests.index  # the smallest p first
tests["by hand"] = (tests["p"] * factors).cummax().clip(upper=1)
record("as_the_ledger", bool((tests["by hand"] - tests["p_holm"]).abs().max() < 1e-12), claim="Holm")
tests.set_index("claim").map("{:.2g}".format)

# %% [markdown]
# **Equality** is claimed by *dropping phase costs nothing* (F4). That an interval holds 0 shows no equality:
# wide ones always do. So two one-sided tests (TOST) ask whether the difference is above $-m$ and below
# $+m$; the worse of the two counts, with $m$ = 1 point:
#
# $$p = P\left(T_{n-1} > \frac{m - |\bar d|}{s / \sqrt n}\right).$$

# %%
claim, ledgers = reference.one("F4")
d = ledger_tables.pairs(ledgers)["difference"]
p = t.sf((claim.margin - abs(d.mean())) / (d.std(ddof=1) / sqrt(len(d))), len(d) - 1)
record("p_tost", p, rtol=1e-6, claim="F4")
record("as_the_ledger", bool(abs(p - ledgers.p) < 1e-12), claim="F4")

# %% [markdown]
# **What a claim also needs.** Where several comparisons must hold, all do, and the weakest is shown. Where a
# mechanism is claimed, the gain alone earns nothing: S1 counts only with S2 and S3, F2 with F3 and F4, P4
# with P5 and P7, P8 with P9 and P10.
#
# ## One claim, closely
#
# The runs behind the claim that the parameter `claim` names (if none tells of it, behind another). Where several controls stand for "the best
# other", the best is chosen on validation clips, in each run anew.

# %%
claim, one = whole.one(config.claim)
print(f"{claim.id}  {claim.claim}\n    {claim.test}\n    against: {claim.control}\n    {one.state}: {one.why}")
runs = ledger_tables.pairs(one)
if one.interval is not None:
    show(ledger_figures.closely(runs, claim, one), runs, name="closely", rtol=1e-6,
         caption=f"{claim.id}: each run with its control (dashed: it falls), and the differences in order.")

# %% [markdown]
# ## What would change a verdict
#
# A verdict that is inconclusive says what it takes. The power of $n$ runs is the probability that their
# interval clears zero if the smallest effect of interest is the truth; it depends on the spread $s$ of single
# runs. 80 % is asked for. That is a forecast from the spread seen in some ten runs, which itself may be
# off by a third. No number of runs helps a claim that waits for another.

# %%
needs = ledger_tables.further(found)
for row in needs.itertuples():
    record("takes", row.takes, claim=row.claim)
curves = ledger_tables.power_curves(needs)
if len(curves):
    show(ledger_figures.power(curves, needs), curves.round(4), name="power", atol=1e-3,
         caption="Power over the number of runs, at the spread seen, for the smallest effect of interest.")

# %% [markdown]
# A verdict that is decided can change as well: by runs on other data (nearly all of these come from one
# synthetic world), by longer training, by another reading of the paper. More runs of the same kind would
# move decided intervals little.
#
# ## Which runs are behind it
#
# Each record names its library source, versions, machine and seeds. Data seeds times training seeds are not
# all crossed: what counts is that no two runs share both.

# %%
Listing(ledger_sources.sources(whole))

# %% [markdown]
# If the runs of one claim had been made by different source, their difference might be one of methods. How
# many claims rest on more than one library source, set of versions, notebook text or kind of machine:

# %%
mixed = ledger_sources.mixed(found)
for what in ("library", "versions", "notebooks", "machines"):
    record("claims_of_mixed", int((mixed[what] > 1).sum()) if len(mixed) else 0, what=what)

# %% [markdown]
# Between notebooks the source does differ, since they were written one after the other. So numbers are compared
# inside a claim, never between claims.
#
# ## Two runs, side by side
#
# Why do two runs differ? Choose **run A** and **run B** (Tab reaches each control, the arrow keys move it): the
# sentence counts the rows that are equal, within the tolerance that run A recorded, and beyond it, and names the
# first step at which the two part. Other seeds part at the first step; a run against itself never does.

# %%
from redistill.explore.run_diff import run_diff
from redistill.reference import REFERENCE

run_diff(config.runs or REFERENCE, prefer="3_progressive_kd.ipynb").show()

# %% [markdown]
# ## What is not decided here, and why
#
# Parts that nobody can test with what is public:

# %%
ledger_tables.untestable(found)

# %% [markdown]
# Claims that a notebook can test, and no counted run has:

# %%
ledger_tables.not_run(found)

# %% [markdown]
# ## What follows
#
# All of this is of small networks on synthetic clips: a verdict says that an effect was or was not there
# *here*. It does not bear on the printed values themselves, which take the papers' data and weights.
# `reports/index.html` draws the same ledger from all runs there are.
#
# ## Three things to try
#
# 1. `claim = "F1"`: which of its two comparisons refutes it, and would it have held against the other alone?
# 2. Take five of P3's ten differences above. How wide is the interval, and what becomes of the verdict?
# 3. Run a claim that has not been run (`redistill batch`, ten seeds), and point `runs` at its reports.
