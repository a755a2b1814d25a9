"""The figure of docs/smoothing.md: one joint over time as posed, smoothed and in truth."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def draw(path: str, videos: list, smoothed: list) -> None:
    """Draw the occluded joint, of a person in all frames, that smoothing brought nearest.

    Args:
        path: File to write.
        videos, smoothed: (predictions, truth) of each video.
    """
    best, chosen = -np.inf, None
    for (raw, truths), (done, _) in zip(videos, smoothed):
        for track, truth in truths.items():
            if len(truth.frames) < len(raw):
                continue
            before, after = (_points(entries, track) for entries in (raw, done))
            errors = [np.linalg.norm(p - truth.points, axis=-1) for p in (before, after)]
            gain = (errors[0] - errors[1]).mean(axis=0) / truth.size.mean()
            gain[~truth.present.all(axis=0) | ~truth.occluded.any(axis=0)] = -np.inf
            joint = int(np.argmax(gain))
            if gain[joint] > best:
                best = gain[joint]
                names = raw[0]['meta']['keypoints']
                chosen = names[joint], truth.occluded[:, joint], before[:, joint], after[:, joint]
                real = truth.points[:, joint]
                times = np.array([entry['time'] for entry in raw])
    assert chosen is not None, 'no person is in all frames of a video'
    name, occluded, before, after = chosen
    figure = Figure((8, 4.2), layout='constrained')
    FigureCanvasAgg(figure)
    for axes, coordinate, label in zip(figure.subplots(2, sharex=True), (0, 1), 'xy'):
        axes.plot(times, before[:, coordinate], '.-', color='0.6', lw=0.8, label='as posed')
        axes.plot(times, after[:, coordinate], color='C0', lw=1.8, label='smoothed (rts)')
        axes.plot(times, real[:, coordinate], '--', color='C3', lw=1.2, label='truth')
        low, high = axes.get_ylim()
        axes.fill_between(times, low, high, where=occluded, color='0.92', step='mid', zorder=0,
                          label='occluded')  # fmt: skip
        axes.set_ylim(low, high)
        axes.set_ylabel(f'{label} of {name}, px')
    axes.set_xlabel('time, s')
    axes.legend(ncols=4, fontsize='small', loc='best')
    figure.savefig(path, dpi=110)


def _points(entries: list, track: int) -> np.ndarray:
    return np.array([
        person['keypoints']
        for entry in entries
        for person in entry['instances']
        if person['track_id'] == track
    ])  # fmt: skip
