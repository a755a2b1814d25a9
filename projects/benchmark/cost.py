"""What DiffPose costs: STRL, the decoder and S steps x N hypotheses beside their backbone.

For each config and batch size one table: time, parameters and FLOPs of every part, and its time
as a ratio to the backbone on the clip's T frames and to one single-frame ViTPose. README.md beside
this file says what is measured and holds the results.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from parts import (
    BACKBONE,
    CALL,
    FRAME,
    NECK,
    ONE_PASS,
    PREPARE,
    VITPOSE,
    WHOLE,
    build_models,
    count_flops,
    count_parameters,
    make_parts,
)
from timing import AMP, CLOCKS, autocast, describe_run, quartiles, time_parts

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = [
    'diffpose_posetrack18.py',
    'diffpose_posetrack18_vit-s.py',
    'diffpose_posetrack18_384x288.py',
]


def measure(
    cfg: Config,
    batch: int,
    steps: Sequence[int],
    hypotheses: Sequence[int],
    repeats: int,
    device: str = 'cpu',
    amp: str | None = None,
    compiled: bool = False,
    **timing,
) -> list[dict]:
    """Measure one config at one batch size.

    Args:
        cfg: A config of the package with neck and diffusion head.
        batch: Clips in a batch.
        steps: Values of S.
        hypotheses: Values of N.
        repeats: Number of repeats.
        device: Of torch.
        amp: 'bf16' or 'fp16' for autocast, or None.
        compiled: Whether torch.compile is used.
        **timing: Further arguments of :func:`time_parts`.

    Returns:
        list[dict]: A row for each part. ``parameters``; ``flops`` of one clip; ``seconds`` of the
        batch, ``to_backbone`` and ``to_vitpose``: medians over the repeats, ratios being taken
        within each; ``spread``: the quartiles of ``to_backbone``.
    """
    init_default_scope('mmpose')
    torch.manual_seed(0)
    device = torch.device(device)
    model, vitpose_head = (m.to(device) for m in build_models(cfg))
    codec = cfg.model.head.decoder
    own = model.head.check_test_cfg(cfg.model.get('test_cfg') or {})
    own = (own['sampling_steps'], own['num_hypotheses'])
    settings = [own, *((s, n) for n in hypotheses for s in steps if (s, n) != own)]

    def in_mode(function: Callable[[], object]) -> Callable[[], object]:
        def run() -> None:
            with torch.no_grad(), autocast(device, amp):
                function()

        return run

    with torch.no_grad(), autocast(device, amp):
        parts = make_parts(model, vitpose_head, codec.input_size, batch, settings, device)
    parts = {name: in_mode(function) for name, function in parts.items()}
    reference = BACKBONE.format(model.neck.num_frames)

    parameters = count_parameters(model, vitpose_head)
    flops = {
        name: count_flops(parts[name]) // batch
        for name in (FRAME, VITPOSE, reference, NECK, PREPARE, CALL.format(1))
    }
    if compiled:
        for module in (model.backbone, model.neck, vitpose_head):
            module.compile()
        decoder = model.head.pose_decoder
        decoder.prepare = torch.compile(decoder.prepare)
        decoder.denoise = torch.compile(decoder.denoise)

    repeated = time_parts(parts, reference, repeats, device, **timing)
    for times in repeated:
        for s, n in settings:
            # All settings share the features of the repeat, which are most of their cost.
            times[WHOLE.format(s, n)] += times[reference] + times[NECK]

    parameters = {
        reference: parameters['backbone'],
        FRAME: parameters['backbone'],
        VITPOSE: parameters['vitpose'],
        NECK: parameters['neck'],
        PREPARE: parameters['prepare'],
        **{CALL.format(n): parameters['call'] for _, n in [(1, 1), *settings]},
        **{WHOLE.format(s, n): parameters['whole'] for s, n in settings},
    }
    once = flops[reference] + flops[NECK] + flops[PREPARE]
    for s, n in settings:
        flops[CALL.format(n)] = n * flops[CALL.format(1)]
        flops[WHOLE.format(s, n)] = once + s * n * flops[CALL.format(1)]

    rows = []
    for name in [*list(parts)[: -len(settings)], *(WHOLE.format(*s) for s in sorted(settings))]:
        to_backbone = [times[name] / times[reference] for times in repeated]
        to_vitpose = [times[name] / times[VITPOSE] for times in repeated]
        plain = name.removesuffix(ONE_PASS)
        rows.append(
            dict(
                part=name,
                parameters=parameters.get(plain, 0),
                flops=flops.get(plain, 0),
                seconds=statistics.median(times[name] for times in repeated),
                to_backbone=statistics.median(to_backbone),
                spread=quartiles(to_backbone),
                to_vitpose=statistics.median(to_vitpose),
                repeats=len(repeated),
            )
        )
    return rows


def format_table(rows: list[dict]) -> str:
    """Markdown, aligned so that it reads as text too."""
    head = ['part', 'params (M)', 'GFLOPs', 'ms', 'x backbone', 'quartiles', 'x ViTPose']
    cells = [head, ['-' * len(head[0]), *('-' * (len(h) - 1) + ':' for h in head[1:])]]
    for row in rows:
        low, high = row['spread']
        cells.append(
            [
                row['part'],
                f'{row["parameters"] / 1e6:.2f}' if row['parameters'] else '',
                f'{row["flops"] / 1e9:.2f}' if row['flops'] else '',
                f'{row["seconds"] * 1e3:.1f}',
                f'{row["to_backbone"]:.4f}',
                f'{low:.4f} {high:.4f}',
                f'{row["to_vitpose"]:.3f}',
            ]
        )
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    return '\n'.join(
        '| '
        + line[0].ljust(widths[0])
        + ' | '
        + ' | '.join(c.rjust(w) for c, w in zip(line[1:], widths[1:]))
        + ' |'
        for line in cells
    )


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        'configs',
        nargs='*',
        help='configs with STRL and diffusion head; none given: ViT-S and '
        'ViT-B on PoseTrack18 at 256x192 and 384x288',
    )
    parser.add_argument('--batch-sizes', type=int, nargs='+', default=[1, 8])
    parser.add_argument('--steps', type=int, nargs='+', default=[1, 2, 4, 10], metavar='S')
    parser.add_argument('--hypotheses', type=int, nargs='+', default=[1, 5, 10], metavar='N')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--threads', type=int, help="of torch on the CPU; none given: torch's own")
    parser.add_argument('--amp', choices=list(AMP), help='autocast to this format')
    parser.add_argument('--compile', action='store_true', help='with torch.compile')
    parser.add_argument('--repeats', type=int, default=10)
    parser.add_argument(
        '--min-seconds',
        type=float,
        default=0.2,
        help='a quicker part is called several times until it has taken so long',
    )
    parser.add_argument(
        '--max-seconds',
        type=float,
        default=300,
        help='start no further repeat of a config and batch size after so long (three are made)',
    )
    parser.add_argument(
        '--clock',
        choices=list(CLOCKS),
        default='wall',
        help='cpu: time of this process, all '
        'threads together; with --threads 1 the way to measure on a machine that is busy',
    )
    parser.add_argument('--json', type=Path, help='also write all numbers to this file')
    parser.add_argument('--markdown', type=Path, help='also write the tables to this file')
    args = parser.parse_args(argv)
    if args.clock == 'cpu' and torch.device(args.device).type != 'cpu':
        parser.error('--clock cpu does not see the work of another device; use --clock wall')
    for name in ('batch_sizes', 'steps', 'hypotheses'):
        if min(getattr(args, name)) < 1:
            parser.error(f'--{name.replace("_", "-")} must be at least 1')
    if args.repeats < 1:
        parser.error('--repeats must be at least 1')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables."""
    args = parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    run, text = describe_run(args), []

    def emit(block: str) -> None:
        print(block + '\n', flush=True)
        text.append(block)

    emit(', '.join(f'{key} {value}' for key, value in run.items()))
    cases = []
    for batch in args.batch_sizes:
        for path in args.configs or [ROOT / 'configs' / name for name in CONFIGS]:
            cfg = Config.fromfile(path)
            width, height = cfg.model.head.decoder.input_size
            title = f'{Path(path).stem}: {height}x{width}, batch {batch}'
            begin = time.perf_counter()
            rows = measure(
                cfg,
                batch,
                args.steps,
                args.hypotheses,
                args.repeats,
                args.device,
                args.amp,
                args.compile,
                clock=CLOCKS[args.clock],
                min_seconds=args.min_seconds,
                max_seconds=args.max_seconds,
                progress=lambda line, title=title: print(
                    f'\r\033[K{title}: {line}', end='', file=sys.stderr, flush=True
                ),
            )
            print('\r\033[K', end='', file=sys.stderr, flush=True)
            load = round(os.getloadavg()[0], 2)
            cases.append(
                dict(
                    config=Path(path).name,
                    input_size=[width, height],
                    batch=batch,
                    load=load,
                    rows=rows,
                )
            )
            emit(
                f'**{title}** ({rows[0]["repeats"]} repeats, '
                f'{time.perf_counter() - begin:.0f} s, load {load})\n\n{format_table(rows)}'
            )
            if args.json:
                args.json.write_text(json.dumps(dict(run=run, cases=cases), indent=1) + '\n')
            if args.markdown:
                args.markdown.write_text('\n\n'.join(text) + '\n')


if __name__ == '__main__':
    main()
