"""What a power cut leaves of a folder that was written through tests/faults/lossy.c.

Of each file the bytes that were flushed are there; of what was written since, any sector or none. Of each folder the names
that were flushed are there; of what was made, renamed or removed since, any part or none.
"""
import os
import shutil

SECTOR = 512


class Disk:
    def __init__(self, library, data, disk, random):
        self.data, self.disk, self.random = data, disk, random
        self.environment = dict(os.environ, LD_PRELOAD=library, LOSSY_DATA=data, LOSSY_DISK=disk)

    def begin(self):
        """All that is there now has been flushed."""
        shutil.rmtree(self.disk, ignore_errors=True)
        os.makedirs(self.disk + "/files")
        os.makedirs(self.disk + "/folders")
        for folder, _, files in os.walk(self.data):
            for name in files:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    shutil.copyfile(path, f"{self.disk}/files/{os.stat(path).st_ino}")
            with open(f"{self.disk}/folders/{self.name(folder)}", "w") as out:
                out.writelines(f"{inode} {name}\n" for name, inode in self.names(folder).items())

    def name(self, folder):
        return folder[len(self.data) :].replace("/", "%") or "%"

    @staticmethod
    def names(folder):
        return {one.name: one.inode() for one in os.scandir(folder) if one.is_file(follow_symlinks=False)}

    def flushed_names(self, folder):
        try:
            with open(f"{self.disk}/folders/{self.name(folder)}") as lines:
                pairs = [line.rstrip("\n").split(" ", 1) for line in lines]
        except FileNotFoundError:
            return {}
        return {name: int(inode) for inode, name in pairs if not os.path.isdir(os.path.join(folder, name))}

    @staticmethod
    def read(path):
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError:
            return None

    def content(self, inode, now):
        old = self.read(f"{self.disk}/files/{inode}") or b""
        if now is None or now == old:
            return old
        kind = self.random.random()
        if kind < 0.6:
            return old if kind < 0.4 else now
        parts = []
        for at in range(0, max(len(old), len(now)), SECTOR):
            mine, other = old[at : at + SECTOR], now[at : at + SECTOR]
            parts.append(self.random.choice((mine, other)) if mine and other else (other or mine))
        return b"".join(parts)[: self.random.choice((len(old), len(now)))]

    def cut(self):
        """Replaces the folder by what is left of it."""
        left = self.data + ".left"
        shutil.rmtree(left, ignore_errors=True)
        for folder, _, _ in os.walk(self.data):
            target = left + folder[len(self.data) :]
            os.makedirs(target)
            flushed, now = self.flushed_names(folder), self.names(folder)
            current = {inode: os.path.join(folder, name) for name, inode in now.items()}
            for name in sorted(set(flushed) | set(now)):
                if name.endswith("-shm") or name == "control.sock":
                    continue
                inode = self.random.choice((flushed.get(name), now.get(name)))
                if inode is not None:
                    path = current.get(inode)
                    with open(os.path.join(target, name), "wb") as out:
                        out.write(self.content(inode, self.read(path) if path else None))
        shutil.rmtree(self.data)
        os.rename(left, self.data)
        self.begin()
