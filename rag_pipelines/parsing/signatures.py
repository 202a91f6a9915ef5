"""Tables that `detect` reads: what starts how, and what is named how."""

from __future__ import annotations

from rag_pipelines.parsing import registry as types

TEXT_TYPES: tuple[str, ...] = (
    types.PLAIN,
    types.MARKDOWN,
    types.RST,
    types.HTML,
    types.XHTML,
    types.EMAIL,
    types.CSV,
    types.TSV,
    types.JSON,
    types.JSONL,
    types.YAML,
    types.XML,
    types.SVG,
    types.ORG,
)

_CODE = (
    "py pyi js mjs cjs jsx ts tsx vue css scss less java kt c h cc cpp hpp cs go rs rb php pl "
    "sh bash zsh ps1 bat sql r scala swift lua dart proto graphql tf"
)

_BY_TYPE: dict[str, str] = {
    types.PLAIN: f"txt text log ini cfg conf toml properties adoc asciidoc tex textile srt vtt po {_CODE}",
    types.MARKDOWN: "md markdown mdown mkd mdx qmd rmd",
    types.RST: "rst rest",
    types.HTML: "html htm",
    types.XHTML: "xhtml xht",
    types.EMAIL: "eml mht mhtml",
    types.CSV: "csv",
    types.TSV: "tsv tab",
    types.JSON: "json ipynb geojson",
    types.JSONL: "jsonl ndjson",
    types.YAML: "yaml yml",
    types.XML: "xml",
    types.SVG: "svg",
    types.ORG: "org",
    types.PDF: "pdf",
    types.DOCX: "docx docm",
    types.PPTX: "pptx pptm",
    types.XLSX: "xlsx xlsm",
    types.ODT: "odt",
    types.RTF: "rtf",
    types.EPUB: "epub",
    types.MSG: "msg",
    types.DOC: "doc",
    types.PPT: "ppt",
    types.XLS: "xls",
    "image/png": "png",
    "image/jpeg": "jpg jpeg",
    "image/gif": "gif",
    "image/bmp": "bmp",
    "image/tiff": "tif tiff",
    "image/webp": "webp",
    "image/heic": "heic heif",
}

SUFFIXES: dict[str, str] = {
    f".{suffix}": media_type for media_type, suffixes in _BY_TYPE.items() for suffix in suffixes.split()
}

CODE_SUFFIXES: frozenset[str] = frozenset(f".{suffix}" for suffix in _CODE.split())

_IMAGES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (8, b"WEBPVP8", "image/webp"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypheix", "image/heic"),
    (4, b"ftypheim", "image/heic"),
    (4, b"ftyphevc", "image/heic"),
    (4, b"ftypmif1", "image/heic"),
    (4, b"ftypmsf1", "image/heic"),
)

_ARCHIVE = "archive, not a document; unpack it and point the source at its files"
_PROGRAM = "program, not a document"

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x1f\x8b\x08", f"is a gzip {_ARCHIVE}"),
    (0, b"BZh", f"is a bzip2 {_ARCHIVE}"),
    (0, b"\xfd7zXZ\0", f"is an xz {_ARCHIVE}"),
    (0, b"\x28\xb5\x2f\xfd", f"is a zstd {_ARCHIVE}"),
    (0, b"7z\xbc\xaf\x27\x1c", f"is a 7z {_ARCHIVE}"),
    (0, b"Rar!\x1a\x07", f"is a RAR {_ARCHIVE}"),
    (257, b"ustar", f"is a tar {_ARCHIVE}"),
    (0, b"\x7fELF", f"is an ELF {_PROGRAM}"),
    (0, b"\xcf\xfa\xed\xfe", f"is a Mach-O {_PROGRAM}"),
    (0, b"\xca\xfe\xba\xbe", f"is a compiled Java or Mach-O {_PROGRAM}"),
    (0, b"\0asm", f"is a WebAssembly {_PROGRAM}"),
    (0, b"SQLite format 3\0", "is an SQLite database; export its tables as CSV or JSONL"),
    (0, b"PAR1", "is a Parquet table; read it with a `records` source"),
    (0, b"ARROW1", "is an Arrow table; read it with a `records` source"),
    (0, b"\x89HDF\r\n\x1a\n", "is an HDF5 data file, not a document"),
    (0, b"\x93NUMPY", "is a NumPy array, not a document"),
    (0, b"!BDN", "is an Outlook mail store (pst); export its messages as eml or msg"),
    (60, b"BOOKMOBI", "is a Kindle book (mobi), which is not supported; convert it to EPUB"),
    (0, b"AT&TFORM", "is a DjVu scan, which is not supported; convert it to PDF with text"),
    (0, b"wOFF", "is a font, not a document"),
    (0, b"wOF2", "is a font, not a document"),
    (0, b"OTTO", "is a font, not a document"),
    (0, b"\0\x01\0\0\0", "is a font, not a document"),
    (0, b"OggS", "is an audio or video file; reading it needs a transcript"),
    (0, b"ID3", "is an audio file; reading it needs a transcript"),
    (0, b"fLaC", "is an audio file; reading it needs a transcript"),
    (4, b"ftyp", "is a video or audio file; reading it needs a transcript"),
    (0, b"\x1aE\xdf\xa3", "is a video file; reading it needs a transcript"),
    (0, b"\0\0\x01\0", "is an icon, not a document"),
    (0, b"8BPS", "is a Photoshop image; reading it needs OCR"),
)


def image_type(data: bytes) -> str | None:
    """The media type of an image in one of the common formats."""
    for offset, magic, media_type in _IMAGES:
        if data.startswith(magic, offset):
            return media_type
    is_bitmap = data[:2] == b"BM" and data[6:10] == b"\0\0\0\0" and len(data) > 54
    return "image/bmp" if is_bitmap else None


def reason_against(data: bytes) -> str | None:
    """Why a file that starts like this is no document; None where nothing is recognised."""
    for offset, magic, reason in _SIGNATURES:
        if data.startswith(magic, offset):
            return reason
    if data[:4] == b"RIFF" and data[8:12] in {b"WAVE", b"AVI "}:
        return "is an audio or video file; reading it needs a transcript"
    if data[:2] == b"MZ" and b"PE\0\0" in data[:4096]:
        return "is a Windows program, not a document"
    return None
