"""What a confused or hostile client may send: values near the valid ones, and values far from them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

# Every text that can stand in JSON, lone surrogates and NUL among them, and those that mean something somewhere.
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=8),
    st.sampled_from(
        [
            "",
            "auto",
            "null",
            "../../schema.json",
            "..\\lock",
            "\0",
            "{{x}}",
            "%s",
            "\ud800",
            "ft:a:b::c",
            "x" * 3000,
        ]
    ),
)
NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**400, 1e308, -0.0, 1.5]),
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


# What becomes of a value. Mostly nothing: a body has some forty, and what lies behind the first mistake is looked at too.
_FATES = [*["same"] * 90, "other", "fewer", "more"]


@st.composite
def near(draw: st.DrawFn, valid: Any) -> Any:
    """The valid value, but here and there something else: in a place of any depth, gone, or in addition."""
    fate = draw(st.sampled_from(_FATES))
    if fate == "other":
        return draw(ANYTHING)
    if isinstance(valid, Mapping):
        kept = {
            key: draw(near(value)) for key, value in valid.items() if fate != "fewer" or draw(st.booleans())
        }
        return kept | (draw(st.dictionaries(TEXTS, ANYTHING, max_size=2)) if fate == "more" else {})
    if isinstance(valid, Sequence) and not isinstance(valid, str):
        items = [draw(near(item)) for item in valid]
        return items * draw(st.sampled_from([0, 2, 150])) if fate == "fewer" else items
    return valid


# A value of each kind, for the places where another kind is meant.
ODD: tuple[Any, ...] = (True, -1, 0.5, 10**400, "x", "\ud800", [], [None], {}, {"x": [1]})


def replaced(valid: Any) -> Iterator[Any]:
    """The valid value with each value in it, at any depth, replaced by each odd one."""
    yield from ODD
    if isinstance(valid, Mapping):
        for key, value in valid.items():
            yield from ({**valid, key: other} for other in replaced(value))
    elif isinstance(valid, Sequence) and not isinstance(valid, str):
        for at, value in enumerate(valid):
            yield from ([*valid[:at], other, *valid[at + 1 :]] for other in replaced(value))


@st.composite
def broken(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes with a few of them gone, doubled, or others."""
    found = bytearray(data)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(found)))
        to = min(len(found), at + draw(st.integers(0, 12)))
        found[at:to] = draw(st.sampled_from([b"", bytes(found[at:to]) * 2]) | st.binary(max_size=6))
    return bytes(found)


@st.composite
def json_bodies(draw: st.DrawFn, valid: Any) -> bytes:
    """A body near the valid one, as value or as text."""
    text = written(draw(near(valid)))
    return draw(broken(text)) if draw(st.integers(0, 3)) == 0 else text


def written(value: Any) -> bytes:
    """JSON, also of what Python does not write: integers of thousands of digits."""
    return json.dumps(value).encode().replace(b'"DIGITS"', b"9" * 5000)


DISPOSITIONS = st.one_of(
    st.sampled_from(
        [
            'name="file"; filename="a.jsonl"',
            'name="file"',
            'name="purpose"',
            'name="expires_after[anchor]"',
            'name="expires_after[seconds]"',
            'name="model"; filename="../../x"',
            'name=""',
            "name=file; filename*=UTF-8''%00",
            'filename="',
            "",
        ]
    ),
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs",)), max_size=30),
)
CONTENTS = st.one_of(
    st.sampled_from([b"fine-tune", b"batch", b"created_at", b"3600", b"{}", b"--xx--", b"\r\n--x", b""]),
    st.binary(max_size=40),
)
BOUNDARIES = st.sampled_from([*["xx"] * 12, "", '"xx"', "x" * 300, "--", "x;x=x", "\xff"])


@st.composite
def forms(draw: st.DrawFn) -> tuple[bytes, str]:
    """A multipart body, and the boundary its header names: near an upload, or not."""
    parts = draw(st.lists(st.tuples(DISPOSITIONS, CONTENTS), max_size=3))
    if draw(st.integers(0, 3)):
        usual = [('name="purpose"', b"fine-tune"), ('name="file"; filename="a.jsonl"', draw(CONTENTS))]
        parts = draw(st.permutations(usual)) + parts[:1]
    body = b"".join(
        f"--xx\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + content + b"\r\n"
        for disposition, content in parts
    )
    body += b"--xx--\r\n"
    return body if draw(st.integers(0, 2)) else draw(broken(body)), draw(BOUNDARIES)


SEGMENTS = st.one_of(
    st.sampled_from(
        [
            *(
                "v1",
                "files",
                "models",
                "fine_tuning",
                "jobs",
                "chat",
                "completions",
                "batches",
                "events",
                "content",
            ),
            *(
                "checkpoints",
                "cancel",
                "pause",
                "resume",
                "..",
                ".",
                "",
                "%2e%2e",
                "file-x",
                "ftjob-x",
                "lock",
            ),
        ]
    ),
    TEXTS.map(lambda text: quote(text.encode("utf-8", "surrogatepass"), safe="")),
    st.binary(max_size=5).map(lambda data: quote(data, safe="")),
)
LISTS = (
    "/v1/files",
    "/v1/batches",
    "/v1/fine_tuning/jobs",
    "/v1/fine_tuning/jobs/{}/events",
    "/v1/fine_tuning/jobs/{}/checkpoints",
)
ROUTES = (
    *LISTS,
    *("/v1/files/{}", "/v1/files/{}/content", "/v1/models", "/v1/models/{}", "/v1/batches/{}"),
    *("/v1/batches/{}/cancel", "/v1/fine_tuning/jobs/{}", "/v1/chat/completions", "/v1/completions"),
    *(f"/v1/fine_tuning/jobs/{{}}/{last}" for last in ("cancel", "pause", "resume")),
)
ODD_ARGUMENTS = (
    "0",
    "1",
    "-1",
    "--1",
    "+1",
    "1e9",
    "1_0",
    "9" * 30,
    "%D9%A3",
    "%C2%B2",
    "",
    "asc",
    "null",
    "{}",
    "%00",
    "%FF",
)
ARGUMENTS = st.sampled_from(ODD_ARGUMENTS) | SEGMENTS
QUERIES = st.lists(
    st.tuples(
        st.sampled_from(
            ["after", "limit", "order", "purpose", "metadata", "metadata[a]", "metadata[", "mood"]
        ),
        ARGUMENTS,
    ),
    max_size=3,
).map(lambda pairs: "&".join(f"{key}={value}" for key, value in pairs))
METHODS = st.sampled_from([*["GET"] * 7, "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH", "TRACE", "X"])


@st.composite
def targets(draw: st.DrawFn, known: Sequence[str]) -> str:
    """A URL's path and query: of a list, of another route, or of none. `known` are names of things that are there."""
    path = draw(
        st.one_of(
            st.sampled_from(LISTS),
            st.sampled_from(ROUTES),
            st.lists(SEGMENTS, max_size=5).map(lambda segments: "/" + "/".join(segments)),
        )
    )
    name = draw(st.one_of(st.sampled_from(known), st.sampled_from(known), SEGMENTS))
    query = draw(QUERIES)
    return (path + (f"?{query}" if query else "")).replace("{}", name)
