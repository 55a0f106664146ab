#!/bin/bash
# Style and static analysis of the whole tree: clang-format, clang-tidy, cppcheck, shellcheck, codespell, layers.
# Usage: tests/lint.sh [format|tidy|cppcheck|shell|spelling|layers]...
set -u
cd "$(dirname "$0")/.." || exit
mapfile -t sources < <(git ls-files '*.c' '*.h')
mapfile -t units < <(git ls-files 'registry/*.c' 'builder/*.c')
mapfile -t scripts < <(git ls-files '*.sh' .ci tests/run 'tests/bench/*' tests/fuzz/run | sort -u)
read -ra flags < <(pkg-config --cflags glib-2.0 gio-2.0 gio-unix-2.0 jansson libcurl libnbd libfyaml libssh libmicrohttpd gnutls libsystemd sqlite3 libjwt libcrypt)
flags+=(-std=gnu17 -D_GNU_SOURCE -Iinclude -Iregistry -Ibuilder -DINGOT_VERSION='"0"' -DINGOT_PREFIX='"/usr"')
failed=0

check() {
    local name=$1
    shift
    if "$@"; then echo "  clean: $name"; else echo "  NOT CLEAN: $name"; failed=1; fi
}
format() { clang-format --dry-run -Werror "${sources[@]}"; }
tidy() {
    local out
    out=$(printf '%s\0' "${units[@]}" | xargs -0 -n 6 -P "$(nproc)" -I{} clang-tidy --quiet {} -- "${flags[@]}" 2>/dev/null)
    [ -z "$(grep -E '(warning|error):' <<<"$out")" ] || { echo "$out"; return 1; }
}
cppcheck_tree() {
    cppcheck --quiet --enable=warning,portability --std=c11 --inline-suppr --error-exitcode=1 -j "$(nproc)" \
        --suppress=missingIncludeSystem --suppress=unknownMacro --suppress=varFuncNullUB --suppress=legacyUninitvar --suppress=memleak --library=gtk -Iinclude -Iregistry -Ibuilder "${units[@]}"
}
shell() { shellcheck --severity=warning -x -P tests/system -P SCRIPTDIR "${scripts[@]}"; }
spelling() { codespell --ignore-words-list=conectix,ans,te --quiet-level=2 --skip='./.git,./build*,./tests/fuzz/seeds,*.bin,LICENSE' .; }

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
