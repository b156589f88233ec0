"""P5: from an interaction log to a recommender that runs anywhere.

    import p5core

    run = p5core.run(p5core.load_experiment(Path("experiment.toml")))
    p5core.Recommender.load(run).recommend(["a", "b"], k=10)

The names of this module are the public interface; `__init__.pyi` lists them. They are imported when they are first
used, so that `import p5core` itself is quick.
"""

from __future__ import annotations

from importlib.metadata import version

import lazy_loader

__version__ = version("p5rec")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
