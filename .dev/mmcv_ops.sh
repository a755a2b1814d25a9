# Compiles mmcv's operators: MMCV_OPS=1 make setup. Read by setup_env.sh, whose names it uses.
#
# A pose model needs none of them; a detector may (Faster R-CNN, deformable convolutions, ...). The
# wheel is kept in DIFFPOSE_CACHE (default ~/.cache/diffpose_mm) for the next clone.
#
# Environment: MAX_JOBS   compilers at a time (default: by cores and memory)
#              CXX        the compiler (default g++)

mmcv_version=$(sed -n 's/^mmcv-lite==//p' "requirements/stacks/$stack.txt")
cache=${DIFFPOSE_CACHE:-${XDG_CACHE_HOME:-${HOME:-$venv}/.cache}/diffpose_mm}
build=$venv/build

# The first look, before anything is downloaded; check_compiler is the thorough one.
need_compiler() {
    [ -n "$mmcv_version" ] ||
        die "the operators of the fork's mmcv are not compiled by this set-up (STACK=$stack)" \
            'take STACK=current or STACK=pins with MMCV_OPS=1'
    [ "$version" != 3.13 ] || die "the sources of mmcv $mmcv_version cannot be built with Python 3.13" \
        'take another for MMCV_OPS=1: make setup PYTHON=python3.12 MMCV_OPS=1 VENV=.venv3.12'
    command -v "${CXX:-g++}" > /dev/null ||
        die "the C++ compiler ${CXX:-g++} was not found, and MMCV_OPS=1 compiles mmcv" \
            'Debian: apt-get install g++ (or build-essential); or set up without MMCV_OPS'
}

check_compiler() {
    local headers want have
    need_compiler
    headers=$("$py" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    [ -e "$headers/Python.h" ] || die "Python's C headers are missing ($headers/Python.h)" \
        "Debian: apt-get install python$version-dev"
    if [ "$ops" = cuda ]; then
        want=$("$py" -c 'import torch; print((torch.version.cuda or "none").split(".")[0])')
        have=$(nvcc --version 2> /dev/null | sed -n 's/.*release \([0-9]*\)\..*/\1/p')
        [ "$want" = "${have:-not found}" ] ||
            die "MMCV_CUDA_OPS=1 needs nvcc of CUDA $want (torch's); nvcc is ${have:-not found}" \
                'install that toolkit, or set up with MMCV_OPS=1 alone'
    fi
}

jobs() {
    local cores memory
    cores=$(nproc)
    memory=$(awk '/MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo 2> /dev/null || echo 2)
    [ "$memory" -ge 1 ] || memory=1
    [ "$cores" -le "$memory" ] && echo "$cores" || echo "$memory"
}

# The setup.py of mmcv 2.1.0 asks for C++17, which the headers of newer releases of torch refuse.
correct_setup_py() {
    local header=$venv/lib/python$version/site-packages/torch/include/ATen/ATen.h
    if grep -q 'C++20 or later' "$header"; then sed -i 's/-std=c++17/-std=c++20/g' "$1/setup.py"; fi
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
        correct_setup_py "$build/unpacked/mmcv-$mmcv_version"
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

mmcv_loads() {
    (cd / && "$py" -W ignore -c 'import mmcv._ext as ext; import mmcv.ops; assert ext.__file__.endswith(".so")')
}

install_mmcv() {
    drop_half_installed &&
        "$py" -m pip uninstall -q -y mmcv-lite &&
        "$py" -m pip install --no-deps --force-reinstall "$wheels"/mmcv-*.whl &&
        mmcv_loads
}

mmcv_step() {
    local torch_id ready=no
    # The version is read, not torch imported: that takes two seconds.
    torch_id=$("$py" -c 'import importlib.metadata as m, platform, sys
print("torch%s-cp%d%d-%s" % (m.version("torch"), *sys.version_info[:2], platform.machine()))')
    mkdir -p "$cache/wheels" 2> /dev/null && [ -w "$cache/wheels" ] || cache=$venv/cache
    wheels=$cache/wheels/mmcv$mmcv_version-$torch_id-$ops
    done_with mmcv "$environment_key" && return
    # mmcv imports mmengine, so that comes before the check that its operators load.
    run_step 'mmengine' pip_install mmengine ninja opencv-python
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
}
