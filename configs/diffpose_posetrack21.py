"""DiffPose on PoseTrack21: the recipe of ``diffpose_posetrack18.py`` on the data of 2021.

The annotations are joined first, and persons of the validation frames are detected
(``mim run diffpose_mm detect_persons``)::

    mim run diffpose_mm prepare_posetrack --year 21 --src DOWNLOAD --out data/posetrack21
"""

_base_ = ['diffpose_posetrack18.py']

dataset_type = 'PoseTrack21ClipDataset'
data_root = 'data/posetrack21/'

train_dataloader = dict(
    dataset=dict(
        type=dataset_type, data_root=data_root, ann_file='annotations/posetrack21_train.json'
    )
)
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/posetrack21_val.json',
        bbox_file='annotations/posetrack21_val_human_detections.json',
    )
)
test_dataloader = val_dataloader
