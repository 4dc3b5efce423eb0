"""Items that are open during office hours only, with holidays and the working days that make up for them (调休)."""

from datetime import date, datetime
from typing import Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from gateway import (
    ALLOW,
    Decision,
    Deny,
    PartContext,
    Principal,
    Reauthorizer,
    Settings,
    Span,
    Visit,
    parse_span,
)

_DAYS_ZH = ("周一", "周二", "周三", "周四", "周五", "周六", "周日")
_DAYS_EN = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_DAYS: tuple[Day, ...] = get_args(Day)


class OfficeHoursConfig(Settings):
    """When the office is open."""

    timezone: str = Field("Asia/Shanghai", description="IANA time zone of all times below")
    hours: dict[Day, tuple[Span, ...]] = Field(
        min_length=1, description="`monday: [09:00-12:00, 13:30-17:00]`; a day that is missing is closed"
    )
    holidays: tuple[date, ...] = Field((), description="dates that are closed whatever their weekday")
    extra_days: tuple[date, ...] = Field((), description="dates that are open whatever their weekday (调休)")
    extra_hours: tuple[Span, ...] = Field((), description="hours of those dates")

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"no time zone {name!r} on this machine; install tzdata or correct the name") from None
        return name

    @model_validator(mode="after")
    def _is_sound(self) -> "OfficeHoursConfig":
        if both := sorted(set(self.holidays) & set(self.extra_days)):
            raise ValueError(f"{both[0]} is both a holiday and an extra day")
        if self.extra_days and not self.extra_hours:
            raise ValueError("extra_days need extra_hours")
        return self


class OfficeHours(Reauthorizer[OfficeHoursConfig]):
    """Allows what arrives while the office is open."""

    Config = OfficeHoursConfig

    def __init__(self, config: OfficeHoursConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self._zone = ZoneInfo(config.timezone)
        self._week = [tuple(map(parse_span, config.hours.get(day, ()))) for day in _DAYS]
        self._extra = tuple(map(parse_span, config.extra_hours))
        self._holidays = frozenset(config.holidays)
        self._extra_days = frozenset(config.extra_days)
        self._title = (
            f"该事项仅在办公时间受理：{_week_text(config, _DAYS_ZH, '；')}（法定节假日除外）。",
            f"This item is open during office hours only: {_week_text(config, _DAYS_EN, '; ')}, except on holidays.",
        )

    async def decide(self, principal: Principal, visit: Visit) -> Decision:
        """Allow inside the hours of the day on which the request arrived, Deny outside."""
        arrived = datetime.fromtimestamp(visit.at, self._zone)
        minute = arrived.hour * 60 + arrived.minute
        if any(begins <= minute < ends for begins, ends in self._spans(arrived.date())):
            return ALLOW
        return Deny("outside-office-hours", self._title, f"arrived {arrived:%Y-%m-%d %H:%M %Z}")

    def _spans(self, day: date) -> tuple[tuple[int, int], ...]:
        if day in self._holidays:
            return ()
        return self._extra if day in self._extra_days else self._week[day.weekday()]


def _week_text(config: OfficeHoursConfig, names: tuple[str, ...], between: str) -> str:
    """Neighbouring days with the same hours as one: `Mon-Fri 09:00-12:00, 13:30-17:00; Sat 09:00-12:00`."""
    groups: list[tuple[str, str, tuple[str, ...]]] = []
    for day, name in zip(_DAYS, names, strict=True):
        spans = config.hours.get(day, ())
        if groups and groups[-1][2] == spans:
            groups[-1] = (groups[-1][0], name, spans)
        else:
            groups.append((name, name, spans))
    return between.join(
        f"{first if first == last else f'{first}-{last}'} {', '.join(spans)}" for first, last, spans in groups if spans
    )
