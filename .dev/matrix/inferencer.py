"""inferencer.py FOLDER: an unmodified MMPoseInferencer, as in a script that knows mmpose alone."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
from mmengine.utils import get_installed_path
from mmpose.apis import MMPoseInferencer

ROOT = Path(__file__).resolve().parents[2]
BODY = 'configs/body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py'


def write_video(path, frames=6):
    """Noise that moves, 160x120."""
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10, (160, 120))
    for number in range(frames):
        writer.write(np.roll(picture, 4 * number, axis=1))
    writer.release()


def run(config, video, out):
    """Poses of a video, drawn and saved; returns how many frames have a person."""
    inferencer = MMPoseInferencer(str(config), det_model='whole_image', device='cpu')
    results = list(inferencer(str(video), out_dir=str(out)))
    instances = [result['predictions'][0] for result in results]
    assert len(instances) == 6 and all(len(people) == 1 for people in instances), instances
    assert np.isfinite([people[0]['keypoints'] for people in instances]).all()
    assert (out / 'visualizations' / video.name).stat().st_size
    assert json.loads((out / 'predictions' / 'video.json').read_text())
    return len(instances)


def main():
    """Run both models and print how many frames have poses."""
    out = Path(sys.argv[1])
    out.mkdir(parents=True)
    write_video(out / 'video.mp4')
    # Its weights are random: ResNet's would be downloaded.
    theirs = out / 'theirs.py'
    base = f'{get_installed_path("mmpose")}/.mim/{BODY}'
    theirs.write_text(f'_base_ = [{base!r}]\nmodel = dict(backbone=dict(init_cfg=None))\n')
    print(
        json.dumps(
            dict(
                mmpose=run(theirs, out / 'video.mp4', out / 'mmpose'),
                diffpose=run(
                    ROOT / 'configs/diffpose_synthetic.py', out / 'video.mp4', out / 'diffpose'
                ),
            )
        )
    )


if __name__ == '__main__':
    main()
