"""Gemini's schemas as JSON Schema: its types are in capitals, its whole numbers text, and null is a flag."""

from __future__ import annotations

from pipeline.records import Json

SCHEMAS = frozenset(("items", "additionalProperties"))  # members that are a schema
LISTS = frozenset(("anyOf", "prefixItems"))  # … several
MAPPINGS = frozenset(("properties", "$defs", "defs"))  # … several by name
NUMBERS = frozenset(("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"))
NO_KEYWORDS = frozenset(("nullable", "propertyOrdering", "property_ordering"))


def json_schema(schema: Json) -> Json:
    """The same schema by the standard; what is by it already stays as it is."""
    if type(schema) is not dict:
        return schema
    standard = {name: _standard(name, value) for name, value in schema.items() if name not in NO_KEYWORDS}
    kind, values = standard.get("type"), standard.get("enum")
    if schema.get("nullable") is True and type(kind) is str:
        standard["type"] = [kind, "null"]
        if type(values) is list:
            standard["enum"] = [*values, None]
    return standard


def _standard(name: str, value: Json) -> Json:
    if name == "type":
        return value.lower() if type(value) is str else value
    if name in SCHEMAS:
        return json_schema(value)
    if name in LISTS and type(value) is list:
        return [json_schema(item) for item in value]
    if name in MAPPINGS and type(value) is dict:
        return {key: json_schema(item) for key, item in value.items()}
    if name in NUMBERS and type(value) is str and value.isdecimal() and len(value) < 19:
        return int(value)
    return value
