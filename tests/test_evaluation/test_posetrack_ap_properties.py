"""PoseTrackAP on random persons, predictions and regions, against the protocol as plain loops."""

import json

import numpy as np
from evaluation_cases import KEYPOINTS
from hypothesis import strategies as st
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from property_cases import cases, damaged
from test_posetrack_protocol import slow_evaluation

from diffpose_mm.evaluation import PoseTrackAP, load_ground_truth
from diffpose_mm.evaluation.posetrack_protocol import GROUPS, JOINTS

META = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/posetrack18.py'))


@st.composite
def contents(draw):
    """A COCO-style file, and image id -> (keypoints, scores), in few pixels and with few scores.

    In so small a picture joints coincide, lie on the borders of regions and exactly half a head
    apart; scores are often equal; frames, persons, predictions and head boxes may be missing.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    side = draw(st.sampled_from([4, 12, 60]))
    share = draw(st.sampled_from([0.0, 0.3, 0.9, 1.0]))
    flags = draw(st.sampled_from([(), ('occluded',), ('occluded', 'blurred')]))
    images, annotations, poses = [], [], {}
    for video in range(draw(st.integers(1, 2))):
        for frame in range(draw(st.integers(1, 3))):
            image_id = 1000 * (video + 1) + frame
            image = dict(
                id=image_id, frame_id=image_id, vid_id=f'{video:06d}', nframes=3,
                file_name=f'images/val/{video:06d}_mpii_test/{frame:06d}.jpg',
            )  # fmt: skip
            regions = [
                rng.integers(0, side, (rng.integers(1, 6), 2)).tolist()
                for _ in range(draw(st.integers(0, 2)))
            ]
            image['ignore_regions_x'] = [[x for x, _ in region] for region in regions]
            image['ignore_regions_y'] = [[y for _, y in region] for region in regions]
            images.append(image)
            people = []
            for person in range(draw(st.integers(0, 3))):
                points = rng.integers(1, side, (17, 2))
                annotated = rng.random(17) < share
                head = [0, 0, int(rng.integers(0, 9)), int(rng.integers(0, 9))]
                annotation = dict(
                    id=10 * image_id + person, image_id=image_id, track_id=person, category_id=1,
                    keypoints=np.c_[points * annotated[:, None], annotated].ravel().tolist(),
                    bbox=[0, 0, side, side], bbox_head=head,
                )  # fmt: skip
                if draw(st.integers(0, 4)) == 0:
                    annotation['bbox_head'] = []
                for flag in flags:
                    annotation[flag] = rng.integers(0, 2, 17).tolist()
                annotations.append(annotation)
                people.append(points)
            found = []
            for _ in range(draw(st.integers(0, 4))):
                points = rng.integers(1, side, (17, 2))
                if people and draw(st.booleans()):
                    near = people[rng.integers(len(people))] + rng.integers(-1, 2, (17, 2))
                    points = near.clip(1)
                found.append((points.astype(float), rng.integers(1, 4, 17) / 4))
            if found:
                poses[image_id] = found
    heads = [a for a in annotations if a['bbox_head']]
    if annotations and not heads:
        annotations[0]['bbox_head'] = [0, 0, 5, 5]
    category = dict(id=1, name='person', keypoints=list(KEYPOINTS))
    return dict(images=images, annotations=annotations, categories=[category]), poses


@cases(contents(), st.randoms(use_true_random=False))
def test_equals_plain_loops_whatever_the_order_of_batches(tmp_path_factory, case, random):
    """All joints and all kinds to 1e-9; samples mixed and given twice, as two processes do."""
    content, poses = case
    for annotation in content['annotations']:
        if not annotation['bbox_head']:
            annotation.pop('bbox_head')
    path = tmp_path_factory.mktemp('ap') / 'posetrack18_val.json'
    path.write_text(json.dumps(content))
    samples = [
        dict(
            id=index, img_id=image_id,
            pred_instances=dict(
                keypoints=points[None].astype(np.float32), keypoint_scores=scores[None]
            ),
        )
        for index, (image_id, points, scores) in enumerate(
            (image_id, points, scores) for image_id, found in poses.items()
            for points, scores in found
        )
    ]  # fmt: skip
    if not samples:
        return
    slow = slow_evaluation(content, poses, tied=True)
    metric = PoseTrackAP(ann_file=str(path), nms_mode='none')
    metric.dataset_meta = META
    mixed = samples + random.sample(samples, random.randint(0, len(samples)))
    random.shuffle(mixed)
    number = len(mixed)
    while mixed:
        size = random.randint(1, 3)
        metric.process([], mixed[:size])
        mixed = mixed[size:]
    found = metric.evaluate(number)
    for kind in ('all', 'occluded', 'blurred', 'clear'):
        key = 'posetrack/AP' if kind == 'all' else f'posetrack/AP ({kind})'
        defined = [ap for ap in slow[kind] if not np.isnan(ap)]
        if key in found:
            expected = np.mean(defined) if defined else np.nan
            np.testing.assert_allclose(found[key], expected, rtol=0, atol=1e-9, err_msg=key)
    for name, joints in GROUPS.items():
        expected = np.mean([slow['all'][JOINTS.index(joint)] for joint in joints])
        np.testing.assert_allclose(found[f'posetrack/{name} AP'], expected, rtol=0, atol=1e-9)


@cases(contents(), st.data())
def test_a_malformed_file_is_read_or_refused_by_name(tmp_path_factory, case, data):
    """Broken if a user sees a KeyError or TypeError and not which field of which file is wrong."""
    path = tmp_path_factory.mktemp('truth') / 'posetrack18_val.json'
    path.write_text(json.dumps(data.draw(damaged(case[0]))))
    try:
        truth = load_ground_truth(path)
    except ValueError as error:
        assert str(path) in str(error), error
        return
    persons = len(truth.poses.frame)
    assert truth.poses.points.shape == (persons, 15, 2)
    assert np.isfinite(truth.poses.points[truth.poses.present]).all()
    assert np.isfinite(truth.poses.head_size).all() and (truth.poses.head_size >= 0).all()
    assert len(truth.poses.ignore_regions) == len(truth.frame_of_image)
    for regions in truth.poses.ignore_regions:
        assert all(region.ndim == 2 and np.isfinite(region).all() for region in regions)


@cases(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_bytes_that_are_no_json_are_refused_by_name(tmp_path_factory, content):
    path = tmp_path_factory.mktemp('truth') / 'posetrack18_val.json'
    path.write_bytes(content)
    try:
        load_ground_truth(path)
    except ValueError as error:
        assert str(path) in str(error), error
    else:
        raise AssertionError(f'{content!r} was read')
