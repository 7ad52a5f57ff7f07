"""W&B's account, variables and limits, without importing its client: is there a key, does the server answer, what is set where.

An option of ours comes first, then W&B's own variable, then its settings files, then our default.
"""

from __future__ import annotations

import configparser
import contextlib
import netrc
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..console import say
from ..options import BadOption, has_control, shortened
from .tracker import NotSetUp, TrackerUnavailable

ANSWER = 2.0  # seconds for the server to answer at all
VARIABLES = {
    "project": "WANDB_PROJECT",
    "entity": "WANDB_ENTITY",
    "tags": "WANDB_TAGS",
    "group": "WANDB_RUN_GROUP",
    "name": "WANDB_NAME",
    "job_type": "WANDB_JOB_TYPE",
    "notes": "WANDB_NOTES",
    "dir": "WANDB_DIR",
}
IN_FILES = ("project", "entity")  # of these W&B also keeps in its settings files
WORD = re.compile(r"[^/\\#?%:\x00-\x1f]{1,128}")  # what W&B takes for a project, an entity or the id of a run
MODES = {"online": "online", "run": "online", "shared": "online", "offline": "offline", "dryrun": "offline"}
MODES |= {"disabled": "disabled"}


def from_variable(name: str) -> Any:
    """What W&B's own variable says of `name`, or its settings files; None where neither does."""
    said = os.environ.get(VARIABLES[name]) or (wandb_settings().get(name) if name in IN_FILES else None)
    if said and name == "tags":
        return [tag.strip() for tag in said.split(",") if tag.strip()]
    return said or None


def wanted_mode() -> tuple[str, str]:
    """(online, offline or disabled, where that is said) by W&B's variables or settings files; two empty texts without.

    BadOption for a mode that W&B has not.
    """
    if os.environ.get("WANDB_DISABLED", "").lower() in ("true", "1", "yes", "on", "t", "y"):
        return "disabled", f"WANDB_DISABLED={os.environ['WANDB_DISABLED']}"
    settings = wandb_settings()
    mode = settings.get("mode", "")
    where = f"WANDB_MODE={mode}" if os.environ.get("WANDB_MODE") else f"W&B's settings say mode={mode}"
    if mode and mode not in MODES:
        raise BadOption(f"{shortened(where)} is not allowed; allowed: {', '.join(MODES)}")
    if not mode and settings.get("disabled", "").lower() == "true":
        return "disabled", "W&B's settings say disabled=true"
    return MODES.get(mode, ""), where if mode else ""


def check_limits(options: Mapping[str, Any], prefix: str = "tracker.") -> None:
    """BadOption where W&B would refuse a name, by `options`, which a user knows with `prefix`, or by a variable of its own."""
    for name in VARIABLES:
        given = options.get(name)
        said = f"{prefix}{name}" if given else VARIABLES[name]
        value = given or from_variable(name)
        if value is not None:
            _check_limit(name, value, said)


def _check_limit(name: str, value: Any, said: str) -> None:
    if name in ("project", "entity") and not WORD.fullmatch(value):
        raise BadOption(f"{said}={shortened(repr(value))} is not allowed; allowed: 1 to 128 characters, none of / \\ # ? % :")
    if name == "tags":
        for tag in value:
            if not 1 <= len(tag) <= 64 or has_control(tag):
                raise BadOption(f"{said}: the tag {shortened(repr(tag))} is not allowed; allowed: 1 to 64 characters")
    most = {"group": 128, "name": 128, "job_type": 64}.get(name)
    if most and (not 1 <= len(value) <= most or has_control(value)):
        raise BadOption(f"{said}={shortened(repr(value))} is not allowed; allowed: 1 to {most} characters")


def why_silent() -> str:
    """Why the server of the settings cannot be talked to, or nothing."""
    settings = wandb_settings()
    return _silence(settings["base_url"]) if has_key(settings) else "no API key (`wandb login`, or WANDB_API_KEY)"


def unavailable(message: str) -> TrackerUnavailable:
    """The error with what `why_silent` says: NotSetUp where there is no key."""
    return (TrackerUnavailable if has_key(wandb_settings()) else NotSetUp)(message)


def has_key(settings: Mapping[str, str]) -> bool:
    """Whether W&B would find a key in its environment, its settings files or a netrc file; it is not kept."""
    if settings.get("api_key") or settings.get("identity_token_file"):
        return True
    places = [os.environ["NETRC"]] if os.environ.get("NETRC") else ["~/.netrc", "~/_netrc"]
    for place in map(os.path.expanduser, places):
        with contextlib.suppress(OSError, netrc.NetrcParseError):
            found = netrc.netrc(place).authenticators(urlsplit(settings["base_url"]).netloc)
            return bool(found and found[2])
    return False


def wandb_settings() -> dict[str, str]:
    """Server, mode, key and place as W&B itself will find them, without importing it."""
    files = configparser.ConfigParser(interpolation=None)
    places = (os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb", Path(os.environ.get("WANDB_DIR") or ".", "wandb"))
    with contextlib.suppress(configparser.Error, UnicodeDecodeError):
        files.read([Path(place, "settings").expanduser() for place in places], encoding="utf-8")
    found = dict(files["default"]) if files.has_section("default") else {}
    names = ("base_url", "mode", "api_key", "identity_token_file")
    found |= {name: value for name in names if (value := os.environ.get(f"WANDB_{name.upper()}"))}
    return {"base_url": "https://api.wandb.ai", **found}


def _silence(url: str) -> str:
    """Why the server at `url` cannot be talked to, or nothing; decided within `ANSWER` seconds, name look-up included."""
    import ssl
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    found: list[str] = []

    def ask() -> None:
        try:
            urlopen(f"{url}/healthz", timeout=ANSWER).close()
            found.append("")
        except HTTPError as error:
            found.append(f"{url} answers {error.code}" if error.code >= 500 else "")
        except Exception as error:
            reason = error.reason if isinstance(error, URLError) else error
            found.append("" if isinstance(reason, ssl.SSLError) else f"{url} does not answer ({reason})")

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ANSWER)
    return found[0] if found else f"{url} does not answer within {ANSWER:g} s"


@contextlib.contextmanager
def client() -> Iterator[Any]:
    """W&B's client, set up. Variables that are settled before are hidden from it: it would rename a run that is there.

    Project and entity that an agent of a W&B sweep has set stay: there the client takes them from nowhere else.
    """
    kept = [VARIABLES[name] for name in IN_FILES] if os.environ.get("WANDB_SWEEP_ID") else []
    hidden = {name: os.environ.pop(name) for name in VARIABLES.values() if name in os.environ and name not in kept}
    try:
        import wandb

        wandb.setup(wandb.Settings(silent=True))  # signing in prints before it has seen a run's settings
        yield wandb
    finally:
        os.environ.update(hidden)


def stop_service() -> None:
    """Ends the client's background process, which may be dead or still hold the run; the next run starts a new one."""
    with contextlib.suppress(Exception):
        import wandb

        wandb.teardown()


REFUSED = re.compile(
    r"\b40[13]\b|unauthori[sz]ed|invalid api key|api key (?:must|is)|not logged in|permission denied", re.IGNORECASE
)


def error_text(error: Exception) -> str:
    """What went wrong, in one line, and never with the key in it."""
    text = f"{type(error).__name__}: {error}"
    if REFUSED.search(text) or type(error).__name__ == "AuthenticationError":
        return "key refused (`wandb login` stores another, or WANDB_API_KEY)"
    said, key = text.splitlines()[0], wandb_settings().get("api_key")
    return said.replace(key, "(the key)") if key else said


def say_error(line: str) -> None:
    """Prints `line` on the error stream."""
    say(line, sys.stderr)
