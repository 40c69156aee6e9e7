"""python -m course prepare: fetch and build what lessons need."""

import multiprocessing
import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from course.paths import CourseError

WORKERS = 3  # on two cores: while one waits for a download, two build; each takes up to 2 GB


def prepare():
    """Fetch and build what is not there yet: modules, photo and text sets, the photo page's library; say what was done.

    The photo sets that are downloaded from elsewhere, up to 1.4 GB each, wait until photos.load asks for one.

    Raises:
        DamagedError: folders of the cache are not as they were written; all of them are named.
        CourseError: a process that builds modules died.
    """
    from helpers import photos, texts
    from sources import cache, catalogues, fetch, module_folders

    start = time.monotonic()
    if faults := cache.verify(quick=True):
        raise cache.DamagedError("\n".join(faults))
    together = {}  # what comes out of one package is built by one process, so that none waits for another's download
    for name, entry in module_folders.catalogue().items():
        if not module_folders.is_ready(name):
            together.setdefault(entry["origins"][0]["package"], []).append(name)
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn"), _start) as pool:
        jobs = [pool.submit(_make, each) for each in together.values()]
        for catalogue, load in ((photos.catalogue(), photos.load), (texts.catalogue(), texts.load)):
            for name, card in catalogue.items():
                if "size" not in card:
                    load(name)
        for origin in catalogues.entries("web")["litert"]["origins"]:
            fetch.fetch(origin)
        done = list(cache.built)
        try:
            for job in as_completed(jobs):
                done = [*done, *job.result()]
        except BrokenProcessPool:
            raise CourseError(
                "a process that builds modules died. Memory may be short (three of them take up to 2 GB each), or "
                "TensorFlow can't run here, which `make doctor` says. The same command goes on with what is missing."
            ) from None
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    said = ", ".join(done) if done else "nothing to download or build"
    print(f"Prepared in {time.monotonic() - start:.0f} s: {said}.", flush=True)


def _start():
    os.environ["TQDM_DISABLE"] = "1"  # bars of several processes would overwrite each other
    end_with_parent()


def end_with_parent():
    """End this process when the one that started it is killed; it would work on, or wait for its next task for ever."""

    def wait():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _make(names):
    """Prepare some modules in a process of its own; return what was built (list of str)."""
    from sources import cache, engines, module_folders

    with engines.silent():  # as it loads, TensorFlow greets with a WARNING, once for each of its libraries
        import tensorflow  # noqa: F401
    before = len(cache.built)
    for name in names:
        size = module_folders.entry(name)["origins"][0]["size"] / 1e6
        print(f"{name}: a package of {size:.0f} MB is fetched, and the module built", flush=True)
        module_folders.prepare(name)
    return cache.built[before:]
