"""Times mixedlm's lmer() on the models that bench/peers/data.R wrote: python bench/peers/mixedlm_calls.py FOLDER > results.tsv

Whole calls, from a data frame and a formula to a fit. A line per model: folder, median seconds, evaluations, criterion, error. Columns
are separated by tabs; a model that mixedlm can't fit has its message in the last one.
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
    words = dict(line.split(maxsplit=1) for line in (folder / "model.txt").read_text().splitlines())
    reml = words["reml"] == "1"
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
    for folder in sorted(path.parent for path in Path(sys.argv[1]).glob("*/formula.txt")):
        try:
            seconds, evaluations, value = measure(folder)
            print(folder.name, seconds, evaluations, repr(float(value)), "", sep="\t", flush=True)
        except Exception as error:  # whatever it is, the table says it
            print(folder.name, "nan", "nan", "nan", str(error).splitlines()[0] if str(error) else type(error).__name__, sep="\t", flush=True)


main()
