"""DiffPose on PoseTrack17: the recipe of ``diffpose_posetrack18.py`` on the data of 2017.

The annotations are converted first, and persons of the validation frames are detected
(``mim run diffpose_mm detect_persons``)::

    mim run diffpose_mm prepare_posetrack --year 17 --src DOWNLOAD --out data/posetrack17
"""

_base_ = ['diffpose_posetrack18.py']

dataset_type = 'PoseTrack17ClipDataset'
data_root = 'data/posetrack17/'

train_dataloader = dict(
    dataset=dict(
        type=dataset_type, data_root=data_root, ann_file='annotations/posetrack17_train.json'
    )
)
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/posetrack17_val.json',
        bbox_file='annotations/posetrack17_val_human_detections.json',
    )
)
test_dataloader = val_dataloader
