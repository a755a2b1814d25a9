#!/usr/bin/env bash
# Sets up everything in .venv: `make setup`, `make demo` and `make test` call it first.
#
# All of it comes from wheels, in the versions of requirements/constraints/STACK-pyX.Y.txt. Each
# step leaves a stamp in .venv/stamps, keyed by the requirements, this script, the Python version and
# the folder, so that a finished set-up is recognised at once and an interrupted one goes on where it
# stopped.
#
# Environment: PYTHON      the interpreter (default: the first of python3.13 to python3.10 that runs)
#              STACK       which versions: current (default), pins or onedl, see requirements/stacks
#              VENV        where to (default .venv)
#              SETUP_DISK_MB  room on the disk that is asked for first (default 9000)
#              MMCV_OPS=1  compile mmcv's operators (.dev/mmcv_ops.sh); MMCV_CUDA_OPS=1 those of CUDA
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$root"
stack=${STACK:-current}
venv=${VENV:-.venv}
case $venv in /*) ;; *) venv=$root/$venv ;; esac
py=$venv/bin/python
stamps=$venv/stamps
log=$venv/setup.log
ops=none
[ "${MMCV_OPS:-0}" = 1 ] && ops=cpu
[ "${MMCV_CUDA_OPS:-0}" = 1 ] && ops=cuda

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PYTHONNOUSERSITE=1
unset PYTHONPATH PYTHONHOME

say() { printf '[setup] %s\n' "$*"; }
die() {
    printf '[setup] ERROR: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '[setup]        %s\n' "$line" >&2; done
    exit 1
}

# ---- which Python ---------------------------------------------------------------------------
# What a command is: "3.12", or nothing if it does not run. A shim of pyenv that only complains and a
# 32-bit Python are none: torch has no wheels for the latter.
python_version() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2] if sys.maxsize > 2**32 else "32-bit")' \
        2> /dev/null || true
}

supported() { case $1 in 3.10 | 3.11 | 3.12 | 3.13) ;; *) return 1 ;; esac }

find_python() {
    local candidate
    for candidate in python3.13 python3.12 python3.11 python3.10 python3 python; do
        if supported "$(python_version "$candidate")"; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# Raises with one line that says what to do; prints nothing otherwise.
check_python() {
    local version
    version=$(python_version "$1")
    case $version in
        '') die "$1 does not run" 'name one that does: make setup PYTHON=/path/to/python3' ;;
        32-bit) die "$1 is a 32-bit Python, for which there is no torch: take a 64-bit one" ;;
    esac
    supported "$version" ||
        die "$1 is Python $version; 3.10 to 3.13 work: make setup PYTHON=/path/to/python3"
    "$1" -c 'import ensurepip, venv' 2> /dev/null ||
        die "$1 has no venv module: apt-get install python$version-venv (Debian, Ubuntu)"
    [ -e "requirements/constraints/$stack-py$version.txt" ] ||
        die "there are no versions for STACK=$stack with Python $version;" \
            "there are: $(ls requirements/constraints | sed 's/\.txt$//' | tr '\n' ' ')"
}

# ---- what has been done ---------------------------------------------------------------------
digest() { sha256sum | cut -c 1-16; }

python_id() { "$1" -c 'import sys; print(sys.version)' 2> /dev/null || true; }

# The names of configs and tools count, their content does not: an editable install reads the
# files themselves, but mim finds them through a list written when it was installed.
package_id() {
    cat setup.py pyproject.toml model-index.yml diffpose_mm/version.py diffpose_mm_stand_ins/*.pth
    { find configs diffpose_mm/tools -name '*.py' -o -name '*.yml' 2> /dev/null || true; } | LC_ALL=C sort
}

environment_key=''
package_key=''
compute_keys() {
    local version
    version=$(python_id "$py")
    environment_key=$({
        cat requirements/*.txt requirements/*/"$stack"*.txt .dev/setup_env.sh .dev/mmcv_ops.sh .dev/cxx_pch.sh
        echo "${version:-none} $root $venv $ops"
    } | digest)
    package_key=$({ package_id; echo "$environment_key"; } | digest)
}

done_with() { [ "$(cat "$stamps/$1" 2> /dev/null || true)" = "$2" ]; }
stamp() { mkdir -p "$stamps" && printf '%s\n' "$2" > "$stamps/$1.new" && mv "$stamps/$1.new" "$stamps/$1"; }

case $root$venv in
    *[[:space:]]*) [ $ops = none ] || die "the path '$root' has a space in it; mmcv cannot be compiled there" \
        'clone to a folder without spaces' ;;
esac

[ -z "${PYTHON:-}" ] || check_python "$PYTHON"
if [ -e "$stamps/package" ] && [ -n "${PYTHON:-}" ] && [ -x "$py" ]; then
    have=$(python_version "$py") want=$(python_version "$PYTHON")
    [ "$have" = "$want" ] || die "$venv is there with Python $have, and PYTHON=$PYTHON is $want:" \
        "remove it first (rm -r $venv), or set up another beside it: make setup VENV=.venv$want"
fi
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
    local title=$1 from=$SECONDS next=30 rc=0 begin
    shift
    say "$title ..."
    printf '\n==== %s ====\n' "$title" >> "$log"
    begin=$(wc -l < "$log")
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
        local hint='the log has the details' output
        output=$(tail -n "+$begin" "$log")
        if grep -q 'No space left on device' <<< "$output"; then
            hint='the disk is full: free some space'
        elif grep -Eqi 'NewConnectionError|ConnectionError|ConnectTimeout|name resolution|timed out' <<< "$output"; then
            hint='the package index could not be reached: check the network'
        elif grep -qi 'No matching distribution' <<< "$output"; then
            hint='the package index lacks a package, or could not be reached: check the network'
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
    "$py" -m pip install --progress-bar off -c "$constraints" "$@"
}

need_disk() {
    local free
    free=$(df -Pk "$(dirname "$venv")" | awk 'NR == 2 {print int($4 / 1024)}')
    [ "$free" -ge "$1" ] || die "only $free MB free on the disk of $venv, $1 MB are needed" \
        'free some space, or clone to another disk'
}

# ---- step: the virtual environment ----------------------------------------------------------
started=$SECONDS
python=${PYTHON:-}
if [ -z "$python" ]; then
    # An environment that was begun goes on with its own Python.
    if [ -e "$stamps/venv" ] && supported "$(python_version "$py")"; then
        python=$py
    else
        python=$(find_python) || die 'no Python of 3.10 to 3.13 that runs was found' \
            'install one (Debian, Ubuntu: apt-get install python3 python3-venv), or name one:' \
            'make setup PYTHON=/path/to/python3'
    fi
fi
check_python "$python"
version=$(python_version "$python")
constraints=requirements/constraints/$stack-py$version.txt
[ $ops = none ] || . .dev/mmcv_ops.sh
say "setting up $venv with Python $version and $constraints (log: ${log#"$root"/})"

if ! done_with venv "$venv $version" || [ "$(python_version "$py")" != "$version" ] ||
    ! "$py" -m pip --version > /dev/null 2>&1; then
    [ "$python" != "$py" ] || die "$venv is broken: remove it (rm -r $venv) and run the same command again"
    need_disk "${SETUP_DISK_MB:-9000}"
    [ "$ops" = none ] || need_compiler
    if [ -e "$venv" ]; then
        say "$venv is of another Python or folder, or not whole: making it anew"
    fi
    "$python" -m venv --clear "$venv" || die "could not make $venv" 'remove the folder and try again'
    stamp venv "$venv $version"
fi
compute_keys
say "  $("$py" --version) in $venv"

if ! done_with pip "$environment_key"; then
    run_step 'pip' pip_install "$(grep '^pip==' "$constraints")"
    stamp pip "$environment_key"
fi

# ---- step: torch ----------------------------------------------------------------------------
install_torch() {
    # setuptools and wheel: this package and a compiled mmcv are built without isolation.
    pip_install torch torchvision numpy setuptools wheel
}

if ! done_with torch "$environment_key"; then
    need_disk 7000
    run_step "torch $(sed -n 's/^torch==//p' "$constraints")" install_torch
    stamp torch "$environment_key"
fi

# ---- step: mmcv, compiled only if that is asked for -----------------------------------------
[ $ops = none ] || mmcv_step

# ---- step: the other packages ---------------------------------------------------------------
# mmpose comes without its dependencies: it asks for chumpy, which does not build and which it
# never imports. requirements/mmpose_deps.txt lists the others. The fork's mmcv is a source archive,
# whose build without operators needs what is installed already.
install_packages() {
    local skip='^mmpose=='
    [ $ops = none ] || skip='^(mmpose|mmcv-lite)=='
    grep -Ev "$skip" "requirements/stacks/$stack.txt" > "$venv/stack.txt"
    pip_install --no-deps "$(grep '^mmpose==' "requirements/stacks/$stack.txt")"
    pip_install -r "$venv/stack.txt" -r requirements/mmpose_deps.txt -r requirements/runtime.txt \
        -r requirements/tests.txt
}

if ! done_with packages "$environment_key"; then
    need_disk 1500
    run_step 'mmpose and what it stands on, test tools' install_packages
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
stamp cell "$stack-py$version"
stamp package "$package_key"
say "ready after $((SECONDS - started)) s: $("$py" -W ignore "$root/.dev/check_env.py" --devices)"
