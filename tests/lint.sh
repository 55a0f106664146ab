#!/bin/bash
# Style and static analysis of the whole tree: clang-format, clang-tidy, cppcheck, shellcheck, codespell, layers.
# Usage: tests/lint.sh [format|tidy|cppcheck|shell|spelling|layers]...
set -u
cd "$(dirname "$0")/.." || exit
mapfile -t sources < <(git ls-files '*.c' '*.h')
mapfile -t units < <(git ls-files 'registry/*.c' 'builder/*.c')
mapfile -t scripts < <(git ls-files '*.sh' .ci 'tests/bench/*' tests/fuzz/run ':!*.py' | sort -u)
read -ra flags < <(pkg-config --cflags glib-2.0 gio-2.0 gio-unix-2.0 jansson libcurl libnbd libfyaml libssh libmicrohttpd gnutls libsystemd sqlite3 libjwt libcrypt)
flags+=(-std=gnu17 -D_GNU_SOURCE -Iinclude -Iregistry -Ibuilder -DINGOT_VERSION='"0"' -DINGOT_PREFIX='"/usr"')
failed=0

check() {
    local name=$1
    shift
    if "$@"; then echo "  clean: $name"; else echo "  NOT CLEAN: $name"; failed=1; fi
}
format() { clang-format --dry-run -Werror "${sources[@]}"; }
# Clean answers of clang-tidy and shellcheck are kept outside the tree, each under the hash of all that it depends on: keep_in NAME
# makes the folder $kept.
keep_in() {
    kept=${INGOT_TEST_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/ingot-tests}/$1
    mkdir -p "$kept" 2>/dev/null && find "$kept" -type f -mtime +30 -delete
}
# tidy_file FILE: what clang-tidy says of it. A function's paths are followed as far as clang's own "shallow" mode does, which takes
# a third of the time.
tidy_file() {
    local key out
    key=$({ echo "$TIDY"; gcc -M "${flags[@]}" "$1" | tr -d '\\' | tr -s ' \n' '\n\n' | tail -n +2 | xargs sha256sum; } 2>&1 | sha256sum | cut -d' ' -f1)
    if [ -e "$kept/$key" ]; then
        touch -c "$kept/$key"
        return 0
    fi
    # Its last word says how many warnings of system headers it has left out; its status, whether there were others.
    out=$(clang-tidy --quiet "${deep[@]/#/--extra-arg=}" "$1" -- "${flags[@]}" 2>&1) || { echo "$out"; return 1; }
    { : >"$kept/$key"; } 2>/dev/null || true
}
tidy() {
    keep_in tidy
    deep=(-Xclang -analyzer-config -Xclang max-nodes=75000)
    TIDY=$(clang-tidy --version; cat .clang-tidy; echo "${deep[@]}" "${flags[@]}")
    export TIDY
    printf '%s\0' "${units[@]}" | xargs -0 -n 1 -P "$(nproc)" bash -c "$(declare -f tidy_file); $(declare -p flags deep kept); tidy_file \"\$0\""
}
cppcheck_tree() {
    cppcheck --quiet --enable=warning,portability --std=c11 --inline-suppr --error-exitcode=1 -j "$(nproc)" \
        --suppress=missingIncludeSystem --suppress=unknownMacro --suppress=varFuncNullUB --suppress=legacyUninitvar --suppress=memleak --library=gtk -Iinclude -Iregistry -Ibuilder "${units[@]}"
}
# What prints nothing makes [ fail: a wait that ends by that has waited for nothing.
empty_numbers() {
    ! grep -nE -- '\[ "?\$\([^(].* -(lt|le|gt|ge|eq|ne) .*\] \|\| (return 0|break|continue)' "${scripts[@]}" ||
        { echo "a command's empty output would end this wait: keep it in a variable, and look whether it is empty"; return 1; }
}
shell_file() {
    local key
    key=$({ echo "$SHELL_VERSION"; cat "$1" "${sourced[@]}"; } | sha256sum | cut -d' ' -f1)
    if [ -e "$kept/$key" ]; then
        touch -c "$kept/$key"
        return 0
    fi
    shellcheck "${strict[@]}" "$1" || return
    { : >"$kept/$key"; } 2>/dev/null || true
}
shell() {
    keep_in shell
    strict=(--severity=warning -x -P tests/system -P SCRIPTDIR)
    # Each script depends on those that any of them sources.
    mapfile -t sourced < <(sed -n 's/^ *# shellcheck source=//p' "${scripts[@]}" | grep -v '^/' | sort -u)
    SHELL_VERSION=$(shellcheck --version; echo "${strict[@]}")
    export SHELL_VERSION
    printf '%s\0' "${scripts[@]}" | xargs -0 -n 1 -P "$(nproc)" bash -c "$(declare -f shell_file); $(declare -p kept strict sourced); shell_file \"\$0\"" &&
        empty_numbers
}
spelling() { codespell --ignore-words-list=chage,conectix,ans,te --quiet-level=2 --skip='./.git,./build*,./tests/fuzz/seeds,*.bin,LICENSE' .; }

for part in "${@:-format layers shell spelling cppcheck tidy}"; do
    for one in $part; do
        case $one in
        format) check clang-format format ;;
        tidy) check clang-tidy tidy ;;
        cppcheck) check cppcheck cppcheck_tree ;;
        shell) check shellcheck shell ;;
        spelling) check codespell spelling ;;
        layers) check layers tests/layers.sh ;;
        *) echo "lint: unknown part '$one'" >&2; exit 2 ;;
        esac
    done
done
exit $failed
