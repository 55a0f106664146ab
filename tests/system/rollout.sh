#!/bin/bash
# Rollouts in phases: groups and percent, the clock that opens them, failures that stop them, rollback, barriers, restarts.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
${CC:-gcc} -O2 -D_GNU_SOURCE -shared -fPIC -o "$TMP/libclock.so" tests/faults/clock.c -ldl
echo 0 >"$TMP/clock"
serve() { start_server env "CLOCK=$TMP/clock" "LD_PRELOAD=$TMP/libclock.so" ingotd --data "$TMP/registry" --listen "$1"; }
serve 127.0.0.1:0
export REGISTRY=${SERVED#*//}
where=$REGISTRY/team/web
api=$SERVED/api/v1/team/web
for version in 1.0.0 2.0.0 3.0.0; do
    head -c 65536 /dev/urandom >"$TMP/$version.raw"
    ingot pack -q "$TMP/$version.raw" "team/web:$version" >"$TMP/digest.$version"
    ingot push -q "team/web:$version" "$where:$version" >/dev/null
done
digest() { cat "$TMP/digest.$1"; }
move() { ingot promote -q "$where" "$1" dev >/dev/null; }
# later SECONDS: the server's clock goes on, and it starts again, which has all followers look at the channel.
later() {
    echo "$1" >"$TMP/clock"
    kill "$SERVER"
    wait "$SERVER" || fail "ingotd ends with $?"
    serve "$REGISTRY"
}
# rules TEXT: the rollout of the channel dev.
rules() {
    printf 'pipelines:\n  team/*:\n    channels:\n      - name: dev\n        rollout: %s\n' "$1" >"$TMP/pipelines.yaml"
    ingot pipeline apply -q "$REGISTRY" "$TMP/pipelines.yaml" >/dev/null
}
follow() {
    local name=$1
    shift
    INGOT_STORE=$TMP/store-$name ${instead:-} ingot follow "$where:dev" --folder "$TMP/$name" --name "$name" --retry 1s \
        --exec 'echo "$INGOT_VERSION" >>"'"$TMP/ran.$name"'"; ! grep -qsx "$INGOT_VERSION" "'"$TMP/bad.$name"'"' "$@" >>"$TMP/$name.log" 2>&1
}
# In the place of the shell that it is started by, so that whoever ends that ends it.
start_follower() {
    instead="exec" follow "$@" &
    ENDING+=("$!")
}
ran() { [ "$(paste -sd' ' "$TMP/ran.$1" 2>/dev/null)" = "$2" ]; }
told() { ingot channels "$where" --hosts 2>&1 >/dev/null | grep -q "$1"; }
# asks EXPECTED QUERY: what a host is told to run.
asks() {
    local got
    got=$(curl -sf "$api/target/dev?$2" | python3 -c 'import json,sys
answer = json.load(sys.stdin)
print(answer.get("digest") or answer["why"].split(" opens ")[0], answer.get("further", ""), answer.get("again", "") and "again")')
    case "$got" in "$1"*) ;; *) fail "$2: $got, not $1" ;; esac
}

# --- without one ---
move 1.0.0
echo 'GET+/api/v1/.*/target/ status 404' >"$TMP/rules"
python3 tests/system/upstream.py "$REGISTRY" "$TMP/rules" "$TMP/asked" >"$TMP/between" 2>"$TMP/between.log" &
ENDING+=("$!")
until_true test -s "$TMP/between"
between=$(cat "$TMP/between")/team/web
where=$between follow plain --once
ran plain 1.0.0 || fail "$(cat "$TMP/plain.log")"
[ "$(curl -sf "$api/rollouts")" = '[]' ] || fail "$(curl -s "$api/rollouts")"
ok "of a registry that knows of no hosts a follower takes what the tag names"

# --- groups, in their turn ---
start_follower canary --group canary
start_follower eu --group eu
until_true ran canary 1.0.0
until_true ran eu 1.0.0
rules '{groups: [[canary], [eu, us]], wait: 1h, stop_after_failures: 1}'
move 2.0.0
until_true ran canary "1.0.0 2.0.0"
until_true grep -qs 'waits: phase 2 of 2 opens at' "$TMP/eu.log"
told '^dev: phase 1 of 2; the next one opens at' || fail "$(ingot channels "$where" --hosts 2>&1)"
ingot channels "$where" --hosts --json | python3 -c 'import json,sys
dev = json.load(sys.stdin)[0]
rollout = dev["rollout"]
assert (rollout["phase"], rollout["phases"], rollout["stopped"], rollout["failed"]) == (1, 2, False, []) and rollout["next"] > dev["since"], rollout' || fail "--json"
ran eu 1.0.0 || fail "$(cat "$TMP/eu.log")"
# Caches ask with GET where a client asks with HEAD, and again with what they have.
says_phases() { curl -s -o /dev/null -D - "$@" "$SERVED/v2/team/web/manifests/dev" | grep -qi '^ingot-rollout: phases'; }
says_phases -I && says_phases && says_phases -H "If-None-Match: \"$(digest 2.0.0)\"" || fail "not each answer says that the image goes out in phases"
# tells_between RULES WORDS: what a follower of another group is told, where something stands between that does as the rules say.
tells_between() {
    printf '%s\n' "$1" >"$TMP/rules"
    : >"$TMP/other.log"
    where=$between start_follower other
    until_true grep -qs "$2" "$TMP/other.log"
    kill "${ENDING[-1]}"
    wait "${ENDING[-1]}" || fail "a follower ends with $?"
    [ ! -e "$TMP/ran.other" ] || fail "it does not wait for its turn"
}
tells_between 'HEAD+/v2/ drop Ingot-Rollout' 'waits: phase 2 of 2 opens at'
tells_between 'GET+/api/v1/.*/target/ status 404' "whether it is this host's turn can't be asked: "
tells_between $'HEAD+/v2/ drop Ingot-Rollout\nGET+/api/v1/.*/target/ status 500' 'status 500'
later 3601
until_true ran eu "1.0.0 2.0.0"
! told phase || fail "$(ingot channels "$where" --hosts 2>&1)"
later 0
asks 'phase 2 of 2' "host=new&group=made-up"
asks "$(digest 2.0.0)" "host=eu&group=us&runs=$(digest 2.0.0)"
asks "$(digest 2.0.0)" "host=new&group=canary"
ok "each group has its turn by the server's clock; one that is set back lets no further host begin"

# --- failures ---
echo '{"default": [{"type": "reject"}]}' >"$TMP/reject.json"
start_follower strict --group canary --policy "$TMP/reject.json"
strict=${ENDING[-1]}
until_true eval 'ingot channels "$where" --hosts 2>/dev/null | grep -qE "dev +strict .* failed "'
kill "$strict"
wait "$strict" || fail "a follower ends with $?"
told '^dev: phase 1 of 2; the next one opens at' || fail "a pull that fails stops the rollout: $(ingot channels "$where" --hosts 2>&1)"
ok "what fails before the command has begun stops nothing"

echo 3.0.0 >"$TMP/bad.canary"
move 3.0.0
until_true grep -qs 'waits: the rollout is stopped: 1 host has failed with it (canary)' "$TMP/canary.log"
later 7200
until_true grep -qs 'waits: the rollout is stopped' "$TMP/eu.log"
told '^dev: the rollout is stopped: 1 host has failed with it (canary)' || fail "$(ingot channels "$where" --hosts 2>&1)"
ingot channels "$where" --hosts 2>/dev/null | grep -qE 'dev +canary +canary +3.0.0 .* failed ' || fail "$(ingot channels "$where" --hosts 2>&1)"
says_it_again() { curl -sf "$api/hosts/dev" | python3 -c 'import datetime, json, sys
host = next(host for host in json.load(sys.stdin) if host["host"] == "canary")
since, seen = (datetime.datetime.fromisoformat(host[member].rstrip("Z")) for member in ("since", "seen"))
sys.exit(host["result"] != "failed" or (seen - since).total_seconds() < 7000)'; }
until_true says_it_again
tried=$(wc -l <"$TMP/ran.canary")
move 3.0.0
tries_again() { [ "$(wc -l <"$TMP/ran.canary")" -gt "$tried" ]; }
until_true tries_again
until_true told '^dev: the rollout is stopped: 1 host has failed with it (canary)'
ran eu "1.0.0 2.0.0" || fail "it goes on after failures: $(cat "$TMP/ran.eu")"
ingot rollback -q "$where" dev --reason 'it smokes' >/dev/null
rolled_back() { ingot channels "$where" --hosts --json | python3 -c 'import json,sys
dev = json.load(sys.stdin)[0]
sys.exit("rollout" in dev or not all(host["current"] for host in dev["hosts"] if host["host"] not in ("plain", "strict")))'; }
until_true rolled_back
[ "$(tail -1 "$TMP/ran.canary")" = 2.0.0 ] || fail "what has failed half-way is not taken back: $(cat "$TMP/ran.canary")"
ran eu "1.0.0 2.0.0" || fail "what stands is run again: $(cat "$TMP/ran.eu")"
asks "$(digest 2.0.0)" "host=new"
rm "$TMP/bad.canary"
move 3.0.0
runs_three() { [ "$(cat "$TMP/canary/done")" = "$(digest 3.0.0)" ]; }
until_true runs_three
asks 'phase 2 of 2' "host=eu&group=eu&runs=$(digest 2.0.0)"
later 14400
until_true ran eu "1.0.0 2.0.0 3.0.0"
ok "a host that fails stops the rollout and says so for as long, a rollback is for all at once, and the next promotion begins anew, of the same image too"

# --- barriers ---
rules '{barriers: [2.0.0]}'
INGOT_STORE=$TMP/store-plain timeout 60 ingot follow "$where:dev" --folder "$TMP/plain" --name plain --once --exec 'echo "$INGOT_VERSION" >>"'"$TMP/ran.plain"'"' >>"$TMP/plain.log" 2>&1 || fail "$(cat "$TMP/plain.log")"
ran plain "1.0.0 2.0.0 3.0.0" || fail "a barrier: $(cat "$TMP/ran.plain")"
follow fresh --once
ran fresh 3.0.0 || fail "a host that has nothing: $(cat "$TMP/ran.fresh")"
rules '{barriers: [2.5.0]}'
asks '2.5.0 has to be passed first, and is not there' "host=h&runs=$(digest 1.0.0)"
ok "a barrier is passed first"

# --- percent ---
rules '{percent: [10, 100], wait: 1h}'
ingot rollback -q "$where" dev >/dev/null
asks "$(digest 2.0.0)" "host=h&wariness=1.0"
move 3.0.0
asks "$(digest 3.0.0)" "host=h&wariness=0.0"
asks 'phase 2 of 2' "host=h&wariness=1.0"
INGOT_STORE=$TMP/store-plain timeout 60 ingot follow "$where:dev" --folder "$TMP/keen" --name keen --wariness 0.05 --once --exec true >>"$TMP/keen.log" 2>&1 || fail "$(cat "$TMP/keen.log")"
curl -sf -D "$TMP/head" -o /dev/null "$api/target/dev?host=h"
grep -qi '^cache-control:.*no-cache' "$TMP/head" || fail "a proxy may keep the answer: $(cat "$TMP/head")"
for wrong in "" "host=h&wariness=2" "host=h&wariness=nan" "host=h&runs=x"; do
    [ "$(curl -s -o /dev/null -w '%{http_code}' "$api/target/dev?$wrong")" = 400 ] || fail "'$wrong' is taken"
done
[ "$(curl -s -o /dev/null -w '%{http_code}' "$api/target/made-up?host=h")" = 404 ] || fail "a channel that is not there"
for wrong in 1.5 -1 keen; do
    status=0
    ingot follow "$where:dev" --exec true --wariness="$wrong" >"$TMP/out" 2>&1 || status=$?
    [ $status = 2 ] && grep -q 'not a number from 0.0 to 1.0' "$TMP/out" || fail "$wrong: $(cat "$TMP/out")"
done
ok "a host has its place in the order, by its wariness"

# --- hosts of one name: machines of one image that have no other ---
rules '{percent: [100], stop_after_failures: 2}'
# twin NUMBER COMMAND [OPTION...]
twin() { INGOT_STORE=$TMP/store-plain exec ingot follow "$where:dev" --folder "$TMP/twin$1" --name twin --retry 15m --exec "${@:2}" >>"$TMP/twin.log" 2>&1; }
have_failed() { [ "$(curl -sf "$api/hosts/dev" | grep -o '"host":"twin","id":"[^"]*","result":"failed"' | wc -l)" = "$1" ]; }
# fails_as NUMBER COUNT: another one fails, and COUNT have by then.
fails_as() {
    twin "$1" false &
    ENDING+=("$!")
    until_true have_failed "$2"
    kill "${ENDING[-1]}"
    wait "${ENDING[-1]}" || fail "a follower ends with $?"
}
fails_as 1 1
(twin 2 true --once) || fail "$(cat "$TMP/twin.log")"
! told stopped || fail "one that has failed counts twice"
fails_as 3 2
told '^dev: the rollout is stopped: 2 hosts have failed with it (twin, twin)' || fail "$(ingot channels "$where" --hosts 2>&1)"
[ "$(ingot channels "$where" --hosts 2>/dev/null | awk '$2 ~ "^twin/........$" { print $2 }' | sort -u | wc -l)" = 3 ] || fail "$(ingot channels "$where" --hosts 2>&1)"
ok "hosts that have one name are told apart: one's success takes nothing back of another's failure"
