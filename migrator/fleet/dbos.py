"""DBOS Transact as the engine that hands out shards (`reference/distributed.md` section 5 says how it is used and why).

A shard that is submitted is a workflow whose id says which shard it is, so that to submit it twice is to submit it
once. A workflow has no steps: one checkpoint a change would cost more than the change, and the ledger is the truth.

Importing DBOS takes a second and brings what a run on one machine has no use for, so only this module does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Self

from dbos import DBOS, DBOSConfig, EnqueueOptions

from migrator.fleet.dispatch import Handler
from migrator.fleet.ledger import Shard
from migrator.fleet.schema import FORMAT

NAME = "migrator"

VERSION = f"{NAME}-{FORMAT}"
"""What has to be the same for a worker to take up what another one left: the ledger's format alone."""

QUEUE = "shards"

POLL_S = 1.0
"""How often a worker looks for a shard. A shard takes minutes."""

OPEN = ["ENQUEUED", "PENDING"]

SIDE_BY_SIDE = 16
"""Shards that are submitted at a time."""


class Dbos:
    """Shards as workflows of DBOS. It implements `dispatch.Dispatcher`; a process has one at the most.

    Use as an async context manager: inside it, this process is a worker.
    """

    def __init__(self, url: str, worker: str, handler: Handler, *, at_once: int, poll_s: float = POLL_S) -> None:
        """Prepare to hand out shards.

        Args:
            url: the fleet's database.
            worker: name of this process among all.
            handler: takes the shards that are this worker's turn; called in the loop that the context was entered in.
            at_once: shards that each worker has at a time.
            poll_s: how often to look for a shard.
        """
        self._url = url
        self._worker = worker
        self._handler = handler
        self._at_once = at_once
        self._poll_s = poll_s

    async def __aenter__(self) -> Self:
        logging.getLogger("dbos").setLevel(logging.ERROR)
        config = DBOSConfig(
            name=NAME,
            system_database_url=self._url,
            application_version=VERSION,
            executor_id=self._worker,
            log_level="ERROR",
        )
        DBOS(config=config)

        @DBOS.workflow(name=QUEUE)
        async def carry_out(run: str, number: int) -> None:
            await self._handler(Shard(run, number))

        DBOS.listen_queues([QUEUE])
        # It blocks for a moment; but called from here it runs workflows in this loop, not in one of its own.
        DBOS.launch()
        await DBOS.register_queue_async(
            QUEUE, worker_concurrency=self._at_once, polling_interval_sec=self._poll_s, on_conflict="always_update"
        )
        return self

    async def __aexit__(self, *exception: object) -> None:
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)

    async def submit(self, shards: Mapping[Shard, int]) -> None:
        """Let shards be handed out, each for the time that is said; the same again has no further effect."""
        side_by_side = asyncio.Semaphore(SIDE_BY_SIDE)
        async with asyncio.TaskGroup() as crew:
            for shard, times in shards.items():
                crew.create_task(self._submit(shard, times, side_by_side))

    async def _submit(self, shard: Shard, times: int, side_by_side: asyncio.Semaphore) -> None:
        options = EnqueueOptions(
            workflow_name=QUEUE, queue_name=QUEUE, workflow_id=f"{shard}/{times}", app_version=VERSION
        )
        async with side_by_side:
            await DBOS.enqueue_workflow_with_options_async(options, shard.run, shard.number)

    async def waiting(self, run: str) -> Collection[int]:
        """Return the shards of a run that are handed out, or will be."""
        found = await DBOS.list_workflows_async(
            workflow_id_prefix=f"{run}/", status=OPEN, load_input=False, load_output=False
        )
        return {int(workflow.workflow_id.split("/")[1]) for workflow in found}

    async def revive(self, workers: Collection[str]) -> int:
        """Hand out again what `workers` had, who are not there any more; return how many shards."""
        if not workers:
            return 0
        stranded = await DBOS.list_workflows_async(
            status="PENDING", executor_id=list(workers), load_input=False, load_output=False
        )
        ids = [workflow.workflow_id for workflow in stranded]
        await DBOS.resume_workflows_async(ids, queue_name=QUEUE)
        return len(ids)

    async def forget(self, run: str) -> None:
        """Hand out nothing of a run any more, and keep nothing of it."""
        found = await DBOS.list_workflows_async(workflow_id_prefix=f"{run}/", load_input=False, load_output=False)
        await DBOS.delete_workflows_async([workflow.workflow_id for workflow in found])
