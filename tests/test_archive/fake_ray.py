"""The calls of Ray that a pool of actors uses, in one process.

What is told to an actor is pickled, and done when somebody waits for it. `test_ray_pool.py` runs
the same on Ray itself, where it is installed.
"""

import pickle
from types import SimpleNamespace


class RayError(Exception):
    """See ray.exceptions.RayError."""


class Reference:
    """What comes of a call."""

    def __init__(self, actor, call):
        self.actor, self.call, self.value = actor, call, None

    def finish(self):
        if self.call is not None and self.actor.error is None:
            try:
                self.value = self.call()
            except Exception as error:
                self.actor.error = RayError(f'The actor died: {error}')
        self.call = None


class Actor:
    """A handle."""

    def __init__(self, ray, kind, arguments):
        self._arguments, self._object, self.error = pickle.dumps(arguments), None, None
        if ray.broken is not None:
            self.error = RayError(ray.broken)
        self._kind = kind

    def _call(self, name, arguments):
        if self._object is None:
            self._object = self._kind(*pickle.loads(self._arguments))
        found = getattr(self._object, name)(*pickle.loads(arguments))
        return pickle.loads(pickle.dumps(found))

    def __getattr__(self, name):
        if name.startswith('_'):
            raise AttributeError(name)

        def remote(*arguments):
            sent = pickle.dumps(arguments)
            return Reference(self, lambda: self._call(name, sent))

        return SimpleNamespace(remote=remote)


class FakeRay:
    """The module.

    Args:
        resources: Of the cluster.
        broken: Why no actor can begin, or None.
        full: Whether the cluster has no room for actors now.
    """

    exceptions = SimpleNamespace(RayError=RayError)

    def __init__(self, resources=None, broken=None, full=False):
        self.resources = resources or dict(CPU=2.0)
        self.broken, self.full = broken, full
        self.options, self.killed, self.begun = [], [], False

    def is_initialized(self):
        return self.begun

    def init(self, address=None, log_to_driver=True, logging_level=None, include_dashboard=None):
        if address is not None:
            raise ConnectionError('Could not find any running\nRay instance.')
        self.begun = True

    def shutdown(self):
        self.begun = False

    def cluster_resources(self):
        return dict(self.resources)

    available_resources = cluster_resources

    def remote(self, kind):
        def options(**options):
            self.options.append(options)
            return SimpleNamespace(remote=lambda *arguments: Actor(self, kind, arguments))

        return SimpleNamespace(options=options)

    def wait(self, references, num_returns=1, timeout=None):
        ready = [] if self.full else references[:num_returns]
        for reference in ready:
            reference.finish()
        return ready, [r for r in references if r not in ready]

    def get(self, reference):
        reference.finish()
        if reference.actor.error is not None:
            raise reference.actor.error
        return reference.value

    def kill(self, actor, no_restart=True):
        self.killed.append(actor)
        actor.error = RayError('The actor died because it was killed by `ray.kill`.')
