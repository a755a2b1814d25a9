"""Pictures of a trained model: frames with poses, one heatmap's denoising, the training curve."""

import glob
import os.path as osp
from collections import defaultdict

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.apis import init_model
from mmpose.registry import DATASETS
from torch.utils.data import Dataset

from diffpose_mm.engine.launch import set_data_root
from diffpose_mm.visualization import (
    PosePanel,
    denoising_strip,
    pose_sheet,
    read_scalars,
    training_curve,
)

FRAMES = 9
STEPS = 6
JOINT = 'right_wrist'


def draw_curve(path: str, work_dir: str) -> None:
    """Draw the training curve out of the logs of a work directory."""
    logs = sorted(glob.glob(osp.join(work_dir, '*', 'vis_data', 'scalars.json')))
    training_curve(path, [entry for log in logs for entry in read_scalars(log)])


def load(config: str, checkpoint: str, data_root: str) -> tuple[torch.nn.Module, Dataset]:
    """Build a model with its weights, and the data set that it is tested on."""
    cfg = Config.fromfile(config)
    set_data_root(cfg, data_root)
    init_default_scope('mmpose')
    model = init_model(cfg, checkpoint, device='cpu')
    return model, DATASETS.build(cfg.test_dataloader.dataset)


def draw_poses(path: str, model: torch.nn.Module, dataset: Dataset) -> None:
    """Draw all persons of some frames, spread evenly over the data set."""
    by_image = defaultdict(list)
    for index in range(len(dataset)):
        by_image[dataset.get_data_info(index)['img_path']].append(index)
    images = sorted(by_image)
    panels = []
    for place in np.linspace(0, len(images) - 1, min(FRAMES, len(images))).round().astype(int):
        image_path = images[place]
        batch = pseudo_collate([dataset[index] for index in by_image[image_path]])
        with torch.no_grad():
            samples = model.test_step(batch)
        panels.append(
            PosePanel(
                image=cv2.cvtColor(cv2.imread(image_path), cv2.COLOR_BGR2RGB),
                predicted=np.concatenate([s.pred_instances.keypoints for s in samples]),
                scores=np.concatenate([s.pred_instances.keypoint_scores for s in samples]),
                true=np.concatenate([s.gt_instances.keypoints for s in samples]),
                annotated=np.concatenate([s.gt_instances.keypoints_visible for s in samples]),
                title='/'.join(image_path.split('/')[-2:]),
            )
        )
    pose_sheet(path, panels, dataset.metainfo['skeleton_links'])


def draw_denoising(path: str, model: torch.nn.Module, dataset: Dataset) -> None:
    """Draw the denoising of one person: of some, the one whose joint changes most on the way."""
    joint = dataset.metainfo['keypoint_name2id'][JOINT]
    head = model.head
    options = dict(model.test_cfg, sampling_steps=STEPS, num_hypotheses=1, flip_test=False)
    best = None
    for index in np.linspace(0, len(dataset) - 1, min(24, len(dataset))).round().astype(int):
        steps: list[tuple[int, np.ndarray, np.ndarray]] = []
        with torch.no_grad():
            data = model.data_preprocessor(pseudo_collate([dataset[index]]))
            head.sample(
                model.extract_feat(data['inputs']),
                data['data_samples'],
                head.check_test_cfg(options),
                callback=lambda i, t, x_t, x0, steps=steps: steps.append(
                    (int(t), x_t[0].numpy(), head.decoder.to_heatmap(x0)[0].numpy())
                ),
            )
        visible = data['data_samples'][0].gt_instances.keypoints_visible[0, joint] > 0
        change = float(np.abs(steps[-1][2][joint] - steps[0][2][joint]).max()) * visible
        if best is None or change > best[0]:
            best = change, index, steps
    _, index, steps = best
    item = dataset[index]
    image = item['inputs'][item['data_samples'].keyframe_index].permute(1, 2, 0).numpy()
    timesteps, noisy, predicted = zip(*steps)
    denoising_strip(
        path,
        np.ascontiguousarray(image[..., ::-1]),
        timesteps,
        noisy,
        predicted,
        joint,
        JOINT.replace('_', ' '),
        true=true_heatmaps(item['data_samples'], head.decoder),
    )


def true_heatmaps(sample, codec) -> np.ndarray:
    """Encode a test sample's annotation: (K, H, W) in [0, 1]."""
    origin = sample.input_center - 0.5 * sample.input_scale
    span = np.asarray(codec.input_size, dtype=np.float64) - 1
    keypoints = (sample.gt_instances.keypoints - origin) / sample.input_scale * span
    return codec.encode(keypoints, sample.gt_instances.keypoints_visible)['heatmaps']
