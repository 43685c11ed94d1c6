"""What a RayCluster may hold, as far as cluster/kuberay.yaml uses it: a JSON schema.

Written after the types of KubeRay's API (ray.io/v1, RayClusterSpec and what it contains) and of
Kubernetes' core/v1 pods; every object is closed, so a misspelt key is an error.
"""

from typing import Any

TEXT, NUMBER, TRUTH = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}
QUANTITY = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|Ki|Mi|Gi|Ti|M|G|T)?$"}


def closed(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def each(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


TEXTS = {"type": "object", "additionalProperties": TEXT}
QUANTITIES = {"type": "object", "additionalProperties": QUANTITY}
SECRET = closed(("name", "key"), name=TEXT, key=TEXT)
VARIABLE = closed(("name",), name=TEXT, value=TEXT, valueFrom=closed(secretKeyRef=SECRET))
CONTAINER = closed(
    ("name", "image"),
    name=TEXT,
    image=TEXT,
    env=each(VARIABLE),
    command=each(TEXT),
    args=each(TEXT),
    resources=closed(requests=QUANTITIES, limits=QUANTITIES),
)
POD = closed(
    ("spec",),
    metadata=closed(labels=TEXTS, annotations=TEXTS),
    spec=closed(
        ("containers",),
        containers=each(CONTAINER),
        serviceAccountName=TEXT,
        nodeSelector=TEXTS,
        terminationGracePeriodSeconds=NUMBER,
    ),
)
HEAD = closed(
    ("rayStartParams", "template"),
    serviceType={"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
    rayStartParams=TEXTS,
    template=POD,
)
WORKERS = closed(
    ("groupName", "minReplicas", "maxReplicas", "rayStartParams", "template"),
    groupName=TEXT,
    replicas=NUMBER,
    minReplicas=NUMBER,
    maxReplicas=NUMBER,
    numOfHosts=NUMBER,
    rayStartParams=TEXTS,
    template=POD,
)
AUTOSCALER = closed(
    idleTimeoutSeconds=NUMBER,
    upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
    env=each(VARIABLE),
    resources=closed(requests=QUANTITIES, limits=QUANTITIES),
)
RAY_CLUSTER = closed(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayCluster"},
    metadata=closed(("name",), name=TEXT, labels=TEXTS, annotations=TEXTS),
    spec=closed(
        ("headGroupSpec",),
        rayVersion=TEXT,
        enableInTreeAutoscaling=TRUTH,
        autoscalerOptions=AUTOSCALER,
        headGroupSpec=HEAD,
        workerGroupSpecs=each(WORKERS),
    ),
)
