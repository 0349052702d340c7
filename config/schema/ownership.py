"""Refuse a home or a configuration file that another user of this machine can write.

In a shared folder such as /tmp, another user can put files where tradewire looks for this user's. Such files would lead
signals and a broker's keys to that user's servers, and such a home would let that user log in to the page.
"""

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pipeline.model.errors import ConfigInvalid, Problem

if TYPE_CHECKING:
    from pwd import struct_passwd

# A user who can write to this folder can change the code, too, so its files need no check.
_SHIPPED = Path(__file__).resolve().parent.parent

#: Linux follows as many symbolic links on the way to one file.
_MOST_LINKS = 40


def require_safe(path: Path) -> None:
    """Refuse *path* if `ownership_problem` finds a problem.

    Raises:
        ConfigInvalid: Another user can write *path*; the message names the owner and the remedy.
    """
    if (problem := ownership_problem(path)) is not None:
        raise ConfigInvalid([problem])


def read_safe(path: Path) -> bytes:
    """Return the content of the file *path*, if no other user could choose or change it while it was opened.

    Raises:
        ConfigInvalid: `ownership_problem` finds a problem, or the file was replaced while it was opened.
        OSError: The file cannot be read.
    """
    with open_safe(path) as file:
        return file.read()


def open_safe(path: Path) -> BinaryIO:
    """Open the file *path* to read its bytes. The opened file is checked too: *path* may lead to another one.

    Raises:
        ConfigInvalid: `ownership_problem` finds a problem, or the file was replaced while it was opened.
        OSError: The file cannot be opened.
    """
    require_safe(path)  # Before it is opened, too: to open a pipe of another user would wait for that user.
    file = path.open("rb")
    try:
        _require_opened(path, file)
    except BaseException:
        file.close()
        raise
    return file


def _require_opened(path: Path, file: BinaryIO) -> None:
    require_safe(path)
    if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
        raise ConfigInvalid([Problem(key=str(path), message="was replaced while it was opened; try again")])


def ownership_problem(path: Path) -> Problem | None:
    """Return the problem if a user other than this one and root can write the file or folder *path*, or replace it.

    Checked are *path*, every folder that holds it up to the root, and every symbolic link on the way, each with the
    folders that hold it. Each must belong to this user, to root, or to the owner of tradewire's code. With `sudo`, the
    files of the person who called it are accepted, too. Folders that hold the code need no check.

    No other user may have the right to write. A folder on the way may be open to all if it is sticky, like /tmp: there,
    only the owner of a file can replace it. Write access of a group is accepted if it is this process's group or the
    primary group of the owner, because many systems create files with it (umask 002) and give each user such a group
    alone. Where all users share one primary group, write access of that group is accepted as well. It is refused if a
    POSIX access list exists, because the bits of the group then stand for every user and group of the list.

    What is mounted read-only is accepted from any owner: such volumes of containers often have another owner.
    Of a path that does not exist, the folders are checked. Systems without such users, like Windows, are not checked.
    """
    if not hasattr(os, "geteuid"):
        return None
    try:
        given = path.absolute()
    except OSError:
        return None  # The working folder was removed, so nothing can be read there.
    way, read = _way(given)
    if read.is_relative_to(_SHIPPED):
        return None
    for place in way:
        on_the_way = place not in (given, read)
        if on_the_way and (_SHIPPED.is_relative_to(place) or place.is_relative_to(_SHIPPED)):
            continue
        if fault := _fault(place, sticky_is_safe=on_the_way):
            return Problem(key=str(path), message=_relation(place, given, read) + fault)
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


def _relation(place: Path, given: Path, read: Path) -> str:
    if place == given:
        return ""
    if place == read:
        return f"leads to {place}, which "
    return f"leads through {place}, which " if place.is_symlink() else f"is in {place}, which "


def _way(given: Path) -> tuple[list[Path], Path]:
    """Return each folder and link through which the system reaches *given*, and the place that it reads in the end."""
    done, rest, links = Path(given.anchor), list(reversed(given.parts[1:])), 0
    way = [done]
    while rest:
        part = rest.pop()
        if part == "..":
            done = done.parent
            continue
        place = done / part
        way.append(place)
        try:
            target = place.readlink()
        except OSError:
            done = place  # It is no link, or it is missing.
            continue
        links += 1
        if links > _MOST_LINKS:
            return way, place
        if target.is_absolute():
            done = Path(target.anchor)
        rest.extend(part for part in reversed(target.parts) if part != target.anchor)
    return list(dict.fromkeys([*way, done])), done


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
    # The mode of a link means nothing. Nor does that of a device, such as a terminal.
    kinds = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISFIFO)
    if not any(is_kind(found.st_mode) for is_kind in kinds) or (sticky_is_safe and found.st_mode & stat.S_ISVTX):
        return None
    open_to_group = found.st_mode & stat.S_IWGRP and not (_own_group(found) and not _has_access_list(place))
    if found.st_mode & stat.S_IWOTH or open_to_group:
        remedy = f"run `chmod go-w {place}`, or use another folder"
        return f"belongs to the user {_name(found.st_uid)}, but other users can write to it; {remedy}"
    return None


def _has_access_list(place: Path) -> bool:
    if not hasattr(os, "getxattr"):
        return False  # macOS, whose access lists Python cannot read.
    try:
        return bool(os.getxattr(place, "system.posix_acl_access", follow_symlinks=False))
    except OSError:
        return False  # There is none, or the file system has none.


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
