#!/bin/bash
# Boxes as deltas: the real Vagrant under `ingot vagrant` gets the registry's boxes, and the network what is missing.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
export VAGRANT_HOME=$TMP/vagrant VAGRANT_CHECKPOINT_DISABLE=1 VAGRANT_NO_COLOR=1
export REGISTRY_AUTH_FILE=$TMP/auth.json DOCKER_CONFIG=$TMP/docker
unset INGOT_TOKEN INGOT_CA

small_disk "$TMP/v1.raw"
for version in 2 3 4; do
    cp --sparse=always "$TMP/v$((version - 1)).raw" "$TMP/v$version.raw"
    head -c 2000000 /dev/urandom >"$TMP/new"
    echo "write $TMP/new new$version" | debugfs -w "$TMP/v$version.raw" >/dev/null 2>&1
done
for version in 1 2 3 4; do ingot pack -q "$TMP/v$version.raw" "web:$version.0.0" >/dev/null; done
start_ingotd
catalogue=http://$REGISTRY/vagrant/team/web
publish() { ingot push -q --store "$TMP/store" "web:$1.0.0" "$REGISTRY/team/web" >/dev/null; }
export INGOT_STORE=$TMP/user
# Bytes that the registry has sent since the log was emptied: all, and those of boxes.
sent() { sed -n "s/.*$1.* bytes=\\([0-9]*\\).*/\\1/p" "$TMP/ingotd.log" | awk '{ s += $1 } END { print s + 0 }'; }
run() { "$@" >"$TMP/out" 2>&1 || fail "'$*': $(cat "$TMP/out")"; }
# installed VERSION: Vagrant has what is in the registry's box, and nothing is left of its making.
installed() {
    vagrant box list | grep -q "^team/web *(libvirt, $1\\.0\\.0" || fail "$1.0.0 is not there: $(vagrant box list)"
    curl -sf ${key:+-H "Authorization: Bearer $key"} "http://$REGISTRY/formats/team/web/$1.0.0/vagrant-libvirt/libvirt.box" >"$TMP/box"
    mkdir -p "$TMP/unpacked"
    tar -xf "$TMP/box" -C "$TMP/unpacked"
    diff -r "$TMP/unpacked" "$VAGRANT_HOME/boxes/team-VAGRANTSLASH-web/$1.0.0/libvirt" || fail "another box"
    for _ in $(seq 50); do
        [ -n "$(ls -A "$VAGRANT_HOME/tmp")" ] || break
        sleep 0.1
    done
    [ -z "$(ls -A "$VAGRANT_HOME/tmp")" ] || fail "left behind: $(ls -A "$VAGRANT_HOME/tmp")"
}

publish 1
# Bytes of the smallest of the boxes: each version adds something.
least=$(curl -sfI "http://$REGISTRY/formats/team/web/1.0.0/vagrant-libvirt/libvirt.box" | sed -n 's/^Content-Length: *\([0-9]*\).*/\1/ip')
run ingot vagrant box add --provider libvirt "$catalogue"
installed 1
grep -q 'libvirt.box: .* MB of .* MB came over the network' "$TMP/out" || fail "not told: $(cat "$TMP/out")"
[ "$(cat "$VAGRANT_HOME/boxes/team-VAGRANTSLASH-web/metadata_url")" = "$catalogue" ] || fail "metadata_url"
publish 2
curl -sf "$catalogue" >/dev/null
: >"$TMP/ingotd.log"
run ingot vagrant box outdated --global
grep -q 'is outdated.*2\.0\.0' "$TMP/out" || fail "outdated: $(cat "$TMP/out")"
[ "$(sent blobs)" = 0 ] || fail "fetched before it was wanted"
run ingot vagrant box update --box team/web
[ "$(sent formats)" = 1 ] || fail "of the box $(sent formats) bytes came, not the last one"
[ "$(sent '')" -lt 4000000 ] || fail "2 MB have changed, $(sent '') bytes came"
installed 2
run ingot vagrant box outdated --global
grep -q '(v2\.0\.0) is up to date' "$TMP/out" || fail "outdated: $(cat "$TMP/out")"
[ "$(ingot images | awk 'NR > 1 { print $1 ":" $2 }')" = "$REGISTRY/team/web:vagrant" ] || fail "the store: $(ingot images)"
[ "$(find "$INGOT_STORE/blobs" -size +5M | wc -l)" = 1 ] || fail "the store keeps what it needs no more"
ok "an update brings what has changed, and is the registry's box to a byte"

publish 3
: >"$TMP/ingotd.log"
run ingot vagrant box add --box-version '~> 3.0' --provider libvirt "$catalogue"
[ "$(sent formats)" = 1 ] || fail "the box was downloaded: $(cat "$TMP/ingotd.log")"
[ "$(sent '')" -lt 4000000 ] || fail "2 MB have changed: $(cat "$TMP/ingotd.log")"
installed 3
: >"$TMP/ingotd.log"
run ingot vagrant -q box add --provider libvirt --force --box-version 1.0.0 "$catalogue"
! grep -q 'over the network' "$TMP/out" || fail "not quiet: $(cat "$TMP/out")"
[ "$(sent formats)" = 1 ] || fail "an older one: $(cat "$TMP/ingotd.log")"
run ingot vagrant box update --box team/web
grep -q 'running the latest version\|is up to date\|Box .* is running' "$TMP/out" || fail "an update of the newest: $(cat "$TMP/out")"
ok "constraints are Vagrant's; there is nothing to guess then"

# A Vagrantfile as people have it, and a provider that does no more than to get the box.
mkdir "$TMP/project"
cat >"$TMP/project/Vagrantfile" <<RUBY
class NoMachine < Vagrant.plugin("2", :provider)
  def initialize(machine); end
  def action(name)
    Vagrant::Action::Builder.new.tap { |b| b.use Vagrant::Action::Builtin::HandleBox } if name == :up
  end
  def state
    Vagrant::MachineState.new(:not_created, "not created", "")
  end
end
class Boxes < Vagrant.plugin("2")
  name "boxes alone"
  provider(:libvirt) { NoMachine }
end
Vagrant.configure("2") do |config|
  config.vm.box = "team/web"
  config.vm.box_url = "$catalogue"
  config.vm.box_version = "= 2.0.0"
end
RUBY
run vagrant box remove --force --all team/web
project() { (cd "$TMP/project" && "$@") >"$TMP/out" 2>&1 || fail "'$*': $(cat "$TMP/out")"; }
: >"$TMP/ingotd.log"
project ingot vagrant up --provider libvirt
[ "$(sent formats)" = 1 ] || fail "up: $(cat "$TMP/out" "$TMP/ingotd.log")"
installed 2
sed -i 's/= 2.0.0/>= 2.0.0/' "$TMP/project/Vagrantfile"
: >"$TMP/ingotd.log"
project ingot vagrant box update --provider libvirt
[ "$(sent formats)" = 1 ] || fail "box update: $(cat "$TMP/out" "$TMP/ingotd.log")"
installed 3
ok "vagrant up and vagrant box update by a Vagrantfile"

expect 1 ingot vagrant box add --provider libvirt "http://$REGISTRY/vagrant/no/such"
mkdir "$TMP/bin"
printf '#!/bin/sh\nprintf "%%s|" "$@"\nexit 7\n' >"$TMP/bin/vagrant"
chmod +x "$TMP/bin/vagrant"
PATH=$TMP/bin:$PATH expect 7 ingot vagrant -q ssh -c 'a b' -- -q --store x
[ "$(cat "$TMP/out")" = 'ssh|-c|a b|--|-q|--store|x|' ] || fail "arguments: $(cat "$TMP/out")"
PATH=$TMP/bin:$PATH expect 7 ingot vagrant -- --version
[ "$(cat "$TMP/out")" = '--version|' ] || fail "arguments: $(cat "$TMP/out")"
expect 2 ingot vagrant
expect 2 ingot vagrant --nonsense up
PATH=$(realpath "$B") expect 1 ingot vagrant up
grep -q 'vagrant is not installed' "$TMP/err" || fail "no vagrant: $(cat "$TMP/err")"
ok "arguments and exit status are Vagrant's"

# A box that the registry has yet to work out is awaited, whatever its 503 says besides.
: >"$TMP/rules"
: >"$TMP/asked"
python3 tests/system/upstream.py "$REGISTRY" "$TMP/rules" "$TMP/asked" >"$TMP/upstream.address" 2>"$TMP/upstream.err" &
ENDING+=($!)
until [ -s "$TMP/upstream.address" ]; do sleep 0.05; done
image=$(curl -sfI "http://$REGISTRY/v2/team/web/manifests/1.0.0" | sed -n 's/^Docker-Content-Digest: *\(.*\)\r$/\1/Ip')
for patience in '' 1 'Sun,29-Nov-2026'; do
    echo "/formats/ status 503 $patience" >"$TMP/rules"
    : >"$TMP/asked"
    INGOT_VAGRANT=$TMP/told "$B/libexec/front/curl" -sf --output "$TMP/box" "http://$(cat "$TMP/upstream.address")/formats/team/web/$image/vagrant-libvirt/libvirt.box" &
    pid=$!
    until grep -q HEAD "$TMP/asked"; do kill -0 $pid || fail "Retry-After: $patience: it has ended"; sleep 0.05; done
    sleep 0.5
    : >"$TMP/rules"
    wait $pid || fail "Retry-After: $patience: nothing was awaited"
    [ "$(stat -c %s "$TMP/box")" = "$least" ] || fail "Retry-After: $patience: another box"
done
ok "a box is awaited, whatever Retry-After says"

# --- what goes wrong ---

blob=$(find "$INGOT_STORE/blobs" -size +5M)
damage() { printf 'damage' | dd of="$1" bs=1 seek=4000000 conv=notrunc status=none; }
damage "$blob"
: >"$TMP/ingotd.log"
run ingot vagrant box add --provider libvirt --force --box-version 3.0.0 "$catalogue"
[ "$(sent formats)" = 1 ] || fail "a damaged disk: $(cat "$TMP/out")"
[ "$(sent '')" -lt 4000000 ] || fail "one chunk is damaged, $(sent '') bytes came"
installed 3
damage "$(find "$INGOT_STORE/blobs" -size +5M)"
publish 4
curl -sf "$catalogue" >/dev/null
: >"$TMP/ingotd.log"
run ingot vagrant box update --box team/web
[ "$(sent formats)" = 1 ] || fail "a damaged seed: $(cat "$TMP/out")"
installed 4
ok "a damaged store: its chunks are fetched anew"

# The image before has gone meanwhile, as where another fetch was first.
before=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["manifests"][0]["digest"].split(":")[1])' <"$INGOT_STORE/index.json")
rm "$INGOT_STORE/blobs/sha256/$before"
: >"$TMP/ingotd.log"
run ingot vagrant box add --provider libvirt --force --box-version 3.0.0 "$catalogue"
[ "$(sent formats)" = 1 ] || fail "the image before has gone: $(cat "$TMP/out")"
installed 3
! grep -q "$before" "$INGOT_STORE/index.json" || fail "it is still named"
ok "where the image before has gone, the new one is taken all the same"

# A proxy before the registry: slow where $TMP/slow is, and where $TMP/other is, what was asked for is another file.
cat >"$TMP/proxy.py" <<'PY'
import os, socket, sys, threading, time
host, port = sys.argv[1].split(":")
def pump(source, sink, change):
    try:
        while data := source.recv(65536):
            sink.sendall(change(data))
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
def asked(data):
    return data.replace(b'If-Range: "s', b'If-Range: "x') if os.path.exists(sys.argv[2] + "/other") else data
def answered(data):
    if os.path.exists(sys.argv[2] + "/slow"):
        time.sleep(1)
    return data
server = socket.create_server(("127.0.0.1", 0))
print("127.0.0.1:%d" % server.getsockname()[1], flush=True)
while True:
    client, _ = server.accept()
    registry = socket.create_connection((host, int(port)))
    threading.Thread(target=pump, args=(client, registry, asked), daemon=True).start()
    threading.Thread(target=pump, args=(registry, client, answered), daemon=True).start()
PY
python3 "$TMP/proxy.py" "$REGISTRY" "$TMP" >"$TMP/proxy" &
ENDING+=($!)
until [ -s "$TMP/proxy" ]; do sleep 0.05; done
proxy=$(cat "$TMP/proxy")
run vagrant box remove --force --all team/web
touch "$TMP/other"
: >"$TMP/ingotd.log"
run ingot vagrant box add --provider libvirt "http://$proxy/vagrant/team/web"
[ "$(sent formats)" -ge "$least" ] || fail "the registry's file is another, and is not taken: $(cat "$TMP/out")"
installed 4
rm "$TMP/other"
ok "a registry that lays the box out in another way: Vagrant has its file, as a whole"

# Ctrl-C while chunks come: made ahead, and not.
for constraint in '' '--box-version=4.0.0'; do
    run vagrant box remove --force --all team/web
    rm -rf "$INGOT_STORE"
    touch "$TMP/slow"
    # shellcheck disable=SC2086
    setsid python3 -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])' \
        ingot vagrant box add --provider libvirt $constraint "http://$proxy/vagrant/team/web" >"$TMP/out" 2>&1 &
    pid=$!
    until ls "$INGOT_STORE"/tmp/partial-* >/dev/null 2>&1; do kill -0 $pid || fail "it has ended: $(cat "$TMP/out")"; sleep 0.1; done
    sleep 2
    kill -INT -- -$pid
    ! wait $pid || fail "interrupted, and done: $(cat "$TMP/out")"
    for _ in $(seq 100); do
        kill -0 -- -$pid 2>/dev/null || break
        sleep 0.1
    done
    ! kill -0 -- -$pid 2>/dev/null || fail "somebody has not ended"
    [ -z "$(find "$VAGRANT_HOME/tmp" -name '*.ingot*')" ] || fail "left behind: $(ls "$VAGRANT_HOME/tmp")"
    ! vagrant box list | grep -q team/web || fail "a box is there: $(vagrant box list)"
    rm "$TMP/slow"
    run ingot vagrant box add --provider libvirt "http://$proxy/vagrant/team/web"
    installed 4
done
ok "Ctrl-C ends all of it, leaves nothing, and the next time goes on"

# Under a policy Vagrant gets the whole box from here, or none.
ingot key generate -q --no-passphrase "$TMP/release.key" >/dev/null
printf '{"default":[{"type":"sigstoreSigned","keyPath":"%s"}]}' "$TMP/release.key.pub" >"$TMP/signed.json"
run vagrant box remove --force --all team/web
: >"$TMP/ingotd.log"
INGOT_POLICY=$TMP/signed.json expect 1 ingot vagrant box add --provider libvirt "$catalogue"
grep -q 'it is not signed' "$TMP/err" || fail "not told: $(cat "$TMP/err")"
! vagrant box list | grep -q team/web || fail "a box that is not signed is there: $(vagrant box list)"
ingot sign -q --key "$TMP/release.key" "$REGISTRY/team/web:4.0.0" >/dev/null
INGOT_POLICY=$TMP/signed.json run ingot vagrant box add --provider libvirt "$catalogue"
[ "$(sent formats)" = 0 ] || fail "the registry's box is asked for: $(cat "$TMP/ingotd.log")"
installed 4
ok "under a policy, boxes of signed images alone, and none of the registry's own files"

# --- private, and by TLS ---

twice() { printf '%s\n%s\n' "$1" "$1"; }
twice 'the word of alice' | ingotd user add --data "$TMP/registry" --scope 'pull:team/*' alice
key=$(ingotd token create --data "$TMP/registry" --user alice --scope 'pull:team/*' --expires 1h 2>/dev/null)
renew() {
    run vagrant box remove --force --all team/web
    : >"$TMP/ingotd.log"
}
renew
expect 1 ingot vagrant box add --provider libvirt "$catalogue"
VAGRANT_CLOUD_TOKEN=$key VAGRANT_SERVER_URL=http://$REGISTRY/vagrant run ingot vagrant box add --provider libvirt team/web
[ "$(sent formats)" = 1 ] || fail "by Vagrant's token: $(cat "$TMP/out" "$TMP/ingotd.log")"
installed 4
ingot login -u alice --password-stdin "$REGISTRY" <<<'the word of alice' >/dev/null 2>&1
renew
run ingot vagrant box add --provider libvirt "$catalogue"
[ "$(sent formats)" = 1 ] || fail "by ingot login: $(cat "$TMP/out" "$TMP/ingotd.log")"
installed 4
! grep -q 'the word' "$TMP/out" || fail "a secret is told"
ok "a private box: by Vagrant's token, or by ingot login"

# A registry that has to work the box out first: it is asked again when it says, and the user knows why it takes so long.
cat >"$TMP/later.py" <<'PY'
import http.server, sys
left = 3
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global left
        if not self.path.startswith("/formats/"):
            return self.send_error(404)
        left -= 1
        body = open(sys.argv[1], "rb").read() if left < 0 else b'{"errors":[]}'
        self.send_response(200 if left < 0 else 503)
        if left >= 0:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
    do_HEAD = do_GET
    def log_message(self, *arguments):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
PY
python3 "$TMP/later.py" "$TMP/box" >"$TMP/port" &
ENDING+=($!)
until [ -s "$TMP/port" ]; do sleep 0.05; done
later=http://127.0.0.1:$(cat "$TMP/port")/formats/team/later/sha256:$(printf 0%.0s {1..64})/vagrant-libvirt/libvirt.box
run ingot vagrant box add --name later --provider libvirt "$later"
vagrant box list | grep -q '^later *(libvirt' || fail "a box that came later: $(cat "$TMP/out")"
[ "$(grep -c 'the first time: waiting' "$TMP/out")" = 1 ] || fail "not told, or more than once: $(cat "$TMP/out")"
ok "a box that the registry has to work out first is waited for"

kill "$SERVER"
wait "$SERVER" || true
cd "$TMP"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=here -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem 2>/dev/null
cd - >/dev/null
: >"$TMP/address"
ingotd --data "$TMP/registry" --listen 127.0.0.1:0 --anonymous pull --tls-cert "$TMP/cert.pem" --tls-key "$TMP/key.pem" >"$TMP/address" 2>"$TMP/ingotd.log" &
ENDING+=($!)
until grep -q http "$TMP/address"; do sleep 0.05; done
secure=$(sed 's,.*//,,' "$TMP/address")
renew
expect 1 ingot vagrant box add --provider libvirt "https://$secure/vagrant/team/web"
run ingot vagrant --ca "$TMP/cert.pem" box add --provider libvirt "https://$secure/vagrant/team/web"
[ "$(sent formats)" = 1 ] || fail "by TLS: $(cat "$TMP/out" "$TMP/ingotd.log")"
ok "by TLS, with the certificates that ingot is told"
