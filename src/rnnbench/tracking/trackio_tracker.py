"""trackio: a dashboard on this machine, without an account; `trackio show --project rnnbench` opens it."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from typing import Any

from .layout import Presenter
from .tracker import Histogram, MirrorRow, NotSetUp, Picture, Run, Tracker, is_table, numbers_of


class TrackioTracker(Tracker):
    """trackio's data base in TRACKIO_DIR; a restart replaces what earlier starts wrote of the run. It stays on the machine."""

    def __init__(
        self,
        project: str = "rnnbench",  # project of the dashboard
    ) -> None:
        if importlib.util.find_spec("trackio") is None:
            raise NotSetUp("tracker trackio needs its package: pip install 'rnnbench[trackio]'")
        self._project = project
        self._run: Any = None
        self._step = 0

    def start(self, run: Run) -> None:
        import trackio

        name = f"{run.name} {run.id[:8]}"
        with contextlib.redirect_stdout(io.StringIO()):  # it prints an address that holds a token
            if (there := existing(self._project, name)) is not None:
                there.delete()
            options: dict[str, Any] = {"embed": False, "auto_log_gpu": False, "auto_log_cpu": False}
            self._run = trackio.init(self._project, name, run.group, config=Presenter(run).config(), **options)

    def row(self, values: MirrorRow) -> None:
        self._step = values["step"]
        shown = {key: shown_value(value) for key, value in values.items() if key != "step"}
        self._run.log({key: value for key, value in shown.items() if value is not None}, step=self._step)

    def finish(self, summary: MirrorRow, status: str) -> None:
        """Results that no row has stand at the last step."""
        import trackio

        results = {key: value for key, value in numbers_of(summary).items() if key.startswith("test/")}
        results |= {f"result/{key}": value for key, value in numbers_of(summary).items() if "/" not in key and key != "step"}
        pictures = {key: shown_value(value) for key, value in summary.items() if isinstance(value, Picture)}
        self._run.log({**results, **pictures, "result/status": status}, step=self._step)
        with contextlib.redirect_stdout(io.StringIO()):
            trackio.finish()


def existing(project: str, name: str) -> Any:
    """The run of that name in a project of this machine, or None."""
    import trackio

    with contextlib.suppress(ValueError):  # no such project
        return next((run for run in trackio.Api().runs(project) if run.name == name), None)
    return None


def shown_value(value: Any) -> Any:
    """A value as trackio takes it; None where it takes none of the kind."""
    if isinstance(value, Picture):
        import trackio
        from PIL import Image

        return trackio.Image(Image.open(io.BytesIO(value.draw())), caption=value.caption)
    if is_table(value):
        import trackio

        columns = list(value[0])
        return trackio.Table(columns=columns, data=[[row[column] for column in columns] for row in value])
    if isinstance(value, Histogram):
        import numpy
        import trackio

        return trackio.Histogram(np_histogram=(numpy.array(value.shares), numpy.array(value.edges)))
    return value if isinstance(value, bool | int | float | str) else None
