"""The proxies that the environment names: `https_proxy`, `http_proxy`, `no_proxy`, in either case.

They are looked up once for each service, when the run is wired. aiohttp's own `trust_env` would look them up in a
thread for every request, and would let a `.netrc` put its credentials beside ours. The service and the identity
service are looked up apart: one may be behind the proxy and the other not.
"""

from __future__ import annotations

from urllib.request import getproxies, proxy_bypass

from yarl import URL

from migrator.core.errors import UsageError


def proxy_for(url: URL) -> URL | None:
    """Return the proxy through which `url` is reached, its credentials included, or `None` for the straight way.

    Raises:
        UsageError: the environment names one that cannot be used.
    """
    found = getproxies().get(url.scheme)
    # With the port, so that `no_proxy` may name one; without, it means all of them.
    if not found or proxy_bypass(f"{url.host}:{url.port}"):
        return None
    try:
        # curl and others take `proxy.example:8080` too, so people write it.
        proxy = URL(found if "://" in found else f"http://{found}")
    except ValueError:
        proxy = URL()
    if proxy.scheme in ("http", "https") and proxy.host:
        return proxy
    # The value is not quoted: it may hold a password.
    hint = f"set {url.scheme}_proxy to http://HOST:PORT, or name {url.host} in no_proxy"
    raise UsageError(f"the environment variable {url.scheme}_proxy does not name an HTTP proxy", hint)
