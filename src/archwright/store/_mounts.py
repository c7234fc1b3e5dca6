"""File systems of other machines, where SQLite needs care."""

from __future__ import annotations

import errno
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from archwright.errors import StoreError

_TABLE = Path("/proc/self/mountinfo")  # of Linux; elsewhere a file is taken for one of this machine
_NETWORK = re.compile(
    r"(fuse\.)?(nfs\d?|cifs|smb\d?|smbfs|9p|afs|ceph|lustre|gpfs|beegfs\w*|glusterfs|sshfs|davfs2?|orangefs|rclone|s3fs)"
)
_ALONE = re.compile(r"nolock|local_lock=(?!none)\w+")  # options of NFS with which locks are not those of the server


@dataclass(frozen=True)
class Mount:
    """A file system.

    Args:
        folder: Where it is mounted.
        kind: Its type, such as "nfs4".
        options: The options it is mounted with.
    """

    folder: Path
    kind: str
    options: tuple[str, ...]


def network_mount(path: Path) -> Mount | None:
    """Return the network file system that a file is on; `None` for a file of this machine."""
    folder, found = path.parent.resolve(), None
    try:
        lines = _TABLE.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, ends = before.split(), after.split()
        if len(fields) < 6 or len(ends) < 2:
            continue
        place = Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), fields[4]))
        if folder.is_relative_to(place) and (found is None or place.is_relative_to(found.folder)):
            options = ",".join([fields[5], *ends[2:]]).split(",")
            found = Mount(place, ends[0], tuple(options))  # of two in one place the later one hides the other
    return found if found is not None and _NETWORK.fullmatch(found.kind) else None


def check_locks(path: Path, mount: Mount) -> None:
    """Refuse a network file system that does not keep two writers apart.

    Raises:
        StoreError: Its locks fail, or are those of this machine alone.
    """
    told = f"{path} is on a network file system ({mount.kind} at {mount.folder})"
    instead = "Keep the database on a local disk, or use PostgreSQL"
    alone = [option for option in mount.options if _ALONE.fullmatch(option)]
    if alone:
        raise StoreError(
            f"{told} that is mounted with {alone[0]}, so another machine does not see the locks of this one and would "
            f"damage the database. Mount it without that option. {instead}"
        )
    import fcntl  # of Unix alone, as is the table of mounts

    try:
        with tempfile.TemporaryFile(dir=path.parent) as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        what = "cannot lock files" if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS) else "cannot be used"
        raise StoreError(f"{told} that {what}: {error}. {instead}") from error
