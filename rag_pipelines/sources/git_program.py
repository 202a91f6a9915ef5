"""Running the `git` program: no shell, no prompt, no helper protocols, always with a time limit."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from rag_pipelines.config.environment import read_secret
from rag_pipelines.core.errors import SourceError

_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.autoDetach=false",
    "maintenance.autoDetach=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
    "protocol.ext.allow=never",
)
_TRANSIENT = re.compile(
    r"could not resolve host|timed out|timeout|connection (reset|refused|closed)|couldn't connect|failed to connect|"
    r"early eof|rpc failed|hung up unexpectedly|unexpected disconnect|temporary failure|too many requests|"
    r"returned error: (429|5\d\d)|operation too slow|gnutls|ssl_read",
    re.I,
)
_DENIED = re.compile(
    r"authentication failed|could not read username|could not read password|terminal prompts disabled|"
    r"permission denied|returned error: 40[13]|access denied|host key verification",
    re.I,
)
_ABSENT = re.compile(
    r"does not appear to be a git repo|not found|does not exist|returned error: 404|no such file", re.I
)
_NOISE = re.compile(r"^(fatal|error|warning|remote): ", re.I)


def run_git(
    arguments: Sequence[str],
    *,
    timeout: float,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdout: int | IO[bytes] = subprocess.PIPE,
) -> bytes:
    """Its standard output; raises SourceError with what git said, transient where the network failed."""
    with start_git(arguments, folder=folder, env=env, stdout=stdout) as process:
        try:
            out, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            stop_git(process)
            raise SourceError(
                f"git {arguments[0]} took longer than {timeout:g} s and was stopped; raise timeout_seconds if the "
                "repository is that large",
                transient=True,
            ) from error
        except BaseException:
            stop_git(process)
            raise
    if process.returncode != 0:
        raise _failure(arguments[0], errors.decode("utf-8", "replace"), process.returncode)
    return out or b""


def start_git(
    arguments: Sequence[str],
    *,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """The running program in a session of its own, so that it has no terminal to ask for a password."""
    command = ["git"]
    for setting in _SETTINGS:
        command += ["-c", setting]
    if folder is not None:
        command.append(f"--git-dir={folder}")
    try:
        return subprocess.Popen(
            [*command, *arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env={**_clean_environment(), **(env or {})},
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise SourceError(
            "the program git is not there; install git (for example apt install git)"
        ) from error


def stop_git(process: subprocess.Popen[Any]) -> None:
    """Kill it and the helpers it started."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def token_environment(url: str, variable: str | None) -> dict[str, str]:
    """Environment that makes git send the token to this host; never in the arguments, which others can see."""
    if variable is None:
        return {}
    token = read_secret(variable)
    if token is None:
        raise SourceError(
            f"environment variable {variable} (token_env) is not set; set it to the access token"
        )
    parts = urlsplit(url)
    login = base64.b64encode(f"{parts.username or 'git'}:{token}".encode()).decode()
    count = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    return {
        "GIT_CONFIG_COUNT": str(count + 1),
        f"GIT_CONFIG_KEY_{count}": f"http.{parts.scheme}://{parts.netloc}/.extraHeader",
        f"GIT_CONFIG_VALUE_{count}": f"Authorization: Basic {login}",
    }


def _clean_environment() -> dict[str, str]:
    """Ours, without variables by which a surrounding git hook would point git at another repository."""
    dropped = {
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_NAMESPACE",
        "GIT_PREFIX",
        "SSH_ASKPASS",
        "LANGUAGE",
    }
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    kept.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=30")
    return {
        **kept,
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GCM_INTERACTIVE": "never",
        "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    }


def _failure(command: str, errors: str, code: int) -> SourceError:
    lines = [_NOISE.sub("", line.strip()) for line in errors.splitlines() if line.strip()]
    said = "; ".join(lines[:2]) or f"exit status {code}"
    if _TRANSIENT.search(errors):
        return SourceError(
            f"git {command} failed: {said}; this may pass, the next sync tries again", transient=True
        )
    if _DENIED.search(errors):
        step = "give this machine access: token_env for https, a key for ssh"
    elif "no space left" in errors.lower():
        step = "free some disk"
    elif _ABSENT.search(errors):
        step = "check `url` in the source's configuration"
    else:
        step = "run the same git command by hand to see more"
    return SourceError(f"git {command} failed: {said}; {step}")
