"""The costs as a picture: a bar for whoever was measured, gateway and Redis on top of each other."""
import statistics

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "bench"  # the same numbers, the same file

from matplotlib import pyplot  # noqa: E402

GATEWAY, REDIS = "#1f6feb", "#d1495b"


def bars(groups, title, path):
    """`groups`: {what: {who: samples}}; a bar each, in µs of processor time a request."""
    rows = [(f"{who}\n{what}", samples) for what, contenders in groups.items() for who, samples in contenders.items()]
    figure, axes = pyplot.subplots(figsize=(8, 0.55 * len(rows) + 1.2))
    for place, (_, samples) in enumerate(rows):
        gateway, redis = (statistics.median(s[field] for s in samples) for field in ("gateway_us", "redis_us"))
        axes.barh(place, gateway, color=GATEWAY, label="gateway" if place == 0 else None)
        axes.barh(place, redis, left=gateway, color=REDIS, label="Redis" if place == 0 else None)
        axes.text(gateway + redis, place, f" {gateway + redis:.1f}", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("µs of processor time a request")
    axes.set_title(title, fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncol=2)  # above the bars, never on one
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)
