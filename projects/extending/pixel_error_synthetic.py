"""The demo with the metric of pixel_error.py beside AP; the best checkpoint goes by it."""

_base_ = ['../../configs/diffpose_synthetic.py']

custom_imports = dict(imports=['pixel_error'])

val_evaluator = [_base_.val_evaluator, dict(type='PixelError')]
test_evaluator = val_evaluator

# 'error' is a word that says that less is better; for others there is rule='less'.
default_hooks = dict(checkpoint=dict(save_best='pixels/error'))
