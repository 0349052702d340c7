"""Refuse a home or a configuration file that another user of this machine can write.

In a shared folder such as /tmp, another user can put files where tradewire looks for this user's. Such files would lead
signals and a broker's keys to that user's servers, and such a home would let that user log in to the page.
"""

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.model.errors import ConfigInvalid, Problem

if TYPE_CHECKING:
    from pwd import struct_passwd

# A user who can write to this folder can change the code, too, so its files need no check.
_SHIPPED = Path(__file__).resolve().parent.parent


def require_own(path: Path) -> None:
    """Refuse *path* if `ownership_problem` finds a problem.

    Raises:
        ConfigInvalid: Another user can write *path*; the message names the owner and the remedy.
    """
    if (problem := ownership_problem(path)) is not None:
        raise ConfigInvalid([problem])


def ownership_problem(path: Path) -> Problem | None:
    """Return the problem if a user other than this one and root can write the file or folder *path*, or replace it.

    Checked are *path*, the folder that holds it, and, behind symbolic links, the file that is read and its folder. Each
    must belong to this user, to root, or to the owner of tradewire's code. With `sudo`, the files of the person who
    called it are accepted, too.

    No other user may have the right to write. The folder above may be open to all if it is sticky, like /tmp: there,
    only owners replace their entries. Write access of a group is accepted if it is this process's group or the primary
    group of the owner, because many systems create files with it (umask 002) and give each user such a group alone.
    Where all users share one primary group, write access of that group is accepted as well.

    What is mounted read-only is accepted from any owner: such volumes of containers often have another owner.
    Of a path that does not exist, the folder is checked. Systems without such users, like Windows, are not checked.
    """
    if not hasattr(os, "geteuid"):
        return None
    given = path.absolute()
    read = Path(os.path.realpath(given))  # Unlike `resolve`, it raises nothing for links in a circle.
    if read.is_relative_to(_SHIPPED):
        return None
    for place in dict.fromkeys((given, read)):
        if fault := _fault(place, sticky_is_safe=False):
            behind = "" if place == given else f"leads to {place}, which "
            return Problem(key=str(path), message=behind + fault)
    for folder in dict.fromkeys((given.parent, Path(os.path.realpath(given.parent)), read.parent)):
        if _SHIPPED.is_relative_to(folder):
            continue
        if fault := _fault(folder, sticky_is_safe=True):
            return Problem(key=str(path), message=f"is in {folder}, which {fault}")
    return None


def is_of_another_user(path: Path) -> bool:
    """Return whether *path*, or the file that it leads to, belongs to a user whom `ownership_problem` does not accept.

    Nothing of another user in the working folder may lead a command that stops an account, or keep it from its work.
    """
    if not hasattr(os, "geteuid"):
        return False
    read = Path(os.path.realpath(path))
    stats = [] if read.is_relative_to(_SHIPPED) else [_stat(path), _stat(read)]
    return any(found is not None and found.st_uid not in _trusted() for found in stats)


def _stat(place: Path) -> os.stat_result | None:
    """Return the owner and mode; None for what is mounted read-only, is missing, or cannot be reached."""
    try:
        found = place.lstat()
        link = stat.S_ISLNK(found.st_mode)
        read_only = os.statvfs(place.parent if link else place).f_flag & os.ST_RDONLY
    except OSError:
        return None
    return None if read_only else found


def _fault(place: Path, *, sticky_is_safe: bool) -> str | None:
    found = _stat(place)
    if found is None:
        return None
    if found.st_uid not in _trusted():
        remedy = f"run `chown -h {_name(os.geteuid())} {place}` if you know its content, or use another folder"
        return f"belongs to the user {_name(found.st_uid)}; {remedy}"
    # The mode of a link means nothing. Nor does that of a device or a pipe, which keep no content.
    keeps_content = stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)
    if not keeps_content or (sticky_is_safe and found.st_mode & stat.S_ISVTX):
        return None
    open_to_group = found.st_mode & stat.S_IWGRP and not _own_group(found)
    if found.st_mode & stat.S_IWOTH or open_to_group:
        remedy = f"run `chmod go-w {place}`, or use another folder"
        return f"belongs to the user {_name(found.st_uid)}, but other users can write to it; {remedy}"
    return None


def _trusted() -> set[int]:
    # The owner of tradewire's code can change what runs here anyway.
    trusted = {0, os.geteuid(), _SHIPPED.stat().st_uid}
    caller = os.environ.get("SUDO_UID", "")
    if os.geteuid() == 0 and caller.isdecimal():
        trusted.add(int(caller))
    return trusted


def _own_group(found: os.stat_result) -> bool:
    if found.st_gid == os.getegid():
        return True
    owner = _account(found.st_uid)
    return owner is not None and owner.pw_gid == found.st_gid


def _name(user: int) -> str:
    account = _account(user)
    return str(user) if account is None else account.pw_name


def _account(user: int) -> "struct_passwd | None":
    import pwd  # noqa: PLC0415 - Windows has no such module

    try:
        return pwd.getpwuid(user)
    except KeyError:
        return None
