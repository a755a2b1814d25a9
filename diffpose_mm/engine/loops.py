"""Validation and test that give no number where a keyframe cannot be read.

A neighbour can be replaced and is counted. A keyframe cannot: a metric over the others would be one
of another data set. All of them are read once before the test, or the first validation, so that the
last broken file is not found with the last batch.
"""

import logging

from mmengine import dist
from mmengine.logging import print_log
from mmengine.runner import Runner, TestLoop, ValLoop
from mmpose.registry import LOOPS
from torch.utils.data import Dataset

from ..datasets.transforms import LoadClip
from ..images import Fault
from .clip_stats_hook import write_faults

_NAMED = 5


def broken_keyframes(dataset: Dataset) -> list[Fault]:
    """Read all keyframes of a data set; the processes of a launcher share the work.

    Args:
        dataset: Others than those of clips, or with a pipeline without ``LoadClip``, have none.

    Returns:
        list[Fault]: The same in every process.
    """
    steps = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    loaders = [step for step in steps if isinstance(step, LoadClip)]
    if not loaders or not hasattr(dataset, 'keyframes'):
        return []
    paths = dataset.keyframes()
    print_log(f'Checking that all {len(paths)} keyframes can be read', 'current')
    mine = loaders[0].check_files(paths[dist.get_rank() :: dist.get_world_size()])
    return sorted(fault for part in dist.all_gather_object(mine) for fault in part)


def _message(runner: Runner, mode: str, faults: list[Fault]) -> str:
    """Write the list of them and say so."""
    where = write_faults(runner, mode, faults) if dist.is_main_process() else runner.log_dir
    first = '; '.join(f'{path} {reason}' for _, path, reason in faults[:_NAMED])
    more = f'; and {len(faults) - _NAMED} more' if len(faults) > _NAMED else ''
    return (
        f'{len(faults)} keyframes cannot be read, and a metric without them would not be '
        f'comparable: {first}{more}. All are listed in {where}. Restore the files (or check '
        'data_root and data_prefix of the data set), or remove their images from its annotation '
        'file'
    )


@LOOPS.register_module()
class ClipTestLoop(TestLoop):
    """mmengine's test loop, which refuses to start where a keyframe cannot be read."""

    def run(self) -> dict:
        """Test.

        Raises:
            OSError: Keyframes that are missing or broken.
        """
        faults = broken_keyframes(self.dataloader.dataset)
        if faults:
            raise OSError(_message(self.runner, 'test', faults))
        return super().run()


@LOOPS.register_module()
class ClipValLoop(ValLoop):
    """mmengine's validation loop, which is left out where a keyframe cannot be read.

    Training goes on without a metric, and says so as an error in the log at every validation.
    """

    _faults: list[Fault] | None = None

    def run(self) -> dict:
        """Validate; no metric if keyframes are missing or broken."""
        if self._faults is None:
            self._faults = broken_keyframes(self.dataloader.dataset)
        if self._faults:
            message = _message(self.runner, 'val', self._faults)
            print_log(f'No validation: {message}', 'current', logging.ERROR)
            return {}
        return super().run()
