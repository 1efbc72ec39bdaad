"""The generated files are up to date with the models, and a published schema never changes incompatibly."""

import json
import shutil
from itertools import chain
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
    """The same message with a new required field, which old messages do not have."""

    author: PartnerId


class MovedNote(Note):
    """The same message on another topic."""

    topic: ClassVar[str] = topics.VERDICTS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the published files of `Note`."""
    assert generate.run(tmp_path, (Note,)) == []
    return tmp_path


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The AsyncAPI document as published."""
    content: dict[str, Any] = json.loads((FOLDER / "asyncapi.json").read_text("utf-8"))
    return content


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in folder.rglob("*.json")}


def test_the_published_files_are_up_to_date_with_the_models() -> None:
    assert generate.run(check=True) == []
    assert generate.main(["--check"]) == 0


def test_each_ce_type_names_one_message_and_its_version() -> None:
    assert len(set(TYPES)) == len(MESSAGES)
    assert all(name.rpartition(".v")[2].isdigit() for name in TYPES)


@pytest.mark.parametrize("ce_type", TYPES)
def test_a_schema_is_valid_and_names_its_message(ce_type: str) -> None:
    schema = load("schemas", ce_type)

    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:truce:{ce_type}"
    assert schema["title"]
    assert schema["description"]


def test_check_names_the_stale_files_and_writes_nothing(folder: Path) -> None:
    path = folder / "schemas" / "note.v1.json"
    path.write_text(path.read_text("utf-8").replace("A message of these tests.", "An old description."), "utf-8")
    (folder / "asyncapi.json").unlink()
    before = files(folder)

    problems = generate.run(folder, (Note,), check=True)

    assert [problem.split(":")[0] for problem in problems] == ["schemas/note.v1.json", "asyncapi.json"]
    assert files(folder) == before


def test_a_description_may_change(folder: Path) -> None:
    path = folder / "schemas" / "note.v1.json"
    current = path.read_text("utf-8")
    path.write_text(current.replace("A message of these tests.", "An old description."), "utf-8")

    assert generate.run(folder, (Note,)) == []
    assert path.read_text("utf-8") == current


@pytest.mark.parametrize("check", [False, True])
def test_an_incompatible_schema_is_refused_and_nothing_is_written(folder: Path, check: bool) -> None:
    before = files(folder)

    problems = generate.run(folder, (ChangedNote,), check=check)

    assert problems[0] == "schemas/note.v1.json: message.author: new and required; old messages lack it"
    assert files(folder) == before


def test_a_published_message_stays_on_its_topic(folder: Path) -> None:
    problems = generate.run(folder, (MovedNote,))

    assert "x-kafka-topic was 'leads', is 'verdicts'" in problems[0]


def test_a_published_message_stays_in_the_catalogue(folder: Path) -> None:
    problems = generate.run(folder, MESSAGES)

    assert problems[0].startswith("schemas/note.v1.json: published, but not in the catalogue")


def test_the_command_exits_with_1_and_prints_the_problems(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
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
    """The AsyncAPI document, for portals' teams and operators."""

    def test_it_lists_every_message_once_for_each_topic_it_is_on(self, document: dict[str, Any]) -> None:
        on_channels = [kind for channel in document["channels"].values() for kind in channel["messages"]]

        assert sorted(on_channels) == sorted([*TYPES, *chain.from_iterable(asyncapi.ALSO_PUBLISHED.values())])
        assert sorted(document["components"]["messages"]) == sorted(TYPES)

    def test_it_puts_every_message_on_its_topic(self, document: dict[str, Any]) -> None:
        for message in MESSAGES:
            assert message.ce_type in document["channels"][message.topic]["messages"]

    def test_it_has_a_channel_for_every_topic_as_it_is_provisioned(self, document: dict[str, Any]) -> None:
        partitions = {
            channel["address"]: channel["bindings"]["kafka"]["partitions"] for channel in document["channels"].values()
        }

        assert partitions == {spec.name: spec.partitions for spec in (*topics.TOPICS, asyncapi.PORTAL)}
        assert "portal-requests.{portal}" in partitions
        assert "portal" in document["channels"]["portal-requests"]["parameters"]

    def test_it_names_the_services_that_send_and_read_each_topic(self, document: dict[str, Any]) -> None:
        for topic, (senders, readers) in FLOW.items():
            operations = {
                (operation["action"], name.partition(".")[0])
                for name, operation in document["operations"].items()
                if operation["channel"]["$ref"] == f"#/channels/{topic}"
            }
            assert operations == {("send", name) for name in senders} | {("receive", name) for name in readers}

    def test_messages_about_a_client_have_the_client_key_as_record_key(self, document: dict[str, Any]) -> None:
        for message in MESSAGES:
            if issubclass(message, ClientMessage):
                key = document["components"]["messages"][message.ce_type]["bindings"]["kafka"]["key"]
                assert key["pattern"] == "^k1:[0-9a-f]{64}$"

    def test_every_reference_has_a_target(self, document: dict[str, Any]) -> None:
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


def test_a_free_record_key_is_distinguished_from_a_field() -> None:
    class Free(Message):
        """A message whose producer chooses the key."""

        ce_type: ClassVar[str] = "free.v1"
        topic: ClassVar[str] = topics.PORTAL_REQUESTS

    assert asyncapi.key_form(Note) == "client_key"
    assert asyncapi.key_form(Free) is None
