"""The message by which the server wakes GPU hosts, and how any worker of ours listens to the broker.

A message is a task's name and a batch's id, nothing else: it says that there may be something to do. The only
module of this package that knows the broker's library; whoever does not talk to the broker does not load it.
"""

from typing import Final

from kombu.transport import redis, virtual

#: The task that hosts carry out, and the queue from which they take it. Hosts of older versions know both.
TASK: Final = "containers.run_batch"
QUEUE_NAME: Final = "sandbox"


class _RecoveringQoS(redis.QoS):
    """The messages that a worker has taken, and whether it may take more."""

    def ack(self, delivery_tag: str) -> None:
        """Forget a message also where the broker, just then away, cannot be told."""
        try:
            super().ack(delivery_tag)
        except Exception:
            virtual.QoS.ack(self, delivery_tag)
            raise


def survive_lost_acknowledgements() -> None:
    """For every worker of this process: a broker that is away when a task ends must not stop the worker for good.

    Celery only logs that a message could not be acknowledged. kombu goes on counting it as being worked on, so a worker
    that takes one message at a time asks for no other, does not notice that its connection is dead, and waits for ever.
    """
    redis.Channel.QoS = _RecoveringQoS
