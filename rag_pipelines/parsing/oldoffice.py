"""Office files from before XML (doc, ppt, xls): LibreOffice converts them to what the office parsers read."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import msgspec

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ParsedDocument
from rag_pipelines.parsing import office, registry
from rag_pipelines.parsing.programs import find, require
from rag_pipelines.parsing.unstructured_reader import with_second_opinion

VERSION = 2
PROGRAMS = ("soffice",)
USES = ("rag_pipelines.parsing.office", "rag_pipelines.parsing.unstructured_reader")
_SECONDS = 50


def parse_doc(data: bytes, name: str) -> ParsedDocument:
    """Word. Raises ParseError, naming LibreOffice where it is missing."""
    return _read(data, registry.DOC, registry.DOCX, "doc", "docx")


def parse_ppt(data: bytes, name: str) -> ParsedDocument:
    """PowerPoint. Raises ParseError, naming LibreOffice where it is missing."""
    return _read(data, registry.PPT, registry.PPTX, "ppt", "pptx")


def parse_xls(data: bytes, name: str) -> ParsedDocument:
    """Excel. Raises ParseError, naming LibreOffice where it is missing."""
    return _read(data, registry.XLS, registry.XLSX, "xls", "xlsx")


def preload() -> None:
    """What LibreOffice writes goes to the office parsers."""
    office.preload()


def _read(data: bytes, media_type: str, target: str, old: str, new: str) -> ParsedDocument:
    program = find("soffice")
    if program is None and media_type != registry.XLS:
        raise _missing(old, new)

    def direct() -> ParsedDocument:
        if program is None:
            raise _missing(old, new)
        modern = registry.parser_for(target)(_converted(program, data, old, new), f"document.{new}")
        parser = f"oldoffice/{VERSION}+{modern.parser}"
        return msgspec.structs.replace(modern, media_type=media_type, parser=parser)

    return with_second_opinion(direct, data, media_type)


def _missing(old: str, new: str) -> ParseError:
    return require("soffice", f"is an old binary Office file ({old}); it is converted to {new}")


def _converted(program: Path, data: bytes, old: str, new: str) -> bytes:
    """With a profile of its own: a LibreOffice that is open elsewhere would take the call and answer nothing."""
    with tempfile.TemporaryDirectory(prefix="rag-office-") as folder:
        source = Path(folder) / f"document.{old}"
        source.write_bytes(data)
        profile = (Path(folder) / "profile").as_uri()
        command = [str(program), f"-env:UserInstallation={profile}", "--headless", "--norestore"]
        command += ["--nolockcheck", "--convert-to", new, "--outdir", folder, str(source)]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "HOME": folder},
            )
        except subprocess.TimeoutExpired as error:
            raise ParseError(f"took LibreOffice longer than {_SECONDS} s to convert to {new}") from error
        converted = source.with_suffix(f".{new}")
        if not converted.exists():
            detail = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
            reason = detail[-1][:300] if detail else f"exit code {done.returncode}"
            raise ParseError(f"cannot be converted from {old} by LibreOffice: {reason}")
        return converted.read_bytes()
