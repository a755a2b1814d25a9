#!/usr/bin/env bash
# A C++ compiler front for the mmcv build: hands everything to g++, but gives each compilation
# torch/types.h precompiled. Nearly all of a file's time is parsing that header. The precompiled
# header is made with the very flags of the first compilation; if gcc finds that it does not fit,
# it reads the plain header instead, so this can cost time but not correctness.
real=${DIFFPOSE_CXX:-g++}
dir=${DIFFPOSE_PCH_DIR:-}

source_file='' output='' flags=()
args=("$@")
for ((i = 0; i < ${#args[@]}; i++)); do
    case ${args[i]} in
        -c) ;;
        -o) output=${args[i + 1]:-}; ((i++)) ;;
        -MF) ((i++)) ;;
        -MMD | -MD) ;;
        *.cpp | *.cc | *.cxx) source_file=${args[i]} ;;
        *) flags+=("${args[i]}") ;;
    esac
done

if [ -z "$dir" ] || [ -z "$source_file" ] || [ "${output%.o}" = "$output" ]; then
    exec "$real" "$@"
fi

key=$(printf '%s\n' "$real" "${flags[@]}" | cksum | cut -d ' ' -f 1)
header=$dir/$key/types.h
if [ ! -e "$dir/$key/done" ]; then
    mkdir -p "$dir/$key"
    (
        flock 9
        if [ ! -e "$dir/$key/done" ]; then
            echo '#include <torch/types.h>' > "$header"
            "$real" "${flags[@]}" -x c++-header "$header" -o "$header.gch.tmp" &&
                mv "$header.gch.tmp" "$header.gch"
            touch "$dir/$key/done"
        fi
    ) 9> "$dir/$key/lock"
fi
exec "$real" -include "$header" "$@"
