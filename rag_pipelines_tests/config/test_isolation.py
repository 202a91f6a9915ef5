"""An index that keeps tenants apart is one index for each of them, and says what is wrong where it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipelines.config.models import IndexConfig
from rag_pipelines.core.errors import ConfigError
from rag_pipelines_tests.config.folder import load, write_folder

APART = "index: handbook\nisolation: collection\n"


def written(root: Path, text: str, name: str = "handbook") -> Path:
    configs = write_folder(root)
    (configs / "indexes" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return configs


def test_each_tenant_gets_an_index_with_all_the_settings(tmp_path: Path) -> None:
    text = f"{APART}tenants: [acme, globex]\nretain_versions: 7\nfilter_fields: [team]\n"
    configuration = load(written(tmp_path, text))

    assert list(configuration.indexes) == ["handbook__acme", "handbook__globex", "knowledge"]
    assert configuration.families == {"handbook": {"acme": "handbook__acme", "globex": "handbook__globex"}}
    acme = configuration.indexes["handbook__acme"]
    assert (acme.index, acme.tenant, acme.tenants, acme.retain_versions) == ("handbook__acme", "acme", {}, 7)
    assert configuration.indexes["knowledge"].tenant is None
    with pytest.raises(ConfigError, match="one of handbook__acme, handbook__globex"):
        configuration.index_named("handbook")
    assert configuration.index_named("handbook__globex").tenant == "globex"


def test_a_tenant_that_is_no_part_of_a_name_is_given_one(tmp_path: Path) -> None:
    configuration = load(written(tmp_path, f"{APART}tenants: {{acme: Acme Corp.}}\n"))

    assert configuration.indexes["handbook__acme"].tenant == "Acme Corp."
    assert configuration.families == {"handbook": {"Acme Corp.": "handbook__acme"}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (APART, "isolation: collection and tenants go together"),
        ("index: handbook\ntenants: [acme]\n", "isolation: collection and tenants go together"),
        (f"{APART}tenants: [acme]\ntenant: acme\n", "either tenant (an index of one) or tenants"),
        (
            f"{APART}tenants: [Acme Corp.]\n",
            "'Acme Corp.' cannot be part of an index's name; write a mapping",
        ),
        (f"{APART}tenants: {{Acme: acme}}\n", "'Acme' does not match"),
        (f"{APART}tenants: {{a: acme, b: acme}}\n", "names a tenant twice"),
        (f"{APART}tenants: {{a: '*'}}\n", "must be a name, not *"),
        (f"{APART}tenants: [{'a' * 60}]\n", "too long together"),
        ("index: handbook\nisolation: server\n", "'server' is not one of the choices"),
        ("index: handbook\ntenant: '*'\n", "must be a name, not *"),
    ],
)
def test_what_cannot_be(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text))
    assert said in str(caught.value)
    assert "handbook.yaml:" in str(caught.value)


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    configs = written(tmp_path, f"{APART}tenants: [acme]\n")
    (configs / "indexes/mine.yaml").write_text("index: handbook__acme\n", encoding="utf-8")
    with pytest.raises(
        ConfigError, match="keeps tenant 'acme' in an index 'handbook__acme', and configs/indexes has"
    ):
        load(configs)


def test_flags_and_the_default_may_name_the_whole(tmp_path: Path) -> None:
    configs = written(tmp_path, f"{APART}tenants: [acme, globex]\n")
    service = configs / "service.yaml"
    service.write_text("principal: {tenant: acme}\ndefault_index: handbook\n", encoding="utf-8")
    (configs / "flags.yaml").write_text(
        "retrieval:\n"
        "  handbook: {variants: {plain: {mode: dense}}, default: plain}\n"
        "  handbook__globex: {variants: {terms: {mode: sparse}}, default: terms}\n",
        encoding="utf-8",
    )
    configuration = load(configs)

    assert {name: flag.default for name, flag in configuration.flags.retrieval.items()} == {
        "handbook__acme": "plain",
        "handbook__globex": "terms",
    }
    with pytest.raises(ConfigError, match="is one for each tenant"):
        configuration.index_named(None)
    (configs / "flags.yaml").write_text("retrieval: {handbok: {variants: {a: {}}}}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="no index 'handbok'; did you mean 'handbook'"):
        load(configs)


def test_an_index_of_one_tenant_is_written_by_hand() -> None:
    assert IndexConfig(index="acme_only", tenant="acme").tenant == "acme"
