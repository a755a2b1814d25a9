"""Figures of a run: poses beside the truth, one heatmap's denoising, the training curve.

Functions of arrays, which know no model; the coordinates of a panel are pixels of its image.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

TRUE_COLOR = '#20e070'
PREDICTED_COLOR = '#ff4060'


@dataclass
class PosePanel:
    """One frame of a sheet of poses, with N predicted and M annotated persons.

    Attributes:
        image: (h, w, 3) RGB uint8.
        predicted: (N, K, 2) predicted keypoints, pixels of ``image``.
        scores: (N, K) scores of the predicted keypoints.
        true: (M, K, 2) annotated keypoints, pixels of ``image``, or None.
        annotated: (M, K) which of them are annotated; None for all.
        title: Title of the panel.
    """

    image: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray
    true: np.ndarray | None = None
    annotated: np.ndarray | None = None
    title: str = ''


def pose_sheet(
    path: str,
    panels: Sequence[PosePanel],
    links: Sequence[tuple[int, int]],
    columns: int = 3,
    score_thr: float = 0.2,
) -> None:
    """Write frames with the true and the predicted skeletons of their persons in one picture.

    Args:
        path: File to write.
        panels: The frames.
        links: Pairs of keypoints that a limb joins.
        columns: Number of frames in a row.
        score_thr: Predicted keypoints of a lower score are not drawn.

    Raises:
        ValueError: If there are no panels.
    """
    if not panels:
        raise ValueError('a sheet of poses needs at least one panel')
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    aspect = panels[0].image.shape[0] / panels[0].image.shape[1]
    size = (4.2 * columns, (4.2 * aspect + 0.25) * rows + 0.4)
    figure = Figure(figsize=size, dpi=110, layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, panel in zip(axes, panels):
        ax.imshow(panel.image)
        if panel.true is not None:
            shown = np.ones(panel.true.shape[:2]) if panel.annotated is None else panel.annotated
            _skeletons(ax, panel.true, shown > 0, links, TRUE_COLOR)
        _skeletons(ax, panel.predicted, panel.scores >= score_thr, links, PREDICTED_COLOR)
        ax.set_xlim(-0.5, panel.image.shape[1] - 0.5)
        ax.set_ylim(panel.image.shape[0] - 0.5, -0.5)
        ax.set_title(panel.title, fontsize=8)
    handles = [
        Line2D([], [], color=color, marker='o', label=label)
        for color, label in ((TRUE_COLOR, 'annotated'), (PREDICTED_COLOR, 'predicted'))
    ]
    figure.legend(handles=handles, loc='outside upper center', ncols=2, fontsize=9)
    save_figure(figure, path)


def denoising_strip(
    path: str,
    image: np.ndarray,
    timesteps: Sequence[int],
    noisy: Sequence[np.ndarray],
    predicted: Sequence[np.ndarray],
    joint: int,
    joint_name: str = '',
    true: np.ndarray | None = None,
) -> None:
    """Draw how DDIM turns noise into the heatmap of one joint.

    Top row: the noisy signal x_t that a step starts from. Middle row: the heatmap predicted from
    it, over the image. Bottom row: the same for all joints together.

    Args:
        path: File to write.
        image: (h, w, 3) RGB crop of the keyframe, input pixels.
        timesteps: The S steps t, from noise to heatmap.
        noisy: S arrays (K, H, W), the signal x_t before each step.
        predicted: S arrays (K, H, W), the heatmaps in [0, 1] that each step predicts.
        joint: Index of the keypoint in the upper two rows.
        joint_name: Name of that keypoint.
        true: (K, H, W) heatmaps of the annotation, in a last column.

    Raises:
        ValueError: If there is not one array of each kind for every step.
    """
    if not len(timesteps) == len(noisy) == len(predicted) or not len(timesteps):
        raise ValueError(
            f'{len(timesteps)} steps need as many noisy signals and predicted heatmaps, got '
            f'{len(noisy)} and {len(predicted)}'
        )
    columns = len(timesteps) + (true is not None)
    figure = Figure(figsize=(1.7 * columns + 0.6, 7.2), dpi=120, layout='constrained')
    axes = figure.subplots(3, columns, squeeze=False)
    for ax in axes.flat:
        ax.set_xticks([])
        ax.set_yticks([])
    for column, (t, signal, heatmaps) in enumerate(zip(timesteps, noisy, predicted)):
        limit = max(float(np.abs(signal[joint]).max()), 1e-6)
        axes[0, column].imshow(signal[joint], cmap='coolwarm', vmin=-limit, vmax=limit)
        axes[0, column].set_title(f't = {t}', fontsize=9)
        axes[1, column].imshow(overlay_heatmap(image, heatmaps[joint]))
        axes[2, column].imshow(overlay_heatmap(image, heatmaps.max(axis=0)))
    if true is not None:
        axes[0, -1].set_axis_off()
        axes[1, -1].imshow(overlay_heatmap(image, true[joint]))
        axes[1, -1].set_title('annotation', fontsize=9)
        axes[2, -1].imshow(overlay_heatmap(image, true.max(axis=0)))
    axes[0, 0].set_ylabel('noisy signal', fontsize=9)
    axes[1, 0].set_ylabel(f'predicted: {joint_name or joint}', fontsize=9)
    axes[2, 0].set_ylabel('predicted: all joints', fontsize=9)
    save_figure(figure, path)


def overlay_heatmap(image: np.ndarray, heatmap: np.ndarray) -> np.ndarray:
    """Lay a heatmap over an image.

    Args:
        image: (h, w, 3) RGB uint8.
        heatmap: (H, W) in [0, 1]; it is stretched over the image.

    Returns:
        (h, w, 3) RGB uint8.
    """
    height, width = image.shape[:2]
    heat = cv2.resize(np.clip(heatmap, 0, 1).astype(np.float32), (width, height))[..., None]
    color = np.array([255, 220, 0], dtype=np.float32)
    return (0.55 * image * (1 - heat) + color * heat).clip(0, 255).astype(np.uint8)


def read_scalars(path: str) -> list[dict]:
    """Read what mmengine's LocalVisBackend logged (``vis_data/scalars.json``), line by line."""
    with open(path) as file:
        return [json.loads(line) for line in file if line.strip()]


def training_curve(
    path: str, scalars: Sequence[dict], metric: str = 'posetrack/AP', smooth: int = 10
) -> None:
    """Draw loss and accuracy over iterations and, where validated, the metric over epochs.

    Args:
        path: File to write.
        scalars: See :func:`read_scalars`.
        metric: Key of the validation metric.
        smooth: Length of the running mean that is drawn over the loss, in log entries.

    Raises:
        ValueError: If no loss was logged.
    """
    train = [entry for entry in scalars if 'loss' in entry]
    if not train:
        raise ValueError('no entry of the log has a loss, so there is no training curve to draw')
    val = [entry for entry in scalars if metric in entry]
    figure = Figure(figsize=(11, 3.6), dpi=110, layout='constrained')
    # A run without validation has no third panel.
    axes = figure.subplots(1, 3 if val else 2)
    loss_ax, accuracy_ax = axes[:2]

    iters = [entry['iter'] for entry in train]
    loss = np.array([entry['loss'] for entry in train])
    loss_ax.plot(iters, loss, color='#b0b0c0', linewidth=1)
    kernel = np.ones(min(smooth, len(loss)))
    count = np.convolve(np.ones_like(loss), kernel)[: len(loss)]
    loss_ax.plot(iters, np.convolve(loss, kernel)[: len(loss)] / count, color='#3050c0')
    loss_ax.set_yscale('log')
    loss_ax.set_title('training loss')
    loss_ax.set_xlabel('iteration')

    scored = [entry for entry in train if 'acc_pose' in entry]
    accuracy_ax.plot(
        [entry['iter'] for entry in scored], [entry['acc_pose'] for entry in scored], '#3050c0'
    )
    accuracy_ax.set_title('training accuracy (PCK 0.05)')
    accuracy_ax.set_xlabel('iteration')

    if val:
        epochs, values = zip(*((entry['step'], entry[metric]) for entry in val))
        axes[2].plot(epochs, values, 'o-', color='#c04030')
        axes[2].set_title(f'validation {metric}')
        axes[2].set_xlabel('epoch')
    for ax in axes:
        ax.grid(alpha=0.3)
    save_figure(figure, path)


def _skeletons(
    ax: Axes,
    persons: np.ndarray,
    shown: np.ndarray,
    links: Sequence[tuple[int, int]],
    color: str,
) -> None:
    for points, seen in zip(persons, shown):
        for a, b in links:
            if seen[a] and seen[b]:
                ax.plot(*points[[a, b]].T, color=color, linewidth=1.3, alpha=0.85)
        ax.scatter(*points[seen].T, s=8, color=color, edgecolors='black', linewidths=0.3, zorder=3)


def save_figure(figure: Figure, path: str) -> None:
    """Write a figure without a window system."""
    FigureCanvasAgg(figure)
    figure.savefig(path)
