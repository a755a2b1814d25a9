"""The files of docs/extending.md: each trains, validates and tests, as a reader would run it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from diffpose_mm.apis import DiffPoseInferencer
from diffpose_mm.diffusion import NoiseSchedule
from diffpose_mm.engine import read_checkpoint
from diffpose_mm.tools import infer, train
from diffpose_mm.tools import test as test_tool
from diffpose_mm.video_reader import VideoReader
from diffpose_mm.visualization import ClipPoseVisualizer

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'projects/extending'
# What each file is expected to be tested by.
METRICS = {
    'mean_neck_synthetic': 'posetrack/AP',
    'plain_decoder_synthetic': 'posetrack/AP',
    'heun_sampler_synthetic': 'posetrack/AP',
    'pixel_error_synthetic': 'pixels/error',
    'own_keypoints': 'PCK',
}
SMALL = [
    'train_cfg.max_epochs=1',
    'train_cfg.val_interval=1',
    'train_dataloader.batch_size=4',
    'default_hooks.checkpoint.interval=1',
    'model.test_cfg.flip_test=False',
    *(f'{split}_dataloader.num_workers=0' for split in ('train', 'val', 'test')),
    *(f'{split}_dataloader.persistent_workers=False' for split in ('train', 'val', 'test')),
]


@pytest.fixture(autouse=True)
def from_its_folder(monkeypatch):
    """The examples are modules of the folder; mmengine keeps visualizers by name."""
    monkeypatch.syspath_prepend(FOLDER)
    ClipPoseVisualizer._instance_dict.clear()
    yield
    ClipPoseVisualizer._instance_dict.clear()


@pytest.fixture(scope='session')
def tiny_beast(tiny_posetrack, tmp_path_factory):
    """Five of the keypoints of the tiny PoseTrack, under names of a data set of one's own."""
    root = tmp_path_factory.mktemp('beast')
    (root / 'annotations').mkdir()
    (root / 'images').symlink_to(tiny_posetrack / 'images')
    names = ['nose', 'left_shoulder', 'right_shoulder', 'left_hip', 'right_hip']
    for split in ('train', 'val'):
        content = json.loads((tiny_posetrack / f'annotations/posetrack18_{split}.json').read_text())
        for ann in content['annotations']:
            points = np.reshape(ann['keypoints'], (-1, 3))[[0, 5, 6, 11, 12]]
            ann.update(keypoints=points.ravel().tolist(), num_keypoints=5)
        content['categories'] = [dict(id=1, name='beast', keypoints=names, skeleton=[])]
        (root / f'annotations/{split}.json').write_text(json.dumps(content))
    return root


def test_every_config_of_the_folder_is_run_and_every_file_is_in_the_docs():
    """Broken if a file were added that no test runs, or the page named one that is gone."""
    configs = {path.stem for path in FOLDER.glob('*.py') if '_base_' in path.read_text()}
    assert configs == {*METRICS, 'track_text_synthetic'}
    page = (ROOT / 'docs/extending.md').read_text()
    named = set(re.findall(r'projects/extending/(\w+\.py)', page))
    assert named == {path.name for path in FOLDER.glob('*.py')}
    for block in re.findall(r'```python\n(.*?)```', page, re.S):
        compile(block, 'docs/extending.md', 'exec')


@pytest.mark.parametrize('name', METRICS)
def test_it_trains_validates_and_tests(name, tiny_posetrack, tiny_beast, tmp_path):
    config, data = FOLDER / f'{name}.py', tiny_beast if 'own' in name else tiny_posetrack
    common = ['--data-root', str(data), '--work-dir', str(tmp_path), '--cfg-options', *SMALL]
    train.main([str(config), *common])
    (best,) = tmp_path.glob('best_*_epoch_1.pth')
    assert METRICS[name].replace('/', '_') in best.name
    weights = read_checkpoint(str(tmp_path / 'epoch_1.pth'))['state_dict']
    assert all(value.isfinite().all() for value in weights.values())
    ClipPoseVisualizer._instance_dict.clear()
    metrics = test_tool.main([str(config), str(best), *common])
    assert np.isfinite(metrics[METRICS[name]])
    # The copy in the work directory can be read with the module alone in reach.
    dumped = (tmp_path / f'{name}.py').read_text()
    assert 'diffpose_mm' in dumped.partition('custom_imports')[2].partition(')')[0]


def test_the_mean_neck_streams():
    """Broken if a neck of one method were only good for whole windows."""
    inferencer = DiffPoseInferencer(
        str(FOLDER / 'mean_neck_synthetic.py'), det_model='whole_image', device='cpu'
    )
    frames = list(np.random.default_rng(0).integers(0, 256, (4, 60, 80, 3), dtype=np.uint8))
    box = [[[10, 5, 60, 55]]] * 4
    poses = [
        [
            np.array(result['predictions'][0][0]['keypoints'])
            for result in inferencer(frames, as_clip=True, bboxes=box, streaming=streaming)
        ]
        for streaming in (False, True)
    ]
    np.testing.assert_allclose(*poses, atol=1e-2)


def test_heun_is_of_second_order():
    """Against the flow of Gaussian data, which is known: the example is a sampler, not a sketch."""
    from heun_sampler import heun_sample

    schedule, mean, std = NoiseSchedule(), 0.2, 0.35

    def posterior_mean(x_t, t):
        a = schedule.alphas_cumprod[t].view(-1, 1)
        return mean + a.sqrt() * std**2 * (x_t - a.sqrt() * mean) / (a * std**2 + 1 - a)

    noise = torch.randn((1, 1000), generator=torch.Generator().manual_seed(0), dtype=torch.double)

    def error(steps):
        seen = []
        heun_sample(posterior_mean, noise, schedule, steps, callback=lambda *a: seen.append(a))
        arrived = next(x for _, t, x, _ in seen if t == 199)
        start, end = (
            (x - a.sqrt() * mean) / (a * std**2 + 1 - a).sqrt()
            for x, a in zip((noise, arrived), schedule.alphas_cumprod[[999, 199]])
        )
        return (end - start).std().item()

    assert error(40) < 0.35 * error(20) < 0.02


def test_tracks_are_written_as_text(tmp_path, tiny_posetrack):
    """The page's output format, by the command line: its module is known through the config."""
    (folder,) = sorted((tiny_posetrack / 'images/val').iterdir())[:1]
    boxes = {str(t): dict(bboxes=[[10, 10, 70, 110]], track_ids=[4]) for t in range(3)}
    (tmp_path / 'boxes.json').write_text(json.dumps(boxes))
    done = infer.main(
        [
            *(str(folder), '--as-clip', '--out', str(tmp_path / 'out'), '--device', 'cpu'),
            *('--config', str(FOLDER / 'track_text_synthetic.py'), '--no-video'),
            *('--boxes', str(tmp_path / 'boxes.json'), '--format', 'json', 'track_text'),
        ]
    )
    assert done['frames'] == 3
    (text,) = (tmp_path / 'out/predictions').glob('*.txt')
    assert text.read_text().splitlines() == [
        f'{t},5,10.00,10.00,60.00,100.00,1.0000,-1,-1,-1' for t in (1, 2, 3)
    ]


def test_every_second_frame_of_a_video_is_posed(tmp_path):
    """The page's source: numbers from 0, times of the video."""
    from every_nth import EveryNth

    from diffpose_mm.video_writer import VideoWriter

    writer = VideoWriter(str(tmp_path / 'walk.mp4'), 10)
    for t in range(9):
        writer.write(np.full((48, 64, 3), 20 * t, np.uint8))
    writer.close()
    inferencer = DiffPoseInferencer('diffpose_synthetic', device='cpu', det_model='whole_image')
    results = list(inferencer(EveryNth(str(tmp_path / 'walk.mp4'), 2), out_dir=str(tmp_path)))
    frames = [result['frames'][0] for result in results]
    assert [f['frame_id'] for f in frames] == [0, 1, 2, 3, 4]
    np.testing.assert_allclose([f['time'] for f in frames], [0, 0.2, 0.4, 0.6, 0.8], atol=1e-6)
    drawn = list(VideoReader(tmp_path / 'visualizations/every_2.mp4'))
    np.testing.assert_allclose([f.time for f in drawn], [0, 0.2, 0.4, 0.6, 0.8], atol=1e-6)
