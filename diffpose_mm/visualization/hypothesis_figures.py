"""Figures of the quality of hypotheses: curves over steps, error over spread, people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse

from .figures import PREDICTED_COLOR, TRUE_COLOR, save_figure

STYLES = {
    'mean of the heatmaps': 'o-',
    'consensus': 's--',
    'best of N': '^:',
}
PANELS = {
    'AP': ('AP mean', 'AP consensus', None),
    'AP on occluded joints': ('AP occl. mean', 'AP occl. consensus', None),
    'PCK, %': ('mean PCK', None, 'best-of-N PCK'),
    'duplicate rate, %': ('mean duplicate rate', 'consensus duplicate rate', None),
    'inversion rate, %': ('mean inversion rate', 'consensus inversion rate', None),
    'Spearman, spread with error': ('Spearman', None, None),
}
COLORS = ('#20406a', '#c04030', '#e0a020', '#3a8a50', '#8050a0')


def step_curves(path: str, rows: Sequence[Mapping[str, float]]) -> None:
    """Draw measures over S: a color for each N, a line style for each way of aggregation.

    Args:
        path: File to write.
        rows: A dict for each S x N, with keys ``S``, ``N``, those of :data:`PANELS` and any
            ``NAME mean`` with its ``NAME consensus``; what is in no row has no panel.
    """
    columns = dict.fromkeys(key for row in rows for key in row)
    panels = {k: v for k, v in PANELS.items() if v[0] in columns}
    for name in columns:
        if name.endswith(' mean') and name not in {v[0] for v in PANELS.values()}:
            name = name.removesuffix(' mean')
            panels[name] = (f'{name} mean', f'{name} consensus', None)
    across = min(3, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(figsize=(3.7 * across, 2.7 * down + 0.4), dpi=100, layout='constrained')
    axes = figure.subplots(down, across, squeeze=False).ravel()
    steps, numbers = (sorted({row[key] for row in rows}) for key in 'SN')
    colors = {number: COLORS[i % len(COLORS)] for i, number in enumerate(numbers)}
    for ax, (title, names) in zip(axes, panels.items()):
        for number, color in colors.items():
            for name, style in zip(names, STYLES.values()):
                shown = [r for r in rows if r['N'] == number and name in r]
                # Of a single hypothesis all three are the same.
                if shown and (number > 1 or name == names[0]):
                    places = [steps.index(r['S']) for r in shown]
                    values = [r[name] for r in shown]
                    ax.plot(places, values, style, color=color, markersize=4, linewidth=1.4)
        ax.set_xticks(range(len(steps)), steps)
        ax.set_title(title, fontsize=10)
        ax.grid(alpha=0.3)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    figure.supxlabel('denoising steps S', fontsize=10)
    legend = [(f'N = {number}', '-', color) for number, color in colors.items()]
    legend += [(label, style, '#606060') for label, style in STYLES.items()]
    handles = [
        Line2D(
            [],
            [],
            linestyle=style[-2:].lstrip('os^'),
            marker=style[0].strip('-'),
            markersize=4,
            color=color,
            label=label,
        )
        for label, style, color in legend
    ]
    figure.legend(handles=handles, loc='outside upper center', ncols=len(handles), fontsize=9)
    save_figure(figure, path)


def reliability_plot(
    path: str, panels: Mapping[str, Mapping[str, Sequence[Mapping]]], number: int
) -> None:
    """Draw the error of joints over their spread, with the line on which a spread is calibrated.

    Args:
        path: File to write.
        panels: Title -> the bins of ``all`` joints and perhaps of ``occluded`` ones, as
            :func:`~diffpose_mm.evaluation.hypothesis_quality.reliability` makes them: shares of the
            person's size.
        number: N, the number of hypotheses that the spread was computed from.
    """
    figure = Figure(figsize=(2.9 * len(panels) + 0.5, 3.5), dpi=100, layout='constrained')
    axes = figure.subplots(1, len(panels), squeeze=False, sharex=True, sharey=True)[0]
    # A spread of zero has no place on a logarithmic axis.
    floor = 1e-2
    spreads = [100 * b['spread'] for k in panels.values() for bins in k.values() for b in bins]
    shown = [s for s in spreads if s > floor]
    ends = (min(shown), max(shown)) if shown else (0.1, 1.0)
    for ax, (title, kinds) in zip(axes, panels.items()):
        ax.plot(ends, ends, ':', color='#808080', label='calibrated')
        for (kind, bins), color in zip(kinds.items(), COLORS):
            spread = np.array([max(100 * b['spread'], floor) for b in bins])
            error = np.array([100 * b['error'] for b in bins])
            low, middle, high = 100 * np.array([b['quartiles'] for b in bins]).T
            ax.plot(spread, error, 'o-', color=color, markersize=4, label=f'{kind}: RMS')
            ax.plot(spread, middle, '--', color=color, linewidth=1, label=f'{kind}: median')
            ax.fill_between(spread, low, high, color=color, alpha=0.15, linewidth=0)
        ax.set_xscale('log')
        ax.set_yscale('log')
        ax.set_title(title, fontsize=10)
        ax.grid(alpha=0.3, which='both', linewidth=0.5)
    axes[0].set_ylabel('error, % of the size of a person', fontsize=9)
    figure.supxlabel(
        f'spread over N = {number} hypotheses, % of the size (band: quartiles of the error)',
        fontsize=9,
    )
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside upper center', ncols=len(handles), fontsize=8)
    save_figure(figure, path)


@dataclass
class HypothesisPanel:
    """One person with N hypotheses, in pixels of its image.

    Attributes:
        image: (h, w, 3) RGB uint8.
        box: (4,) x1, y1, x2, y2 of the person; the panel shows it with a margin.
        hypotheses: (N, K, 2).
        pose: (K, 2) the prediction, aggregated from them.
        deviations: (K, 2) standard deviation of the hypotheses along x and y.
        true: (K, 2) annotated keypoints.
        annotated: (K,) bool, which keypoints are annotated.
        title: Title of the panel.
    """

    image: np.ndarray
    box: np.ndarray
    hypotheses: np.ndarray
    pose: np.ndarray
    deviations: np.ndarray
    true: np.ndarray
    annotated: np.ndarray
    title: str = ''


def hypothesis_sheet(
    path: str, panels: Sequence[HypothesisPanel], links: Sequence[tuple[int, int]]
) -> None:
    """Draw people side by side: hypotheses as faint skeletons, the pose, its spread, the truth.

    Args:
        path: File to write.
        panels: The people.
        links: Pairs of keypoints that a limb joins.
    """
    figure = Figure(figsize=(2.0 * len(panels), 3.3), dpi=100, layout='constrained')
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for ax, panel in zip(axes, panels):
        ax.set_axis_off()
        ax.set_title(panel.title, fontsize=9)
        ax.imshow(panel.image, alpha=0.6)
        limbs = [(a, b) for a, b in links if panel.annotated[a] and panel.annotated[b]]
        ends = np.array(limbs, dtype=int).reshape(-1, 2)
        for points, color, width, alpha in (
            *((h, PREDICTED_COLOR, 0.8, 0.3) for h in panel.hypotheses),
            (panel.true, TRUE_COLOR, 1.2, 1.0),
            (panel.pose, PREDICTED_COLOR, 1.4, 1.0),
        ):
            ax.add_collection(
                LineCollection(points[ends], colors=color, linewidths=width, alpha=alpha)
            )
        for centre, (x, y) in zip(panel.pose[panel.annotated], panel.deviations[panel.annotated]):
            ax.add_patch(Ellipse(centre, 2 * x, 2 * y, fill=False, color='#3060ff', linewidth=0.9))
        x1, y1, x2, y2 = panel.box
        # All panels are as high as they are wide times 4/3, so that they fill their row.
        half = 0.6 * max(x2 - x1, 0.75 * (y2 - y1))
        ax.set_xlim((x1 + x2) / 2 - half, (x1 + x2) / 2 + half)
        ax.set_ylim((y1 + y2) / 2 + half / 0.75, (y1 + y2) / 2 - half / 0.75)
    handles = [
        Line2D([], [], color=TRUE_COLOR, label='annotated'),
        Line2D([], [], color=PREDICTED_COLOR, label='predicted'),
        Line2D([], [], color=PREDICTED_COLOR, alpha=0.3, label='its hypotheses'),
        Line2D(
            [],
            [],
            linestyle='',
            marker='o',
            fillstyle='none',
            color='#3060ff',
            label='one standard deviation',
        ),
    ]
    figure.legend(handles=handles, loc='outside upper center', ncols=4, fontsize=9)
    save_figure(figure, path)
