"""The generated files: always those of the models, and never an incompatible change of what was published."""

import json
import shutil
from pathlib import Path
from typing import Any, ClassVar

import pytest
from jsonschema import Draft202012Validator

from contracts import asyncapi, generate, topics
from contracts.asyncapi import FLOW
from contracts.base import ClientMessage, Message, PartnerId
from contracts.catalogue import MESSAGES
from tests.contracts.samples import FOLDER, TYPES, load


class Note(ClientMessage):
    """A message of these tests."""

    ce_type: ClassVar[str] = "note.v1"
    topic: ClassVar[str] = topics.LEADS

    text: str


class ChangedNote(Note):
    """The same message, grown in a way that old messages do not fit."""

    author: PartnerId


class MovedNote(Note):
    """The same message on another topic."""

    topic: ClassVar[str] = topics.VERDICTS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder where `Note` is published."""
    assert generate.run(tmp_path, (Note,)) == []
    return tmp_path


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The AsyncAPI document as published."""
    content: dict[str, Any] = json.loads((FOLDER / "asyncapi.json").read_text("utf-8"))
    return content


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in folder.rglob("*.json")}


def test_the_published_files_are_those_of_the_models() -> None:
    assert generate.run(check=True) == []
    assert generate.main(["--check"]) == 0


def test_each_ce_type_names_one_message_and_its_version() -> None:
    assert len(set(TYPES)) == len(MESSAGES)
    assert all(name.rpartition(".v")[2].isdigit() for name in TYPES)


@pytest.mark.parametrize("ce_type", TYPES)
def test_a_schema_is_valid_and_says_what_it_is(ce_type: str) -> None:
    schema = load("schemas", ce_type)

    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:truce:{ce_type}"
    assert schema["title"]
    assert schema["description"]


def test_check_names_what_is_stale_and_writes_nothing(folder: Path) -> None:
    path = folder / "schemas" / "note.v1.json"
    path.write_text(path.read_text("utf-8").replace("A message of these tests.", "Old words."), "utf-8")
    (folder / "asyncapi.json").unlink()
    before = files(folder)

    problems = generate.run(folder, (Note,), check=True)

    assert [problem.split(":")[0] for problem in problems] == ["schemas/note.v1.json", "asyncapi.json"]
    assert files(folder) == before


def test_words_may_change(folder: Path) -> None:
    path = folder / "schemas" / "note.v1.json"
    current = path.read_text("utf-8")
    path.write_text(current.replace("A message of these tests.", "Old words."), "utf-8")

    assert generate.run(folder, (Note,)) == []
    assert path.read_text("utf-8") == current


@pytest.mark.parametrize("check", [False, True])
def test_an_incompatible_schema_is_refused_by_name_and_place_and_nothing_is_written(folder: Path, check: bool) -> None:
    before = files(folder)

    problems = generate.run(folder, (ChangedNote,), check=check)

    assert problems[0] == "schemas/note.v1.json: message.author: new and required; old messages lack it"
    assert files(folder) == before


def test_a_published_message_does_not_move_to_another_topic(folder: Path) -> None:
    problems = generate.run(folder, (MovedNote,))

    assert "x-kafka-topic was 'leads', is 'verdicts'" in problems[0]


def test_a_published_message_does_not_leave_the_catalogue(folder: Path) -> None:
    problems = generate.run(folder, MESSAGES)

    assert problems[0].startswith("schemas/note.v1.json: published, but gone from the catalogue")


def test_the_command_exits_1_and_says_why(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(generate, "run", lambda *, check: ["schemas/note.v1.json: stale"] if check else [])

    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 1
    assert "schemas/note.v1.json: stale" in capsys.readouterr().err


def test_generating_twice_changes_nothing(tmp_path: Path) -> None:
    shutil.copytree(FOLDER / "schemas", tmp_path / "schemas")
    assert generate.run(tmp_path) == []
    first = files(tmp_path)

    assert generate.run(tmp_path) == []
    assert files(tmp_path) == first


class TestAsyncApi:
    """The document for portals' teams and operators."""

    def test_lists_every_message_once_for_each_service_that_says_it(self, document: dict[str, Any]) -> None:
        on_channels = [kind for channel in document["channels"].values() for kind in channel["messages"]]

        assert sorted(on_channels) == sorted([*TYPES, *(kind for kinds in asyncapi.ALSO.values() for kind in kinds)])
        assert sorted(document["components"]["messages"]) == sorted(TYPES)

    def test_puts_every_message_on_its_topic(self, document: dict[str, Any]) -> None:
        for message in MESSAGES:
            assert message.ce_type in document["channels"][message.topic]["messages"]

    def test_has_a_channel_for_every_topic_as_it_is_provisioned(self, document: dict[str, Any]) -> None:
        partitions = {
            channel["address"]: channel["bindings"]["kafka"]["partitions"] for channel in document["channels"].values()
        }

        assert partitions == {spec.name: spec.partitions for spec in (*topics.TOPICS, asyncapi.PORTAL)}
        assert "portal-requests.{portal}" in partitions
        assert "portal" in document["channels"]["portal-requests"]["parameters"]

    def test_says_who_sends_and_who_reads_each_topic(self, document: dict[str, Any]) -> None:
        for topic, (senders, readers) in FLOW.items():
            operations = {
                (operation["action"], name.partition(".")[0])
                for name, operation in document["operations"].items()
                if operation["channel"]["$ref"] == f"#/channels/{topic}"
            }
            assert operations == {("send", name) for name in senders} | {("receive", name) for name in readers}

    def test_keys_what_is_about_a_client_by_the_client_key(self, document: dict[str, Any]) -> None:
        for message in MESSAGES:
            if issubclass(message, ClientMessage):
                key = document["components"]["messages"][message.ce_type]["bindings"]["kafka"]["key"]
                assert key["pattern"] == "^k1:[0-9a-f]{64}$"

    def test_every_reference_leads_somewhere(self, document: dict[str, Any]) -> None:
        for reference in _references(document):
            place: Any = document
            for step in reference.removeprefix("#/").split("/"):
                place = place[step]
            assert place


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [reference for part in node for reference in _references(part)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [reference for part in node.values() for reference in _references(part)]


def test_a_free_key_is_told_from_a_field() -> None:
    class Free(Message):
        """Keyed by anything."""

        ce_type: ClassVar[str] = "free.v1"
        topic: ClassVar[str] = topics.PORTAL_REQUESTS

    assert asyncapi.key_form(Note) == "client_key"
    assert asyncapi.key_form(Free) is None
