#!/usr/bin/env bash
# Sets up everything in .venv: `make setup`, `make demo` and `make test` call it first.
#
# Each step leaves a stamp in .venv/stamps, keyed by the requirements, this script, the Python
# version and the folder, so that a finished set-up is recognised at once and an interrupted one
# goes on where it stopped. The compiled mmcv is kept outside the clone, for the next one.
#
# Environment: PYTHON          the interpreter to use (default python3.11)
#              DIFFPOSE_CACHE  where compiled wheels are kept (default ~/.cache/diffpose_mm)
#              MMCV_CUDA_OPS=1 compile mmcv's CUDA operators too (default: CPU operators)
#              MAX_JOBS        compilers at a time (default: by cores and memory)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$root"
venv=$root/.venv
py=$venv/bin/python
stamps=$venv/stamps
log=$venv/setup.log
build=$venv/build
mmcv_version=$(sed -n 's/^mmcv==//p' requirements/mminstall.txt)
cache=${DIFFPOSE_CACHE:-${XDG_CACHE_HOME:-${HOME:-$venv}/.cache}/diffpose_mm}
[ "${MMCV_CUDA_OPS:-0}" = 1 ] && ops=cuda || ops=cpu

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PYTHONNOUSERSITE=1
unset PYTHONPATH PYTHONHOME

say() { printf '[setup] %s\n' "$*"; }
die() {
    printf '[setup] ERROR: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '[setup]        %s\n' "$line" >&2; done
    exit 1
}

# ---- what has been done ---------------------------------------------------------------------
digest() { sha256sum | cut -c 1-16; }

python_id() { "$1" -c 'import sys; print(sys.version)' 2> /dev/null || true; }

# The names of configs and tools count, their content does not: an editable install reads the
# files themselves, but mim finds them through a list written when it was installed.
package_id() {
    cat setup.py pyproject.toml model-index.yml diffpose_mm/version.py
    { find configs diffpose_mm/tools -name '*.py' -o -name '*.yml' 2> /dev/null || true; } | LC_ALL=C sort
}

environment_key=''
package_key=''
compute_keys() {
    local version
    version=$(python_id "$py")
    [ -n "$version" ] || version=none
    environment_key=$({
        cat requirements/*.txt .dev/setup_env.sh .dev/cxx_pch.sh
        echo "$version $root $ops"
    } | digest)
    package_key=$({ package_id; echo "$environment_key"; } | digest)
}

done_with() { [ "$(cat "$stamps/$1" 2> /dev/null || true)" = "$2" ]; }
stamp() { mkdir -p "$stamps" && printf '%s\n' "$2" > "$stamps/$1.new" && mv "$stamps/$1.new" "$stamps/$1"; }

case $root in
    *[[:space:]]*) die "the path '$root' has a space in it; the compilation of mmcv fails there" \
        'clone to a folder without spaces' ;;
esac

compute_keys
if done_with package "$package_key"; then
    exit 0
fi

# One set-up at a time: a second one waits and then finds everything done.
exec 9< "${BASH_SOURCE[0]}"
if ! flock -n 9; then
    say 'another set-up of this folder is running: waiting for it'
    flock 9
    compute_keys
    if done_with package "$package_key"; then exit 0; fi
fi

# ---- running a step -------------------------------------------------------------------------
child=''
stop() {
    trap - INT TERM
    if [ -n "$child" ]; then
        kill -TERM -- "-$child" 2> /dev/null || true
        wait "$child" 2> /dev/null || true
    fi
    printf '\n[setup] interrupted; what is done is kept, the same command goes on from here\n' >&2
    exit 130
}
trap stop INT TERM

progress() { :; }

# run_step TITLE COMMAND...: runs it with its output in the log, says every half minute that it
# is alive and at the end how long it took.
run_step() {
    local title=$1 from=$SECONDS next=30 rc=0
    shift
    say "$title ..."
    printf '\n==== %s ====\n' "$title" >> "$log"
    # A process group of its own, so that an interruption reaches compilers and pip alike.
    set -m
    "$@" >> "$log" 2>&1 9>&- &
    child=$!
    set +m
    while kill -0 "$child" 2> /dev/null; do
        sleep 0.2
        if [ $((SECONDS - from)) -ge $next ]; then
            say "  $((SECONDS - from)) s, still at it$(progress)"
            next=$((next + 30))
        fi
    done
    wait "$child" || rc=$?
    child=''
    if [ $rc -ne 0 ]; then
        tail -n 25 "$log" | cut -c 1-200 >&2
        local hint='the log has the details'
        if tail -n 60 "$log" | grep -q 'No space left on device'; then
            hint='the disk is full: free some space'
        elif tail -n 60 "$log" | grep -Eqi 'connection|resolve|timed out|No matching distribution'; then
            hint='the package index could not be reached, or lacks a package: check the network'
        fi
        die "$title failed ($hint)" "log: $log" 'then run the same command again; what is done is kept'
    fi
    say "  done in $((SECONDS - from)) s"
}

# An install that was cut off can leave a package that looks installed but is not: such a one has
# no RECORD yet, because pip writes that last.
drop_half_installed() {
    local info
    for info in "$venv"/lib/python3.*/site-packages/*.dist-info; do
        if [ -d "$info" ] && [ ! -s "$info/RECORD" ]; then rm -rf "$info"; fi
    done
    # pip itself is upgraded too; cut off there, it is gone.
    "$py" -m pip --version > /dev/null 2>&1 || "$py" -m ensurepip
}

pip_install() {
    drop_half_installed
    "$py" -m pip install --progress-bar off -c requirements/constraints.txt "$@"
}

# ---- step: the virtual environment ----------------------------------------------------------
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2> /dev/null; then
            echo "$candidate"
            return
        fi
        [ -n "${PYTHON:-}" ] && break
    done
    return 1
}

# The first look, before anything is downloaded; check_compiler is the thorough one.
need_compiler() {
    compgen -G "$cache/wheels/mmcv$mmcv_version-*-$ops/mmcv-*.whl" > /dev/null ||
        command -v "${CXX:-g++}" > /dev/null ||
        die "the C++ compiler ${CXX:-g++} was not found; mmcv has to be compiled once" \
            'Debian: apt-get install g++ (or build-essential)'
}

need_disk() {
    local free
    free=$(df -Pk "$root" | awk 'NR == 2 {print int($4 / 1024)}')
    [ "$free" -ge "$1" ] || die "only $free MB free on the disk of $root, $1 MB are needed" \
        'free some space, or clone to another disk'
}

started=$SECONDS
say "setting up $venv (log: ${log#"$root"/}); nothing outside it changes but the wheel cache"

if ! done_with venv "$root"; then
    python=$(find_python) || die "Python 3.11 was not found${PYTHON:+ (PYTHON=$PYTHON)}" \
        'install it (Debian: apt-get install python3.11 python3.11-venv python3.11-dev)' \
        'or name one: make setup PYTHON=/path/to/python3.11'
    "$python" -c 'import ensurepip' 2> /dev/null || die "$python has no ensurepip" \
        'Debian: apt-get install python3.11-venv'
    need_compiler
    need_disk 9000
    # An environment someone has begun here is kept, unless it was made for another folder.
    if ! { [ -x "$venv/bin/pip" ] && [ ! -e "$stamps/venv" ] && "$py" -m pip --version > /dev/null 2>&1 &&
        head -n 1 "$venv/bin/pip" | grep -qF "$venv/"; }; then
        say 'virtual environment ...'
        "$python" -m venv --clear "$venv" || die "could not make $venv" 'remove the folder and try again'
    fi
    mkdir -p "$stamps"
    compute_keys
    stamp venv "$root"
fi

# ---- step: torch and what builds need -------------------------------------------------------
if ! done_with build "$environment_key"; then
    need_disk 3000
    run_step 'torch and build tools' pip_install pip -r requirements/build.txt
    stamp build "$environment_key"
fi

# ---- step: mmcv, compiled -------------------------------------------------------------------
torch_id=$("$py" - << 'PY'
import importlib.metadata as metadata, platform, sys
# The version file is read, not torch imported: that takes two seconds.
print(f"torch{metadata.version('torch')}-cp{sys.version_info[0]}{sys.version_info[1]}-{platform.machine()}")
PY
)
mkdir -p "$cache/wheels" 2> /dev/null && [ -w "$cache/wheels" ] || cache=$venv/cache
wheels=$cache/wheels/mmcv$mmcv_version-$torch_id-$ops

jobs() {
    local cores memory
    cores=$(nproc)
    memory=$(awk '/MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo 2> /dev/null || echo 2)
    [ "$memory" -ge 1 ] || memory=1
    [ "$cores" -le "$memory" ] && echo "$cores" || echo "$memory"
}

# The sources stay in .venv/build until the wheel is made, so that ninja goes on with the files
# that are missing when an earlier build was cut off.
build_mmcv() {
    local sources=$build/mmcv-$mmcv_version
    mkdir -p "$build"
    if [ ! -d "$sources" ]; then
        rm -rf "$build/unpacked" && mkdir -p "$build/unpacked"
        "$py" -m pip download --no-deps --no-build-isolation --no-binary mmcv -d "$build" "mmcv==$mmcv_version"
        tar -xzf "$build/mmcv-$mmcv_version.tar.gz" -C "$build/unpacked"
        mv "$build/unpacked/mmcv-$mmcv_version" "$sources"
    fi
    rm -rf "$build/out"
    export PATH=$venv/bin:$PATH MMCV_WITH_OPS=1 MAX_JOBS=${MAX_JOBS:-$(jobs)}
    export CFLAGS="-O1 -g0" CXXFLAGS=""
    if [ "$ops" = cuda ]; then
        export FORCE_CUDA=1
    else
        # mmcv decides by looking for a GPU; an nvcc of another CUDA than torch's must not matter.
        export FORCE_CUDA=0 CUDA_VISIBLE_DEVICES='' DIFFPOSE_PCH_DIR=$build/pch DIFFPOSE_CXX=${CXX:-g++}
        export CXX=$root/.dev/cxx_pch.sh
    fi
    (cd "$sources" && "$py" -m pip wheel -v --no-cache-dir --no-deps --no-build-isolation -w "$build/out" .)
    rm -rf "$wheels.new" && mkdir -p "$wheels.new"
    cp "$build"/out/mmcv-*.whl "$wheels.new/"
    rm -rf "$wheels" && mv "$wheels.new" "$wheels"
}

mmcv_progress() {
    local made total
    made=$(find "$build" -name '*.o' 2> /dev/null | wc -l)
    total=$(sed -n 's/^ *\[[0-9]*\/\([0-9]*\)\].*/\1/p' "$log" | tail -n 1)
    echo ": $made files compiled${total:+ ($total to do in this run)}"
}

check_compiler() {
    local cxx=${CXX:-g++} headers
    command -v "$cxx" > /dev/null || die "the C++ compiler $cxx was not found; mmcv has to be compiled once" \
        'Debian: apt-get install g++ (or build-essential)'
    command -v make > /dev/null || die 'make was not found' 'Debian: apt-get install make'
    headers=$("$py" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    [ -e "$headers/Python.h" ] || die "Python's C headers are missing ($headers/Python.h)" \
        'Debian: apt-get install python3.11-dev'
    if [ "$ops" = cuda ]; then
        local want have
        want=$("$py" -c 'import torch; print((torch.version.cuda or "none").split(".")[0])')
        have=$(nvcc --version 2> /dev/null | sed -n 's/.*release \([0-9]*\)\..*/\1/p')
        [ "$want" = "${have:-not found}" ] ||
            die "MMCV_CUDA_OPS=1 needs nvcc of CUDA $want (torch's); nvcc is ${have:-not found}" \
                'install that toolkit, or set up without MMCV_CUDA_OPS'
    fi
}

mmcv_loads() { (cd / && "$py" -W ignore -c 'import mmcv.ops'); }

install_mmcv() {
    drop_half_installed &&
        "$py" -m pip install --no-deps --force-reinstall "$wheels"/mmcv-*.whl &&
        mmcv_loads
}

if ! done_with mmcv "$environment_key"; then
    # mmcv imports mmengine, so that comes before the check that its operators load.
    run_step 'mmengine' pip_install "$(grep '^mmengine==' requirements/mminstall.txt)"
    ready=no
    if done_with mmcv_wheel "$wheels" && mmcv_loads >> "$log" 2>&1; then
        ready=yes
    elif compgen -G "$wheels/mmcv-*.whl" > /dev/null; then
        say "mmcv was compiled before: ${wheels/#${HOME:-/nowhere}/\~}"
        if install_mmcv >> "$log" 2>&1; then
            ready=yes
        else
            say 'but it does not load here: compiling it again'
            rm -rf "$wheels"
        fi
    fi
    if [ $ready = no ]; then
        check_compiler
        need_disk 2000
        progress() { mmcv_progress; }
        run_step "mmcv $mmcv_version, compiling its $ops operators (2 to 13 min on two cores)" build_mmcv
        progress() { :; }
        run_step 'installing the compiled mmcv' install_mmcv
        say "kept for the next clone: ${wheels/#${HOME:-/nowhere}/\~}"
    fi
    rm -rf "$build"
    stamp mmcv_wheel "$wheels"
    stamp mmcv "$environment_key"
fi

# ---- step: the other packages ---------------------------------------------------------------
# mmpose comes without its dependencies: it asks for chumpy, which does not build and which it
# never imports. requirements/mmpose_deps.txt lists the others.
install_packages() {
    pip_install --no-deps "$(grep '^mmpose==' requirements/mminstall.txt)"
    grep -Ev '^(mmpose|mmcv)==' requirements/mminstall.txt > "$venv/mminstall.txt"
    pip_install -r "$venv/mminstall.txt" -r requirements/mmpose_deps.txt \
        -r requirements/runtime.txt -r requirements/tests.txt
}

if ! done_with packages "$environment_key"; then
    need_disk 1500
    run_step 'mmpose, mmdet, mmpretrain, mim, test tools' install_packages
    stamp packages "$environment_key"
fi

# ---- step: this package, and a last look ----------------------------------------------------
install_package() {
    drop_half_installed
    "$py" -m pip install --no-deps --no-build-isolation -e .
}

run_step 'diffpose_mm, editable' install_package
if ! done_with check "$environment_key"; then
    run_step 'check that it all imports' bash -c 'cd / && "$0" -W ignore "$1"' "$py" "$root/.dev/check_env.py"
    stamp check "$environment_key"
fi
stamp package "$package_key"
say "ready after $((SECONDS - started)) s: $("$py" "$root/.dev/check_env.py" --devices)"
