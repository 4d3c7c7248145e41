"""`/v1/models`: the base model, the fine-tunes and their checkpoints."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from harness.localserver.api.services import services_of
from harness.localserver.api.wire import ApiError, JsonObject, deleted_object, model_object, unknown_model


def model_routes() -> list[BaseRoute]:
    """The routes of models. Names hold colons, which clients may or may not percent-encode."""
    return [
        Route("/v1/models", list_models, methods=["GET"]),
        Route("/v1/models/{model}", retrieve_model, methods=["GET"]),
        Route("/v1/models/{model}", delete_model, methods=["DELETE"]),
    ]


async def list_models(request: Request) -> Response:
    """Every model that can be asked; this list has no pages."""
    found = services_of(request)
    models = [(model.name, model.created_at) for model in found.store.models()]
    data: list[JsonObject] = [
        model_object(name, created_at)
        for name, created_at in [(found.base.name, found.base.created_at), *models]
    ]
    return JSONResponse({"object": "list", "data": data})


async def retrieve_model(request: Request) -> Response:
    """One model."""
    found = services_of(request)
    name = request.path_params["model"]
    if name == found.base.name:
        return JSONResponse(model_object(name, found.base.created_at))
    model = found.store.find_model(name)
    if model is None:
        raise unknown_model(name)
    return JSONResponse(model_object(model.name, model.created_at))


async def delete_model(request: Request) -> Response:
    """Delete a fine-tune or a checkpoint; the base model stays."""
    found = services_of(request)
    name = request.path_params["model"]
    if name == found.base.name:
        raise ApiError(
            f"The model `{name}` is the base model of this server and cannot be deleted.",
            status=403,
            param="model",
            code="insufficient_permissions",
        )
    model = found.store.find_model(name)
    if model is None:
        raise unknown_model(name)
    found.store.remove_model(model)
    return JSONResponse(deleted_object("model", name))
