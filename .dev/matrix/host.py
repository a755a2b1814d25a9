"""A machine that has Python and torch but no package index: what .dev/wheels.sh collects must do.

The machine is a copy of the Python, with nothing in it but what such hosts come with, in releases
that are not those of the wheels; pip is told that there is no index. No GPU is in it.
"""

import os
import shutil
import time
from pathlib import Path

# What the host has before anything of ours.
HOST = (
    'torch==2.11.0',
    'torchvision==0.26.0',
    'numpy==2.5.2',
    'scipy',
    'pillow',
    'setuptools<82',
    'wheel',
)


class HostSetup:
    """How a host is set up: `cold` collects the wheels too, `setup` installs alone."""

    @property
    def wheels(self):
        """Where the wheels are; the environment stands among them."""
        return self.folder / 'wheels'

    def set_up(self, step):
        """The host if need be, then the wheels; what the host has is not in the time."""
        host = self.folder / 'host'
        if not (host / 'whole').exists():
            self.make_host(host)
        shutil.rmtree(self.venv, ignore_errors=True)
        start = time.monotonic()
        if step == 'cold' or not (self.wheels / 'install.sh').exists():
            shutil.rmtree(self.wheels, ignore_errors=True)
            self.run('wheels', 'bash', '.dev/wheels.sh', self.wheels, self.python, TESTS='1')
            if step == 'setup':
                start = time.monotonic()
        self.install(step)
        seconds = round(time.monotonic() - start)
        size = sum(path.stat().st_size for path in self.wheels.glob('*.whl')) // 2**20
        return dict(seconds=seconds, megabytes=size, load=round(os.getloadavg()[1], 1))

    def make_host(self, host):
        """Copy the Python, bare, and give it what the host has."""
        shutil.rmtree(host, ignore_errors=True)
        source = Path(os.path.realpath(self.find_python(self.python))).parents[1]
        bare = shutil.ignore_patterns('site-packages', 'test', 'idlelib')
        shutil.copytree(source, host, symlinks=True, ignore=bare)
        python = host / 'bin' / f'python{self.python}'
        self.run('host', python, '-m', 'ensurepip')
        self.run('host', python, '-m', 'pip', 'install', '-q', *HOST)
        (host / 'whole').touch()

    def install(self, step):
        """DIR/install.sh with the host's Python first on the path and no index."""
        path = f'{self.folder / "host/bin"}:{os.environ["PATH"]}'
        self.run(step, 'env', f'PATH={path}', 'bash', self.wheels / 'install.sh', PIP_NO_INDEX='1')

    def again(self):
        """What an install takes that has nothing to do."""
        start = time.monotonic()
        self.install('again')
        return dict(seconds=round(time.monotonic() - start, 1))
