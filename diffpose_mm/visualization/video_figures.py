"""Figures of a video: a contact sheet of key moments, joints over time with their spread."""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

SHOWN_JOINTS = ('nose', 'left_wrist', 'right_wrist', 'left_ankle', 'right_ankle')
COLORS = ('#404048', '#2060d0', '#e08020', '#20a060', '#c03070')


class TrackHistory:
    """Where the joints of each track were, a few hundred bytes a person and frame."""

    def __init__(self) -> None:
        self._tracks: dict[int, list[tuple]] = {}
        self.frames = 0
        self.people = 0

    def add(self, frame_id: int, instances: Iterable[dict]) -> None:
        """Add a frame's predictions, as the inferencer gives them."""
        self.frames += 1
        for instance in instances:
            self.people += 1
            points = np.asarray(instance['keypoints'], dtype=np.float32)
            deviations = np.asarray(
                instance.get('keypoint_std', np.zeros_like(points)), dtype=np.float32
            )
            scores = np.asarray(instance['keypoint_scores'], dtype=np.float32)
            track = self._tracks.setdefault(instance.get('track_id', 0), [])
            track.append((frame_id, points, deviations, scores))

    def __len__(self) -> int:
        return len(self._tracks)

    def longest(self, count: int) -> list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        """The tracks of the most frames.

        Returns:
            list[tuple]: Track number, frame numbers (n, ), keypoints (n, K, 2) and their standard
            deviations (n, K, 2), image pixels.
        """
        order = sorted(self._tracks, key=lambda t: (-len(self._tracks[t]), t))[:count]
        return [
            (track, *(np.array(column) for column in list(zip(*self._tracks[track]))[:3]))
            for track in order
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
        return dict(sorted(moments.items()))

    def _last(self) -> int:
        return max((track[-1][0] for track in self._tracks.values()), default=0)


def contact_sheet(
    path: str,
    frames: Sequence[np.ndarray],
    titles: Sequence[str],
    columns: int = 4,
    width: int = 320,
) -> None:
    """Write frames side by side, each under its title.

    Args:
        path: File to write.
        frames: HxWx3 BGR frames, already drawn on.
        titles: One each.
        columns: Frames in a row.
        width: Of a frame on the sheet, pixels.

    Raises:
        ValueError: There are no frames, or not a title for each.
        OSError: The file cannot be written.
    """
    if not len(frames) or len(frames) != len(titles):
        raise ValueError(f'a contact sheet of {len(frames)} frames and {len(titles)} titles')
    strip, gap = 22, 6
    height = max(round(f.shape[0] * width / f.shape[1]) for f in frames)
    columns = min(columns, len(frames))
    rows = -(-len(frames) // columns)
    sheet = np.full(
        (rows * (height + strip + gap) + gap, columns * (width + gap) + gap, 3), 250, np.uint8
    )
    for index, (frame, title) in enumerate(zip(frames, titles)):
        top = gap + index // columns * (height + strip + gap)
        left = gap + index % columns * (width + gap)
        small = cv2.resize(
            frame,
            (width, round(frame.shape[0] * width / frame.shape[1])),
            interpolation=cv2.INTER_AREA,
        )
        sheet[top + strip : top + strip + small.shape[0], left : left + width] = small
        cv2.putText(
            sheet, title, (left + 2, top + 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1,
            cv2.LINE_AA,
        )  # fmt: skip
    if not cv2.imwrite(path, sheet):
        raise OSError(f'cannot write {path}')


def trajectories(
    path: str,
    tracks: Sequence[tuple[int, np.ndarray, np.ndarray, np.ndarray]],
    joint_names: Sequence[str],
    fps: float,
    joints: Sequence[str] = SHOWN_JOINTS,
) -> None:
    """Write x and y of some joints over time, with a band of one standard deviation.

    Args:
        path: File to write.
        tracks: See :meth:`TrackHistory.longest`; a row each.
        joint_names: Names of the K keypoints.
        fps: Frames a second.
        joints: Names of those to show; those that the model has not are left out, and where it
            has none of them the first five are taken.

    Raises:
        ValueError: There are no tracks.
    """
    if not tracks:
        raise ValueError('there is nobody whose trajectories could be drawn')
    shown = [joint_names.index(name) for name in joints if name in joint_names]
    shown = shown or list(range(min(5, len(joint_names))))
    figure = Figure(figsize=(11, 2.6 * len(tracks) + 0.6), dpi=110, layout='constrained')
    axes = figure.subplots(len(tracks), 2, squeeze=False, sharex=True)
    for row, (track, frame_ids, points, deviations) in zip(axes, tracks):
        # A line is broken where the track was not seen.
        gaps = np.flatnonzero(np.diff(frame_ids) > 1) + 1
        for axis, ax in enumerate(row):
            for joint, color in zip(shown, COLORS * (len(shown) // len(COLORS) + 1)):
                for part in np.split(np.arange(len(frame_ids)), gaps):
                    time = frame_ids[part] / fps
                    value, band = points[part, joint, axis], deviations[part, joint, axis]
                    label = joint_names[joint] if part[0] == 0 else None
                    ax.plot(time, value, color=color, linewidth=1.2, label=label)
                    ax.fill_between(
                        time, value - band, value + band, color=color, alpha=0.2, linewidth=0
                    )
            ax.set_ylabel('xy'[axis] + ' (pixels)')
            ax.set_title(f'track {track}', fontsize=9)
            ax.grid(alpha=0.3)
        row[1].invert_yaxis()
    for ax in axes[-1]:
        ax.set_xlabel('time (s)')
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside upper center', ncols=len(labels), fontsize=8)
    FigureCanvasAgg(figure)
    figure.savefig(path)
