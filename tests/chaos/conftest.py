def pytest_configure(config):
    line = "chaos: more seeds of what is slow already; `pytest -m chaos tests/chaos` runs them"
    config.addinivalue_line("markers", line)
