"""`POST /admin/model`: another bundle replaces a served one; it knows nothing about how models draw.

The router is included only where an admin key is set; `keys.Keys` refuses requests without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field

from base.errors import BadInput
from serving.answering import registry_of
from serving.refused import Refused
from serving.schema import Body


class SwapBody(Body):
    """`POST /admin/model`."""

    bundle: str = Field(min_length=1)
    """Folder of the bundle, on the server."""
    model: str | None = None
    """Whose place it takes; the first one's by default."""


router = APIRouter(prefix="/admin")


@router.post("/model")
async def swap(body: SwapBody, request: Request) -> dict[str, Any]:
    """Load and warm the bundle, then let it replace the model between two batches; a bad bundle changes nothing."""
    registry = registry_of(request)
    old = registry.model(body.model)
    try:
        new = await registry.swap(old, Path(body.bundle))
    except BadInput as error:
        raise Refused(str(error), "bundle", status=422) from None
    if (page := request.app.state.page) is not None:
        await page.show()
    return {"model": new.name, "hash": new.hash, "replaced": {"model": old.name, "hash": old.hash}}
