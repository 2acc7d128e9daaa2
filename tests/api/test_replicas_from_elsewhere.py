"""Replicas that another server sends: who may make them, and what they can be."""

import json

import pytest

ID = "aaaaaaaaaaaaaaaaaaaaaaab"
