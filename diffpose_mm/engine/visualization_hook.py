"""Drawn predictions, one file for each person of each frame."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import mmcv
from mmengine.dist import all_gather_object, is_main_process
from mmengine.fileio import get
from mmengine.runner import Runner
from mmpose.engine.hooks import PoseVisualizationHook
from mmpose.registry import HOOKS
from mmpose.structures import PoseDataSample, merge_data_samples


@HOOKS.register_module()
class ClipVisualizationHook(PoseVisualizationHook):
    """mmpose's hook, with file names that follow from the sample: video, frame and annotation.

    mmpose's hook numbers files as they come, and of several processes only the first one's samples
    are drawn. Here it draws those of all.
    """

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence[PoseDataSample],
    ) -> None:
        """Draw every sample of a batch, in the main process."""
        if not self.enable:
            return
        parts = all_gather_object([sample.cpu() for sample in outputs])
        if not is_main_process():
            return
        # mmpose's hook takes the visualizer that was made last, of whatever model.
        visualizer = runner.visualizer
        visualizer.set_dataset_meta(runner.test_evaluator.dataset_meta)
        for sample in itertools.chain(*parts):
            self._test_index += 1
            path = Path(sample.img_path)
            name = f'{path.parent.name}_{path.stem}_{sample.id}.jpg'
            out_file = None
            if self.out_dir is not None:
                folder = Path(runner.work_dir, runner.timestamp, self.out_dir)
                folder.mkdir(parents=True, exist_ok=True)
                out_file = str(folder / name)
            image = get(sample.img_path, backend_args=self.backend_args)
            visualizer.add_datasample(
                name if self.show else 'test_img',
                mmcv.imfrombytes(image, channel_order='rgb'),
                data_sample=merge_data_samples([sample]),
                draw_gt=False,
                draw_bbox=True,
                draw_heatmap=True,
                show=self.show,
                wait_time=self.wait_time,
                kpt_thr=self.kpt_thr,
                out_file=out_file,
                step=self._test_index,
            )
