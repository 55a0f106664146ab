#!/bin/bash
# `make install` gives a tree that works from where it is put, with headers that other programs build against.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
root=$TMP/root
make --no-print-directory B="$B" install DESTDIR="$root" PREFIX=/usr >"$TMP/out" 2>&1 || fail "make install: $(tail "$TMP/out")"
for file in bin/ingot bin/ingotd libexec/ingot/ingot-build share/man/man1/ingot.1 share/man/man5/ingot-recipe.5 \
    share/man/man8/ingotd.8 share/bash-completion/completions/ingot share/ingot/recipes/web.yaml lib/pkgconfig/ingot.pc \
    include/ingot/store.h; do
    [ -e "$root/usr/$file" ] || fail "$file is not installed"
done
[ "$(find "$root" -mindepth 1 -maxdepth 1)" = "$root/usr" ] || fail "something is installed elsewhere: $(ls "$root")"
env -i PATH=/usr/bin:/bin HOME="$TMP" "$root/usr/bin/ingot" validate "$root/usr/share/ingot/recipes/web.yaml" >/dev/null ||
    fail "the installed ingot does not find its verbs"
ok "the installed programs work"

export PKG_CONFIG_PATH=$root/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
# pkg-config puts the root before all paths: those of the system's own libraries need none.
read -ra flags < <(pkg-config --cflags --libs ingot | sed "s,$root/usr/\(include\|lib\)/\(glib\|x86\|gio\|libxml\|mount\|blkid\),/usr/\1/\2,g")
for header in "$root"/usr/include/ingot/*.h; do
    printf '#include <ingot/%s>\nint main(void) { return 0; }\n' "$(basename "$header")" >"$TMP/one.c"
    cc -Wall -Wextra -Werror -o "$TMP/one" "$TMP/one.c" "${flags[@]}" || fail "$header does not compile alone"
done
cat >"$TMP/user.c" <<'C'
#include <ingot/store.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(IngotStore) store = argc > 1 ? ingot_store_open(argv[1], &error) : NULL;
    g_autoptr(GPtrArray) list = store == NULL ? NULL : ingot_store_list(store, &error);
    printf("%u images\n", list == NULL ? 0 : list->len);
    return list == NULL;
}
C
cc -Wall -Wextra -Werror -o "$TMP/user" "$TMP/user.c" "${flags[@]}" || fail "a program does not build against libingot"
[ "$("$TMP/user" "$TMP/store")" = "0 images" ] || fail "the program that uses libingot"
ok "other programs build against libingot"
