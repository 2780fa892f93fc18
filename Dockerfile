# The API's image: locked requirements, no tools to build with, no rights, nothing to write but /tmp.
# docs/operations.md has the steps; tests/deployment/ runs these where there is no engine.
FROM python:3.11.13-slim-bookworm AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app

COPY requirements.txt ./
# Without pip: nothing is installed where it serves.
RUN python -m venv --without-pip /opt/venv
RUN python -m pip --python /opt/venv/bin/python install --quiet --require-hashes --only-binary :all: -r requirements.txt

COPY manage.py ./
COPY booking_api ./booking_api
COPY hubspot_sync ./hubspot_sync
COPY cache_layer ./cache_layer
COPY templates ./templates
COPY deploy/healthcheck.py ./healthcheck.py
# It needs no secret and makes no connection.
RUN ENV_FILE= /opt/venv/bin/python manage.py collectstatic --noinput --verbosity 0
# Nothing can be compiled later: the file system will be read-only.
RUN /opt/venv/bin/python -m compileall -q .


FROM python:3.11.13-slim-bookworm

COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app

# ENV_FILE: what configures a container is its environment. STOP_TIMEOUT_S: an engine kills after ten
# seconds, and by then everybody is to be answered.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    ENV_FILE= LOG_FORMAT=json STOP_TIMEOUT_S=9

# A number, so that an engine sees that it is not root.
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=4s --start-period=30s --retries=3 CMD ["python", "healthcheck.py"]
ENTRYPOINT ["python", "manage.py"]
CMD ["serve", "--host", "0.0.0.0"]
