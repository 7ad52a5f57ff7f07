"""`rnnbench wandb-workspace`: a saved view of a W&B project as code, by wandb-workspaces (an extra)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .columns import DETAILS
from .pictures import KEY
from .tracker import NotSetUp, TrackerUnavailable
from .wandb_account import client, error_text, stop_service
from .wandb_media import CONFUSION_CHART, CONFUSION_COLUMNS
from .wandb_tracker import START

NEEDED = "rnnbench wandb-workspace needs its package: pip install 'rnnbench[workspace]'"
GRADIENTS = ("train/gradient_norm", "gradient/horizon", "gradient/update_ratio", "gradient/clipped")


def make_workspace(project: str, entity: str, headlines: Mapping[str, str], task: str | None) -> Any:
    """The view of `project`: results, learning, gradients, samples, and details closed; runs grouped by model.

    `headlines` are scores with the better direction, `min` or `max`. `task` leaves out the runs of others. A score of which
    less is better has a logarithmic axis. NotSetUp without the package.
    """
    try:
        import wandb_workspaces.reports.v2 as panels
        import wandb_workspaces.workspaces as workspaces
        from wandb_workspaces import expr
    except ImportError:
        raise NotSetUp(NEEDED) from None
    groups = _panels(panels, headlines)
    sections = [workspaces.Section(name=name, panels=drawn, is_open=name != "Details") for name, drawn in groups.items()]
    runs = workspaces.RunsetSettings(
        filters=expr.And(expr.Config("task.name") == task) if task else "", groupby=[expr.Config("model.name")]
    )
    settings = workspaces.WorkspaceSettings(x_axis="step", group_by_prefix="first")
    name = f"rnnbench: {task}" if task else "rnnbench"
    return workspaces.Workspace(
        entity=entity, project=project, name=name, sections=sections, settings=settings, runset_settings=runs
    )


def _panels(panels: Any, headlines: Mapping[str, str]) -> dict[str, list[Any]]:
    """The panels by section."""
    summary = panels.SummaryMetric
    result, learning = [], []
    for score, direction in headlines.items():
        log = direction == "min"
        result += [
            panels.BarPlot(
                title=f"test {score} by model, mean and standard error",
                metrics=[f"test/{score}"],
                groupby=panels.Config("model.name"),
                groupby_aggfunc="mean",
                groupby_rangefunc="stderr",
            ),
            *(
                panels.ScatterPlot(
                    title=f"test {score}, {what}", x=summary(x), y=summary(f"test/{score}"), log_x=True, log_y=log
                )
                for what, x in (("steps a second", "speed/steps_per_second"), ("parameters", "parameters"))
            ),
        ]
        learning += [_line(panels, f"validation/{score}", x, log) for x in ("step", "speed/seconds")]
    if "accuracy" in headlines:
        result.append(_confusion(panels))
    learning += [_line(panels, "train/loss", x, True) for x in ("step", "speed/seconds")]
    through_time = panels.MediaBrowser(title="gradient through time", media_keys=[KEY], num_columns=2)
    return {
        "Result": result,
        "Learning": learning,
        "Gradients": [through_time, *(_line(panels, name, "step", name == "train/gradient_norm") for name in GRADIENTS)],
        "Samples": [panels.WeavePanelSummaryTable(table_name="samples/validation")],
        "Details": [panels.LinePlot(title=section, x="step", metric_regex=f"^{section}/.*") for section in (*DETAILS, "speed")],
    }


def _line(panels: Any, metric: str, x: str, log: bool) -> Any:
    """Means over the runs of each model, with a band of their standard error."""
    return panels.LinePlot(
        title=f"{metric} by {x.rpartition('/')[2]}",
        x=x,
        y=[metric],
        log_y=log,
        groupby=panels.Config("model.name"),
        groupby_aggfunc="mean",
        groupby_rangefunc="stderr",
    )


def _confusion(panels: Any) -> Any:
    """The confusion matrix of the test split, where a task of classes logged one."""
    return panels.CustomChart(
        query={"summaryTable": {"tableKey": "test/confusion_table"}},
        chart_name=CONFUSION_CHART,
        chart_fields={column: column for column in CONFUSION_COLUMNS},
        chart_strings={"title": "test: right class by row, answered class by column"},
    )


def workspace_json(workspace: Any) -> str:
    """What the server would be sent."""
    return json.dumps(json.loads(workspace._to_model().spec.model_dump_json(by_alias=True, exclude_none=True)), indent=1)


def save_workspace(project: str, entity: str | None, headlines: Mapping[str, str], task: str | None) -> str:
    """Saves the view there, as a new one; returns a line with its address. TrackerUnavailable where it is not taken."""
    try:
        with client() as wandb:
            owner = entity or wandb.Api(timeout=int(START)).default_entity
            workspace = make_workspace(project, owner, headlines, task)
            workspace.save()
            return f"saved: {workspace.url}"
    except TrackerUnavailable:
        raise
    except Exception as error:
        stop_service()
        raise TrackerUnavailable(f"the workspace was not saved: {error_text(error)}") from None
