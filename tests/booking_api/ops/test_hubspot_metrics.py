"""What Prometheus is told of HubSpot: who asked, what was refused, when it was away."""

from __future__ import annotations

import logging
from http import HTTPStatus

import pytest
from pytest_django import Settings

from booking_api import composition
from tests.api import Api
from tests.builders import Portal
from tests.desk import create
from tests.metrics import grown, shown

pytestmark = pytest.mark.django_db(transaction=True)

AVAILABLE = "/api/mock-exams/available"
