"""What tools attach to an image, put into a registry and looked for in another.

attached.py put REGISTRY NAME IMAGE LIST [artifacts]: attaches to the image of that digest, and writes what into LIST, a line each: a
kind and a digest; with an artifact's manifest, which docker-registry does not take. `by` says whose digest it is attached to, or which tag names it.
attached.py check REGISTRY NAME LIST: each is there, byte for byte, with all that it names, and is listed.
"""
import hashlib
import json
import sys
import urllib.error
import urllib.request

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Registry:
    def __init__(self, host, name):
        self.base = "http://%s/v2/%s/" % (host, name)

    def call(self, method, path, data=None, kind="application/octet-stream"):
        url = path if path.startswith("http") else self.base + path
        request = urllib.request.Request(url, data, {"Content-Type": kind, "Accept": ",".join((MANIFEST, INDEX, ARTIFACT))}, method=method)
        with urllib.request.urlopen(request) as answer:
            return answer.read(), answer.headers

    def find(self, path):
        try:
            return self.call("GET", path)[0]
        except urllib.error.HTTPError as error:
            assert error.code == 404, error
            return None

    def put_blob(self, data, kind, **more):
        digest = digest_of(data)
        where = self.call("POST", "blobs/uploads/", b"")[1]["Location"]
        if where.startswith("/"):
            where = self.base.split("/v2/")[0] + where
        self.call("PUT", where + ("&" if "?" in where else "?") + "digest=" + digest, data)
        return dict({"mediaType": kind, "digest": digest, "size": len(data)}, **more)

    # As its author wrote it: with spaces, in no order.
    def put_manifest(self, manifest, tag=None):
        data = (json.dumps(manifest, indent=3) + "\n").encode()
        digest = digest_of(data)
        answer = self.call("PUT", "manifests/" + (tag or digest), data, manifest["mediaType"])[1]
        entry = {"mediaType": manifest["mediaType"], "digest": digest, "size": len(data)}
        if "subject" in manifest and answer["OCI-Subject"] is None:
            self.list(manifest["subject"]["digest"], entry)
        return entry

    # Where the registry does not know subjects, as the specification wants it.
    def list(self, subject, entry):
        tag = subject.replace(":", "-")
        old = self.find("manifests/" + tag)
        entries = json.loads(old)["manifests"] if old else []
        data = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries + [entry]}).encode()
        self.call("PUT", "manifests/" + tag, data, INDEX)

    def referrers(self, digest):
        listed = self.find("referrers/" + digest) or self.find("manifests/" + digest.replace(":", "-")) or b'{"manifests": []}'
        return [entry["digest"] for entry in json.loads(listed)["manifests"]]


def put(registry, image, artifacts):
    """What cosign, oras, notation and others make, in shape."""
    size = len(registry.find("manifests/" + image))
    subject = {"mediaType": MANIFEST, "digest": image, "size": size}
    empty = registry.put_blob(b"{}", "application/vnd.oci.empty.v1+json")
    config = registry.put_blob(b'{"architecture":"","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:0"]}}', "application/vnd.oci.image.config.v1+json")

    def manifest(layers, **more):
        return dict({"schemaVersion": 2, "mediaType": MANIFEST, "config": empty, "layers": layers}, **more)

    def signature(text):
        return registry.put_blob(text.encode(), "application/vnd.dev.cosign.simplesigning.v1+json", annotations={
            "dev.cosignproject.cosign/signature": "MEUCIQ" + text, "dev.sigstore.cosign/certificate": "-----BEGIN\n" + text})

    made = []

    def keep(kind, entry, by):
        made.append((kind, entry["digest"], by))
        return entry

    keep("signature", registry.put_manifest(manifest([signature("one"), signature("two")], config=config, subject=subject,
                                                     annotations={"org.opencontainers.image.created": "2024-01-01T00:00:00Z"})), image)
    keep("nothing", registry.put_manifest(manifest([], artifactType="text/mark", subject=subject, annotations={"x": "y \u00e9"})), image)
    keep("same layer twice", registry.put_manifest(manifest([signature("one"), signature("one")], artifactType="text/twice", subject=subject)), image)
    children = [dict(registry.put_manifest(manifest([registry.put_blob(b"for " + system, "text/plain")], artifactType="text/part")),
                     platform={"os": system.decode(), "architecture": "amd64"}) for system in (b"linux", b"windows")]
    keep("index", registry.put_manifest({"schemaVersion": 2, "mediaType": INDEX, "manifests": children, "subject": subject,
                                         "annotations": {"kind": "index"}}), image)
    packages = keep("packages", registry.put_manifest(manifest([registry.put_blob(b'{"spdxVersion":"SPDX-2.3"}', "application/spdx+json")],
                                                               artifactType="application/spdx+json", subject=subject)), image)
    keep("signature of the packages", registry.put_manifest(manifest([signature("three")], artifactType="text/signature", subject=packages)),
         packages["digest"])
    if artifacts:
        keep("artifact", registry.put_manifest({"mediaType": ARTIFACT, "artifactType": "text/artifact", "blobs": [registry.put_blob(b"of old", "text/plain")],
                                                "subject": subject}), image)
    for ending in ("sig", "att"):
        tag = image.replace(":", "-") + "." + ending
        keep("cosign's ." + ending, registry.put_manifest(manifest([signature(ending)], config=config), tag), tag)
    return made


def check_whole(registry, digest):
    data = registry.find("manifests/" + digest)
    assert data is not None, "there is no manifest " + digest
    assert digest_of(data) == digest, "another manifest for " + digest
    manifest = json.loads(data)
    for child in manifest.get("manifests", []):
        check_whole(registry, child["digest"])
    for blob in manifest.get("layers", []) + manifest.get("blobs", []) + ([manifest["config"]] if "config" in manifest else []):
        data = registry.find("blobs/" + blob["digest"])
        assert data is not None and digest_of(data) == blob["digest"], "there is no blob %s of %s" % (blob["digest"], digest)


def check(registry, made):
    for kind, digest, by in made:
        check_whole(registry, digest)
        if by.startswith("sha256:"):
            listed = registry.referrers(by)
            assert listed.count(digest) == 1, "%s: %s is not listed as attached to %s: %s" % (kind, digest, by, listed)
        else:
            found = registry.find("manifests/" + by)
            assert found is not None and digest_of(found) == digest, "%s: the tag %s does not name %s" % (kind, by, digest)


def main():
    verb, host, name = sys.argv[1:4]
    registry = Registry(host, name)
    if verb == "put":
        made = put(registry, sys.argv[4], "artifacts" in sys.argv[6:])
        with open(sys.argv[5], "w") as out:
            json.dump(made, out)
    else:
        with open(sys.argv[4]) as text:
            made = json.load(text)
        assert len(made) >= 8, made
        check(registry, made)


main()
