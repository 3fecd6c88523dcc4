"""Django, which mounts no applications: a project's `asgi.py` does, and lifespan events reach nobody."""

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from pais_lite.http.types import Receive, Scope, Send
from tests.embedding.agents import first, second


def hello(request: HttpRequest) -> HttpResponse:
    """Answer a route of the host's own."""
    return HttpResponse("hello from the host", headers={"x-host": "django"})


def boom(request: HttpRequest) -> HttpResponse:
    """Fail as hosts do."""
    raise LookupError


def sorry(request: HttpRequest) -> HttpResponse:
    """Answer errors as this host does."""
    return HttpResponse("the host is sorry", status=500)


urlpatterns = [path("hello", hello), path("boom", boom)]
handler500 = sorry

settings.configure(
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="only for tests", LOGGING_CONFIG=None
)
django.setup()
_django = get_asgi_application()
_mounts = {"/agents/first": first, "/agents/second": second}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Hand each request to whoever has its prefix."""
    for prefix, server in _mounts.items():
        if scope.get("path", "").startswith(f"{prefix}/"):
            await server({**scope, "root_path": scope.get("root_path", "") + prefix}, receive, send)
            return
    if scope["type"] == "http":
        await _django(dict(scope), receive, send)
