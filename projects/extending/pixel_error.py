"""A metric: how far predicted keypoints lie from the true ones."""

import numpy as np
from mmengine.evaluator import BaseMetric
from mmpose.registry import METRICS


@METRICS.register_module()
class PixelError(BaseMetric):
    """Mean distance of predicted from annotated visible keypoints, in image pixels."""

    default_prefix = 'pixels'

    def process(self, data_batch, data_samples):
        """Keep the distances of a batch."""
        for sample in data_samples:
            predicted = sample['pred_instances']['keypoints']
            true = sample['gt_instances']['keypoints']
            visible = sample['gt_instances']['keypoints_visible'] > 0
            self.results.append(np.linalg.norm(predicted - true, axis=-1)[visible])

    def compute_metrics(self, results):
        """Take the mean over all keypoints of all samples."""
        return dict(error=float(np.concatenate(results).mean()))
