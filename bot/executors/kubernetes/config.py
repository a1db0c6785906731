"""What config says of jobs on Kubernetes: the cluster, the image, and what a pod is given."""

from __future__ import annotations

from datetime import timedelta
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from bot.executors.cluster_section import ClusterSection, ClusterUrl
from bot.sections import Duration, Secret, Section, Size

LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"  # as RFC 1123 has it
NAME = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"
LabelKey = Annotated[
    str, Field(pattern=r"^([a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$")
]
LabelValue = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?)?$")]
FROM_HERALD = frozenset({"HERALD_FIRE_ID", "HERALD_SEED", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"})
ObjectName = Annotated[str, Field(pattern=NAME, max_length=253)]
KeyOfSecret = Annotated[str, Field(pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?/[-._a-zA-Z0-9]+$")]  # SECRET/KEY


class MountSection(Section):
    """A folder of the pod that comes from elsewhere: one of a claim, a config map and a secret."""

    path: Annotated[str, Field(pattern="^/")]
    claim: ObjectName | None = None
    config_map: ObjectName | None = None
    secret: ObjectName | None = None
    sub_path: str = ""
    read_only: bool = True

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(each is not None for each in (self.claim, self.config_map, self.secret)) != 1:
            raise ValueError('should have exactly one of claim = "...", config_map = "..." or secret = "..."')
        return self


class TolerationSection(Section):
    key: str = ""  # of any taint
    operator: Literal["Exists", "Equal"] = "Exists"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None


class KubernetesSection(ClusterSection):
    """A namespace of a cluster; without an address it is that of a kubeconfig, or the one that Herald runs in."""

    kind: Literal["kubernetes"] = "kubernetes"
    namespace: Annotated[str, Field(pattern=LABEL, max_length=63)] = "default"
    kubeconfig: str = ""
    context: str = ""
    url: ClusterUrl | None = None
    token: Secret = SecretStr("")
    ca_file: str = ""
    image: Annotated[str, Field(pattern=r"^\S+$")]
    workdir: str = ""  # of the image, where job.cwd starts
    cpus: Annotated[int, Field(ge=1)] | None = None  # where the job says nothing, as the two below
    memory: Size | None = None
    gpus: Annotated[int, Field(ge=1)] | None = None
    gpu_resource: Annotated[str, Field(pattern=r"^[a-z0-9.-]+/[A-Za-z0-9_.-]+$")] = "nvidia.com/gpu"
    secrets: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], KeyOfSecret] = Field(
        default_factory=dict
    )  # by variable
    mounts: tuple[MountSection, ...] = ()
    service_account: ObjectName | None = None
    pull_secrets: tuple[ObjectName, ...] = ()
    pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    node_selector: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    tolerations: tuple[TolerationSection, ...] = ()
    priority_class: ObjectName | None = None
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)  # of the job and its pod
    queue: ObjectName | None = None  # of Kueue
    start_within: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(
        hours=1
    )  # a pod that has not started by then is given up
    keep: Duration | None = None  # how long the cluster keeps a job that is over; without it, until somebody removes it

    @property
    def place(self) -> str:
        server = f"at {str(self.url).rstrip('/')}" if self.url is not None else f"of {self.context or self.kubeconfig}"
        named = server if server != "of " else "of the usual kubeconfig, or around Herald"
        return f"Kubernetes {named}, namespace {self.namespace}"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.url is not None and (self.kubeconfig or self.context):
            raise ValueError("should have either url, or kubeconfig and context: both name a cluster")
        if self.token.get_secret_value() and self.url is None:
            raise ValueError("token is for url = ...: a kubeconfig has its own")
        if self.workdir and not PurePosixPath(self.workdir).is_absolute():
            raise ValueError(f"workdir: {self.workdir!r} should begin with /")
        paths = [PurePosixPath(each.path) for each in self.mounts]
        if twice := next((path for path in paths if paths.count(path) > 1), None):
            raise ValueError(f"mounts: {str(twice)!r} is the path of two: each needs one of its own")
        if ours := sorted(FROM_HERALD & self.secrets.keys()):
            raise ValueError(f"secrets: {ours[0]} is Herald's to set")
        if self.keep is not None and self.keep < timedelta(hours=1):
            raise ValueError("keep should be at least 1h: Herald has to see how a job ended")
        return self
