import gc
import json

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope


@pytest.fixture(autouse=True)
def _mmpose_scope():
    init_default_scope('mmpose')


@pytest.fixture(scope='session', autouse=True)
def _quick_garbage_collection():
    """mmengine collects garbage for every dataset, through all that PyTorch has imported."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def draw_frame(video, number, size=(64, 48)):
    """A smooth picture that differs from frame to frame: (h, w, 3) uint8."""
    w, h = size
    x, y = np.meshgrid(np.arange(w), np.arange(h))
    return np.stack([2 * x + 5 * number, 3 * y + 40 * video, x + y + 9 * number], -1).astype(
        np.uint8
    )


@pytest.fixture
def write_posetrack(tmp_path):
    """Write a small PoseTrack18 to disk and return its root."""

    def write(
        num_videos=2, nframes=6, persons=2, size=(64, 48), labeled=lambda number: True, first=0,
        digits=6, name='annotations/posetrack18_val.json', root=tmp_path, edit=None,
    ):  # fmt: skip
        rng = np.random.default_rng(0)
        w, h = size
        images, annotations = [], []
        for video in range(num_videos):
            folder = f'images/val/{video:06d}_test'
            (root / folder).mkdir(parents=True, exist_ok=True)
            for number in range(first, first + nframes):
                file_name = f'{folder}/{number:0{digits}d}.jpg'
                cv2.imwrite(str(root / file_name), draw_frame(video, number, size))
                img_id = 10_000_000 + video * 10_000 + number
                images.append(
                    dict(
                        id=img_id, file_name=file_name, nframes=nframes, frame_id=img_id,
                        vid_id=f'{video:06d}', width=w, height=h, is_labeled=labeled(number),
                    )
                )  # fmt: skip
                for track in range(persons if labeled(number) else 0):
                    x, y = rng.uniform(0, w / 2), rng.uniform(0, h / 3)
                    points = np.ones((17, 3))
                    points[:, :2] = rng.uniform((x, y), (x + w / 2, y + h / 2), (17, 2))
                    points[3:5] = 0
                    annotations.append(
                        dict(
                            id=img_id * 100 + track, image_id=img_id, track_id=track,
                            category_id=1, iscrowd=False, num_keypoints=15, scores=[],
                            bbox=[x, y, w / 2, h / 2], keypoints=points.ravel().tolist(),
                        )
                    )  # fmt: skip
        data = dict(images=images, annotations=annotations, categories=[dict(id=1, name='person')])
        if edit is not None:
            data = edit(data) or data
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(data))
        return root

    return write
