"""Tests of service.sample."""
