"""What the gateway in front of every Adobe API can say (errors-and-limits 2.1)."""

from __future__ import annotations

GATEWAY_CODES: dict[str, tuple[int, str]] = {
    "400001": (400, "Missing digest source"),
    "400002": (400, "Missing digest secret"),
    "400003": (400, "Missing header"),
    "401013": (401, "Oauth token is not valid"),
    "401014": (401, "Token not allowed in the current context"),
    "401015": (401, "scope mismatch"),
    "403000": (403, "Api Key is required"),
    "403003": (403, "Api Key is invalid"),
    "403010": (403, "Oauth token is missing."),
    "403011": (403, "Scope mismatch"),
    "403012": (403, "Your IP is blacklisted"),
    "403013": (403, "Your IP is not whitelisted"),
    "403020": (403, "Oauth token missing or invalid"),
    "403023": (403, "Profile is not valid"),
    "403024": (403, "Not allowed to read the profile"),
    "403025": (403, "Profile is not valid"),
    "403027": (403, "User region is missing"),
    "403030": (403, "Signature is missing"),
    "403033": (403, "Signature is invalid"),
    "403040": (403, "Invalid link"),
    "404040": (404, "Link not found"),
    "429001": (429, "Service usage limit reached"),
    "429002": (429, "Developer key usage limit reached"),
    "429050": (429, "Too many requests"),
    "503000": (503, "Could not validate Api Key"),
    "503010": (503, "Could not validate the oauth token"),
    "503020": (403, "Could not read the profile"),
    "503030": (503, "Could not validate Signature"),
    "503071": (503, ""),
}
"""Status and message by ``error_code``. 503020 is a 403, and 503071 has no body at all: so does the gateway say it."""
