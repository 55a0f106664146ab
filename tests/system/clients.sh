#!/bin/bash
# The clients that people have, by TLS and password: skopeo, podman, buildah and containerd's ctr push, pull and delete images and
# indexes of several architectures: straight, behind nginx and behind haproxy (which end TLS, under a path of their own too), and through
# a cache. A client that is not installed is left out, and said so.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
for program in skopeo nginx; do command -v $program >/dev/null || skip "$program is not installed"; done
export REGISTRY_AUTH_FILE=$TMP/auth.json XDG_RUNTIME_DIR=$TMP/run HOME=$TMP/home CONTAINERS_STORAGE_CONF=$TMP/storage.conf
mkdir "$TMP/run" "$TMP/home" "$TMP/certs" "$TMP/nginx"
printf '[storage]\ndriver="vfs"\nrunroot="%s"\ngraphroot="%s"\n' "$TMP/run/c" "$TMP/home/c" >"$TMP/storage.conf"
echo '{}' >"$TMP/auth.json"
printf '{"default":[{"type":"insecureAcceptAnything"}]}' >"$TMP/policy.json"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$TMP/key.pem" -out "$TMP/cert.pem" -days 2 \
    -subj /CN=localhost -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' 2>/dev/null
cp "$TMP/cert.pem" "$TMP/certs/ca.crt"
cat "$TMP/cert.pem" "$TMP/key.pem" >"$TMP/both.pem"
password='correct horse'
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# serve NAME FLAGS...: HOST is its HOST:PORT.
serve() {
    local name=$1
    shift
    [ -e "$TMP/$name" ] || printf '%s\n%s\n' "$password" "$password" | ingotd user add --data "$TMP/$name" --scope 'admin:*' alice >/dev/null
    start_server ingotd --data "$TMP/$name" "$@"
    HOST=${SERVED#*//}
}
answers() { for _ in $(seq 100); do [ "$(curl -sk -o /dev/null -w '%{http_code}' "https://$1/v2/")" != 401 ] || return 0; sleep 0.1; done; fail "$1 does not answer"; }

serve straight --listen 127.0.0.1:0 --tls-cert "$TMP/cert.pem" --tls-key "$TMP/key.pem"
straight=$HOST
nginx=127.0.0.1:$(free_port)
serve behind-nginx --listen "unix:$TMP/nginx.socket" --external-url "https://$nginx/images"
cat >"$TMP/nginx/conf" <<CONF
user $(id -un); daemon off; pid $TMP/nginx/pid; error_log $TMP/nginx/error; worker_processes 1;
events {}
http {
    access_log off; client_max_body_size 0; proxy_request_buffering off;
    client_body_temp_path $TMP/nginx/body; proxy_temp_path $TMP/nginx/proxy; fastcgi_temp_path $TMP/nginx/f;
    uwsgi_temp_path $TMP/nginx/u; scgi_temp_path $TMP/nginx/s;
    server {
        listen $nginx ssl; ssl_certificate $TMP/cert.pem; ssl_certificate_key $TMP/key.pem;
        location / {
            proxy_pass http://unix:$TMP/nginx.socket; proxy_http_version 1.1; proxy_set_header Host \$http_host;
            proxy_set_header X-Forwarded-Proto \$scheme; proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
        }
    }
}
CONF
nginx -e "$TMP/nginx/error" -c "$TMP/nginx/conf" 2>"$TMP/nginx/start" &
ENDING+=("$!")
answers "$nginx"
doors="straight nginx"
if command -v haproxy >/dev/null; then
    haproxy=127.0.0.1:$(free_port)
    serve behind-haproxy --listen 127.0.0.1:0 --trusted-proxy 127.0.0.1
    cat >"$TMP/haproxy.cfg" <<CONF
global
    maxconn 100
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
frontend tls
    bind $haproxy ssl crt $TMP/both.pem
    option forwardfor
    http-request set-header X-Forwarded-Proto https
    default_backend ingotd
backend ingotd
    server one $HOST
CONF
    haproxy -db -f "$TMP/haproxy.cfg" >"$TMP/haproxy.log" 2>&1 &
    ENDING+=("$!")
    answers "$haproxy"
    doors="$doors haproxy"
else
    echo "left out: haproxy is not installed"
fi

# Two images of one layer each, for two architectures, and an index of both, as an OCI folder.
python3 - "$TMP/oci" <<'PY'
import gzip, hashlib, io, json, os, sys, tarfile
root = sys.argv[1]
os.makedirs(root + "/blobs/sha256")
def put(data, kind, **more):
    digest = hashlib.sha256(data).hexdigest()
    open(f"{root}/blobs/sha256/{digest}", "wb").write(data)
    return {"mediaType": "application/vnd.oci.image." + kind, "digest": "sha256:" + digest, "size": len(data), **more}
images = []
for machine in ("amd64", "arm64"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        data = os.urandom(300000)
        info = tarfile.TarInfo("hello-" + machine)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    layer = put(gzip.compress(out.getvalue(), mtime=0), "layer.v1.tar+gzip")
    config = put(json.dumps({"architecture": machine, "os": "linux", "config": {}, "rootfs": {"type": "layers",
        "diff_ids": ["sha256:" + hashlib.sha256(out.getvalue()).hexdigest()]}}).encode(), "config.v1+json")
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [layer]}
    images.append(put(json.dumps(manifest).encode(), "manifest.v1+json", platform={"architecture": machine, "os": "linux"}))
index = put(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": images}).encode(), "index.v1+json")
index["annotations"] = {"org.opencontainers.image.ref.name": "both"}
json.dump({"schemaVersion": 2, "manifests": [index]}, open(root + "/index.json", "w"))
json.dump({"imageLayoutVersion": "1.0.0"}, open(root + "/oci-layout", "w"))
PY
index=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["manifests"][0]["digest"])' "$TMP/oci/index.json")
run() { "$@" >"$TMP/out" 2>&1 || fail "$* ends with $?: $(tail -5 "$TMP/out"); $(tail -5 "$TMP/ingotd.log")"; }
has() { curl -sk -o /dev/null -w '%{http_code}' -u "alice:$password" -H 'Accept: application/vnd.oci.image.index.v1+json' -I "https://$1"; }

skopeo_does() { # HOST
    run skopeo --policy "$TMP/policy.json" copy --all --dest-cert-dir "$TMP/certs" --dest-creds "alice:$password" "oci:$TMP/oci:both" "docker://$1/by/skopeo:1.0.0"
    [ "$(has "$1/v2/by/skopeo/manifests/$index")" = 200 ] || fail "the index that skopeo pushed to $1"
    rm -rf "$TMP/back"
    run skopeo --policy "$TMP/policy.json" copy --all --src-cert-dir "$TMP/certs" --src-creds "alice:$password" "docker://$1/by/skopeo:1.0.0" "oci:$TMP/back:both"
    diff -r "$TMP/oci/blobs" "$TMP/back/blobs" || fail "what skopeo pulls from $1 is something else"
    run skopeo list-tags --cert-dir "$TMP/certs" --creds "alice:$password" "docker://$1/by/skopeo"
    run skopeo copy --policy "$TMP/policy.json" --dest-cert-dir "$TMP/certs" --dest-creds "alice:$password" --format v2s2 --override-arch amd64 "oci:$TMP/oci:both" "docker://$1/by/skopeo:docker"
    ! skopeo inspect --cert-dir "$TMP/certs" --creds 'mallory:wrong' "docker://$1/by/skopeo:1.0.0" >/dev/null 2>&1 || fail "a wrong password at $1"
}
removes() { # HOST
    run skopeo delete --cert-dir "$TMP/certs" --creds "alice:$password" "docker://$1/by/skopeo:1.0.0"
    [ "$(has "$1/v2/by/skopeo/manifests/1.0.0")" = 404 ] || fail "what skopeo deleted at $1 is there"
}
podman_() { podman --cgroup-manager cgroupfs --events-backend file "$@"; }
podman_does() { # HOST
    local at=$1
    run podman_ pull --cert-dir "$TMP/certs" --creds "alice:$password" "$at/by/skopeo:1.0.0"
    run podman_ tag "$at/by/skopeo:1.0.0" "$at/by/podman:1.0.0"
    run podman_ push --cert-dir "$TMP/certs" --creds "alice:$password" "$at/by/podman:1.0.0"
    run podman_ rmi -a -f
    run podman_ pull --cert-dir "$TMP/certs" --creds "alice:$password" "$at/by/podman:1.0.0"
    run podman_ rmi -a -f
}
buildah_does() { # HOST
    local at=$1 made
    made=$(buildah from scratch) || fail "buildah from"
    run buildah copy "$made" "$TMP/both.pem" /file
    run buildah commit "$made" "$at/by/buildah:one"
    run buildah push --cert-dir "$TMP/certs" --creds "alice:$password" "$at/by/buildah:one"
    run buildah manifest create many
    run buildah manifest add --cert-dir "$TMP/certs" --creds "alice:$password" many "docker://$at/by/buildah:one"
    run buildah manifest push --all --cert-dir "$TMP/certs" --creds "alice:$password" many "docker://$at/by/buildah:1.0.0"
    run buildah pull --cert-dir "$TMP/certs" --creds "alice:$password" "docker://$at/by/buildah:1.0.0"
    run buildah rm "$made"
    run buildah rmi -a -f
}
ctr_() { ctr -a "$TMP/containerd/socket" "$@"; }
# It speaks plain HTTP to this machine unless it is told otherwise.
ctr_knows() { # HOST
    mkdir -p "$TMP/hosts/$1"
    printf 'server = "https://%s"\n[host."https://%s"]\n  capabilities = ["pull", "resolve", "push"]\n  ca = "%s"\n' "$1" "$1" "$TMP/cert.pem" >"$TMP/hosts/$1/hosts.toml"
}
ctr_does() { # HOST
    local at=$1
    ctr_knows "$at"
    run ctr_ images pull --snapshotter native --platform linux/amd64 --hosts-dir "$TMP/hosts" --user "alice:$password" "$at/by/skopeo:1.0.0"
    run ctr_ images tag "$at/by/skopeo:1.0.0" "$at/by/ctr:1.0.0"
    run ctr_ images push --platform linux/amd64 --hosts-dir "$TMP/hosts" --user "alice:$password" "$at/by/ctr:1.0.0"
    run ctr_ images rm "$at/by/skopeo:1.0.0" "$at/by/ctr:1.0.0"
    run ctr_ images pull --snapshotter native --platform linux/amd64 --hosts-dir "$TMP/hosts" --user "alice:$password" "$at/by/ctr:1.0.0"
    run ctr_ images rm --sync "$at/by/ctr:1.0.0"
}
clients=skopeo
for client in podman buildah; do
    if command -v $client >/dev/null; then clients="$clients $client"; else echo "left out: $client is not installed"; fi
done
if command -v containerd >/dev/null && command -v ctr >/dev/null && [ "$(id -u)" = 0 ]; then
    mkdir "$TMP/containerd"
    cat >"$TMP/containerd/config.toml" <<CONF
version = 2
root = "$TMP/containerd/root"
state = "$TMP/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.overlayfs"]
[grpc]
  address = "$TMP/containerd/socket"
CONF
    containerd --config "$TMP/containerd/config.toml" >"$TMP/containerd.log" 2>&1 &
    ENDING+=("$!")
    for _ in $(seq 100); do ! ctr_ version >/dev/null 2>&1 || break; sleep 0.1; done
    ctr_ version >/dev/null 2>&1 || fail "containerd: $(tail -3 "$TMP/containerd.log")"
    clients="$clients ctr"
else
    echo "left out: containerd and ctr are not installed, or this is not root"
fi

for door in $doors; do
    for client in $clients; do "${client}_does" "${!door}"; done
    removes "${!door}"
    ok "$door: $clients push, pull and delete"
done
# Through a cache, which logs in at its upstream.
run skopeo --policy "$TMP/policy.json" copy --all --dest-cert-dir "$TMP/certs" --dest-creds "alice:$password" "oci:$TMP/oci:both" "docker://$straight/far/app:1.0.0"
echo "$password" | INGOT_PLAIN_HTTP=none INGOT_CA=$TMP/cert.pem ingot login "$straight" -u alice --password-stdin >/dev/null 2>&1 || fail "a login"
printf '%s\n%s\n' "$password" "$password" | ingotd user add --data "$TMP/cached" --scope 'admin:*' alice >/dev/null
INGOT_CA=$TMP/cert.pem serve cached --listen 127.0.0.1:0 --tls-cert "$TMP/cert.pem" --tls-key "$TMP/key.pem" --upstream "https://$straight"
rm -rf "$TMP/back"
run skopeo --policy "$TMP/policy.json" copy --all --src-cert-dir "$TMP/certs" --src-creds "alice:$password" "docker://$HOST/far/app:1.0.0" "oci:$TMP/back:both"
diff -r "$TMP/oci/blobs" "$TMP/back/blobs" || fail "what skopeo pulls through the cache is something else"
for client in $clients; do
    case $client in
    podman) run podman_ pull --cert-dir "$TMP/certs" --creds "alice:$password" "$HOST/far/app:1.0.0" ;;
    buildah) run buildah pull --cert-dir "$TMP/certs" --creds "alice:$password" "docker://$HOST/far/app:1.0.0" ;;
    ctr) ctr_knows "$HOST" && run ctr_ images pull --snapshotter native --platform linux/amd64 --hosts-dir "$TMP/hosts" --user "alice:$password" "$HOST/far/app:1.0.0" ;;
    esac
done
ok "a cache: $clients pull through it"
