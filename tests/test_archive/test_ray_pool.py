"""Workers on Ray: what a run asks of them, and what it does when they end."""

import importlib.util
import logging
import os
import sys
import time

import pytest
from archive_cases import FACTORY, PROJECT, pictures, run_archive, table, write_mp4
from fake_ray import FakeRay

from diffpose_mm.archive import ray_pool
from diffpose_mm.archive.engine import EngineSource
from diffpose_mm.archive.manifest import read_entries
from diffpose_mm.archive.ray_pool import RayPool
from diffpose_mm.archive.units import Death, Unit

SOURCE = EngineSource(FACTORY, {})
PATIENCE = 300
"""Seconds, after which Ray is held to hang."""
real = pytest.param(
    'real',
    marks=pytest.mark.skipif(
        importlib.util.find_spec('ray') is None, reason='Ray is not installed'
    ),
)


def use_fake(monkeypatch, **options):
    """Have pools find a fake in place of Ray."""
    fake = FakeRay(**options)
    monkeypatch.setattr(ray_pool, 'needed', lambda *modules: [fake])
    return fake


def until(pool, ready):
    """Wait until something holds; gives what was answered."""
    answers, deadline = [], time.monotonic() + PATIENCE
    while not ready(answers):
        assert time.monotonic() < deadline, 'Ray does not answer'
        answers += pool.wait(1.0)
    return answers


@pytest.mark.parametrize('ray', ['fake', real])
def test_an_archive_on_ray_is_that_of_this_process(tmp_path, monkeypatch, ray):
    """Broken if actors lost a unit when they die, kept what they are told, or the cluster stayed.

    Or if the fake, on which the other tests stand, were not like Ray.
    """
    for name, count in dict(a=40, b=11).items():
        write_mp4(tmp_path / f'{name}.mp4', pictures(count, seed=ord(name)))
    entries = read_entries([str(tmp_path)])
    run_archive(entries, tmp_path / 'here', stretch=12)
    # Ray's workers give way to whatever else runs, and would begin last where other tests do.
    monkeypatch.setenv('RAY_worker_niceness', '0')
    # They import what this process imports: the package, and the engine of the project.
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(PROJECT.parents[1]), *sys.path]))
    if ray == 'fake':
        use_fake(monkeypatch)
    pool = RayPool(SOURCE, 'local', workers=1, threads=1)
    module = pool._ray
    try:
        assert (len(pool), module.is_initialized()) == (1, True)
        assert until(pool, lambda answers: pool.idle()) == []
        unit = Unit('plan', 'plan', entries[0], work=str(tmp_path / 'work'))
        pool.give(unit)
        assert pool.idle() == 0
        module.kill(pool._slots[0].actor)
        assert until(pool, bool) == [(unit, Death())]
        assert until(pool, lambda answers: pool.idle()) == []
        pool.give(None)
        ((asked, answer),) = until(pool, bool)
        assert asked is None and answer.status == 'done', answer.reason
        assert answer.found['settings'].batch_size == 3
        pool.give(unit)
        ((asked, answer),) = until(pool, bool)
        assert asked == unit and answer.found.frames == 40
        report = run_archive(entries, tmp_path / 'ray', pool=pool, stretch=12)
    finally:
        pool.close()
    assert not module.is_initialized()
    assert (report.done, report.deaths, report.pool) == (2, 0, 'ray')
    for entry in entries:
        assert table(tmp_path / 'ray', entry.key) == table(tmp_path / 'here', entry.key)


@pytest.mark.parametrize(
    'resources, arguments, count, options',
    [
        (dict(CPU=16.0), {}, 8, dict(num_cpus=1.0, num_gpus=0)),
        (dict(CPU=2.0), dict(workers=2, threads=1), 2, dict(num_cpus=0.75, num_gpus=0)),
        (dict(CPU=16.0, GPU=4.0), dict(gpus=0.5), 8, dict(num_cpus=1.0, num_gpus=0.5)),
        (dict(CPU=64.0, GPU=4.0), dict(gpus=1), 4, dict(num_cpus=2.0, num_gpus=1)),
    ],
)
def test_workers_fit_into_the_cluster_and_leave_room(
    monkeypatch, resources, arguments, count, options
):
    """Broken if actors asked for the last processor and waited for it for ever, or were retried."""
    fake = use_fake(monkeypatch, resources=resources)
    pool = RayPool(SOURCE, 'local', **arguments)
    assert len(pool) == count
    never = dict(max_restarts=0, max_task_retries=0)
    assert fake.options == [dict(options, **never)] * count
    assert count * options['num_cpus'] < resources['CPU']
    pool.close()
    assert len(fake.killed) == count


def test_a_cluster_that_is_not_there_or_has_no_gpus_is_named(monkeypatch):
    """Broken if somebody without a cluster met a traceback of Ray, or a run that waits."""
    fake = use_fake(monkeypatch)
    with pytest.raises(ValueError, match=r'--ray auto: no cluster answers \(Could not.*ray start'):
        RayPool(SOURCE, 'auto')
    with pytest.raises(ValueError, match='--gpus-per-model 1: the cluster has 0 GPUs'):
        RayPool(SOURCE, 'local', gpus=1)
    assert not fake.options and not fake.begun


def test_a_cluster_of_somebody_else_is_not_ended(monkeypatch):
    """Broken if an archive in a process that uses Ray for more took Ray away from it."""
    fake = use_fake(monkeypatch)
    fake.begun = True
    RayPool(SOURCE, 'local').close()
    assert fake.begun and len(fake.killed) == 1


def test_workers_that_cannot_begin_end_the_run_with_the_reason(monkeypatch):
    """Broken if a node without the package had actors begun for ever, without a word."""
    fake = use_fake(monkeypatch, broken="No module named 'diffpose_mm'")
    pool = RayPool(SOURCE, 'local', workers=1)
    with pytest.raises(
        ValueError, match=r"installed on all nodes\?.*No module named 'diffpose_mm'"
    ):
        until(pool, lambda answers: False)
    assert len(fake.options) == ray_pool.MAX_STARTS


def test_a_cluster_without_room_is_told_of_after_a_minute(monkeypatch):
    """Broken if actors that wait for room looked like a run that works, or the log were flooded."""
    use_fake(monkeypatch, full=True)
    said = []
    monkeypatch.setattr(ray_pool, 'print_log', lambda *told: said.append(told))
    pool = RayPool(SOURCE, 'local', workers=1)
    for _ in range(59):
        assert pool.wait(1.0) == [] and not said
    for _ in range(100):
        pool.wait(1.0)
    ((text, _, level),) = said
    assert 'no worker has begun for a minute' in text and level == logging.WARNING
