"""How our panels look: one data source, a description, a unit, and at most one idea each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common as model
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = DataSourceRef(type_val="prometheus", uid="$datasource")
RUNBOOKS = "https://github.com/cloudspend/cloudspend/blob/main/docs/runbooks.md"
MONEY = units.LocaleFormat
"""1,234.56: Grafana's currencies say `$1.23 K`, and take no currency from a variable; that one is in the title."""
RATIO, SECONDS, BYTES, COUNT, AGO = (
    units.PercentUnit,
    units.DurationSeconds,
    units.BytesIEC,
    units.Short,
    units.DateTimeFromNow,
)

GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "#8e8e8e"
Steps = Sequence[tuple[float | None, str]]
"""From this value on, this colour; the first has no value."""
PLAIN: Steps = ((None, "text"),)
NONE_IS_GOOD: Steps = ((None, GREEN), (1, RED))


@dataclass(frozen=True)
class Ask:
    """One query of a panel."""

    expr: str
    legend: str = ""
    """Of a series; or the heading of the column that a table shows it in, without which its labels alone are shown."""
    unit: str = ""
    """Where it is another than the panel's."""


def runbook(heading: str, title: str = "Runbook") -> dashboard.DashboardLink:
    """A link from a panel to the runbook's heading."""
    return link(title, f"{RUNBOOKS}#{heading}", blank=True)


def link(title: str, url: str, *, blank: bool = False) -> dashboard.DashboardLink:
    """A link of a panel, a field or a dashboard."""
    return dashboard.DashboardLink(title).type(DashboardLinkType.LINK).url(url).target_blank(blank)


def drill_down(**chosen: str) -> dashboard.DashboardLink:
    """To the drill-down, with what was clicked chosen there, and the rest as it is here. Label → field."""
    kept = "${__url_time_range}&${datasource:queryparam}&${currency:queryparam}&${category:queryparam}"
    words = [f"var-{name}=${{__data.fields.{field}:percentencode}}" for name, field in chosen.items()]
    return link("Day by day", f"/d/cloudspend-service?{'&'.join([kept, *words])}")


def steps(levels: Steps) -> dashboard.ThresholdsConfig:
    """Colours by value."""
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps([Threshold(v, c) for v, c in levels])


def query(ask: Ask, letter: str, *, instant: bool, as_table: bool = False) -> prometheus.Dataquery:
    """A Prometheus query; Grafana asks without a letter, too, but cannot name its answer then."""
    made = prometheus.Dataquery().expr(ask.expr).ref_id(letter).datasource(SOURCE)
    made = made.instant() if instant else made.range()
    made = made.format(PromQueryFormat.TABLE if as_table else PromQueryFormat.TIME_SERIES)
    return made.legend_format(ask.legend or "__auto")


def figure(
    title: str,
    description: str,
    *asks: Ask | str,
    unit: str,
    decimals: int | None = None,
    levels: Steps = PLAIN,
    links: Sequence[dashboard.DashboardLink] = (),
    nothing: str = "none",
    words: Mapping[str, tuple[str, str]] | None = None,
    width: int = 4,
) -> stat.Panel:
    """One figure as of now, or a few side by side. `nothing` is shown where there is no data."""
    panel = stat.Panel().title(title).description(description).datasource(SOURCE).span(width).height(4).unit(unit)
    for letter, ask in zip("ABCDE", asks, strict=False):
        panel = panel.with_target(query(Ask(ask) if isinstance(ask, str) else ask, letter, instant=True))
    panel = panel.thresholds(steps(levels)).color_scheme(dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS))
    panel = panel.color_mode(model.BigValueColorMode.VALUE).graph_mode(model.BigValueGraphMode.NONE)
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    panel = panel.no_value(nothing).links(list(links))
    if words:
        panel = panel.mappings([mapping(words)])
    return panel if decimals is None else panel.decimals(decimals)


def mapping(words: Mapping[str, tuple[str, str]]) -> ValueMap:
    """Value → the word for it and its colour."""
    results = {
        value: ValueMappingResult(text=text, color=color, index=index)
        for index, (value, (text, color)) in enumerate(words.items())
    }
    return ValueMap(options=results)


def graph(
    title: str,
    description: str,
    *asks: Ask,
    unit: str,
    daily: bool = False,
    log: bool = False,
    links: Sequence[dashboard.DashboardLink] = (),
    data_links: Sequence[dashboard.DashboardLink] = (),
    nothing: str = "no data",
    width: int = 24,
    height: int = 9,
) -> timeseries.Panel:
    """Lines over time. `daily`: one step a day, however narrow the screen."""
    panel = timeseries.Panel().title(title).description(description).datasource(SOURCE).span(width).height(height)
    for letter, ask in zip("ABCDE", asks, strict=False):
        panel = panel.with_target(query(ask, letter, instant=False))
    panel = panel.unit(unit).no_value(nothing).links(list(links)).data_links(list(data_links))
    panel = panel.line_width(2).fill_opacity(0).show_points(model.VisibilityMode.AUTO).span_nulls(False)
    legend = common.VizLegendOptions().show_legend(True).display_mode(model.LegendDisplayMode.LIST)
    panel = panel.legend(legend.placement(model.LegendPlacement.BOTTOM).calcs([]))
    tooltip = common.VizTooltipOptions().mode(model.TooltipDisplayMode.MULTI)
    panel = panel.tooltip(tooltip.sort(model.SortOrder.DESCENDING))
    panel = panel.color_scheme(dashboard.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
    scale = common.ScaleDistributionConfig()
    if log:
        panel = panel.scale_distribution(scale.type(model.ScaleDistribution.LOG).log(10))
    if daily:
        # One point a day even where the screen has fewer pixels than the range has days: a wider step would leave
        # days out, not add them up.
        panel = panel.interval("1d").max_data_points(3000).line_interpolation(model.LineInterpolation.LINEAR)
    return panel


def bars(*args: Any, **options: Any) -> timeseries.Panel:
    """Stacked bars, one a day: what is added up must be of one currency."""
    panel = graph(*args, **options, daily=True).draw_style(model.GraphDrawStyle.BARS)
    panel = panel.stacking(common.StackingConfig().mode(model.StackingMode.NORMAL).group("A"))
    panel = panel.bar_alignment(model.BarAlignment.AFTER).bar_width_factor(0.8)
    return panel.fill_opacity(80).line_width(0).show_points(model.VisibilityMode.NEVER)


def band(panel: timeseries.Panel, lower: str, upper: str, *, color: str = BLUE) -> timeseries.Panel:
    """Shade what lies between two series, known by their legends."""
    hidden = {"lineWidth": 0, "showPoints": "never"}
    for name, more in ((lower, {}), (upper, {"fillBelowTo": lower, "fillOpacity": 15})):
        panel = panel.override_by_name(name, [*properties(fixed(color), **hidden, **more)])
    return panel


def fixed(color: str) -> DynamicConfigValue:
    """One colour for a field."""
    return DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color})


def properties(*others: DynamicConfigValue, **custom: Any) -> list[DynamicConfigValue]:
    """What an override sets."""
    return [*others, *(DynamicConfigValue(f"custom.{name}", value) for name, value in custom.items())]


@dataclass(frozen=True)
class Column:
    """How a column of a table is shown."""

    unit: str = ""
    decimals: int | None = None
    width: int | None = None
    gauge: bool = False
    words: Mapping[str, tuple[str, str]] | None = None
    levels: Steps = ()
    link: dashboard.DashboardLink | None = None

    def shown(self) -> list[DynamicConfigValue]:
        """As an override."""
        found: list[DynamicConfigValue] = []
        if self.unit:
            found.append(DynamicConfigValue("unit", self.unit))
        decimals = 2 if self.unit == MONEY and self.decimals is None else self.decimals
        if decimals is not None:
            found.append(DynamicConfigValue("decimals", decimals))
        if self.width:
            found.append(DynamicConfigValue("custom.width", self.width))
        if self.gauge:
            cell = model.TableBarGaugeCellOptions(model.BarGaugeDisplayMode.BASIC, model.BarGaugeValueMode.TEXT)
            found.append(DynamicConfigValue("custom.cellOptions", cell))
            found.append(DynamicConfigValue("min", 0))
        if self.words:
            found.append(DynamicConfigValue("mappings", [mapping(self.words)]))
        if self.levels:
            found.append(DynamicConfigValue("thresholds", {"mode": "absolute", "steps": _plain_steps(self.levels)}))
            found.append(DynamicConfigValue("color", {"mode": "thresholds"}))
        if (self.words or self.levels) and not self.gauge:
            found.append(DynamicConfigValue("custom.cellOptions", model.TableColorTextCellOptions()))
        if self.link:
            found.append(DynamicConfigValue("links", [self.link.build()]))
        return found


def _plain_steps(levels: Steps) -> list[dict[str, Any]]:
    return [{"value": value, "color": color} for value, color in levels]


def listing(
    title: str,
    description: str,
    *asks: Ask,
    names: Mapping[str, str],
    columns: Mapping[str, Column],
    sort: str,
    descending: bool = True,
    unit: str = COUNT,
    links: Sequence[dashboard.DashboardLink] = (),
    hidden: Sequence[str] = (),
    nothing: str = "none",
    width: int = 12,
    height: int = 10,
) -> table.Panel:
    """A table: a row for each set of the labels in `names` (label → its heading), a column for each query.

    Labels that are `hidden` are there for links alone.
    """
    panel = table.Panel().title(title).description(description).datasource(SOURCE).span(width).height(height)
    headings: dict[str, str] = {}
    for letter, ask in zip("ABCDEFGHIJKL", asks, strict=False):
        panel = panel.with_target(query(ask, letter, instant=True, as_table=True))
        headings["Value" if len(asks) == 1 else f"Value #{letter}"] = ask.legend
    unseen = {value: True for value, heading in headings.items() if not heading}
    order = [*names, *headings]
    panel = panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    panel = panel.with_transformation(
        DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {"Time": True, **unseen},
                "indexByName": {name: place for place, name in enumerate(order)},
                "renameByName": {**names, **{value: heading for value, heading in headings.items() if heading}},
            },
        )
    )
    for ask in filter(lambda ask: ask.legend, asks):
        shown = columns.get(ask.legend, Column(unit=ask.unit or unit))
        panel = panel.override_by_name(ask.legend, shown.shown())
    for heading in names.values():
        if heading in columns:
            panel = panel.override_by_name(heading, columns[heading].shown())
    for label in hidden:
        panel = panel.override_by_name(label, properties(hidden=True))
    panel = panel.sort_by([common.TableSortByFieldState().display_name(sort).desc(descending)])
    panel = panel.unit(unit).no_value(nothing).links(list(links)).filterable(False).min_width(90)
    panel = panel.cell_options(model.TableAutoCellOptions())
    panel = panel.cell_height(model.TableCellHeight.SM).show_header(True)
    return panel.color_scheme(dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS)).thresholds(steps(PLAIN))


def ranked(
    title: str,
    description: str,
    ask: Ask,
    *,
    unit: str,
    levels: Steps = ((None, BLUE),),
    maximum: float | None = None,
    links: Sequence[dashboard.DashboardLink] = (),
    nothing: str = "none",
    width: int = 8,
    height: int = 9,
) -> bargauge.Panel:
    """Horizontal bars, one for each series."""
    panel = bargauge.Panel().title(title).description(description).datasource(SOURCE).span(width).height(height)
    panel = panel.with_target(query(ask, "A", instant=True)).unit(unit).no_value(nothing).links(list(links))
    panel = panel.orientation(model.VizOrientation.HORIZONTAL).display_mode(model.BarGaugeDisplayMode.BASIC)
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    panel = panel.thresholds(steps(levels)).color_scheme(dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS))
    panel = panel.name_placement(model.BarGaugeNamePlacement.LEFT).value_mode(model.BarGaugeValueMode.TEXT).min(0)
    panel = panel.show_unfilled(True).sizing(model.BarGaugeSizing.AUTO).min_viz_height(16)
    if unit == MONEY:
        panel = panel.decimals(2)
    return panel if maximum is None else panel.max(maximum)
