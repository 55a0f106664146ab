#!/bin/bash
# A build from end to end: steps, tests, the seal, failures, what is left behind.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/base.sh
. tests/system/base.sh
share_base warm
export TMPDIR=$TMP/work
mkdir -p "$TMPDIR" "$TMP/site"
echo 'a page' >"$TMP/site/index.html"
head -c 3000000 /dev/urandom >"$TMP/site/large"
head -c 20000000 /dev/urandom >"$TMP/huge" # goes another way than small ones

recipe() {
    cat <<EOF
name: probe
version: 1.0.0
variables:
  token: {secret: true, required: true}
source: {from: debian-12}
machine: {cpus: 1}
steps:
  - name: words
    shell: |
      echo "token is \${token}"
      id -un >/root/user; pwd >/root/where; echo "\$GREETING" >/root/greeting
      exit 3
    env: {GREETING: good morning}
    workdir: /srv
    expect: [3]
  - name: as nobody
    shell: id -un
    user: nobody
  - name: tree
    file: {from: site/, to: /srv/site, owner: "nobody:nogroup"}
  - name: one file
    file: {from: site/large, to: /srv/large.bin, mode: "0640"}
  - name: large file
    file: {from: huge, to: /srv/, mode: "0600"}
  - name: back
    file: {from: /etc/os-release, to: os-release, direction: down}
  - name: by the proxy
    shell: |
      echo "by \$HTTP_PROXY"
      bash -c 'place=\${http_proxy##*@}; exec 3<>/dev/tcp/\${place%:*}/\${place#*:}
          printf "GET http://example.invalid/ HTTP/1.0\r\n\r\n" >&3; cat <&3' >/root/answer
tests:
  - file: {path: /root/answer, content: "^http://example.invalid/ through the proxy$"}
  - file: {path: /srv/site/index.html, content: "^a page", mode: "0644"}
  - file: {path: /root/greeting, content: "^good morning$"}
  - file: {path: /root/where, content: "^/srv$"}
  - file: {path: /nowhere, exists: false}
  - package: openssh-server
  - service: ssh
  - port: 22
  - shell: '$1'
EOF
}

# A proxy on this host that only the build's environment names.
cat >"$TMP/proxy.py" <<'PY'
import http.server
class Proxy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{self.path} through the proxy\n".encode())
    def log_message(self, *words):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Proxy)
print(server.server_port, flush=True)
server.serve_forever()
PY
python3 "$TMP/proxy.py" >"$TMP/proxy" &
ENDING+=($!)
until [ -s "$TMP/proxy" ]; do sleep 0.05; done

recipe true >"$TMP/probe.yaml"
http_proxy=http://somebody:open-sesame@127.0.0.1:$(cat "$TMP/proxy") ingot build "$TMP/probe.yaml" --var token=hunter2 >"$TMP/out" 2>"$TMP/log" ||
    fail "build: $(tail -30 "$TMP/log")"
grep -q 'by http://\*\*\*@10.0.2.2:' "$TMP/log" && ! grep -q open-sesame "$TMP/log" || fail "the proxy's password is not masked: $(cat "$TMP/log")"
grep -q 'token is \*\*\*' "$TMP/log" || fail "the step's output is not there, or not masked"
! grep -q hunter2 "$TMP/log" "$TMP/out" || fail "a secret is in the log"
ingot show --json probe:1.0.0 >"$TMP/show"
! grep -q hunter2 "$TMP/show" || fail "a secret is in the config"
grep -q '^ID=debian' "$TMP/os-release" || fail "the download is not there"
ok "steps and tests run, by a proxy of this host; secrets are masked"

# What is attached says what the image is, where it comes from, and that its tests passed.
python3 - "$TMP/show" <<'PY'
import json, sys
shown = json.load(open(sys.argv[1]))
kinds = {one["kind"]: one for one in shown["evidence"]}
assert sorted(kinds) == ["packages", "provenance", "recipe", "tests"], shown["evidence"]
assert not [one for one in shown["evidence"] if "problem" in one], shown["evidence"]
assert kinds["packages"]["count"] > 50 and kinds["packages"]["types"] == ["deb"], kinds["packages"]
tests = kinds["tests"]
assert (tests["result"], tests["passed"], tests["failed"]) == ("PASSED", 9, 0), tests
assert tests["environment"] == "build" and tests["recipes"] == ["probe.yaml"], tests
origin = kinds["provenance"]
assert origin["builder"] == "urn:ingot:builder:local" and origin["recipe"].endswith("probe.yaml"), origin
assert origin["base"] and origin["base_digest"] == shown["config"]["base"]["digest"], origin
assert origin["clean"] is False and "commit" not in origin, origin
recipe = kinds["recipe"]
assert shown["config"]["recipe"]["variables"] == {"token": "***"}, shown["config"]["recipe"]
assert recipe["path"] == "probe.yaml" and recipe["left_out"] == ["huge: too large"], recipe
PY
ingot show probe:1.0.0 >"$TMP/shown"
grep -q '^tests  *PASSED (9 passed, 0 failed), .*environment build, recipe probe.yaml' "$TMP/shown" &&
    grep -q '^provenance .*not from a git repository, base ' "$TMP/shown" || fail "show: $(cat "$TMP/shown")"
! grep -rqa hunter2 "$INGOT_STORE/blobs" || fail "a secret is in the store"
ok "packages, test report, provenance and recipe are attached, without secrets"

[ -z "$(ls -A "$TMPDIR")" ] || fail "work files are left: $(ls -A "$TMPDIR")"
ok "nothing is left in the work folder"

before=$(ingot show --json probe:1.0.0 | sha256sum)
ingot build "$TMP/probe.yaml" --var token=hunter2 2>/dev/null | grep -q 'nothing changed' || fail "the second build does not use the cache"
[ "$before" = "$(ingot show --json probe:1.0.0 | sha256sum)" ] || fail "the second build changed the image"
ok "a second build finds that nothing changed"

# The recipe comes back with its files, from the store and from a registry; what it can't bring back is said.
ingot recipe probe:1.0.0 -o "$TMP/back" >"$TMP/out" 2>"$TMP/log" || fail "recipe: $(cat "$TMP/log")"
[ "$(cat "$TMP/out")" = "$TMP/back/probe.yaml" ] && grep -q 'not in it: huge: too large' "$TMP/log" || fail "recipe: $(cat "$TMP/out" "$TMP/log")"
cmp "$TMP/probe.yaml" "$TMP/back/probe.yaml" && diff -r "$TMP/site" "$TMP/back/site" || fail "the recipe came back otherwise"
! ingot recipe probe:1.0.0 -o "$TMP/back" >/dev/null 2>"$TMP/log" || fail "a recipe came back over another"
grep -q 'there is something already' "$TMP/log" || fail "$(cat "$TMP/log")"
ok "the recipe comes back with its files"

# The stored image is tested again: by its own recipe, whose tests need neither the file that was too large nor the secret of a step; and by another one, of whose tests one fails, and the registry has that report.
ingot test probe:1.0.0 >"$TMP/out" 2>"$TMP/log" || fail "test: $(cat "$TMP/log")"
grep -q '^PASSED: 9 of 9' "$TMP/out" || fail "test: $(cat "$TMP/out")"
[ "$(ingot show probe:1.0.0 | grep -c '^tests  *PASSED')" = 2 ] || fail "the report is not attached: $(ingot show probe:1.0.0)"
start_ingotd
ingot push -q probe:1.0.0 "$REGISTRY/probe" >/dev/null
ingot key generate -q --no-passphrase "$TMP/local.key" >/dev/null
ingot key generate -q --no-passphrase "$TMP/ci.key" >/dev/null
ingot sign -q probe:1.0.0 --key "$TMP/local.key" >/dev/null # in the store alone, where it stays
cat >"$TMP/more.yaml" <<EOF
name: more
source: {from: debian-12}
machine: {cpus: 1}
tests:
  - {name: the page, file: {path: /srv/site/index.html, content: "^a page"}}
  - {name: no such thing, file: {path: /srv/nothing}}
EOF
status=0
ingot test "$REGISTRY/probe:1.0.0" --recipe "$TMP/more.yaml" --in staging --key "$TMP/ci.key" --json >"$TMP/tested" 2>"$TMP/log" || status=$?
[ $status = 1 ] || fail "a failed test of a stored image ends with $status: $(cat "$TMP/log")"
ingot show --store "$TMP/none" --pull=always --json "$REGISTRY/probe:1.0.0" >"$TMP/shown"
python3 - "$TMP/tested" "$TMP/shown" <<'PY'
import json, sys
tested, shown = (json.load(open(path)) for path in sys.argv[1:])
assert (tested["result"], tested["passed"], tested["failed"]) == ("FAILED", ["the page"], ["no such thing"]), tested
assert tested["digest"] == shown["digest"], (tested, shown)
report, = [one for one in shown["evidence"] if one["digest"] == tested["report"]]
assert (report["result"], report["passed"], report["failed"]) == ("FAILED", 1, 1), report
assert (report["environment"], report["recipes"]) == ("staging", ["more.yaml"]), report
assert (report["kind"], report["signed"]) == ("tests", True), report
PY
ingot verify -q --pull=always "$REGISTRY/probe:1.0.0" --key "$TMP/ci.key.pub" --type https://in-toto.io/attestation/test-result/v0.1 >/dev/null ||
    fail "the report is not signed"
curl -sf "http://$REGISTRY/v2/probe/referrers/$(ingot show --json probe:1.0.0 | python3 -c 'import json, sys; print(json.load(sys.stdin)["digest"])')" >"$TMP/referrers"
python3 - "$TMP/tested" "$TMP/referrers" <<'PY' || fail "test sends on what else the store has attached: $(cat "$TMP/referrers")"
import json, sys
tested, referrers = (json.load(open(path)) for path in sys.argv[1:])
signed = [one["digest"] for one in referrers["manifests"] if "sigstore" in one["artifactType"]]
assert signed == [tested["report"]], signed
PY
ingot recipe --store "$TMP/none" "$REGISTRY/probe:1.0.0" -o "$TMP/far" >/dev/null 2>&1 && diff -r "$TMP/back" "$TMP/far" || fail "the registry's recipe is another"
[ ! -e "$TMP/none" ] || fail "a look made a store"
ok "a stored image is tested, and its report is attached here and in the registry"

# The first machine has a second disk; the second one comes from a registry, by way of a store that has nothing.
ingot export -q probe:1.0.0 -o "$TMP/probe.raw"
printf 'the second disk\n' >"$TMP/second.raw"
truncate -s 1M "$TMP/second.raw"
ingot pack -q "$TMP/probe.raw" "$TMP/second.raw" pair:1.0.0 >/dev/null
rm "$TMP/probe.raw"
for n in 1 2; do
    if [ $n = 1 ]; then boot pair:1.0.0; else boot --store "$TMP/empty" "$REGISTRY/probe:1.0.0"; fi
    in_guest 'cat /etc/machine-id; for k in /etc/ssh/ssh_host_*_key.pub; do cut -d" " -f2 $k; done' | sort >"$TMP/ids$n"
    if [ $n = 1 ]; then
        in_guest 'sha256sum </srv/huge' >"$TMP/huge.sum"
        in_guest 'sha256sum </srv/large.bin; stat -c "%a %U:%G" /srv/large.bin /srv/site/large' >"$TMP/large"
        in_guest 'cat /root/.ssh/authorized_keys' >"$TMP/keys"
        in_guest 'head -n 1 /dev/vdb' >"$TMP/second"
    fi
    unboot
done
[ "$(wc -l <"$TMP/ids1")" -ge 3 ] || fail "too few identities: $(cat "$TMP/ids1")"
[ -z "$(comm -12 "$TMP/ids1" "$TMP/ids2")" ] || fail "two boots share an identity: $(comm -12 "$TMP/ids1" "$TMP/ids2")"
grep -qx 'the second disk' "$TMP/second" || fail "/dev/vdb begins with: $(cat "$TMP/second")"
ok "two boots differ in machine-id and every host key; run has all disks, and pulls what the store lacks"
grep -q "$(sha256sum <"$TMP/site/large" | cut -d' ' -f1)" "$TMP/large" || fail "the upload is damaged"
grep -q "$(sha256sum <"$TMP/huge" | cut -d' ' -f1)" "$TMP/huge.sum" || fail "the large upload is damaged"
grep -q '^640 root:root' "$TMP/large" && grep -q 'nobody:nogroup' "$TMP/large" || fail "modes or owners: $(cat "$TMP/large")"
[ "$(grep -c . "$TMP/keys")" = 1 ] || fail "more than the booting key is authorized: $(cat "$TMP/keys")"
ok "files arrive with their bytes, modes and owners; the build key is gone"

sed -i 's/version: 1.0.0/version: 1.0.1/' "$TMP/probe.yaml"
recipe false | sed 's/1.0.0/1.0.1/' >"$TMP/failing.yaml"
cp "$TMP/failing.yaml" "$TMP/probe.yaml"
status=0
ingot build "$TMP/probe.yaml" --var token=hunter2 >"$TMP/out" 2>"$TMP/log" || status=$?
[ $status = 1 ] || fail "a failed test ends with status $status"
grep -q 'on-error=keep' "$TMP/log" || fail "no word on how to get in"
! ingot show probe:1.0.1 >/dev/null 2>&1 || fail "a failed test left an image"
ok "a failed test means no image"

# An upload that the machine refuses: its bytes are not taken for commands.
printf 'touch /srv/taken-for-a-command\n%.0s' $(seq 100000) >"$TMP/commands"
cat >"$TMP/refused.yaml" <<EOF
name: refused
version: 1.0.0
source: {from: debian-12}
machine: {cpus: 1}
steps:
  - file: {from: commands, to: /proc/nowhere/file}
EOF
ingot build --on-error=keep "$TMP/refused.yaml" >"$TMP/out" 2>"$TMP/log" &
build=$!
until grep -q 'the machine is kept' "$TMP/log"; do kill -0 $build || fail "a refused upload: $(cat "$TMP/log")"; sleep 0.2; done
grep -q "/proc/nowhere" "$TMP/log" || fail "a refused upload: $(cat "$TMP/log")"
read -ra ssh < <(sed -n 's/^ *\(ssh -.*\)/\1/p' "$TMP/log")
"${ssh[@]}" 'ls /srv; echo listed' >"$TMP/srv" 2>"$TMP/ssh.log" || fail "the kept machine: $(cat "$TMP/ssh.log")"
[ "$(cat "$TMP/srv")" = listed ] || fail "bytes of a refused upload were taken for commands: $(cat "$TMP/srv")"
kill -INT $build
status=0
wait $build || status=$?
[ $status != 0 ] || fail "a refused upload is a success"
ok "a refused upload tells why, and its bytes are not taken for commands"

cat >"$TMP/slow.yaml" <<EOF
name: slow
source: {from: debian-12}
machine: {cpus: 1}
steps:
  - shell: sleep 1000
EOF
# The builder starts QEMU for its version too, which ends at once: the one with a monitor is the machine.
await_machine() { until qemu=$(pgrep -P $build -f 'qemu-system.* -qmp '); do kill -0 $build || fail "$(cat "$TMP/log")"; sleep 0.2; done; }
ingot build "$TMP/slow.yaml" >"$TMP/out" 2>"$TMP/log" &
build=$!
await_machine
kill -9 $build
wait $build || true
for _ in $(seq 50); do kill -0 "$qemu" 2>/dev/null || break; sleep 0.1; done
! kill -0 "$qemu" 2>/dev/null || fail "QEMU $qemu outlives its killed builder"
ingot build --no-test "$TMP/slow.yaml" >"$TMP/out" 2>"$TMP/log" &
build=$!
await_machine
[ "$(find "$TMPDIR" -mindepth 1 -maxdepth 1 -type d | wc -l)" = 1 ] || fail "the killed build's files were not swept"
kill -INT $build
status=0
wait $build || status=$?
[ $status = 130 ] || fail "Ctrl-C ends with status $status"
[ -z "$(find "$TMPDIR" -mindepth 1 -maxdepth 1 -type d)" ] || fail "Ctrl-C leaves files"
ok "a killed build leaves no QEMU, the next one sweeps its files, Ctrl-C leaves nothing"
