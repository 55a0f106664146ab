"""Signatures by certificates for identities, made with the openssl command alone:
keyless.py world FOLDER: an authority, a log of signatures and one that tells the time, and their trusted root;
keyless.py sign FOLDER DIGEST WHO ISSUER [stamped|unproved]: prints a bundle about that image."""
import base64, datetime, hashlib, json, os, subprocess, sys

PAST = int(datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.timezone.utc).timestamp())
TYPE = "application/vnd.in-toto+json"
CONFIG = """
[ca]
default_ca = own
[own]
database = index
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[stamper]
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[tsa]
default_tsa = clock
[clock]
serial = serial
signer_cert = clock.pem
signer_key = clock.key
signer_digest = sha256
default_policy = 1.2.3
digests = sha256
"""


def openssl(*arguments, given=b""):
    return subprocess.run(["openssl", *arguments], input=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          check=True).stdout


def text(data):
    return base64.b64encode(data).decode()


def new_key(name):
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", f"{name}.key")


def public(name):
    return openssl("pkey", "-in", f"{name}.key", "-pubout", "-outform", "DER")


def sign(name, data):
    return openssl("dgst", "-sha256", "-sign", f"{name}.key", given=data)


def certify(name, extensions, start, seconds, signer=("-selfsign",)):
    """name.pem: of name.key, by the authority, good for so long."""
    when = [datetime.datetime.fromtimestamp(t, datetime.timezone.utc).strftime("%Y%m%d%H%M%SZ") for t in
            (start, start + seconds)]
    openssl("req", "-new", "-key", f"{name}.key", "-subj", f"/CN={name}", "-out", f"{name}.csr", "-config", "req")
    openssl("ca", "-batch", "-notext", "-config", "config", *extensions, "-in", f"{name}.csr", "-out", f"{name}.pem",
            "-keyfile", "authority.key", *signer, "-startdate", when[0], "-enddate", when[1])


def der(name):
    return openssl("x509", "-in", f"{name}.pem", "-outform", "DER")


def world():
    for path, words in ("config", CONFIG), ("req", "[req]\ndistinguished_name = dn\n[dn]\n"), ("index", ""), ("serial", "01\n"):
        with open(path, "w") as file:
            file.write(words)
    for name in "authority", "log", "clock":
        new_key(name)
    certify("authority", ("-extensions", "authority"), PAST - 3600, 30 * 365 * 86400)
    certify("clock", ("-extensions", "stamper"), PAST - 3600, 29 * 365 * 86400, ("-cert", "authority.pem"))
    valid = {"start": "2024-05-01T11:00:00Z"}
    log = {"publicKey": {"rawBytes": text(public("log")), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": valid},
           "logId": {"keyId": text(hashlib.sha256(public("log")).digest())}}
    chain = lambda *names: {"certChain": {"certificates": [{"rawBytes": text(der(n))} for n in names]}, "validFor": valid}
    root = {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "tlogs": [log], "ctlogs": [],
            "certificateAuthorities": [chain("authority")], "timestampAuthorities": [chain("clock", "authority")]}
    for path, logs in ("root.json", [log]), ("unlogged.json", []):
        with open(path, "w") as file:
            json.dump(root | {"tlogs": logs}, file)


def entry(digest, signature):
    """The log's word that it has noted the signature at PAST."""
    with open("signer.pem", "rb") as file:
        pem = text(file.read())
    body = json.dumps({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
        "data": {"hash": {"algorithm": "sha256", "value": digest}},
        "signature": {"content": text(signature), "publicKey": {"content": pem}}}}).encode()
    log = hashlib.sha256(public("log")).digest()
    promise = {"body": text(body), "integratedTime": PAST, "logID": log.hex(), "logIndex": 7}
    noted = sign("log", json.dumps(promise, sort_keys=True, separators=(",", ":")).encode())
    return {"logIndex": "7", "logId": {"keyId": text(log)}, "kindVersion": {"kind": "hashedrekord", "version": "0.0.1"},
            "integratedTime": str(PAST), "inclusionPromise": {"signedEntryTimestamp": text(noted)},
            "canonicalizedBody": text(body)}


def stamp(signature):
    with open("signed", "wb") as file:
        file.write(signature)
    openssl("ts", "-query", "-data", "signed", "-sha256", "-cert", "-out", "query")
    return openssl("ts", "-reply", "-config", "config", "-queryfile", "query")


def bundle(image, who, issuer, proof):
    """By a certificate that expired long ago, or, where its time is stamped, of today."""
    name = ("URI:" if "://" in who else "email:") + who
    with open("extensions", "w") as file:
        file.write(f"keyUsage = critical,digitalSignature\nextendedKeyUsage = codeSigning\n"
                   f"subjectAltName = critical,{name}\n1.3.6.1.4.1.57264.1.8 = ASN1:UTF8String:{issuer}\n")
    start = int(datetime.datetime.now().timestamp()) - 60 if proof == "stamped" else PAST - 60
    new_key("signer")
    certify("signer", ("-extfile", "extensions"), start, 600, ("-cert", "authority.pem"))
    statement = json.dumps({"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": image[7:]}}],
                            "predicateType": "https://sigstore.dev/cosign/sign/v1", "predicate": {}}).encode()
    pae = b"DSSEv1 %d %s %d " % (len(TYPE), TYPE.encode(), len(statement)) + statement
    signature = sign("signer", pae)
    material = {"certificate": {"rawBytes": text(der("signer"))}, "tlogEntries": []}
    if proof == "logged":
        material["tlogEntries"] = [entry(hashlib.sha256(pae).hexdigest(), signature)]
    if proof == "stamped":
        material["timestampVerificationData"] = {"rfc3161Timestamps": [{"signedTimestamp": text(stamp(signature))}]}
    envelope = {"payload": text(statement), "payloadType": TYPE, "signatures": [{"sig": text(signature)}]}
    print(json.dumps({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": material,
                      "dsseEnvelope": envelope}))


verb, folder, *rest = sys.argv[1:]
os.makedirs(folder, exist_ok=True)
os.chdir(folder)
if verb == "world":
    world()
else:
    bundle(*rest[:3], rest[3] if len(rest) > 3 else "logged")
