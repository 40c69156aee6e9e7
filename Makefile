PYTHON ?= python3
VENV   ?= .venv
LOCK   ?= core
COURSE  = $(VENV)/bin/python -m course
CLASS   = $(VENV)/bin/python -m classroom
INSTALL = $(PYTHON) -m course install --venv $(VENV) --lock

.PHONY: run full official lab lint check test test-long drills assignments grade bench site refresh prepare doctor lock wheel

run:  ## set everything up, run every lesson, print a table
	@$(INSTALL) $(LOCK)
	@$(COURSE) run

full:  ## lessons 04 and 05 on thousands of photos; says first what it downloads and how long it takes
	@$(INSTALL) $(LOCK)
	@$(COURSE) run --full 04 05

official: LOCK = official
official:  ## all lessons on TensorFlow Hub's handles and Keras' own downloads, 04 and 05 at full size
	@$(INSTALL) $(LOCK)
	@COURSE_SOURCE=official $(COURSE) run --full

lab:  ## open JupyterLab; modules and photos are prepared on first use
	@$(INSTALL) $(LOCK)
	$(VENV)/bin/jupyter lab notebooks/00_start_here.ipynb

lint:
	@$(INSTALL) dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/deptry .

check: lint  ## ruff, import contracts, declared dependencies, and the tests that load no TensorFlow: two minutes
	NO_TENSORFLOW=1 $(VENV)/bin/python -m pytest tests -q -n 2 --dist loadfile

test: lint  ## all of these, every other test, every notebook under nbval and papermill
	$(VENV)/bin/python -m pytest tests notebooks --nbval-lax -n 2 --dist loadfile

test-long:  ## what is too slow for every day: lessons on folders of photos, more hostile submissions
	@$(INSTALL) dev
	$(VENV)/bin/python -m pytest tests -m long

drills:  ## faults of real machines, done for real: kill -9, full disks, lying servers; renews docs/drills.md
	@$(INSTALL) dev
	$(VENV)/bin/python -m tests.drills

assignments: LOCK = grading
assignments:  ## the students' notebooks, and build/assignments.zip with all that students need
	@$(INSTALL) $(LOCK)
	@$(CLASS) release

grade: LOCK = grading
grade:  ## grade SUBMISSIONS=folder into build/grades; ASSIGNMENT=name, OPTIONS="--timeout 120" narrow and widen it
	@$(INSTALL) $(LOCK)
	@$(CLASS) grade $(if $(SUBMISSIONS),"$(SUBMISSIONS)") $(if $(ASSIGNMENT),--assignment "$(ASSIGNMENT)") $(OPTIONS)

bench:  ## renew the figures of bench/README.md
	@$(INSTALL) $(LOCK)
	$(VENV)/bin/python -m bench.bench

site: LOCK = site
site:  ## the website, in build/site, from the lessons as they ran
	@$(INSTALL) $(LOCK)
	@$(COURSE) site

wheel:  ## HubLayer as a package of its own, in build/wheel
	@$(INSTALL) $(LOCK)
	$(VENV)/bin/python -m pip wheel --quiet --no-deps --wheel-dir build/wheel ./hub_layer

prepare refresh lock:
	@$(INSTALL) $(LOCK)
	@$(COURSE) $@

doctor:  ## what this machine has and lacks; installs nothing
	@$(PYTHON) -m course doctor
