#!/bin/bash
# Followers: a channel moves, a command runs once on each host; kills at any point, restarts, failures, rollback, windows.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
start_ingotd
where=$REGISTRY/team/web
for n in 1 2 3; do
    head -c 4194304 /dev/urandom >"$TMP/$n.raw"
    ingot pack -q "$TMP/$n.raw" "team/web:$n.0.0" >"$TMP/digest.$n"
    ln "$TMP/$n.raw" "$TMP/$(cut -d: -f2 "$TMP/digest.$n").raw"
    ingot push -q "team/web:$n.0.0" "$where:$n.0.0" >/dev/null
done
digest() { cat "$TMP/digest.$1"; }
move() { ingot promote -q "$where" "$1.0.0" dev >/dev/null; }

# start_follower NAME COMMAND [OPTION...]
start_follower() {
    local name=$1 command=$2
    shift 2
    INGOT_STORE=$TMP/store-$name ingot follow "$where:dev" --folder "$TMP/$name" --name "$name" --retry 1s --exec "$command" "$@" >>"$TMP/$name.log" 2>&1 &
    follower=$!
    ENDING+=("$follower")
}
# start_between NAME: a registry in front of that one, which holds requests back as the file rules.NAME says; BETWEEN is its HOST:PORT.
start_between() {
    touch "$TMP/rules.$1"
    python3 tests/system/upstream.py "$REGISTRY" "$TMP/rules.$1" "$TMP/asked.$1" >"$TMP/between.$1" 2>>"$TMP/between.log" &
    ENDING+=("$!")
    until_true test -s "$TMP/between.$1"
    BETWEEN=$(cat "$TMP/between.$1")
}
ran() { [ "$(grep -c "^$2\$" "$TMP/ran.$1" 2>/dev/null)" = "$3" ]; }
# shellcheck disable=SC2016
command='cmp "$INGOT_DISK" "'$TMP'/${INGOT_DIGEST#sha256:}.raw" && echo "$INGOT_DIGEST" >>"$RAN"'
hosts() { curl -sf "http://$REGISTRY/api/v1/team/web/hosts/dev"; }
reported() { hosts | python3 -c 'import json,sys
sys.exit(not any(h["host"] == sys.argv[1] and h["result"] == sys.argv[2] and h["digest"] == sys.argv[3] and sys.argv[4] in h["failure"] for h in json.load(sys.stdin)))' "$1" "$2" "$3" "${4-}"; }

# --- moves ---
move 1
export RAN=$TMP/ran.a
# shellcheck disable=SC2016
start_follower a "$command"' && echo "$INGOT_VERSION" >>"$RAN"' --group canary
a=$follower
until_true ran a "$(digest 1)" 1
until_true reported a "done" "$(digest 1)"
ran a 1.0.0 1 || fail "the version: $(cat "$RAN")"
hosts | grep -q '"group":"canary"' || fail "$(hosts)"
move 2
until_true ran a "$(digest 2)" 1
until_true reported a "done" "$(digest 2)"
[ "$(ls "$TMP/a"/disk-* | wc -l)" = 1 ] || fail "the disk of before stays: $(ls "$TMP/a")"
expect 1 ingot follow "$where:dev" --folder "$TMP/a" --exec true
grep -q 'another follower' "$TMP/err" || fail "$(cat "$TMP/err")"
ok "a command runs once for each move, with the right disk, and that is reported"

move 1
until_true ran a "$(digest 1)" 2
ok "a channel that moved back is followed too"

curl -sN -o "$TMP/events" "http://$REGISTRY/api/v1/events?after=0&name=team/*" &
curl=$!
moved() { [ "$(grep -c '"tag":"dev"' "$TMP/events")" = 3 ]; }
until_true moved
kill "$curl"
wait "$curl" || true
python3 - "$TMP/events" <<'PY' || fail "the events: $(cat "$TMP/events")"
import json, sys
events = [json.loads(line) for line in open(sys.argv[1]) if line.strip()]
moves = [one for one in events if one["op"] == "tag" and one["tag"] == "dev"]
assert len(moves) == 3 and all(one["digest"].startswith("sha256:") and one["number"] > 0 for one in moves), moves
shown = {member for one in events for member in one}
assert shown <= {"number", "op", "name", "at", "tag", "digest", "type", "subject", "alias", "kind"}, shown
PY
ok "events say what happened to which tag, and not who did it from where"

# --- restarts ---
kill -9 "$SERVER"
wait "$SERVER" || true
start_server ingotd --data "$TMP/registry" --listen "$REGISTRY"
move 3
until_true ran a "$(digest 3)" 1
ok "a registry that was killed is waited for"

kill "$a"
wait "$a" || fail "SIGTERM: the follower ends with $?"
start_follower a "$command"
a=$follower
until_true reported a "done" "$(digest 3)"
ran a "$(digest 3)" 1 || fail "a restart runs what is done"
kill "$a"
wait "$a" || fail "the follower ends with $?"
ok "a follower that ends and begins again runs nothing twice"

# --- kills: while the image comes, while the command runs, and just as it ends ---
export RAN=$TMP/ran.b
# shellcheck disable=SC2016
slow='echo begun >>"'$TMP'/begun"; until [ -e "'$TMP'/go" ]; do sleep 0.05; done; echo "$INGOT_DIGEST" >>"$RAN"'
start_follower b "$slow"
until_true grep -qs begun "$TMP/begun"
kill -9 "$follower"
wait "$follower" || true
hosts >"$TMP/before"
start_follower b "$slow" --group again
until_true grep -qs 'still runs' "$TMP/b.log"
still_said() {
    hosts | python3 -c 'import json,sys
row, before = (next(h for h in json.load(f) if h["host"] == "b") for f in (sys.stdin, open(sys.argv[1])))
sys.exit(any(row[k] != before[k] for k in ("result", "digest", "since")) or row["group"] != "again" or row["result"] != "running")' "$TMP/before"
}
until_true still_said
touch "$TMP/go"
until_true reported b "done" "$(digest 3)"
ran b "$(digest 3)" 1 && [ "$(wc -l <"$TMP/begun")" = 1 ] || fail "a command that outlived its follower was run again"
kill "$follower"
wait "$follower" || fail "the follower ends with $?"
for after in 0 0.02 0.05 0.1 0.2 0.4; do
    move $((RANDOM % 3 + 1))
    start_follower b "$slow"
    sleep "$after"
    kill -9 "$follower"
    wait "$follower" || true
done
move 1
INGOT_STORE=$TMP/store-b timeout 60 ingot follow "$where:dev" --folder "$TMP/b" --name b --exec "$slow" --once >>"$TMP/b.log" 2>&1 || fail "$(cat "$TMP/b.log")"
[ "$(cat "$TMP/b/done")" = "$(digest 1)" ] && [ "$(tail -1 "$RAN")" = "$(digest 1)" ] || fail "after kills: $(cat "$RAN")"
[ -z "$(uniq -d "$RAN")" ] || fail "twice in a row: $(cat "$RAN")"
cp "$TMP/b/done" "$TMP/b/begun" # the shell was killed before the second of its two names
INGOT_STORE=$TMP/store-b timeout 60 ingot follow "$where:dev" --folder "$TMP/b" --name b --exec "$slow" --once >>"$TMP/b.log" 2>&1 || fail "$(cat "$TMP/b.log")"
[ -z "$(uniq -d "$RAN")" ] && [ ! -e "$TMP/b/begun" ] || fail "what ended well was run again: $(cat "$RAN")"
ok "whenever the follower is killed, nothing runs twice, and in the end what the channel names has run"

# --- who runs what ---
ingot channels "$where" --hosts --json >"$TMP/hosts.json"
python3 - "$TMP/hosts.json" "$(digest 1)" "$(digest 3)" <<'PY' || fail "--hosts --json: $(cat "$TMP/hosts.json")"
import json, sys
dev = next(one for one in json.load(open(sys.argv[1])) if one["channel"] == "dev")
a, b = sorted(dev["hosts"], key=lambda host: host["host"])
assert dev["version"] == "1.0.0" and dev["digest"] == b["digest"] == sys.argv[2] and a["digest"] == sys.argv[3], dev
assert (a["host"], a["result"], a["current"]) == ("a", "done", False), a
assert (b["host"], b["result"], b["current"], b["failure"]) == ("b", "done", True, ""), b
assert all(host["since"] <= host["seen"] for host in (a, b)), dev
PY
curl -sf -d '{"host":"c","group":"canary","result":"failed","failure":"it broke","since":"2026-11-30T05:00:00Z"}' "http://$REGISTRY/api/v1/team/web/hosts/1.0.0" >/dev/null
ingot channels "$where" --hosts >"$TMP/hosts"
[ "$(awk '{ print $1, $2, $3, $4, $6 }' "$TMP/hosts")" = "CHANNEL HOST GROUP VERSION RESULT
dev a - - behind
dev b - 1.0.0 done
1.0.0 c canary - failed" ] && grep -q 'it broke$' "$TMP/hosts" || fail "--hosts: $(cat "$TMP/hosts")"
ok "a name's hosts are listed with what they run, and which of them are behind"

# --- a channel that moves while its image comes: there and back, by a network that stands still ---
export RAN=$TMP/ran.g
start_between g
printf '%s hold %s\n' GET+/v2/team/web/manifests/ "$TMP/go.g1" GET+/v2/team/web/blobs/ "$TMP/go.g2" >"$TMP/rules.g"
where=$BETWEEN/team/web start_follower g "$command"
until_true grep -qs 'GET /v2/team/web/manifests/' "$TMP/asked.g"
move 2
touch "$TMP/go.g1"
until_true grep -qs 'GET /v2/team/web/blobs/' "$TMP/asked.g"
move 1
touch "$TMP/go.g2"
until_true ran g "$(digest 1)" 1
kill "$follower"
wait "$follower" || fail "the follower ends with $?"
ok "a command gets the disk of its digest, however the channel moves meanwhile"

# --- a command that fails ---
export RAN=$TMP/ran.c
INGOT_STORE=$TMP/store-c ingot pull -q "$where:dev" >/dev/null
has() { INGOT_STORE=$TMP/store-c ingot images -q | grep -q "$(digest "$1")"; }
# shellcheck disable=SC2016
start_follower c 'echo "$INGOT_DIGEST" >>"$RAN"; [ -e "'$TMP'/good" ] || exit 7'
until_true reported c failed "$(digest 1)" 'status 7 (failure 2 in a row'
[ ! -e "$TMP/c/done" ] || fail "a failure counts as done"
for n in 2 3 1; do
    move "$n"
    until_true reported c failed "$(digest "$n")"
    [ "$(ls "$TMP/c"/disk-* | wc -l)" = 1 ] || fail "disks of images that failed stay: $(ls "$TMP/c")"
    has 1 || fail "an image that was pulled by hand is removed"
done
! has 2 || fail "images that failed stay in the store"
touch "$TMP/good"
until_true reported c "done" "$(digest 1)"
kill "$follower"
wait "$follower" || fail "the follower ends with $?"
ok "a command that fails is tried again, the report says why, and the disk does not fill"

# A pull that has no end, of an image that the channel names no more when the next follower comes.
move 1
start_between i
echo "GET+/v2/team/web/blobs/ slow 20000" >"$TMP/rules.i"
export RAN=$TMP/ran.i
partial() { find "$TMP/store-i/tmp" -name 'partial-*' 2>/dev/null | grep -q .; }
where=$BETWEEN/team/web start_follower i "$command"
until_true partial
kill -9 "$follower"
wait "$follower" || true
: >"$TMP/rules.i"
move 2
where=$BETWEEN/team/web start_follower i "$command"
until_true ran i "$(digest 2)" 1
! partial || fail "what came of a pull that nobody goes on with stays"
kill "$follower"
wait "$follower" || fail "the follower ends with $?"
ok "what a broken pull has left goes with the next image"
move 1

# SIGTERM reaches the command, which is begun at once again: that says nothing of the image. Where it is not the first time, it does.
# shellcheck disable=SC2016
waits='trap "echo term >>'"$TMP"'/term; exit 1" TERM; echo >>'"$TMP"'/waits; while :; do sleep 0.1; done'
has_lines() { [ "$(wc -l 2>/dev/null <"$1")" = "$2" ]; }
for n in 1 2; do
    start_follower d "$waits" --retry 15m
    until_true has_lines "$TMP/waits" "$n"
    kill "$follower"
    wait "$follower" || fail "the follower ends with $?"
    has_lines "$TMP/term" "$n" || fail "the command got no SIGTERM"
done
start_follower d "$waits" --retry 15m
until_true reported d failed "$(digest 1)" 'the follower was ended, and the command with it (failure 2 in a row; tried again in 1'
has_lines "$TMP/waits" 2 || fail "a command that ends its follower is begun again at once"
kill "$follower"
wait "$follower" || fail "the follower ends with $?"
ok "SIGTERM ends the command and the follower"

# --- a command that takes the follower, or the host, with it ---
export RAN=$TMP/ran.h
# shellcheck disable=SC2016
falls='echo "$INGOT_DIGEST" >>"$RAN"; [ "$INGOT_VERSION" != 2.0.0 ] || { kill -9 "$(cut -d" " -f4 /proc/$PPID/stat)"; exit 1; }'
start_follower h "$falls"
until_true reported h "done" "$(digest 1)"
move 2
status=0
wait "$follower" || status=$?
[ $status = 137 ] || fail "the follower ends with $status"
start_follower h "$falls" --retry 15m
until_true reported h failed "$(digest 2)" 'the command did not end well: the follower or the host went down (failure 1 in a row; tried again in 1'
ran h "$(digest 2)" 1 || fail "what takes the follower with it is begun again at once"
kill "$follower"
wait "$follower" || fail "the follower ends with $?"
start_follower h "$falls"
status=0
wait "$follower" || status=$?
[ $status = 137 ] || fail "the follower ends with $status"
start_follower h "$falls" --retry 15m
until_true reported h failed "$(digest 2)" 'failure 2 in a row'
move 1
until_true reported h "done" "$(digest 1)"
ran h "$(digest 1)" 2 && ran h "$(digest 2)" 2 || fail "what a rollback takes back is not undone: $(cat "$RAN")"
kill "$follower"
wait "$follower" || fail "the follower ends with $?"
ok "a command that takes its follower with it has failed, and is taken back"

# --- a command that does not start ---
export RAN=$TMP/ran.n
move 1
start_follower n "$command"
until_true reported n "done" "$(digest 1)"
kill "$follower"
wait "$follower" || fail "the follower ends with $?"
move 2
program=$(command -v ingot)
for round in 1 2; do
    INGOT_STORE=$TMP/store-n PATH=/nonexistent "$program" follow "$where:dev" --folder "$TMP/n" --name n --retry 1s --exec true >"$TMP/n.log$round" 2>&1 &
    follower=$!
    ENDING+=("$follower")
    until_true grep -qs 'does not start' "$TMP/n.log$round"
    until_true reported n failed "$(digest 2)" 'does not start'
    kill "$follower"
    wait "$follower" || fail "the follower ends with $?"
done
move 1
start_follower n "$command"
until_true reported n "done" "$(digest 1)"
ran n "$(digest 1)" 1 || fail "what stands was run again: $(cat "$RAN" "$TMP/n.log")"
grep -q 'did not end well' "$TMP/n.log"* && fail "what did not start is said to have fallen: $(cat "$TMP/n.log"*)"
kill "$follower"
wait "$follower" || fail "the follower ends with $?"
ok "a command that does not start leaves what stands, and counts for nothing"

# --- windows ---
never=$(date -u -d '+3 hours' +%H:%M)-$(date -u -d '+4 hours' +%H:%M)
export RAN=$TMP/ran.e
start_follower e "$command" --window "$never UTC"
sleep 2
[ ! -e "$RAN" ] || fail "it runs outside of its window"
kill "$follower"
wait "$follower" || fail "the follower ends with $?"
# One that closes while the image comes.
${CC:-gcc} -O2 -D_GNU_SOURCE -shared -fPIC -o "$TMP/libclock.so" tests/faults/clock.c -ldl
start_between f
echo "GET+/v2/team/web/blobs/ hold $TMP/go.f" >"$TMP/rules.f"
echo 0 >"$TMP/clock"
export RAN=$TMP/ran.f
around=$(date -u -d '-1 hour' +%H:%M)-$(date -u -d '+1 hour' +%H:%M)
where=$BETWEEN/team/web CLOCK=$TMP/clock LD_PRELOAD=$TMP/libclock.so start_follower f "$command" --window "$around UTC"
until_true grep -qs 'GET /v2/team/web/blobs/' "$TMP/asked.f"
echo 7200 >"$TMP/clock"
touch "$TMP/go.f"
until_true test -e "$TMP/f/disk-$(digest 1 | cut -d: -f2).raw"
move 2
until_true test -e "$TMP/f/disk-$(digest 2 | cut -d: -f2).raw"
[ ! -e "$RAN" ] || fail "it runs after its window has closed"
echo 86400 >"$TMP/clock"
move 3
until_true ran f "$(digest 3)" 1
# The second may have been begun as the window opened, before the third came; the first never.
! grep -qx "$(digest 1)" "$RAN" || fail "outside of its window: $(cat "$RAN")"
kill "$follower"
wait "$follower" || fail "the follower ends with $?"
for bad in 'noon' 'Mon-Foo 10:00-11:00' '10:00-25:00' '10:00-11:00 Nowhere/City'; do
    expect 2 ingot follow "$where:dev" --exec true --window "$bad"
done
expect 2 ingot follow "$where" --exec true
expect 2 ingot follow "$where:dev"
ok "windows are kept, and wrong usage is told"

# --- as a service: the unit's command line, with the words of a configuration file as systemd puts them in ---
cat >"$TMP/web.conf" <<EOF
CHANNEL=$where:dev
COMMAND='$command'
OPTIONS='--once --window "Mon-Sun 00:00-24:00 UTC"'
EOF
cat >"$TMP/start.py" <<'PY'
import os, shlex, subprocess, sys
unit, conf, state = sys.argv[1:]
lines = [line.rstrip("\n").partition("=") for line in open(unit)]
environment = {word.split("=", 1)[0]: word.split("=", 1)[1].replace("%S", state).replace("%i", "web") for key, _, word in lines if key == "Environment"}
for line in open(conf):
    key, _, value = line.rstrip("\n").partition("=")
    environment[key] = "".join(shlex.split(value))
argv = []
for word in next(value for key, _, value in lines if key == "ExecStart").split()[1:]:
    whole, part = word.startswith("${"), word.startswith("$")
    argv += [environment[word[2:-1]]] if whole else shlex.split(environment[word[1:]]) if part else [word]
sys.exit(subprocess.run(["ingot"] + argv, env=os.environ | environment | {"STATE_DIRECTORY": state + "/ingot-follow/web"}).returncode)
PY
export RAN=$TMP/ran.service
timeout 60 python3 "$TMP/start.py" registry/cli/ingot-follow@.service "$TMP/web.conf" "$TMP/state" 2>"$TMP/service.log" || fail "the service: $(cat "$TMP/service.log")"
ran service "$(digest 3)" 1
[ "$(cat "$TMP/state/ingot-follow/web/$where/dev/done")" = "$(digest 3)" ] && [ -e "$TMP/state/ingot-follow/web/store/index.json" ] || fail "elsewhere: $(find "$TMP/state")"
ok "the unit's follower runs what its file says"

# --- what followers may take of a registry ---
start_server ingotd --data "$TMP/many" --listen 127.0.0.1:0 --max-connections 64
python3 - "${SERVED#http://}" <<'PY' || fail "many followers"
import http.client, sys, time

registry = sys.argv[1]

def ask(address, path, method="GET", body=None):
    connection = http.client.HTTPConnection(registry, timeout=30, source_address=("127.0.0.%d" % address, 0))
    connection.request(method, path, body, {"Content-Type": "application/vnd.oci.image.index.v1+json"})
    return connection, connection.getresponse()

def follow(address):
    connection, answer = ask(address, "/api/v1/events?name=a")
    if answer.status == 200:
        assert answer.headers["X-Accel-Buffering"] == "no" and b'"number"' in answer.readline()
        return connection, answer
    assert answer.status == 503 and int(answer.headers["Retry-After"]) > 0 and b"follow" in answer.read(), answer.status
    connection.close()
    return None

held = {address: [one for one in (follow(address) for _ in range(12)) if one] for address in range(1, 9)}
counts = [len(ones) for ones in held.values()]
assert counts[:3] == [8, 8, 8] and 0 < counts[3] < 8 and sum(counts) <= 32, counts
for address in range(1, 9):
    assert ask(address, "/healthz")[1].status == 200
for connection, answer in held[1]:
    answer.close()
    connection.close()
for number in range(600):  # that they have gone is seen when something is to be said to them
    put = ask(1, "/v2/a/manifests/%d" % number, "PUT", b'{"schemaVersion":2,"manifests":[]}')[1]
    assert put.status == 201, put.read()
    if follow(1):
        break
    time.sleep(0.1)
else:
    sys.exit("those who have gone still count")
PY
ok "followers leave half of the connections to the others, and no network takes all of theirs"

# --- who may report ---
printf '%s\n%s\n' "the word of alice" "the word of alice" | ingotd user add --data "$TMP/many" --scope pull:a alice 2>/dev/null
kill "$SERVER"
wait "$SERVER" || fail "ingotd ends with $?"
start_server ingotd --data "$TMP/many" --listen 127.0.0.1:0 --anonymous pull
# report STATUS NAME/hosts/CHANNEL [OPTION...]
report() {
    local got
    got=$(curl -s -o "$TMP/answer" -w '%{http_code}' "${@:3}" -d '{"host":"h","result":"done","since":"2026-11-30T05:00:00Z"}' "$SERVED/api/v1/$2")
    [ "$got" = "$1" ] || fail "a report for $2 is answered with $got: $(cat "$TMP/answer")"
}
login=(-u 'alice:the word of alice')
report 401 a/hosts/0
report 401 made/up/hosts/prod
report 200 a/hosts/0 "${login[@]}"
report 404 a/hosts/made-up "${login[@]}"
report 404 made/up/hosts/prod "${login[@]}"
curl -sf "$SERVED/api/v1/a/hosts" | grep -q '"by":"alice".*"host":"h"' || fail "the report: $(curl -s "$SERVED/api/v1/a/hosts")"
ok "who is logged in reports, of what there is"
