"""Figures of a video: a contact sheet of key moments, joints over time with their spread."""

import io
from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ..files import atomic_write

SHOWN_JOINTS = ('nose', 'left_wrist', 'right_wrist', 'left_ankle', 'right_ankle')
COLORS = ('#404048', '#2060d0', '#e08020', '#20a060', '#c03070')


class TrackHistory:
    """Where the joints of each track were, a few hundred bytes a person and frame."""

    def __init__(self) -> None:
        self._tracks: dict[int, list[tuple]] = {}
        self._extents: dict[int, np.ndarray] = {}
        self.frames = 0
        self.people = 0

    def add(self, frame_id: int, instances: Iterable[dict]) -> None:
        """Add a frame's predictions, as the inferencer gives them."""
        self.frames += 1
        for instance in instances:
            self.people += 1
            box = np.asarray(instance['bbox'], dtype=np.float32).reshape(4)
            extent = self._extents.get(frame_id, box)
            self._extents[frame_id] = np.concatenate(
                [np.minimum(extent[:2], box[:2]), np.maximum(extent[2:], box[2:])]
            )
            points = np.asarray(instance['keypoints'], dtype=np.float32)
            deviations = np.asarray(
                instance.get('keypoint_std', np.zeros_like(points)), dtype=np.float32
            )
            scores = np.asarray(instance['keypoint_scores'], dtype=np.float32)
            track = self._tracks.setdefault(instance.get('track_id', 0), [])
            track.append((frame_id, points, deviations, scores))

    def __len__(self) -> int:
        return len(self._tracks)

    def extent(self, frames: Iterable[int]) -> np.ndarray | None:
        """(4,) x1, y1, x2, y2 around all boxes of some frames, image pixels; None: nobody."""
        boxes = [self._extents[frame] for frame in frames if frame in self._extents]
        if not boxes:
            return None
        boxes = np.array(boxes)
        return np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])

    def longest(self, count: int) -> list[tuple]:
        """The tracks of the most frames.

        Returns:
            list[tuple]: Track number, frame numbers (n, ), keypoints (n, K, 2) and their standard
            deviations (n, K, 2), image pixels, and scores (n, K).
        """
        order = sorted(self._tracks, key=lambda t: (-len(self._tracks[t]), t))[:count]
        return [
            (track, *(np.array(column) for column in zip(*self._tracks[track]))) for track in order
        ]

    def key_moments(self, count: int) -> dict[int, str]:
        """Frames to look at: equal shares of all movement, and the least certain one.

        Args:
            count: How many at most.

        Returns:
            dict[int, str]: Frame number to what is to be seen there, in order.
        """
        motion = np.zeros(self._last() + 1)
        spread = np.zeros_like(motion)
        for track in self._tracks.values():
            for before, now in zip(track, track[1:]):
                motion[now[0]] += float(np.abs(now[1] - before[1]).mean())
            for frame_id, _, deviations, _ in track:
                spread[frame_id] = max(spread[frame_id], float(deviations.mean()))
        # A little for every frame, so that stills are spread over time too.
        total = np.cumsum(motion + max(motion.mean(), 1e-6) * 0.1)
        shares = np.linspace(total[0], total[-1], max(min(count, len(total)), 1))
        moments = {int(np.searchsorted(total, share - 1e-9)): '' for share in shares}
        if count > 1 and spread.max() > 0:
            least = int(spread.argmax())
            if least not in moments and len(moments) >= count:
                middle = sorted(moments, key=lambda frame: abs(frame - least))
                moments.pop(next((m for m in middle if m not in (0, len(total) - 1)), middle[0]))
            moments[least] = 'least certain'
        # Where nearly all movement is in a few frames, the widest gaps are filled.
        while len(moments) < min(count, len(total)):
            frames = sorted(moments)
            gap, left = max((b - a, -a) for a, b in zip(frames, frames[1:]))
            moments[gap // 2 - left] = ''
        return dict(sorted(moments.items()))

    def _last(self) -> int:
        return max((track[-1][0] for track in self._tracks.values()), default=0)


def crop_to(frame: np.ndarray, extent: np.ndarray | None) -> np.ndarray:
    """The part of a frame with the people in it, in the frame's own proportions.

    Args:
        frame: (H, W, 3).
        extent: See :meth:`TrackHistory.extent`; a quarter of its size is added. Where little would
            be cut off, and for None, all of the frame.
    """
    if extent is None:
        return frame
    height, width = frame.shape[:2]
    low = np.clip(extent[:2], 0, [width, height])
    high = np.clip(extent[2:], 0, [width, height])
    share = 1.25 * ((high - low) / [width, height]).max()
    if not 0 < share < 0.8:
        return frame
    size = np.maximum(np.round(np.array([width, height]) * share), 1).astype(int)
    x, y = np.clip((low + high - size) / 2, 0, [width, height] - size).astype(int)
    return frame[y : y + size[1], x : x + size[0]]


def contact_sheet(
    path: str, frames: Sequence[np.ndarray], titles: Sequence[str], width: int = 1310
) -> None:
    """Write frames side by side, each under its title, at most four in a row.

    Args:
        path: File to write.
        frames: HxWx3 BGR frames, already drawn on.
        titles: One each.
        width: Of the sheet, pixels.

    Raises:
        ValueError: There are no frames, or not a title for each.
        OSError: The file cannot be written.
    """
    if not len(frames) or len(frames) != len(titles):
        raise ValueError(f'a contact sheet of {len(frames)} frames and {len(titles)} titles')
    strip, gap = 22, 6
    columns = min(int(np.ceil(np.sqrt(len(frames)))), 4)
    tile = min((width - gap) // columns - gap, 640)
    smaller = [
        cv2.resize(
            frame,
            (tile, max(round(frame.shape[0] * tile / frame.shape[1]), 1)),
            interpolation=cv2.INTER_AREA if frame.shape[1] > tile else cv2.INTER_CUBIC,
        )
        for frame in frames
    ]
    height = max(frame.shape[0] for frame in smaller)
    rows = -(-len(frames) // columns)
    sheet = np.full(
        (rows * (height + strip + gap) + gap, columns * (tile + gap) + gap, 3), 250, np.uint8
    )
    for index, (frame, title) in enumerate(zip(smaller, titles)):
        top = gap + index // columns * (height + strip + gap)
        left = gap + index % columns * (tile + gap)
        sheet[top + strip : top + strip + frame.shape[0], left : left + tile] = frame
        cv2.putText(
            sheet, title, (left + 2, top + 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1,
            cv2.LINE_AA,
        )  # fmt: skip
    _write(path, cv2.imencode('.png', sheet)[1].tobytes())


def trajectories(
    path: str,
    tracks: Sequence[tuple],
    joint_names: Sequence[str],
    fps: float | None,
    joints: Sequence[str] = SHOWN_JOINTS,
    kpt_thr: float = 0.3,
    times: Mapping[int, float | None] | None = None,
) -> None:
    """Write x and y of some joints over time, with a band of one standard deviation.

    Args:
        path: File to write.
        tracks: See :meth:`TrackHistory.longest`; a row each.
        joint_names: Names of the K keypoints.
        fps: Frames a second; None if unknown.
        joints: Names of those to show; those that the model has not are left out, and where it
            has none of them the first five are taken.
        kpt_thr: Joints of a lower score are thin, dotted lines without a band.
        times: Seconds of each frame, where they are known. Else they follow from ``fps``, and
            without that the axis counts frames.

    Raises:
        ValueError: There are no tracks.
        OSError: The file cannot be written.
    """
    if not tracks:
        raise ValueError('there is nobody whose trajectories could be drawn')
    shown = [joint_names.index(name) for name in joints if name in joint_names]
    shown = shown or list(range(min(5, len(joint_names))))
    figure = Figure(figsize=(11, 2.6 * len(tracks) + 0.6), dpi=110, layout='constrained')
    axes = figure.subplots(len(tracks), 2, squeeze=False, sharex=True)
    spread = any(deviations.any() for _, _, _, deviations, _ in tracks)
    for row, (track, frame_ids, points, deviations, scores) in zip(axes, tracks):
        # A row for every frame: a line is broken where the track was not seen.
        rows = frame_ids - frame_ids[0]
        time = np.array([_time_of(i, fps, times) for i in range(frame_ids[0], frame_ids[-1] + 1)])
        for axis, ax in enumerate(row):
            for joint, color in zip(shown, COLORS * (len(shown) // len(COLORS) + 1)):
                all_of_it, sure, band = np.full((3, len(time)), np.nan)
                all_of_it[rows] = points[:, joint, axis]
                sure[rows] = np.where(scores[:, joint] >= kpt_thr, points[:, joint, axis], np.nan)
                band[rows] = deviations[:, joint, axis]
                ax.plot(time, all_of_it, ':', color=color, linewidth=0.7, alpha=0.6)
                ax.plot(time, sure, color=color, linewidth=1.3, label=joint_names[joint])
                alone = np.isnan(np.roll(sure, 1)) & np.isnan(np.roll(sure, -1))
                ax.plot(time[alone], sure[alone], '.', color=color, markersize=2.5)
                if spread:
                    ax.fill_between(
                        time, sure - band, sure + band, color=color, alpha=0.2, linewidth=0
                    )
            ax.set_ylabel('xy'[axis] + ' (pixels)')
            ax.grid(alpha=0.3)
        row[0].set_title(f'track {track}, {len(frame_ids)} frames', fontsize=9, loc='left')
        row[1].invert_yaxis()
    for ax in axes[-1]:
        ax.set_xlabel('time (s)' if fps or times else 'frame')
    handles, labels = axes[0, 0].get_legend_handles_labels()
    handles.append(Line2D([], [], color='0.5', linestyle=':', linewidth=1))
    labels.append(f'score below {kpt_thr:g}')
    if spread:
        handles.append(Patch(color='0.5', alpha=0.3, linewidth=0))
        labels.append('one standard deviation')
    figure.legend(handles, labels, loc='outside upper center', ncols=len(labels), fontsize=8)
    FigureCanvasAgg(figure)
    picture = io.BytesIO()
    figure.savefig(picture, format='png')
    _write(path, picture.getvalue())


def _time_of(number: int, fps: float | None, times: Mapping[int, float | None] | None) -> float:
    seconds = None if times is None else times.get(number)
    return seconds if seconds is not None else number / (fps or 1)


def _write(path: str, data: bytes) -> None:
    # Neither OpenCV nor matplotlib names the file when the disk is full.
    with atomic_write(path, 'wb') as file:
        file.write(data)
