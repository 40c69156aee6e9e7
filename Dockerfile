# The course in a container: the same install as everywhere. Binder reads this file, too.
FROM python:3.12-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
ARG NB_USER=student
ARG NB_UID=1000
RUN useradd --create-home --uid $NB_UID $NB_USER
USER $NB_USER
WORKDIR /home/$NB_USER/course
COPY --chown=$NB_UID . .
RUN python3 -m course install
ENV PATH=/home/$NB_USER/course/.venv/bin:$PATH
EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--no-browser", "notebooks/00_start_here.ipynb"]
