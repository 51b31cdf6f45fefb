"""Celery's settings for the worker of a GPU host.

A message only says that there may be something to do (containers/protocol/task_queue.py), so the settings aim at quiet:
a broker that restarts, forgets everything or delivers a message twice changes nothing but the moment at which work
begins. No result is stored, no event is sent, no remote control is listened to, and nothing but JSON is accepted.

Celery sends to a queue like this one through the broker's default exchange. That needs no binding, which would be a key
in the broker and lost with a flush, and with it every later message.
"""

from typing import Any

from kombu import Queue

from containers.host.config import Settings
from containers.protocol.task_queue import QUEUE_NAME


def celery_settings(settings: Settings) -> dict[str, Any]:
    """Celery's configuration for this worker."""
    return {
        "broker_url": settings.redis_url,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            "global_keyprefix": f"{settings.instance}:",
            # A message that a killed worker had is delivered again after this. It may well come while its
            # batch is still being done, and is then ignored.
            "visibility_timeout": 600,
            "unacked_restore_interval": 5,
            # kombu's usual keys are shared by all queues: who may write them could place a task of the server's.
            "unacked_key": f"{QUEUE_NAME}-unacked",
            "unacked_index_key": f"{QUEUE_NAME}-unacked-index",
            "unacked_mutex_key": f"{QUEUE_NAME}-unacked-mutex",
            "health_check_interval": 10,
            "socket_keepalive": True,
            "socket_connect_timeout": 5,
            "retry_on_timeout": True,
        },
        "task_queues": [Queue(QUEUE_NAME)],
        "task_default_queue": QUEUE_NAME,
        "task_create_missing_queues": False,
        "task_acks_late": True,
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "result_backend": None,
        "worker_pool": "threads",
        "worker_concurrency": len(settings.slots),
        "worker_prefetch_multiplier": 1,
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_hijack_root_logger": False,
        "timezone": "UTC",
    }
