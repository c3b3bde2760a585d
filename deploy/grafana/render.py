"""Turns a dashboard into the JSON model that Grafana 10 and newer reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from deploy.grafana.model import Dashboard, Limits, Panel, Row, Variable

COLUMNS = 24
ROW_HEIGHT = 1
SCHEMA = 39  # Grafana 10.3; newer ones migrate it when they load it
TAG = "sidelight"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

Json = dict[str, Any]


def as_json(dashboard: Dashboard) -> str:
    """The file's content: the same every time, and readable in a diff."""
    return json.dumps(rendered(dashboard), indent=2, ensure_ascii=False) + "\n"


def rendered(dashboard: Dashboard) -> Json:
    return {
        "uid": f"sidelight-{dashboard.name}",
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": [TAG],
        "schemaVersion": SCHEMA,
        "editable": True,
        "graphTooltip": 1,  # one crosshair through all panels
        "refresh": dashboard.refresh,
        "time": {"from": dashboard.since, "to": "now"},
        "links": [links_to_the_others()],
        "annotations": {"list": []},
        "templating": {"list": [source_variable(), *map(variable, dashboard.variables)]},
        "panels": list(placed(dashboard.rows)),
    }


def links_to_the_others() -> Json:
    """Every dashboard with our tag, with the same choices and the same time."""
    return {
        "type": "dashboards",
        "title": "",
        "tags": [TAG],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
    }


def source_variable() -> Json:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1}


def variable(choice: Variable) -> Json:
    query = f"label_values({choice.metric}, {choice.key})"
    described = {
        "name": choice.name,
        "label": choice.label,
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": choice.name},
        "refresh": 2,  # whenever the time changes
        "sort": 1,
        "multi": choice.several,
        "includeAll": choice.several,
    }
    if choice.several:
        described |= {"allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]}}
    return described


def placed(rows: tuple[Row, ...]) -> Iterator[Json]:
    """Every row and panel with its number and its place."""
    number, top = 0, 0
    for row in rows:
        number += 1
        yield heading(row, number, top)
        top += ROW_HEIGHT
        left, height = 0, 0
        for each in row.panels:
            if left + each.width > COLUMNS:
                left, top, height = 0, top + height, 0
            number += 1
            yield panel(each, number, {"x": left, "y": top, "w": each.width, "h": each.height})
            left, height = left + each.width, max(height, each.height)
        top += height


def heading(row: Row, number: int, top: int) -> Json:
    place = {"x": 0, "y": top, "w": COLUMNS, "h": ROW_HEIGHT}
    return {"id": number, "type": "row", "title": row.title, "gridPos": place, "collapsed": False, "panels": []}


def panel(each: Panel, number: int, place: Json) -> Json:
    described = {
        "id": number,
        "type": each.kind,
        "title": each.title,
        "description": each.description,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": field(each), "overrides": list(columns(each))},
        "options": options(each),
        "targets": list(targets(each)),
    }
    if each.kind == "table":
        described["transformations"] = [{"id": "merge", "options": {}}, as_columns(each)]
    return described


def field(each: Panel) -> Json:
    """How a value is written and coloured."""
    defaults: Json = {"unit": each.unit, "color": {"mode": "thresholds" if each.limits else "palette-classic"}}
    if each.limits:
        defaults["thresholds"] = {"mode": "absolute", "steps": steps(each.limits)}
    if each.unit == "percentunit" and each.kind == "bargauge":
        defaults |= {"min": 0, "max": 1}
    if each.link:
        defaults["links"] = [{"title": "More", "url": each.link}]
    if each.kind == "timeseries":
        defaults["custom"] = lines(each)
        defaults["color"] = {"mode": "palette-classic"}
    return defaults


def lines(each: Panel) -> Json:
    """How a chart is drawn: its limits as dashed lines, parts of a whole on top of each other."""
    return {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 25 if each.stacked else 5,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if each.stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if each.limits else "off"},
    }


def steps(limits: Limits) -> list[Json]:
    """Colours from the lowest value up."""
    if limits.warn < limits.bad:
        colours = (("green", None), ("yellow", limits.warn), ("red", limits.bad))
    else:
        colours = (("red", None), ("yellow", limits.bad), ("green", limits.warn))
    return [{"color": colour, "value": value} for colour, value in colours]


def columns(each: Panel) -> Iterator[Json]:
    """The units of a table's columns."""
    for heading, unit in each.units.items():
        yield {"matcher": {"id": "byName", "options": heading}, "properties": [{"id": "unit", "value": unit}]}


def options(each: Panel) -> Json:
    """Of its kind; a heatmap's unit is the one of its buckets."""
    return OPTIONS[each.kind] | ({"yAxis": {"unit": each.unit}} if each.kind == "heatmap" else {})


def targets(each: Panel) -> Iterator[Json]:
    """The queries, named A, B, …"""
    for number, (legend, query) in enumerate(each.queries.items()):
        yield {
            "refId": chr(ord("A") + number),
            "datasource": SOURCE,
            "expr": query,
            "legendFormat": legend or "__auto",
            "instant": each.instant,
            "range": not each.instant,
            "exemplar": each.exemplars,
            "format": FORMATS.get(each.kind, "time_series"),
        }


def as_columns(each: Panel) -> Json:
    """One line for each set of labels, its columns under the queries' legends."""
    names = {f"Value #{chr(ord('A') + number)}": legend for number, legend in enumerate(each.queries)}
    if len(each.queries) == 1:
        names = {"Value": next(iter(each.queries))}
    return {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": names}}


FORMATS = {"table": "table", "heatmap": "heatmap"}
LAST = {"calcs": ["lastNotNull"], "fields": "", "values": False}
OPTIONS: dict[str, Json] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {"reduceOptions": LAST, "colorMode": "value", "graphMode": "area", "textMode": "value"},
    "bargauge": {"reduceOptions": LAST, "orientation": "horizontal", "displayMode": "basic"},
    "heatmap": {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
        "tooltip": {"mode": "single", "yHistogram": True},
        "exemplars": {"color": "rgba(80, 160, 255, 0.9)"},
    },
    "table": {"showHeader": True, "cellHeight": "sm", "footer": {"show": False}},
}
