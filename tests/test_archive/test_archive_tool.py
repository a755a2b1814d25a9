"""The command line of archives, with a real model in real workers."""

import json

import pytest
from apis_helpers import moving_frames, tool_arguments, write_tiny
from archive_cases import write_mp4

from diffpose_mm.tools import archive


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('videos')
    for number, count in enumerate((30, 9)):
        write_mp4(folder / f'{number}.mp4', moving_frames(count))
    (folder / '2.mp4').write_bytes(b'nothing')
    return folder


def test_a_folder_is_posed_by_workers_and_gone_on_with(videos, tmp_path, capsys):
    """Broken if the tool did not give its options to workers, or the exit status hid a failure."""
    model = write_tiny(tmp_path)
    arguments = tool_arguments(model, videos, '--out', tmp_path / 'out', '--stretch', 10)
    arguments += ['--workers', '2', '--streaming', '--batch-size', '2', '--json']
    assert archive.main([*arguments, '--dry-run']) is None
    plan = capsys.readouterr().out
    assert '0.mp4: 30 frames, 120x90, 10.00 frames/s, 3.0 s, ' in plan and '3 pieces' in plan
    assert '2 videos, 39 frames, 4 s of video' in plan and '2.mp4 failed' in plan
    assert not (tmp_path / 'out/poses').exists()

    with pytest.raises(SystemExit) as left:
        archive.main(arguments)
    assert left.value.code == archive.SOME_FAILED
    told = capsys.readouterr().out
    assert '2 of 3 videos posed, 1 failed; 39 frames, 39 people' in told
    report = json.loads((tmp_path / 'out/report.json').read_text())
    assert (report['done'], report['workers'], report['pool']) == (2, 2, 'local')
    assert len(list((tmp_path / 'out/json').glob('*.json'))) == 2

    with pytest.raises(SystemExit, match='3'):
        archive.main(arguments)
    assert '0 of 3 videos posed, 2 were there, 1 failed' in capsys.readouterr().out
    (videos / '3.mp4').write_bytes((videos / '1.mp4').read_bytes())
    with pytest.raises(SystemExit, match=r"is of another run \(mode: 'offline' then, 'causal' now"):
        archive.main([*arguments, '--mode', 'causal'])


def test_what_is_wrong_is_said_before_any_worker_begins(videos, tmp_path, monkeypatch):
    """Broken if a slip on the command line cost the start of a cluster, or made a folder `s3:`."""
    monkeypatch.chdir(tmp_path)
    for arguments, message in (
        (['--config', 'no_such'], 'no_such'),
        (['--batch-size', '0'], 'batch_size=0'),
        (['--out', 's3://bucket/poses'], '--out s3://bucket/poses is an address: give a folder'),
        (['--streaming', '--use-oks-tracking', '--config', 'diffpose_real'], 'use_oks_tracking'),
    ):
        with pytest.raises(SystemExit, match=message):
            archive.main([str(videos), '--out', str(tmp_path / 'out'), *arguments])
    assert list(tmp_path.iterdir()) == []
