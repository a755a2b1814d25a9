"""projects/benchmark: what its tables say must be what the model has and does."""

import json
from pathlib import Path

import pytest
import torch
from benchmark_scripts import load_script
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
STEPS, HYPOTHESES = [1, 2], [1, 3]


cost = load_script('cost')


@pytest.fixture(scope='module')
def rows(small_config):
    measured = cost.measure(small_config, 2, STEPS, HYPOTHESES, repeats=2, min_seconds=0.0)
    return {row['part']: row for row in measured}


def test_every_part_is_measured(rows):
    assert set(rows) == {
        'backbone, 3 frames',
        'backbone, 1 frame',
        'ViTPose, 1 frame',
        'STRL',
        'decoder: prepare',
        *(f'decoder: one call, N={n}' for n in HYPOTHESES),
        *(f'heatmaps to keypoints, N={n}' for n in HYPOTHESES),
        *(f'whole, S={s} N={n}' for s in STEPS for n in HYPOTHESES),
        'whole, S=2 N=1 (in one pass)',
    }
    for name, row in rows.items():
        assert row['seconds'] > 0 and row['to_backbone'] > 0 and row['to_vitpose'] > 0, name
        assert row['spread'][0] <= row['to_backbone'] <= row['spread'][1], name
        assert row['repeats'] == 2


def test_ratios_are_to_the_named_parts(rows):
    assert rows['backbone, 3 frames']['to_backbone'] == 1
    assert rows['ViTPose, 1 frame']['to_vitpose'] == 1


def test_whole_contains_backbone_and_neck(rows):
    for name, row in rows.items():
        if name.startswith('whole') and 'pass' not in name:
            assert row['to_backbone'] > 1, name


def test_parameters_add_up_to_the_model(small_config, rows):
    model, vitpose_head = cost.build_models(small_config)
    total = sum(p.numel() for p in model.parameters())
    parts = ('backbone, 3 frames', 'STRL', 'decoder: prepare', 'decoder: one call, N=1')
    assert sum(rows[name]['parameters'] for name in parts) == total
    assert rows['whole, S=1 N=3']['parameters'] == total
    assert rows['ViTPose, 1 frame']['parameters'] == (
        sum(p.numel() for p in model.backbone.parameters())
        + sum(p.numel() for p in vitpose_head.parameters())
    )


def test_parameters_of_prepare_are_those_it_uses(small_config):
    model, vitpose_head = cost.build_models(small_config)
    decoder = model.head.pose_decoder
    prepared = decoder.prepare(torch.randn(1, 24, 4, 3))
    sum(p.projected.sum() for p in prepared).backward()
    used = sum(p.numel() for p in decoder.parameters() if p.grad is not None)
    assert cost.count_parameters(model, vitpose_head)['prepare'] == used


def test_whole_flops_are_those_of_its_parts(rows):
    once = sum(rows[name]['flops'] for name in ('backbone, 3 frames', 'STRL', 'decoder: prepare'))
    for s in STEPS:
        for n in HYPOTHESES:
            call = rows['decoder: one call, N=1']['flops']
            assert call > 0
            assert rows[f'whole, S={s} N={n}']['flops'] == once + s * n * call


@pytest.mark.parametrize('steps, hypotheses', [(1, 1), (2, 3)])
def test_whole_flops_are_those_of_a_real_pass(small_config, rows, steps, hypotheses):
    """The sum must hold for the model as it runs, or the table tells of another model."""
    model, vitpose_head = cost.build_models(small_config)
    with torch.no_grad():
        parts = cost.make_parts(
            model, vitpose_head, (48, 64), 2, [(steps, hypotheses)], torch.device('cpu')
        )
        name = f'whole, S={steps} N={hypotheses}'
        flops = cost.count_flops(parts[name + ' (in one pass)'])
    assert flops == 2 * rows[name]['flops']


def test_flops_of_layers_known_in_closed_form():
    """Two for each multiply-add, attention included, which counters leave out on CPUs."""
    linear, conv = nn.Linear(5, 7), nn.Conv2d(3, 4, 3, padding=1, stride=2)
    query = torch.randn(2, 3, 11, 8)
    with torch.no_grad():
        assert cost.count_flops(lambda: linear(torch.randn(6, 5))) == 2 * 6 * 5 * 7
        assert cost.count_flops(lambda: conv(torch.randn(2, 3, 8, 6))) == 2 * 2 * 4 * 12 * 3 * 9
        assert (
            cost.count_flops(
                lambda: nn.functional.scaled_dot_product_attention(query, query, query)
            )
            == 2 * 2 * (2 * 3) * 11 * 11 * 8
        )


def test_ratios_survive_a_machine_that_slows_down():
    """Medians of ratios, not ratios of medians: a drift common to all parts cancels."""
    now = [0.0]

    def part(cost_of_part):
        def run():
            now[0] += cost_of_part * (1 + now[0] / 20)

        return run

    parts = {'backbone': part(1.0), 'half': part(0.5)}
    results = cost.time_parts(
        parts, 'backbone', 9, torch.device('cpu'), clock=lambda: now[0], min_seconds=0
    )
    seconds = [times['backbone'] for times in results]
    assert max(seconds) > 1.5 * min(seconds)
    for times in results:
        assert times['half'] / times['backbone'] == pytest.approx(0.5, rel=0.03)


def test_time_limit_leaves_three_repeats():
    results = cost.time_parts(
        {'a': lambda: None}, 'a', 10, torch.device('cpu'), min_seconds=0, max_seconds=-1
    )
    assert len(results) == 3


def test_command_line_prints_and_writes_the_same_table(small_config, tmp_path, capsys):
    config = tmp_path / 'small.py'
    small_config.dump(config)
    cost.main(
        [
            str(config),
            '--batch-sizes',
            '1',
            '--steps',
            '1',
            '--hypotheses',
            '1',
            '--repeats',
            '1',
            '--min-seconds',
            '0',
            '--amp',
            'bf16',
            '--json',
            str(tmp_path / 'cost.json'),
            '--markdown',
            str(tmp_path / 'cost.md'),
        ]
    )
    printed = capsys.readouterr().out
    assert printed.strip() == (tmp_path / 'cost.md').read_text().strip()
    written = json.loads((tmp_path / 'cost.json').read_text())
    assert written['run']['precision'] == 'autocast bf16'
    (case,) = written['cases']
    assert (case['input_size'], case['batch']) == ([48, 64], 1)
    for row in case['rows']:
        assert f'| {row["part"]} ' in printed


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['--steps', '0'], '--steps must be at least 1'),
        (['--repeats', '0'], '--repeats must be at least 1'),
        (['--device', 'cuda', '--clock', 'cpu'], 'use --clock wall'),
    ],
)
def test_arguments_that_cannot_be_measured_are_refused(arguments, message, capsys):
    with pytest.raises(SystemExit):
        cost.parse_args(arguments)
    assert message in capsys.readouterr().err
