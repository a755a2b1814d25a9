"""Plan and report in words."""

from collections.abc import Iterator, Sequence

from .output import Output
from .plan import Plan
from .progress import clock
from .run import Report


def plan_lines(
    plans: Sequence[Plan], output: Output, stretch: int, batch_size: int, with_json: bool
) -> Iterator[str]:
    """A line a video, and one of all."""
    frames = 0
    seconds = 0.0
    for plan in plans:
        entry = plan.entry
        pieces = len(plan.edges(stretch, batch_size))
        frames, seconds = frames + plan.frames, seconds + (plan.duration or 0)
        rate = '? frames/s' if plan.fps is None else f'{plan.fps:.2f} frames/s'
        rate += '' if plan.duration is None else f', {plan.duration:.1f} s'
        cut = '1 piece' if pieces == 1 else f'{pieces} pieces'
        if pieces > 1 and plan.from_start:
            cut += f', each decoded from the start ({plan.from_start})'
        state = 'done' if output.is_done(plan, with_json) else cut
        yield (
            f'{entry.name}: {plan.frames} frames, {plan.width}x{plan.height}, {rate}, '
            f'{plan.content["bytes"]} bytes, {plan.content["digest"]}, {state}'
        )
    yield f'{len(plans)} videos, {frames} frames, {clock(seconds)} of video'


def report_lines(report: Report, folder: str) -> Iterator[str]:
    """What came of a run."""
    text = f'{report.done} of {report.videos} videos posed'
    if report.before:
        text += f', {report.before} were there'
    if report.failed:
        text += f', {len(report.failed)} failed'
    seconds = max(report.seconds, 1e-9)
    yield (
        f'{text}; {report.frames} frames, {report.people} people in {clock(report.seconds)}: '
        f'{report.frames / seconds:.1f} frames/s, '
        f'{report.video_seconds / seconds:.2f} s of video a second'
    )
    yield (
        f'{report.workers} workers ({report.pool}), {report.cpu_seconds / seconds:.2f} processors '
        f'busy{f", {report.deaths} workers died" if report.deaths else ""}; written: {folder}'
    )
    if report.faults:
        yield f'{report.faults} frames could not be read and are gaps'
    for path, reason in report.failed.items():
        kind = 'quarantined (--retry tries it again)' if path in report.quarantined else 'failed'
        yield f'{kind}: {path}: {reason}'
