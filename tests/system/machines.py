"""What machines.sh runs: each case is a package, and what its image must be: its disks by their bytes, buses, firmware, architecture."""
import bz2
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import time

TOP = sys.argv[1]
STORE = os.environ["INGOT_STORE"]
MIB = 1 << 20
began = time.monotonic()


def ok(what):
    global began
    print(f"ok: {what} ({time.monotonic() - began:.0f} s)", flush=True)
    began = time.monotonic()


def fail(what):
    print(f"FAILED: {what}", file=sys.stderr)
    sys.exit(1)


def run(*argv):
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


# --- disks: a, b and c, of different sizes and bytes, in every format ---
def content(name, size):
    block = b"".join(hashlib.sha256(f"{name} {i}".encode()).digest() for i in range(8192))
    block = block[:1080] + b"\x53\xef" + block[1082:]  # as a file system begins
    return block + bytes(size - 2 * len(block)) + block


RAW = {"a": content("a", 4 * MIB), "b": content("b", 3 * MIB), "c": content("c", 2 * MIB)}
made = {}


def disk(name, form, *options):
    """The bytes of a disk's file in a format of qemu-img's."""
    key = (name, form, options)
    if form == "raw":
        return RAW[name]
    if key not in made:
        source, target = f"{TOP}/{name}.raw", f"{TOP}/{name}.{form}"
        with open(source, "wb") as out:
            out.write(RAW[name])
        run("qemu-img", "convert", "-f", "raw", "-O", form, *options, source, target)
        with open(target, "rb") as file:
            made[key] = file.read()
    return made[key]


def vmdk(name):
    return disk(name, "vmdk", "-o", "subformat=streamOptimized")


# --- packages ---
def tar(path, files, mode="w"):
    with tarfile.open(path, mode, format=tarfile.GNU_FORMAT) as out:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))


def folder(path, files):
    for name, data in files.items():
        os.makedirs(os.path.dirname(f"{path}/{name}") or path, exist_ok=True)
        with open(f"{path}/{name}", "wb") as out:
            out.write(data)


def pack(*paths):
    return subprocess.run(["ingot", "pack", *paths, "team/machine:1.0.0"], capture_output=True, text=True)


def blob(digest):
    with open(f"{STORE}/blobs/{digest.replace(':', '/')}", "rb") as file:
        return file.read()


def check(what, paths, disks, buses=None, **wanted):
    """Packs it, and compares the image with what it must be. Returns its digest and what was said."""
    done = pack(*paths)
    if done.returncode != 0:
        fail(f"{what}: {done.stderr}")
    digest = done.stdout.split()[-1]
    manifest = json.loads(blob(digest))
    config = json.loads(blob(manifest["config"]["digest"]))
    if len(manifest["layers"]) != 2 * len(disks):
        fail(f"{what}: {len(manifest['layers'])} layers for {len(disks)} disks")
    for number, name in enumerate(disks):
        layer = manifest["layers"][2 * number + 1]["digest"]
        raw = subprocess.run(["zstd", "-dc"], input=blob(layer), capture_output=True, check=True).stdout
        if raw != (bytes(name) if isinstance(name, int) else RAW[name]):
            fail(f"{what}: disk {number} is not {name}")
    entries = config["disks"] if len(disks) > 1 else [config["disk"]]
    found = [entry.get("bus") for entry in entries]
    if found != (buses or [None] * len(disks)):
        fail(f"{what}: by the buses {found}")
    firmware, architecture = wanted.get("firmware"), wanted.get("architecture", "amd64")
    if config.get("firmware") != (firmware and [firmware]) or config["architecture"] != architecture:
        fail(f"{what}: {config.get('firmware')}, {config['architecture']}")
    if config.get("vagrant") != wanted.get("vagrant"):
        fail(f"{what}: {config.get('vagrant')}")
    if os.listdir(os.environ["TMPDIR"]):
        fail(f"{what}: left {os.listdir(os.environ['TMPDIR'])}")
    return digest, done.stderr


def refused(what, paths, *words):
    done = pack(*paths)
    if done.returncode != 2:
        fail(f"{what}: status {done.returncode}: {done.stderr}")
    for word in words:
        if word not in done.stderr:
            fail(f"{what}: '{word}' is not in: {done.stderr}")
    if os.listdir(os.environ["TMPDIR"]):
        fail(f"{what}: left {os.listdir(os.environ['TMPDIR'])}")


# --- descriptors, after the shape in which each exporter writes them ---
OVF = "http://schemas.dmtf.org/ovf/envelope/1"
RASD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"


def item(tag="Item", ns="rasd", **values):
    fields = "".join(f"<{ns}:{name}>{value}</{ns}:{name}>" for name, value in values.items())
    return f"<{tag}>{fields}</{tag}>"


def drive(resource, parent, unit, **more):
    return item(AddressOnParent=unit, ElementName="disk", HostResource=resource, InstanceID=f"9{parent}{unit}", Parent=parent, ResourceType=17, **more)


def envelope(files, disks, hardware, system="", machine="", space=OVF, version="", collection=False):
    text = "".join(f"<File {one}/>" for one in files)
    described = "".join(f"<Disk {one}/>" for one in disks)
    inner = f'<VirtualSystem ovf:id="web"><Info>A machine</Info>{system}<VirtualHardwareSection><Info/>{hardware}</VirtualHardwareSection>{machine}</VirtualSystem>'
    if collection:
        inner = f'<VirtualSystemCollection ovf:id="app"><Info/>{inner}</VirtualSystemCollection>'
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<Envelope {version} xmlns="{space}" xmlns:ovf="{space}" xmlns:rasd="{RASD}" '
            f'xmlns:vmw="http://www.vmware.com/schema/ovf" xmlns:vbox="http://www.virtualbox.org/ovf/machine">'
            f'<References>{text}</References><DiskSection><Info/>{described}</DiskSection>{inner}</Envelope>').encode()


SCSI = item(Address=0, InstanceID=3, ResourceSubType="lsilogic", ResourceType=6)
IDE = item(Address=0, InstanceID=4, ResourceSubType="PIIX4", ResourceType=5)
AHCI = item(Address=0, InstanceID=5, ResourceSubType="AHCI", ResourceType=20)
NVME = item(Address=0, InstanceID=6, ResourceSubType="vmware.nvme.controller", ResourceType=20)
VIRTIO = item(Address=0, InstanceID=7, ResourceSubType="VirtioSCSI", ResourceType=20)
EFI = '<vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>'
SIZES = {name: len(data) for name, data in RAW.items()}


def refs(*names, suffix="vmdk"):
    return [f'ovf:id="file-{name}" ovf:href="{name}.{suffix}"' for name in names]


def listed(*names, more=""):
    return [f'ovf:capacity="{SIZES[name]}" ovf:diskId="disk-{name}" ovf:fileRef="file-{name}" {more}' for name in names]


def vmdks(*names):
    return {f"{name}.vmdk": vmdk(name) for name in names}


def ova(name, text, files):
    tar(f"{TOP}/{name}.ova", {"web.ovf": text, **files})
    return [f"{TOP}/{name}.ova"]


def cut(name, data, size):
    """Chunks of a file as OVF calls them."""
    return {f"{name}.{i:09}": data[i * size:(i + 1) * size] for i in range((len(data) + size - 1) // size)}


def dialects():
    """(what, paths, disks, buses, more) of packages that are taken."""
    two = (refs("a", "b"), listed("a", "b"))
    yield ("VirtualBox, SATA", ova("vbox", envelope(*two, AHCI + drive("/disk/disk-a", 5, 0) + drive("/disk/disk-b", 5, 1), version='ovf:version="1.0"'), vmdks("a", "b")),
           "ab", None, {})
    yield ("VirtualBox, OVF 2.0, EFI",
           ova("vbox2", envelope(refs("a"), listed("a"), AHCI + item("StorageItem", "sasd", HostResource="/disk/disk-a", Parent=5, ResourceType=17),
                                 machine='<vbox:Machine OSType="Debian_64"><Hardware><Firmware type="EFI"/></Hardware></vbox:Machine>',
                                 space="http://schemas.dmtf.org/ovf/envelope/2", version='ovf:version="2.0"'), vmdks("a")), "a", None, {"firmware": "uefi"})
    yield ("VirtualBox on ARM",
           ova("vboxarm", envelope(refs("a"), listed("a"), VIRTIO + drive("/disk/disk-a", 7, 0),
                                   system='<OperatingSystemSection ovf:id="96"><vbox:OSType>Debian_arm64</vbox:OSType></OperatingSystemSection>',
                                   machine='<vbox:Machine OSType="Debian_arm64"><Platform architecture="ARM"/></vbox:Machine>'), vmdks("a")),
           "a", ["virtio"], {"firmware": "uefi", "architecture": "arm64"})
    yield ("ovftool, a disk on IDE listed first",
           ova("ovftool", envelope(refs("a", "b", "c"), listed("b", "c", "a"),
                                   SCSI + IDE + NVME + drive("ovf:/disk/disk-a", 3, 0) + drive("ovf:/disk/disk-c", 6, 0) + drive("ovf:/disk/disk-b", 4, 1) + EFI), vmdks("a", "b", "c")),
           "acb", ["scsi", "nvme", "ide"], {"firmware": "uefi"})
    yield ("ovftool, units out of order",
           ova("units", envelope(*two, SCSI + drive("ovf:/disk/disk-b", 3, 10) + drive("ovf:/disk/disk-a", 3, 2)), vmdks("a", "b")), "ab", ["scsi", "scsi"], {})
    yield ("a vApp of one machine", ova("vapp", envelope(*two, "", collection=True), vmdks("a", "b")), "ab", None, {})
    yield ("virt-v2v's, in folders of the archive",
           (tar(f"{TOP}/v2v.ova", {"sub/web.ovf": envelope(*two, ""), "sub/a.vmdk": vmdk("a"), "sub/b.vmdk": vmdk("b"), "sub/._web.ovf": b"x", "other/x.nvram": b""}),
            [f"{TOP}/v2v.ova"])[1], "ab", None, {})
    yield ("oVirt's, files without suffix, sizes in GiB",
           ova("ovirt", envelope(['ovf:id="v1" ovf:href="g/v1"', 'ovf:id="v2" ovf:href="g/v2"'],
                                 [f'ovf:capacity="1" ovf:capacityAllocationUnits="byte * 2^30" ovf:diskId="{v}" ovf:fileRef="{v}" ovf:parentRef="" ovf:volume-format="{f}" ovf:disk-interface="VirtIO"'
                                  for v, f in (("v1", "COW"), ("v2", "RAW"))],
                                 item(HostResource="g/v1", InstanceId="v1", ResourceType=17) + item(HostResource="g/v2", InstanceId="v2", ResourceType=17)),
               {"g/v1": disk("a", "qcow2"), "g/v2": RAW["b"]}), "ab", None, {})
    yield ("Nutanix's, qcow2",
           ova("nutanix", envelope([f'ovf:id="{n}" ovf:href="{n}.qcow2" ovf:size="1"' for n in "ab"],
                                   [f'ovf:capacity="{SIZES[n] // 512}" ovf:capacityAllocationUnits="byte * 512" ovf:diskId="d{n}" ovf:fileRef="{n}"' for n in "ab"],
                                   SCSI + drive("ovf:/disk/da", 3, 0) + drive("ovf:/disk/db", 3, 1)), {f"{n}.qcow2": disk(n, "qcow2") for n in "ab"}), "ab", ["scsi", "scsi"], {})
    yield ("XenServer's, VHDs",
           ova("xen", envelope(refs("a", "b", suffix="vhd"), listed("a", "b", more='ovf:format="http://technet.microsoft.com/en-us/library/bb676673.aspx"'),
                               item(InstanceID="x1", HostResource="ovf:/disk/disk-a", ResourceType=17, Connection="device=0") +
                               item(InstanceID="x2", HostResource="ovf:/disk/disk-b", ResourceType=17, Connection="device=1") +
                               item(InstanceID="x3", HostResource="ovf:/file/tools", ResourceType=15)),
               {f"{n}.vhd": disk(n, "vpc", "-o", "subformat=dynamic,force_size=on") for n in "ab"}), "ab", None, {})
    yield ("AWS's, one disk on IDE", ova("aws", envelope(refs("a"), listed("a"), IDE + drive("ovf:/disk/disk-a", 4, 0)), vmdks("a")), "a", ["ide"], {})
    yield ("a property's capacity",
           ova("property", envelope(refs("a"), ['ovf:capacity="${disk.size}" ovf:capacityAllocationUnits="byte * 2^20" ovf:diskId="d" ovf:fileRef="file-a"'], "",
                                    machine='<ProductSection ovf:class="disk"><Info/><Property ovf:key="size" ovf:type="uint32" ovf:value="4"/></ProductSection>'), vmdks("a")), "a", None, {})
    yield ("an empty disk beside another",
           ova("empty", envelope(refs("a"), [*listed("a"), 'ovf:capacity="5" ovf:capacityAllocationUnits="byte * 2^20" ovf:diskId="disk-e"'],
                                 SCSI + drive("ovf:/disk/disk-a", 3, 0) + drive("ovf:/disk/disk-e", 3, 1)), vmdks("a")), ["a", 5 * MIB], ["scsi", "scsi"], {})
    yield ("files that are not there but no disk's", ova("nvram", envelope([*refs("a"), 'ovf:id="n" ovf:href="web.nvram"', 'ovf:id="i" ovf:href="x.iso"'], listed("a"), ""), vmdks("a")),
           "a", None, {})
    yield ("compressed with gzip", ova("gzip", envelope(['ovf:id="file-a" ovf:href="a.vmdk.gz" ovf:compression="gzip"'], listed("a"), ""), {"a.vmdk.gz": gzip.compress(vmdk("a"))}), "a", None, {})
    yield ("compressed with bzip2, in a compressed archive",
           (tar(f"{TOP}/bzip2.ova", {"web.ovf": envelope(['ovf:id="file-a" ovf:href="a.img" ovf:compression="bzip2"'], listed("a"), ""), "a.img": bz2.compress(RAW["a"])}, "w:gz"),
            [f"{TOP}/bzip2.ova"])[1], "a", None, {})
    yield ("cut into chunks", ova("chunks", envelope(['ovf:id="file-b" ovf:href="b.vmdk" ovf:chunkSize="7000"'], listed("b"), ""), cut("b.vmdk", vmdk("b"), 7000)), "b", None, {})
    yield ("compressed and cut into chunks",
           ova("both", envelope(['ovf:id="file-c" ovf:href="c.img" ovf:chunkSize="50000" ovf:compression="gzip"'], listed("c"), ""),
               cut("c.img", gzip.compress(RAW["c"]), 50000)), "c", None, {})


for what, paths, disks, buses, more in dialects():
    check(what, paths, disks, buses, **more)
ok("OVAs in the ways in which their exporters write them give their machine's disks, in its order, with its firmware and processor")

# --- as folders, and as a descriptor beside its files ---
text = envelope(refs("a", "b"), listed("a", "b"), SCSI + drive("ovf:/disk/disk-a", 3, 0) + drive("ovf:/disk/disk-b", 3, 1))
files = {"web.ovf": text, **vmdks("a", "b")}
files["web.mf"] = "".join(f"SHA256({name})= {hashlib.sha256(data).hexdigest()}\n" for name, data in files.items()).encode()
folder(f"{TOP}/lying", files)
tar(f"{TOP}/lying.ova", files)
digest, _ = check("an OVA", [f"{TOP}/lying.ova"], "ab", ["scsi", "scsi"])
for path in f"{TOP}/lying", f"{TOP}/lying/", f"{TOP}/lying/web.ovf":
    if check(path, [path], "ab", ["scsi", "scsi"])[0] != digest:
        fail(f"{path} gives another image than the archive of it")
with open(f"{TOP}/lying/b.vmdk", "r+b") as out:
    out.write(b"KDMX")
refused("a changed file in a folder", [f"{TOP}/lying"], "lying", "b.vmdk", "its manifest says")
refused("a changed file beside its descriptor", [f"{TOP}/lying/web.ovf"], "web.ovf", "b.vmdk", "its manifest says")
os.unlink(f"{TOP}/lying/b.vmdk")
refused("a missing file beside its descriptor", [f"{TOP}/lying/web.ovf"], "b.vmdk", "not in the folder")
os.symlink("/etc/passwd", f"{TOP}/lying/b.vmdk")
refused("a link beside its descriptor", [f"{TOP}/lying/web.ovf"], "b.vmdk", "a link or a device")
refused("a link in a folder", [f"{TOP}/lying"], "b.vmdk", "a link or a device")
folder(f"{TOP}/through", {"web.ovf": envelope(['ovf:id="file-a" ovf:href="up/a.vmdk"'], listed("a"), "")})
os.symlink(f"{TOP}/through", f"{TOP}/through/up")
refused("a link in a path", [f"{TOP}/through/web.ovf"], "up/a.vmdk", "not in the folder")
folder(f"{TOP}/vmx", {"web.vmx": b'.encoding = "UTF-8"\nscsi0:0.fileName = "web.vmdk"\nscsi0:1.fileName = "b.vmdk"\nfirmware = "efi"\n'})
for name in "a", "b":
    run("qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=twoGbMaxExtentFlat", f"{TOP}/{name}.raw", f"{TOP}/vmx/{'web' if name == 'a' else name}.vmdk")
check("a folder of VMware's", [f"{TOP}/vmx"], "ab", ["scsi", "scsi"], firmware="uefi")
check("a *.vmx beside its disks", [f"{TOP}/vmx/web.vmx"], "ab", ["scsi", "scsi"], firmware="uefi")
folder(f"{TOP}/letters", {"web.vmx": '.encoding = "windows-1252"\nscsi0:0.fileName = "Büro.vmdk"\nscsi0:1.fileName = "data.vmdk"\n'.encode("cp1252"), "Büro.vmdk": vmdk("a"), "data.vmdk": vmdk("b")})
check("a *.vmx in the letters of Windows", [f"{TOP}/letters"], "ab", ["scsi", "scsi"])
folder(f"{TOP}/unread", {"web.vmx": 'scsi0:0.fileName = "Büro.vmdk"\nscsi0:1.fileName = "data.vmdk"\n'.encode("cp1252"), "Büro.vmdk": vmdk("a"), "data.vmdk": vmdk("b")})
refused("a *.vmx in letters that it does not tell", [f"{TOP}/unread"], "web.vmx: line 1", ".encoding")
folder(f"{TOP}/none", {"readme.txt": b""})
refused("a folder of nothing", [f"{TOP}/none"], "none", "readme.txt", "neither")
ok("a folder, or a descriptor beside its files, is taken as the archive of it; its manifest is checked, and no link is followed")

# --- boxes ---
XML = '<?xml version="1.0" encoding="UTF-16"?><configuration><properties><subtype type="integer">{}</subtype></properties>{}</configuration>'
SECOND_FIRST = ('<scsi ChannelInstanceGuid="x"><controller0><drive0><pathname>C:\\x\\Virtual Hard Disks\\z.vhdx</pathname><type>VHD</type></drive0>'
                '<drive1><pathname>C:\\x\\Virtual Hard Disks\\d.vhdx</pathname><type>VHD</type></drive1></controller0></scsi>')
VAGRANTFILE = 'Vagrant.configure("2") { |config| config.ssh.username = "core" }\n'
both = (refs("a", "b"), listed("a", "b"), SCSI + drive("ovf:/disk/disk-a", 3, 0) + drive("ovf:/disk/disk-b", 3, 1))


def hyperv(generation, disks=("z", "d"), suffix="vhdx"):
    files = {f"Virtual Hard Disks/{name}.{suffix}": disk(source, "vhdx" if suffix == "vhdx" else "vpc", "-o", "subformat=dynamic" + (",force_size=on" if suffix == "vhd" else ""))
             for name, source in zip(disks, "ab")}
    if generation:
        files["Virtual Machines/1234.xml"] = XML.format(generation - 1, SECOND_FIRST).encode("utf-16")
    return {**files, "Virtual Machines/1234.vmcx": b"\1\0", "Snapshots/s.avhdx": b"x"}


def boxes():
    """(what, metadata, files, disks, buses, more)"""
    yield "libvirt", {"provider": "libvirt", "virtual_size": 1}, {"box.img": disk("a", "qcow2")}, "a", None, {}
    yield "libvirt, a size in words", {"provider": "libvirt", "virtual_size": "0.5"}, {"box.img": disk("a", "qcow2")}, "a", None, {}
    yield ("libvirt, disks of several formats", {"provider": "libvirt", "format": "qcow2", "disks": [{"path": "box_1.img"}, {"path": "box_0.img", "format": "raw"}]},
           {"box_0.img": RAW["b"], "box_1.img": disk("a", "qcow2")}, "ab", None, {})
    yield ("libvirt on arm64", {"provider": "libvirt", "architecture": "arm64"}, {"box.img": disk("a", "qcow2")}, "a", None, {"architecture": "arm64", "firmware": "uefi"})
    yield ("libvirt with a loader", {"provider": "libvirt"}, {"box.img": disk("a", "qcow2"), "Vagrantfile": b'lv.loader = "/usr/share/OVMF/OVMF_CODE.fd"\n'}, "a", None,
           {"firmware": "uefi", "vagrant": {"provider": "libvirt", "vagrantfile": 'lv.loader = "/usr/share/OVMF/OVMF_CODE.fd"\n'}})
    yield ("qemu for x86_64", {"provider": "qemu", "architecture": "x86_64"}, {"box.img": disk("a", "qcow2")}, "a", None, {})
    yield ("VirtualBox", {"provider": "virtualbox"},
           {"box.ovf": envelope(*both), **vmdks("a", "b"), "Vagrantfile": VAGRANTFILE.encode(), "info.json": b'{"Author": "us"}', "nvram": b"x"}, "ab", ["scsi", "scsi"],
           {"vagrant": {"provider": "virtualbox", "vagrantfile": VAGRANTFILE, "info": {"Author": "us"}}})
    yield ("VMware", {"provider": "vmware_fusion", "architecture": "aarch64"},
           {"web.vmx": b'nvme0:1.fileName = "b.vmdk"\nnvme0:0.fileName = "a.vmdk"\nguestOS = "arm-debian12-64"\n', **vmdks("a", "b"), "Vagrantfile": VAGRANTFILE.encode()}, "ab", ["nvme", "nvme"],
           {"architecture": "arm64", "firmware": "uefi", "vagrant": {"provider": "vmware_desktop", "vagrantfile": VAGRANTFILE}})
    yield "Hyper-V, generation 2", {"provider": "hyperv"}, hyperv(2), "ab", None, {"firmware": "uefi"}
    yield "Hyper-V, generation 1", {"provider": "hyperv"}, hyperv(1), "ab", None, {}
    yield "Hyper-V without XML, by names", {"provider": "hyperv"}, hyperv(0, ("d", "z")), "ab", None, {}
    drives = "".join(f"<dict><key>ImageName</key><string>{name}</string><key>ImageType</key><string>{kind}</string><key>Interface</key><string>{bus}</string></dict>"
                     for name, kind, bus in (("b.qcow2", "Disk", "NVMe"), ("tools.iso", "CD", "USB"), ("a.qcow2", "Disk", "VirtIO")))
    plist = ('<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">'
             f'<plist version="1.0"><dict><key>Drive</key><array>{drives}</array><key>QEMU</key><dict><key>UEFIBoot</key><true/></dict>'
             '<key>System</key><dict><key>Architecture</key><string>aarch64</string></dict></dict></plist>')
    yield ("UTM", {"provider": "utm"}, {"box.utm/config.plist": plist.encode(), **{f"box.utm/Data/{n}.qcow2": disk(n, "qcow2") for n in "ab"}, "box.utm/Data/efi_vars.fd": b"x"},
           "ba", ["nvme", "virtio"], {"architecture": "arm64", "firmware": "uefi"})
    yield "Hyper-V, VHD", {"provider": "hyperv"}, hyperv(0, ("d", "z"), "vhd"), "ab", None, {}


for number, (what, metadata, members, disks, buses, more) in enumerate(boxes()):
    everything = {"metadata.json": json.dumps(metadata).encode(), **members}
    path = f"{TOP}/{number}.box"
    tar(path, everything, ["w", "w:gz", "w:bz2"][number % 3])
    check(what, [path], disks, buses, **more)
tar(f"{TOP}/deep.box", {f"web/{name}": data for name, data in {"metadata.json": b'{"provider": "libvirt"}', "box.img": disk("a", "qcow2")}.items()})
check("a box in one folder", [f"{TOP}/deep.box"], "a")
folder(f"{TOP}/exported", hyperv(2))
check("a folder that Hyper-V exported", [f"{TOP}/exported"], "ab", firmware="uefi")
ok("boxes of every provider give all their disks, with firmware, architecture and Vagrantfile")

# --- disks one after another ---
for name in "a", "b", "c":
    disk(name, "qcow2")
one, _ = check("three disks", [f"{TOP}/a.raw", f"{TOP}/b.qcow2", f"{TOP}/c.raw"], "abc")
if check("the same again", [f"{TOP}/a.qcow2", f"{TOP}/b.raw", f"{TOP}/c.qcow2"], "abc")[0] != one:
    fail("equal disks give another image")
check("a disk twice", [f"{TOP}/a.raw", f"{TOP}/a.raw"], "aa")
check("a machine and a disk", [f"{TOP}/lying.ova", f"{TOP}/c.raw"], "abc", ["scsi", "scsi", None])
check("a disk and a machine", [f"{TOP}/c.raw", f"{TOP}/lying.ova"], "cab", [None, "scsi", "scsi"])
refused("two machines", [f"{TOP}/lying.ova", f"{TOP}/vbox.ova"], "vbox.ova", "second machine")
refused("too many disks", [f"{TOP}/a.raw"] * 65, "65 disks", "64")
done = subprocess.run(["ingot", "pack", f"{TOP}/a.raw", f"{TOP}/b.raw", "--sha256", "0" * 64, "team/machine:1.0.0"], capture_output=True, text=True)
if done.returncode != 2 or "--sha256" not in done.stderr:
    fail(f"--sha256 with two disks: {done.stderr}")
done = subprocess.run(["ingot", "pack", f"{TOP}/vmx", "--sha256", "0" * 64, "team/machine:1.0.0"], capture_output=True, text=True)
if done.returncode != 2 or "vmx" not in done.stderr:
    fail(f"--sha256 of a folder: {done.stderr}")
with open(f"{TOP}/lying/web.ovf", "rb") as file:
    digest = hashlib.sha256(file.read()).hexdigest()
os.unlink(f"{TOP}/lying/b.vmdk")
folder(f"{TOP}/lying", files)
done = subprocess.run(["ingot", "pack", f"{TOP}/lying/web.ovf", "--sha256", digest, "team/machine:1.0.0"], capture_output=True, text=True)
if done.returncode != 2 or "one digest" not in done.stderr:
    fail(f"--sha256 of a descriptor beside its files: {done.stderr}")
ok("disks one after another are one image's, in that order, a machine's among them")

# --- what the disk itself tells ---
def partitioned(name, table, bits, program, *more):
    """A disk with an EFI system partition, a FAT of so many bits, in which one program lies."""
    path = f"{TOP}/{name}.raw"
    with open(path, "wb") as out:
        out.truncate(40 * MIB)
    lines = [f"label: {table}", f"start=2048, size=67584, type={'U' if table == 'gpt' else 'ef'}", *more]
    subprocess.run(["sfdisk", "-q", path], input="\n".join(lines) + "\n", text=True, check=True, stdout=subprocess.DEVNULL)
    fat = f"{TOP}/fat"
    with open(fat, "wb") as out:
        out.truncate(33 * MIB)
    run("mkfs.vfat", "-F", bits, *(["-s", "32"] if bits == "12" else []), fat)
    run("mmd", "-i", fat, "::/EFI", "::/EFI/BOOT")
    if program:
        with open(f"{TOP}/{program}", "wb") as out:
            out.write(b"MZ")
        run("mcopy", "-i", fat, f"{TOP}/{program}", f"::/EFI/BOOT/{program}")
    run("dd", f"if={fat}", f"of={path}", "bs=1M", "seek=1", "conv=notrunc,sparse", "status=none")
    with open(path, "rb") as file:
        RAW[name] = file.read()
    return [path]


BIOS_BOOT = "size=2048, type=21686148-6449-6E6F-744E-656564454649"
check("GPT, amd64", partitioned("gpt", "gpt", "16", "BOOTX64.EFI"), ["gpt"], firmware="uefi")
check("GPT, arm64", partitioned("arm", "gpt", "32", "BOOTAA64.EFI"), ["arm"], firmware="uefi", architecture="arm64")
check("GPT, riscv64", partitioned("riscv", "gpt", "32", "BOOTRISCV64.EFI"), ["riscv"], firmware="uefi", architecture="riscv64")
check("GPT, both ways", partitioned("hybrid", "gpt", "16", "BOOTX64.EFI", BIOS_BOOT), ["hybrid"])
check("GPT, no program", partitioned("bare", "gpt", "16", None), ["bare"])
check("MBR, arm64", partitioned("mbr", "dos", "12", "bootaa64.efi"), ["mbr"], firmware="uefi", architecture="arm64")
# Whatever its file is; some formats are read by whole sectors alone.
for form in "qcow2", "vmdk", "vhdx", "vdi":
    file = f"{TOP}/arm.{form}"
    run("qemu-img", "convert", "-f", "raw", "-O", form, f"{TOP}/arm.raw", file)
    check(f"arm64 as {form}", [file], ["arm"], firmware="uefi", architecture="arm64")
# What the machine says counts more.
tar(f"{TOP}/said.box", {"metadata.json": b'{"provider": "libvirt", "format": "raw", "architecture": "riscv64"}', "box.img": RAW["arm"]}, "w:gz")
check("a box that says otherwise", [f"{TOP}/said.box"], ["arm"], firmware="uefi", architecture="riscv64")
ok("where nothing tells, the EFI system partition does: UEFI alone, and the processor")

# --- what is refused, or left out, by name ---
HEAD = (refs("a"), listed("a"), "")
refused("OVF 0.9", ova("old", envelope(*HEAD, space="http://www.vmware.com/schema/ovf/1/envelope", version='ovf:version="0.9"'), vmdks("a")), "old.ova", "web.ovf", "version 0.9")
refused("OVF 3", ova("new", envelope(*HEAD, version='ovf:version="3.0"'), vmdks("a")), "new.ova", "version '3.0'")
refused("a snapshot", ova("snapshot", envelope(*HEAD), {"a.vmdk.000000000": vmdk("a")}), "a.vmdk", "snapshots")
pieces = cut("b.vmdk", vmdk("b"), 7000)
some = {name: data for name, data in pieces.items() if not name.endswith("3")}
refused("a chunk too few", ova("gap", envelope(['ovf:id="file-b" ovf:href="b.vmdk" ovf:chunkSize="7000"'], listed("b"), ""), some), "b.vmdk", "number 3 is missing")
short = {name: data[:100] if name.endswith("1") else data for name, data in pieces.items()}
refused("a chunk too short", ova("short", envelope(['ovf:id="file-b" ovf:href="b.vmdk" ovf:chunkSize="7000"'], listed("b"), ""), short), "b.vmdk.000000001", "100 bytes")
cut_b, all_b = 'ovf:id="file-b" ovf:href="b.vmdk" ovf:chunkSize="7000"', len(vmdk("b"))
most = {name: data for name, data in pieces.items() if name != max(pieces)}
refused("the last chunk missing", ova("end", envelope([f'{cut_b} ovf:size="{all_b}"'], listed("b"), ""), most), "b.vmdk", f"says {all_b}")
sums = "".join(f"SHA1({name})= {hashlib.sha1(data).hexdigest()}\n" for name, data in pieces.items()).encode()
refused("the last chunk missing, but in the manifest", ova("end2", envelope([cut_b], listed("b"), ""), {**most, "web.mf": sums}), "web.mf", max(pieces))
refused("a last chunk too long", ova("long", envelope([cut_b], listed("b"), ""), {**pieces, max(pieces): bytes(7001)}), max(pieces), "7001 bytes")
folder(f"{TOP}/gap", {"web.ovf": envelope([f'{cut_b} ovf:size="{all_b}"'], listed("b"), ""), **pieces})
check("chunks beside a descriptor", [f"{TOP}/gap/web.ovf"], "b")
spaced, escaped = cut("my b.vmdk", vmdk("b"), 7000), cut("my%20b.vmdk", vmdk("b"), 7000)
for spelling, those in ("spaced", spaced), ("escaped", escaped):
    descriptor = envelope([cut_b.replace("b.vmdk", "my%20b.vmdk")], listed("b"), "")
    check(f"chunks of an escaped name, {spelling}", ova(f"chunks-{spelling}", descriptor, those), "b")
    folder(f"{TOP}/{spelling}", {"web.ovf": descriptor, **those})
    check(f"chunks of an escaped name beside a descriptor, {spelling}", [f"{TOP}/{spelling}/web.ovf"], "b")
    gap = {name: data for name, data in those.items() if not name.endswith("3")}
    refused(f"a gap in chunks of an escaped name, {spelling}", ova(f"gap-{spelling}", descriptor, gap), "number 3 is missing")
    refused(f"a snapshot of an escaped name, {spelling}", ova(f"snapshot-{spelling}", envelope(['ovf:id="file-b" ovf:href="my%20b.vmdk"'], listed("b"), ""), {min(those): vmdk("b")}), "snapshots")
folder(f"{TOP}/gap2", {"web.ovf": envelope([cut_b], listed("b"), ""), **some})
refused("a chunk too few beside a descriptor", [f"{TOP}/gap2/web.ovf"], "b.vmdk", "number 3 is missing")
refused("an unknown compression", ova("lzma", envelope(['ovf:id="file-a" ovf:href="a.vmdk" ovf:compression="lzma"'], listed("a"), ""), vmdks("a")), "a.vmdk", "lzma")
refused("what is not compressed", ova("plain", envelope(['ovf:id="file-a" ovf:href="a.vmdk" ovf:compression="gzip"'], listed("a"), ""), vmdks("a")), "a.vmdk", "not compressed with gzip")
refused("half of what is compressed", ova("half", envelope(['ovf:id="file-a" ovf:href="a.img" ovf:compression="gzip"'], listed("a"), ""), {"a.img": gzip.compress(RAW["a"])[:90000]}), "a.img")
bomb = gzip.compress(bytes(200 * MIB))
refused("a bomb in a disk's file", ova("bomb", envelope(['ovf:id="file-a" ovf:href="a.img" ovf:compression="gzip"'], listed("a"), ""), {"a.img": bomb}), "a.img", "unpacks to more than")
refused("a bomb of no told size", ova("bomb2", envelope(['ovf:id="file-a" ovf:href="a.img" ovf:compression="gzip"'], ['ovf:diskId="d" ovf:fileRef="file-a"'], ""), {"a.img": bomb}), "a.img", "unpacks to more than")
big = f'ovf:capacity="{1 << 40}" ovf:diskId="d" ovf:fileRef="file-a"'
dense = bz2.compress(b"a" * (66 * MIB))
refused("a bomb in a disk that is said to be large", ova("bomb3", envelope(['ovf:id="file-a" ovf:href="a.img" ovf:compression="bzip2"'], [big], ""), {"a.img": dense}), "a.img", "not zeros")
RAW["wide"] = RAW["c"][:64 << 10] + bytes(96 * MIB)
check("a compressed disk of many zeros", ova("wide", envelope(['ovf:id="file-a" ovf:href="a.img" ovf:compression="bzip2"'], [big], ""), {"a.img": bz2.compress(RAW["wide"])}), ["wide"])
refused("a disk that no image holds", ova("huge", envelope(refs("a"), [big.replace(str(1 << 40), "8000000000000000000")], ""), vmdks("a")), "a.vmdk", "at most")
refused("one file as two disks", ova("same", envelope(refs("a"), [*listed("a"), f'ovf:capacity="{SIZES["a"]}" ovf:diskId="d2" ovf:fileRef="file-a"'], ""), vmdks("a")), "a.vmdk", "two disks")
refused("a parent", ova("parent", envelope(refs("a", "b"), [*listed("a"), 'ovf:diskId="d2" ovf:fileRef="file-b" ovf:parentRef="disk-a"'], ""), vmdks("a", "b")), "b.vmdk", "stands on another")
refused("a disk outside", ova("outside", envelope(['ovf:id="file-a" ovf:href="..%2Fa.vmdk"'], listed("a"), ""), vmdks("a")), "%2F")
refused("two machines in one", ova("twice", envelope(*HEAD).replace(b"</Envelope>", b'<VirtualSystem ovf:id="db"/></Envelope>'), vmdks("a")), "2 machines", "web, db")
refused("65 disks", ova("crowd", envelope(refs("a"), [*listed("a"), *(f'ovf:capacity="512" ovf:diskId="e{i}"' for i in range(64))], ""), vmdks("a")), "65 disks")
_, unused = check("a disk that no drive has", ova("unused", envelope(refs("a", "b"), listed("a", "b"), SCSI + drive("ovf:/disk/disk-b", 3, 0)), vmdks("a", "b")), "b", ["scsi"])
_, missing = check("a manifest of more files", ova("listed", envelope(*HEAD), {**vmdks("a"), "web.mf": b"SHA1(gone.nvram)= " + b"0" * 40 + b"\n"}), "a")
if "disk-a' is left out" not in unused or "names what is not there: gone.nvram" not in missing:
    fail(f"what is left out is not told: {unused}{missing}")
tar(f"{TOP}/arch.box", {"metadata.json": b'{"provider": "libvirt", "architecture": "z80"}', "box.img": disk("a", "qcow2")})
refused("an unknown architecture", [f"{TOP}/arch.box"], "z80")
tar(f"{TOP}/told.box", {"metadata.json": b'{"provider": "qemu"}', "box.img": disk("a", "qcow2"), "Vagrantfile": b'qe.arch = "z80"\n'})
refused("an unknown architecture in a Vagrantfile", [f"{TOP}/told.box"], "Vagrantfile", "z80")
tar(f"{TOP}/virtual.box", {"metadata.json": b'{"provider": "hyperv"}', **hyperv(2), "Virtual Machines/b.xml": XML.format(1, "").encode()})
refused("two machines of Hyper-V's", [f"{TOP}/virtual.box"], "several machines", "b.xml")


def exported(name, files, described=None):
    """A folder of Hyper-V's, with the XML that names those disks."""
    drives = "".join(f"<drive{i}><pathname>C:\\x\\{path}</pathname><type>VHD</type></drive{i}>" for i, path in enumerate(described or []))
    xml = {"Virtual Machines/1.xml": XML.format(0, f"<controller0>{drives}</controller0>").encode("utf-16")} if described else {}
    folder(f"{TOP}/{name}", {"Virtual Machines/1.vmcx": b"\1\0", **xml, **{f"Virtual Hard Disks/{path}": data for path, data in files.items()}})
    return [f"{TOP}/{name}"]


vhdx, vhd = disk("a", "vhdx"), disk("b", "vpc", "-o", "subformat=dynamic,force_size=on")
refused("a machine with a checkpoint", exported("checkpoint", {"web.vhdx": vhdx, "web_1.avhdx": b"x"}, ["web_1.avhdx"]), "web_1.avhdx", "Remove-VMCheckpoint")
refused("a checkpoint that no XML tells of", exported("checkpoint2", {"web.vhd": vhd, "web_1.AVHD": b"x"}), "web_1.AVHD", "Remove-VMCheckpoint")
check("a VHD and a VHDX of one machine", exported("mixed", {"a.vhdx": vhdx, "z.vhd": vhd}, ["z.vhd", "a.vhdx"]), "ba")
refused("a disk that is named and missing", exported("lacking", {"a.vhdx": vhdx, "b.vhd": vhd}, ["a.vhdx", "z.vhd"]), "z.vhd", "no file")
check("one disk by another name", exported("renamed", {"a.vhdx": vhdx}, ["old.vhdx"]), "a")
_, spare = check("a disk that the XML does not name", exported("spare", {"a.vhdx": vhdx, "b.vhd": vhd}, ["b.vhd"]), "b")
_, guessed = check("an order that nothing tells", exported("guessed", {"a.vhdx": vhdx, "b.vhd": vhd}), "ab")
if "a.vhdx' is left out" not in spare or "by their names: Virtual Hard Disks/a.vhdx, Virtual Hard Disks/b.vhd" not in guessed:
    fail(f"what is left out, or guessed, of Hyper-V's is not told: {spare}{guessed}")
folder(f"{TOP}/foreign.utm", {"x.utm/config.plist": b"<plist><dict><key>System</key><dict><key>Architecture</key><string>z80</string></dict></dict></plist>", "x.utm/Data/a.qcow2": disk("a", "qcow2")})
refused("UTM's machine of an unknown architecture", [f"{TOP}/foreign.utm"], "config.plist", "z80")
for provider in "docker", "lxc", "parallels":
    tar(f"{TOP}/{provider}.box", {"metadata.json": json.dumps({"provider": provider}).encode(), "x": b""})
    refused(f"a box for {provider}", [f"{TOP}/{provider}.box"], provider, "known are libvirt")
ok("what can't be taken is refused by name, with nothing left of it")
