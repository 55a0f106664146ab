"""The gates of gates.sh: URL FOLDER. What is attached is made here and signed by openssl, so that nothing of Ingot's own judges itself."""
import base64
import hashlib
import json
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request

URL, FOLDER = sys.argv[1], sys.argv[2]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
STATEMENT = "application/vnd.in-toto+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
NAME = "team/web"


def ask(method, path, body=None, user="root", kind="application/json"):
    data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
    request = urllib.request.Request(URL + path, data=data, method=method)
    request.add_header("Authorization", "Basic " + base64.b64encode(f"{user}:the word of all".encode()).decode())
    if data is not None:
        request.add_header("Content-Type", kind)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read()


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def put_blob(data, user):
    status, said = ask("POST", f"/v2/{NAME}/blobs/uploads/?digest={digest_of(data)}", data, user, "application/octet-stream")
    assert status == 201, said
    return {"digest": digest_of(data), "size": len(data)}


def put_manifest(manifest, reference, user):
    data = json.dumps(manifest).encode()
    status, said = ask("PUT", f"/v2/{NAME}/manifests/{reference or digest_of(data)}", data, user, MANIFEST)
    assert status == 201, said
    return digest_of(data), len(data)


def image(tag, content, annotations=None, user="anna", config=b"{}"):
    config = put_blob(config, user) | {"mediaType": "application/vnd.ingot.config.v1+json"}
    layer = put_blob(content, user) | {"mediaType": "application/octet-stream"}
    return put_manifest({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer],
                         "annotations": annotations or {"a": "b"}}, tag, user)


def attach(subject, kind, content, user="anna"):
    config = put_blob(b"{}", user) | {"mediaType": "application/vnd.oci.empty.v1+json"}
    layer = put_blob(content, user) | {"mediaType": kind}
    put_manifest({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "config": config, "layers": [layer],
                  "subject": {"mediaType": MANIFEST, "digest": subject[0], "size": subject[1]}}, None, user)


def statement(subject, kind, predicate):
    return json.dumps({"_type": "https://in-toto.io/Statement/v1", "predicateType": kind, "predicate": predicate,
                       "subject": [{"name": NAME, "digest": {"sha256": subject[0].split(":")[1]}}]}).encode()


def bundle(payload, key, kind=STATEMENT):
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", f"{FOLDER}/{key}"], input=pae, capture_output=True, check=True).stdout
    return json.dumps({"mediaType": BUNDLE, "verificationMaterial": {"publicKey": {"hint": "a"}},
                       "dsseEnvelope": {"payload": base64.b64encode(payload).decode(), "payloadType": kind,
                                        "signatures": [{"sig": base64.b64encode(signature).decode()}]}}).encode()


def signature(subject, key):
    return bundle(statement(subject, "https://sigstore.dev/cosign/sign/v1", {}), key)


def report(result, when, recipe="web.yaml"):
    return {"result": result, "configuration": [{"name": recipe, "digest": {"sha256": "0" * 64}}],
            "passedTests": ["a"], "failedTests": [] if result == "PASSED" else ["b"], "ingot": {"finished": when}}


TEST = "https://in-toto.io/attestation/test-result/v0.1"
SLSA = "https://slsa.dev/provenance/v1"


def gates(*entries):
    body = {"pipelines": {NAME: {"channels": [{"name": "dev"}, {"name": "prod", "from": "dev", "gates": list(entries)}]}}}
    status, said = ask("PUT", "/api/v1/pipelines", body)
    assert status == 200, said


def promote(source, channel="prod", user="otto", **more):
    status, said = ask("POST", f"/api/v1/{NAME}/channels/{channel}", {"from": source, **more}, user)
    return status, json.loads(said)


def refuses(gate, words="", source="dev", **more):
    status, answer = promote(source, **more)
    assert status == 409 and not answer["moved"], (gate, status, answer)
    wrong = [one for one in answer["gates"] if not one["passed"]]
    assert [one["gate"] for one in wrong] == [gate], (gate, answer)
    assert wrong[0]["why"] and wrong[0]["mend"] and words in wrong[0]["why"], wrong


def passes(gate, source="dev", **more):
    status, answer = promote(source, dry_run=True, **more)
    assert status == 200 and all(one["passed"] for one in answer["gates"]), (gate, answer)
    assert gate in [one["gate"] for one in answer["gates"]], answer


def ok(words):
    print("ok: " + words, flush=True)


# --- a pipeline that is wrong is refused as a whole, with the place ---
def wrong_gate(entry, path, words):
    body = {"pipelines": {NAME: {"channels": [{"name": "prod", "gates": [entry]}]}}}
    status, said = ask("PUT", "/api/v1/pipelines", body)
    mistakes = json.loads(said).get("mistakes", [])
    assert status == 409 and len(mistakes) == 1, said
    assert mistakes[0]["path"].endswith(path) and words in mistakes[0]["message"], said


wrong_gate({"soak": "1dd"}, "/soak", "duration")
wrong_gate({"sooak": "1d"}, "", "soak")
wrong_gate({"tested": {"recipe": ["a"]}}, "/recipe", "recipes")
wrong_gate({"signed": {"keys": ["no key"]}}, "/keys/0", "")
wrong_gate({"signed": {"keys": [open(f"{FOLDER}/release.pub").read()], "count": 2}}, "/count", "nothing could pass")
wrong_gate({"packages": {"deny": ["openssl<"]}}, "/deny/0", "NAME<VERSION")
wrong_gate({"window": {"zone": "Europe/Nowhere"}}, "/zone", "time zone")
wrong_gate({"window": {"days": ["frieday"]}}, "/days/0", "not a day")
wrong_gate({"window": {"from": "25:00"}}, "/from", "time of day")
wrong_gate({"base": {"newer_than": 30}}, "/newer_than", "duration")
wrong_gate({"approved": {"count": 0}}, "/count", "whole number")
ok("a gate that is wrong is refused with its place")

# --- who may not pull all that a pattern stands for hears nothing of its pipeline ---
hidden = {"secret/project": {"channels": [{"name": "prod", "gates": ["tested"]}]}}
own = {"public/web": {"channels": [{"name": "prod"}]}}
status, said = ask("PUT", "/api/v1/pipelines", {"pipelines": hidden | own})
assert status == 200, said
assert set(json.loads(ask("GET", "/api/v1/pipelines", user="rita")[1])["pipelines"]) == {"secret/project", "public/web"}
assert json.loads(ask("GET", "/api/v1/pipelines", user="mallory")[1])["pipelines"] == own
for query, asked, status in (("", own, 200), ("&prune=1", own, 403), ("", hidden, 403), ("", own | hidden, 403),
                             ("", {"secret/none": own["public/web"]}, 403), ("", {"*": own["public/web"]}, 403)):
    answer = ask("PUT", "/api/v1/pipelines?dry_run=1" + query, {"pipelines": asked}, "mallory")
    assert answer[0] == status and b"secret" not in answer[1], (query, asked, answer)
ok("a pipeline is told to those alone who may pull what it is for")

one = image("1.0.0", b"one")
gates()
status, said = promote("1.0.0", "dev")
assert status == 200 and said["moved"], said
other = image("0.9.0", b"other")
refuses("from", "does not stand", source="0.9.0")

# --- tested ---
gates("tested")
refuses("tested", "no test report")
attach(one, STATEMENT, statement(other, TEST, report("PASSED", "2026-01-01T00:00:00Z")))
refuses("tested", "another image")
attach(one, STATEMENT, b"{ this is no JSON")
refuses("tested", "do not count")
attach(one, STATEMENT, statement(one, TEST, report("FAILED", "2026-01-01T00:00:00Z")))
refuses("tested", "failed")
attach(one, STATEMENT, statement(one, TEST, report("PASSED", "2026-01-02T00:00:00Z")))
passes("tested")
gates({"tested": {"recipes": ["cis.yaml"]}})
refuses("tested", "cis.yaml")
attach(one, STATEMENT, statement(one, TEST, report("PASSED", "2026-01-03T00:00:00Z", "cis.yaml")))
passes("tested")
keys = [open(f"{FOLDER}/release.pub").read()]
gates({"tested": {"keys": keys}})
refuses("tested", "no test report")
attach(one, BUNDLE, bundle(statement(one, TEST, report("PASSED", "2026-01-04T00:00:00Z")), "other"))
refuses("tested", "not signed by a key")
attach(one, BUNDLE, bundle(statement(one, TEST, report("PASSED", "2026-01-04T00:00:00Z")), "release"))
passes("tested")
gates("tested")
attach(one, STATEMENT, statement(one, TEST, report("FAILED", "2026-01-05T00:00:00Z")))
refuses("tested", "failed")
attach(one, STATEMENT, statement(one, TEST, report("PASSED", "2026-01-06T00:00:00Z")))
ok("tested")

cis = "name: cis\ntests: [{service: sshd}]\n"
require = {"tests": [{"name": "cis.yaml", "text": cis}], "outputs": ["raw"]}
wanted = digest_of(json.dumps(require, sort_keys=True, separators=(",", ":")).encode())
required = image("1.0.1", b"required", config=json.dumps({"required": {"pipeline": "a/" + NAME, "digest": wanted}}).encode())
earlier = image("1.0.2", b"earlier", config=json.dumps({"required": {"digest": digest_of(b"")}}).encode())


def requires(*entries, body=require):
    body = {"pipelines": {NAME: {"require": body, "channels": [{"name": "prod", "gates": list(entries)}]}}}
    status, said = ask("PUT", "/api/v1/pipelines", body)
    return status, json.loads(said)


def required_report(result, when, recipe):
    return statement(required, TEST, report(result, when) | {"configuration": [{"name": "cis.yaml", "digest": {"sha256": digest_of(recipe).split(":")[1]}}]})


def built_for(subject, requirement):
    said = {"recipe": {"path": "web.yaml"}, "required": {"digest": {"sha256": requirement.split(":")[1]}}}
    return statement(subject, SLSA, {"buildDefinition": {"buildType": "urn:ingot:recipe:v1", "externalParameters": said}})


assert requires("required")[0] == 200
refuses("required", "not built with", "1.0.0")
refuses("required", "another requirement", "1.0.2")
refuses("required", "no test report", "1.0.1")
attach(required, STATEMENT, required_report("PASSED", "2026-01-01T00:00:00Z", b"another cis.yaml"))
refuses("required", "no test report", "1.0.1")
attach(required, STATEMENT, required_report("PASSED", "2026-01-01T00:00:00Z", cis.encode()))
passes("required", "1.0.1")
assert requires({"required": {"keys": keys}})[0] == 200
attach(required, BUNDLE, bundle(required_report("PASSED", "2026-01-02T00:00:00Z", cis.encode()), "release"))
refuses("required", "no provenance", "1.0.1")
attach(required, STATEMENT, built_for(required, wanted))
refuses("required", "no provenance", "1.0.1")
attach(required, BUNDLE, bundle(built_for(required, digest_of(b"")), "release"))
refuses("required", "does not say", "1.0.1")
attach(required, BUNDLE, bundle(built_for(required, wanted), "release"))
passes("required", "1.0.1")
outputs = {"outputs": ["raw"]}
assert requires("required", body=outputs)[0] == 200
refuses("required", "another requirement", "1.0.1")
wanted = digest_of(json.dumps(outputs, separators=(",", ":")).encode())
built = image("1.0.3", b"outputs", config=json.dumps({"required": {"digest": wanted}}).encode())
passes("required", "1.0.3")
assert requires({"required": {"keys": keys}}, body=outputs)[0] == 200
refuses("required", "no provenance", "1.0.3")
attach(built, BUNDLE, bundle(built_for(built, wanted), "release"))
passes("required", "1.0.3")
for wrong, words in (({"tests": ["cis.yaml"]}, "as `ingot pipeline apply` sends it"), ({}, "names nothing"),
                     ({"tests": [{"name": "../cis.yaml", "text": cis}]}, "without a folder"),
                     ({"tests": [{"name": "a", "text": "x" * 70000}]}, "64 KiB"), ({"outputs": [""]}, "name of a format")):
    status, said = requires("required", body=wrong)
    assert status == 409 and words in said["mistakes"][0]["message"], said
wrong_gate("required", "/0", "has none")
ok("required: built with what the pipeline requires today, and its tests have passed")

# --- signed ---
gates({"signed": {"keys": keys}})
refuses("signed", "0 of the 1")
attach(one, BUNDLE, signature(one, "other"))
refuses("signed", "not signed by a key")
attach(one, BUNDLE, signature(other, "release"))
refuses("signed")
forged = json.loads(signature(one, "release"))
forged["dsseEnvelope"]["payload"] = base64.b64encode(statement(one, "https://sigstore.dev/cosign/sign/v1", {"a": 1})).decode()
attach(one, BUNDLE, json.dumps(forged).encode())
refuses("signed")
attach(one, BUNDLE, signature(one, "release"))
passes("signed")
both = keys + [open(f"{FOLDER}/other.pub").read()]
gates({"signed": {"keys": both, "count": 2}})
passes("signed")
gates({"signed": {"keys": keys + keys, "count": 2}})
refuses("signed", "1 of")
ok("signed: by so many different keys, about this very digest")


# Identities sign by certificates, which openssl has made: what they prove is in the bundle, and in the gate's trusted root.
def keyless(*arguments):
    return subprocess.run([sys.executable, "tests/system/keyless.py", *arguments], capture_output=True, check=True).stdout


PEOPLE = [{"identity": "ci@example.com", "issuer": "https://login.example"},
          {"identity": "https://git.example/a", "issuer": "https://login.example"}]
keyless("world", f"{FOLDER}/own")
keyless("world", f"{FOLDER}/strange")
trusted = open(f"{FOLDER}/own/root.json").read()
for people, words in ([], "identities"), ([{"identity": "a"}], "issuer"), (PEOPLE, "trusted root"):
    wrong_gate({"signed": {"identities": people, "trusted_root": "{}"}}, "", words)
wrong_gate({"signed": {"keys": keys, "identities": PEOPLE}}, "/identities", "belong together")
wrong_gate({"signed": {"keys": keys, "trusted_root": trusted}}, "/trusted_root", "belong together")
wrong_gate({"signed": {"identities": PEOPLE, "trusted_root": trusted, "count": 3}}, "/count", "nothing could pass")
people = {"signed": {"identities": PEOPLE, "trusted_root": trusted}}
gates(people)
refuses("signed", "0 of the 2 identities")
for world, digest, who, issuer in (("strange", one[0], "ci@example.com", "https://login.example"),
                                   ("own", other[0], "ci@example.com", "https://login.example"),
                                   ("own", one[0], "ci@example.org", "https://login.example"),
                                   ("own", one[0], "ci@example.com", "https://login.example.org")):
    attach(one, BUNDLE, keyless("sign", f"{FOLDER}/{world}", digest, who, issuer))
refuses("signed", "do not count")
refuses("signed", "0 of the 2 identities")
attach(one, BUNDLE, keyless("sign", f"{FOLDER}/own", one[0], "ci@example.com", "https://login.example"))
passes("signed")
people["signed"]["count"] = 2
gates(people)
attach(one, BUNDLE, keyless("sign", f"{FOLDER}/own", one[0], "ci@example.com", "https://login.example"))
refuses("signed", "1 of the 2 identities")
people["signed"]["keys"] = keys
gates(people)
passes("signed")
ok("signed: by identities, whose certificates count by the gate's trusted root")

# --- provenance ---
def provenance(repository, clean):
    return {"buildDefinition": {"buildType": "urn:ingot:recipe:v1", "resolvedDependencies": [],
                                "externalParameters": {"recipe": {"path": "web.yaml", "digest": "sha256:" + "0" * 64},
                                                       "repository": repository, "branch": "main", "commit": "0" * 40, "clean": clean}},
            "runDetails": {"builder": {"id": "urn:ingot:builder:local", "version": {"ingot": "0"}}, "metadata": {}}}


gates({"provenance": {"repository": "https://git.example/*", "clean": True}})
refuses("provenance", "no provenance")
attach(one, STATEMENT, statement(one, SLSA, provenance("https://git.example/web", True)))
passes("provenance")
attach(one, STATEMENT, statement(one, SLSA, provenance("https://evil.example/web", True)))
refuses("provenance", "evil.example")
gates({"provenance": {"clean": True, "keys": keys}})
refuses("provenance")
attach(one, BUNDLE, bundle(statement(one, SLSA, provenance("https://git.example/web", False)), "release"))
refuses("provenance", "not committed")
ok("provenance")

# --- packages ---
def spdx(version, kind="deb"):
    return json.dumps({"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "web", "dataLicense": "CC0-1.0",
                       "documentNamespace": "urn:a", "creationInfo": {"created": "2026-01-01T00:00:00Z", "creators": ["Tool: a"]},
                       "packages": [{"SPDXID": "SPDXRef-1", "name": "openssl", "versionInfo": version, "downloadLocation": "NOASSERTION",
                                     "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                                                       "referenceLocator": f"pkg:{kind}/debian/openssl@{version}"}]}]}).encode()


deny = {"packages": {"deny": ["openssl<3.0.17", "telnetd"]}}
gates(deny)
refuses("packages", "no list")
attach(one, "application/spdx+json", spdx("3.0.17~deb12u2"))
refuses("packages", "openssl 3.0.17~deb12u2")
gates({"packages": {"deny": ["openssl<3.0.9", "openssl>1:0"]}})
passes("packages")
gates({"packages": {"deny": ["openssl"]}})
refuses("packages", "openssl")
ok("packages, in dpkg's order")

# --- base ---
gates({"base": {"newer_than": "30d"}})
refuses("base", "does not say")
when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 40 * 86400))
base = image("0.0.1", b"base", {"org.opencontainers.image.created": when})
two = image("2.0.0", b"two", {"org.opencontainers.image.base.digest": base[0]})
lost = image("2.0.1", b"lost", {"org.opencontainers.image.base.digest": "sha256:" + "7" * 64})
for tag, words in (("2.0.0", "ago"), ("2.0.1", "not in this registry")):
    status, said = promote(tag, "dev")
    assert status == 200, said
    refuses("base", words)
gates({"base": {"newer_than": "60d"}})
status, said = promote("2.0.0", "dev")
passes("base")
ok("base")

# --- approved ---
gates({"approved": {"count": 1, "not_promoter": True}})


def approve(user, digest=two[0], **more):
    return ask("POST", f"/api/v1/{NAME}/approvals/prod", {"digest": digest, "reason": "seen", **more}, user)


refuses("approved", "0 of 1")
assert approve("rita")[0] == 403
assert approve("root", one[0])[0] == 200
refuses("approved", "0 of 1")
assert approve("otto")[0] == 200
refuses("approved", "0 of 1")
assert approve("olga")[0] == 200
passes("approved")
assert approve("otto", withdraw=True)[0] == 200
passes("approved")
assert json.loads(approve("olga", withdraw=True)[1])["withdrawn"]
refuses("approved", "0 of 1")
status, said = approve("olga", withdraw=True)
assert status == 404 and b"no approval by olga" in said, said
with sqlite3.connect(f"{FOLDER}/registry/users.sqlite") as users: # she was added while the clock was ahead
    users.execute("UPDATE users SET created=created+100000 WHERE name='olga'")
users.close()
assert approve("olga")[0] == 200
passes("approved")
subprocess.run(["ingotd", "user", "rm", "--data", f"{FOLDER}/registry", "olga"], check=True, capture_output=True)
refuses("approved", "no user with the right promote any more")
three = image("3.0.0", b"three", user="root")
status, said = promote("3.0.0", "dev")
assert approve("root", three[0])[0] == 200
refuses("approved", "whoever pushed it")
data = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": put_blob(b"{}", "root") | {"mediaType": "a/b"}, "layers": [],
                   "subject": {"mediaType": MANIFEST, "digest": one[0], "size": one[1]}}).encode()
assert ask("PUT", f"/v2/{NAME}/manifests/4.0.0", data, "root", MANIFEST)[0] == 201
assert promote("4.0.0", "dev")[0] == 200
assert approve("root", digest_of(data))[0] == 200
refuses("approved", "whoever pushed it")
index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"mediaType": MANIFEST, "digest": three[0], "size": three[1]}]}).encode()
assert ask("PUT", f"/v2/{NAME}/manifests/5.0.0", index, "anna", INDEX)[0] == 201
assert promote("5.0.0", "dev")[0] == 200
assert approve("root", digest_of(index))[0] == 200
refuses("approved", "whoever pushed it")
status, said = promote("3.0.0", "dev")
ok("approved: by people with the right who neither pushed nor promote it")

# --- window, soak ---
day = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[time.gmtime().tm_wday]
gates({"window": {"days": [d for d in ("mon", "wed", "fri", "sun", "tue", "thu", "sat") if d != day]}})
if 60 < time.time() % 86400 < 86400 - 60:
    refuses("window", "it is")
    gates({"window": {"days": [day], "zone": "UTC"}})
    passes("window")
gates({"soak": "1h"})
refuses("soak", "dev")
gates({"soak": "1s"})
time.sleep(2.1)
passes("soak")
ok("window and soak")

# --- moving ---
gates({"soak": {"for": "1h", "always": True}})
status, said = promote("dev", reason="no time", force=True)
assert status == 403, said
status, said = promote("dev", user="root", force=True)
assert status == 400, said
status, said = promote("dev", user="root", reason="the building burns", force=True)
assert status == 200 and said["moved"], said
gates()
status, said = promote("1.0.0", "dev")
status, said = promote("dev", expected=two[0])
assert status == 412, said
status, said = promote("dev", reason="the release of May")
assert status == 200 and said["moved"], said
status, said = promote("dev")
assert status == 200 and not said["moved"], said
status, said = promote("dev", user="rita")
assert status == 403, said
status, said = promote("dev", "prd")
assert status == 404 and "did you mean 'prod'" in json.dumps(said), said
status, said = promote("1.0.00")
assert status == 404 and "1.0.0" in json.dumps(said), said
data = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": put_blob(b"{}", "root") | {"mediaType": "a/b"}, "layers": []}).encode()
status, said = ask("PUT", f"/v2/{NAME}/manifests/prod", data, "root", MANIFEST)
assert status == 409 and b"ingot promote" in said, (status, said)
status, said = ask("DELETE", f"/v2/{NAME}/manifests/prod", None, "root")
assert status in (405, 409), (status, said)


def back(user="otto", **more):
    status, said = ask("POST", f"/api/v1/{NAME}/rollback/prod", more, user)
    return status, json.loads(said)


status, said = back(reason="it smokes")
assert status == 200 and said["moved"] and said["digest"] == three[0], said
status, said = back(to="1.0.0")
assert status == 200 and said["digest"] == one[0], said
status, said = back(to="0.9.0")
assert status == 400 and "never named" in json.dumps(said), said
status, said = ask("GET", f"/api/v1/{NAME}/log?channel=prod", None, "rita")
log = json.loads(said)
assert [e["how"] for e in log] == ["rollback", "rollback", "promote", "promote"], log
assert [e["forced"] for e in log] == [False, False, False, True], log
assert log[3]["by"] == "root" and log[3]["reason"] == "the building burns" and log[1]["reason"] == "it smokes", log
status, said = ask("GET", f"/api/v1/{NAME}/channels", None, "rita")
channels = {e["channel"]: e for e in json.loads(said)}
assert channels["prod"]["version"] == "1.0.0" and channels["prod"]["digest"] == one[0] and channels["prod"]["by"] == "otto", channels
ok("one of two wins, a plain push is refused, force is marked, and a rollback goes back")

status, said = ask("GET", f"/api/v1/{NAME}/log?n=1000", None, "rita")
open(f"{FOLDER}/moves.json", "wb").write(said)
