"""DiffPose on Sub-JHMDB, split 1: the recipe of ``diffpose_posetrack18.py`` for 20 epochs.

Frames come from http://jhmdb.is.tue.mpg.de, annotations from mmpose (its documentation on 2D body
key point data sets has the address)::

    data/jhmdb/annotations/Sub1_train.json  Sub1_test.json  Sub2_train.json ...
    data/jhmdb/Rename_Images/brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0/00001.png ...

Results are given as the mean over three splits. The others are trained and tested with::

    mim train diffpose_mm diffpose_jhmdb.py --work-dir work_dirs/diffpose_jhmdb_sub2 --cfg-options \
        train_dataloader.dataset.ann_file=annotations/Sub2_train.json \
        val_dataloader.dataset.ann_file=annotations/Sub2_test.json
    mim test diffpose_mm diffpose_jhmdb.py --checkpoint CHECKPOINT --cfg-options \
        test_dataloader.dataset.ann_file=annotations/Sub2_test.json

Boxes are the annotated ones in training and in testing. PCK at 0.2 of the larger side of the box,
tPCK at 0.2 of the distance from left shoulder to right hip.
"""

_base_ = ['diffpose_posetrack18.py']

# runtime
max_epochs = 20
train_cfg = dict(max_epochs=max_epochs, val_interval=1)
default_hooks = dict(checkpoint=dict(interval=1, save_best='jhmdb/PCK'))
warm_up, cosine = _base_.param_scheduler
param_scheduler = [warm_up, dict(cosine, T_max=max_epochs, end=max_epochs)]
del warm_up, cosine

# model
num_keypoints = 15
model = dict(head=dict(out_channels=num_keypoints))

# data
dataset_type = 'JHMDBClipDataset'
data_root = 'data/jhmdb/'

train_dataloader = dict(
    dataset=dict(type=dataset_type, data_root=data_root, ann_file='annotations/Sub1_train.json')
)
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/Sub1_test.json',
        bbox_file=None,
        filter_cfg=None,
    )
)
test_dataloader = val_dataloader

val_evaluator = dict(
    _delete_=True,
    type='JhmdbPCKAccuracy',
    thr=0.2,
    norm_item=['bbox', 'torso'],
    prefix='jhmdb',
)
test_evaluator = val_evaluator
