"""What must not be shown: keys and tokens cut out of text that came from outside."""

import re

CUT = "[redacted]"
# Shorter "secrets" are placeholders such as `none`, and cutting those would garble the message.
MIN_SECRET_LENGTH = 8

_PATTERNS = (
    # URL credentials: scheme://user:password@host; a password may hold an @ of its own.
    (re.compile(r"(?<=://)[^\s/]+@"), f"{CUT}@"),
    # What a URL's query calls a key, whatever the words around it.
    (re.compile(r"(?i)(?<=[?&])([\w-]*(?:token|key|auth|secret|pass)[\w-]*)=[^\s&#\"']+"), rf"\1={CUT}"),
    # Header and parameter forms: Authorization: Bearer x, api-key=x, "access_token": "x"
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=*-]{6,}"), rf"\1 {CUT}"),
    (
        re.compile(
            r"(?i)\b((?:x-)?api[-_ ]?key|(?:access|auth)[-_]token|secret|password|sig|signature)"
            r"([\"']?\s*[=:]\s*[\"']?)(?!\[)[^\s\"'&,;]+"
        ),
        rf"\1\2{CUT}",
    ),
    # Keys by their shape: OpenAI and its imitators (also as providers mask them, `sk-ab***yz`),
    # Hugging Face, Groq, xAI, Google, GitHub, and JSON web tokens.
    (re.compile(r"\b(?:sk|pk|rk)-[\w*-]{6,}"), CUT),
    (re.compile(r"\b(?:hf_|gsk_|xai-|ghp_|AIza)[\w*-]{8,}"), CUT),
    # The first part of a token of the last kind is short, and bounded so that no text takes long to look through.
    (re.compile(r"\beyJ[\w-]{8,1000}\.[\w-]{8,}(?:\.[\w-]*)?"), CUT),
)


def redact(text: str, *secrets: str | None) -> str:
    """The text without the given secrets and without anything shaped like a key or a token."""
    for secret in secrets:
        if secret and len(secret) >= MIN_SECRET_LENGTH:
            text = text.replace(secret, CUT)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
