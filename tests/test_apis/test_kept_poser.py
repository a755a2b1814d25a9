"""Sampling again on kept features: the poses of the run, without its backbone."""

import numpy as np
import pytest
import torch
from apis_helpers import BOXES, assert_close_poses, moving_frames, write_tiny

from diffpose_mm.apis import DiffPoseInferencer
from diffpose_mm.apis.kept_poser import FeatureStore, KeepingPoser

SETTINGS = dict(sampling_steps=2, num_hypotheses=3, bboxes=BOXES, batch_size=3)


@pytest.fixture(scope='module', params=[False, True], ids=['plain', 'flip_test'])
def inferencer(request, tmp_path_factory):
    config, weights = write_tiny(tmp_path_factory.mktemp('kept'))
    found = DiffPoseInferencer(config, weights, device='cpu')
    found.model.test_cfg.update(flip_test=request.param)
    return found


def run_with(inferencer, store, **settings):
    """The results of a run that keeps its features, and its poser."""
    run = inferencer(iter(moving_frames(7)), return_hypotheses=True, **{**SETTINGS, **settings})
    poser = KeepingPoser(inferencer.model, inferencer.pipeline, run.test_cfg, store)
    run.poser = poser
    return list(run), poser


def by_track(result):
    return {person['track_id']: person for person in result['predictions'][0]}


def assert_same(again, results):
    for frame_id, posed in again.items():
        people = by_track(results[frame_id])
        assert {track for track, _ in posed} == set(people)
        for track, sample in posed:
            found = sample.pred_instances
            np.testing.assert_allclose(
                found.keypoint_scores[0], people[track]['keypoint_scores'], rtol=0, atol=1e-4
            )
            for name in ('keypoints', 'keypoint_std', 'hypotheses'):
                assert_close_poses(found[name][0], people[track][name])


def test_the_settings_of_the_run_give_its_poses(inferencer):
    """Broken if features came to other frames or people, or the noise were another one."""
    store = FeatureStore()
    results, poser = run_with(inferencer, store)
    assert_same(poser.sample_again(range(7), 2, 3), results)
    assert_same(poser.sample_again([5, 1], 2, 3), results)


def test_other_settings_give_the_poses_of_a_run_with_them(inferencer):
    """Broken if the sliders showed other poses than `infer` with the same steps gives."""
    _, poser = run_with(inferencer, FeatureStore())
    results, _ = run_with(inferencer, FeatureStore(), sampling_steps=4, num_hypotheses=2)
    assert_same(poser.sample_again(range(7), 4, 2), results)


def test_the_backbone_does_not_run_again(inferencer, monkeypatch):
    """Broken if a slider cost what the whole video has cost."""
    _, poser = run_with(inferencer, FeatureStore())

    def refuse(*_):
        raise AssertionError('the backbone runs again')

    monkeypatch.setattr(inferencer.model.backbone, 'forward', refuse)
    monkeypatch.setattr(inferencer.model.neck, 'forward', refuse)
    assert len(poser.sample_again([3], 1, 1)[3]) == 2


def test_what_is_beyond_the_bound_is_not_kept(inferencer):
    """Broken if a long video filled the disk, or ended the run."""
    whole = FeatureStore()
    results, _ = run_with(inferencer, whole)
    assert whole.refused == 0
    store = FeatureStore(whole.bytes // 2)
    found, poser = run_with(inferencer, store)
    assert len(found) == 7 and store.bytes <= whole.bytes // 2 and store.refused == 7
    again = poser.sample_again(range(7), 2, 3)
    assert again[6] == [] and len(again[0]) == 2
    assert_same({0: again[0]}, results)


def test_a_full_disk_is_a_smaller_bound(inferencer, monkeypatch):
    """Broken if a run that has posed nearly all ended because features could not be kept."""
    store = FeatureStore()
    write, count = store._file.write, [0]

    def full_after_four(data):
        count[0] += 1
        if count[0] > 4:
            raise OSError(28, 'No space left on device')
        return write(data)

    monkeypatch.setattr(store, '_file', _Writes(store._file, full_after_four))
    results, poser = run_with(inferencer, store)
    assert len(results) == 7 and store.refused == 10
    assert_same({0: poser.sample_again([0], 2, 3)[0]}, results)


class _Writes:
    """A file with another way to write."""

    def __init__(self, file, write):
        self.seek, self.read, self.flush, self.write = file.seek, file.read, file.flush, write


def test_settings_out_of_range_are_refused(inferencer):
    """Broken if a question could have the sampler run for hours."""
    _, poser = run_with(inferencer, FeatureStore())
    with pytest.raises(ValueError, match='sampling_steps must be an integer from 1 to'):
        poser.sample_again([0], 0, 1)
    assert poser.sample_again([99], 1, 1) == {99: []}


def test_features_come_back_as_they_were():
    """Broken if the store mixed its features up."""
    store, generator = FeatureStore(), torch.Generator().manual_seed(0)
    features = [torch.randn(1 + i % 2, 3, 4, 5, generator=generator) for i in range(6)]
    for i, feature in enumerate(features):
        store.add(i // 2, i % 2, feature, i)
    for i, feature in enumerate(features):
        assert torch.equal(store.read(store.of_frame(i // 2)[i % 2]), feature)
    store.close()
    assert store.of_frame(0) == {}
