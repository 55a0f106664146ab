#!/bin/bash
# What is lost or damaged is told, nothing else goes with it, and what can be had again is: the catalogue, the log of
# events, packs.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
data=$TMP/registry
type=application/vnd.oci.image.manifest.v1+json

status() { curl -s -o "$TMP/answer" -w '%{http_code}' -H 'Expect:' "$@"; }
sha() { echo "sha256:$(sha256sum <"$1" | cut -d' ' -f1)"; }
# put NAME FILE: a blob; WANTED status.
put() {
    local digest
    digest=$(sha "$2")
    [ "$(status -X POST --data-binary "@$2" "http://$REGISTRY/v2/$1/blobs/uploads/?digest=$digest")" = "${WANTED:-201}" ] || fail "put $2: $(cat "$TMP/answer")"
}
# image NAME TAG FILE: a blob and a manifest that names it.
image() {
    put "$1" "$3"
    echo "{\"schemaVersion\":2,\"mediaType\":\"$type\",\"config\":{\"mediaType\":\"a/b\",\"digest\":\"$(sha "$3")\",\"size\":$(stat -c %s "$3")},\"layers\":[]}" >"$TMP/manifest"
    [ "$(status -X PUT -H "Content-Type: $type" --data-binary "@$TMP/manifest" "http://$REGISTRY/v2/$1/manifests/$2")" = 201 ] || fail "manifest: $(cat "$TMP/answer")"
}
stop() {
    kill "$SERVER"
    wait "$SERVER" || true
}
sql() { python3 -c 'import sqlite3,sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()' "$data/catalogue.sqlite" "$1"; }
# What all names name.
names() { for one in $(curl -sf "http://$REGISTRY/v2/_catalog" | grep -oE '[a-z]+/[a-z]+'); do for tag in $(curl -sf "http://$REGISTRY/v2/$one/tags/list" | python3 -c 'import json,sys; print(*(json.load(sys.stdin)["tags"] or []))'); do
    echo "$one:$tag $(curl -sf "http://$REGISTRY/v2/$one/manifests/$tag" | sha256sum)"
done; done; }
rebuild() { ingotd rebuild --data "$data" >"$TMP/out" 2>"$TMP/err" || fail "rebuild: $(cat "$TMP/err")"; }
scrub() { ingotd scrub --data "$data" >"$TMP/out" 2>&1 || fail "$1: $(cat "$TMP/out")"; }

for n in 1 2 3 4 5; do head -c 300000 /dev/urandom >"$TMP/blob$n"; done
start_ingotd
image team/web 1.0.0 "$TMP/blob1"
image team/web 2.0.0 "$TMP/blob2"
image team/db 1.0.0 "$TMP/blob3"
names >"$TMP/names"
[ "$(wc -l <"$TMP/names")" = 3 ] || fail "names: $(cat "$TMP/names")"
stop
cp "$data/catalogue.sqlite" "$TMP/catalogue"
cp "$data/names.log" "$TMP/log"

# A catalogue that lost its place in the log, is empty, or older than the log: refused, and nothing is cut or removed.
refused() {
    rm -f "$data"/catalogue.sqlite-*
    ls "$data/packs" >"$TMP/packs"
    for verb in "scrub --data $data" "gc --data $data --grace 0s" "--data $data --listen 127.0.0.1:0"; do
        # shellcheck disable=SC2086
        expect 1 timeout 60 ingotd $verb
        grep -q "ingotd rebuild" "$TMP/err" || fail "$1: ingotd $verb says: $(cat "$TMP/err")"
    done
    cmp "$data/names.log" "$TMP/log" || fail "$1: the log of events has changed"
    ls "$data/packs" | cmp - "$TMP/packs" || fail "$1: packs have gone"
    rebuild
    grep -q 'lost: 0' "$TMP/out" || fail "$1: $(cat "$TMP/out" "$TMP/err")"
    cmp -n "$(stat -c %s "$TMP/log")" "$data/names.log" "$TMP/log" || fail "$1: the rebuild has changed the log"
    scrub "$1"
    start_ingotd
    names | cmp - "$TMP/names" || fail "$1: the names differ"
    stop
    cp "$TMP/log" "$data/names.log"
    cp "$TMP/catalogue" "$data/catalogue.sqlite"
}
sql "UPDATE events_mark SET sum=sum+1"
refused "a damaged mark"
sql "DELETE FROM events_mark"
refused "no mark"
: >"$data/catalogue.sqlite"
refused "an empty catalogue"
head -c 100000 /dev/zero >"$data/catalogue.sqlite"
refused "a catalogue that is none"
rm "$data/catalogue.sqlite"
refused "no catalogue"
ok "a catalogue that does not know its log is refused, and nothing goes"

# One transaction behind the catalogue may be a crash's: it is set aside. More are a history that the catalogue lacks.
start_ingotd
image team/db 2.0.0 "$TMP/blob4"
names >"$TMP/names"
stop
cp "$data/catalogue.sqlite" "$TMP/newer"
cp "$data/names.log" "$TMP/log"
cp "$TMP/catalogue" "$data/catalogue.sqlite"
mv "$TMP/newer" "$TMP/catalogue"
refused "a catalogue that is older than its log"
head -c -1 "$TMP/log" >"$data/names.log"
expect 1 ingotd scrub --data "$data"
[ "$(stat -c %s "$data/names.log")" = $(($(stat -c %s "$TMP/log") - 1)) ] || fail "a log that is too short has changed"
cp "$TMP/log" "$data/names.log"
ok "so is one that is older than its log, or newer"

# The pack that holds a file's bytes.
pack_of() {
    python3 -c 'import glob,sys
head = open(sys.argv[2], "rb").read(1000)
print(next(path for path in glob.glob(sys.argv[1] + "/*.pack") if head in open(path, "rb").read()))' "$data/packs" "$1"
}
# A pack that is missing is damage: told as such, never a 404 of what was acknowledged, and a push mends it.
head -c 400000 "$TMP/blob5" >"$TMP/lone"
start_ingotd
image team/lone 1.0.0 "$TMP/lone"
lone=$(sha "$TMP/lone")
stop
pack=$(pack_of "$TMP/lone")
mv "$pack" "$TMP/pack"
start_ingotd
[ "$(status "http://$REGISTRY/v2/team/lone/blobs/$lone")" = 500 ] && grep -q damaged "$TMP/answer" || fail "a lost pack: $(cat "$TMP/answer")"
[ "$(status -I "http://$REGISTRY/v2/team/lone/blobs/$lone")" = 404 ] || fail "a client that asks before it pushes would not push"
curl -sf "http://$REGISTRY/metrics" | grep -qE '^ingot_pieces_damaged [1-9]' || fail "no metric tells of the lost pack"
expect 1 ingotd scrub --data "$data"
grep -q 'needed by team/lone:1.0.0' "$TMP/out" || fail "the scrub says: $(cat "$TMP/out")"
put team/lone "$TMP/lone"
curl -sf "http://$REGISTRY/v2/team/lone/blobs/$lone" | cmp - "$TMP/lone" || fail "the push did not mend it"
stop
cp "$TMP/pack" "$pack"
ok "a lost pack is damage, and a push mends it"

# The same where nobody has read it yet: what was acknowledged again is there.
pack=$(pack_of "$TMP/lone")
mv "$pack" "$TMP/away"
start_ingotd
put team/other "$TMP/lone"
[ "$(status "http://$REGISTRY/v2/team/other/blobs/$lone")" = 200 ] && cmp "$TMP/answer" "$TMP/lone" || fail "a push counted on a pack that is lost"
mv "$TMP/away" "$pack"
ok "a push never counts on a lost pack"

# A pack that the catalogue does not know is set aside, never removed.
cp "$TMP/pack" "$data/packs/00000777.pack"
ingotd gc --data "$data" --grace 0s >"$TMP/out"
[ ! -e "$data/packs/00000777.pack" ] && find "$data/packs/lost" -name '00000777.pack' | grep -q . || fail "an unknown pack: $(ls -R "$data/packs"; cat "$TMP/out")"
curl -sf "http://$REGISTRY/v2/team/web/manifests/2.0.0" >"$TMP/out" || fail "a collection took what is needed"
stop
ok "an unknown pack is set aside"

# A log that has become long begins anew with a checkpoint, killed in the middle or not: same names, from the log alone too.
INGOTD_CHECKPOINT=1K start_ingotd
for n in $(seq 40); do image team/web dev "$TMP/blob$((n % 2 + 1))"; done
names >"$TMP/names"
size=$(stat -c %s "$data/names.log")
for n in 1 2 3 4 5 6; do
    ingotd gc --data "$data" >/dev/null 2>&1 &
    sleep "0.0$n"
    kill -9 "$SERVER"
    wait "$SERVER" "$!" 2>/dev/null || true
    INGOTD_CHECKPOINT=1K start_ingotd
    names | cmp - "$TMP/names" || fail "killed while the log begins anew: the names differ"
done
ingotd gc --data "$data" >"$TMP/out"
[ "$(stat -c %s "$data/names.log")" -lt "$size" ] && grep -q '"op":"checkpoint"' "$data/names.log" || fail "no checkpoint: $(ls -l "$data"; cat "$TMP/out")"
ls "$data"/names.log.0* >/dev/null || fail "the log of before the checkpoint is not kept"
stop
scrub "a log with a checkpoint"
rm "$data"/catalogue.sqlite*
rebuild
grep -q 'lost: 0' "$TMP/out" || fail "from a checkpoint: $(cat "$TMP/out" "$TMP/err")"
scrub "rebuilt from a checkpoint"
start_ingotd
names | cmp - "$TMP/names" || fail "rebuilt from a checkpoint: the names differ"
image team/web dev "$TMP/blob2"
names >"$TMP/names"
stop
ok "a log begins anew with a checkpoint"

# The last event is damaged: the catalogue has it, so the server starts, says so, and keeps the damaged log. Where more is
# damaged it refuses, with the command that mends it.
python3 -c 'import sys
with open(sys.argv[1], "r+b") as f: f.seek(-30, 2); f.write(b"damaged")' "$data/names.log"
: >"$TMP/ingotd.log"
start_ingotd
grep -q 'the last, is damaged' "$TMP/ingotd.log" || fail "the start says: $(cat "$TMP/ingotd.log")"
names | cmp - "$TMP/names" || fail "a damaged last event: the names differ"
grep -ql damaged "$data"/names.log.0* || fail "the damaged log is not kept"
image team/web 3.0.0 "$TMP/blob1"
names >"$TMP/names"
stop
scrub "a damaged last event"
head -c -100 "$data/names.log" >"$TMP/short"
cp "$TMP/short" "$data/names.log"
expect 1 timeout 60 ingotd --data "$data" --listen 127.0.0.1:0
grep -q "ingotd rebuild --events" "$TMP/err" || fail "a log that is too short: $(cat "$TMP/err")"
cmp "$TMP/short" "$data/names.log" || fail "a log that is too short has changed"
ingotd rebuild --events --data "$data" >"$TMP/out" 2>&1 || fail "rebuild --events: $(cat "$TMP/out")"
scrub "a log that was made anew"
rm "$data"/catalogue.sqlite*
rebuild
start_ingotd
names | cmp - "$TMP/names" || fail "rebuilt from a log that was made anew: the names differ"
stop
ok "damage at the end of the log loses nothing that the catalogue has"

# A backup while others push and garbage is collected; another one, which brings what is new alone; a restore.
start_ingotd
names >"$TMP/names"
{
    n=0
    until [ -e "$TMP/enough" ]; do
        head -c $((20000 + n)) "$TMP/blob1" >"$TMP/busy"
        image team/busy "1.0.$n" "$TMP/busy"
        [ $((n % 3)) != 0 ] || curl -sf -X DELETE "http://$REGISTRY/v2/team/busy/manifests/1.0.$n" || true
        n=$((n + 1))
    done
} &
pusher=$!
until [ -e "$TMP/enough" ]; do ingotd gc --data "$data" --grace 1h; done >/dev/null &
collector=$!
for n in 1 2 3; do
    ingotd backup --data "$data" "$TMP/backup" >"$TMP/out" 2>&1 || fail "backup $n: $(cat "$TMP/out")"
done
: >"$TMP/enough"
wait "$pusher" || fail "the pusher"
wait "$collector" || fail "the collector"
image team/last 1.0.0 "$TMP/blob3"
names >"$TMP/names"
ingotd backup --data "$data" "$TMP/backup" >"$TMP/out" 2>&1 || fail "the last backup: $(cat "$TMP/out")"
ingotd backup --data "$data" "$TMP/backup" >"$TMP/out" 2>&1 || fail "one more: $(cat "$TMP/out")"
grep -q ' 0 of them new' "$TMP/out" || fail "nothing is new, yet: $(cat "$TMP/out")"
curl -sf -X DELETE "http://$REGISTRY/v2/team/last/manifests/1.0.0" # which the backup does not know of
stop
expect 1 ingotd restore --data "$data" "$TMP/backup"
expect 1 ingotd backup --data "$data" "$data/packs"
expect 1 ingotd restore --data "$TMP/none" "$TMP"
mv "$data" "$TMP/gone"
ingotd restore --data "$data" "$TMP/backup" >"$TMP/out" 2>&1 || fail "restore: $(cat "$TMP/out")"
scrub "the restored folder"
start_ingotd
names | cmp - "$TMP/names" || fail "the restored names differ"
put team/web "$TMP/blob4"
stop
scrub "the restored folder, after a push"
ok "a backup that is made beside pushes and collections is restored as it was"

# What an earlier backup has brought is verified by each one that counts on it, and brought again where it is damaged, in the
# middle of a broken-off backup too. A restore of a damaged backup restores nothing, and names the file; if forced, the rest.
rm -rf "$TMP/backup" "$TMP/gone"
mkdir "$TMP/other"
cp -r "$data/." "$TMP/other"
rm -f "$TMP"/other/control*
ingotd backup --data "$TMP/other" "$TMP/backup" >"$TMP/out" 2>&1 || fail "backup: $(cat "$TMP/out")"
copy=$TMP/backup/packs/$(basename "$(pack_of "$TMP/blob4")")
damage() { # FILE AT: of this name alone, not of the file that it is a link to
    cp "$1" "$TMP/part" && rm "$1" && mv "$TMP/part" "$1"
    python3 -c 'import sys
with open(sys.argv[1], "r+b") as f: f.seek(int(sys.argv[2])); f.write(b"damaged")' "$1" "$2"
}
damage "$copy" 5000
expect 1 ingotd restore --data "$TMP/third" "$TMP/backup"
grep -q "$copy: damaged" "$TMP/err" && grep -q 'nothing is restored.*ingotd restore --force' "$TMP/err" && [ ! -e "$TMP/third" ] || fail "a restore of a damaged backup: $(cat "$TMP/err")"
expect 1 ingotd restore --force --data "$TMP/third" "$TMP/backup"
grep -q "$copy: damaged" "$TMP/err" && grep -q 'needed by team/' "$TMP/err" || fail "a forced restore says: $(cat "$TMP/err")"
[ "$(find "$TMP/third/packs" -name '*.pack' | wc -l)" = "$(find "$TMP/backup/packs" -name '*.pack' | wc -l)" ] || fail "a forced restore leaves packs behind"
rm -rf "$TMP/third"
for listed in yes no; do
    [ $listed = yes ] || { damage "$copy" 5000; rm "$TMP/backup/files.json"; }
    ingotd backup --data "$TMP/other" "$TMP/backup" >"$TMP/out" 2>&1 || fail "over a damaged backup: $(cat "$TMP/out")"
    [ $listed = no ] || grep -q "brought again: $copy" "$TMP/out" || fail "nothing is said of what was brought again: $(cat "$TMP/out")"
    cmp "$copy" "$TMP/other/packs/$(basename "$copy")" || fail "a damaged pack stays in the backup"
done
for part in log row head; do
    file=catalogue.sqlite
    [ $part != log ] || file=names.log
    cp "$TMP/backup/$file" "$TMP/whole"
    case $part in
    log) damage "$TMP/backup/$file" "$(($(stat -c %s "$TMP/whole") - 30))" ;;
    row) python3 -c 'import sqlite3,sys; c = sqlite3.connect(sys.argv[1]); c.execute("UPDATE tags SET sum=sum+1"); c.commit()' "$TMP/backup/$file" ;;
    head) damage "$TMP/backup/$file" 0 ;;
    esac
    for mount in no yes; do # a folder that is there stays
        [ $mount = no ] || mkdir "$TMP/third"
        expect 1 ingotd restore --data "$TMP/third" "$TMP/backup"
        grep -q "$TMP/backup/$file.*ingotd restore --force" "$TMP/err" || grep -q "$file.part.*ingotd restore --force" "$TMP/err" || fail "a restore with a damaged $part: $(cat "$TMP/err")"
        [ $mount = no ] || rmdir "$TMP/third" || fail "a refused restore leaves something"
    done
    expect 1 ingotd restore --force --data "$TMP/third" "$TMP/backup"
    if [ $part != log ]; then # what mends it is said; a last event alone is mended at once
        grep -q 'ingotd rebuild' "$TMP/err" || fail "a forced restore with a damaged $part: $(cat "$TMP/err")"
        ingotd rebuild --data "$TMP/third" >"$TMP/out" 2>&1 || fail "rebuild after a forced restore: $(cat "$TMP/out")"
    fi
    ingotd scrub --data "$TMP/third" >"$TMP/out" 2>&1 || fail "after a forced restore with a damaged $part: $(cat "$TMP/out")"
    rm -rf "$TMP/third"
    cp "$TMP/whole" "$TMP/backup/$file"
done
ingotd restore --data "$TMP/third" "$TMP/backup" >"$TMP/out" 2>&1 || fail "restore: $(cat "$TMP/out")"
rm -rf "$TMP/third" "$TMP/other"
ok "a backup verifies what it counts on, and a damaged one is not restored"

# A backup of something damaged says so; so does a restore.
rm -rf "$TMP/backup" "$TMP/gone"
python3 -c 'import sys
part = open(sys.argv[2], "rb").read()[5000:5064]
with open(sys.argv[1], "r+b") as f: f.seek(f.read().index(part)); f.write(b"damaged")' "$(pack_of "$TMP/blob2")" "$TMP/blob2"
expect 1 ingotd backup --data "$data" "$TMP/backup"
grep -q 'damaged: piece sha256' "$TMP/err" || fail "a backup of something damaged says: $(cat "$TMP/err")"
expect 1 ingotd restore --data "$TMP/third" "$TMP/backup"
grep -q 'needed by team/web:2.0.0' "$TMP/err" || fail "a restore of something damaged says: $(cat "$TMP/err")"
ok "a damaged piece does not pass through a backup unseen"
