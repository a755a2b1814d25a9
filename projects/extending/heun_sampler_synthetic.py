"""The demo with the sampler of heun_sampler.py: a setting of the test, any checkpoint serves."""

_base_ = ['../../configs/diffpose_synthetic.py']

custom_imports = dict(imports=['heun_sampler'])

model = dict(test_cfg=dict(sampler='heun', sampling_steps=3))
