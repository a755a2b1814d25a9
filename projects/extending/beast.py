"""The five keypoints of an animal, in mmpose's form."""

dataset_info = dict(
    dataset_name='beast',
    paper_info=dict(author='', title='', container='', year='', homepage=''),
    # 'swap' is the keypoint that a mirror image exchanges this one with.
    keypoint_info={
        0: dict(name='nose', id=0, color=[51, 153, 255], type='upper', swap=''),
        1: dict(name='left_shoulder', id=1, color=[0, 255, 0], type='upper', swap='right_shoulder'),
        2: dict(
            name='right_shoulder', id=2, color=[255, 128, 0], type='upper', swap='left_shoulder'
        ),
        3: dict(name='left_hip', id=3, color=[0, 255, 0], type='lower', swap='right_hip'),
        4: dict(name='right_hip', id=4, color=[255, 128, 0], type='lower', swap='left_hip'),
    },
    skeleton_info={
        0: dict(link=('nose', 'left_shoulder'), id=0, color=[0, 255, 0]),
        1: dict(link=('nose', 'right_shoulder'), id=1, color=[255, 128, 0]),
        2: dict(link=('left_shoulder', 'left_hip'), id=2, color=[0, 255, 0]),
        3: dict(link=('right_shoulder', 'right_hip'), id=3, color=[255, 128, 0]),
    },
    joint_weights=[1.0] * 5,
    sigmas=[0.03, 0.08, 0.08, 0.1, 0.1],
)
