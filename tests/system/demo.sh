#!/bin/bash
# The demo says nothing that was not so: with programs in the place of Ingot's that only play their parts, all goes well, and then
# one of them at a time fails, or answers something else.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

mkdir "$TMP/bin"
cat >"$TMP/bin/ingotd" <<'SH'
#!/bin/bash
echo 'http://127.0.0.1:9'
exec sleep 60
SH
# What a tag names is the version in the file of its name.
cat >"$TMP/bin/ingot" <<'SH'
#!/bin/bash
set -eu
cd "$PLAY"
digest() { printf 'sha256:%s' "$(printf %s "$1" | sha256sum | cut -d' ' -f1)"; }
last=${*: -1}
verb=$1
shift
case $verb in
push) echo "${last##*:}" >"${last##*:}" ;;
test) : >tested ;;
promote)
    from=$2 to=$3
    [ "$from $to $(cat "$from")" != 'dev test 1.1.0' ] || [ -e tested ] || exit 3
    cp "$from" "$to"
    ;;
rollback) echo 1.0.0 >prod ;;
show)
    [ "$WRONG" != show ] || exit 1
    [ "$WRONG" != form ] || { echo '{}'; exit; }
    version=$(cat "${last##*:}")
    [ "$WRONG ${last##*:}" != 'differs test' ] || version=other
    printf '{\n  "digest": "%s",\n  "digest": "sha256:0"\n}\n' "$(digest "$version")"
    ;;
follow)
    before=''
    while sleep 0.05; do
        now=$(cat prod)
        [ "$now" != "$before" ] || continue
        before=$now
        version=$now
        [ "$WRONG" != host ] || now=other
        INGOT_VERSION=$version INGOT_DIGEST=$(digest "$now") sh -c "$last"
    done
    ;;
run)
    printf '{"ports": {"80": 9}}\n'
    exec sleep 60
    ;;
esac
SH
cat >"$TMP/bin/curl" <<'SH'
#!/bin/bash
case $WRONG in
curl) exit 22 ;;
empty) echo '<h1>It works</h1>' ;;
old) echo '<p>Development, test and production run the very same bytes.</p>' ;;
*) echo '<p>The second version: the very same bytes, from dev to prod.</p>' ;;
esac
SH
chmod +x "$TMP"/bin/*

# demo WRONG STATUS [STAGE]: how it ends where that is wrong, and the stage that says so.
demo() {
    local status=0
    rm -rf "$TMP/play" "$TMP/demo"
    mkdir "$TMP/play"
    B=$TMP/bin WRONG=$1 PLAY=$TMP/play INGOT_DEMO=$TMP/demo timeout 60 recipes/demo.sh >"$TMP/out" 2>&1 || status=$?
    [ $status = "$2" ] || fail "$1: it ends with $status, not $2: $(cat "$TMP/out")"
    [ -z "${3:-}" ] || grep -q "^demo: '$3' failed" "$TMP/out" || fail "$1: nothing says so: $(cat "$TMP/out")"
}
demo '' 0
grep -q '\] boot what prod is, fetch its page  *"The second version' "$TMP/out" || fail "$(cat "$TMP/out")"
ok "where all is well it says what came"

for wrong in show form differs; do
    demo $wrong 1 '1.0.0, dev, test and prod are one digest'
done
demo host 1 'a host follows prod: it has pulled and deployed 1.0.0'
for wrong in curl empty old; do
    demo $wrong 1 'boot what prod is, fetch its page'
done
ok "where something failed, or is otherwise, it ends with that"
