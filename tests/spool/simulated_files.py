"""A simulated file system with one directory, in memory, under the calls of ``os`` that the spool makes.

A call can fail, and can end its process before it, in the middle or after it. Record locks are those of
POSIX: they belong to a process, which loses them when it closes any descriptor of the file.
"""

import errno
import os
import stat
from contextlib import contextmanager
from pathlib import PurePosixPath
from types import SimpleNamespace

from simulated import EPOCH, Ended

DIRECTORY = "/spool"
PAGE = 4096
# No real file has this device, and no real descriptor is so large.
_DEVICE = -7
_FIRST_DESCRIPTOR = 10**6

#: What each call fails with.
ERRORS = {
    "open": (errno.EACCES, errno.ENOSPC, errno.EIO, errno.EMFILE, errno.ENFILE),
    "rename": (errno.EIO, errno.EACCES, errno.ENOSPC),
    "unlink": (errno.EIO, errno.EACCES, errno.EBUSY),
    "write": (errno.EIO, errno.ENOSPC, errno.EDQUOT),
    "pwrite": (errno.EIO, errno.ENOSPC, errno.EDQUOT),
    "read": (errno.EIO, errno.ESTALE),
    "utime": (errno.EIO, errno.EACCES),
    "scandir": (errno.EIO, errno.EACCES, errno.EMFILE),
    "listdir": (errno.EIO, errno.EACCES, errno.EMFILE),
    "mkdir": (errno.EIO, errno.ENOSPC, errno.EACCES),
    "lstat": (errno.EIO, errno.EACCES),
    "fstat": (errno.EIO, errno.ESTALE),
    "fsync": (errno.EIO, errno.ENOSPC),
    "close": (errno.EIO, errno.ENOSPC),
    "statvfs": (errno.EIO,),
    "lockf": (errno.ENOLCK, errno.EIO),
}
_CHANGES = ("rename", "unlink", "write", "pwrite", "utime", "mkdir")


class Inode:
    def __init__(self, number, now, mode):
        self.number = number
        self.data = bytearray()
        self.mode = mode
        self.changed = self.modified = now
        self.links = 1
        self.lock = None


class Status:
    """``os.stat_result``."""

    def __init__(self, inode):
        self.st_mode, self.st_ino, self.st_dev = inode.mode, inode.number, _DEVICE
        self.st_uid = self.st_gid = 1000
        self.st_size, self.st_nlink = len(inode.data), inode.links
        self.st_mtime, self.st_ctime = inode.modified, inode.changed


class Disk:
    """The file system.

    Attributes:
        names: the files in the directory, by name.
        root: of the directory, None before it is created.
        clock: seconds by which its clock is wrong.
        is_full: whether nothing can be written.
        is_read_only: whether nothing can be changed.
        has_locks: whether it knows record locks, as not all network disks do.
        is_large: whether reading the directory takes more than one call, so that a file that is renamed
            meanwhile may be missed, or found twice.
        renamed: called after each ``rename``.
        fault: called with the process and the name of each call; returns what happens: an errno, ``before``,
            ``middle`` or ``after``; None for nothing.
    """

    def __init__(self, computer):
        self.computer = computer
        self.names = {}
        self.root = None
        self.clock = 0.0
        self.is_full = self.is_read_only = False
        self.has_locks = True
        self.is_large = False
        self.fault = lambda process, name: None
        self.renamed = lambda: None
        self._inodes = 0
        self._descriptors = {}
        self._next = _FIRST_DESCRIPTOR

    def now(self):
        return EPOCH + self.computer.now + self.clock

    def call(self, name, action, path="", part=None):
        """Make a call, unless it fails or the process ends."""
        computer = self.computer
        computer.interrupt()
        process = computer.process
        process.calls += 1
        computer.steps += 1
        computer.now += 0.0001
        assert computer.steps < computer.MOST_STEPS, "it does not end"
        how = self.fault(process, name)
        if isinstance(how, int):
            process.failed_calls += 1
            if name == "close":  # the descriptor is closed all the same
                action()
            raise OSError(how, os.strerror(how), str(path))
        if self.is_read_only and name in _CHANGES:
            process.failed_calls += 1
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        if self.is_full and name in ("write", "pwrite", "mkdir"):
            process.failed_calls += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        if how == "before" or (how == "middle" and part is None):
            process.end()
            raise Ended
        try:
            return part() if how == "middle" else action()
        finally:
            if how is not None:
                process.end()
                raise Ended

    def release(self, process):
        """Close all that a process has opened, which has ended."""
        for descriptor, opened in list(self._descriptors.items()):
            if opened.process is process:
                del self._descriptors[descriptor]
        for inode in self.names.values():
            if inode.lock is process:
                inode.lock = None
        # Files without a name have locks as well, but nobody can ask for them again.

    def name_of(self, path):
        directory, _, name = str(path).rpartition("/")
        if self.root is None or directory != DIRECTORY:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return name

    def find(self, path):
        if str(path) == DIRECTORY and self.root is not None:
            return self.root
        name = self.name_of(path)
        if name not in self.names:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return self.names[name]

    def create(self, mode):
        self._inodes += 1
        return Inode(self._inodes, self.now(), mode)

    # What follows are the calls of ``os``.

    def mkdir(self, path, mode=0o777):
        def action():
            if self.root is not None:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
            self.root = self.create(stat.S_IFDIR | mode)

        self.call("mkdir", action, path)

    def open(self, path, flags, mode=0o777):
        def action():
            name = self.name_of(path)
            inode = self.names.get(name)
            if inode is None:
                if not flags & os.O_CREAT:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
                for is_wrong, code in ((self.is_full, errno.ENOSPC), (self.is_read_only, errno.EROFS)):
                    if is_wrong:
                        self.computer.process.failed_calls += 1
                        raise OSError(code, os.strerror(code), str(path))
                inode = self.names[name] = self.create(stat.S_IFREG | mode)
            elif flags & os.O_EXCL:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
            if flags & os.O_TRUNC:
                inode.data = bytearray()
                inode.modified = inode.changed = self.now()
            self._next += 1
            opened = SimpleNamespace(process=self.computer.process, inode=inode, place=0)
            self._descriptors[self._next] = opened
            return self._next

        if str(path) == DIRECTORY:
            self._next += 1
            self._descriptors[self._next] = SimpleNamespace(
                process=self.computer.process, inode=self.root, place=0
            )
            return self._next
        return self.call("open", action, path)

    def opened(self, descriptor):
        found = self._descriptors.get(descriptor)
        if found is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return found

    def close(self, descriptor):
        def action():
            found = self.opened(descriptor)
            del self._descriptors[descriptor]
            if found.inode.lock is found.process:
                found.inode.lock = None

        self.call("close", action)

    def read(self, descriptor, most):
        def action():
            found = self.opened(descriptor)
            data = bytes(found.inode.data[found.place : found.place + most])
            found.place += len(data)
            return data

        return self.call("read", action)

    def _put(self, inode, data, place):
        inode.data[place : place + len(data)] = data
        inode.modified = inode.changed = self.now()

    def write(self, descriptor, data):
        data = bytes(data)

        def action(written=data):
            found = self.opened(descriptor)
            self._put(found.inode, written, found.place)
            found.place += len(written)
            return len(written)

        size = self.computer.chance.randrange(len(data) + 1) if data else 0
        return self.call("write", action, part=lambda: action(data[:size]))

    def pwrite(self, descriptor, data, place):
        data = bytes(data)

        def action(written=data):
            self._put(self.opened(descriptor).inode, written, place)
            return len(written)

        # A kill does not divide what is within a page.
        return self.call("pwrite", action, part=lambda: action(data[: (len(data) - 1) // PAGE * PAGE]))

    def fdopen(self, descriptor, mode, encoding=None):
        return Writer(self, descriptor, encoding)

    def open_file(self, descriptor, mode, closefd):
        return Reader(self, descriptor)

    def fstat(self, descriptor):
        return self.call("fstat", lambda: Status(self.opened(descriptor).inode))

    def lstat(self, path):
        return self.call("lstat", lambda: Status(self.find(path)), path)

    def lexists(self, path):
        try:
            self.lstat(path)
        except OSError:
            return False
        return True

    def rename(self, path, renamed):
        def action():
            inode = self.find(path)
            old, new = self.name_of(path), self.name_of(renamed)
            if old != new:
                replaced = self.names.get(new)
                if replaced is not None:
                    replaced.links = 0
                del self.names[old]
                self.names[new] = inode
            inode.changed = self.now()
            self.renamed()

        self.call("rename", action, path)

    def unlink(self, path):
        def action():
            inode = self.find(path)
            inode.links = 0
            del self.names[self.name_of(path)]

        self.call("unlink", action, path)

    def utime(self, path):
        def action():
            inode = self.find(path)
            inode.modified = inode.changed = self.now()

        self.call("utime", action, path)

    def fsync(self, descriptor):
        self.call("fsync", lambda: self.opened(descriptor) and None)

    def _listed(self, path):
        if self.root is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        found = list(self.names)
        if self.is_large:
            first = [name for name in found if _is_first_half(name)]
            self.computer.interrupt()
            found = first + [name for name in self.names if not _is_first_half(name)]
        self.computer.chance.shuffle(found)
        return found

    def listdir(self, path):
        return self.call("listdir", lambda: self._listed(path), path)

    @contextmanager
    def scandir(self, path):
        names = self.call("scandir", lambda: self._listed(path), path)
        yield (Entry(self, name) for name in names)

    def statvfs(self, path):
        free = 0 if self.is_full else 10**6
        return self.call(
            "statvfs", lambda: SimpleNamespace(f_blocks=10**6, f_frsize=PAGE, f_bavail=free), path
        )

    def lockf(self, descriptor, operation):
        def action():
            found = self.opened(descriptor)
            if not self.has_locks:
                raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
            holder = found.inode.lock
            if holder is not None and holder is not found.process:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            found.inode.lock = found.process

        self.call("lockf", action)

    def os_module(self):
        """Return what stands for the module ``os``."""
        names = ("mkdir", "open", "close", "read", "write", "pwrite", "fdopen", "fstat", "lstat", "rename")
        names += ("unlink", "utime", "fsync", "listdir", "scandir", "statvfs")
        constants = {name: getattr(os, name) for name in dir(os) if name.startswith("O_")}
        return SimpleNamespace(
            **constants,
            **{name: getattr(self, name) for name in names},
            stat=self.lstat,
            path=SimpleNamespace(lexists=self.lexists, basename=os.path.basename),
            geteuid=lambda: 1000,
            fchown=lambda *args: None,
            getpid=lambda: self.computer.process.owner.pid,
            PathLike=os.PathLike,
            strerror=os.strerror,
        )

    def fcntl_module(self):
        return SimpleNamespace(LOCK_EX=2, LOCK_NB=4, lockf=self.lockf)

    def path_class(self):
        """Return what stands for the class ``pathlib.Path``."""
        disk = self

        class SimulatedPath(PurePosixPath):
            def mkdir(self, mode=0o777, parents=False, exist_ok=False):
                try:
                    disk.mkdir(self, mode)
                except FileExistsError:
                    if not exist_ok:
                        raise

            def unlink(self, missing_ok=False):
                try:
                    disk.unlink(self)
                except FileNotFoundError:
                    if not missing_ok:
                        raise

            def glob(self, pattern):
                # As ``pathlib`` does, which takes a directory that it may not read for an empty one.
                try:
                    names = disk.listdir(self)
                except OSError:
                    names = []
                return [self / name for name in names if name.startswith(pattern.rstrip("*"))]

        return SimulatedPath


def _is_first_half(name):
    return sum(name.encode()) % 2 == 0


class Entry:
    """``os.DirEntry``."""

    def __init__(self, disk, name):
        self._disk = disk
        self.name = name

    def stat(self, follow_symlinks=True):
        return self._disk.lstat(f"{DIRECTORY}/{self.name}")


class Writer:
    """The file object of a descriptor, which writes when it is flushed or closed."""

    def __init__(self, disk, descriptor, encoding):
        self._disk, self._descriptor, self._encoding = disk, descriptor, encoding
        self._pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *args):
        try:
            self.flush()
        finally:
            self._disk.close(self._descriptor)

    def write(self, data):
        self._pending += data.encode(self._encoding) if self._encoding else data

    def flush(self):
        pending, self._pending = self._pending, b""
        if pending:
            self._disk.write(self._descriptor, pending)


class Reader:
    def __init__(self, disk, descriptor):
        self._disk, self._descriptor = disk, descriptor

    def __enter__(self):
        return self

    def __exit__(self, *args):
        pass

    def read(self):
        return self._disk.read(self._descriptor, 10**9)
