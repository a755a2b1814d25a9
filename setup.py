"""Builds and installs diffpose_mm.

Configs and the model index go where mim looks for them, `diffpose_mm/.mim`. A wheel gets copies.
An editable install gets, in site-packages, short files that lead to the ones in the working
tree: mim looks for `site-packages/diffpose_mm` whatever the editable install says, and would
find nothing there. Both get the .pth file that has the stand-ins found when Python starts.
"""

import base64
import csv
import hashlib
import io
import shutil
import zipfile
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

ROOT = Path(__file__).resolve().parent
PACKAGE = 'diffpose_mm'
RUNTIME = f'{PACKAGE}_runtime'
STAND_INS = f'{PACKAGE}_stand_ins'
PTH = f'{STAND_INS}.pth'


def read_version():
    """The version, without importing the package and with it torch."""
    scope = {}
    exec((ROOT / PACKAGE / 'version.py').read_text(encoding='utf-8'), scope)
    return scope['__version__']


def read_requirements(name):
    """The requirement lines of requirements/`name`.txt."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8').splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith('#')]


def mim_files():
    """Files that mim finds in `.mim`, as paths relative to the repository."""
    files = [Path('model-index.yml')]
    for pattern in ('*.py', '*.yml'):
        files += [path.relative_to(ROOT) for path in (ROOT / 'configs').rglob(pattern)]
    return sorted(files)


class BuildPy(build_py):
    """Copies configs and model index into the built package."""

    def run(self):
        """Build, then add the `.mim` folder."""
        if getattr(self, 'editable_mode', False):
            super().run()
            return
        # A build folder left by an earlier install may hold modules and configs deleted since.
        for package in (PACKAGE, RUNTIME, STAND_INS):
            shutil.rmtree(Path(self.build_lib, package), ignore_errors=True)
        super().run()
        for file in mim_files():
            target = Path(self.build_lib, PACKAGE, '.mim', file)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / file, target)
        shutil.copyfile(ROOT / STAND_INS / PTH, Path(self.build_lib, PTH))


class EditableWheel(editable_wheel):
    """Adds the `.mim` folder to the wheel of an editable install."""

    def run(self):
        """Build the wheel, then rewrite it with the additional files."""
        super().run()
        for wheel in Path(self.dist_dir).glob(f'{PACKAGE}-*editable*.whl'):
            files = dict(editable_mim_files())
            files[PTH] = (ROOT / STAND_INS / PTH).read_bytes()
            add_to_wheel(wheel, files)
        # Left here, it would make `python -m mim`, run in this folder, miss the configs.
        shutil.rmtree(ROOT / f'{PACKAGE}.egg-info', ignore_errors=True)


def editable_mim_files():
    """Names in the wheel and contents: tools that run, and configs that inherit, the real ones."""
    for file in mim_files():
        content = (ROOT / file).read_bytes()
        if file.suffix == '.py':
            content = f'_base_ = [{str(ROOT / file)!r}]\n'.encode()
        yield f'{PACKAGE}/.mim/{file.as_posix()}', content
    for tool in sorted((ROOT / PACKAGE / 'tools').glob('*.py')):
        if tool.name != '__init__.py':
            code = (
                'import runpy\n\n'
                "if __name__ == '__main__':\n"
                f"    runpy.run_path({str(tool)!r}, run_name='__main__')\n"
            )
            yield f'{PACKAGE}/.mim/tools/{tool.name}', code.encode()


def add_to_wheel(wheel, files):
    """Rewrite `wheel` with `files` (name: bytes) added and entered in its RECORD."""
    with zipfile.ZipFile(wheel) as archive:
        content = {info.filename: archive.read(info) for info in archive.infolist()}
    record = next(name for name in content if name.endswith('.dist-info/RECORD'))
    rows = [row for row in csv.reader(io.StringIO(content.pop(record).decode())) if row]
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()
        rows.append([name, f'sha256={digest}', str(len(data))])
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(rows)
    with zipfile.ZipFile(wheel, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**files, **content, record: text.getvalue().encode()}.items():
            archive.writestr(name, data)


setup(
    name=PACKAGE,
    version=read_version(),
    description='DiffPose: video human pose estimation by diffusion, as an MMPose plugin',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8')
    if (ROOT / 'README.md').exists()
    else '',
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    keywords='computer vision, human pose estimation, video, diffusion model',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Operating System :: OS Independent',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
    ],
    python_requires='>=3.10',
    # With '' named here, an editable install puts the repository itself on the path. The other
    # way, an import hook, would come second to the folder that EditableWheel adds.
    package_dir={'': '.'},
    packages=find_packages(exclude=('configs*', 'projects*', 'tests*', 'work_dirs*', 'build*')),
    package_data={
        PACKAGE: ['py.typed'],
        f'{PACKAGE}.report': ['assets/*', 'assets/uplot/*'],
        f'{PACKAGE}.shipped': ['*.safetensors', '*.log', 'LICENSE', 'NOTICE', 'README.md'],
    },
    install_requires=read_requirements('runtime'),
    extras_require={
        'tests': read_requirements('tests'),
        'tracking': read_requirements('optional'),
        'export': read_requirements('export'),
        'hub': read_requirements('hub'),
        'interchange': read_requirements('interchange'),
        'transformers': read_requirements('transformers'),
        'archive': read_requirements('archive'),
        'ray': read_requirements('ray'),
    },
    cmdclass={'build_py': BuildPy, 'editable_wheel': EditableWheel},
    zip_safe=False,
)
