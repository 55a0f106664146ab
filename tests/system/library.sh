#!/bin/bash
# libingot as it is installed: the shared object has the names that the headers declare, no more and no less; the headers compile
# alone, in C and C++; the manual's example is built against it, and Python uses it without a compiler.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
root=$TMP/root
make --no-print-directory B="$B" install DESTDIR="$root" PREFIX=/usr >"$TMP/out" 2>&1 || fail "make install: $(tail "$TMP/out")"
headers=$root/usr/include/ingot library=$root/usr/lib/libingot.so

# pkg-config puts the root before all paths: those of the system's own libraries need none.
export PKG_CONFIG_PATH=$root/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
flags_of() { pkg-config "$@" ingot | sed -E "s,$root(/usr/(include|lib)/)(glib|x86|gio|libxml|mount|blkid|sysprof|p11),\1\3,g"; }
read -ra cflags < <(flags_of --cflags)
read -ra libs < <(flags_of --libs)

# declared: the functions that the headers declare, as gcc has read them. (An inline one is no name of the library.)
for header in "$headers"/*.h; do echo "#include <ingot/$(basename "$header")>"; done >"$TMP/all.c"
gcc -fsyntax-only -aux-info "$TMP/prototypes" "${cflags[@]}" "$TMP/all.c" || fail "the headers do not compile together"
grep "^/\* $headers/" "$TMP/prototypes" | grep -v '\*/ static ' | grep -oE '\bingot_[a-z0-9_]+ \(' | tr -d ' (' | sort -u >"$TMP/declared"
[ "$(wc -l <"$TMP/declared")" -gt 100 ] || fail "the headers declare $(wc -l <"$TMP/declared") functions"
nm -D --defined-only "$library" | awk '$2 != "A" { sub("@.*", "", $3); print $3 }' | sort >"$TMP/exported"
diff "$TMP/declared" "$TMP/exported" || fail "the shared object does not export what the headers declare (< declared, > exported)"
nm --defined-only --extern-only "$root/usr/lib/libingot.a" | awk 'NF == 3 { print $3 }' | sort >"$TMP/archived"
diff "$TMP/declared" "$TMP/archived" || fail "the archive does not have the names of the shared object"
readelf -d "$library" | grep -q 'SONAME.*\[libingot.so.0\]' || fail "the soname: $(readelf -d "$library" | grep SONAME)"
[ "$(readlink -f "$root/usr/lib/libingot.so.0")" = "$(readlink -f "$library")" ] || fail "the soname is not installed"
ok "$(wc -l <"$TMP/exported") functions, those of the headers"

# A library reads no environment unless it is asked to, takes no signals and ends no process.
nm -Du "$library" | grep -E ' (getenv|secure_getenv|g_get_environ|g_setenv|sigaction|signal|setlocale|exit|abort|isatty)(@|$)' && fail "the library calls that"
readers=$(nm -uA "$B"/registry/{base,image,store,remote,transfer,format}/*.o | grep -E ' (g_getenv|g_get_(home_dir|tmp_dir|user_[a-z]+_dir))$' | sed -E 's,.*/([a-z]+)\.o:.*,\1,' | sort -u | tr '\n' ' ')
[ "$readers" = "command environment now terminal " ] || fail "the environment is read by $readers"
ok "the environment is read by one function, on demand"

for header in "$headers"/*.h; do
    printf '#include <ingot/%s>\nint main(void) { return 0; }\n' "$(basename "$header")" >"$TMP/one.c"
    cc -std=gnu11 -Wall -Wextra -Werror -fsyntax-only "${cflags[@]}" "$TMP/one.c" || fail "$header does not compile alone"
    c++ -std=c++17 -x c++ -Wall -Wextra -Werror -fsyntax-only "${cflags[@]}" "$TMP/one.c" || fail "$header does not compile as C++"
done
grep -qx 'Requires: glib-2.0 jansson' "$root/usr/lib/pkgconfig/ingot.pc" || fail "ingot.pc: $(cat "$root/usr/lib/pkgconfig/ingot.pc")"
# What the headers include is what ingot.pc requires.
[ "$(cat "$headers"/*.h | grep -oE '^#include <[^>]+>' | grep -v '<ingot/' | sort -u | tr '\n' ' ')" = "#include <glib.h> #include <jansson.h> " ] ||
    fail "the headers include what ingot.pc does not require"
ok "each header compiles alone, in C and in C++"

page=$root/usr/share/man/man3/libingot.3
sed -n '/^\.SH EXAMPLE/,/^\.fi/p' "$page" | grep -v '^\.' | awk '/^#include/ { on = 1 } on' | sed 's/\\e/\\/g' >"$TMP/example.c"
[ "$(wc -l <"$TMP/example.c")" -ge 50 ] || fail "the example of libingot.3 is not found"
cc -std=gnu11 -Wall -Wextra -Werror -o "$TMP/example" "${cflags[@]}" "$TMP/example.c" "${libs[@]}" || fail "the example of libingot.3 does not build"
small_disk "$TMP/disk.raw"
export LD_LIBRARY_PATH=$root/usr/lib
expect 2 "$TMP/example"
digest=$("$TMP/example" "$TMP/store" "$TMP/disk.raw" team/web:1.0.0 "$TMP/disk.qcow2" 2>"$TMP/err") || fail "the example of libingot.3: $(cat "$TMP/err")"
grep -qE '^pack .*disk.raw: done in [0-9.]+ s$' "$TMP/err" || fail "the example is not told of progress: $(cat "$TMP/err")"
[ "$(ingot show --json team/web:1.0.0 | python3 -c 'import json,sys; print(json.load(sys.stdin)["digest"])')" = "$digest" ] || fail "the example's image is another one"
qemu-img compare -q "$TMP/disk.raw" "$TMP/disk.qcow2" || fail "the example's qcow2 is another disk"
expect 1 "$TMP/example" "$TMP/store" "$TMP/missing.raw" team/web:2.0.0 "$TMP/other.qcow2"
grep -q 'missing.raw' "$TMP/err" || fail "the example's error: $(cat "$TMP/err")"
# The archive is as good.
mapfile -t needs < <(pkg-config --print-requires --print-requires-private ingot)
read -ra others < <(PKG_CONFIG_SYSROOT_DIR='' pkg-config --libs "${needs[@]}")
cc -std=gnu11 -o "$TMP/static" "${cflags[@]}" "$TMP/example.c" "$root/usr/lib/libingot.a" "${others[@]}" || fail "the example does not link with the archive"
[ "$(env -u LD_LIBRARY_PATH "$TMP/static" "$TMP/store" "$TMP/disk.raw" team/web:1.0.0 "$TMP/again.qcow2" 2>"$TMP/err")" = "$digest" ] || fail "the example with the archive"
ok "the manual's example works with the installed library"

start_ingotd
python3 tests/system/library.py "$library" "$TMP" "$REGISTRY" "$digest" || fail "Python"
ok "Python uses the library"
