"""The phases of a job, each in a child of its own.

inspect     one child looks at a model or a data set
compress    one child loads the upload, applies the recipe and writes files;
            one child for each file loads it afresh and measures quality and memory (of a trial, one for all);
            one child runs all files interleaved and measures time;
            then the reports are made here and everything is published
sensitivity one child changes one layer at a time, and its answer is published with a report
gate        the best files of a search's last candidates answer test examples that no trial saw
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from app.core import artifacts, inspections, sensitivity
from app.core.checkpoints import Checkpoints, hashes_of
from app.core.database import Database
from app.core.errors import Problem
from app.core.facts import DatasetFacts, ModelInspection
from app.core.job_options import JobLimits, JobOptions
from app.core.logs import Logs
from app.core.measurements import Prediction
from app.core.messages import EpochEnded
from app.core.plans.planning import forecast_of
from app.core.queue import Queue
from app.core.sensitivities import Sensitivity
from app.core.settings import Settings
from app.core.storage import Storage, no_space_left_is_a_problem
from app.core.studies.gate import GateOptions
from app.core.submissions import check
from app.core.tasks import (
    Checkpoint,
    Compress,
    Compression,
    InspectDataset,
    InspectModel,
    MeasureSensitivity,
)
from app.core.wanted_files import WantedFiles, wanted_files
from worker.children_of_job import ChildrenOfJob
from worker.failures import OWN_CODE, own_code_refused
from worker.finishing import finish
from worker.finishing_sensitivity import write_sensitivity
from worker.gate import lend_finalists, read_gate
from worker.hold import Hold
from worker.job_folder import JobFolder, prepared
from worker.limits import Limits
from worker.measuring import COMPRESSED, TIMED, measure
from worker.search.stopping import hopeless

# After so long a child stops measuring, and answers with what it has.
SENSITIVITY_SECONDS = 900


class JobRunner:
    def __init__(
        self, settings: Settings, database: Database, storage: Storage, queue: Queue, *, may_run_own_code: bool
    ) -> None:
        self.storage = storage
        self._may_run_own_code = may_run_own_code or settings.allow_unsandboxed
        self._settings = settings
        self._database = database
        self._queue = queue
        self._logs = Logs(settings.logs_dir)

    def run(self, hold: Hold) -> None:
        """To the job's success; raises a `Problem` or `LeaseLost` where it doesn't come to that."""
        with no_space_left_is_a_problem(), prepared(self._settings, self._database, self.storage, hold.claim) as folder:
            if folder.formats() & OWN_CODE and not self._may_run_own_code:
                raise own_code_refused()
            if hold.claim.kind == "inspect":
                self._inspect(hold, folder)
            elif hold.claim.kind == "sensitivity":
                self._measure_sensitivity(hold, folder)
            elif hold.claim.kind == "gate":
                self._read_gate(hold, folder)
            else:
                self._compress(hold, folder)

    def _inspect(self, hold: Hold, folder: JobFolder) -> None:
        children = self._children_of_inspection(hold, folder)
        dataset = folder.dataset_file()
        if hold.claim.model is not None:
            found = children.run(InspectModel(model=folder.model_file(), dataset=dataset), 0, 1)
            assert isinstance(found, ModelInspection)
            inspections.finish_model(self._database, self._queue, hold.claim, found)
        elif dataset is not None:
            facts = children.run(InspectDataset(dataset=dataset), 0, 1)
            assert isinstance(facts, DatasetFacts)
            inspections.finish_dataset(self._database, self._queue, hold.claim, facts)

    def _compress(self, hold: Hold, folder: JobFolder) -> None:
        options = options_of(hold)
        wanted = checked(options, folder)
        plan = self._planned(folder, options, wanted)
        children = self._children_of(hold, folder, options.limits)
        checkpoints = self._checkpoints(hold, folder, options, wanted)
        compression = compress(children, folder, options, wanted, checkpoints, self._watch(hold))
        measured = measure(children, folder, options, compression)
        hold.report(TIMED, None, "Writing the report")
        made = finish(hold.claim, folder, options, wanted.steps, measured, self._settings.disk_mb, plan)
        artifacts.publish(self._database, self.storage, self._queue, hold.claim, made.files, made.result)

    def _watch(self, hold: Hold) -> Callable[[EpochEnded], None]:
        def watch(ended: EpochEnded) -> None:
            with suppress(Problem):  # a trial that can't be compared goes on
                found = hopeless(self._database, hold.claim, ended)
                if found is not None:
                    hold.give_up(found.why)

        return watch

    def _planned(self, folder: JobFolder, options: JobOptions, wanted: WantedFiles) -> Prediction:
        assert folder.model is not None
        with self._database.reading() as session:
            return forecast_of(session, options, folder.model, folder.dataset, wanted).prediction

    def _measure_sensitivity(self, hold: Hold, folder: JobFolder) -> None:
        seed, limits, model = hold.claim.request["seed"], JobLimits(), folder.model_file()
        assert folder.model is not None
        sensitivity.check(folder.model, folder.dataset)
        children = self._children_of(hold, folder, limits)
        seconds = hold.claim.request.get("seconds", SENSITIVITY_SECONDS)
        task = MeasureSensitivity(model=model, dataset=folder.dataset_file(), seed=seed, seconds=seconds)
        found = children.run(task, 0, 1)
        assert isinstance(found, Sensitivity)
        files = write_sensitivity(hold.claim, folder, seed, found)
        artifacts.publish(self._database, self.storage, self._queue, hold.claim, files, found)

    def _read_gate(self, hold: Hold, folder: JobFolder) -> None:
        request = {name: hold.claim.request[name] for name in GateOptions.model_fields}
        options = GateOptions.model_validate(request)
        children = self._children_of(hold, folder, options.limits)
        finalists = lend_finalists(self._database, self.storage, folder, options.candidates)
        reading = read_gate(children, folder, options, finalists)
        artifacts.publish(self._database, self.storage, self._queue, hold.claim, {}, reading)

    def _checkpoints(self, hold: Hold, folder: JobFolder, options: JobOptions, wanted: WantedFiles) -> Checkpoints:
        claim = hold.claim
        hashes = hashes_of(wanted.steps, wanted.outputs[:1], options.seed, folder.shas)
        shared = self._queue.shared_steps(claim)
        return Checkpoints(self.storage, claim.job, claim.attempt, hashes, study=claim.study, shared=shared)

    def _children_of_inspection(self, hold: Hold, folder: JobFolder) -> ChildrenOfJob:
        """Whoever uploads can't say how much it may use."""
        limits = replace(
            self._limits(self._settings.inspect_seconds, self._settings.inspect_memory_mb),
            more_seconds="Upload a smaller file, or have MODELPRESS_INSPECT_SECONDS raised.",
            more_memory="Upload a smaller file, or have MODELPRESS_INSPECT_MEMORY_MB raised.",
        )
        return self._children(hold, folder, limits)

    def _children_of(self, hold: Hold, folder: JobFolder, asked: JobLimits) -> ChildrenOfJob:
        limits, most = self._limits(asked.seconds, asked.memory_mb), self._settings
        if asked.seconds >= most.max_seconds:
            limits = replace(limits, more_seconds="Ask for less, or have MODELPRESS_MAX_SECONDS raised.")
        if asked.memory_mb >= most.max_memory_mb:
            advice = "Use a smaller model or data set, or have MODELPRESS_MAX_MEMORY_MB raised."
            limits = replace(limits, more_memory=advice)
        return self._children(hold, folder, limits)

    def _limits(self, seconds: float, memory_mb: int) -> Limits:
        return Limits(
            seconds=min(seconds, self._settings.max_seconds),
            memory_mb=min(memory_mb, self._settings.max_memory_mb),
            disk_mb=self._settings.disk_mb,
            log_bytes=self._settings.log_bytes,
            min_free_bytes=self._settings.min_free_bytes,
        )

    def _children(self, hold: Hold, folder: JobFolder, limits: Limits) -> ChildrenOfJob:
        return ChildrenOfJob(hold, folder, limits, self._logs, allow_unsandboxed=self._settings.allow_unsandboxed)


def options_of(hold: Hold) -> JobOptions:
    request = {name: value for name, value in hold.claim.request.items() if name not in {"model", "dataset"}}
    return JobOptions.model_validate(request)


def checked(options: JobOptions, folder: JobFolder) -> WantedFiles:
    """Checked again: the job may have been accepted before its model was inspected."""
    folder.model_file()
    assert folder.model is not None
    check(options, folder.model, folder.dataset, folder.others)
    facts = ModelInspection.model_validate(folder.model.inspection).facts
    return wanted_files(options, facts, has_data=folder.dataset is not None)


def compress(
    children: ChildrenOfJob,
    folder: JobFolder,
    options: JobOptions,
    wanted: WantedFiles,
    checkpoints: Checkpoints,
    watch: Callable[[EpochEnded], None],
) -> Compression:
    """From where a checkpoint ends, if an earlier attempt or another job of the study left one."""
    checkpoint = checkpoints.lend(folder.path)
    if checkpoint is not None:
        children.hold.resume(checkpoint.steps_done, len(wanted.steps))
    task = Compress(
        model=folder.model_file(),
        models=folder.other_model_files(),
        dataset=folder.dataset_file(),
        steps=wanted.steps,
        outputs=wanted.outputs,
        candidates=wanted.candidates,
        seed=options.seed,
        checkpoint=checkpoint,
        shared=tuple(sorted(checkpoints.shared)),
    )

    def keep(written: Checkpoint) -> None:
        checkpoints.keep(folder.path, written)
        children.hold.pass_on(written.steps_done)

    answer = children.run(task, 0, COMPRESSED, keep=keep, watch=watch)
    assert isinstance(answer, Compression)
    return answer.model_copy(update={"warnings": (*wanted.warnings, *answer.warnings)})
