"""`/v1/models`: the base model, the fine-tunes and their checkpoints."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from harness.localserver.api.services import services_of
from harness.localserver.api.wire import ApiError, JsonObject, deleted_object, model_object

# The names under which OpenAI has offered supervised fine-tuning or DPO, dated and undated: what `model` says in the scripts
# people have. Models of reinforcement fine-tuning alone are not among them.
OPENAI_BASES: frozenset[str] = frozenset(
    {
        "babbage-002",
        "davinci-002",
        "gpt-3.5-turbo",
        "gpt-3.5-turbo-0613",
        "gpt-3.5-turbo-1106",
        "gpt-3.5-turbo-0125",
        "gpt-4",
        "gpt-4-0613",
        "gpt-4o",
        "gpt-4o-2024-08-06",
        "gpt-4o-mini",
        "gpt-4o-mini-2024-07-18",
        "gpt-4.1",
        "gpt-4.1-2025-04-14",
        "gpt-4.1-mini",
        "gpt-4.1-mini-2025-04-14",
        "gpt-4.1-nano",
        "gpt-4.1-nano-2025-04-14",
    }
)


def model_routes() -> list[BaseRoute]:
    """The routes of models. Names hold colons, and some slashes, which clients may or may not percent-encode."""
    return [
        Route("/v1/models", list_models, methods=["GET"]),
        Route("/v1/models/{model:path}", retrieve_model, methods=["GET"]),
        Route("/v1/models/{model:path}", delete_model, methods=["DELETE"]),
    ]


async def list_models(request: Request) -> Response:
    """Every model that can be asked, by its own name; this list has no pages."""
    found = services_of(request)
    models = [(model.name, model.created_at) for model in found.fine_tunes()]
    data: list[JsonObject] = [
        model_object(name, created_at)
        for name, created_at in [(found.base.name, found.base.created_at), *models]
    ]
    return JSONResponse({"object": "list", "data": data})


async def retrieve_model(request: Request) -> Response:
    """One model; an alias is answered by the model it stands for."""
    model = services_of(request).resolve(request.path_params["model"])
    return JSONResponse(model_object(model.name, model.created_at))


async def delete_model(request: Request) -> Response:
    """Delete a fine-tune or a checkpoint; the base model stays."""
    found = services_of(request)
    name = request.path_params["model"]
    if found.is_base(name):
        raise ApiError(
            f"The model `{name}` is the base model of this server and cannot be deleted.",
            status=403,
            param="model",
            code="insufficient_permissions",
        )
    found.store.remove_model(found.find_fine_tune(name))
    return JSONResponse(deleted_object("model", name))
