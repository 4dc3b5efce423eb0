"""The id by which a business system knows a person or unit goes inward; who has none is told to bind (账户绑定)."""

from pydantic import Field, field_validator

from gateway import Allow, Decision, Deny, Facts, LedgerReauthorizer, Name, PartContext, Principal, Settings, Visit

_MISSING = (
    "该账户尚未与业务系统的账户绑定。请携带有效证件到所属经办机构窗口办理绑定，办结后即可继续。",
    "Your account is not bound to the business system yet. Have the agency's counter bind it, then come back.",
)


class AccountBindingConfig(Settings):
    """Which id goes inward, and as what."""

    system: Name | None = Field(None, description="whose id; the system behind the item when missing")
    field: str = Field(
        "tongguan-local-id",
        pattern=r"^[a-z][a-z0-9-]{0,62}$",
        description="header field that holds it; across the gatekeeper it has to begin with `tongguan-`",
    )

    @field_validator("field")
    @classmethod
    def _is_free(cls, name: str) -> str:
        if name == "tongguan-identity":
            raise ValueError("tongguan-identity says who asks; name another field")
        return name


class AccountBinding(LedgerReauthorizer[AccountBindingConfig]):
    """Allows who is bound, and says inward to what."""

    Config = AccountBindingConfig
    units_only = True

    def __init__(self, config: AccountBindingConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self._field = config.field.encode()

    def judge(self, facts: Facts | None, principal: Principal, visit: Visit) -> Decision:
        """Allow with the bound id; Deny (409) without one, also where nobody is known.

        Raises:
            ValueError: the bound id could be more than an id where it goes as a header field.
        """
        system = self.config.system or visit.item.system
        local_id = None if facts is None else facts.bindings.get(system)
        if local_id is None:
            return Deny("binding-missing", _MISSING, f"not bound to {system}", conflict=True)
        if not (local_id.isascii() and local_id.isalnum()):
            raise ValueError(f"the id at {system} is not of letters and digits alone")
        return Allow(((self._field, local_id.encode()),))
