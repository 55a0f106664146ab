# shellcheck shell=bash
# A site of Vagrant boxes for tests (boxsite.py), and the boxes that it has. Sourced behind lib.sh.

# start_site: `site` is its URL, `asked` the file with its log; site_set describes it.
start_site() {
    asked=$TMP/site.log
    echo '{"boxes": {}}' >"$TMP/site.json"
    : >"$asked"
    : >"$TMP/site.port"
    python3 tests/system/boxsite.py "$TMP/site.json" "$asked" >"$TMP/site.port" 2>"$TMP/site.err" &
    ENDING+=("$!")
    until grep -q . "$TMP/site.port"; do
        kill -0 "${ENDING[-1]}" 2>/dev/null || fail "$(cat "$TMP/site.err")"
        sleep 0.05
    done
    site=http://127.0.0.1:$(cat "$TMP/site.port")
    export site
}

# site_set CODE: Python that changes the description `s`; box(NAME, VERSION, PROVIDER, FILE, **MORE) adds a file with its sum.
site_set() {
    python3 - "$TMP/site.json" "$1" <<'E'
import hashlib, json, os, sys
path, code = sys.argv[1:]
s = json.load(open(path))
def box(name, version, provider, file, **more):
    versions = s["boxes"].setdefault(name, {"description": f"about {name}", "short_description": "short", "versions": []})["versions"]
    found = [v for v in versions if v["version"] == version]
    if not found:
        found = [{"version": version, "description": f"notes of {version}", "providers": []}]
        versions.append(found[0])
    one = {"name": provider, "file": file, **more}
    if "checksum" not in one:
        one["checksum"] = hashlib.sha256(open(file, "rb").read()).hexdigest()
        one["checksum_type"] = "sha256"
    found[0]["providers"].append({k: v for k, v in one.items() if v is not None})
exec(code)
json.dump(s, open(path + ".new", "w"))
os.rename(path + ".new", path)
E
}

# downloads: how many files the site was asked for; came: how many bytes of files it has sent.
downloads() { grep -c '^GET /dl/' "$asked" || true; }
came() { awk '$2 ~ "^/signed/" { sum += $4 } END { print sum + 0 }' "$asked"; }

# make_box FILE DISK PROVIDER: a box of a raw disk.
make_box() {
    local folder=$TMP/box.$RANDOM
    mkdir "$folder"
    echo "{\"provider\": \"$3\"$([ "$3" != libvirt ] || echo ', "format": "qcow2", "virtual_size": 1')}" >"$folder/metadata.json"
    echo "Vagrant.configure(\"2\") { |config| config.ssh.username = \"$3\" }" >"$folder/Vagrantfile"
    case $3 in
    libvirt) qemu-img convert -O qcow2 "$2" "$folder/box.img" ;;
    vmware_desktop)
        qemu-img convert -O vmdk "$2" "$folder/disk.vmdk"
        printf 'config.version = "8"\nscsi0.present = "TRUE"\nscsi0:0.present = "TRUE"\nscsi0:0.fileName = "disk.vmdk"\n' >"$folder/web.vmx"
        ;;
    esac
    tar -C "$folder" -czf "$1" .
    rm -r "$folder"
}

# make_boxes: v1.raw and v2.raw, disks of 4 MiB that are alike, and boxes of them: libvirt1.box, libvirt2.box, vmware.box.
make_boxes() {
    local version
    head -c 4194304 /dev/urandom >"$TMP/v1.raw"
    cp "$TMP/v1.raw" "$TMP/v2.raw"
    head -c 300000 /dev/urandom | dd of="$TMP/v2.raw" bs=64K seek=20 conv=notrunc status=none
    for version in 1 2; do
        make_box "$TMP/libvirt$version.box" "$TMP/v$version.raw" libvirt
    done
    make_box "$TMP/vmware.box" "$TMP/v1.raw" vmware_desktop
}
