"""What is wrong with a row's tools, with the calls of them, and with the answers to the calls?"""

from collections.abc import Iterator, Mapping, Sequence

from harness.dataset.mistakes import RowProblem, Told
from harness.records import Json
from harness.serial import read_json, shown


def tool_problems(row: Mapping[str, Json]) -> Iterator[RowProblem]:
    """What is wrong with the definitions a chat row carries."""
    wrapped = '{"type": "function", "function": {"name": ..., "parameters": {...}}}'
    bare = '{"name": ..., "parameters": {...}}'
    for key, definition in (("tools", wrapped), ("functions", bare)):
        value = row.get(key)
        if value is not None and not _are_tools(value, wrapped=key == "tools"):
            remedy = f"it must be a list of {definition}"
            yield RowProblem(category="wrong_tools", what=f"{key} is {shown(value)}", remedy=remedy)
    parallel = row.get("parallel_tool_calls")
    if parallel is not None and not isinstance(parallel, bool):
        what = f"parallel_tool_calls is {shown(parallel)}"
        yield RowProblem(category="wrong_type", what=what, remedy="it must be true or false")


def _are_tools(tools: Json, *, wrapped: bool) -> bool:
    def fits(tool: Json) -> bool:
        function = tool.get("function") if wrapped and isinstance(tool, Mapping) else tool
        return (
            isinstance(function, Mapping)
            and isinstance(function.get("name"), str)
            and isinstance(function.get("parameters") or {}, Mapping)
        )

    return isinstance(tools, list) and all(fits(tool) for tool in tools)


def call_problems(message: Mapping[str, Json], role: Json) -> Iterator[Told]:
    """What is wrong with the calls a message makes."""
    calls, function = message.get("tool_calls"), message.get("function_call")
    if (calls or function) and role != "assistant":
        yield "wrong_tool_call", f"a call in a message by {shown(role)}", "only an assistant calls tools"
    if calls is not None and not (isinstance(calls, list) and calls):
        remedy = "it must be a list of calls; leave the key out where there is none"
        yield "wrong_tool_call", f"tool_calls is {shown(calls)}", remedy
        calls = None
    for call in calls or ():
        yield from _one_call_problems(call)
    if function is not None:
        yield from _function_problems(function, "function_call")


def _one_call_problems(call: Json) -> Iterator[Told]:
    if not isinstance(call, Mapping):
        remedy = 'write {"id": ..., "type": "function", "function": {...}}'
        yield "wrong_tool_call", f"tool_calls has {shown(call)}", remedy
        return
    if not isinstance(call.get("id"), str):
        remedy = "give each call an id, and its result the same one"
        yield "wrong_tool_call", "a tool call has no id", remedy
    if call.get("type", "function") != "function":
        yield "wrong_tool_call", f"a tool call's type is {shown(call['type'])}", "it must be function"
    yield from _function_problems(call.get("function"), "a tool call's function")


def _function_problems(called: Json, place: str) -> Iterator[Told]:
    if not isinstance(called, Mapping) or not isinstance(called.get("name"), str):
        yield "wrong_tool_call", f"{place} has no name", 'write {"name": ..., "arguments": "{...}"}'
        return
    arguments = called.get("arguments")
    if not isinstance(arguments, str):
        yield (
            "wrong_tool_call",
            f"the arguments of {shown(called['name'])} are {shown(arguments)}",
            "arguments are a string of JSON, not JSON itself",
        )
        return
    try:
        read_json(arguments)
    except (ValueError, RecursionError) as error:
        what = f"the arguments of {shown(called['name'])} are not JSON: {error}"
        yield "wrong_tool_call", what, "write what the model is to write: one JSON object as a string"


def tool_id_problems(messages: Sequence[Json]) -> Iterator[RowProblem]:
    """Answers of tools to no call, and calls that the conversation goes on without an answer to."""
    known: set[str] = set()
    # Calls of the last assistant message that are not answered yet, and where it stands.
    waiting: set[str] = set()
    caller = 0
    for number, message in enumerate(messages, start=1):
        if not isinstance(message, Mapping):
            continue
        if message.get("role") == "tool":
            answered = message.get("tool_call_id")
            if not isinstance(answered, str) or answered not in known:
                yield _answer_to_nothing(answered, known, number)
            else:
                waiting.discard(answered)
            continue
        yield from _unanswered(waiting, caller)
        waiting, caller = _ids(message.get("tool_calls")), number
        known |= waiting


def _ids(calls: Json) -> set[str]:
    listed = calls if isinstance(calls, list) else []
    found = [call.get("id") for call in listed if isinstance(call, Mapping)]
    return {name for name in found if isinstance(name, str)}


def _answer_to_nothing(answered: Json, known: set[str], number: int) -> RowProblem:
    remedy = "give it the id of the call it answers" + (f": {_listed(known)}" if known else "")
    what = f"tool_call_id {shown(answered)} is of no earlier call"
    return RowProblem(category="unmatched_tool_id", what=what, remedy=remedy, message=number)


def _unanswered(waiting: set[str], number: int) -> Iterator[RowProblem]:
    if waiting:
        yield RowProblem(
            category="unmatched_tool_id",
            what=f"the conversation goes on without an answer to {_listed(waiting)}",
            remedy="add a message by tool with its tool_call_id after the call",
            message=number,
        )


def _listed(ids: set[str]) -> str:
    return ", ".join(shown(name) for name in sorted(ids)[:3])
