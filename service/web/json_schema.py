"""JSON schemas for OpenAPI."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


def body_schema(*models: type[BaseModel]) -> dict[str, Any]:
    """The schema of a body that is any of ``models``, without references: below a body these would point nowhere."""
    schemas = [_inlined(model.model_json_schema()) for model in models]
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """``schema`` with each reference to one of its definitions replaced by that."""
    definitions = schema.pop("$defs", {})

    def inline(node: Any) -> Any:
        if isinstance(node, list):
            return [inline(entry) for entry in node]
        if not isinstance(node, dict):
            return node
        siblings = {key: inline(value) for key, value in node.items() if key != "$ref"}
        reference = str(node.get("$ref", "")).rpartition("/")[2]
        return {**inline(definitions[reference]), **siblings} if reference else siblings

    inlined: dict[str, Any] = inline(schema)
    return inlined
