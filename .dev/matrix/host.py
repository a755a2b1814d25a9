"""The cell of a host that has torch, numpy, scipy and pillow, and no package index.

The host is played by a virtual environment that has these alone. `.dev/wheels.sh` collects what is
missing, `install.sh` installs it from the folder, with the index cut off. What only the tests need
comes from the index afterwards.
"""

import os
import shutil
import subprocess
import time

# As on the GPU host that was at hand (a container of NVIDIA's with CUDA 13).
HAS = ('torch==2.11.0', 'torchvision==0.26.0', 'numpy==2.5.2', 'scipy', 'pillow', 'setuptools<81')


def set_up(cell, step, python):
    """Make host and wheels, and install; returns what is to be remembered.

    Args:
        cell: Whose folder and `run` are used; its `venv` is the one that install.sh makes.
        step: Its name.
        python: The interpreter of the host.
    """
    host, wheels = cell.folder / 'host', cell.venv.parent
    for folder in (host, wheels):
        shutil.rmtree(folder, ignore_errors=True)
    cell.run(step, python, '-m', 'venv', host)
    cell.run(step, host / 'bin/python', '-m', 'pip', 'install', '-q', *HAS)
    (site,) = host.glob('lib/python3.*/site-packages')
    start = time.monotonic()
    cell.run(step, 'bash', '.dev/wheels.sh', wheels, cell.python, PATH=path_with(host))
    cell.run(
        step, 'bash', wheels / 'install.sh', PATH=path_with(host), PYTHONPATH=str(site),
        PIP_NO_INDEX='1',
    )  # fmt: skip
    seconds = round(time.monotonic() - start)
    # A virtual environment in another one does not see its packages as those of a system.
    (own,) = cell.venv.glob('lib/python3.*/site-packages')
    (own / 'host.pth').write_text(f'{site}\n')
    tests = ('install', '-q', '-r', 'requirements/tests.txt')
    cell.run(step, cell.venv / 'bin/python', '-m', 'pip', *tests)
    size = subprocess.check_output(['du', '-sm', wheels], text=True).split()[0]
    return dict(seconds=seconds, megabytes=int(size), load=round(os.getloadavg()[1], 1))


def path_with(host):
    """A PATH on which the host's Python comes first."""
    return f'{host}/bin:{os.environ["PATH"]}'
