#!/bin/bash
# Rebuilds: what is resumed and what is run again, what is kept and what must not be, and that the outcome is the same.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/base.sh
. tests/system/base.sh
share_base warm
export TMPDIR=$TMP/work
mkdir -p "$TMPDIR" "$TMP/site"
root=$((66 << 20)) # where the base's root file system starts
echo 'first page' >"$TMP/site/index.html"

recipe() {
    cat <<YAML
name: cached
version: 1.0.0
source: {from: debian-12}
machine: {cpus: 1, memory: 1G}
steps:
  - name: one
    shell: |
      echo one >/srv/one; systemd-run -q --unit=witness sleep 100000
      echo 'ssh-ed25519 AAAA of-the-recipe' >>/root/.ssh/authorized_keys
      # A file that is deleted while it is open: the sealed file system must not need to be told.
      (exec 7>/srv/deleted; head -c 3000000 /dev/urandom >&7; rm /srv/deleted; exec sleep 100000) >/dev/null 2>&1 &
      sleep 0.5
  - name: site
    file: {from: site, to: /srv/site}
  - name: last
    shell: systemctl is-active witness && echo ${1:-last} >/srv/last
YAML
}
write() { recipe "$@" >"$TMP/cached.yaml"; }
# build [ARGUMENTS]: the log in $TMP/log, the digest in $DIGEST.
build() { DIGEST=$(ingot build --no-test "$TMP/cached.yaml" "$@" 2>"$TMP/log" | sed 's/.* \(sha256:[0-9a-f]*\).*/\1/') && [ -n "$DIGEST" ] || fail "build: $(tail -20 "$TMP/log")"; }
said() { grep -q -- "$1" "$TMP/log" || fail "the build does not say '$1': $(cat "$TMP/log")"; }
said_not() { ! grep -q -- "$1" "$TMP/log" || fail "the build says '$1': $(cat "$TMP/log")"; }
plan() { ingot plan --json "$TMP/cached.yaml" | python3 -c 'import json, sys; [print(s["number"], s["title"], s["cached"], s.get("why", "-")) for s in json.load(sys.stdin)[0]["stages"]]'; }
nodes() { ingot cache ls --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)))'; }

write
plan >"$TMP/plan"
grep -q '^0 boot True' "$TMP/plan" || fail "a cache that was copied is not what it was: $(cat "$TMP/plan")"
build
said "resume after 'boot'" && said_not 'boot ('
[ "$(nodes)" = 4 ] || fail "$(nodes) nodes are kept, with the one that it began with"
[ -z "$(find "$INGOT_CACHE/nodes" -perm /077 -type d)" ] || fail "others may look into the nodes"
[ -z "$(ls -A "$TMPDIR")" ] || fail "work files are left: $(ls -A "$TMPDIR")"
first=$DIGEST
build
said_not 'boot ('
[ "$DIGEST" = "$first" ] || fail "nothing changed, but the digest"
ok "a build keeps the machine after each stage; the same again is the same image at once"

# The witness is a process: only the machine's own memory has it.
write changed
plan >"$TMP/plan"
grep -q '^2 site True' "$TMP/plan" && grep -q '^3 last False script changed' "$TMP/plan" || fail "plan: $(cat "$TMP/plan")"
build
said "resume after 'site'" && said_not 'boot ('
resumed=$DIGEST
echo 'second page' >"$TMP/site/index.html"
plan >"$TMP/plan"
grep -q '^1 one True' "$TMP/plan" && grep -q '^2 site False file site/index.html changed' "$TMP/plan" || fail "plan: $(cat "$TMP/plan")"
grep -q '^3 last False follows' "$TMP/plan" || fail "plan: $(cat "$TMP/plan")"
build
said "resume after 'one'"
echo 'first page' >"$TMP/site/index.html"
build
[ "$DIGEST" = "$resumed" ] || fail "back to what it was, but not the image"
ok "a build resumes the running machine right before what changed, and the plan names it"

# The same image as without a cache, file by file.
files() {
    mkdir "$TMP/$1"
    for folder in /etc /root /srv /usr /var; do
        debugfs -R "rdump $folder $TMP/$1" "$TMP/$1.raw?offset=$root" >/dev/null 2>&1
    done
    # What every boot writes anew, or the time of day alone makes differ.
    (cd "$TMP/$1" && rm -rf var/log/lastlog var/log/wtmp var/log/btmp var/lib/systemd/timesync/clock var/lib/systemd/timers \
        var/lib/private var/lib/systemd/catalog)
}
write compared
build
ingot pull -q "cached@$DIGEST" -o "$TMP/warm.raw" >/dev/null
build --no-cache
ingot pull -q "cached@$DIGEST" -o "$TMP/cold.raw" >/dev/null
for name in warm cold; do
    e2fsck -fn "$TMP/$name.raw?offset=$root" >"$TMP/fsck" 2>&1 || fail "the $name image's file system needs recovery: $(cat "$TMP/fsck")"
    files $name
done
[ "$(cat "$TMP/warm/root/.ssh/authorized_keys")" = 'ssh-ed25519 AAAA of-the-recipe' ] || fail "keys: $(cat "$TMP"/warm/root/.ssh/*)"
[ ! -e "$TMP/warm/root/.ssh/authorized_keys2" ] || fail "the build's key is left"
[ "$(find "$TMP/warm" -type f | wc -l)" -gt 5000 ] || fail "too few files were compared"
diff -r --no-dereference "$TMP/warm" "$TMP/cold" >"$TMP/diff" 2>&1 || fail "a resumed build differs: $(head "$TMP/diff")"
(cd "$TMP/warm" && find . -printf '%p %M %U:%G %l\n' | sort) >"$TMP/warm.modes"
(cd "$TMP/cold" && find . -printf '%p %M %U:%G %l\n' | sort) >"$TMP/cold.modes"
cmp "$TMP/warm.modes" "$TMP/cold.modes" || fail "modes or owners differ"
rm -rf "$TMP/warm" "$TMP/cold" "$TMP"/*.raw
ok "a resumed build gives the same files as one without a cache, on a file system that needs no recovery"

for n in 1 2; do ingot shell "$TMP/cached.yaml" --at last -- sh -c 'date +%s; head -c 16 /dev/urandom | od -An -tx1; systemctl is-active witness; cat /root/.ssh/authorized_keys* | grep build@ingot.invalid | sort -u | wc -l' >"$TMP/shell$n" 2>"$TMP/err" || fail "shell: $(cat "$TMP/err")"; done
grep -q '^active' "$TMP/shell1" || fail "the shell is in another machine: $(cat "$TMP/shell1")"
[ $(($(date +%s) - $(head -1 "$TMP/shell2"))) -lt 30 ] || fail "the guest's clock stands: $(cat "$TMP/shell2")"
[ "$(sed -n 2p "$TMP/shell1")" != "$(sed -n 2p "$TMP/shell2")" ] || fail "two machines from one node share their random numbers"
[ "$(sed -n 4p "$TMP/shell1")" = 1 ] || fail "keys of earlier builds still open the machine"
expect 2 ingot shell "$TMP/cached.yaml" --at nowhere
grep -q "is no step" "$TMP/err" || fail "$(cat "$TMP/err")"
ok "ingot shell looks into a kept machine: its clock is right, its entropy and its key are its own"

sed 's/&& echo .*/\&\& exit 7/' "$TMP/cached.yaml" >"$TMP/broken.yaml"
mv "$TMP/broken.yaml" "$TMP/cached.yaml"
expect 1 ingot build --no-test "$TMP/cached.yaml"
grep -q 'ingot shell' "$TMP/err" || fail "no word of the kept machine: $(cat "$TMP/err")"
[ "$(ingot shell "$TMP/cached.yaml" -- cat /srv/site/index.html 2>/dev/null)" = 'first page' ] || fail "the shell is not where it broke"
write mended
build
said "resume after 'site'"
ok "a step that failed is mended from where it broke"

# The folder of the node of a stage (by its number) of the recipe as it is now.
folder_of() {
    local key
    key=$(ingot plan --json "$TMP/cached.yaml" | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["stages"][int(sys.argv[1])]["key"])' "$1")
    ingot cache ls --json | python3 -c 'import json, sys; print(sys.argv[1] + "/nodes/" + [n["node"] for n in json.load(sys.stdin) if n["key"] == sys.argv[2]][-1])' "$INGOT_CACHE" "$key"
}
site=$(folder_of 2)
flip "$site/memory.zst" 1000000
write damaged-memory
build
said "what was kept after 'site' is discarded" && said "resume after 'one'"
site=$(folder_of 2)
flip "$site/disk.qcow2" 200000
write damaged-disk
build
said "what was kept after 'site' is discarded" && said "resume after 'one'"
site=$(folder_of 2)
sed -i 's/"version": 1/"version": 99/' "$site/node.json"
write newer
build
said "resume after 'one'" && said_not discarded
[ -e "$site/node.json" ] || fail "a newer ingot's node was removed"
rm -rf "$site"
sed -i 's/"machine": "board/"machine": "another board/' "$(folder_of 1)/node.json" "$(folder_of 2)/node.json"
write elsewhere
sed -i 's/systemctl is-active witness &&/:;/' "$TMP/cached.yaml"
build
said 'the disk alone is used'
ingot pull -q "cached@$DIGEST" -o "$TMP/disk.raw" >/dev/null
[ "$(debugfs -R 'cat /root/.ssh/authorized_keys' "$TMP/disk.raw?offset=$root" 2>/dev/null)" = 'ssh-ed25519 AAAA of-the-recipe' ] || fail "a second boot loses the recipe's keys"
rm "$TMP/disk.raw"
ok "a damaged node is discarded, a newer one ignored, of another machine's the disk alone is used"

# Ages, refresh, and a secret.
cat >"$TMP/cached.yaml" <<'YAML'
name: aged
version: 1.0.0
variables:
  token: {secret: true, required: true}
source: {from: debian-12}
machine: {cpus: 1}
steps:
  - {name: old, shell: date +%s%N >/srv/when, max_age: 1h}
  - {name: quiet, shell: "echo ${token} | sha256sum >/srv/sum"}
  - {name: after, shell: cat /srv/when, cache: disk, shutdown: true}
YAML
export INGOT_VAR_token=correct-horse
build
when=$(sed -n 's/.* | \([0-9]\{19\}\)$/\1/p' "$TMP/log")
python3 - "$INGOT_CACHE" <<'PY'
import glob, json, sys
for path in glob.glob(sys.argv[1] + "/nodes/*/node.json"):
    node = json.load(open(path))
    for run in node["runs"]:
        if run["title"] == "old":
            run["ran"] -= 4000
    json.dump(node, open(path, "w"))
PY
plan >"$TMP/plan"
grep -q '^1 old False 1 h old, its max_age is 1 h' "$TMP/plan" || fail "plan: $(cat "$TMP/plan")"
sed -i 's/version: 1.0.0/version: 1.0.1/' "$TMP/cached.yaml"
build
said '^old (' && [ "$(sed -n 's/.* | \([0-9]\{19\}\)$/\1/p' "$TMP/log")" != "$when" ] || fail "a stale step was not run again"
build --refresh=quiet
said "resume after 'old'" && said '^quiet ('
build --refresh "$TMP/cached.yaml"
said '^old ('
ok "a step that is too old is run again, as is what --refresh names"

ingot cache ls --json >"$TMP/nodes.json"
python3 - "$TMP/nodes.json" <<'PY' || fail "secrets: $(cat "$TMP/nodes.json")"
import json, sys
seen = {n["step"]: n for n in json.load(open(sys.argv[1])) if n["recipe"] == "aged"}
assert not seen["old"]["secret"] and seen["quiet"]["secret"] and seen["after"]["secret"], seen
assert seen["quiet"]["memory"] > 0 and seen["after"]["memory"] == 0, seen
PY
! grep -rq correct-horse --include=*.json "$INGOT_CACHE" || fail "a secret is in the cache's metadata"
INGOT_VAR_token=other plan >"$TMP/plan"
grep -q '^1 old True' "$TMP/plan" && grep -q '^2 quiet False a secret changed' "$TMP/plan" || fail "plan: $(cat "$TMP/plan")"
ok "a machine that saw a secret is marked, a step's secret is in its key alone, and nothing tells it"

start_ingotd
build --cache-to "$REGISTRY/team/nodes" --refresh=after
said "after 'quiet' saw a secret"
[ "$(ingot ls "$REGISTRY/team/nodes" | wc -l)" = 2 ] || fail "pushed: $(ingot ls "$REGISTRY/team/nodes")"
expect 2 ingot build --no-test "$TMP/cached.yaml" --cache-to "$REGISTRY/team/nodes" --cache-secret quite
grep -q "'quite' is not a step.*did you mean 'quiet'.*the steps are 'old', 'quiet', 'after'" "$TMP/err" || fail "$(cat "$TMP/err")"
build --cache-to "$REGISTRY/team/nodes" --cache-secret quiet
said_not 'resume' && said "pushed to $REGISTRY/team/nodes: the machine after 'quiet'"
[ "$(ingot ls "$REGISTRY/team/nodes" | wc -l)" = 3 ] || fail "pushed: $(ingot ls "$REGISTRY/team/nodes")"
build --cache-to "$REGISTRY/team/nodes" --cache-secret quiet
said_not 'pushed to'
mkdir "$TMP/fresh"
cp -al "$INGOT_CACHE/sources" "$TMP/fresh/"
cp -a "$INGOT_CACHE/accel" "$TMP/fresh/" 2>/dev/null || true # there is none where there is no /dev/kvm
INGOT_CACHE=$TMP/fresh build --cache-from "$REGISTRY/team/nodes"
said "fetched from $REGISTRY/team/nodes: the machine after 'old'" && said "resume after 'old'" && said_not '^old ('
ok "a fresh cache starts from the nodes of a registry; those with secrets stay unless they are named"

# A machine with UEFI: its firmware's variables come too. Its last step fails, and what came before is pushed all the same.
fresh() {
    rm -rf "$TMP/fresh"
    mkdir "$TMP/fresh"
    cp -al "$INGOT_CACHE/sources" "$TMP/fresh/"
    cp -a "$INGOT_CACHE/accel" "$TMP/fresh/" 2>/dev/null || true
}
cat >"$TMP/cached.yaml" <<'YAML'
name: uefi
version: 1.0.0
source: {from: debian-12}
machine: {cpus: 1, firmware: uefi}
steps:
  - {name: one, shell: systemd-run -q --unit=witness sleep 100000}
  - {name: last, shell: "test -d /sys/firmware/efi && systemctl is-active witness && exit 7"}
YAML
expect 1 ingot build --no-test "$TMP/cached.yaml" --cache-to "$REGISTRY/team/uefi"
grep -q "pushed to $REGISTRY/team/uefi: the machine after 'one'" "$TMP/err" || fail "a failed build pushes nothing: $(cat "$TMP/err")"
sed -i 's/&& exit 7/\&\& echo gone/' "$TMP/cached.yaml"
fresh
INGOT_CACHE=$TMP/fresh build --cache-from "$REGISTRY/team/uefi"
said "fetched from $REGISTRY/team/uefi: the machine after 'one'" && said "resume after 'one'" && said_not 'boot (' && said_not 'the disk alone'
ok "a UEFI machine is resumed on another host, from what a failed build pushed"

# What fails here, and not because the registry refuses, is no reason not to build.
cat >"$TMP/cached.yaml" <<'YAML'
name: alone
version: 1.0.0
source: {from: debian-12}
steps: [{shell: echo alone >/etc/alone, offline: true}]
YAML
fresh
mkdir "$TMP/fresh/share.lock"
INGOT_CACHE=$TMP/fresh build --cache-from "$REGISTRY/team/uefi"
said "nothing is fetched from $REGISTRY/team/uefi:" && said '^echo alone .*: offline ('
fresh
INGOT_CACHE=$TMP/fresh expect 1 ingot build --no-test "$TMP/cached.yaml" --cache-from 127.0.0.1:1/team/uefi
rm -rf "$TMP/fresh"
ok "a build goes on where nothing can be fetched, but not where the registry can't be reached"

# An image that no test has seen does not stand for one that is tested; nor one of another version.
cat >"$TMP/tested.yaml" <<'YAML'
name: tested
version: 1.0.0
source: {from: debian-12}
machine: {cpus: 1}
steps: [{shell: echo one >/srv/one, offline: true}]
tests: [{shell: test -e /srv/two}]
YAML
ingot build --no-test "$TMP/tested.yaml" >"$TMP/out" 2>"$TMP/log" || fail "$(cat "$TMP/log")"
expect 1 ingot build "$TMP/tested.yaml"
grep -q '1 of 1 tests failed' "$TMP/err" || fail "an untested image was called unchanged: $(cat "$TMP/err")"
ingot build --no-test "$TMP/tested.yaml" >"$TMP/out" 2>"$TMP/log" && grep -q 'nothing changed' "$TMP/out" || fail "$(cat "$TMP/log")"
ingot build --no-test "$TMP/tested.yaml" -t tested:2.0.0 >"$TMP/out" 2>"$TMP/log" || fail "$(cat "$TMP/log")"
ingot show --json tested:2.0.0 | grep -q '"org.opencontainers.image.version": "2.0.0"' || fail "2.0.0 says that it is $(ingot show --json tested:2.0.0)"
ingot show --json tested:1.0.0 | grep -q '"org.opencontainers.image.version": "1.0.0"' || fail "1.0.0 says that it is another"
sed -i 's/version: 1.0.0/version: 3.0.0/' "$TMP/tested.yaml"
find "$INGOT_CACHE/images" "$INGOT_CACHE/plans" "$INGOT_CACHE/nodes" -mindepth 1 | sort >"$TMP/before"
ingot build --no-test --no-cache "$TMP/tested.yaml" >"$TMP/out" 2>"$TMP/log" || fail "$(cat "$TMP/log")"
find "$INGOT_CACHE/images" "$INGOT_CACHE/plans" "$INGOT_CACHE/nodes" -mindepth 1 | sort | diff "$TMP/before" - || fail "--no-cache leaves something"
ok "a record stands for an image that has passed its tests, of one version; --no-cache leaves none"

cat >"$TMP/slow.yaml" <<'YAML'
name: shared
version: 1.0.0
source: {from: debian-12}
machine: {cpus: 1}
steps:
  - {name: slow, shell: date +%N >/srv/once}
  - {name: end, shell: cat /srv/once}
YAML
# Both wait for the first step's turn, which is ours until both say so.
slow=$(ingot plan --json "$TMP/slow.yaml" | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["stages"][1]["key"][7:])')
mkdir -p "$INGOT_CACHE/turns"
exec 8>"$INGOT_CACHE/turns/$slow"
flock 8
pids=()
for n in 1 2; do
    ingot build --no-test "$TMP/slow.yaml" >"$TMP/out$n" 2>"$TMP/log$n" 8>&- &
    pids+=($!)
done
for n in 1 2; do
    until grep -q "another build runs 'slow': waiting for it" "$TMP/log$n"; do
        kill -0 "${pids[n - 1]}" || fail "$(cat "$TMP/log$n")"
        sleep 0.2
    done
done
exec 8>&-
for n in 1 2; do wait "${pids[n - 1]}" || fail "$(cat "$TMP/log$n")"; done
[ "$(grep -h ' end | ' "$TMP/log1" "$TMP/log2" | sort -u | wc -l)" = 1 ] || fail "both ran the slow step"
ok "two builds of one recipe at once run each step once"

cat >"$TMP/offline.yaml" <<'YAML'
name: offline
version: 1.0.0
source: {from: debian-12}
machine: {cpus: 1}
steps:
  - {name: command, shell: "id -u; echo written >/etc/offline", offline: true}
  - {file: {from: site, to: /srv/site, owner: "nobody:nogroup"}, offline: true}
YAML
ingot build --no-test "$TMP/offline.yaml" >"$TMP/out" 2>"$TMP/log" || fail "$(cat "$TMP/log")"
said 'command: offline' && said_not 'boot ('
ingot pull -q offline:1.0.0 -o "$TMP/offline.raw" >/dev/null
look() { debugfs -R "$1" "$TMP/offline.raw?offset=$root" 2>/dev/null; }
[ "$(look 'cat /etc/offline')" = written ] && [ "$(look 'cat /srv/site/index.html')" = 'first page' ] || fail "the files of offline steps"
look 'stat /srv/site/index.html' | grep -q 'User: *65534 *Group: *65534' || fail "the owner: $(look 'stat /srv/site/index.html')"
rm "$TMP/offline.raw"
ok "offline steps alone never boot the machine"

mkdir "$TMP/graph"
printf 'name: parent\nversion: 1.0.0\nsource: {from: debian-12}\nmachine: {cpus: 1}\nsteps: [{shell: echo parent >/srv/parent}]\n' >"$TMP/graph/parent.yaml"
for n in a b; do printf 'name: child-%s\nversion: 1.0.0\nsource: {recipe: parent.yaml}\nmachine: {cpus: 1}\nsteps: [{shell: cat /srv/parent}]\n' $n >"$TMP/graph/$n.yaml"; done
ingot build --no-test "$TMP/graph" >"$TMP/out" 2>"$TMP/log" || fail "$(cat "$TMP/log")"
[ "$(wc -l <"$TMP/out")" = 3 ] && [ "$(grep -c '^built' "$TMP/log")" = 3 ] || fail "the graph: $(cat "$TMP/log")"
[ "$(grep -c ': boot (.*) (' "$TMP/log")" -le 1 ] || fail "the children do not share their parent's nodes: $(cat "$TMP/log")"
ingot show --json child-a:1.0.0 | grep -q '"reference": "parent:1.0.0' || fail "the parent is not recorded"
ingot build --no-test -q "$TMP/graph/b.yaml" >/dev/null
ok "recipes that are based on recipes are built as a graph, and share nodes"

limit() { ingot cache du --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
[ "$(INGOT_CACHE_SIZE=123M limit limit)" = $((123 << 20)) ] || fail "the limit"
before=$(nodes)
INGOT_CACHE_SIZE=1G ingot build --no-test --refresh=end "$TMP/slow.yaml" >/dev/null 2>"$TMP/log"
said 'the cache is over its limit of 1.1 GB: evicted the machine after'
[ "$(nodes)" -lt "$before" ] && [ $(($(limit layers) + $(limit memory) + $(limit sources))) -lt $((1 << 30)) ] || fail "the cache is still too large: $(ingot cache du)"
ingot plan "$TMP/slow.yaml" | grep -q 'slow .*cached' || fail "what was used last has gone"
# Nodes of a recipe, one that stays, and what only would go.
pinned=$(ingot cache ls --json | python3 -c 'import json, sys; nodes = json.load(sys.stdin); below = {n.get("below") for n in nodes}; print([n["node"] for n in nodes if n["node"] in below][0])')
ingot cache pin "$pinned"
ingot cache ls | grep "^$pinned .*(pinned)" >/dev/null || fail "$(ingot cache ls)"
before=$(nodes)
ingot cache prune --dry-run >"$TMP/out"
grep -q '^would drop ' "$TMP/out" && [ "$(nodes)" = "$before" ] || fail "a dry run: $(cat "$TMP/out")"
expect 2 ingot cache rm "$pinned"
grep -q 'is pinned' "$TMP/err" || fail "$(cat "$TMP/err")"
ingot cache prune >"$TMP/out"
[ "$(nodes)" -ge 1 ] && ingot cache ls --json | grep -q "\"node\": \"$pinned\"" || fail "a pinned node has gone: $(cat "$TMP/out")"
ingot cache unpin "$pinned"
ingot cache rm "$pinned" >"$TMP/out"
grep -q "^removed $pinned, after" "$TMP/out" || fail "$(cat "$TMP/out")"
expect 1 ingot cache rm "$pinned"
ok "nodes are pinned and removed by name"

ingot cache prune >"$TMP/out"
[ "$(nodes)" = 0 ] && [ "$(limit sources)" -lt 100000000 ] || fail "prune left: $(ingot cache du)"
ok "the cache keeps to its limit, what was used last goes last; prune empties it"
