"""Figures of the quality of hypotheses: what is drawn is what was measured."""

import cv2
import numpy as np
import pytest

from diffpose_mm.visualization import hypothesis_figures as figures


@pytest.fixture()
def drawn(monkeypatch):
    """The figures that are saved, kept."""
    kept, save = [], figures.save_figure
    monkeypatch.setattr(
        figures, 'save_figure', lambda figure, path: (kept.append(figure), save(figure, path))
    )
    return kept


def lines(ax):
    return {
        (line.get_color(), line.get_linestyle()): np.asarray(line.get_ydata()).tolist()
        for line in ax.lines
    }


def test_curves_have_the_values_of_the_rows(drawn, tmp_path):
    """Broken if a curve were that of another N, S, aggregate or measure."""
    rows = [
        {
            'S': s,
            'N': n,
            'AP mean': 10 * s + n,
            'AP consensus': 20 * s + n,
            'mean PCK': s,
            'best-of-N PCK': 2 * s + n,
            **({'Spearman': s / 10} if n > 1 else {}),
        }
        for s in (1, 4)
        for n in (1, 5)
    ]
    figures.step_curves(str(tmp_path / 'a.png'), rows)
    one, five = figures.COLORS[:2]
    axes = {ax.get_title(): lines(ax) for ax in drawn[0].axes if ax.get_title()}
    assert axes == {
        'AP': {(one, '-'): [11, 41], (five, '-'): [15, 45], (five, '--'): [25, 85]},
        'PCK, %': {(one, '-'): [1, 4], (five, '-'): [1, 4], (five, ':'): [7, 13]},
        'Spearman, spread with error': {(five, '-'): [0.1, 0.4]},
    }
    assert cv2.imread(str(tmp_path / 'a.png')).shape[1] > 800


def test_any_metric_has_a_panel(drawn, tmp_path):
    """Broken if only the numbers of PoseTrackAP were drawn."""
    rows = [
        {'S': s, 'N': 5, 'PCK mean': s / 10, 'PCK consensus': s / 20, 'mean PCK': s} for s in (1, 2)
    ]
    figures.step_curves(str(tmp_path / 'a.png'), rows)
    axes = {ax.get_title(): lines(ax) for ax in drawn[0].axes if ax.get_title()}
    color = figures.COLORS[0]
    assert axes['PCK'] == {(color, '-'): [0.1, 0.2], (color, '--'): [0.05, 0.1]}
    assert axes.keys() == {'PCK, %', 'PCK'}


def test_reliability_is_drawn_in_percent_with_quartiles(drawn, tmp_path):
    """Broken if RMS and median were exchanged, or a spread of zero broke the logarithm."""
    bins = [
        dict(spread=spread, error=0.05, quartiles=[0.01, 0.02, 0.06], joints=9)
        for spread in (0.0, 0.01, 0.1)
    ]
    panels = {'S = 1': dict(all=bins, occluded=bins[1:]), 'S = 4': dict(all=bins)}
    figures.reliability_plot(str(tmp_path / 'r.png'), panels, 10)
    first, second = drawn[0].axes
    values = lines(first)
    assert values[figures.COLORS[0], '-'] == pytest.approx([5, 5, 5])
    assert values[figures.COLORS[1], '--'] == pytest.approx([2, 2])
    band = first.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((1, 6))
    assert len(second.lines) == 3, 'the diagonal, RMS and median of all'
    assert cv2.imread(str(tmp_path / 'r.png')) is not None


def test_sheet_draws_every_hypothesis_and_the_size_of_the_spread(drawn, tmp_path):
    """Broken if a deviation were drawn as a diameter, or joints without annotation were."""
    pose = np.array([[10.0, 10], [30, 10], [20, 40]])
    panel = figures.HypothesisPanel(
        image=np.zeros((60, 50, 3), np.uint8),
        box=np.array([5.0, 5, 35, 45]),
        hypotheses=pose + np.arange(4)[:, None, None],
        pose=pose,
        deviations=np.array([[1.0, 2], [3, 4], [5, 6]]),
        true=pose + 5,
        annotated=np.array([True, True, False]),
        title='a',
    )
    figures.hypothesis_sheet(str(tmp_path / 's.png'), [panel, panel], [(0, 1), (1, 2)])
    ax = drawn[0].axes[0]
    assert [(e.width, e.height) for e in ax.patches] == [(2, 4), (6, 8)]
    assert [c.get_segments()[0].tolist() for c in ax.collections] == [
        [[10 + n, 10 + n], [30 + n, 10 + n]] for n in (0, 1, 2, 3, 5, 0)
    ]
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert left < 5 and right > 35 and top < 5 and bottom > 45
    assert cv2.imread(str(tmp_path / 's.png')) is not None
