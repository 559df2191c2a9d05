"""A search as a picture: what the rate does, and what the minutes bought (chapter 13)."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from companion.classification.tuning.search_result import Search
from companion.plots import BLUE, FAINT, INK, ORANGE, in_style, label_panel


@in_style
def search_plot(search: Search, title: str = "") -> Figure:
    """The score against one setting, and the best so far against minutes.

    The setting is the learning rate, or the first one of numbers where the rate was fixed. Trials
    that were stopped stand with the best score they had reached.
    """
    figure, (left, right) = plt.subplots(1, 2, sharey=True, figsize=(9.0, 3.8))
    score = search.metric.replace("_", "-").replace("f1", "F1")
    names = [
        name
        for name, value in search.best.settings.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    names.sort(key=lambda name: name != "learning_rate")
    complete = [trial for trial in search.trials if trial.dev is not None]
    stopped = [trial for trial in search.trials if trial.dev is None and trial.curve]
    if names:
        name = names[0]
        left.plot(
            [t.settings[name] for t in stopped], [100 * max(t.curve) for t in stopped],
            "x", color=INK, alpha=0.5, label="stopped",
        )  # fmt: skip
        left.plot(
            [t.settings[name] for t in complete], [100 * search.score(t) for t in complete],
            "o", color=BLUE, label="complete",
        )  # fmt: skip
        for trial in complete:
            if trial.number == 0:
                left.plot(
                    trial.settings[name], 100 * search.score(trial), "s", color=ORANGE,
                    markersize=8, label="defaults",
                )  # fmt: skip
        if name == "learning_rate":
            left.set_xscale("log")
            left.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            left.xaxis.set_major_formatter(lambda rate, _: f"{rate:.0e}".replace("e-0", "e-"))
            left.xaxis.set_minor_formatter(NullFormatter())
        label_panel(left, "", name.replace("_", " "), f"{score} on dev (%)")
    best, places, values = 0.0, [], []
    for trial in complete:
        best = max(best, 100 * search.score(trial))
        places.append(trial.ended / 60)
        values.append(best)
    end = max(trial.ended for trial in search.trials) / 60
    right.step([*places, end], [*values, best], where="post", color=BLUE, label="best so far")
    right.plot(
        [t.ended / 60 for t in complete], [100 * search.score(t) for t in complete],
        "o", color=BLUE, alpha=0.45, markersize=4,
    )  # fmt: skip
    low, high = getattr(search.best.dev, f"{search.metric}_interval")
    right.axhspan(100 * low, 100 * high, color=FAINT, alpha=0.5, label="its 95% interval")
    right.set_xlim(left=0)
    figure.legend(loc="outside lower center", ncols=6, fontsize=9)
    label_panel(right, "", "minutes of search", "")
    figure.suptitle(title or f"{len(search.trials)} trials of {search.model}", fontsize=10)
    return figure
