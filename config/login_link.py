"""Make the link with which `up` opens its page: it logs in once, within 15 minutes, and contains no token."""

import hmac
import os
import secrets
import stat
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

#: The path of the page's route. In a link, the code follows it.
PATH = "/login/once/"
_FILE = "login-link"
_LASTS_S = 15 * 60


def make_login_link(home: Path, web_url: str) -> str:
    """Return a new link, and store the hash of its code in *home*. The previous link stops working."""
    code = secrets.token_urlsafe(24)
    path = home / _FILE
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(_hash(code))
    return f"{web_url}{PATH}{code}"


def use_login_link(home: Path, code: str) -> bool:
    """Return whether *code* is that of the current link, and the link is younger than 15 minutes; if so, end the link.

    Of several uses at once, one succeeds. A file that `make_login_link` of this user did not write opens nothing.
    """
    path = home / _FILE
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor) as file:
            found = os.fstat(descriptor)
            if not _is_own(found) or time.time() - found.st_mtime >= _LASTS_S:
                return False
            right = hmac.compare_digest(file.read(), _hash(code))
        if not right:
            return False
        path.rename(used := path.with_name(f"{_FILE}.{secrets.token_hex(4)}"))
    except OSError:
        return False
    with suppress(OSError):
        used.unlink()
    return True


def _is_own(found: os.stat_result) -> bool:
    private = stat.S_IMODE(found.st_mode) & 0o077 == 0
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and private


def _hash(code: str) -> str:
    return sha256(code.encode("utf-8", "replace")).hexdigest()
