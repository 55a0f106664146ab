#!/bin/bash
# No function or variable has two definitions in the libraries that programs are linked of: the linker takes the first, without a
# word, and the other's callers get something else. (A VHDX that `ingot build` writes once took its UUIDs from a function of the
# builder that had the same name, and wrote beyond their room.)
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

for library in ingot server builder; do
    nm -A --defined-only --extern-only "$B/lib$library.a" | awk -v library=$library '$(NF - 1) !~ /[VWw]/ { split($1, at, ":"); print $NF, library, at[2] }'
done | sort >"$TMP/symbols"
[ "$(wc -l <"$TMP/symbols")" -gt 500 ] || fail "nm names $(wc -l <"$TMP/symbols") symbols"
twice=$(cut -d' ' -f1 "$TMP/symbols" | uniq -d)
for name in $twice; do grep "^$name " "$TMP/symbols"; done
[ -z "$twice" ] || fail "defined twice"
ok "$(wc -l <"$TMP/symbols") symbols, each defined once"
