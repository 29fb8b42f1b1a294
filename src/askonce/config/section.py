"""The base of every mapping in the configuration."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

__all__ = ["Section", "yaml_key"]


def yaml_key(attribute: str) -> str:
    """The key of an attribute: `ttl` for `ttl_s`, as durations carry their unit in the value."""
    return attribute.removesuffix("_s")


class Section(BaseModel):
    """A mapping of the configuration: frozen, unknown keys refused, inputs kept out of error texts."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        allow_inf_nan=False,
        alias_generator=yaml_key,
        validate_by_name=True,
        validate_by_alias=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, data: Any) -> Any:
        """Takes a key without a value as absent, so that all lines below it may be commented out."""
        if not isinstance(data, dict):
            return data
        known = {yaml_key(name) for name in cls.model_fields}
        return {key: value for key, value in data.items() if value is not None or key not in known}
