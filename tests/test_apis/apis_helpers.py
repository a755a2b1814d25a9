"""What the tests of inference share: a tiny DiffPose with random weights, and short videos."""

import json
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData

from diffpose_mm.apis.detector import PersonDetector

BOXES = [[[10 + 4 * t, 10, 45 + 4 * t, 80], [60, 5, 100, 85]] for t in range(7)]
OFFSETS = (-2, -1, 0, 1, 2)
CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


def tiny(name='diffpose_synthetic.py', neck=None, **test_cfg):
    """The config `name`, cut down until it runs in milliseconds; five frames or one.

    `neck` are fields of the neck to be set.
    """
    cfg = Config.fromfile(CONFIGS / name)
    offsets = (0,) if name.startswith('heatmap') else OFFSETS
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[loader].dataset.frame_offsets = offsets
        for step in cfg[loader].dataset.pipeline:
            if step.type == 'GetBBoxCenterScale':
                step.padding = 1.25
    cfg.model.neck.num_frames = len(offsets)
    cfg.model.backbone.update(stem_channels=8, base_channels=8)
    cfg.model.neck.update(in_channels=32, out_channels=32, embed_dims=16, num_layers=1)
    cfg.model.neck.update(neck or {})
    cfg.model.head.update(in_channels=32)
    if 'pose_decoder' in cfg.model.head:
        cfg.model.head.pose_decoder.update(channels=(16, 16, 8), out_channels=8)
        cfg.model.test_cfg.update(sampling_steps=1)
    else:
        cfg.model.head.update(deconv_out_channels=(8, 8))
    cfg.model.test_cfg.update(flip_test=False, **test_cfg)
    return cfg


def write_tiny(folder, name='diffpose_synthetic.py', neck=None, **test_cfg):
    """Config and weights as files; the weights are such that every frame of a clip matters."""
    from mmengine.registry import init_default_scope
    from mmpose.registry import MODELS

    init_default_scope('mmpose')
    cfg = tiny(name, neck, **test_cfg)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=1.5 / parameter[0].numel() ** 0.5)
    config, weights = Path(folder) / name, Path(folder) / 'weights.pth'
    cfg.dump(config)
    torch.save(dict(state_dict=model.state_dict()), weights)
    return str(config), str(weights)


def assert_close_poses(found, expected, tol=1e-2):
    """Nearly all coordinates agree, image pixels.

    Heatmaps of random weights have plateaus, where the last digit decides which pixel is highest.
    """
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.quantile(np.abs(found - expected), 0.9) < tol


def moving_frames(count, width=120, height=90, seed=0):
    """Frames with a bright figure that walks over noise, BGR."""
    generator = np.random.default_rng(seed)
    ground = generator.integers(0, 120, (height, width, 3)).astype(np.uint8)
    frames = []
    for t in range(count):
        frame = ground.copy()
        x = 30 + 4 * t
        cv2.circle(frame, (x, 25), 8, (200, 180, 240), -1)
        cv2.line(frame, (x, 30), (x + (t % 3) * 4 - 4, 75), (250, 100, 60), 7)
        cv2.line(frame, (x, 40), (x + 12, 50 + (t % 4) * 3), (60, 220, 90), 4)
        frames.append(frame)
    return frames


def write_video(path, frames, fps=10):
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), fps, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame)
    writer.release()
    return str(path)


def read_video(path):
    capture, frames = cv2.VideoCapture(str(path)), []
    while True:
        good, frame = capture.read()
        if not good:
            return frames
        frames.append(frame)


def points(result):
    return np.array([person['keypoints'] for person in result['predictions'][0]])


def all_points(results):
    return [points(result) for result in results]


def read_json(path):
    with open(path) as file:
        return json.load(file)


def tool_arguments(model, *more):
    """A command line with the tiny model, that takes the whole picture for a person."""
    config, checkpoint = model
    return [
        *('--config', config, '--checkpoint', checkpoint, '--device', 'cpu'),
        *('--det-model', 'whole_image'),
        *map(str, more),
    ]


class StubDetector:
    """Finds a cat, and a person twice, from frame 2 on."""

    def __init__(self):
        self.sizes, self.seen = [], 0

    def __call__(self, frames, batch_size, return_datasamples):
        self.sizes.append(len(frames))
        outputs = []
        for _ in frames:
            count = 3 if self.seen >= 2 else 0
            x = 10.0 + 4 * self.seen
            boxes = torch.tensor([[x, 10, x + 35, 80], [x + 1, 10, x + 35, 80], [60, 60, 80, 80]])[
                :count
            ]
            instances = InstanceData(
                bboxes=boxes,
                scores=torch.tensor([0.8, 0.9, 0.9])[:count],
                labels=torch.tensor([0, 0, 15])[:count],
            )
            outputs.append(type('Out', (), dict(pred_instances=instances)))
            self.seen += 1
        return dict(predictions=outputs)


def stub_person_detector():
    """A person detector of mmdet whose network is a :class:`StubDetector`."""
    detector = PersonDetector('any')
    detector.network.inferencer = StubDetector()
    return detector
