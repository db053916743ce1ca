"""The composition root: an operator's settings become a running service in a Jupyter server.

Imported at every server start, so it imports little; what runs need is built on a worker thread
once the server's loop is up.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from jupyter_core.paths import jupyter_data_dir, jupyter_runtime_dir
from jupyter_server.extension.application import ExtensionApp
from traitlets import Bool, Callable, Dict, Enum, Float, Integer, List, TraitError, Unicode, default

from mellea_jupyter.auth.owner import OwnerResolver, resolve_owner
from mellea_jupyter.exceptions import InvalidInput, InvalidSettings
from mellea_jupyter.handlers.rates import Rate, RateLimits
from mellea_jupyter.handlers.routes import routes
from mellea_jupyter.handlers.streams import OpenStreams

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp
    from traitlets.config import Config

    from mellea_jupyter.auth.owner import User
    from mellea_jupyter.executors.kernel.executor import KernelOptions
    from mellea_jupyter.notifications.mail import Security
    from mellea_jupyter.notifications.setup import Channels
    from mellea_jupyter.service.services import Services

URL_VARIABLE = "MELLEA_JUPYTER_URL"
TOKEN_FILE_VARIABLE = "MELLEA_JUPYTER_TOKEN_FILE"  # noqa: S105 - a name, not a token
ROOT_VARIABLE = "MELLEA_JUPYTER_ROOT_DIR"
START_DELAY_SECONDS = 1.0
SETTINGS_HINT = "Mend it in the server's configuration and restart the server."
SCHEMA_PATH = Path(__file__).parent / "event_schemas" / "run" / "v1.yaml"


class ListOption(List[Any]):
    """A list that the server's command line may give, also one that has a single item.

    The server knows no traits of its extensions when it reads its command line. It reads a single
    option as a text, which traitlets would convert by a validation that needs an owner.
    """

    def from_string(self, s: str) -> Any:
        """The items of `[…]`, else the one item that the text is."""
        return self.from_string_list([s])


class MelleaApp(ExtensionApp):
    """Runs mellea programs as managed runs."""

    name = "mellea_jupyter"
    app_name = "mellea-jupyter"
    description = "Run mellea programs as managed runs."
    extension_url = "/"
    load_other_extensions = True
    wrong_settings = ""
    """What is wrong with the settings, empty when nothing is."""

    data_dir = Unicode(
        help="Folder of the database, journals and artifacts. It must be on a local file system: "
        "SQLite's WAL and file locks do not work on network file systems.",
    ).tag(config=True)
    api_prefix = Unicode(
        "/api",
        help="Where the REST API is, below the server's base URL. /mellea/api works always.",
    ).tag(config=True)
    default_model = Unicode(
        allow_none=True,
        default_value=None,
        help="Model of runs that name none, e.g. 'ollama/granite4:micro'.",
    ).tag(config=True)
    models = ListOption(
        Unicode(),
        help="Models that the launch dialog offers besides recent ones, e.g. ['openai/gpt-4o'].",
    ).tag(config=True)
    max_runs = Integer(4, min=1, help="Most runs that execute at once; others wait.").tag(
        config=True
    )
    max_runs_per_owner = Integer(4, min=1, help="Most runs of one owner that execute at once.").tag(
        config=True
    )
    max_timeout_seconds = Float(
        7 * 24 * 3600.0, help="Longest timeout a run may ask for, in seconds."
    ).tag(config=True)
    grace_seconds = Float(
        10.0, min=0.0, help="Seconds between SIGTERM and SIGKILL when a run is stopped."
    ).tag(config=True)
    max_group_runs = Integer(
        100, min=1, max=1000, help="Most runs that one request may start as a group."
    ).tag(config=True)
    log_cap_mb = Integer(
        256, min=1, help="Most output that is kept of a run, in MiB; the middle goes first."
    ).tag(config=True)
    artifacts_url = Unicode(
        "",
        help="Object store for artifacts, e.g. 's3://bucket/runs'; its credentials come from the "
        "environment. Empty: a folder in data_dir.",
    ).tag(config=True)
    retention_days = Float(
        14.0,
        min=0.0,
        help="Days that the log and artifacts of an ended run are kept; 0 keeps them for good. "
        "Counts for runs that end from then on. Pinned runs keep theirs.",
    ).tag(config=True)
    retention_days_by_owner = Dict(
        value_trait=Float(min=0.0),
        help="The same for single owners, e.g. {'ada': 90}.",
    ).tag(config=True)
    environments = ListOption(
        Dict(),
        help="Environments for all users, e.g. [{'id': 'big', 'python': '/opt/venv/bin/python', "
        "'memory_mb': 8192}]. One with the id 'default' replaces the built-in one.",
    ).tag(config=True)
    environment_defaults = Dict(
        help="Fields of environments that do not say otherwise, e.g. {'memory_mb': 4096}.",
    ).tag(config=True)
    default_environment_id = Unicode(
        "default", help="Environment of runs that name none; one of the settings."
    ).tag(config=True)
    environment_check_seconds = Float(
        30.0, min=0.0, help="Whether an environment works is asked again after so many seconds."
    ).tag(config=True)
    pricing_file = Unicode(
        help="JSON file of your own prices in litellm's per-token schema; they go before the "
        "bundled list. Empty: the file that MELLEA_PRICING_FILE names, if it is set.",
    ).tag(config=True)
    budget_ask_timeout = Float(
        600.0, min=1.0, help="Seconds that a run with on_budget 'ask' waits for an answer before "
        "the answer is no.",
    ).tag(config=True)  # fmt: skip
    max_dataset_mb = Integer(
        10240,
        min=1,
        help="Largest file or folder that may be registered as a dataset, in MiB. Objects named "
        "by URL do not count: they are not kept.",
    ).tag(config=True)
    owner_resolver = Callable(
        help="Function (handler) -> mellea_jupyter.auth.owner.User that "
        "says whose runs a request means. By default the user name where the identity provider "
        "names users, otherwise one owner who is also administrator.",
    ).tag(config=True)
    admin_users = ListOption(
        Unicode(),
        help="Users who may see, stop, share and delete everybody's runs, e.g. ['ada'].",
    ).tag(config=True)
    admin_groups = ListOption(
        Unicode(),
        help="Groups whose members may do the same, as the identity provider names them.",
    ).tag(config=True)
    prewarm = Bool(
        True, help="Keep a prepared interpreter ready, so that runs start in milliseconds."
    ).tag(config=True)
    fork_server_idle_seconds = Float(
        1800.0, help="A prepared interpreter that is not used for so long goes away."
    ).tag(config=True)
    docker_host = Unicode(
        allow_none=True,
        default_value=None,
        help="Where the container engine listens, e.g. unix:///run/docker.sock. Absent: "
        "DOCKER_HOST, else the usual socket. It must see this machine's files.",
    ).tag(config=True)
    docker_uid = Integer(
        10001, min=1, help="User and group id of programs in containers where the server is root. "
        "Elsewhere they have the server's own.",
    ).tag(config=True)  # fmt: skip
    docker_memory_mb = Integer(
        2048, min=16, help="Memory limit of containers whose environment names none, in MiB."
    ).tag(config=True)
    docker_pids_limit = Integer(
        512, min=8, help="Most processes and threads of containers whose environment names none."
    ).tag(config=True)
    docker_cpus = Float(
        2.0, min=0.01, help="Processors of containers whose environment names none."
    ).tag(config=True)
    docker_pull_timeout_seconds = Float(
        3600.0, min=1.0, help="A pull of an image that takes longer is broken off."
    ).tag(config=True)
    docker_idle_seconds = Float(
        1800.0, min=1.0, help="Containers that an environment's prewarm keeps ready go away when "
        "no run asked for one so long.",
    ).tag(config=True)  # fmt: skip
    keep_kernel_seconds = Float(
        1800.0, min=1.0, help="How long the kernel of a failed run is kept for a console, where "
        "the run asked for that (keep_kernel).",
    ).tag(config=True)  # fmt: skip
    heartbeat_seconds = Float(
        15.0, min=0.05, help="Seconds between comments on an idle log stream."
    ).tag(config=True)
    public_url = Unicode(
        help="Where people reach this server, its base URL included, e.g. "
        "'https://lab.example.org/user/ada/': for links in mails and webhooks. On JupyterHub 5 the "
        "hub tells it, where its public_url is set.",
    ).tag(config=True)
    smtp_host = Unicode(help="Mail server that takes our mail; empty: no mail.").tag(config=True)
    smtp_port = Integer(587, min=1, max=65535, help="Its port.").tag(config=True)
    smtp_security = Enum(
        ["starttls", "tls", "none"],
        "starttls",
        help="How the connection is protected: 'starttls' (usually port 587), 'tls' from the "
        "start (465), or 'none' (25, on the same machine only). A server with a certificate of "
        "your own authority: set SSL_CERT_FILE.",
    ).tag(config=True)
    smtp_username = Unicode(help="Login at the mail server; empty: none.").tag(config=True)
    smtp_password_file = Unicode(
        help="File with the password in its first line, readable by its owner only.",
    ).tag(config=True)
    mail_from = Unicode(help="Sender of mails, e.g. 'runs@example.org'.").tag(config=True)
    mail_address_template = Unicode(
        help="Where mail goes for users who gave no address: '{username}@example.org'.",
    ).tag(config=True)
    otlp_endpoint = Unicode(
        help="OpenTelemetry collector that gets each run that ends as a trace, by OTLP over HTTP, "
        "e.g. 'http://localhost:4318'; empty: none. Needs the extra mellea-jupyter[otel].",
    ).tag(config=True)
    otlp_headers_file = Unicode(
        help="File with headers for it, 'name=value' a line, readable by its owner only. Empty: "
        "those of the variable OTEL_EXPORTER_OTLP_HEADERS.",
    ).tag(config=True)
    otlp_content = Bool(
        False,
        help="Export prompts, replies, requirements and error messages, too; otherwise only names, "
        "numbers and times.",
    ).tag(config=True)
    webhook_url = Unicode(
        help="Address that gets a POST for each run that ends; empty: none.",
    ).tag(config=True)
    webhook_secret_file = Unicode(
        help="File with the key that signs webhooks in its first line, readable by its owner only.",
    ).tag(config=True)
    server_name = Unicode(
        help="Where several servers share a store: a run is executed by servers of the same name "
        "as the one it was started on. By default the server's path on a JupyterHub, such as "
        "/user/ada/, so that nobody's programs run with somebody else's keys; elsewhere empty.",
    ).tag(config=True)
    activity_seconds = Float(
        30.0, min=0.0, help="While runs of this server are active, the server counts as active, "
        "looked at each time so many seconds have passed: culling and idle shutdown spare it. "
        "0: runs do not count.",
    ).tag(config=True)  # fmt: skip
    max_body_bytes = Integer(
        8 << 20, min=1024, help="Largest request body that is accepted, in bytes."
    ).tag(config=True)
    max_creates_per_minute = Integer(
        600, min=0, help="Most runs that one user may create in a minute, those of groups and "
        "retries included; further requests get 429. 0: no limit.",
    ).tag(config=True)  # fmt: skip
    max_heavy_requests_per_minute = Integer(
        1200, min=0, help="Most requests of one user in a minute that read or compute much: "
        "registering, checking, comparing, previews, searches, downloads of logs and archives, "
        "pricing anew. 0: no limit.",
    ).tag(config=True)  # fmt: skip
    max_test_mails_per_minute = Integer(
        10, min=0, help="Most test mails that one user may send in a minute. 0: no limit."
    ).tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._services: Services | None = None
        self._building = asyncio.Lock()
        self._activity: asyncio.Task[None] | None = None
        self._warm_up: asyncio.Task[None] | None = None
        self._token_file: Path | None = None
        self.streams = OpenStreams()

    @classmethod
    def from_configuration_files(cls) -> MelleaApp:
        """The app as a server's configuration files set it; command lines are not known here."""
        from jupyter_server.serverapp import ServerApp

        server, app = ServerApp(), cls()
        server.load_config_file()
        app.load_config_file()
        app.update_config(server.config)
        return app

    def update_config(self, config: Config) -> None:
        """Take settings over. Wrong ones do not stop the server: every request of ours says why.

        Traitlets takes all settings back when one is wrong, so none of them may be worked with.
        """
        try:
            super().update_config(config)
        except TraitError as error:
            self.wrong_settings = str(error)

    @default("owner_resolver")
    def _default_owner_resolver(self) -> OwnerResolver:
        return resolve_owner

    @default("server_name")
    def default_server_name(self) -> str:
        """The server's path on a hub, which is different for each user and named server."""
        return os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "")

    @default("data_dir")
    def default_data_dir(self) -> str:
        """Where runs are kept when no setting says so."""
        return str(Path(jupyter_data_dir(), "mellea"))

    def initialize_settings(self) -> None:
        """Let handlers find this app."""
        self.settings["mellea_jupyter"] = self
        self.rates = RateLimits(
            {
                Rate.CREATES: self.max_creates_per_minute,
                Rate.HEAVY: self.max_heavy_requests_per_minute,
                Rate.TEST_MAILS: self.max_test_mails_per_minute,
            }
        )
        if self.serverapp is not None and self.serverapp.event_logger is not None:
            # Before other extensions ask for its events.
            self.serverapp.event_logger.register_event_schema(SCHEMA_PATH)

    def initialize_handlers(self) -> None:
        """Register all routes, at the configured prefix and at the alias."""
        self.handlers.extend(routes(prefix=self.api_prefix))

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        """Called by the server when its loop runs: tell kernels where we are, then get ready."""
        self._advertise(serverapp)
        reporting = self._report_activity(serverapp)
        self._activity = asyncio.create_task(reporting, name="mellea-activity")
        self._warm_up = asyncio.create_task(self._build_in_background(), name="mellea-start")

    async def _build_in_background(self) -> None:
        """Get ready before anybody asks, but not while the server answers its first requests."""
        await asyncio.sleep(START_DELAY_SECONDS)
        try:
            await self.services()
        except InvalidSettings as error:
            self.log.error("mellea-jupyter does not start: %s", error)  # noqa: TRY400
        except Exception:
            self.log.exception("mellea-jupyter could not start; requests will say why")

    async def services(self) -> Services:
        """The running service; the first call builds and starts it, others wait for that.

        Raises:
            InvalidSettings: the operator's settings are wrong.
            StoreError: the database can not be used.
            OSError: the data folder can not be used.
        """
        if self.wrong_settings:
            raise InvalidSettings(self.wrong_settings, hint=SETTINGS_HINT)
        if self._services is None:
            async with self._building:
                if self._services is None:
                    try:
                        services = await asyncio.to_thread(self._build)
                    except InvalidInput as error:
                        said = f"MelleaApp.{error.message}"
                        raise InvalidSettings(said, hint=SETTINGS_HINT) from error
                    try:
                        await services.start()
                    except BaseException:
                        await services.stop()
                        raise
                    self._services = services
        return self._services

    def met(self, user: User) -> None:
        """Told by handlers who makes a request."""
        if self._services is not None:
            self._services.sharing.met(user)

    def _build(self) -> Services:
        from mellea_jupyter.executors.docker.config import Limits
        from mellea_jupyter.executors.docker.executor import DockerOptions
        from mellea_jupyter.retention.policy import RetentionPolicy
        from mellea_jupyter.service.notices import MailDesk
        from mellea_jupyter.service.services import ServiceOptions, Services
        from mellea_jupyter.telemetry.setup import OtlpSettings

        channels = self._channels()
        root = self.serverapp.root_dir if self.serverapp is not None else Path.cwd()
        return Services(
            ServiceOptions(
                data_dir=Path(self.data_dir).expanduser().absolute(),
                root_dir=Path(root),
                default_model=self.default_model,
                models=tuple(self.models),
                max_runs=self.max_runs,
                max_runs_per_owner=self.max_runs_per_owner,
                max_timeout_seconds=self.max_timeout_seconds,
                grace_seconds=self.grace_seconds,
                max_group_runs=self.max_group_runs,
                log_cap_bytes=self.log_cap_mb << 20,
                pricing_file=self.pricing_file or os.environ.get("MELLEA_PRICING_FILE", ""),
                budget_ask_seconds=self.budget_ask_timeout,
                artifacts_url=self.artifacts_url,
                retention=RetentionPolicy(self.retention_days, self.retention_days_by_owner),
                environments=self.environments,
                max_dataset_bytes=self.max_dataset_mb << 20,
                environment_defaults=self.environment_defaults,
                default_environment_id=self.default_environment_id,
                environment_check_seconds=self.environment_check_seconds,
                fork_server_idle_seconds=self.fork_server_idle_seconds,
                prewarm=self.prewarm,
                docker=DockerOptions(
                    url=self.docker_host,
                    account=self.docker_uid,
                    limits=Limits(
                        memory_mb=self.docker_memory_mb,
                        pids=self.docker_pids_limit,
                        cpus=self.docker_cpus,
                    ),
                    pull_timeout_seconds=self.docker_pull_timeout_seconds,
                    idle_seconds=self.docker_idle_seconds,
                ),
                kernel=self._kernel_options(),
                keep_kernel_seconds=self.keep_kernel_seconds,
                server_name=self.server_name,
                channels=channels.all,
                otlp=OtlpSettings(self.otlp_endpoint, self.otlp_headers_file, self.otlp_content),
                mail=MailDesk(
                    unavailable_reason=channels.no_mail_reason,
                    address_template=self.mail_address_template,
                    send_test=None if channels.mail is None else channels.mail.send_test,
                ),
            )
        )

    def _kernel_options(self) -> KernelOptions:
        """What the server's kernels are configured with, for those of runs."""
        from mellea_jupyter.executors.kernel.config import kernel_config
        from mellea_jupyter.executors.kernel.executor import KernelOptions

        if self.serverapp is None:
            return KernelOptions()
        return KernelOptions(
            specs=self.serverapp.kernel_spec_manager,
            manager=self.serverapp.kernel_manager,
            config=kernel_config(self.serverapp.config),
        )

    def _channels(self) -> Channels:
        from mellea_jupyter.notifications.setup import ChannelSettings, make_channels

        settings = ChannelSettings(
            public_url=self.public_url,
            smtp_host=self.smtp_host,
            smtp_port=self.smtp_port,
            smtp_security=cast("Security", self.smtp_security),
            smtp_username=self.smtp_username,
            smtp_password_file=self.smtp_password_file,
            mail_from=self.mail_from,
            mail_address_template=self.mail_address_template,
            webhook_url=self.webhook_url,
            webhook_secret_file=self.webhook_secret_file,
        )
        events = None if self.serverapp is None else self.serverapp.event_logger
        return make_channels(settings, events)

    def current_activity(self) -> dict[str, int] | None:
        """Active runs, so that an idle server with runs does not shut itself down."""
        active = self._services.active_runs if self._services and self.activity_seconds else 0
        return {"mellea_runs": active} if active else None

    async def _report_activity(self, serverapp: ServerApp) -> None:
        """Keep a hub's culler away while runs are active.

        Jupyter Server takes every setting of its own whose name ends so as a time of activity, and
        tells the hub of the latest one. `self.settings` is a copy that it reads once.
        """
        settings = serverapp.web_app.settings
        while self.activity_seconds:
            if self._services is not None and self._services.active_runs:
                settings["mellea_jupyter_last_activity"] = datetime.now(UTC)
            await asyncio.sleep(self.activity_seconds)

    def _advertise(self, serverapp: ServerApp) -> None:
        """Let this server's kernels find it: they inherit the environment."""
        folder = Path(jupyter_runtime_dir())
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"mellea-{os.getpid()}.token"
        path.unlink(missing_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(str(getattr(serverapp.identity_provider, "token", "") or ""))
        self._token_file = path
        os.environ[URL_VARIABLE] = serverapp.connection_url
        os.environ[TOKEN_FILE_VARIABLE] = os.fspath(path)
        os.environ[ROOT_VARIABLE] = serverapp.root_dir

    async def stop_extension(self) -> None:
        """Called by the server when it stops: placed runs go on without it."""
        for task in (self._activity, self._warm_up):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        await self.streams.close()
        if self._services is not None:
            services, self._services = self._services, None
            await services.stop()
        if self._token_file is not None:
            self._token_file.unlink(missing_ok=True)
