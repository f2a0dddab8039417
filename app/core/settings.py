"""Everything that can be set, each by a variable MODELPRESS_NAME."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30

LogLevel = Literal["debug", "info", "warning", "error"]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="MODELPRESS_", frozen=True, extra="ignore")

    data_dir: Path = Field(Path("var"), description="All state: the database, files, logs and job folders.")
    database_url: str | None = Field(None, description="SQLAlchemy URL; default: modelpress.db in the data folder.")
    host: str = "127.0.0.1"
    port: int = 8000
    log_level: LogLevel = "info"

    insecure: bool = Field(False, description="Answer without keys on an address that others can reach.")
    allowed_hosts: tuple[str, ...] = Field((), description="Host names answered beside those of a loopback address.")
    allow_unsandboxed: bool = Field(
        False, description="Run TorchScript and .pt2 even where Landlock or seccomp is missing."
    )

    max_upload_bytes: int = Field(8 * GIBIBYTE, ge=1)
    max_body_bytes: int = Field(1 * MEBIBYTE, ge=1, description="Of a JSON body.")
    min_free_bytes: int = Field(
        64 * MEBIBYTE, ge=0, description="An upload is refused, a job ended where less would be left."
    )

    slots: int = Field(1, ge=1, le=64, description="Compress jobs that one worker runs at once.")
    inspect_slots: int = Field(2, ge=1, le=64, description="Uploads that one worker looks at at once.")
    lease_seconds: float = Field(30, gt=0)
    heartbeat_seconds: float = Field(1, gt=0)
    poll_seconds: float = Field(0.2, gt=0)
    max_attempts: int = Field(3, ge=1, description="Tries of a job whose worker was lost.")
    retry_seconds: float = Field(1, gt=0, description="Wait before the second try; doubled for each further one.")
    max_memory_mb: int = Field(16_384, ge=256, description="The most that a job may ask for.")
    max_seconds: int = Field(86_400, ge=1, description="The longest time that a job may ask for.")
    disk_mb: int = Field(20_480, ge=16, description="What one job may write.")
    log_bytes: int = Field(4 * MEBIBYTE, ge=1024, description="What one job may print.")
    inspect_seconds: int = Field(300, ge=1)
    inspect_memory_mb: int = Field(8192, ge=256)
    orphan_seconds: float = Field(3600, ge=0, description="Age at which a file without a row is swept away.")

    @property
    def url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'modelpress.db'}"

    @property
    def files_dir(self) -> Path:
        return self.data_dir / "files"

    @property
    def work_dir(self) -> Path:
        return self.data_dir / "work"

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"

    def on_loopback(self) -> bool:
        return self.host in {"localhost", "::1"} or self.host.startswith("127.")
