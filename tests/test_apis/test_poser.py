"""Streaming: each person-frame goes through the backbone once, whatever way the person goes."""

import dataclasses

import numpy as np
import pytest
import torch
from apis_helpers import OFFSETS, assert_close_poses, moving_frames, write_tiny

from diffpose_mm.apis import ClipPoser, DiffPoseInferencer, StreamingPoser
from diffpose_mm.apis.people import Person
from diffpose_mm.apis.tokens import interpolation_matrix, resample_tokens
from diffpose_mm.apis.windows import Frame, iterate_windows

FIELDS = ('keypoints', 'keypoint_scores', 'keypoint_std', 'hypotheses', 'hypothesis_scores')


@pytest.fixture(scope='module', params=[False, True], ids=['plain', 'flip_test'])
def parts(request, tmp_path_factory):
    config, weights = write_tiny(tmp_path_factory.mktemp('stream'))
    inferencer = DiffPoseInferencer(config, weights, device='cpu', det_model='whole_image')
    model = inferencer.model
    model.test_cfg.update(
        flip_test=request.param, num_hypotheses=2, sampling_steps=2, output_heatmaps=True
    )
    return model, inferencer.pipeline


def jobs_of(boxes, mode='offline', track=0):
    """A person of one track in every frame; windows see only the keyframe's box."""
    frames = [
        Frame(t, f'{t}.jpg', image, people=[Person(np.array(box, np.float32), 0.5, track)])
        for t, (image, box) in enumerate(zip(moving_frames(len(boxes)), boxes))
    ]
    return [(window, window.frame.people[0]) for window in iterate_windows(frames, OFFSETS, mode)]


def short_sighted(jobs):
    """The same jobs, where a window knows no box but that of its keyframe."""
    blind = []
    for window, person in jobs:
        frames = tuple(
            frame if frame is window.frame else dataclasses.replace(frame, people=[])
            for frame in window.frames
        )
        blind.append((dataclasses.replace(window, frames=frames), person))
    return blind


def assert_same(found, expected):
    np.testing.assert_allclose(
        found.pred_fields.heatmaps, expected.pred_fields.heatmaps, rtol=0, atol=1e-4
    )
    for name in ('input_center', 'input_scale', 'img_path', 'frame_offsets'):
        np.testing.assert_array_equal(found.metainfo[name], expected.metainfo[name])
    for field in FIELDS:
        assert_close_poses(found.pred_instances[field], expected.pred_instances[field])


@pytest.mark.parametrize('mode', ['offline', 'causal'])
@pytest.mark.parametrize('batch', [1, 3])
def test_with_a_fixed_crop_the_cached_path_is_the_full_path(parts, mode, batch):
    jobs = jobs_of([[20, 10, 70, 80]] * 8, mode)
    streaming = StreamingPoser(*parts, OFFSETS)
    found = [s for i in range(0, 8, batch) for s in streaming(jobs[i : i + batch])]
    for sample, expected in zip(found, ClipPoser(*parts)(jobs)):
        assert_same(sample, expected)
    assert streaming.state.backbone_passes == 8, 'each frame once'
    assert streaming.state.renewals == 0


@pytest.mark.parametrize(
    'neck',
    [
        dict(type='KeyframeQueryNeck', num_layers=2),
        dict(type='JointQueryNeck', num_layers=2, num_keypoints=17),
    ],
    ids=['keyframe', 'joint'],
)
@pytest.mark.parametrize('mode', ['offline', 'causal'])
def test_merges_that_keep_keys_stream_to_the_whole_window(neck, mode, tmp_path):
    """Broken if a kept key were that of another frame, or of another place in the clip."""
    config, weights = write_tiny(tmp_path, neck=neck)
    inferencer = DiffPoseInferencer(config, weights, device='cpu', det_model='whole_image')
    model, pipeline = inferencer.model, inferencer.pipeline
    model.test_cfg.update(num_hypotheses=2, output_heatmaps=True)
    jobs = jobs_of([[20, 10, 70, 80]] * 8, mode)
    streaming = StreamingPoser(model, pipeline, OFFSETS)
    found = [s for i in range(0, 8, 3) for s in streaming(jobs[i : i + 3])]
    for sample, expected in zip(found, ClipPoser(model, pipeline)(jobs), strict=True):
        assert_same(sample, expected)
    assert streaming.state.backbone_passes == 8, 'each frame once'


def resampled(tokens, wanted, seen, mirrored=False):
    """Tokens (D, H, W) of one crop from those of another, cell by cell; both (centre, scale)."""
    _, height, width = tokens.shape
    sides = []
    for axis, count, size in ((0, width, 96), (1, height, 128)):
        cell, places = size / count, []
        for i in range(count):
            pixel = (i + 0.5) * cell - 0.5
            pixel = size - 1 - pixel if mirrored and axis == 0 else pixel
            share = pixel / (size - 1) - 0.5
            image = wanted[0][axis] + share * wanted[1][axis]
            pixel = ((image - seen[0][axis]) / seen[1][axis] + 0.5) * (size - 1)
            pixel = size - 1 - pixel if mirrored and axis == 0 else pixel
            places.append((pixel + 0.5) / cell - 0.5)
        sides.append(places)
    out = np.zeros_like(tokens)
    for row, y in enumerate(sides[1]):
        for column, x in enumerate(sides[0]):
            for j in range(int(np.floor(y)) - 1, int(np.floor(y)) + 3):
                for i in range(int(np.floor(x)) - 1, int(np.floor(x)) + 3):
                    cell = tokens[:, min(max(j, 0), height - 1), min(max(i, 0), width - 1)]
                    out[:, row, column] += keys(y - j) * keys(x - i) * cell
    return out


def keys(x):
    """Keys' cubic convolution kernel, a = -1/2."""
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def test_a_window_is_put_together_from_frames_each_seen_in_its_own_crop(parts):
    """Against the definition: every frame alone through the model in its own crop, tokens moved
    to the keyframe's crop cell by cell."""
    model, pipeline = parts
    boxes = [[10 + 4 * t, 10, 45 + 4 * t + t % 3, 80 + 2 * t] for t in range(10)]
    jobs = jobs_of(boxes)
    streaming = StreamingPoser(model, pipeline, OFFSETS, crop_tolerance=0.0)
    single = streaming._single
    flipped = model.test_cfg['flip_test']

    def seen(window, place, frame_id):
        frame = window.frames[place].image
        person = Person(np.array(boxes[frame_id], np.float32), 0.5)
        shape = frame.shape[:2]
        clip = dict(img=[frame], img_shape=shape, ori_shape=shape)
        packed = single(streaming._sample(person, 'x.jpg', clip))
        meta = packed['data_samples'].metainfo
        images = streaming._preprocess(dict(inputs=[packed['inputs']], data_samples=[]), False)[
            'inputs'
        ][:, 0]
        views = torch.cat([images, images.flip(-1)] if flipped else [images])
        with torch.no_grad():
            tokens = model.neck.embed(model.backbone(views)[-1]).numpy()
        return (meta['input_center'], meta['input_scale']), tokens

    for job in jobs:
        (found,) = streaming([job])
        window = job[0]
        wanted, _ = seen(window, window.keyframe_index, window.frame_id)
        clip = []
        for place, frame_id in enumerate(window.frame_ids):
            crop, tokens = seen(window, place, frame_id)
            clip.append([resampled(view, wanted, crop, bool(n)) for n, view in enumerate(tokens)])
        with torch.no_grad():
            fused = [model.neck.fuse(torch.from_numpy(np.stack(view))[None]) for view in zip(*clip)]
        feats = [(f,) for f in fused] if flipped else (fused[0],)
        sample = streaming._sample_of(
            streaming.state.tracks[0].frames[window.frame_id][0], job[1], window
        )
        with torch.no_grad():
            _, fields = model.head.predict(feats, [sample], test_cfg=model.test_cfg)
        np.testing.assert_allclose(
            found.pred_fields.heatmaps, fields[0].heatmaps, rtol=0, atol=1e-4
        )
        np.testing.assert_array_equal(found.metainfo['input_center'], wanted[0])
        np.testing.assert_array_equal(found.pred_instances.bboxes[0], job[1].box)
    assert streaming.state.backbone_passes == 10, 'renewals cost no pass'
    assert streaming.state.renewals == 9


@pytest.mark.parametrize('mirrored', [False, True])
@pytest.mark.parametrize('cells', [(2, 0), (-1, 3), (0, -2)])
def test_shifts_by_whole_cells_move_tokens_as_they_are(cells, mirrored):
    tokens = torch.randn(2, 5, 8, 6)
    across, down = cells
    found = resample_tokens(tokens, (1, 1), (16 * across, 16 * down), (96, 128))[int(mirrored)]
    across = -across if mirrored else across
    for row in range(8):
        for column in range(6):
            source = min(max(row + down, 0), 7), min(max(column + across, 0), 5)
            expected = tokens[int(mirrored)][:, source[0], source[1]]
            torch.testing.assert_close(found[:, row, column], expected, rtol=0, atol=1e-6)


def test_interpolation_follows_a_smooth_map():
    """Cubic convolution gives back a parabola at any zoom, away from the border."""
    cells = torch.arange(12, dtype=torch.float64)
    matrix = torch.from_numpy(interpolation_matrix(12, 0.8, 1.3))
    expected = 0.3 * (0.8 * cells + 1.3) ** 2 - 2 * (0.8 * cells + 1.3)
    torch.testing.assert_close((matrix @ (0.3 * cells**2 - 2 * cells))[:11], expected[:11])
    torch.testing.assert_close(matrix.sum(1), torch.ones(12, dtype=torch.float64))


def test_the_crop_is_held_until_the_box_leaves_it(parts):
    boxes = [[10 + t, 10, 45 + t, 80] for t in range(8)]
    streaming = StreamingPoser(*parts, OFFSETS, crop_tolerance=3.0 / 70)
    centres = [
        float(streaming([job])[0].metainfo['input_center'][0]) for job in jobs_of(boxes, 'causal')
    ]
    assert centres == [27.5] * 4 + [31.5] * 4
    assert streaming.state.renewals == 1


def test_the_config_says_how_long_a_crop_is_held(parts):
    """Broken if a model's own tolerance were ignored, or that of a call did not go before it."""
    model, pipeline = parts
    cfg = dict(model.test_cfg, crop_tolerance=0.2)
    assert StreamingPoser(*parts, OFFSETS).crop_tolerance == 0.05
    assert StreamingPoser(*parts, OFFSETS, test_cfg=cfg).crop_tolerance == 0.2
    assert StreamingPoser(*parts, OFFSETS, 0.0, test_cfg=cfg).crop_tolerance == 0.0
    model.head.check_test_cfg(cfg)
    with pytest.raises(ValueError, match='crop_tolerance=-1'):
        StreamingPoser(*parts, OFFSETS, test_cfg=dict(cfg, crop_tolerance=-1))


def test_with_one_crop_in_the_window_the_result_is_exact_again(parts):
    boxes = [[10, 10, 45, 80]] * 4 + [[30, 10, 65, 80]] * 6
    streaming, plain = StreamingPoser(*parts, OFFSETS), ClipPoser(*parts)
    exact = []
    for job in jobs_of(boxes):
        (found,), (expected,) = streaming([job]), plain([job])
        found, expected = found.pred_fields.heatmaps, expected.pred_fields.heatmaps
        exact.append(float((found - expected).abs().max()) < 1e-4)
    assert exact == [True] * 2 + [False] * 4 + [True] * 4


@pytest.mark.parametrize('box', [[40, 38, 50, 52], [25, 10, 75, 90], [45, 30, 65, 60]])
def test_the_crop_is_renewed_when_the_person_grows_shrinks_or_leaves(parts, box):
    streaming = StreamingPoser(*parts, OFFSETS)
    first, second = jobs_of([[40, 30, 60, 60], box])
    streaming([first])
    (found,) = streaming([second])
    assert streaming.state.renewals == 1
    np.testing.assert_allclose(
        found.metainfo['input_center'], [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]
    )


def test_a_keyframe_is_always_seen_in_a_crop_that_fits(parts):
    """Without boxes of later frames they are first seen in the wrong place, and then again."""
    boxes = [[10 + 8 * t, 10, 45 + 8 * t, 80] for t in range(6)]
    streaming = StreamingPoser(*parts, OFFSETS)
    for job, box in zip(short_sighted(jobs_of(boxes)), boxes):
        (found,) = streaming([job])
        np.testing.assert_allclose(found.metainfo['input_center'][0], (box[0] + box[2]) / 2)
    assert streaming.state.backbone_passes > 6


def test_the_inferencer_tells_the_poser_where_people_go(tiny_model):
    """Two people, tracked, who walk apart: no frame goes through the backbone twice."""
    inferencer = DiffPoseInferencer(*tiny_model, device='cpu', det_model='whole_image')
    boxes = [[[40 - 5 * t, 10, 65 - 5 * t, 80], [50 + 5 * t, 10, 75 + 5 * t, 80]] for t in range(9)]
    for batch_size in (1, 4):
        run = inferencer(
            moving_frames(9), as_clip=True, bboxes=boxes, streaming=True, batch_size=batch_size
        )
        assert len(list(run)) == 9
        state = run.state
        assert state.person_frames == state.backbone_passes == 18
        assert state.renewals == 16, 'they move by more than what a crop is held for'


def test_a_new_frame_size_and_a_return_after_a_gap_renew_the_crop(parts):
    streaming = StreamingPoser(*parts, OFFSETS)
    box = [20, 10, 70, 80]
    frames = moving_frames(4) + moving_frames(4, width=140)
    for window in iterate_windows(frames, OFFSETS):
        streaming([(window, Person(np.array(box, np.float32), 0.5, 0))])
    assert streaming.state.renewals == 1
    assert streaming.state.tracks[0].crop.shape == (90, 140, 3)

    jobs = jobs_of([box] * 3 + [[60, 10, 110, 80]] * 7)
    streaming.state.reset()
    for job in [*jobs[:3], *jobs[5:7]]:
        streaming([job])
    assert streaming.state.renewals == 1
    assert streaming.state.backbone_passes == 9, 'frames 0 to 8, each once'


def test_people_do_not_share_a_crop(parts):
    streaming = StreamingPoser(*parts, OFFSETS)
    first = jobs_of([[10, 10, 45, 80]] * 6, track=3)
    second = jobs_of([[50, 10, 85, 80]] * 6, track=4)
    for pair in zip(first, second):
        for found, expected in zip(streaming(pair), ClipPoser(*parts)(pair)):
            assert_same(found, expected)
    assert streaming.state.backbone_passes == 12


def test_memory_is_bounded_and_reset_forgets(parts):
    streaming = StreamingPoser(*parts, OFFSETS)
    for job in jobs_of([[20, 10, 70, 80]] * 20):
        streaming([job])
        assert len(streaming.state.tracks[0].frames) <= 5
    for t, job in enumerate(jobs_of([[20, 10, 70, 80]] * 8, track=1)):
        window, person = job
        later = {id(f): dataclasses.replace(f, index=f.index + 20) for f in window.frames}
        frames = tuple(later[id(f)] for f in window.frames)
        streaming([(dataclasses.replace(window, frames=frames), person)])
        assert (0 in streaming.state.tracks) == (t < 2), 'a track that is gone is forgotten'
    streaming.state.reset()
    assert not streaming.state.tracks and not streaming.state.backbone_passes


def test_what_cannot_be_streamed_is_told(parts):
    model, pipeline = parts
    with pytest.raises(ValueError, match='crop_tolerance=-1 has to be at least 0'):
        StreamingPoser(model, pipeline, OFFSETS, crop_tolerance=-1)
    window, person = jobs_of([[20, 10, 70, 80]])[0]
    with pytest.raises(ValueError, match='people with track ids'):
        StreamingPoser(model, pipeline, OFFSETS)([(window, Person(person.box))])
    neck = model.neck
    try:
        model.neck = None
        with pytest.raises(
            ValueError, match='streaming needs a neck that embeds each frame alone .a ClipNeck'
        ):
            StreamingPoser(model, pipeline, OFFSETS)
    finally:
        model.neck = neck
