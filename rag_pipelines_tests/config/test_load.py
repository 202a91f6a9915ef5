"""Every mistake names file, line and field, and the nearest name that would have been right."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from rag_pipelines.config.load import load_configuration, read_file, validate
from rag_pipelines.config.models import IndexConfig
from rag_pipelines.core.errors import ConfigError
from rag_pipelines_tests.config.folder import INDEX, SERVICE, SOURCE, load, write_folder


def mistakes(configs: Path) -> list[str]:
    """The lines of the error, with paths relative to the folder."""
    with pytest.raises(ConfigError) as caught:
        load(configs)
    return [line.removeprefix(f"{configs}/") for line in str(caught.value).splitlines()]


def mistake(configs: Path) -> str:
    """The one line of the error."""
    [line] = mistakes(configs)
    return line


def test_a_folder_without_mistakes(tmp_path: Path) -> None:
    configuration = load(write_folder(tmp_path))
    source = configuration.source_named("handbook")
    assert configuration.root == tmp_path
    assert source.freshness is not None
    assert source.freshness.fail_after == timedelta(hours=6)
    assert source.chunking.rule_for("text/csv").max_tokens == 64
    assert source.chunking.rule_for("text/html").max_tokens == 220
    assert configuration.index_named(None).index == "knowledge"
    assert configuration.sources_of("knowledge") == ("handbook",)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("tenant: acme", "tennant: acme", "6: tennant: there is no such field; did you mean 'tenant'?"),
        (
            "{warn_after: 1h, fail_after",
            "{warn_after: 1h, fail_afer",
            "9: freshness.fail_afer: there is no such field; did you mean 'fail_after'?",
        ),
        (
            "{max_tokens: 64}",
            "{max_token: 64}",
            "13: chunking.by_media_type.text/csv.max_token: there is no such field; did you mean 'max_tokens'?",
        ),
        ("include:", "inclde:", "5: params.inclde: there is no such field; did you mean 'include'?"),
        ("url: docs", "url: ''", "4: params.url: is empty"),
        (
            "1h, fail",
            "soon, fail",
            "9: freshness.warn_after: is not a duration; write a number and s, m, h, d or w, such as 15m",
        ),
        (
            "1h, fail",
            "1:30, fail",
            "9: freshness.warn_after: is not a duration; write a number and s, m, h, d or w, such as 15m",
        ),
        ("1h, fail", "99999999999999w, fail", "9: freshness.warn_after: is too long a duration"),
        ("1h, fail", "0s, fail", "9: freshness.warn_after: must be longer than zero"),
        ("1h, fail", "7h, fail", "9: freshness: warn_after must be shorter than fail_after"),
        (
            "classification: internal",
            "classification: intern",
            "7: classification: 'intern' is not one of the choices; did you mean 'internal'?",
        ),
        (
            "strategy: headings",
            "strategy: x",
            "11: chunking.strategy: 'x' is not one of the choices; "
            "valid: headings, tokens, sentences, hierarchical",
        ),
        (
            "connector: filesystem",
            "connector: filesytem",
            "2: connector: there is no connector 'filesytem'; did you mean 'filesystem'?",
        ),
        (
            "connector: filesystem",
            "connector: sharepoint",
            "2: connector: there is no connector 'sharepoint'; valid: filesystem, git, records",
        ),
        (
            '["group:staff"]',
            '["group:staff", "staff"]',
            "8: acl.1: 'staff' is not group:NAME, user:NAME or *",
        ),
        ("tenant: acme", "tenant: '*'", "6: tenant: must be a name, not *"),
        (
            "source: handbook",
            "source: Hand book",
            "1: source: 'Hand book' does not match ^[a-z][a-z0-9_]{0,62}$",
        ),
        (
            "tenant: acme",
            "tenant: acme\nschedule: daily",
            "7: schedule: is not a cron expression; write five fields such as */15 * * * *, or @daily",
        ),
        ("tenant: acme", "tenant: acme\ntenant: b", "7: tenant is given twice"),
        ("tenant: acme", "tenant: acme\non: true", "7: the key on is no text to YAML; put it in quotes"),
        ("tenant: acme", "tenant: [", "8: is not YAML: expected ',' or ']', but got ':'"),
        (
            "tenant: acme",
            "tenant: acme\nparsing: {seconds: .inf}",
            "7: parsing.seconds: Input should be a finite number",
        ),
    ],
)
def test_a_mistake_in_a_source(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in SOURCE
    configs = write_folder(tmp_path, source=SOURCE.replace(old, new))
    found = [line for line in mistakes(configs) if "is required" not in line]
    assert found == [f"sources/handbook.yaml:{expected}"]


def test_a_missing_field(tmp_path: Path) -> None:
    configs = write_folder(tmp_path, source=SOURCE.replace("tenant: acme\n", ""))
    assert mistake(configs) == "sources/handbook.yaml:1: tenant: is required and missing"


def test_a_missing_field_of_a_connector(tmp_path: Path) -> None:
    source = (
        "source: tickets\nconnector: records\ntenant: acme\nparams:\n  url: a.jsonl\n  fields: {id: id}\n"
    )
    configs = write_folder(tmp_path, **{"sources/tickets.yaml": source})
    assert mistake(configs) == "sources/tickets.yaml:6: params.fields.text: is required and missing"


def test_alternatives_are_one_mistake_of_one_field(tmp_path: Path) -> None:
    source = (
        "source: tickets\nconnector: records\ntenant: acme\nparams:\n  url: a.jsonl\n"
        "  fields: {id: id, text: 5}\n"
    )
    configs = write_folder(tmp_path, **{"sources/tickets.yaml": source})
    assert mistake(configs) == (
        "sources/tickets.yaml:6: params.fields.text: "
        "Input should be a valid string, or: Input should be a valid tuple"
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "sources: [handbook]",
            "sources: [handbok]",
            "2: sources.0: there is no source 'handbok'; did you mean 'handbook'?",
        ),
        (
            "sources: [handbook]",
            "sources:\n  - handbook\n  - nothing",
            "4: sources.1: there is no source 'nothing'; valid: handbook",
        ),
        (
            "provider: openai",
            "provider: local",
            "3: embedding: provider: openai and the openai: section go together",
        ),
        (
            "https://api.example/v1",
            "api.example/v1",
            "7: embedding.openai.base_url: is not an http:// or https:// URL",
        ),
        (
            "dimension: 256",
            "dimension: many",
            "9: embedding.openai.dimension: Input should be a valid integer, "
            "unable to parse string as an integer",
        ),
    ],
)
def test_a_mistake_in_an_index(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in INDEX
    configs = write_folder(tmp_path, index=INDEX.replace(old, new))
    assert mistake(configs) == f"indexes/knowledge.yaml:{expected}"


def test_what_gates_name_must_exist(tmp_path: Path) -> None:
    gates = "gates:\n  data: {sources: {handbok: {floor: 3}}}\n  suites:\n    - suite: smaple\n"
    configs = write_folder(tmp_path, index=f"{INDEX.rstrip()}\n{gates}")
    (configs / "eval").mkdir()
    (configs / "eval" / "sample.yaml").write_text("suite: sample\npath: suite\n", encoding="utf-8")
    told = "\n".join(mistakes(configs))
    assert "gates.data.sources.handbok: there is no source 'handbok'; did you mean 'handbook'?" in told
    assert "gates.suites.0.suite: there is no suite 'smaple'; did you mean 'sample'?" in told


def test_an_unknown_default_index(tmp_path: Path) -> None:
    configs = write_folder(tmp_path, service=SERVICE.replace("knowledge", "knowlege"))
    assert mistake(configs) == (
        "service.yaml:3: default_index: there is no index 'knowlege'; did you mean 'knowledge'?"
    )


def test_the_service_listens_on_this_machine_only(tmp_path: Path) -> None:
    configs = write_folder(tmp_path, service=f"host: 0.0.0.0\n{SERVICE}")
    assert mistake(configs) == (
        "service.yaml:1: host: '0.0.0.0' can be reached from other machines, and auth.mode is none: write "
        "127.0.0.1, or have callers authenticate with auth: {mode: authenticated}"
    )
    for host in ("192.168.7.1", "::", "search.acme.example", "127.0.0.1.example"):
        write_folder(tmp_path, service=f"host: '{host}'\n{SERVICE}")
        assert "can be reached from other machines" in mistake(configs)
    for host in ("127.0.0.1", "127.0.0.2", "::1", "localhost"):
        write_folder(tmp_path, service=f"host: '{host}'\n{SERVICE}")
        assert load(configs).service.host == host


ISSUER = "{issuer: https://login.example, audience: [rag], tenants: {a: acme}}"


def test_with_authentication_any_address_will_do(tmp_path: Path) -> None:
    service = f"host: 0.0.0.0\nauth: {{mode: authenticated, issuers: [{ISSUER}]}}"
    found = load(write_folder(tmp_path, service=service)).service
    assert (found.host, found.local_host, found.dagster_host) == ("0.0.0.0", "127.0.0.1", "127.0.0.1")
    assert found.principal is None


@pytest.mark.parametrize(
    ("service", "message"),
    [
        (
            "{}",
            "service.yaml:1: principal: is required and missing: it says who asks, since auth.mode is none",
        ),
        (
            "auth: {mode: authenticated}\nprincipal: {tenant: acme}",
            "service.yaml:2: principal: is for auth.mode none; remove it, since every caller says who they are",
        ),
        (
            "auth: {mode: authenticated, api_keys: false}",
            "service.yaml:1: auth: accepts neither API keys nor tokens; set api_keys to true or name an issuer",
        ),
        (
            f"principal: {{tenant: acme}}\nauth: {{issuers: [{ISSUER}]}}",
            "service.yaml:2: auth: has issuers whose tokens nobody reads; set mode to authenticated",
        ),
        (
            "auth: {mode: authenticated, groups_from: [file]}",
            "service.yaml:1: auth: groups_from names file, so groups_file must say which",
        ),
        (
            "auth: {mode: authenticated, groups_file: groups.yaml}",
            "service.yaml:1: auth.groups_file: is not read, since groups_from does not name file",
        ),
        (
            f"auth: {{mode: authenticated, issuers: [{ISSUER}, {ISSUER}]}}",
            "service.yaml:1: auth: names the issuer https://login.example twice",
        ),
        (
            f"auth: {{mode: authenticated, issuers: [{ISSUER}, {ISSUER.replace('login', 'sso')}]}}",
            "service.yaml:1: auth: has two issuers for tenant acme that name subjects alike; give "
            "https://sso.example a subject_prefix of its own",
        ),
    ],
)
def test_authentication_that_does_not_fit_together(tmp_path: Path, service: str, message: str) -> None:
    assert mistake(write_folder(tmp_path, service=service)) == message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("https://login", "http://login", "issuer: must be https://; plain http is for loopback addresses"),
        ("https://login", "https://ana:pw@login", "issuer: carries a user or password"),
        ("[rag]", "[]", "audience: "),
        ("tenants: {a: acme}", "tenants: {}", "needs tenant (every token speaks for that one) or tenants"),
        ("tenants: {a: acme}", "tenant: acme, tenants: {a: acme}", "not both"),
        ("{a: acme}", "{a: '*'}", "tenants.a: must be a name, not *"),
        ("audience", "algorithms: [HS256], audience", "'HS256' is not one of the choices"),
        ("audience", "algorithms: [none], audience", "'none' is not one of the choices"),
        ("audience", "jwks_url: 'http://login.example/keys', audience", "jwks_url: must be https://"),
        ("audience", "clearances: {L1: secret}, audience", "'secret' is not one of the choices"),
    ],
)
def test_issuers_that_cannot_be_trusted(tmp_path: Path, old: str, new: str, message: str) -> None:
    service = f"auth: {{mode: authenticated, issuers: [{ISSUER.replace(old, new)}]}}"
    assert message in "\n".join(mistakes(write_folder(tmp_path, service=service)))


def test_all_mistakes_are_listed_at_once(tmp_path: Path) -> None:
    source = (
        SOURCE.replace("tenant: acme\n", "").replace("include:", "inclde:").replace("1h, fail", "x, fail")
    )
    configs = write_folder(
        tmp_path,
        source=source,
        index=INDEX.replace("256", "0"),
        service="principal: {tenant: acme, group: []}",
    )
    assert mistakes(configs) == [
        "sources/handbook.yaml:1: tenant: is required and missing",
        "sources/handbook.yaml:8: freshness.warn_after: is not a duration; "
        "write a number and s, m, h, d or w, such as 15m",
        "sources/handbook.yaml:5: params.inclde: there is no such field; did you mean 'include'?",
        "indexes/knowledge.yaml:9: embedding.openai.dimension: Input should be greater than or equal to 1",
        "service.yaml:1: principal.group: there is no such field; did you mean 'groups'?",
    ]


def test_a_mistake_in_a_source_does_not_make_it_unknown_to_the_index(tmp_path: Path) -> None:
    configs = write_folder(tmp_path, source=SOURCE.replace("tenant: acme", "tenant: ''"))
    assert mistake(configs) == "sources/handbook.yaml:6: tenant: String should have at least 1 character"


def test_one_name_in_two_files(tmp_path: Path) -> None:
    configs = write_folder(tmp_path, **{"sources/other.yml": SOURCE})
    assert mistake(configs) == (
        "sources/other.yml:1: source: source 'handbook' is already defined in handbook.yaml"
    )


SECRET = "sk-abc" + "x" * 20


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("EMBEDDING_KEY", SECRET, "embedding.openai.api_key_env"),
        ("EMBEDDING_KEY", f"[{SECRET}]", "embedding.openai.api_key_env"),
        ("api_key_env: EMBEDDING_KEY", f"api_key: {SECRET}", "embedding.openai.api_key"),
        ("https://api", f"https://user:{SECRET}@api", "embedding.openai.base_url"),
        ("dimension: 256", f"dimension: {SECRET}", "embedding.openai.dimension"),
        ("api_key_env: EMBEDDING_KEY", f'api_key_env: "{SECRET}', "is not YAML"),
    ],
)
def test_a_secret_is_refused_and_never_printed(tmp_path: Path, old: str, new: str, field: str) -> None:
    configs = write_folder(tmp_path, index=INDEX.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load(configs)
    assert field in str(caught.value)
    assert SECRET not in printed(caught.value)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        (f"{{url: 's3://b', storage_options: {{secret: {SECRET}}}}}", "params.storage_options"),
        (
            f"{{url: 's3://b', storage_options_env: {{secret: {SECRET}}}}}",
            "params.storage_options_env.secret",
        ),
        (f"{{url: 's3://user:{SECRET}@b'}}", "params.url"),
    ],
)
def test_a_secret_of_a_connector_is_refused_and_never_printed(
    tmp_path: Path, params: str, field: str
) -> None:
    source = f"source: handbook\nconnector: filesystem\ntenant: acme\nparams: {params}\n"
    with pytest.raises(ConfigError) as caught:
        load(write_folder(tmp_path, source=source))
    assert f":4: {field}: " in str(caught.value)
    assert SECRET not in printed(caught.value)


def test_reading_and_validating_alone_print_no_secret_either(tmp_path: Path) -> None:
    path = tmp_path / "knowledge.yaml"
    for text in (f'index: "{SECRET}', f"index: a\nretain_versions: {SECRET}"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            validate(read_file(path), IndexConfig)
        assert SECRET not in printed(caught.value)


def printed(error: BaseException) -> str:
    """What any traceback of the error could show, its causes and contexts included."""
    found: list[str] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop()
        if current is not None:
            found.append(f"{current!s}\n{current!r}")
            waiting += [current.__cause__, current.__context__]
    return "\n".join(found)


def test_a_secret_is_asked_for_by_name(tmp_path: Path) -> None:
    configs = write_folder(tmp_path, index=INDEX.replace("EMBEDDING_KEY", SECRET))
    assert mistake(configs).startswith(
        "indexes/knowledge.yaml:8: embedding.openai.api_key_env: must be the NAME of an environment variable"
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"source: caf\xe9\n", ": is not UTF-8 text"),
        (b"tenant: acme\nowner: \x00\n", ":2: is not YAML: character U+0000 is not allowed"),
        (b"", ":1: must be a mapping of fields, for example `source: handbook`"),
        (b"- a\n- b\n", ":1: must be a mapping of fields, for example `source: handbook`"),
        (b"a: 1\n---\nb: 2\n", ":2: is not YAML: but found another document"),
        (b"a: !!python/object:os.system {}\n", ":1: is not YAML: could not determine a constructor"),
        (b"a: &a [*a]\n", ": is nested too deeply, or an alias in it contains itself"),
        (b"[" * 5000, ": is nested too deeply, or an alias in it contains itself"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, content: bytes, expected: str) -> None:
    configs = write_folder(tmp_path)
    (configs / "sources" / "bad.yaml").write_bytes(content)
    assert mistake(configs).startswith(f"sources/bad.yaml{expected}")


def test_a_folder_named_like_a_file(tmp_path: Path) -> None:
    configs = write_folder(tmp_path)
    (configs / "sources" / "folder.yaml").mkdir()
    assert mistake(configs) == "sources/folder.yaml: cannot be read (Is a directory)"


def test_no_configuration_folder(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="is not a directory; run from the project's root or set RAG_CONFIGS"
    ):
        load(tmp_path / "configs")


def test_no_service_file(tmp_path: Path) -> None:
    configs = write_folder(tmp_path)
    (configs / "service.yaml").unlink()
    assert mistake(configs) == "service.yaml is missing; it must name at least principal.tenant"


@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_json_is_accepted(tmp_path: Path, indent: int | str | None) -> None:
    data: dict[str, Any] = yaml.safe_load(SOURCE)
    text = json.dumps({**data, "source": "other", "description": "Ünïcode 🙂 a/b"}, indent=indent)
    configs = write_folder(tmp_path, **{"sources/other.json": text.replace("a/b", "a\\/b")})
    assert load(configs).source_named("other").description == "Ünïcode 🙂 a/b"


@pytest.mark.parametrize("indent", ["  ", "\t"])
def test_mistakes_in_json_name_the_line(tmp_path: Path, indent: str) -> None:
    text = json.dumps({"principal": {"tenant": "acme", "subjet": "a"}}, indent=indent)
    configs = write_folder(tmp_path, **{"service.json": text})
    (configs / "service.yaml").unlink()
    assert mistake(configs) == (
        "service.json:4: principal.subjet: there is no such field; did you mean 'subject'?"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{\n"principal": }', "service.json:2: is not JSON: Expecting value"),
        ('{\n"a": 1,\n"a": 2}', "service.json: a is given twice"),
    ],
)
def test_json_that_is_none(tmp_path: Path, text: str, expected: str) -> None:
    configs = write_folder(tmp_path, **{"service.json": text})
    (configs / "service.yaml").unlink()
    assert mistake(configs) == expected


def test_a_byte_order_mark_and_a_capital_suffix_are_accepted(tmp_path: Path) -> None:
    configs = write_folder(tmp_path)
    text = SOURCE.replace("source: handbook", "source: other")
    (configs / "sources" / "OTHER.YAML").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert sorted(load(configs).sources) == ["handbook", "other"]


def test_merge_keys_keep_their_lines(tmp_path: Path) -> None:
    source = SOURCE.replace("{max_tokens: 64}", "&small {max_tokens: 64, strateg: x}")
    source += "    text/x:\n      <<: *small\n"
    assert mistakes(write_folder(tmp_path, source=source)) == [
        f"sources/handbook.yaml:13: chunking.by_media_type.{kind}.strateg: "
        "there is no such field; did you mean 'strategy'?"
        for kind in ("text/csv", "text/x")
    ]


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    configs = write_folder(tmp_path, **{"sources/README.md": "[", "sources/handbook.yaml.bak": "["})
    assert list(load(configs).sources) == ["handbook"]


def test_params_stay_unchecked_without_models(tmp_path: Path) -> None:
    configs = write_folder(tmp_path, source=SOURCE.replace("connector: filesystem", "connector: made_up"))
    assert load_configuration(configs).source_named("handbook").connector == "made_up"


def test_models_are_frozen(tmp_path: Path) -> None:
    configuration = load(write_folder(tmp_path))
    assert configuration.service.principal is not None
    for model, field in (
        (configuration.source_named("handbook"), "tenant"),
        (configuration.index_named("knowledge").embedding, "model"),
        (configuration.service.principal, "subject"),
    ):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(model, field, "other")
    with pytest.raises(AttributeError):
        configuration.service = configuration.service  # type: ignore[misc]


def test_names_that_are_asked_for(tmp_path: Path) -> None:
    configuration = load(write_folder(tmp_path))
    with pytest.raises(ConfigError, match=r"there is no source 'handbok'; did you mean 'handbook'\?"):
        configuration.source_named("handbok")
    with pytest.raises(ConfigError, match=r"there is no index 'knowlege'; did you mean 'knowledge'\?"):
        configuration.index_named("knowlege")


def test_without_a_default_the_only_index_is_meant(tmp_path: Path) -> None:
    service = SERVICE.replace("default_index: knowledge\n", "")
    configs = write_folder(tmp_path, service=service)
    assert load(configs).index_named(None).index == "knowledge"
    write_folder(tmp_path, service=service, **{"indexes/b.yaml": "index: second"})
    with pytest.raises(ConfigError, match="say which index: --index with one of knowledge, second"):
        load(configs).index_named(None)
