"""Predictions in a file, in an order that does not depend on how many processes there were."""

from mmengine.evaluator import DumpResults
from mmpose.registry import METRICS


@METRICS.register_module()
class DumpSortedResults(DumpResults):
    """mmengine's ``DumpResults``, by image and person.

    mmengine puts the parts of several processes together by turns, which is not the order of the
    data set where each has a contiguous shard of it, as :class:`ClipBlockSampler` gives them.
    """

    def compute_metrics(self, results: list) -> dict:
        """Write the file; there is no metric."""
        return super().compute_metrics(sorted(results, key=lambda one: (one['img_id'], one['id'])))
