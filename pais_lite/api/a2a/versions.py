"""Which version of the protocol a request speaks, and what it calls which operation there.

Operations go by their names in 1.0.
"""

import re
from typing import Literal

from pais_lite.api.a2a.errors import method_not_found, version_not_supported

__all__ = ["OPERATIONS", "PUSH_OPERATIONS", "Version", "negotiate"]

Version = Literal["0.3", "1.0"]

# By the methods of 0.3; the listing of tasks is not among them over JSON-RPC (section 7.3.1).
_METHODS_0_3 = {
    "message/send": "SendMessage",
    "message/stream": "SendStreamingMessage",
    "tasks/get": "GetTask",
    "tasks/cancel": "CancelTask",
    "tasks/resubscribe": "SubscribeToTask",
    "tasks/pushNotificationConfig/set": "CreateTaskPushNotificationConfig",
    "tasks/pushNotificationConfig/get": "GetTaskPushNotificationConfig",
    "tasks/pushNotificationConfig/list": "ListTaskPushNotificationConfigs",
    "tasks/pushNotificationConfig/delete": "DeleteTaskPushNotificationConfig",
    "agent/getAuthenticatedExtendedCard": "GetExtendedAgentCard",
}
OPERATIONS = frozenset({*_METHODS_0_3.values(), "ListTasks"})
PUSH_OPERATIONS = frozenset(name for name in OPERATIONS if "PushNotification" in name)

_VERSION = re.compile(r"(0\.3|1\.0)(\.[0-9]+)?")


def negotiate(asked: str | None, method: str) -> tuple[Version, str]:
    """Return the version that a request speaks, and the operation that it asks for.

    `asked` is the `A2A-Version` that came along. Without one it is 0.3 (A2A 1.0, section 3.6.2), except for methods
    that only 1.0 has: there are clients of 1.0 that do not say so.

    Raises:
        RpcError: the version is not spoken here (-32009), or has no such method (-32601).
    """
    version: Version
    if not asked:
        version = "1.0" if method in OPERATIONS else "0.3"
    else:
        found = _VERSION.fullmatch(asked)
        if found is None:
            raise version_not_supported(asked)
        version = "0.3" if found[1] == "0.3" else "1.0"
    if version == "1.0" and method in OPERATIONS:
        return version, method
    if version == "0.3" and method in _METHODS_0_3:
        return version, _METHODS_0_3[method]
    raise method_not_found(method, version)
