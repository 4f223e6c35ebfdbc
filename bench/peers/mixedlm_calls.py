"""Times mixedlm's lmer() on a model that bench/peers/data.R wrote: python bench/peers/mixedlm_calls.py FOLDER

Whole calls, from a data frame and a formula to a fit. Prints a line: median seconds, evaluations, criterion; or, where mixedlm can't fit the
model, "-" and its message.
"""

import statistics
import sys
import time
import warnings
from pathlib import Path

import mixedlm
import pandas

BUDGET = 2.0
TURNS = 15


def fit(formula, data, reml):
    begin = time.perf_counter()
    model = mixedlm.lmer(formula, data, REML=reml)
    return time.perf_counter() - begin, model


def criterion(model):
    loglik = model.logLik()
    return -2 * float(getattr(loglik, "value", loglik))


def measure(folder):
    reml = "reml 1" in (folder / "model.txt").read_text().splitlines()
    formula = (folder / "formula.txt").read_text().strip()
    data = pandas.read_csv(folder / "data.csv")
    seconds = []
    while len(seconds) < TURNS and sum(seconds) < BUDGET:
        elapsed, model = fit(formula, data, reml)
        seconds.append(elapsed)
    # The first call of a process loads what the others find loaded.
    return statistics.median(seconds[1:] or seconds), model.function_evals, criterion(model)


def main():
    warnings.simplefilter("ignore")
    try:
        print(*map(repr, measure(Path(sys.argv[1]))))
    except Exception as error:  # whatever it is, the table says it
        print("-", next(iter(str(error).splitlines()), type(error).__name__))


main()
