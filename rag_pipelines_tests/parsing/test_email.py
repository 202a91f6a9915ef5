"""Mail: people, date, the body that its sender wrote, attachments by name; broken and hostile mail."""

from __future__ import annotations

import base64
from email.message import EmailMessage

import pytest

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ElementKind, ParsedDocument
from rag_pipelines.parsing import email

HEADERS = b"From: Ada <ada@example.org>\nTo: bo@example.org\nSubject: Locks\nDate: Fri, 16 Dec 2022 17:04:16 -0500\n"
PEOPLE = "From: Ada <ada@example.org>\nTo: bo@example.org\nDate: Fri, 16 Dec 2022 17:04:16 -0500"


def parse(data: bytes) -> ParsedDocument:
    return email.parse(data, "mail.eml")


def texts(document: ParsedDocument) -> list[str]:
    return [document.text[element.start : element.end] for element in document.elements]


def composed(body: str | None = "Hello Bo.\n") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Ada <ada@example.org>"
    message["To"] = "bo@example.org"
    message["Subject"] = "Locks"
    message["Date"] = "Fri, 16 Dec 2022 17:04:16 -0500"
    if body is not None:
        message.set_content(body)
    return message


def test_a_plain_mail() -> None:
    document = parse(
        HEADERS + b"Bcc: secret@example.org\nMessage-ID: <1@example.org>\n\nHello Bo.\n\n- one\n- two\n"
    )

    assert texts(document) == ["Locks", PEOPLE, "Hello Bo.", "one", "two"]
    assert [element.kind for element in document.elements][:2] == [ElementKind.TITLE, ElementKind.PARAGRAPH]
    assert document.title == "Locks"
    assert document.media_type == "message/rfc822"
    assert document.metadata == {
        "from": "Ada <ada@example.org>",
        "to": ["bo@example.org"],
        "date": "2022-12-16T17:04:16-05:00",
        "message_id": "<1@example.org>",
    }


def test_blind_copies_are_left_out() -> None:
    document = parse(HEADERS + b"Bcc: secret@example.org\n\nHello\n")

    assert "secret" not in document.text + str(document.metadata)


def test_plain_text_is_preferred_to_html() -> None:
    message = composed("Hello Bo, this is the plain text of the mail.\n")
    message.add_alternative("<p>Hello Bo, this is the <b>HTML</b> text.</p>", subtype="html")

    assert texts(parse(message.as_bytes()))[2:] == ["Hello Bo, this is the plain text of the mail."]


@pytest.mark.parametrize("stub", ["", "Your client cannot show HTML.\n"])
def test_html_is_read_where_the_plain_text_is_a_stub(stub: str) -> None:
    message = composed(stub)
    body = "<p>" + "The lock opens at nine. " * 20 + "</p><ul><li>Bring papers</li></ul>"
    message.add_alternative(
        f"<html><head><style>p{{}}</style></head><body>{body}</body></html>", subtype="html"
    )

    found = texts(parse(message.as_bytes()))

    assert found[2:] == [("The lock opens at nine. " * 20).strip(), "Bring papers"]


def test_html_mail_keeps_what_a_web_page_would_lose() -> None:
    message = composed(None)
    message.set_content('<div class="header">Notice</div><div class="footer">Room 5</div>', subtype="html")

    assert texts(parse(message.as_bytes()))[2:] == ["Notice", "Room 5"]


def test_attachments_are_named_and_not_read() -> None:
    message = composed()
    message.add_attachment(
        b"%PDF-1.4 secret", maintype="application", subtype="pdf", filename="Pläne 2024.pdf"
    )
    message.add_attachment("do not read", filename="notes.txt")
    message.add_attachment(b"\x89PNG" * 100_000, maintype="image", subtype="png")

    document = parse(message.as_bytes())

    names = ["Pläne 2024.pdf", "notes.txt", "unnamed image/png"]
    assert texts(document)[2:] == ["Hello Bo.", "\n".join(f"Attachment: {name}" for name in names)]
    assert document.metadata["attachments"] == names


def test_a_forwarded_mail_is_a_section() -> None:
    inner = composed("The inner text.\n")
    inner.replace_header("Subject", "Older")
    inner.add_attachment(b"x", maintype="application", subtype="zip", filename="a.zip")
    message = composed()
    message.add_attachment(inner)

    document = parse(message.as_bytes())

    assert texts(document) == [
        "Locks",
        PEOPLE,
        "Hello Bo.",
        "Older",
        PEOPLE,
        "The inner text.",
        "Attachment: a.zip",
    ]
    assert document.elements[3].kind is ElementKind.HEADING


def test_quotes_stay_line_by_line_and_the_signature_mark_goes() -> None:
    body = b"Agreed.\n\nOn Monday Bo wrote:\n> Shall we\n> meet?\n>> Maybe.\nYes.\n-- \nAda\nRoom 5\n"

    assert texts(parse(HEADERS + b"\n" + body))[2:] == [
        "Agreed.",
        "On Monday Bo wrote:",
        "> Shall we\n> meet?\n>> Maybe.",
        "Yes.",
        "Ada\nRoom 5",
    ]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?= aus =?iso-8859-1?b?S/ZsbiE=?=", "Grüße aus Köln!"),
        (b"=?utf-8?q?Gr=C3=BC?=\n =?utf-8?q?=C3=9Fe?=", "Grüße"),
        ("Grüße".encode(), "Grüße"),
        ("Grüße".encode("cp1252"), "Grüße"),
        (b"=?nonsense?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        (b"=?utf-8?b?A?= x", "=?utf-8?b?A?= x"),
        (b"=?utf-8?q?Gr=FC=DFe?=", "Gr\ufffd\ufffde"),
    ],
)
def test_subjects(subject: bytes, expected: str) -> None:
    assert parse(b"From: a@example.org\nSubject: " + subject + b"\n\nText\n").title == expected


def test_a_comma_in_an_encoded_name_divides_nothing() -> None:
    document = parse(
        b"From: a@example.org\nTo: =?utf-8?q?L=C3=B6we=2C_Ada?= <ada@example.org>, bo@example.org\n\nText\n"
    )

    assert document.metadata["to"] == ["Löwe, Ada <ada@example.org>", "bo@example.org"]


@pytest.mark.parametrize(
    ("header", "payload"),
    [
        (b'text/plain; charset="utf-8"', "Grüße “an” Bo".encode()),
        (b"text/plain; charset=iso-8859-1", "Grüße “an” Bo".encode("cp1252")),
        (b"text/plain; charset=iso-8859-1", "Grüße “an” Bo".encode()),
        (b"text/plain; charset=unknown-8bit", "Grüße “an” Bo".encode()),
        (b'text/plain; charset = "UTF-8"Content-Transfer-Encoding: 8bit', "Grüße “an” Bo".encode()),
        (b"text/plain; charset*0*=utf-8''%zz; charset*=x", "Grüße “an” Bo".encode()),
        (b"text/html", '<meta charset="cp1252"><p>Grüße “an” Bo</p>'.encode("cp1252")),
        (b"text/html; charset=cp1252", '<meta charset="utf-8"><p>Grüße “an” Bo</p>'.encode("cp1252")),
    ],
)
def test_charsets(header: bytes, payload: bytes) -> None:
    assert texts(parse(HEADERS + b"Content-Type: " + header + b"\n\n" + payload))[-1] == "Grüße “an” Bo"


def test_a_mail_saved_as_utf16() -> None:
    assert texts(parse((HEADERS + b"\nHello").decode().encode("utf-16")))[-1] == "Hello"


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Tue, 29 Jul 2025 12:42:06 +0000", "2025-07-29T12:42:06+00:00"),
        ("2025-07-29T12:42:06Z", "2025-07-29T12:42:06+00:00"),
        ("yesterday", None),
        ("Tue, 99 Jul 99999 12:42:06 +0000", None),
    ],
)
def test_dates(date: str, expected: str | None) -> None:
    document = parse(f"From: a@example.org\nDate: {date}\n\nText\n".encode())

    assert document.metadata.get("date") == expected
    assert f"Date: {date}" in document.text


def test_a_delivery_report_is_text() -> None:
    document = parse(
        HEADERS + b"Content-Type: multipart/report; boundary=x\n\n--x\n\nDelivery failed.\n--x\n"
        b"Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\nStatus: 5.1.1\n\n--x--\n"
    )

    assert texts(document)[2:] == ["Delivery failed.", "Reporting-MTA: dns; mx", "Status: 5.1.1"]


ENCRYPTED = (
    b"Content-Type: multipart/encrypted; boundary=x\n\n"
    b"--x\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n"
)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no mail headers"),
        (b"Just a text\nwithout headers\n", "no mail headers"),
        (b"\0" * 1000, "no mail headers"),
        (HEADERS + ENCRYPTED + b"--x\n\n--x--\n", "encrypted"),
        (HEADERS + b"\n-----BEGIN PGP MESSAGE-----\nhIwDY32hYGCE8MkBA\n", "encrypted"),
        (HEADERS + b"Content-Type: application/pkcs7-mime; name=smime.p7m\n\nAAAA\n", "encrypted"),
        (
            HEADERS + b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\nhi\n" * 3000 + b"--x--\n",
            "2000 parts",
        ),
        (HEADERS + b"Content-Type: message/rfc822\n\n" * 100_000, "too deeply"),
        (HEADERS + b"Content-Type: message/rfc822\n\nSubject: a\n" * 30 + b"\nText", "more than 20 deep"),
        (
            HEADERS
            + b"".join(
                b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(5000)
            ),
            "boundaries",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ParseError, match=reason):
        parse(data)


@pytest.mark.parametrize(
    "header",
    [
        b"To: " + b"a@example.org, " * 100_000,
        b"To: " + b"(" * 100_000,
        b"X-Many: 1\n" * 100_000 + b"To: bo@example.org",
        b"Content-Type: text/plain" + b'; a="b' * 100_000,
        b"Content-Type: text/plain" + b"; a=b" * 100_000,
        b"Reply-To: =?utf-8?q?" + b"=41" * 100_000 + b"?=",
        b"Content-Disposition: inline" + b"\n ;a" * 100_000,
    ],
)
def test_endless_headers_do_not_cost_the_body(header: bytes) -> None:
    assert texts(parse(b"From: a@example.org\nSubject: Locks\n" + header + b"\n\nText\n"))[-1] == "Text"


def test_headers_are_bounded() -> None:
    document = parse(b"From: a@example.org\nMessage-ID: " + b"x" * 1_000_000 + b"\n\nText\n")

    assert document.metadata["message_id"] == "x" * 20_000


def test_many_attachments_are_counted_beyond_a_hundred() -> None:
    part = (
        b"--x\nContent-Type: image/png; name=a.png\nContent-Transfer-Encoding: base64\n\n"
        + base64.b64encode(b"x")
        + b"\n"
    )

    document = parse(HEADERS + b"Content-Type: multipart/mixed; boundary=x\n\n" + part * 150 + b"--x--\n")

    assert texts(document)[-1].splitlines()[-1] == "and 50 more attachments"
    assert len(document.metadata["attachments"]) == 100
