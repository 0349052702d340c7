"""Connect to Redis without hidden retries, and refuse a server that would lose jobs."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    InvalidResponse,
    NoPermissionError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)
from redis.retry import Retry

from pipeline.model.errors import NotPossible, QueueBroken, QueueRefused, QueueUnavailable
from pipeline.model.outages import Need, Outage, outage_of

_OLDEST_SERVER = (6, 2)  # The first release with BLMOVE.
_NO_LIST = "tradewire:no-such-list"


def connect(redis_url: str, *, timeout_s: float = 2.0) -> Redis:
    """Return a connection that does not retry by itself: redis-py's retries would send a whole transaction twice."""
    return Redis.from_url(
        redis_url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
    )


@contextmanager
def mapped() -> Iterator[None]:
    """Raise the errors of redis-py as `QueueUnavailable`, and that of a key of the wrong type as `QueueBroken`."""
    try:
        yield
    except RedisError as error:
        raise failure_of(error) from None


def failure_of(error: RedisError) -> QueueUnavailable:
    """Return an error of redis-py as ours. A full memory or disk is named.

    An answer of Redis that refuses a command is `QueueRefused`; a key of the wrong type is `QueueBroken`.
    """
    said = (str(error).splitlines() or [type(error).__name__])[0]
    if isinstance(error, OutOfMemoryError):
        return QueueRefused(f"Redis refuses writes, its memory is full: {said}")
    # In a pipeline, redis-py writes the command before the code.
    if "MISCONF" in said:
        return QueueRefused(f"Redis refuses writes, it cannot write to its disk, which may be full: {said}")
    if "WRONGTYPE" in said:
        return QueueBroken(f"Redis: {said}")
    return (QueueRefused if isinstance(error, ResponseError) else QueueUnavailable)(f"Redis: {said}")


def check_server(connection: Redis) -> None:
    """Refuse a server that would lose jobs.

    Raises:
        NotPossible: the server wants a password or other rights, is not Redis, is too old, is a cluster or a replica,
            or evicts keys.
        QueueUnavailable: it cannot be reached, or accepts no writes.
    """
    with mapped():
        try:
            facts = connection.info()
        except AuthenticationError as error:
            refused = str(error).splitlines()[0]
            message = f"Redis wants a password: REDIS_URL must have it, redis://:password@host ({refused})"
            raise NotPossible(message) from None
        except NoPermissionError as error:
            refused = str(error).splitlines()[0]
            raise NotPossible(f"the Redis user of REDIS_URL may not do what tradewire needs: {refused}") from None
        except InvalidResponse:
            raise NotPossible("the server at REDIS_URL is not Redis") from None
        except ResponseError as error:
            # redis-py begins every connection with HELLO, which servers know since 6.0.
            if "unknown command" in str(error) and "HELLO" in str(error):
                raise NotPossible("this Redis is too old: tradewire needs 6.2 or newer") from None
            raise
    version = tuple(int(part) for part in str(facts.get("redis_version", "0")).split(".")[:2])
    if version < _OLDEST_SERVER:
        raise NotPossible(f"Redis {facts.get('redis_version')} is too old: tradewire needs 6.2 or newer")
    if facts.get("redis_mode", "standalone") != "standalone":
        raise NotPossible(f"this Redis runs as a {facts['redis_mode']}: REDIS_URL must name a single server")
    if facts.get("role") != "master":
        raise NotPossible("this Redis is a read-only replica: REDIS_URL must name the primary")
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise NotPossible(f"this Redis evicts keys (maxmemory-policy {policy}): set it to noeviction")
    check_writes(connection)


def check_writes(connection: Redis) -> None:
    """Check whether the server accepts writes, by a write that changes nothing: a move from a list that does not exist.

    Raises:
        QueueUnavailable: the server is away, out of memory, a replica, cannot write to its disk, or refuses
            our user this command.
    """
    with mapped(), connection.pipeline() as pipe:
        # The workers' command. In a transaction, it does not wait for an element.
        pipe.blmove(_NO_LIST, _NO_LIST, 1)
        pipe.execute()


def queue_outage(connection: Redis) -> Outage:
    """Return the outage that all users of this Redis in this process share."""
    # Only parts of the address: the whole address may hold a password.
    place = connection.connection_pool.connection_kwargs
    return outage_of(Need.QUEUE, str([place.get(key) for key in ("host", "port", "path", "db")]))
