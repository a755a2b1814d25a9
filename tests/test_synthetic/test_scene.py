"""The synthetic world: bodies, camera, motion blur, and flags against brute force."""

import math

import cv2
import numpy as np
import pytest

from diffpose_mm.posetrack.keypoints import KEYPOINTS
from diffpose_mm.synthetic import (
    DIFFICULTIES,
    Difficulty,
    Scene,
    annotate,
    labels,
    make_scene,
    occlusion,
    render,
)
from diffpose_mm.synthetic.anatomy import DOFS, KEYPOINT_PARTS, PARTS, Body
from diffpose_mm.synthetic.motion import FAMILIES, Motion
from diffpose_mm.synthetic.render import (
    draw_ids,
    draw_subframe,
    expose,
    subframe_times,
)

SIZE = (160, 120)


def scene_of(seed, frames=6, difficulty='standard', size=SIZE):
    return Scene.draw(np.random.default_rng(seed), size, frames, DIFFICULTIES[difficulty])


def test_labels_agree_with_a_pinhole_camera_written_by_hand():
    scene = scene_of(1, frames=4)
    time = scene.light.times[2]
    pixels = scene.geometry(np.array([time]))['pixels'][0]
    yaw, pitch, roll = scene.camera.angles(np.array([time]))[0]
    for index, person in enumerate(scene.people):
        x_0, z_0 = person.position(np.array([time]))[0]
        local = person.body.forward(person.motion(np.array([time])))[2][0]
        for joint, (x, y, z) in enumerate(local):
            x, y, z = x + x_0, y + scene.lens.height, z + z_0
            # Turn the world against the camera's yaw, then its pitch, then its roll.
            x, z = math.cos(yaw) * x - math.sin(yaw) * z, math.sin(yaw) * x + math.cos(yaw) * z
            y, z = (
                math.cos(pitch) * y - math.sin(pitch) * z,
                (math.sin(pitch) * y + math.cos(pitch) * z),
            )
            x, y = (
                math.cos(roll) * x + math.sin(roll) * y,
                (-math.sin(roll) * x + math.cos(roll) * y),
            )
            expected = (
                scene.lens.focal * x / z + (SIZE[0] - 1) / 2,
                scene.lens.focal * y / z + (SIZE[1] - 1) / 2,
            )
            np.testing.assert_allclose(pixels[index, joint], expected, atol=1e-6)


def still_pose(**angles):
    return {name: np.array([float(angles.get(name, 0))]) for name in DOFS}


def test_left_and_right_are_those_of_the_person():
    body = Body(np.random.default_rng(0))
    joint = KEYPOINTS.index
    facing = body.forward(still_pose())[2][0]
    # Looking into the camera, the left hand is at the image's right (+x), the nose nearer (-z).
    for name in ('shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle'):
        assert facing[joint(f'left_{name}'), 0] > 0 > facing[joint(f'right_{name}'), 0]
    assert facing[joint('nose'), 2] < facing[joint('head_top'), 2]
    aside = body.forward(still_pose(yaw=np.pi / 2))[2][0]
    assert aside[joint('nose'), 0] > aside[joint('head_bottom'), 0]
    assert aside[joint('left_shoulder'), 2] > aside[joint('right_shoulder'), 2]


def test_body_stands_upright_on_the_ground_with_human_proportions():
    for seed in range(5):
        body = Body(np.random.default_rng(seed))
        points = body.forward(still_pose())[2][0]
        up = -points[:, 1]
        order = [
            'head_top',
            'nose',
            'head_bottom',
            'left_shoulder',
            'left_elbow',
            'left_wrist',
            'left_knee',
            'left_ankle',
        ]
        assert (np.diff([up[KEYPOINTS.index(name)] for name in order]) < 0).all()
        assert up[2] == pytest.approx(body.height, rel=0.12)
        assert 0 < up[15] < 0.1 * body.height


@pytest.mark.parametrize('family', FAMILIES)
def test_motions_are_smooth_move_joints_and_never_sink_below_the_ground(family):
    rng = np.random.default_rng(3)
    body, motion = Body(rng), Motion(rng, 2.0, (family,), 0.0)
    time = np.arange(0, 2, 1 / 120)
    points = body.forward(motion(time))[2]
    assert points[..., 1].max() < 0.02
    speed = np.linalg.norm(np.diff(points, axis=0), axis=-1) * 120
    assert np.percentile(speed, 99) < 12, 'metres a second'
    assert speed.max() > 0.5
    bones = [(5, 7), (7, 9), (11, 13), (13, 15)]
    for a, b in bones:
        length = np.linalg.norm(points[:, a] - points[:, b], axis=-1)
        np.testing.assert_allclose(length, length[0], rtol=1e-9)


def test_motion_blur_is_the_mean_of_sharp_pictures_drawn_one_by_one():
    scene = scene_of(4, frames=3)
    times = subframe_times(scene)
    counts = [len(t) for t in times]
    assert max(counts) >= 5 and all(count % 2 for count in counts)
    for frame, picture in enumerate(render(scene)):
        total = np.zeros((SIZE[1], SIZE[0], 3))
        middle = scene.geometry(scene.light.times[frame : frame + 1])
        colors = scene.shade(middle, 0)
        for moment in times[frame]:
            now = np.array([moment])
            total += draw_subframe(
                scene, scene.geometry(now), 0, scene.panorama.affine(now)[0], colors
            )
        expected = expose(scene, frame, (total / counts[frame]).astype(np.float32))
        difference = np.abs(expected.astype(int) - picture.image.astype(int))
        # Rounding may move a quad's corner by half a pixel of the doubled grid, here and there.
        assert (difference <= 1).mean() > 0.999
        if counts[frame] > 1:
            sharp = draw_subframe(
                scene,
                middle,
                0,
                scene.panorama.affine(scene.light.times[frame : frame + 1])[0],
                colors,
            )
            assert np.abs(picture.image.astype(int) - sharp).mean() > 1


def test_exposure_lies_around_the_labelled_moment():
    scene = scene_of(4)
    for frame, moments in enumerate(subframe_times(scene)):
        assert moments[len(moments) // 2] == pytest.approx(scene.light.times[frame])
        assert np.ptp(moments) in (0, pytest.approx(scene.light.exposure[frame]))
        assert scene.light.exposure[frame] <= 1 / 15


def test_still_scene_costs_one_picture_a_frame():
    calm = Difficulty(people=(1, 0, 0, 0), occluders=0, static_occluders=0, exposure=(1e-4, 1e-4))
    scene = Scene.draw(np.random.default_rng(0), SIZE, 4, calm)
    assert [len(t) for t in subframe_times(scene)] == [1] * 4


def first_hit(scene, geometry, target):
    """Brute force: depth, owner and part where the ray from the camera to ``target`` first hits."""
    corners = geometry['vertices'][0].astype(float)[scene.quads]
    best = (np.inf, None, None)
    for index, quad in enumerate(corners):
        if scene.owner[index] >= 0:
            depth = [hit_triangle(target, quad[[0, 1, 2]]), hit_triangle(target, quad[[0, 2, 3]])]
        else:
            depth = [
                scene.bias[index]
                if hit_triangle(target, quad[[0, 1, 2]]) < np.inf
                or hit_triangle(target, quad[[0, 2, 3]]) < np.inf
                else np.inf
            ]
        if min(depth) < best[0]:
            best = (min(depth), scene.owner[index], scene.part[index])
    return best


def hit_triangle(direction, corners):
    """Camera z where the ray t * direction meets a triangle, inf if it does not."""
    matrix = np.stack([direction, corners[0] - corners[1], corners[0] - corners[2]], 1)
    if abs(np.linalg.det(matrix)) < 1e-14:
        return np.inf
    t, u, v = np.linalg.solve(matrix, corners[0])
    inside = u >= 0 and v >= 0 and u + v <= 1 and t > 0
    return t * direction[2] if inside else np.inf


def near_ray(scene, geometry, target):
    """Geometry cut down to quads whose bounding box the ray's pixel may touch (for speed)."""
    flat = geometry['flat'][0][scene.quads]
    pixel = scene.lens.project(target) * 2 + 0.5
    return ((flat.min(1) <= pixel + 2) & (flat.max(1) >= pixel - 2)).all(-1)


def test_occluded_flags_agree_with_rays_cast_through_the_whole_scene():
    agree = total = flagged = 0
    for seed in (2, 3, 8, 11):
        scene = scene_of(seed, frames=3)
        geometry = scene.geometry(scene.light.times[1:2])
        hidden = occlusion(scene, geometry)
        quads, owner, part, bias = scene.quads, scene.owner, scene.part, scene.bias
        for index, person in enumerate(scene.people):
            for joint in range(17):
                target = geometry['keypoints'][0, index, joint]
                pixel = geometry['pixels'][0, index, joint]
                if joint in (3, 4) or not ((pixel >= 0) & (pixel <= (159, 119))).all():
                    continue
                near = near_ray(scene, geometry, target)
                scene.quads, scene.owner = quads[near], owner[near]
                scene.part, scene.bias = part[near], bias[near]
                depth, who, what = first_hit(scene, geometry, target)
                scene.quads, scene.owner, scene.part, scene.bias = quads, owner, part, bias
                before = (target[2] - depth) / person.body.height
                expected = before > 0.015
                if who == index and PARTS[what] in KEYPOINT_PARTS[joint]:
                    expected = before > (
                        labels.KEYPOINT_DEPTH[joint]
                        + labels.KEYPOINT_GIRTH[joint] * person.body.girth
                    )
                total += 1
                flagged += hidden[index, joint]
                agree += hidden[index, joint] == expected
    assert total > 80 and flagged > 10
    # The picture is drawn by the quads' middles, a ray meets them exactly.
    assert agree / total > 0.95


def test_picture_shows_the_joint_where_it_is_labelled_unless_flagged():
    right = wrong = 0
    for seed in range(6):
        scene = scene_of(seed, frames=2)
        geometry = scene.geometry(scene.light.times[:1])
        ids = draw_ids(scene, geometry, 0)
        hidden = occlusion(scene, geometry)
        for index in range(len(scene.people)):
            for joint in range(17):
                x, y = np.rint(geometry['pixels'][0, index, joint] * 2 + 0.5).astype(int)
                inside = 0 <= x < ids.shape[1] and 0 <= y < ids.shape[0]
                if joint in (3, 4) or not inside or hidden[index, joint]:
                    continue
                quad = ids[y, x] - 1
                shown = quad >= 0 and scene.owner[quad] == index
                shown = shown and PARTS[scene.part[quad]] in KEYPOINT_PARTS[joint]
                # The tips of head and nose lie on the outline, where the background may win.
                shown = shown or (joint in (0, 1, 2) and quad < 0)
                right, wrong = right + shown, wrong + (not shown)
    assert right > 100 and wrong / (right + wrong) < 0.04


def test_far_arm_behind_the_own_chest_is_occluded_and_the_near_one_is_not():
    calm = Difficulty(
        people=(1, 0, 0, 0),
        occluders=0,
        static_occluders=0,
        shake=0,
        pan=0,
        families=(0, 0, 0, 1, 0, 0, 0),
    )
    scene = Scene.draw(np.random.default_rng(1), SIZE, 1, calm)
    person = scene.people[0]
    person.path[:] = (0, 3.0)
    scene.camera.track[:] = (0, 0.1, 0)
    # Facing the image's right: the left side is the far one.
    person.motion = lambda t: {
        name: np.zeros(len(t)) + (np.pi / 2 if name == 'yaw' else 0) for name in DOFS
    }
    hidden = occlusion(scene, scene.geometry(scene.light.times))[0]
    joint = KEYPOINTS.index
    assert hidden[joint('left_shoulder')] and hidden[joint('left_elbow')]
    assert not hidden[joint('right_shoulder')] and not hidden[joint('right_elbow')]
    assert not hidden[joint('head_top')] and not hidden[joint('right_knee')]


def test_blurred_flags_follow_the_path_during_the_exposure():
    checked = found = 0
    for seed in (4, 9):
        scene = scene_of(seed, frames=4)
        for picture in render(scene):
            moments = np.linspace(-0.5, 0.5, 101) * scene.light.exposure[picture.index]
            path = scene.keypoints(scene.light.times[picture.index] + moments)[1]
            for person in annotate(scene, picture)[0]:
                mine = path[:, person['track_id']]
                smear = np.hypot(*np.ptp(mine, axis=0).T)
                smear = np.hypot(smear, scene.light.defocus[picture.index])
                limit = max(
                    labels.BLUR_SHARE * 0.6 * np.hypot(*person['bbox_head'][2:]),
                    labels.BLUR_PIXELS * SIZE[1] / 240,
                )
                seen = np.array(person['keypoints'][2::3]) > 0
                # At the limit, the few moments of the picture and the many here may differ.
                sure = seen & (np.abs(smear / limit - 1) > 0.15)
                flags = np.array(person['blurred'])
                np.testing.assert_array_equal(flags[sure], (smear > limit)[sure])
                checked, found = checked + sure.sum(), found + flags[sure].sum()
    assert checked > 60 and 5 < found < checked


def test_head_box_holds_the_head():
    scene = scene_of(2, frames=2)
    for picture in render(scene):
        for person in annotate(scene, picture)[0]:
            x, y, w, h = person['bbox_head']
            points = picture.geometry['pixels'][0, person['track_id']]
            assert (
                (points[[1, 2]] >= (x - 0.02, y - 0.02))
                & (points[[1, 2]] <= (x + w + 0.02, y + h + 0.02))
            ).all()
            length = np.linalg.norm(points[1] - points[2])
            assert length * 0.95 <= np.hypot(w, h) <= 2.2 * length + 3


def test_far_crowd_is_an_ignore_region_that_moves_with_the_background():
    scene = next(s for s in (scene_of(k, frames=8) for k in range(40)) if len(s.panorama.crowd))
    regions = []
    for picture in render(scene):
        ignored = annotate(scene, picture)[1]
        for polygon in ignored:
            assert polygon.shape[1] == 2 and len(polygon) > 2
            assert (polygon >= 0).all() and (polygon <= (159, 119)).all()
        regions.append(ignored)
        inverse = np.linalg.inv(
            np.vstack(
                [
                    scene.panorama.affine(scene.light.times[picture.index : picture.index + 1])[0],
                    [0, 0, 1],
                ]
            )
        )
        center = inverse @ [*scene.panorama.crowd[0].mean(0), 1]
        if ((center[:2] > 2) & (center[:2] < (157, 117))).all():
            assert any(
                cv2.pointPolygonTest(p.astype(np.float32), tuple(center[:2]), False) >= 0
                for p in ignored
            )
    assert any(regions)


def test_people_too_hidden_to_annotate_become_ignore_regions(monkeypatch):
    monkeypatch.setattr(labels, 'MIN_JOINTS', 18)
    scene = make_scene(0, 'val', 0, SIZE, 1, 'easy')
    scene.panorama.crowd = []
    picture = next(iter(render(scene)))
    people, ignored = annotate(scene, picture)
    assert people == [] and ignored
    ids = draw_ids(scene, picture.geometry, 0)
    mask = np.concatenate([[False], scene.owner >= 0])[ids]
    drawn = np.zeros(SIZE[::-1], np.uint8)
    for polygon in ignored:
        cv2.fillPoly(drawn, [polygon.round().astype(np.int32)], 1)
    assert drawn[mask[::2, ::2]].mean() > 0.9, 'the region covers the person'


def test_slow_videos_have_their_own_clock():
    """Broken if a difficulty's frame rate did not reach the exposures, or moved those of others."""
    for difficulty, rate in (('slow', 25.0), ('standard', 15.0)):
        light = scene_of(3, 6, difficulty).light
        np.testing.assert_allclose(light.times, np.arange(6) / rate)
        low, high = DIFFICULTIES[difficulty].exposure
        assert low / rate <= light.exposure[0] <= high / rate


def test_what_passes_takes_its_time_in_slow_videos():
    """Broken if occluders of slow videos were over in a frame, as those of standard ones are."""
    seconds = {}
    for difficulty in ('slow', 'standard'):
        lasting = []
        for seed in range(30):
            scene = scene_of(seed, 64, difficulty)
            for occluder in scene.occluders:
                if occluder.rate:
                    wide = np.ptp(occluder.cells[..., 0])
                    lasting.append(wide / occluder.depth / abs(occluder.rate))
        seconds[difficulty] = np.median(lasting)
    assert seconds['slow'] * 25 > 3, 'frames that a narrow joint is hidden'
    assert seconds['standard'] * 15 < 3 < seconds['slow'] / seconds['standard'] * 2


def test_difficulties_are_ordered():
    easy, standard, hard = (DIFFICULTIES[name] for name in ('easy', 'standard', 'hard'))
    for name in ('cross', 'occluders', 'shake', 'defocus', 'clutter', 'noise'):
        assert getattr(easy, name) < getattr(standard, name) < getattr(hard, name)
