"""Kafka's jars, listed with their SHA-256 in `kafka-jars.lock` and downloaded once into a cache of the user.

After a change of COORDINATES, `python -m deploy.local.jars` resolves the dependency tree and writes the lock file. An
installation downloads exactly the files of the lock, in parallel, and reads no POM, so no file outside the lock can be
installed.
"""

import fcntl
import hashlib
import os
import shutil
import ssl
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jgo.maven import MavenContext, PythonResolver

from deploy.local.errors import LocalError, no_report

COORDINATES: Final = ("org.apache.kafka:kafka_2.13:4.3.1", "org.slf4j:slf4j-simple:1.7.36")
# The list of certificates on Debian and on Red Hat.
SYSTEM_CERTIFICATES: Final = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
LOCK: Final = Path(__file__).with_name("kafka-jars.lock")


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock file: Maven coordinates and SHA-256 (hex)."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        """The file name in the Maven repository and in the cache."""
        return f"{self.artifact}-{self.version}.jar"


def read_lock() -> list[Jar]:
    """The jars of the lock file."""
    lines = (line.split("#")[0].split() for line in LOCK.read_text().splitlines())
    return [_jar(coordinate, sha256) for coordinate, sha256 in filter(None, lines)]


def _jar(coordinate: str, sha256: str) -> Jar:
    group, artifact, version = coordinate.split(":")
    return Jar(group, artifact, version, sha256)


def cache_folder() -> Path:
    """The cache that all checkouts of one user share: `$XDG_CACHE_HOME/truce`, or `~/.cache/truce`."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(configured) if configured else Path.home() / ".cache") / "truce"


def installed(report: Callable[[str], None] = no_report) -> Path:
    """The folder with every jar of the lock file, downloaded if it does not exist.

    Raises LocalError if a download fails or a file does not have the SHA-256 of the lock file.
    """
    # The folder's name depends on the content of the lock file: checkouts with different locks use different folders.
    folder = cache_folder() / f"kafka-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    jars = read_lock()
    if not folder.is_dir():
        with _download_lock(folder):
            if not folder.is_dir():
                report(f"downloading Kafka ({len(jars)} jars, 44 MB, once)")
                with _system_certificates():
                    _download(jars, folder)
    damaged = [jar.filename for jar in jars if _sha256(folder / jar.filename) != jar.sha256]
    if damaged:
        raise LocalError(f"{folder} is damaged ({', '.join(damaged)}); remove that folder, and it is downloaded again")
    return folder


def _download(jars: list[Jar], folder: Path) -> None:
    """Download and verify all jars, then give the complete folder its name."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".kafka-") as scratch:
        context = MavenContext(resolver=PythonResolver(), repo_cache=Path(scratch) / "repository", timeout=60)
        complete = Path(scratch) / "jars"
        complete.mkdir()

        def download(jar: Jar) -> None:
            artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
            try:
                downloaded = artifact.resolve()
            except (OSError, RuntimeError) as error:  # requests' errors are OSErrors
                raise LocalError(f"Kafka's {jar.filename} could not be downloaded: {error}") from error
            if _sha256(downloaded) != jar.sha256:
                raise LocalError(
                    f"Kafka's {jar.filename}: the downloaded file does not have the SHA-256 of {LOCK.name}"
                )
            shutil.move(downloaded, complete / jar.filename)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(download, jars))
        complete.rename(folder)


@contextmanager
def _system_certificates() -> Iterator[None]:
    """Use the certificates of pip or of the machine for the download.

    A company's proxy can have a certificate that is not in certifi's list.
    """
    named = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    candidates = [os.environ.get("PIP_CERT"), ssl.get_default_verify_paths().cafile, *SYSTEM_CERTIFICATES]
    bundle = next((path for path in candidates if path and Path(path).is_file()), None)
    if bundle is None or any(name in os.environ for name in named):
        yield
        return
    os.environ[named[0]] = bundle  # jgo has no option for the certificates that requests uses
    try:
        yield
    finally:
        del os.environ[named[0]]


@contextmanager
def _download_lock(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def _resolve() -> list[Jar]:
    with tempfile.TemporaryDirectory() as scratch:
        context = MavenContext(resolver=PythonResolver(), repo_cache=Path(scratch), timeout=60)
        dependencies = [context.create_dependency(coordinate) for coordinate in COORDINATES]
        inputs, transitive = context.resolver.resolve(dependencies)
        jars = []
        for dependency in [*inputs, *transitive]:
            artifact = dependency.artifact
            sha256 = _sha256(artifact.resolve())
            jars.append(Jar(artifact.groupId, artifact.artifactId, artifact.version, sha256))
    return sorted(jars, key=lambda jar: (jar.group, jar.artifact))


if __name__ == "__main__":
    lines = [f"{jar.group}:{jar.artifact}:{jar.version} {jar.sha256}" for jar in _resolve()]
    heading = f"# {' + '.join(COORDINATES)}; written by `python -m deploy.local.jars`"
    LOCK.write_text("\n".join([heading, *lines]) + "\n")
    print(f"{LOCK.name}: {len(lines)} jars")
